//! What the markets of one process have in common: the router with its listeners, and the page of their health.

use crate::authenticator::Door;
use crate::config::{Config, role};
use crate::console::Operator;
use crate::host::{Addresses, Listeners, WS_PATH};
use crate::http::{self, Board};
use crate::listeners::{self, Listener};
use crate::logins;
use crate::market::Market;
use anyhow::Context;
use bourse_wamp::{Realm, RealmConfig, Router, RouterConfig};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The side of a process that clients and operators see. It closes with the last of its markets.
pub(crate) struct Front {
    /// None where the markets meet their clients at another's.
    router: Option<Router>,
    /// Who lets clients into each realm.
    doors: HashMap<String, Arc<Door>>,
    board: Arc<Board>,
    /// Where the page is to be.
    listen: SocketAddr,
    /// Whose word changes something there.
    operator: Option<Operator>,
    http: OnceCell<SocketAddr>,
    wamp: OnceLock<Option<Listeners>>,
    /// Those that are not always there.
    more: OnceLock<Vec<Listener>>,
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
        let board = Board::new(markets.iter().map(|market| market.realm.name.clone()));
        let doors = match first.wamp.connect {
            Some(_) => HashMap::new(),
            None => doors(markets)?,
        };
        Ok(Arc::new(Self {
            router: match first.wamp.connect {
                Some(_) => None,
                None => Some(router(markets, &doors)?),
            },
            doors,
            board,
            listen: first.http.listen,
            operator: first.http.token_file.as_deref().map(Operator::load).transpose()?,
            http: OnceCell::new(),
            wamp: OnceLock::new(),
            more: OnceLock::new(),
            left: AtomicUsize::new(markets.len()),
            stop,
            _stop: guard,
        }))
    }

    /// Says from now on that a market is there, and whether it is ready.
    pub(crate) async fn show(&self, realm: &str, market: &Arc<Market>) -> anyhow::Result<()> {
        self.board.enter(realm, market);
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

    /// A market's realm at the process's own router, and who lets clients in there.
    pub(crate) fn realm(&self, config: &Config) -> anyhow::Result<Option<(Realm, Arc<Door>)>> {
        let Some(router) = &self.router else {
            return Ok(None);
        };
        let name = &config.realm.name;
        let realm = router
            .realm(name)
            .with_context(|| format!("the router has no realm `{name}`"))?;
        let door = self
            .doors
            .get(name)
            .with_context(|| format!("nobody lets clients into the realm `{name}`"))?;
        Ok(Some((realm, Arc::clone(door))))
    }

    /// Opens the listeners of clients, where there is a router; from here on the markets are reached.
    pub(crate) async fn listen(&self, config: &Config) -> anyhow::Result<()> {
        let listeners = match &self.router {
            None => None,
            Some(router) => {
                let (ws, rs) = (config.wamp.listen_ws, config.wamp.listen_rs);
                Some(Listeners {
                    ws: router
                        .listen_ws(ws, WS_PATH)
                        .await
                        .with_context(|| taken("WebSocket", "--listen-ws", ws))?,
                    rs: router
                        .listen_rs(rs)
                        .await
                        .with_context(|| taken("RawSocket", "--listen-rs", rs))?,
                })
            }
        };
        let more = match &self.router {
            None => Vec::new(),
            Some(router) => listeners::open(config, router).await?,
        };
        // Only ever set here, once.
        let _ = (self.wamp.set(listeners), self.more.set(more));
        Ok(())
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            wamp: self.wamp.get().copied().flatten(),
            http: self.http.get().copied().unwrap_or(self.listen),
        }
    }

    /// Where it listens besides: under TLS, on a unix socket.
    pub(crate) fn more_listeners(&self) -> &[Listener] {
        self.more.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// A market is gone; with the last one goes all that they shared.
    pub(crate) async fn leave(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        self.stop.cancel();
        if let Some(router) = &self.router {
            router.shutdown().await;
        }
    }
}

/// Who lets clients into the realm of each market.
fn doors(markets: &[Config]) -> anyhow::Result<HashMap<String, Arc<Door>>> {
    let doors = markets.iter().map(|market| {
        let users = logins::authenticator(market)?;
        let door = Arc::new(Door::new(users));
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
