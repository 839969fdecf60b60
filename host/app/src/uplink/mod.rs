//! The market's session at somebody else's router: joined, watched over, and joined anew whenever it is lost.
//!
//! What lives here: how to reach the router, what the market must be allowed there, who answers for which seller, and
//! what waits for a link. What never does: a frame (`bourse-wamp`), or what a seller's answer is worth (`purchase`).
//!
//! Another router neither pins a call to one callee nor tells in time of every session. So this room believes its own
//! notes only until a seller has answered, and then asks the router whether the one that was meant still serves.

mod attach;
mod backoff;
mod doors;
mod entry;
mod former;
mod known;
mod news;
mod reach;
mod sellers;
mod watch;

use attach::Failure;
pub(crate) use reach::Reach;

use crate::events::Announcer;
use crate::market::Market;
use backoff::Backoff;
use bourse_wamp::Session;
use entry::Entry;
use former::Former;
use known::Known;
use news::News;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a new link waits for the purchases that the old one left under way. They end as soon as the link does; one that
/// ended later would take its seller's registration for an old one.
const DRAIN: Duration = Duration::from_secs(2);

/// The market's place at another router.
pub(crate) struct Uplink {
    entry: Entry,
    /// The session, while there is one.
    link: channel::Sender<Option<Session>>,
    /// Set once. The market holds the uplink, not the other way.
    market: OnceLock<Weak<Market>>,
    known: Mutex<Known>,
    /// Held while both `known` and the market learn of something, so that they learn in the same order.
    order: Mutex<()>,
    news: Mutex<News>,
    former: Mutex<Former>,
}

impl Uplink {
    /// Nobody is asked anything yet.
    ///
    /// # Errors
    ///
    /// If the login cannot be read.
    pub(crate) fn new(config: &crate::config::Config, url: &str) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            entry: Entry::new(config, url)?,
            link: channel::Sender::new(None),
            market: OnceLock::new(),
            known: Mutex::default(),
            order: Mutex::default(),
            news: Mutex::default(),
            former: Mutex::default(),
        }))
    }

    /// Where it leads.
    pub(crate) fn url(&self) -> &str {
        &self.entry.url
    }

    /// The session, while there is one.
    pub(crate) fn session(&self) -> Option<Session> {
        self.link.borrow().clone()
    }

    fn market(&self) -> Option<Arc<Market>> {
        self.market.get().and_then(Weak::upgrade)
    }

    /// What publishes the market's events over it.
    pub(crate) fn announcer(self: &Arc<Self>) -> Announcer {
        let uplink = Arc::clone(self);
        Announcer::through(move |topic, args, options| {
            let uplink = Arc::clone(&uplink);
            async move { uplink.publish((topic, args, options)).await }
        })
    }

    /// Joins for the first time. A router that is not there yet is waited for by [`Uplink::keep`].
    ///
    /// # Errors
    ///
    /// If the router refuses what only an operator can mend.
    pub(crate) async fn start(self: &Arc<Self>, market: &Arc<Market>) -> anyhow::Result<()> {
        // Only ever set here, once.
        let _ = self.market.set(Arc::downgrade(market));
        match self.attach(market).await {
            Ok(()) => Ok(()),
            Err(Failure::Unreached(why)) => {
                tracing::warn!(
                    router = self.url(),
                    why,
                    "the router is not reached; trying again until it is"
                );
                market.reach.lost(
                    market.now(),
                    format!("the router {} is not reached: {why}", self.url()),
                );
                Ok(())
            }
            Err(Failure::Refused(why)) => {
                anyhow::bail!("the router {} does not let the market trade: {why}", self.url())
            }
        }
    }

    /// Joins again whenever the session is lost, until `stop`.
    pub(crate) fn keep(self: &Arc<Self>, stop: CancellationToken) -> JoinHandle<()> {
        let uplink = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = uplink.run() => {}
            }
        })
    }

    async fn run(self: &Arc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            if let Some(session) = self.session() {
                let why = self.watch_over(&session).await;
                // Whoever holds it still must not keep it: a router that was only slow would go on taking it for alive.
                session.abandon();
                let Some(market) = self.market() else { return };
                self.down(&market, &why);
                backoff = Backoff::default();
            }
            tokio::time::sleep(backoff.next()).await;
            let Some(market) = self.market() else { return };
            // Whatever is not over by then keeps its seller suspended until that registers anew.
            let _ = tokio::time::timeout(DRAIN, market.pending.drained()).await;
            match self.attach(&market).await {
                Ok(()) => tracing::info!(router = self.url(), "the router is reached; the market trades"),
                Err(failure) => {
                    let why = format!("the router {} is not reached: {failure}", self.url());
                    if market.reach.lost(market.now(), why.clone()) {
                        tracing::warn!(why, "trying again");
                    }
                }
            }
        }
    }

    /// The session is gone, and with it whoever was known at the router.
    fn down(&self, market: &Market, why: &str) {
        tracing::warn!(router = self.url(), why, "the link to the router is lost");
        market.reach.lost(
            market.now(),
            format!("the link to the router {} is lost: {why}", self.url()),
        );
        self.forget_all(market);
        // Last: whoever waits for this finds everything forgotten.
        self.link.send_replace(None);
    }

    /// Resolves once the session `id` is no more the link, and everybody known over it is forgotten.
    async fn lost(&self, id: u64) {
        // The sender lives as long as `self`.
        let other = |link: &Option<Session>| link.as_ref().is_none_or(|session| session.id() != id);
        let _ = self.link.subscribe().wait_for(other).await;
    }

    /// Resolves once every call taken so far is answered, as far as there is a link.
    pub(crate) async fn drained(&self) {
        if let Some(session) = self.session() {
            session.drained().await;
        }
    }

    /// Says goodbye.
    pub(crate) async fn leave(&self) {
        if let Some(session) = self.link.send_replace(None) {
            session.leave().await;
        }
    }
}
