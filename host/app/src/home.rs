//! Where a market meets its clients: a realm of its own router, or of somebody else's.
//!
//! What lives here: the two ways to join, and who tells the market of sessions and registrations. What never does: what
//! becomes of a call (`procedures`), or how another's router is reached and watched (`uplink`).

use crate::authenticator::Door;
use crate::config::{Config, role};
use crate::events::Announcer;
use crate::host::{Listeners, WS_PATH, taken};
use crate::market::{Doors, Market};
use crate::purchase::{RoutedSellers, Sellers};
use crate::uplink::Uplink;
use crate::wire::uri;
use crate::{logins, procedures};
use anyhow::{Context, anyhow};
use bourse_wamp::{JoinOptions, Limits, Router, RouterConfig, RouterObserver, Session, SessionInfo};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Calls the market works on at a time; most of them wait for a seller.
const MAX_INVOCATIONS: usize = 8_192;

/// Why a session ends whose login was taken back.
pub(crate) const LOGGED_OUT: &str = "wamp.close.logout";

/// Where a market meets its clients.
pub(crate) enum Home {
    /// At its own router.
    Own {
        router: Router,
        /// Its session there.
        session: Session,
        /// Who lets clients in.
        door: Arc<Door>,
    },
    /// At another's.
    Joined {
        uplink: Arc<Uplink>,
        /// Joins again whenever the session is lost.
        keeper: Mutex<Option<JoinHandle<()>>>,
    },
}

impl Home {
    /// Nobody reaches the market yet.
    pub(crate) async fn prepare(config: &Config) -> anyhow::Result<Self> {
        if let Some(url) = &config.wamp.connect {
            let (uplink, keeper) = (Uplink::new(config, url)?, Mutex::default());
            return Ok(Self::Joined { uplink, keeper });
        }
        let door = Arc::new(Door::new(
            logins::authenticator(config)?,
            config.admits_anonymous(),
        ));
        let (router, session) = join_own_router(config, Arc::clone(&door)).await?;
        Ok(Self::Own {
            router,
            session,
            door,
        })
    }

    /// How sellers are reached there.
    pub(crate) fn sellers(&self) -> Arc<dyn Sellers> {
        match self {
            Self::Own { router, session, .. } => Arc::new(RoutedSellers {
                session: session.clone(),
                router: router.clone(),
            }),
            Self::Joined { uplink, .. } => Arc::clone(uplink) as _,
        }
    }

    /// How sessions are ended there.
    pub(crate) fn doors(&self) -> Arc<dyn Doors> {
        match self {
            Self::Own { router, .. } => Arc::new(Routed(router.clone())),
            Self::Joined { uplink, .. } => Arc::clone(uplink) as _,
        }
    }

    /// What publishes the market's events there.
    pub(crate) fn announcer(&self) -> Announcer {
        match self {
            Self::Own { session, .. } => Announcer::start(session.clone()),
            Self::Joined { uplink, .. } => uplink.announcer(),
        }
    }

    /// Has the market serve its procedures, and learn who is there.
    pub(crate) async fn open(&self, market: &Arc<Market>, stop: CancellationToken) -> anyhow::Result<()> {
        match self {
            Self::Own {
                router,
                session,
                door,
            } => {
                door.ask(market);
                // Nobody else is connected yet, so nothing is missed before this.
                router.observe(Arc::new(Observer(Arc::downgrade(market))));
                procedures::register_all(market, session)
                    .await
                    .map_err(|(procedure, error)| anyhow!("the market cannot register {procedure}: {error}"))
            }
            Self::Joined { uplink, keeper } => {
                uplink.start(market).await?;
                *keeper.lock() = Some(uplink.keep(stop));
                Ok(())
            }
        }
    }

    /// Opens the listeners of clients, where they are the market's own; from here on it is reached.
    pub(crate) async fn listen(&self, config: &Config) -> anyhow::Result<Option<Listeners>> {
        let Self::Own { router, .. } = self else {
            return Ok(None);
        };
        let (ws, rs) = (config.wamp.listen_ws, config.wamp.listen_rs);
        Ok(Some(Listeners {
            ws: router
                .listen_ws(ws, WS_PATH)
                .await
                .with_context(|| taken("WebSocket", "--listen-ws", ws))?,
            rs: router
                .listen_rs(rs)
                .await
                .with_context(|| taken("RawSocket", "--listen-rs", rs))?,
        }))
    }

    /// The router that was joined, if it is another's.
    pub(crate) fn router(&self) -> Option<&str> {
        match self {
            Self::Own { .. } => None,
            Self::Joined { uplink, .. } => Some(uplink.url()),
        }
    }

    /// Resolves once every call taken so far is answered.
    pub(crate) async fn drained(&self) {
        match self {
            Self::Own { session, .. } => session.drained().await,
            Self::Joined { uplink, .. } => uplink.drained().await,
        }
    }

    /// Says goodbye, and closes what is the market's own.
    pub(crate) async fn leave(&self) {
        match self {
            Self::Own { router, session, .. } => {
                session.leave().await;
                router.shutdown().await;
            }
            Self::Joined { uplink, keeper } => {
                let keeper = keeper.lock().take();
                if let Some(keeper) = keeper {
                    // It ends by itself once the host stops; a session that it opens meanwhile is left below.
                    let _ = keeper.await;
                }
                uplink.leave().await;
            }
        }
    }
}

/// Sessions of the router in this process.
struct Routed(Router);

impl Doors for Routed {
    fn close(&self, session: u64) -> BoxFuture<'_, ()> {
        // It may have left by itself.
        self.0.close_session(session, LOGGED_OUT, "logged out");
        Box::pin(std::future::ready(()))
    }
}

/// Tells the market of sessions and registrations as they come and go. The market holds the router, not the other way.
struct Observer(Weak<Market>);

impl RouterObserver for Observer {
    fn joined(&self, session: &SessionInfo) {
        if let Some(market) = self.0.upgrade() {
            market.joined(session.id);
        }
    }

    fn left(&self, session: u64) {
        if let Some(market) = self.0.upgrade() {
            market.left(session);
        }
    }

    fn registered(&self, session: u64, uri: &str) {
        if let Some(market) = self.0.upgrade() {
            market.registered(session, uri);
        }
    }

    fn unregistered(&self, session: u64, uri: &str) {
        if let Some(market) = self.0.upgrade() {
            market.unregistered(session, uri);
        }
    }
}

/// A router that nobody can reach yet, and the market's own session with it.
async fn join_own_router(config: &Config, door: Arc<Door>) -> anyhow::Result<(Router, Session)> {
    let router = Router::new(
        RouterConfig {
            realm: config.realm.name.clone(),
            permissions: role::permissions(&config.wamp.role)?,
            limits: Limits {
                calls_per_second: config.wamp.calls_per_second,
                publications_per_second: config.wamp.publications_per_second,
                ..Limits::default()
            },
            allow_anonymous_remote: config.wamp.allow_anonymous_remote,
        },
        door,
    );
    let options = JoinOptions {
        realm: config.realm.name.clone(),
        max_invocations: MAX_INVOCATIONS,
        busy_error: uri::OVERLOADED.to_owned(),
        ..JoinOptions::default()
    };
    let session = Session::join(router.local_link(), options)
        .await
        .context("the market cannot join its router")?;
    Ok((router, session))
}
