//! Where a market meets its clients: a realm of its own router, or of somebody else's.
//!
//! What lives here: the two ways to join, and who tells the market of sessions and registrations. What never does: what
//! becomes of a call (`procedures`), or how another's router is reached and watched (`uplink`).

use crate::access::CameBy;
use crate::authenticator::Door;
use crate::config::Config;
use crate::events::Announcer;
use crate::front::Front;
use crate::market::{Doors, Market};
use crate::procedures;
use crate::purchase::{RoutedSellers, Sellers};
use crate::uplink::Uplink;
use crate::wire::uri;
use anyhow::{Context, anyhow};
use bourse_wamp::{JoinOptions, Realm, RouterObserver, Session, SessionInfo};
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
        realm: Realm,
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
    pub(crate) async fn prepare(config: &Config, front: &Front) -> anyhow::Result<Self> {
        if let Some(url) = &config.wamp.connect {
            let (uplink, keeper) = (Uplink::new(config, url)?, Mutex::default());
            return Ok(Self::Joined { uplink, keeper });
        }
        let (realm, door) = front.realm(config)?.context("the market has no router")?;
        let session = Session::join(realm.local_link(), as_market(config))
            .await
            .context("the market cannot join its router")?;
        Ok(Self::Own { realm, session, door })
    }

    /// How sellers are reached there.
    pub(crate) fn sellers(&self) -> Arc<dyn Sellers> {
        match self {
            Self::Own { realm, session, .. } => Arc::new(RoutedSellers {
                session: session.clone(),
                realm: realm.clone(),
            }),
            Self::Joined { uplink, .. } => Arc::clone(uplink) as _,
        }
    }

    /// How sessions are ended there.
    pub(crate) fn doors(&self) -> Arc<dyn Doors> {
        match self {
            Self::Own { realm, .. } => Arc::new(Routed(realm.clone())),
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
            Self::Own { realm, session, door } => {
                door.ask(market);
                // Nobody else is connected yet, so nothing is missed before this.
                realm.observe(Arc::new(Observer(Arc::downgrade(market))));
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

    /// Says goodbye, and closes the realm where it is the market's own.
    pub(crate) async fn leave(&self) {
        match self {
            Self::Own { realm, session, .. } => {
                session.leave().await;
                realm.close();
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

/// How the market joins a realm, wherever that is.
pub(crate) fn as_market(config: &Config) -> JoinOptions {
    JoinOptions {
        realm: config.realm.name.clone(),
        max_invocations: MAX_INVOCATIONS,
        busy_error: uri::OVERLOADED.to_owned(),
        ..JoinOptions::default()
    }
}

/// Sessions of the router in this process.
struct Routed(Realm);

impl Doors for Routed {
    fn is_own(&self) -> bool {
        true
    }

    fn came_by(&self, _session: u64) -> BoxFuture<'_, CameBy> {
        Box::pin(std::future::ready(CameBy::AsDecided))
    }

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
