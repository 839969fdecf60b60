//! A running host: opened, recovered, listening; and stopped again without leaving a purchase behind.

use crate::config::chain::Plan;
use crate::config::{ChainMode, Config, Rule, SignatureRule};
use crate::content::{self, Content, Licence};
use crate::deployment::{self, Found, Kept};
use crate::environment::{Environment, System};
use crate::events::topic;
use crate::figures::Figures;
use crate::follow::{self, Following, Gate};
use crate::front::{Front, Guests, Received};
use crate::home::Home;
use crate::http::Step;
use crate::listeners::Listener;
use crate::market::{Market, Parts, Status, Terms};
use crate::outbox::{self, Limits, Outbox, Sending};
use crate::policies::{self, Manager, Policies, Rules, SHIPPED};
use crate::purchase;
use crate::wire::{bytes, int};
use crate::workers::Workers;
use crate::{bell, control, crash, keyfile, sweep, vouchers};
use anyhow::{Context, ensure};
use bourse_chain::{Contracts, EthereumSettlement, Follower, LocalSettlement, Network, Settlement, Signer};
use bourse_market::outbox::CarryLimits;
use bourse_market::{Address, Amount, Demand, MarketId, Nanos, View};
use bourse_policy::{
    BreakerOptions, Engine, EngineOptions, Library, LibraryOptions, MAX_WINDOW_MS, PolicyStatus,
};
use bourse_store::{Counts, DecisionLog, Disk, LogOptions, Options, Stamp, Store};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where a host listens, once it does: the ports are real ones even where the configuration says 0.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Where clients connect; nowhere at another's router.
    pub wamp: Option<Listeners>,
    /// HTTP.
    pub http: SocketAddr,
}

/// Where the market's own router listens.
#[derive(Debug, Clone, Copy)]
pub struct Listeners {
    /// WebSocket, at path [`WS_PATH`].
    pub ws: SocketAddr,
    /// RawSocket.
    pub rs: SocketAddr,
}

/// The path of the WebSocket listener.
pub const WS_PATH: &str = "/ws";
/// How long a start looks at its ledger: of the second that it may take to be ready, a quarter.
const START_CHECK: Duration = Duration::from_millis(250);
/// How long a stop waits for purchases under way, beyond their own deadline.
const DRAIN: Duration = Duration::from_secs(1);

/// What another configuration changes of a running host: read and found good, and not yet in force.
pub(crate) struct Change {
    limits: Limits,
    carrying: CarryLimits,
    guests: Option<Guests>,
    rules: Rules,
}

/// A running market maker.
pub struct Host {
    /// What it shares with the other markets of its process.
    front: Arc<Front>,
    realm: String,
    market: Arc<Market>,
    home: Home,
    /// Ends the control socket and the sweeper.
    stop: CancellationToken,
    control: JoinHandle<()>,
    sweeper: JoinHandle<()>,
    /// Follows the chain, where there is one.
    follower: Option<JoinHandle<()>>,
    /// Listens for its new blocks, where the node tells of them.
    listener: Option<JoinHandle<()>>,
    /// Brings the market maker's transactions to it.
    courier: Option<JoinHandle<()>>,
    claims: Option<JoinHandle<()>>,
    /// Fetch what the chain names by its hash.
    fetchers: Vec<JoinHandle<()>>,
    log: Option<DecisionLog>,
    recovered: usize,
}

impl Host {
    /// Opens the data folder, resolves what a former process left, and listens.
    ///
    /// # Errors
    ///
    /// Whatever keeps the market from being safe or reachable, in words for its operator.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        Self::start_in(config, Arc::new(System)).await
    }

    /// As [`Host::start`], with a clock and identifiers of the caller's.
    ///
    /// # Errors
    ///
    /// As [`Host::start`].
    pub async fn start_in(config: &Config, environment: Arc<dyn Environment>) -> anyhow::Result<Self> {
        config.check()?;
        let front = Front::prepare(std::slice::from_ref(config))?;
        let host = Self::start_at(config, environment, Arc::clone(&front)).await?;
        if let Err(error) = front.listen(config).await {
            host.stop().await;
            return Err(error);
        }
        host.announce_status(Status::Running);
        Ok(host)
    }

    /// Opens one market of a process, which is not reached before its front listens.
    pub(crate) async fn start_at(
        config: &Config,
        environment: Arc<dyn Environment>,
        front: Arc<Front>,
    ) -> anyhow::Result<Self> {
        front.open_page().await?;
        let realm = config.realm.name.as_str();
        let Opened {
            store,
            signer,
            settlement,
            following,
        } = open(config, &*environment, crash::disk(), false).await?;
        front.opens(settlement.network().market, &config.realm.name)?;

        front.reach(realm, Step::Policies);
        let demand = Arc::new(Mutex::new(Demand::default()));
        rebuild_demand(&store, &demand, environment.now())?;
        let log = open_log(config)?;
        let figures = Figures::of(realm)?;
        let policies = Arc::new(Policies::new(policies::Parts {
            market: settlement.network().market,
            library: open_library(config)?,
            rules: config.rules(),
            demand: Arc::clone(&demand),
            store: store.clone(),
            log: log.clone(),
            environment: Arc::clone(&environment),
            figures: Arc::clone(&figures),
        })?);
        policies.vet_revisions();
        policies::watch(&policies).context("cannot watch the policy folder")?;
        let home = Home::prepare(config, &front).await?;

        let outbox = match &following {
            None => None,
            Some(following) => Some(Arc::new(Outbox::new(
                following.sending.clone(),
                config.market.limits()?,
                config.market.carrying(),
            ))),
        };
        let licence = Licence::of(
            settlement.network().eula_hash.as_deref(),
            config.chain.eula_file.as_deref(),
        )?;
        let content = Content::in_folder(&config.store.path, config.chain.gateway()?);
        if let Some(id) = licence.missing() {
            content.want(id);
        }
        let market = Arc::new(Market::new(Parts {
            terms: terms(config),
            outbox,
            content,
            licence,
            store,
            signer: Arc::new(signer),
            settlement,
            environment,
            workers: Workers::start().context("cannot start worker threads")?,
            policies: Arc::clone(&policies),
            demand,
            sellers: home.sellers(),
            announcer: home.announcer(),
            doors: home.doors(),
            figures,
        }));
        if let Some(unseen) = following.as_ref().and_then(|following| following.unseen.as_ref()) {
            tracing::warn!(
                why = unseen.why,
                "what the contracts say is taken from the last start until every node answers"
            );
            market.course.wait_for_nodes(&unseen.why);
        }
        let stop = CancellationToken::new();
        // A start that fails leaves no listener behind.
        let unless_started = stop.clone().drop_guard();
        front.reach(realm, Step::Recovery);
        front.show(realm, &market);
        let desk = Arc::clone(&market);
        let recovered = tokio::task::spawn_blocking(move || {
            look_at(&desk.store)?;
            purchase::recover(&desk)
        })
        .await??;
        front.reach(realm, Step::Procedures);
        home.open(&market, stop.clone()).await?;
        market.set_status(Status::Running);
        let control = control::serve(
            &control::path(&config.store.path),
            control::Desk {
                policies: Manager::new(policies),
                market: Arc::clone(&market),
            },
            config.policies.component_max,
            stop.clone(),
        )?;
        let sweeper = sweep::start(
            &market,
            Duration::from_millis(config.offers.sweep_after_ms),
            stop.clone(),
        );
        let poll = Duration::from_millis(config.chain.poll_ms);
        let courier = outbox::start(&market, poll, stop.clone());
        let claims = vouchers::start(&market, poll, stop.clone());
        let fetchers = content::start(&market.content, &stop);
        let listener = following.as_ref().and_then(|following| {
            let heads = following.heads.clone()?;
            Some(bell::start(&following.bell, heads, stop.clone()))
        });
        let follower = following.map(|following| follow::start(&market, following, stop.clone()));
        let host = Self {
            realm: config.realm.name.clone(),
            front,
            market,
            home,
            stop,
            control,
            sweeper,
            follower,
            listener,
            courier,
            claims,
            fetchers,
            log,
            recovered,
        };
        unless_started.disarm();
        Ok(host)
    }

    /// Reads what of `config` can change while it runs: who may come in and do what, rules, and what is locked and carried on the
    /// chain.
    ///
    /// # Errors
    ///
    /// What of it cannot be.
    pub(crate) fn prepare(&self, config: &Config) -> anyhow::Result<Change> {
        Ok(Change {
            limits: config.market.limits()?,
            carrying: config.market.carrying(),
            guests: self.front.guests(config)?,
            rules: Rules::prepare(config.rules())?,
        })
    }

    /// Runs by a change from now on.
    pub(crate) fn take_over(&self, change: Change) -> Received {
        self.market.policies.bind(change.rules);
        if let Some(outbox) = &self.market.outbox {
            outbox.limit(change.limits, change.carrying);
        }
        let guests = change
            .guests
            .map(|guests| self.front.receive(&self.realm, guests));
        guests.unwrap_or_default()
    }

    /// Holds the clients of all markets of its process to the rates and bounds of a configuration from now on.
    pub(crate) fn hold_to(&self, config: &Config) {
        self.front.hold_to(config);
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.front.addresses()
    }

    /// The realm it trades in.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Where it listens besides: under TLS, on a unix socket.
    pub fn more_listeners(&self) -> &[Listener] {
        self.front.more_listeners()
    }

    /// What it tells clients of its network.
    pub fn network(&self) -> &Network {
        &self.market.network
    }

    /// The policies, in force or not.
    pub fn policies(&self) -> Vec<PolicyStatus> {
        self.market.policies.library().status()
    }

    /// The rules that do not work with the policies as they are, and why: what they cover is refused.
    pub fn problems(&self) -> Vec<(Rule, String)> {
        self.market.policies.problems()
    }

    /// Writes decisions that wait to be logged, and returns once they are on disk.
    pub fn flush_log(&self) {
        if let Some(log) = &self.log {
            log.flush();
        }
    }

    /// Why the nodes could not be asked what the contracts say, if they could not: until they answer, what they said before
    /// holds, and the chain is not followed.
    pub fn unseen(&self) -> Option<String> {
        match self.market.course.gate() {
            Gate::Shut(why) => Some(why),
            Gate::Open | Gate::Broken(_) => None,
        }
    }

    /// The router that the market joined, and why it is not there, if it is not; none at its own.
    pub fn router(&self) -> Option<(&str, Option<String>)> {
        let trouble = self.market.reach.trouble().map(|trouble| trouble.why);
        self.home.router().map(|url| (url, trouble))
    }

    /// Resolves if the market must not go on, with the reason: its chain turned out to be another one.
    pub async fn broken(&self) -> String {
        self.market.course.broken().await
    }

    /// Purchases that a former process left under way and that were voided at the start.
    pub fn recovered(&self) -> usize {
        self.recovered
    }

    /// How much the ledger holds.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn counts(&self) -> anyhow::Result<Counts> {
        Ok(self.market.store.read().and_then(|ledger| ledger.counts())?)
    }

    /// Checks every invariant of the ledger on a snapshot.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn verify(&self) -> anyhow::Result<bourse_store::Report> {
        Ok(self
            .market
            .store
            .read()
            .and_then(|ledger| ledger.verify(&mut |_, _| {}))?)
    }

    /// Turns new purchases away, waits for those under way, says goodbye, closes the ledger.
    pub async fn stop(self) {
        self.market.set_status(Status::Stopping);
        self.announce_status(Status::Stopping);
        let patience = self.market.terms.sell_deadline + DRAIN;
        if tokio::time::timeout(patience, self.market.pending.drained())
            .await
            .is_err()
        {
            tracing::warn!("purchases are still under way; they are resolved at the next start");
        }
        // A receipt is only worth something to a buyer that gets it.
        if tokio::time::timeout(DRAIN, self.home.drained()).await.is_err() {
            tracing::warn!("some calls end without an answer");
        }
        self.market.set_status(Status::Stopped);
        self.announce_status(Status::Stopped);
        self.market.announcer.drained().await;
        self.stop.cancel();
        // Its socket must be gone before another host may listen there.
        let _ = self.control.await;
        // And nobody may hold the ledger.
        let _ = self.sweeper.await;
        let tasks = [self.follower, self.listener, self.courier, self.claims]
            .into_iter()
            .flatten();
        for task in tasks.chain(self.fetchers) {
            let _ = task.await;
        }
        self.market.policies.close();
        self.home.leave().await;
        self.front.leave().await;
        let (store, log) = (self.market.store.clone(), self.log.clone());
        // The writer answers what it has taken, then ends; that may take a commit.
        let ended = tokio::task::spawn_blocking(move || {
            if let Some(log) = log {
                log.shutdown();
            }
            store.shutdown();
        });
        let _ = ended.await;
    }

    pub(crate) fn announce_status(&self, status: Status) {
        let market = bytes(self.market.network.market.0);
        self.market
            .announce(topic::STATUS, vec![market, int(status as u8)]);
    }
}

/// What the configuration says about trading.
pub(crate) fn terms(config: &Config) -> Terms {
    Terms {
        sell_deadline: Duration::from_millis(config.market.sell_deadline_ms),
        quote_deadline: Duration::from_millis(config.market.quote_deadline_in_force()),
        lenient_seq: config.compat.lenient_seq,
        require_offer_signature: config.offers.signature == SignatureRule::Require,
        max_unsettled: match config.chain.mode {
            ChainMode::Local => None,
            ChainMode::Ethereum => Some(Amount::from_tokens(config.market.max_unsettled)),
        },
        faucet: config.has_faucet(),
        realm: config.realm.name.clone(),
        access: config.realm.access,
        plain_login: config.compat.plain_login,
        depth: match config.chain.mode {
            ChainMode::Local => 0,
            ChainMode::Ethereum => config.chain.depth,
        },
    }
}

/// Looks at what a former process may have left by halves, and at the newest sales, for a moment. A market that finds its
/// ledger damaged does not trade on it.
pub(crate) fn look_at(store: &Store) -> anyhow::Result<()> {
    let until = Instant::now() + START_CHECK;
    let seen = store
        .read()
        .and_then(|ledger| ledger.glance(&mut || Instant::now() >= until))
        .context("cannot read the ledger")?;
    if let Some(first) = seen.violations.first() {
        anyhow::bail!(
            "the ledger is damaged, {} violations, the first: {first}. See all with `bourse ledger verify`; restore a \
             backup with `bourse ledger restore`",
            seen.violations.len()
        );
    }
    tracing::info!(
        pending = seen.pending,
        suspended = seen.suspended,
        sales = seen.sales,
        back_to_ns = seen.back_to.map(|at| at.0),
        whole = seen.whole,
        "looked at what a stop could have left by halves; `bourse ledger verify` looks at everything"
    );
    Ok(())
}

/// What a market stands on.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) signer: Signer,
    pub(crate) settlement: Arc<dyn Settlement>,
    /// The chain to follow, where there is one.
    pub(crate) following: Option<Following>,
}

/// The ledger, its key and its settlement; all made at the first start, all checked at every other.
pub(crate) async fn open(
    config: &Config,
    environment: &dyn Environment,
    disk: Arc<dyn Disk>,
    inline: bool,
) -> anyhow::Result<Opened> {
    let folder = &config.store.path;
    create_folder(folder)?;
    let former = Store::stamp(folder)?;
    let signer = keyfile::load_or_create(config, former.is_some())?;
    let configured = config.market_id()?.or(former.as_ref().map(|stamp| stamp.market));
    let (settlement, following): (Arc<dyn Settlement>, _) = match config.chain.plan()? {
        None => {
            let market = configured.unwrap_or_else(|| MarketId(environment.fresh_id()));
            let local = LocalSettlement::new(market, signer.address(), config.float());
            (Arc::new(local), None)
        }
        Some(plan) => {
            let found = deployment::find(&plan, signer.address(), configured, folder).await?;
            let following = following(plan, found, signer.address());
            (Arc::clone(&following.settlement) as _, Some(following))
        }
    };
    let stamp = stamp(&settlement.network(), signer.address());
    let options = Options {
        map_size: config.store.map_size,
        inline,
        ..Options::at(folder)
    };
    let store = Store::open_on(options, &stamp, disk)?;
    let genesis = store.read().and_then(|ledger| ledger.genesis())?;
    let owner = settlement.network().owner;
    ensure!(
        genesis.as_ref().is_none_or(|genesis| genesis.owner == owner),
        "the market's owner is {owner} now, and was another when the ledger was made: a node lies, or this is another market"
    );
    if genesis.is_none() {
        store
            .submit(settlement.genesis(environment.now()))
            .await
            .context("cannot endow the new ledger")?;
        crash::point("genesis-committed");
    }
    if let Some(following) = &following
        && following.unseen.is_none()
    {
        Kept::of(&following.settlement).write(&store);
    }
    Ok(Opened {
        store,
        signer,
        settlement,
        following,
    })
}

/// What it takes to follow a chain, from what was found of its deployment.
fn following(plan: Plan, found: Found, marketmaker: Address) -> Following {
    let Found {
        deployment,
        head,
        unseen,
    } = found;
    let sending = Sending {
        node: plan.node.clone(),
        contracts: Contracts {
            token: deployment.coin,
            ..deployment.contracts
        },
        chain_id: deployment.chain_id,
        max_fee: plan.max_fee,
        patience: plan.bump_after,
    };
    let settlement = EthereumSettlement::new(deployment, marketmaker, plan.follow.depth, head);
    if unseen.is_some() {
        settlement.unheard();
    }
    Following {
        follower: Follower::new(plan.node, plan.verifiers, plan.follow),
        settlement: Arc::new(settlement),
        poll: plan.poll,
        heads: plan.heads,
        bell: Arc::default(),
        sending,
        unseen,
    }
}

/// What a data folder is stamped with.
fn stamp(network: &Network, marketmaker: Address) -> Stamp {
    Stamp {
        mode: match network.contracts {
            None => "local".to_owned(),
            Some(_) => "ethereum".to_owned(),
        },
        chain_id: network.domain.chain_id,
        contract: network.domain.verifying_contract,
        market: network.market,
        marketmaker,
    }
}

fn create_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot create the data folder {}", folder.display()))
}

/// The sandbox and the revisions of all policies.
pub(crate) fn open_library(config: &Config) -> anyhow::Result<Library> {
    let (data, settings) = (&config.store.path, &config.policies);
    let engine = Engine::new(EngineOptions {
        component: settings.component_max,
        ..EngineOptions::default()
    })
    .context("the policy engine does not start")?;
    let options = LibraryOptions {
        folder: config.policy_dir(),
        archive: data.join("revisions"),
        cache: Some(data.join("compiled")),
        shipped: SHIPPED.to_vec(),
        keys: settings.verifying_keys().collect::<anyhow::Result<_>>()?,
        require_signature: settings.require_signature,
        breaker: BreakerOptions {
            failures: settings.breaker_failures,
            pause: Duration::from_secs(settings.breaker_seconds),
        },
    };
    Library::open(engine, options).context("the policies cannot be opened")
}

/// The log of decisions behind quotes and queries, unless it is switched off.
fn open_log(config: &Config) -> anyhow::Result<Option<DecisionLog>> {
    const DAY: u64 = 24 * 60 * 60;
    let settings = &config.policies.log;
    if !settings.enabled {
        return Ok(None);
    }
    let options = LogOptions {
        max_bytes: settings.max_bytes,
        max_age: Duration::from_secs(settings.max_days.saturating_mul(DAY)),
        queue: settings.queue,
        ..LogOptions::default()
    };
    let log = DecisionLog::open(config.store.path.join("decisions"), options)
        .context("the log of decisions cannot be opened")?;
    Ok(Some(log))
}

/// Sales of the longest window a policy may ask for, from the receipts.
pub(crate) fn rebuild_demand(store: &Store, demand: &Mutex<Demand>, now: Nanos) -> anyhow::Result<()> {
    let since = Nanos(now.0.saturating_sub(u64::from(MAX_WINDOW_MS) * 1_000_000));
    let mut demand = demand.lock();
    let ledger = store.read()?;
    ledger.sold_since(since, &mut |_, sale| demand.record_sale(sale))?;
    Ok(())
}
