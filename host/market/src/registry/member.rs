//! Members of the network, and their parts in markets.

use crate::Amount;
use crate::ids::{Address, BlockNumber, MarketId, Nanos, Signature, TransactionHash};
use serde::{Deserialize, Serialize};

/// How far a member is trusted; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum MemberLevel {
    /// Not a member.
    None = 0,
    /// A member.
    Active = 1,
    /// One whose identity was verified.
    Verified = 2,
    /// No member any more.
    Retired = 3,
    /// Fined.
    Penalty = 4,
    /// Locked out.
    Blocked = 5,
    /// About to retire.
    Retiring = 6,
}

impl MemberLevel {
    /// Whether it takes part in the network.
    pub fn takes_part(self) -> bool {
        matches!(self, Self::Active | Self::Verified)
    }

    /// The level of a number, if it has one.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::None,
            1 => Self::Active,
            2 => Self::Verified,
            3 => Self::Retired,
            4 => Self::Penalty,
            5 => Self::Blocked,
            6 => Self::Retiring,
            _ => return None,
        })
    }
}

/// A member of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its address.
    pub address: Address,
    /// Block of its registration.
    pub registered: BlockNumber,
    /// Block of the last change.
    pub updated: BlockNumber,
    /// When the ledger recorded it.
    pub at: Nanos,
    /// The licence it accepted: an IPFS id.
    pub eula: String,
    /// Its profile: an IPFS id, or empty.
    pub profile: String,
    /// How far it is trusted.
    pub level: MemberLevel,
    /// The transaction of the last change.
    pub transaction: Option<TransactionHash>,
    /// The member's signature, where somebody else registered it.
    pub signature: Option<Signature>,
}

/// What somebody is in a market, or may do for a member; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ActorType {
    /// Sells.
    Provider = 1,
    /// Buys.
    Consumer = 2,
    /// Both.
    ProviderConsumer = 3,
}

impl ActorType {
    /// The type of a number, if it has one.
    pub fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Provider),
            2 => Some(Self::Consumer),
            3 => Some(Self::ProviderConsumer),
            _ => None,
        }
    }
}

/// A member's part in a market: one record for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActorKey {
    /// The market.
    pub market: MarketId,
    /// The member.
    pub actor: Address,
    /// The part.
    pub kind: ActorType,
}

/// A member that joined a market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Who, where and as what.
    pub key: ActorKey,
    /// Block in which it joined.
    pub joined: BlockNumber,
    /// Block in which it left; none while it takes part.
    pub left: Option<BlockNumber>,
    /// Block of the last change.
    pub updated: BlockNumber,
    /// When the ledger recorded it.
    pub at: Nanos,
    /// What it deposited as security.
    pub security: Amount,
    /// More about it: an IPFS id, or empty.
    pub meta: String,
    /// The transaction of the last change.
    pub transaction: Option<TransactionHash>,
    /// The member's signature, where somebody else joined for it.
    pub signature: Option<Signature>,
}
