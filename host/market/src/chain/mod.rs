//! What a chain says: its blocks, the events in them, and what the ledger remembers so that it can take them back.
//!
//! What lives here: the records and the request to go on or back along the chain. What the events do to the ledger is
//! decided in `apply`, in the very write that moves the ledger's place on the chain: whatever crashes, each block counts
//! once.
//!
//! What never does: asking a node, and trusting one. Events arrive decoded and in order; that they were seen deep enough
//! and at the right contracts is for whoever asks.

mod event;

pub use event::{ChainEvent, ChannelTerms, Logged, Payout};

use crate::Amount;
use crate::ids::{BlockHash, BlockNumber, ChannelId, Nanos, TransactionHash};
use crate::record::{Channel, ChannelState};
use crate::registry::{Registration, RegistrationKey};
use core::fmt;
use serde::{Deserialize, Serialize};

/// One block among all that were ever mined at its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its number.
    pub number: BlockNumber,
    /// Its hash.
    pub hash: BlockHash,
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

/// How far the ledger has followed the chain, and how to take back what it read last.
///
/// One record for each step that may still have to be taken back, and for the last one in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedBlock {
    /// The block. All that lies between the one before it and this is applied too.
    pub block: BlockRef,
    /// What stood where its events wrote, in the order in which they did. To take the block back is to restore it in the
    /// opposite order.
    pub before: Vec<Before>,
    /// Up to this block a channel may have been traded over by a ledger that is lost: one that was before this, or that was
    /// ahead of the backup this was made of. [`UNKNOWN_BLOCK`] until the newest block at that time is known.
    pub untrusted: Option<BlockNumber>,
}

/// A block that is yet to be known.
pub const UNKNOWN_BLOCK: BlockNumber = BlockNumber(u64::MAX);

/// What an event found before it changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    /// This record of the registry.
    Registered(Box<Registration>),
    /// No such record.
    Unregistered(RegistrationKey),
    /// No such channel, or none that counted.
    Unopened(ChannelId),
    /// A channel as it stood on the chain.
    Anchored {
        /// The channel.
        channel: ChannelId,
        /// Its state in the ledger.
        state: ChannelState,
        /// Since when it was in quarantine.
        quarantined: Option<Nanos>,
        /// What the chain had said of it.
        anchor: Box<Anchor>,
    },
}

/// What the chain says of a channel that the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Where it was opened.
    pub opened: Mined,
    /// The transaction that opened it is no part of the chain any more: nothing moves the channel until it is again.
    pub orphaned: Option<Nanos>,
    /// Somebody showed a state of it, and may still be answered with a newer one.
    pub closing: Option<(Payout, Mined)>,
    /// It is paid out.
    pub closed: Option<(Payout, Mined)>,
    /// Set while it is in quarantine because of an ending that the ledger never signed.
    pub shut: Option<Nanos>,
}

/// Where on the chain something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mined {
    /// The block.
    pub block: BlockNumber,
    /// The transaction.
    pub transaction: TransactionHash,
}

/// Some blocks of the chain, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// Where the ledger stands; none before the first block.
    pub after: Option<BlockRef>,
    /// The last of the blocks.
    pub to: BlockRef,
    /// What happened in them, in order.
    pub events: Vec<Logged>,
    /// The newest block.
    pub head: BlockNumber,
    /// Blocks below this are never taken back: what was kept for that may go.
    pub settled_below: BlockNumber,
    /// When.
    pub at: Nanos,
}

/// The last blocks that the ledger followed are no part of the chain any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwind {
    /// Where the ledger stands.
    pub from: BlockRef,
    /// The last block that still is part of it.
    pub to: BlockRef,
    /// When.
    pub at: Nanos,
}

/// What following the chain came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The channels that changed, as they stand now.
    pub channels: Vec<Channel>,
    /// What an operator should know of.
    pub surprises: Vec<Surprise>,
}

/// What the chain said and nobody expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Surprise {
    /// No contract of XBR does that.
    #[error(
        "the chain says that channel {channel} was opened as the contract would not open it: it is passed over"
    )]
    Impossible {
        /// Which.
        channel: ChannelId,
    },
    /// The transaction that opened a channel is no part of the chain any more.
    #[error(
        "channel {channel} was opened by a transaction that is no part of the chain any more: nothing moves it until it \
         is again{}", if *moved { "; sales over it are not backed meanwhile" } else { "" }
    )]
    Orphaned {
        /// Which.
        channel: ChannelId,
        /// Something was bought over it.
        moved: bool,
    },
    /// The same identifier was opened again, with other terms.
    #[error(
        "channel {channel} was opened anew with other terms after its first opening was dropped by the chain: what was \
         sold over it is not backed, and it stays shut"
    )]
    Replaced {
        /// Which.
        channel: ChannelId,
    },
    /// A channel is being settled, or is, by a final state that the ledger never saw.
    #[error(
        "channel {channel} gives back {refund} on the chain, by a state that this ledger never signed: the ledger is \
         older than that, or somebody else has the market maker's key. Nothing moves the channel any more"
    )]
    Unsigned {
        /// Which.
        channel: ChannelId,
        /// What the chain gives back.
        refund: Amount,
    },
    /// A channel is settled with another balance than the ledger's.
    #[error("channel {channel} gives back {got} on the chain, the ledger expected {expected}")]
    Refund {
        /// Which.
        channel: ChannelId,
        /// Where the ledger has it.
        expected: Amount,
        /// What the chain says.
        got: Amount,
    },
}
