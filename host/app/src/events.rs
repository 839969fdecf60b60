//! What the market tells its realm. Events follow replies and never hold one up.

use bourse_wamp::{Dict, PublishOptions, Session, Value};
use tokio::sync::{mpsc, oneshot};

/// Events that may wait to be published. Beyond that they are dropped with a warning: they are news, not records.
const QUEUE: usize = 1024;

/// The topics of the market maker.
pub(crate) mod topic {
    use bourse_market::{Address, ChannelKind};

    const DELEGATE: &str = "xbr.marketmaker.delegate.";
    const MEMBER: &str = "xbr.marketmaker.member.";

    pub(crate) const STATUS: &str = "xbr.marketmaker.on_status";
    pub(crate) const OFFER_PLACED: &str = "xbr.marketmaker.on_offer_placed";
    pub(crate) const OFFER_REVOKED: &str = "xbr.marketmaker.on_offer_revoked";

    /// Of what a topic tells.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) enum Of {
        /// Of the market.
        Market,
        /// Of offers.
        Offers,
        /// Of anybody's channels.
        Channels,
        /// Of what concerns a delegate.
        Delegate(Address),
        /// Of what concerns a member.
        Member(Address),
    }

    /// Of what `topic` tells. What is not known is kept as close as anything.
    pub(crate) fn of(topic: &str) -> Of {
        let address = |prefix| topic.strip_prefix(prefix)?.split_once('.')?.0.parse().ok();
        match topic {
            STATUS => Of::Market,
            OFFER_PLACED | OFFER_REVOKED => Of::Offers,
            _ => address(DELEGATE)
                .map(Of::Delegate)
                .or_else(|| address(MEMBER).map(Of::Member))
                .unwrap_or(Of::Channels),
        }
    }

    /// Where a seller's delegate learns that an offer of its was placed.
    pub(crate) fn offer_placed(seller: &Address) -> String {
        format!("{DELEGATE}{seller}.on_offer_placed")
    }

    /// Where it learns that one was revoked.
    pub(crate) fn offer_revoked(seller: &Address) -> String {
        format!("{DELEGATE}{seller}.on_offer_revoked")
    }

    /// Where everybody, and the delegate by itself, learns that nothing is left in a channel.
    pub(crate) fn channel_empty(delegate: &Address, kind: ChannelKind) -> [String; 2] {
        let kind = name(kind);
        [
            format!("xbr.marketmaker.on_{kind}_channel_empty"),
            format!("{DELEGATE}{delegate}.on_{kind}_channel_empty"),
        ]
    }

    /// Where a delegate learns of its new channel.
    pub(crate) fn channel_open(delegate: &Address, kind: ChannelKind) -> String {
        let kind = name(kind);
        format!("{DELEGATE}{delegate}.on_{kind}_channel_open")
    }

    /// Where a delegate learns that its channel was not opened after all.
    pub(crate) fn channel_open_failed(delegate: &Address) -> String {
        format!("{DELEGATE}{delegate}.on_channel_open_failed")
    }

    /// Where a buyer's delegate learns that its voucher is to be signed anew.
    pub(crate) fn voucher_lapsing(delegate: &Address) -> String {
        format!("{DELEGATE}{delegate}.on_voucher_lapsing")
    }

    /// Where a delegate learns that the contract did not take the final state of its channel.
    pub(crate) fn channel_close_failed(delegate: &Address) -> String {
        format!("{DELEGATE}{delegate}.on_channel_close_failed")
    }

    /// Where a member learns that the chain did not take its consent after all.
    pub(crate) fn consent_failed(member: &Address) -> String {
        format!("{MEMBER}{member}.on_consent_failed")
    }

    /// Where everybody, and the delegate by itself, learns of the end of a channel.
    pub(crate) fn channel_closing(delegate: &Address, kind: ChannelKind) -> [String; 2] {
        let kind = name(kind);
        [
            format!("xbr.marketmaker.on_{kind}_channel_closing"),
            format!("{DELEGATE}{delegate}.on_{kind}_channel_closing"),
        ]
    }

    fn name(kind: ChannelKind) -> &'static str {
        match kind {
            ChannelKind::Payment => "payment",
            ChannelKind::Paying => "paying",
        }
    }
}

/// What the publishing task is told.
enum Notice {
    Event {
        topic: String,
        args: Vec<Value>,
        options: PublishOptions,
    },
    /// Whoever waits is told once all that came before is published.
    Flush(oneshot::Sender<()>),
}

/// Hands events to the task that publishes them.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    queue: mpsc::Sender<Notice>,
}

impl Announcer {
    /// Starts publishing over `session`, in order.
    pub(crate) fn start(session: Session) -> Self {
        Self::through(move |topic: String, args, options| {
            let session = session.clone();
            async move {
                if let Err(error) = session.publish(&topic, args, Dict::new(), options).await {
                    tracing::warn!(topic, %error, "an event could not be published");
                }
            }
        })
    }

    /// Starts handing events to `publish`, one after another.
    pub(crate) fn through<F>(
        mut publish: impl FnMut(String, Vec<Value>, PublishOptions) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let (queue, mut notices) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            while let Some(notice) = notices.recv().await {
                match notice {
                    Notice::Event { topic, args, options } => publish(topic, args, options).await,
                    // Whoever waited may have gone.
                    Notice::Flush(done) => drop(done.send(())),
                }
            }
        });
        Self { queue }
    }

    /// Resolves once everything announced so far is handed to the router.
    pub(crate) async fn drained(&self) {
        let (done, wait) = oneshot::channel();
        // Were the task gone, nothing would be left to wait for.
        if self.queue.send(Notice::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// Publishes `args` under `topic`, some time soon; false if too many events wait already. Who may have it is for [`crate::access`] to say: see
    /// [`crate::market::Market::announce`].
    pub(crate) fn announce(&self, topic: String, args: Vec<Value>, options: PublishOptions) -> bool {
        let event = Notice::Event { topic, args, options };
        let sent = self.queue.try_send(event);
        if let Err(error) = &sent {
            tracing::warn!(%error, "an event was dropped");
        }
        sent.is_ok()
    }
}
