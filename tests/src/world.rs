//! A market in a temporary folder, in this process or as the real binary in one of its own.

use crate::calls::call;
use crate::code;
use crate::process::Process;
use bourse_app::config::Config;
use bourse_app::{Addresses, Host, Listeners, WS_PATH};
use bourse_chain::{ChannelOpen, Domain, Signer};
use bourse_market::{Address, Amount, ChannelId, ChannelKind, MarketId};
use bourse_store::{Reader, Report, Store};
use bourse_wamp::{Auth, JoinError, JoinOptions, Serializer, Session, Value, connect_rs, connect_ws};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

/// How a client reaches the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    WebSocket(Serializer),
    RawSocket(Serializer),
}

impl Wire {
    /// Both transports with all three serializers.
    pub fn all() -> impl Iterator<Item = Self> {
        Serializer::ALL
            .into_iter()
            .flat_map(|serializer| [Self::WebSocket(serializer), Self::RawSocket(serializer)])
    }

    pub fn serializer(self) -> Serializer {
        match self {
            Self::WebSocket(serializer) | Self::RawSocket(serializer) => serializer,
        }
    }
}

/// A running market with its data folder.
pub struct World {
    // Before the folder, so that a process ends before its files go.
    running: Running,
    folder: tempfile::TempDir,
    config: Config,
    names: Names,
    /// Where clients connect, if that is not where the market does.
    door: Option<String>,
}

enum Running {
    Not,
    Here(Host),
    Apart(Process),
    /// In this process, beside others, and run by somebody else.
    Beside(Addresses),
}

/// What signatures and channels name. The same for the whole life of a data folder.
#[derive(Debug, Clone, Copy)]
struct Names {
    domain: Domain,
    market: MarketId,
    marketmaker: Address,
    owner: Address,
}

impl World {
    /// A market on the defaults.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A market whose configuration a test has its say in.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::prepared(|_| {}, change).await
    }

    /// A market whose policy folder holds these components, each under its name.
    pub async fn with_policies(policies: &[(&str, Vec<u8>)], change: impl FnOnce(&mut Config)) -> Self {
        let fill = |data: &Path| {
            let folder = data.join("policies");
            std::fs::create_dir(&folder).unwrap();
            for (name, component) in policies {
                std::fs::write(folder.join(format!("{name}.wasm")), component).unwrap();
            }
        };
        Self::prepared(fill, change).await
    }

    /// The same, after the data folder was filled.
    pub async fn prepared(fill: impl FnOnce(&Path), change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config_in(folder.path());
        std::fs::create_dir(&config.store.path).unwrap();
        fill(&config.store.path);
        change(&mut config);
        code::lend(&config.store.path);
        let host = Host::start(&config).await.unwrap();
        code::keep(&config.store.path);
        let network = host.network();
        let names = Names {
            domain: network.domain,
            market: network.market,
            marketmaker: network.marketmaker,
            owner: network.owner,
        };
        Self {
            running: Running::Here(host),
            folder,
            config,
            names,
            door: None,
        }
    }

    /// A market that the real binary runs, in a process that can be killed.
    pub async fn apart() -> Self {
        let mut world = Self::start().await;
        // The first start makes the key and the market; the process finds both.
        world.stop().await;
        world.run_apart();
        world
    }

    /// One of several markets that run in this process.
    pub fn of(host: &Host, config: &Config) -> Self {
        let network = host.network();
        Self {
            running: Running::Beside(host.addresses()),
            folder: tempfile::tempdir().unwrap(),
            config: config.clone(),
            names: Names {
                domain: network.domain,
                market: network.market,
                marketmaker: network.marketmaker,
                owner: network.owner,
            },
            door: None,
        }
    }

    /// Starts the real binary on this world's data.
    pub fn run_apart(&mut self) {
        self.running = Running::Apart(Process::serve(self.data()));
    }

    /// The same with these environment variables.
    ///
    /// # Errors
    ///
    /// What the process said, if it ended before it listened.
    pub fn try_run_apart(&mut self, environment: &[(&str, OsString)]) -> Result<(), String> {
        self.running = Running::Apart(Process::try_serve(self.data(), environment)?);
        Ok(())
    }

    /// Starts the real binary with these environment variables, and notes what it says on standard error in a file.
    pub fn run_apart_noting(&mut self, environment: &[(&str, OsString)], lines: &Path) {
        let file = std::fs::File::create(lines).unwrap();
        let process = Process::try_serve_noting(self.data(), environment, file.into());
        self.running = Running::Apart(process.unwrap_or_else(|said| panic!("it does not listen:\n{said}")));
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        match &mut self.running {
            Running::Apart(process) => process.has_ended(),
            _ => panic!("the market does not run in a process of its own"),
        }
    }

    /// Kills the process: no goodbye, no flush.
    pub fn kill(&mut self) {
        match std::mem::replace(&mut self.running, Running::Not) {
            Running::Apart(process) => process.kill(),
            _ => panic!("the market does not run in a process of its own"),
        }
    }

    pub fn host(&self) -> &Host {
        match &self.running {
            Running::Here(host) => host,
            _ => panic!("the market does not run in this process"),
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> &Path {
        &self.config.store.path
    }

    fn addresses(&self) -> Addresses {
        match &self.running {
            Running::Not => panic!("the market does not run"),
            Running::Here(host) => host.addresses(),
            Running::Apart(process) => process.addresses(),
            Running::Beside(addresses) => *addresses,
        }
    }

    /// Where the pages of its health and figures are.
    pub fn http(&self) -> SocketAddr {
        self.addresses().http
    }

    fn listeners(&self) -> Listeners {
        self.addresses().wamp.expect("the market has a router of its own")
    }

    /// Where WebSocket clients connect.
    pub fn url(&self) -> String {
        match self.door.as_ref().or(self.config.wamp.connect.as_ref()) {
            None => format!("ws://{}{WS_PATH}", self.ws()),
            Some(url) => url.clone(),
        }
    }

    /// From now on clients connect at this WebSocket: that of the router which the market joined on another way.
    pub fn meet_at(&mut self, url: String) {
        self.door = Some(url);
    }

    /// The socket behind it.
    pub fn ws(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.listeners().ws.port()))
    }

    /// Where RawSocket clients connect.
    pub fn rs(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.listeners().rs.port()))
    }

    pub fn domain(&self) -> Domain {
        self.names.domain
    }

    pub fn market(&self) -> MarketId {
        self.names.market
    }

    pub fn marketmaker(&self) -> Address {
        self.names.marketmaker
    }

    pub fn owner(&self) -> Address {
        self.names.owner
    }

    /// Stops the host and starts another on the same folder.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.running = Running::Here(Host::start(&self.config).await.unwrap());
    }

    /// Stops the host, in order.
    pub async fn stop(&mut self) {
        match std::mem::replace(&mut self.running, Running::Not) {
            Running::Not | Running::Beside(_) => {}
            Running::Here(host) => host.stop().await,
            Running::Apart(process) => process.terminate(),
        }
    }

    /// An anonymous session over a WebSocket with CBOR.
    pub async fn session(&self) -> Session {
        self.session_over(Wire::WebSocket(Serializer::Cbor)).await
    }

    /// An anonymous session, if there is somebody to join.
    pub async fn try_session(&self) -> Option<Session> {
        let link = connect_ws(&self.url(), Serializer::Cbor).await.ok()?;
        let join = JoinOptions {
            realm: self.config.realm.name.clone(),
            ..JoinOptions::default()
        };
        Session::join(link, join).await.ok()
    }

    /// An anonymous session over any wire.
    pub async fn session_over(&self, wire: Wire) -> Session {
        self.join(wire, None, Auth::Anonymous).await.unwrap()
    }

    /// A session that proves an authid by its ticket.
    pub async fn session_as(&self, authid: &str, ticket: &str) -> Result<Session, JoinError> {
        let wire = Wire::WebSocket(Serializer::Cbor);
        self.join(wire, Some(authid.to_owned()), Auth::Ticket(ticket.into()))
            .await
    }

    /// A session, or why there is none.
    pub async fn join(&self, wire: Wire, authid: Option<String>, auth: Auth) -> Result<Session, JoinError> {
        let link = match wire {
            Wire::WebSocket(serializer) => connect_ws(&self.url(), serializer).await.unwrap(),
            Wire::RawSocket(serializer) => connect_rs(self.rs(), serializer).await.unwrap(),
        };
        let join = JoinOptions {
            realm: self.config.realm.name.clone(),
            authid,
            auth,
            ..JoinOptions::default()
        };
        Session::join(link, join).await
    }

    /// Stops the host and reads the ledger as it lies on disk.
    pub async fn after_the_end<T>(&mut self, read: impl FnOnce(&Reader<'_>) -> T) -> T {
        self.stop().await;
        let store = Store::open_read_only(self.data(), self.config.store.map_size).unwrap();
        let ledger = store.read().unwrap();
        read(&ledger)
    }

    /// Checks every invariant of the ledger, as `bourse ledger verify` does, beside the running host.
    pub fn verify(&self) -> Report {
        match &self.running {
            // LMDB opens an environment once in a process.
            Running::Here(host) => host.verify().unwrap(),
            _ => {
                let store = Store::open_read_only(self.data(), self.config.store.map_size).unwrap();
                store
                    .read()
                    .and_then(|ledger| ledger.verify(&mut |_, _| {}))
                    .unwrap()
            }
        }
    }

    /// Fails the test unless every invariant holds.
    pub fn assert_sound(&self) {
        let report = self.verify();
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
    }
}

/// What every world starts with: free ports, a small ledger.
fn config_in(folder: &Path) -> Config {
    let mut config = Config::default();
    config.store.path = folder.join("data");
    config.store.map_size = 256 << 20;
    config.wamp.listen_ws = "127.0.0.1:0".parse().unwrap();
    config.wamp.listen_rs = "127.0.0.1:0".parse().unwrap();
    config.http.listen = "127.0.0.1:0".parse().unwrap();
    config
}

/// Opens a channel for `delegate`, by an actor that the faucet funds.
pub async fn open(
    world: &World,
    session: &Session,
    kind: ChannelKind,
    actor: &Signer,
    delegate: Address,
    amount: Amount,
) -> ChannelId {
    if kind == ChannelKind::Payment {
        fund(session, actor.address(), amount).await;
    }
    let message = open_message(world, kind, actor, delegate, amount);
    let args = open_args(world, &message, actor);
    call(session, "xbr.marketmaker.open_channel", args).await.unwrap();
    message.channel
}

/// Has the faucet give `address` so much.
pub async fn fund(session: &Session, address: Address, amount: Amount) {
    let args = vec![Value::from(address.0), Value::from(amount.to_be_bytes())];
    call(session, "bourse.dev.fund", args).await.unwrap();
}

/// An honest request for a channel with a fresh id.
pub fn open_message(
    world: &World,
    kind: ChannelKind,
    actor: &Signer,
    delegate: Address,
    amount: Amount,
) -> ChannelOpen {
    ChannelOpen {
        kind,
        opened_at: Amount::from_units(1),
        market: world.market(),
        channel: ChannelId(rand::random()),
        actor: actor.address(),
        delegate,
        marketmaker: world.marketmaker(),
        recipient: match kind {
            ChannelKind::Payment => world.owner(),
            ChannelKind::Paying => actor.address(),
        },
        amount,
    }
}

/// The arguments of open_channel for a request, signed by `actor`.
pub fn open_args(world: &World, message: &ChannelOpen, actor: &Signer) -> Vec<Value> {
    let [opened_at, ..] = *message.opened_at.limbs();
    vec![
        Value::from(message.actor.0),
        Value::from(message.market.0),
        Value::from(message.channel.0),
        Value::from(world.domain().chain_id),
        Value::from(opened_at),
        Value::from(world.domain().verifying_contract.0),
        Value::from(message.kind as u8),
        Value::from(message.delegate.0),
        Value::from(message.marketmaker.0),
        Value::from(message.recipient.0),
        Value::from(message.amount.to_be_bytes()),
        Value::from(actor.sign(&message.digest(&world.domain())).0),
    ]
}
