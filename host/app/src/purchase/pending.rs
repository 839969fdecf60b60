//! Purchases under way, one for each payment channel: whoever asks for the same again waits for the same answer.

use crate::wire::{fault, uri};
use bourse_market::{ChannelId, Identity, Receipt};
use bourse_wamp::WampError;
use futures_util::FutureExt;
use futures_util::future::Shared;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Who may wait for one purchase. The market works on so many calls at a time, and whoever keeps a purchase of his own
/// under way could otherwise have all of them wait for it.
const WAITERS: usize = 64;
/// Places among them that getters leave free: anybody may ask for a balance, the same purchase only its buyer.
const FOR_BUYERS: usize = 16;

/// What a purchase came to.
pub(crate) type Answer = Result<Arc<Receipt>, WampError>;

struct Under {
    identity: Identity,
    answer: Waiting,
}

impl Under {
    /// How many wait now. Who gave up is not counted.
    fn waiters(&self) -> usize {
        // All clones but the one here. None once it is over: then nobody waits.
        self.answer.strong_count().unwrap_or_default().saturating_sub(1)
    }
}

/// The purchases under way.
#[derive(Default)]
pub(crate) struct Pending {
    by_channel: Mutex<HashMap<ChannelId, Under>>,
    /// How many are under way, for getters and for a graceful stop.
    count: watch::Sender<usize>,
}

/// Where the answer to a purchase arrives, for everybody who asked for it.
pub(crate) type Waiting = Shared<oneshot::Receiver<Answer>>;

/// What asking for a purchase comes to.
pub(crate) enum Entry {
    /// It is the caller's to carry out; dropping the ticket without an answer frees the channel.
    Mine(Ticket, Waiting),
    /// The very same purchase is under way: its answer is this one's.
    Joined(Waiting),
    /// Another purchase is under way on this channel.
    Taken,
    /// It is under way, and too many wait for it.
    Crowded,
}

/// The right to answer for a payment channel.
pub(crate) struct Ticket {
    channel: ChannelId,
    pending: Arc<Pending>,
    answer: Option<oneshot::Sender<Answer>>,
}

impl Pending {
    /// Asks to carry out a purchase.
    pub(crate) fn enter(self: &Arc<Self>, identity: Identity) -> Entry {
        let mut by_channel = self.by_channel.lock();
        if let Some(under) = by_channel.get(&identity.channel) {
            return if under.identity != identity {
                Entry::Taken
            } else if under.waiters() < WAITERS {
                Entry::Joined(under.answer.clone())
            } else {
                Entry::Crowded
            };
        }
        let (answer, wait) = oneshot::channel();
        let wait = wait.shared();
        by_channel.insert(
            identity.channel,
            Under {
                identity,
                answer: wait.clone(),
            },
        );
        self.count.send_modify(|count| *count += 1);
        let ticket = Ticket {
            channel: identity.channel,
            pending: Arc::clone(self),
            answer: Some(answer),
        };
        Entry::Mine(ticket, wait)
    }

    /// Resolves once nothing is under way on `channel`; at once if nothing is, or if too many wait for that already.
    pub(crate) fn settled(&self, channel: &ChannelId) -> impl Future<Output = ()> + Send + use<> {
        let answer = self
            .by_channel
            .lock()
            .get(channel)
            .filter(|under| under.waiters() < WAITERS - FOR_BUYERS)
            .map(|under| under.answer.clone());
        async move {
            if let Some(answer) = answer {
                // Whatever came of it, it is over.
                let _ = answer.await;
            }
        }
    }

    /// Resolves once nothing at all is under way.
    pub(crate) async fn drained(&self) {
        let mut count = self.count.subscribe();
        // The sender lives as long as `self`.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Ticket {
    /// Frees the channel, then answers everybody who waits.
    pub(crate) fn answer(mut self, answer: Answer) {
        if let Some(waiting) = self.answer.take() {
            self.leave();
            let _ = waiting.send(answer);
        }
    }

    fn leave(&self) {
        self.pending.by_channel.lock().remove(&self.channel);
        self.pending
            .count
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.answer.is_some() {
            self.leave();
        }
    }
}

/// Waits for the answer to a purchase.
pub(crate) async fn joined(answer: Waiting) -> Answer {
    let stopped = || {
        Err(fault(
            uri::NOT_READY,
            "the market stopped before this purchase was resolved",
        ))
    };
    answer.await.unwrap_or_else(|_| stopped())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_market::{Amount, BuyerPubkey, KeyId, Seq};

    fn identity(key: u8) -> Identity {
        Identity {
            channel: ChannelId([1; 16]),
            seq: Seq(2),
            key: KeyId([key; 16]),
            buyer_pubkey: BuyerPubkey([1; 32]),
            amount: Amount::ZERO,
            balance: Amount::ZERO,
        }
    }

    #[tokio::test]
    async fn the_same_purchase_joins_and_another_is_turned_away() {
        let pending = Arc::new(Pending::default());
        let Entry::Mine(ticket, _) = pending.enter(identity(1)) else {
            panic!("the channel is free")
        };
        let Entry::Joined(wait) = pending.enter(identity(1)) else {
            panic!("it is the same purchase")
        };
        assert!(matches!(pending.enter(identity(2)), Entry::Taken));
        ticket.answer(Err(fault("a.b", "c")));
        assert_eq!(joined(wait).await.unwrap_err().uri, "a.b");
        assert!(matches!(pending.enter(identity(2)), Entry::Mine(..)));
    }

    #[tokio::test]
    async fn only_so_many_wait_for_a_purchase_and_getters_leave_room_for_its_buyer() {
        let pending = Arc::new(Pending::default());
        let Entry::Mine(ticket, _mine) = pending.enter(identity(1)) else {
            panic!("the channel is free")
        };
        let getters: Vec<_> = (0..2 * WAITERS)
            .map(|_| pending.settled(&identity(1).channel))
            .collect();
        let mut buyers = Vec::new();
        while let Entry::Joined(wait) = pending.enter(identity(1)) {
            buyers.push(wait);
        }
        assert_eq!(buyers.len(), FOR_BUYERS);
        assert!(matches!(pending.enter(identity(1)), Entry::Crowded));
        buyers.pop();
        assert!(matches!(pending.enter(identity(1)), Entry::Joined(_)));
        ticket.answer(Err(fault("a.b", "c")));
        for getter in getters {
            getter.await;
        }
    }

    #[tokio::test]
    async fn a_lost_ticket_frees_the_channel_and_tells_who_waits() {
        let pending = Arc::new(Pending::default());
        let Entry::Mine(ticket, _) = pending.enter(identity(1)) else {
            panic!("the channel is free")
        };
        let Entry::Joined(wait) = pending.enter(identity(1)) else {
            panic!("it is the same purchase")
        };
        drop(ticket);
        assert!(joined(wait).await.is_err());
        pending.drained().await;
    }
}
