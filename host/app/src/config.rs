//! The configuration: a TOML file, then `BOURSE__SECTION__KEY` from the environment, then flags.
//!
//! Unknown keys are refused: a mistyped `on_failure` must not silently become the default.

use crate::outbox::Limits;
use anyhow::Context;
use bourse_market::outbox::{CarryLimits, OpeningRate};
use bourse_market::{Amount, Nanos};
use bourse_policy::VerifyingKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) mod chain;
mod check;
mod connect;
#[cfg(test)]
mod full;
mod idle;
mod inspect;
pub(crate) mod listen;
mod live;
mod load;
mod markets;
mod place;
pub(crate) mod role;
mod rule;
mod user;

pub use bourse_policy::{Hook, Import as Grant, Instances};
pub use chain::{Chain, ChainMode, ContractAddresses, Local};
pub use connect::{Login, LoginMethod, Serializer};
pub(crate) use inspect::{Inspected, Told, inspect};
pub use markets::check_together;
pub use role::{Disclose, Match, Role, RoleRule};
pub(crate) use rule::PARAMS_BYTES;
pub use rule::{AppliesTo, OnFailure, Rule, RuleLimits};
pub use user::{Ticket, User};

/// The market maker's key in the data folder, where no other file is configured.
pub(crate) const KEY_FILE: &str = "marketmaker.key";

/// Everything an operator can set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Listeners and who may log in.
    pub wamp: Wamp,
    /// The realm of the market.
    pub realm: Realm,
    /// The ledger.
    pub store: Store,
    /// Where purchases settle.
    pub chain: Chain,
    /// The market itself.
    pub market: Market,
    /// What sellers must bring.
    pub offers: Offers,
    /// Policies and what they decide.
    pub policies: Policies,
    /// Health, figures and the console.
    pub http: Http,
    /// Concessions to clients with known bugs.
    pub compat: Compat,
    /// What is told on standard error.
    pub log: Logging,
}

/// `[wamp]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wamp {
    /// Where WebSocket clients connect, at path `/ws`.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen_ws: SocketAddr,
    /// Where RawSocket clients connect.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen_rs: SocketAddr,
    /// Where WebSocket clients connect under TLS, at path `/ws`; nowhere if it is not given.
    #[serde(deserialize_with = "listen::optional")]
    pub listen_wss: Option<SocketAddr>,
    /// Where RawSocket clients connect under TLS; nowhere if it is not given.
    #[serde(deserialize_with = "listen::optional")]
    pub listen_rss: Option<SocketAddr>,
    /// The unix socket where clients on this machine connect, over RawSocket or WebSocket; none if it is not given.
    pub listen_unix: Option<PathBuf>,
    /// Let the unix socket's group connect too, not its owner alone.
    pub unix_group: bool,
    /// The certificate for TLS, with those that lead to its authority after it, in PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    pub tls_key: Option<PathBuf>,
    /// Connections at a time of one address; 0 for any number. All peers of the unix socket count as one.
    pub connections_per_address: u32,
    /// New connections of one address in a second, five times as many at once; 0 for any number.
    pub connection_rate: u32,
    /// Admit anonymous sessions on listeners beyond this machine. Anybody who reaches them may then trade.
    pub allow_anonymous_remote: bool,
    /// Calls that one session, or all sessions of one authid, may make in a second; 0 for no limit.
    pub calls_per_second: u32,
    /// Publications that they may make in a second; 0 for no limit.
    pub publications_per_second: u32,
    /// Registrations and subscriptions that they may ask for in a second; 0 for no limit.
    pub changes_per_second: u32,
    /// The router that the market joins instead of being one itself: then it does not listen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// The file with the certificate of an authority that signed the router's, where no known one did. For `wss` and `rss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ca: Option<PathBuf>,
    /// The file with the certificate that the market shows to that router, with those that lead to its authority after it, in
    /// PEM: where the router asks its clients for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_key: Option<PathBuf>,
    /// How messages are written on the link to that router.
    pub serializer: Serializer,
    /// Who the market is there.
    pub login: Login,
    /// Who may log in with a ticket.
    pub ticket: Vec<Ticket>,
    /// Who may log in with something else.
    pub user: Vec<User>,
    /// What clients of a role may do with the router. A role that is not listed may do what everybody may.
    pub role: Vec<Role>,
}

/// `[realm]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Realm {
    /// Its name.
    pub name: String,
    /// Who may see what in it.
    pub access: Access,
}

/// Who may see and do what; the whole table is in docs/access.md.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Getters are public, as those of the old market maker were.
    #[default]
    Open,
    /// Members and delegates see what is theirs, and offers.
    Members,
}

/// `[store]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The data folder: ledger, keys, policies.
    pub path: PathBuf,
    /// Bytes of address space reserved for the ledger; it takes only what it fills.
    pub map_size: usize,
}

/// `[market]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Market {
    /// The market's UUID; made at the first start if it is not given.
    pub id: Option<String>,
    /// Milliseconds in which a purchase is posted, voided or refused.
    pub sell_deadline_ms: u64,
    /// Milliseconds in which a seller that prices its own offers must answer; half of a purchase's deadline at most.
    pub quote_deadline_ms: u64,
    /// On a chain: whole tokens that the market maker locks at most in the paying channels of a provider, by its member's
    /// address. For one that is not listed it opens none.
    pub paying_limits: BTreeMap<String, u64>,
    /// Whole tokens that it locks in all paying channels together; none for as much as the limits come to.
    pub paying_cap: Option<u64>,
    /// Whole tokens that a paying channel takes at least.
    pub paying_minimum: u64,
    /// Whole tokens that a payment channel takes at least, if the market maker is to open it.
    pub payment_minimum: u64,
    /// Whole tokens that a buyer may spend over a payment channel, and not settle, on its word alone. Beyond that each purchase
    /// must bring a settlement voucher.
    pub max_unsettled: u64,
    /// Channels of either kind that it opens for one actor in any 24 hours at most, the failed ones included: each costs it gas.
    pub openings_per_day: u32,
    /// Consents of one member that the market maker tells the chain within a day, and pays the gas for. 0 for none.
    pub consents_per_member: u64,
    /// Consents of all members together.
    pub consents_per_day: u64,
}

/// `[offers]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Offers {
    /// Whether `delegate_signature` must be a valid EIP712KeyOffer.
    pub signature: SignatureRule,
    /// Milliseconds after which an offer that ended leaves the lists that queries look into, and between two looks for
    /// such offers. Less keeps queries faster where very many offers end; more forgives a clock that was ahead.
    pub sweep_after_ms: u64,
}

impl Default for Offers {
    fn default() -> Self {
        Self {
            signature: SignatureRule::default(),
            sweep_after_ms: 10 * 60 * 1000,
        }
    }
}

/// What becomes of `delegate_signature`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureRule {
    /// Kept, never taken as proof: unmodified clients send random bytes.
    #[default]
    Ignore,
    /// Must be the seller delegate's signature over the offer.
    Require,
}

/// `[policies]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policies {
    /// Folder of `.wasm` files, watched; `policies` in the data folder if not given.
    pub dir: Option<PathBuf>,
    /// Refuse every component in the folder that none of `keys` signed.
    pub require_signature: bool,
    /// Ed25519 public keys in hex whose signatures count, as `bourse policy keygen` prints them.
    pub keys: Vec<String>,
    /// Bytes of the largest component. Raise it for policies in JavaScript, which bring an engine of 12 MB along.
    pub component_max: usize,
    /// Consecutive failures after which a policy is left alone for a while; 0 for never.
    pub breaker_failures: u32,
    /// For how many seconds it is left alone.
    pub breaker_seconds: u64,
    /// Which decisions are kept, and for how long.
    pub log: Log,
    /// Without any rule for prices, `surge` prices dynamic offers. False leaves them to their sellers' own quotes.
    pub default_rule: bool,
    /// Which policy decides what. For prices the first rule that covers an offer decides; offers and consent rules are
    /// all asked, and the first refusal wins.
    pub rule: Vec<Rule>,
}

/// `[policies.log]`: the decisions behind quotes and queries. Those behind purchases are kept with the purchases.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Keep them at all.
    pub enabled: bool,
    /// Bytes on disk; the oldest go first.
    pub max_bytes: u64,
    /// Days after which they go.
    pub max_days: u64,
    /// Decisions that may wait to be written; more are dropped and counted.
    pub queue: usize,
}

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where `/healthz` and the console answer.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen: SocketAddr,
    /// The file with the operator's token, which changes markets through the console; made if it is missing. Without it the
    /// console only shows, and only on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

/// `[compat]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Compat {
    /// Admit a buyer's first purchase signed with the posted seq instead of the next, as JavaScript buyers do.
    pub lenient_seq: bool,
    /// Take the login of the old market maker, an EIP712MarketMemberLogin, beside our own. It names neither market nor time:
    /// whoever gets to see one may show it in any market, for ever, though without its client's key nobody gets in by it.
    pub plain_login: bool,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// From which level on lines are told, by module: `error`, `warn`, `info`, `debug` or `trace`. The environment variable
    /// `RUST_LOG` goes before it.
    pub filter: String,
    /// For people, or a line of JSON each. The flag `--log-format` goes before it.
    pub format: LogFormat,
    /// The collector of OpenTelemetry that gets a trace of each call, over OTLP/HTTP: its base URL, to which `/v1/traces` is
    /// added. A credential goes into `OTEL_EXPORTER_OTLP_HEADERS`. Needs a binary built with `--features otlp`.
    pub otlp: Option<String>,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people, in colours on a terminal.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

impl Default for Wamp {
    fn default() -> Self {
        Self {
            listen_ws: loopback(8080),
            listen_rs: loopback(8081),
            listen_wss: None,
            listen_rss: None,
            listen_unix: None,
            unix_group: false,
            tls_certificate: None,
            tls_key: None,
            connections_per_address: bourse_wamp::limits::CONNECTIONS_PER_ADDRESS,
            connection_rate: bourse_wamp::limits::CONNECTION_RATE,
            allow_anonymous_remote: false,
            calls_per_second: bourse_wamp::limits::CALLS_PER_SECOND,
            publications_per_second: bourse_wamp::limits::PUBLICATIONS_PER_SECOND,
            changes_per_second: bourse_wamp::limits::CHANGES_PER_SECOND,
            connect: None,
            connect_ca: None,
            connect_certificate: None,
            connect_key: None,
            serializer: Serializer::default(),
            login: Login::default(),
            ticket: Vec::new(),
            user: Vec::new(),
            role: Vec::new(),
        }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            filter: "warn,bourse_app=info".to_owned(),
            format: LogFormat::default(),
            otlp: None,
        }
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self {
            name: "realm1".to_owned(),
            access: Access::default(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        /// 64 GiB of address space: growing the map later is unsafe while anybody reads.
        const MAP_SIZE: usize = 64 << 30;
        Self {
            path: PathBuf::from("bourse-data"),
            map_size: MAP_SIZE,
        }
    }
}

impl Default for Market {
    fn default() -> Self {
        Self {
            id: None,
            sell_deadline_ms: 10_000,
            quote_deadline_ms: 1_000,
            paying_limits: BTreeMap::new(),
            paying_cap: None,
            paying_minimum: 1,
            payment_minimum: 1,
            max_unsettled: 100,
            openings_per_day: 24,
            consents_per_member: 10,
            consents_per_day: 200,
        }
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            dir: None,
            require_signature: false,
            keys: Vec::new(),
            component_max: 2 << 20,
            breaker_failures: 5,
            breaker_seconds: 10,
            log: Log::default(),
            default_rule: true,
            rule: Vec::new(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            enabled: true,
            max_bytes: 1 << 30,
            max_days: 30,
            queue: 8192,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: loopback(8082),
            token_file: None,
        }
    }
}

impl Policies {
    /// The keys whose signatures count, each by itself: why one is none is said with its place in the list.
    pub(crate) fn verifying_keys(&self) -> impl Iterator<Item = anyhow::Result<VerifyingKey>> {
        self.keys.iter().enumerate().map(|(index, key)| {
            key.parse()
                .with_context(|| format!("policies.keys, number {}", index + 1))
        })
    }
}

impl Market {
    /// Milliseconds in which a seller must name its price: what is left then must do for the rest of a purchase.
    pub(crate) fn quote_deadline_in_force(&self) -> u64 {
        self.quote_deadline_ms.min(self.sell_deadline_ms / 2)
    }

    /// How many consents go to the chain.
    pub(crate) fn carrying(&self) -> CarryLimits {
        CarryLimits {
            member: self.consents_per_member,
            all: self.consents_per_day,
        }
    }

    /// What may be locked in paying channels.
    ///
    /// # Errors
    ///
    /// If a provider's address is none.
    pub(crate) fn limits(&self) -> anyhow::Result<Limits> {
        const DAY: Nanos = Nanos(24 * 60 * 60 * 1_000_000_000);
        let providers = self.paying_limits.iter().map(|(provider, tokens)| {
            let address = provider
                .parse()
                .with_context(|| format!("market.paying_limits: `{provider}` is no member's address"))?;
            Ok((address, Amount::from_tokens(*tokens)))
        });
        Ok(Limits {
            providers: providers.collect::<anyhow::Result<_>>()?,
            cap: self.paying_cap.map_or(Amount::MAX, Amount::from_tokens),
            minimum: Amount::from_tokens(self.paying_minimum),
            payment_minimum: Amount::from_tokens(self.payment_minimum),
            rate: OpeningRate {
                most: self.openings_per_day,
                within: DAY,
            },
        })
    }
}

impl Config {
    /// Whether anybody may log in without proof: only where a stranger cannot reach the listeners, or by explicit wish.
    pub fn admits_anonymous(&self) -> bool {
        self.wamp.is_local() || self.wamp.allow_anonymous_remote
    }

    /// Whether the faucet answers: on loopback alone.
    pub fn has_faucet(&self) -> bool {
        if let Some(url) = &self.wamp.connect {
            return self.chain.mode == ChainMode::Local && connect::is_local(url);
        }
        self.chain.mode == ChainMode::Local && self.wamp.is_local()
    }

    /// The market's id, if the configuration names one.
    ///
    /// # Errors
    ///
    /// If it is no UUID.
    pub fn market_id(&self) -> anyhow::Result<Option<bourse_market::MarketId>> {
        self.market
            .id
            .as_deref()
            .map(|text| {
                uuid::Uuid::parse_str(text)
                    .map(|uuid| bourse_market::MarketId(uuid.into_bytes()))
                    .with_context(|| format!("market.id is `{text}`: expected a UUID"))
            })
            .transpose()
    }

    /// The folder of policies.
    pub fn policy_dir(&self) -> PathBuf {
        self.policies
            .dir
            .clone()
            .unwrap_or_else(|| self.store.path.join("policies"))
    }

    /// Where the market maker's key is.
    pub fn key_path(&self) -> PathBuf {
        self.chain
            .key
            .clone()
            .unwrap_or_else(|| self.store.path.join(KEY_FILE))
    }

    /// The rules in force: the configured ones and, where none of them is about prices, `surge` for dynamic offers.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules = self.policies.rule.clone();
        let priced = rules.iter().any(|rule| rule.hook == Hook::Pricing);
        if self.policies.default_rule && !priced {
            rules.push(Rule::default_pricing());
        }
        rules
    }

    /// With every default filled in that another setting decides, and without secrets: to be shown. The market's id is none
    /// of these, nor is its key: without one, it is made at the first start.
    pub fn in_full(&self) -> Self {
        let mut full = self.clone();
        full.policies.dir = Some(self.policy_dir());
        full.policies.rule = self.rules();
        full.chain = self.chain.without_secrets();
        full.log.otlp = self.log.otlp.as_deref().map(bourse_chain::without_secrets);
        full
    }

    /// What the local market maker starts with.
    pub fn float(&self) -> Amount {
        Amount::from_tokens(self.chain.local.float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_defaults_are_sound() {
        Config::default().check().unwrap();
    }

    #[test]
    fn the_environment_lies_over_the_defaults() {
        let variables = [
            ("BOURSE__REALM__NAME", "market7"),
            ("BOURSE__MARKET__SELL_DEADLINE_MS", "500"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, variables.into_iter()).unwrap();
        assert_eq!(
            (config.realm.name.as_str(), config.market.sell_deadline_ms),
            ("market7", 500)
        );
    }

    #[test]
    fn a_setting_out_of_its_range_is_named_with_its_value() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        for (said, key) in [
            (refused(|it| it.policies.log.queue = 0), "policies.log.queue is 0"),
            (
                refused(|it| it.policies.log.queue = 1 << 30),
                "policies.log.queue is 1073741824",
            ),
            (
                refused(|it| it.policies.log.max_bytes = 5),
                "policies.log.max_bytes is 5",
            ),
            (
                refused(|it| it.policies.component_max = 0),
                "policies.component_max is 0",
            ),
            (
                refused(|it| it.policies.breaker_seconds = 0),
                "policies.breaker_seconds",
            ),
            (
                refused(|it| it.policies.require_signature = true),
                "policies.keys is empty",
            ),
            (
                refused(|it| it.market.quote_deadline_ms = 0),
                "market.quote_deadline_ms is 0",
            ),
        ] {
            assert!(said.contains(key), "{said}");
        }
    }

    #[test]
    fn the_licence_is_looked_for_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bourse.toml");
        let eula = |text: &str| {
            std::fs::write(&file, format!("[chain]\neula_file = \"{text}\"")).unwrap();
            let config = Config::load(Some(&file), std::iter::empty()).unwrap();
            config.chain.eula_file.unwrap()
        };
        assert_eq!(eula("eula.txt"), folder.path().join("eula.txt"));
        assert_eq!(eula("/etc/eula.txt"), Path::new("/etc/eula.txt"));
    }

    #[test]
    fn the_key_is_in_the_data_folder_unless_it_is_elsewhere() {
        let mut config = Config::default();
        config.store.path = PathBuf::from("data");
        assert_eq!(config.key_path(), Path::new("data/marketmaker.key"));
        // To write it down would ask for a key that is made at the first start.
        assert_eq!(config.in_full().chain.key, None);
        let variables = [
            ("BOURSE__CHAIN__KEY", "/safe/key.json"),
            ("BOURSE__CHAIN__KEY_PASSPHRASE_FILE", "/safe/passphrase"),
            // No setting, and nothing that would be printed with them.
            ("BOURSE_KEY_PASSPHRASE", "sesame"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, variables.into_iter()).unwrap();
        assert_eq!(config.key_path(), Path::new("/safe/key.json"));
        assert_eq!(
            config.chain.key_passphrase_file.as_deref(),
            Some(Path::new("/safe/passphrase"))
        );
        assert!(!format!("{config:?}").contains("sesame"));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let variables = [("BOURSE__REALM__NAMES".to_owned(), "x".to_owned())];
        let error = Config::load(None, variables.into_iter()).unwrap_err();
        assert!(format!("{error:#}").contains("names"), "{error:#}");
    }

    #[test]
    fn a_configuration_in_full_means_the_same_and_can_be_read_again() {
        let full = Config::default().in_full();
        let text = toml::to_string_pretty(&full).unwrap();
        let read: Config = toml::from_str(&text).unwrap();
        read.check().unwrap();
        assert_eq!(toml::to_string_pretty(&read.in_full()).unwrap(), text);
        assert_eq!(read.policy_dir(), Config::default().policy_dir());
        assert_eq!(read.rules().len(), 1, "{text}");
    }

    #[test]
    fn a_listener_others_can_reach_needs_authentication() {
        let mut config = Config::default();
        config.wamp.listen_ws = "0.0.0.0:8080".parse().unwrap();
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .contains("allow_anonymous_remote")
        );
        config.wamp.allow_anonymous_remote = true;
        config.check().unwrap();
        assert!(!config.has_faucet());
    }
}
