//! What the markets of one process have in common: the router with its listeners, and the page of their health.

use crate::authenticator::Door;
use crate::config::{Config, role};
use crate::console::Operator;
use crate::host::{Addresses, Listeners, WS_PATH};
use crate::http::{self, Board, Step};
use crate::listeners::{self, Listener};
use crate::logins;
use crate::market::Market;
use anyhow::Context;
use bourse_market::MarketId;
use bourse_wamp::{Permissions, Realm, RealmConfig, Router, RouterConfig, SessionInfo, Users};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a session is told that ends because of another configuration.
const CHANGED: &str = "the operator changed who may log in, or what this role may do: log in again";

/// The side of a process that clients and operators see. It closes with the last of its markets.
pub(crate) struct Front {
    /// None where the markets meet their clients at another's router.
    entrance: Option<Entrance>,
    board: Arc<Board>,
    /// Where the page is to be.
    listen: SocketAddr,
    /// Whose word changes something there.
    operator: Option<Operator>,
    http: OnceCell<SocketAddr>,
    /// The markets that are open, by the realms where they trade.
    ids: Mutex<HashMap<MarketId, String>>,
    /// Markets that have not left.
    left: AtomicUsize,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Front {
    /// A realm for each market, which nobody reaches yet. What they have in common is read off the first.
    pub(crate) fn prepare(markets: &[Config]) -> anyhow::Result<Arc<Self>> {
        let first = markets.first().context("there is no market to serve")?;
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let entrance = match first.wamp.connect {
            Some(_) => None,
            None => Some(Entrance::new(markets)?),
        };
        let realms = markets.iter().map(|market| market.realm.name.clone());
        Ok(Arc::new(Self {
            board: Board::new(realms, entrance.as_ref().map(|entrance| entrance.router.clone())),
            entrance,
            listen: first.http.listen,
            operator: first.http.token_file.as_deref().map(Operator::load).transpose()?,
            http: OnceCell::new(),
            ids: Mutex::default(),
            left: AtomicUsize::new(markets.len()),
            stop,
            _stop: guard,
        }))
    }

    /// Notes which market is open in a realm: each can be in one alone, for what is signed in it counts in it, whichever
    /// ledger that is held against.
    ///
    /// # Errors
    ///
    /// If it is open in another realm: then one data folder is a copy of the other.
    pub(crate) fn opens(&self, id: MarketId, realm: &str) -> anyhow::Result<()> {
        if let Some(other) = self.ids.lock().insert(id, realm.to_owned()) {
            anyhow::bail!(
                "the markets of the realms `{other}` and `{realm}` are one and the same, {id}: one of their data folders was \
                 copied from the other. What is signed in one would count in both; let the copy be, and give the realm a \
                 `store.path` that is empty, for a market of its own"
            );
        }
        Ok(())
    }

    /// Says from now on whether the markets are ready, and what each waits for.
    pub(crate) async fn open_page(&self) -> anyhow::Result<()> {
        let (board, operator) = (&self.board, &self.operator);
        let serving = || {
            http::serve(
                Arc::clone(board),
                self.listen,
                operator.clone(),
                self.stop.clone(),
            )
        };
        let shown = self.http.get_or_try_init(serving).await;
        shown
            .map(drop)
            .with_context(|| taken("HTTP", "--listen-http", self.listen))
    }

    /// A market is there.
    pub(crate) fn show(&self, realm: &str, market: &Arc<Market>) {
        self.board.enter(realm, market);
    }

    /// The start of a market is at this step.
    pub(crate) fn reach(&self, realm: &str, step: Step) {
        self.board.reach(realm, step);
    }

    /// A market's realm at the process's own router, and who lets clients in there.
    pub(crate) fn realm(&self, config: &Config) -> anyhow::Result<Option<(Realm, Arc<Door>)>> {
        let entrance = self.entrance.as_ref();
        entrance
            .map(|entrance| entrance.realm(&config.realm.name))
            .transpose()
    }

    /// Reads who may come in by a configuration; none where another's router decides that.
    ///
    /// # Errors
    ///
    /// What of it cannot be read, or makes no sense.
    pub(crate) fn guests(&self, config: &Config) -> anyhow::Result<Option<Guests>> {
        self.entrance.is_some().then(|| Guests::read(config)).transpose()
    }

    /// Lets these users into the realm of a market from now on instead of those it had, and shows out who may not be there any
    /// more. Whom the market itself vouches for comes in as ever.
    pub(crate) fn receive(&self, realm: &str, guests: Guests) -> Received {
        let Some(entrance) = &self.entrance else {
            return Received::default();
        };
        entrance.receive(realm, guests).unwrap_or_else(|error| {
            // It has a realm for each of its markets from the start on.
            tracing::error!(
                realm,
                "who may log in stays as it was, though the configuration says otherwise: {error:#}"
            );
            Received::default()
        })
    }

    /// Holds the clients of all realms to the rates of a configuration from now on, and their addresses to its connections.
    pub(crate) fn hold_to(&self, config: &Config) {
        if let Some(entrance) = &self.entrance {
            entrance.router.hold_to(&listeners::configured(config));
        }
    }

    /// Opens the listeners of clients, where there is a router; from here on the markets are reached.
    pub(crate) async fn listen(&self, config: &Config) -> anyhow::Result<()> {
        match &self.entrance {
            None => Ok(()),
            Some(entrance) => entrance.listen(config).await,
        }
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            wamp: self.listening().map(|(always, _)| *always),
            http: self.http.get().copied().unwrap_or(self.listen),
        }
    }

    /// Where it listens besides: under TLS, on a unix socket.
    pub(crate) fn more_listeners(&self) -> &[Listener] {
        self.listening()
            .map(|(_, more)| more.as_slice())
            .unwrap_or_default()
    }

    fn listening(&self) -> Option<&(Listeners, Vec<Listener>)> {
        self.entrance.as_ref()?.listening.get()
    }

    /// A market is gone; with the last one goes all that they shared.
    pub(crate) async fn leave(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        self.stop.cancel();
        if let Some(entrance) = &self.entrance {
            entrance.router.shutdown().await;
        }
    }
}

/// Who may come into a realm by the configuration, and what roles may do there.
pub(crate) struct Guests {
    users: Users,
    permissions: Permissions,
}

impl Guests {
    fn read(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            users: logins::users(config)?,
            permissions: role::permissions(&config.wamp.role)?,
        })
    }
}

/// What became of a realm that took other guests.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The users that are not what they were: new, gone, of another role, or with something else to log in with.
    pub(crate) users: Vec<String>,
    /// Sessions that ended.
    pub(crate) ended: usize,
}

/// Where clients come in: the process's own router, and who lets them into each of its realms.
struct Entrance {
    router: Router,
    doors: HashMap<String, Arc<Door>>,
    /// What is always listened on, and what besides.
    listening: OnceLock<(Listeners, Vec<Listener>)>,
}

impl Entrance {
    fn new(markets: &[Config]) -> anyhow::Result<Self> {
        let doors = doors(markets)?;
        Ok(Self {
            router: router(markets, &doors)?,
            doors,
            listening: OnceLock::new(),
        })
    }

    fn realm(&self, name: &str) -> anyhow::Result<(Realm, Arc<Door>)> {
        let realm = self.router.realm(name);
        let realm = realm.with_context(|| format!("the router has no realm `{name}`"))?;
        let door = self.doors.get(name);
        let door = door.with_context(|| format!("nobody lets clients into the realm `{name}`"))?;
        Ok((realm, Arc::clone(door)))
    }

    fn receive(&self, name: &str, guests: Guests) -> anyhow::Result<Received> {
        let (realm, door) = self.realm(name)?;
        let (known, users) = (door.users(), guests.users);
        let users = Arc::new(users.with_decoys_like(&known));
        let changed: Vec<_> = users
            .changed_since(&known)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let others = !changed.is_empty() || users.allows_anonymous() != known.allows_anonymous();
        // The door first: what it decides after this counts, and what it decided before does not.
        door.know(Arc::clone(&users));
        let gone = others.then_some(|session: &SessionInfo| users.revokes(&known, session));
        Ok(Received {
            users: changed,
            ended: realm.revise(guests.permissions, gone, CHANGED),
        })
    }

    async fn listen(&self, config: &Config) -> anyhow::Result<()> {
        let (ws, rs) = (config.wamp.listen_ws, config.wamp.listen_rs);
        let always = Listeners {
            ws: self
                .router
                .listen_ws(ws, WS_PATH)
                .await
                .with_context(|| taken("WebSocket", "--listen-ws", ws))?,
            rs: self
                .router
                .listen_rs(rs)
                .await
                .with_context(|| taken("RawSocket", "--listen-rs", rs))?,
        };
        let more = listeners::open(config, &self.router).await?;
        // Only ever set here, once.
        let _ = self.listening.set((always, more));
        Ok(())
    }
}

/// Who lets clients into the realm of each market.
fn doors(markets: &[Config]) -> anyhow::Result<HashMap<String, Arc<Door>>> {
    let doors = markets.iter().map(|market| {
        let door = Arc::new(Door::new(logins::users(market)?));
        Ok((market.realm.name.clone(), door))
    });
    doors.collect()
}

/// A router with a realm for each market.
fn router(markets: &[Config], doors: &HashMap<String, Arc<Door>>) -> anyhow::Result<Router> {
    let door = |market: &Config| {
        let door = doors.get(&market.realm.name).cloned();
        door.with_context(|| format!("nobody lets clients into the realm `{}`", market.realm.name))
    };
    let [first, others @ ..] = markets else {
        anyhow::bail!("there is no market to serve");
    };
    let router = Router::new(
        RouterConfig {
            realm: first.realm.name.clone(),
            permissions: role::permissions(&first.wamp.role)?,
            limits: listeners::limits(first),
            allow_anonymous_remote: first.wamp.allow_anonymous_remote,
        },
        door(first)?,
    );
    // Before the markets join: their links are to be served there.
    router
        .start_threads()
        .context("cannot start threads for the router's connections")?;
    for other in others {
        let realm = RealmConfig {
            permissions: role::permissions(&other.wamp.role)?,
            ..RealmConfig::new(&other.realm.name)
        };
        router
            .add_realm(realm, door(other)?)
            .with_context(|| format!("the realm `{}` cannot be", other.realm.name))?;
    }
    Ok(router)
}

fn taken(what: &str, flag: &str, address: SocketAddr) -> String {
    format!(
        "cannot listen for {what} on {address}: stop what is there, or choose another address with {flag}"
    )
}
