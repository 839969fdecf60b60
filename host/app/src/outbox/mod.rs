//! The market maker's own transactions: from a request to a block that counts.
//!
//! What lives here: what a request is held against at the node before it becomes a record ([`open`], [`carry`]), which final
//! states become one ([`close`]), and the task that signs, sends, follows and, if need be, pays more ([`send`]).
//!
//! What never does: a nonce, a limit or an end of a transaction that the ledger did not decide. All that this task knows
//! beyond the ledger is forgotten at a stop, and found again at the node.

pub(crate) mod carry;
pub(crate) mod close;
mod fees;
pub(crate) mod open;
mod record;
mod send;

pub(crate) use send::start;

use arc_swap::ArcSwap;
use bourse_chain::{Contracts, Node};
use bourse_market::outbox::{CarryLimits, OpeningRate, PayingLimits};
use bourse_market::{Address, Amount};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// How transactions are sent.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    pub(crate) node: Node,
    /// Where, with the market's own coin for the token: that is what channels lock.
    pub(crate) contracts: Contracts,
    pub(crate) chain_id: u64,
    /// The most that is paid for a unit of gas, in wei.
    pub(crate) max_fee: u64,
    /// Blocks after which a transaction that is in none is sent again for more.
    pub(crate) patience: u64,
}

/// What may be locked in paying channels, as configured.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// For each provider that is listed.
    pub(crate) providers: BTreeMap<Address, Amount>,
    /// For all of them together.
    pub(crate) cap: Amount,
    /// In one channel at least.
    pub(crate) minimum: Amount,
    /// And in a payment channel.
    pub(crate) payment_minimum: Amount,
    /// How often for one actor.
    pub(crate) rate: OpeningRate,
}

impl Limits {
    /// Those that a channel of `provider` is held to: one that is not listed gets nothing.
    fn of(&self, provider: &Address) -> PayingLimits {
        PayingLimits {
            provider: self.providers.get(provider).copied().unwrap_or_default(),
            cap: self.cap,
            minimum: self.minimum,
            payment_minimum: self.payment_minimum,
            rate: self.rate,
        }
    }
}

/// Where requests meet the task that sends.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) sending: Sending,
    /// As the configuration was read last.
    limits: ArcSwap<(Limits, CarryLimits)>,
    /// There is something to send.
    wake: Notify,
    /// Counts what was signed.
    signed: watch::Sender<u64>,
}

impl Outbox {
    pub(crate) fn new(sending: Sending, limits: Limits, carrying: CarryLimits) -> Self {
        Self {
            sending,
            limits: ArcSwap::from_pointee((limits, carrying)),
            wake: Notify::new(),
            signed: watch::Sender::new(0),
        }
    }

    /// Takes other limits from here on, and how many consents go to the chain.
    pub(crate) fn limit(&self, limits: Limits, carrying: CarryLimits) {
        self.limits.store(Arc::new((limits, carrying)));
    }

    /// There is a new block: what was sent may be in it, and what could not be sent may go now.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }

    fn has_signed(&self) {
        self.signed.send_modify(|count| *count = count.wrapping_add(1));
    }
}
