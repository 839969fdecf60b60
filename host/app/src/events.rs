//! What the market tells its realm. Events follow replies and never hold one up.

use bourse_wamp::{Dict, PublishOptions, Session, Value};
use tokio::sync::mpsc;

/// Events that may wait to be published. Beyond that they are dropped and counted: they are news, not records.
const QUEUE: usize = 1024;

/// The topics of the market maker.
pub(crate) mod topic {
    use bourse_market::{Address, ChannelKind};

    pub(crate) const STATUS: &str = "xbr.marketmaker.on_status";
    pub(crate) const OFFER_PLACED: &str = "xbr.marketmaker.on_offer_placed";
    pub(crate) const OFFER_REVOKED: &str = "xbr.marketmaker.on_offer_revoked";
    pub(crate) const PAYMENT_CHANNEL_EMPTY: &str = "xbr.marketmaker.on_payment_channel_empty";
    pub(crate) const PAYING_CHANNEL_EMPTY: &str = "xbr.marketmaker.on_paying_channel_empty";

    /// Where a delegate learns of its new channel.
    pub(crate) fn channel_open(delegate: &Address, kind: ChannelKind) -> String {
        let kind = match kind {
            ChannelKind::Payment => "payment",
            ChannelKind::Paying => "paying",
        };
        format!("xbr.marketmaker.delegate.{delegate}.on_{kind}_channel_open")
    }
}

/// Hands events to the task that publishes them.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    queue: mpsc::Sender<(String, Vec<Value>)>,
}

impl Announcer {
    /// Starts publishing over `session`, in order.
    pub(crate) fn start(session: Session) -> Self {
        let (queue, mut events) = mpsc::channel::<(String, Vec<Value>)>(QUEUE);
        tokio::spawn(async move {
            while let Some((topic, args)) = events.recv().await {
                let options = PublishOptions::default();
                if let Err(error) = session.publish(&topic, args, Dict::new(), options).await {
                    tracing::warn!(topic, %error, "an event could not be published");
                }
            }
        });
        Self { queue }
    }

    /// Resolves once everything announced so far is handed to the router.
    pub(crate) async fn drained(&self) {
        // All places of the queue are free again only when the task has taken every event out.
        let _ = self.queue.reserve_many(QUEUE).await;
    }

    /// Publishes `args` under `topic`, some time soon.
    pub(crate) fn announce(&self, topic: impl Into<String>, args: Vec<Value>) {
        let topic = topic.into();
        if let Err(error) = self.queue.try_send((topic, args)) {
            tracing::warn!(%error, "an event was dropped");
        }
    }
}
