//! The events of the XBR contracts, as far as a market cares for them.

use super::Mined;
use crate::Amount;
use crate::command::OpenRequest;
use crate::ids::{Address, ApiId, BlockNumber, CatalogId, ChannelId, ConsentId, MarketId, Signature};
use crate::record::ChannelKind;
use crate::registry::{ActorKey, ConsentKey, MemberLevel};
use serde::{Deserialize, Serialize};

/// An event, and where it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// What happened.
    pub event: ChainEvent,
    /// Where.
    pub mined: Mined,
}

/// What happened on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// Somebody joined the network, or a member's record changed.
    MemberChanged {
        /// Who.
        member: Address,
        /// It is the first of this member.
        registered: bool,
        /// The licence it accepted.
        eula: String,
        /// Its profile.
        profile: String,
        /// How far it is trusted now.
        level: MemberLevel,
    },
    /// A member left the network.
    MemberRetired {
        /// Who.
        member: Address,
    },
    /// A market was made, or its record changed.
    MarketChanged {
        /// Which.
        market: MarketId,
        /// It is the first of this market.
        created: bool,
        /// Its number among all.
        seq: u32,
        /// Who owns it.
        owner: Address,
        /// The token it trades in.
        coin: Address,
        /// Its terms.
        terms: String,
        /// More about it.
        meta: String,
        /// Its market maker.
        maker: Address,
        /// What a provider deposits to join.
        provider_security: Amount,
        /// What a consumer deposits to join.
        consumer_security: Amount,
        /// Its part of what is earned, out of the coin's supply.
        fee: Amount,
    },
    /// A market was closed.
    MarketClosed {
        /// Which.
        market: MarketId,
    },
    /// A member joined a market.
    ActorJoined {
        /// Who, where and as what.
        key: ActorKey,
        /// What it deposited.
        security: Amount,
        /// More about it.
        meta: String,
    },
    /// A member left a market.
    ActorLeft {
        /// Who, from where and as what.
        key: ActorKey,
    },
    /// A member gave a consent or took it back.
    ConsentSet {
        /// The identifier of its record.
        id: ConsentId,
        /// What it is about.
        key: ConsentKey,
        /// Block at which its member signed it.
        signed_at: BlockNumber,
        /// Given, or taken back.
        granted: bool,
        /// The URIs it covers begin so.
        service_prefix: String,
    },
    /// A catalog was made.
    CatalogCreated {
        /// Which.
        catalog: CatalogId,
        /// Its number among all.
        seq: u32,
        /// Who owns it.
        owner: Address,
        /// Its terms.
        terms: String,
        /// What is in it.
        meta: String,
    },
    /// An API was published in a catalog.
    ApiPublished {
        /// Which.
        api: ApiId,
        /// Where.
        catalog: CatalogId,
        /// Its schema.
        schema: String,
        /// More about it.
        meta: String,
    },
    /// A channel was opened and its deposit locked.
    Opened(Box<ChannelTerms>),
    /// Somebody showed a state of a channel to be closed.
    Closing {
        /// Which.
        channel: ChannelId,
        /// What it would come to.
        payout: Payout,
    },
    /// A channel was paid out.
    Closed {
        /// Which.
        channel: ChannelId,
        /// What it came to.
        payout: Payout,
    },
}

/// What a channel was opened with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelTerms {
    /// Its identifier.
    pub channel: ChannelId,
    /// Which way its money flows.
    pub kind: ChannelKind,
    /// Its market.
    pub market: MarketId,
    /// Who opened it.
    pub actor: Address,
    /// Whose signature moves it.
    pub delegate: Address,
    /// The market maker, its other side.
    pub marketmaker: Address,
    /// Who receives what is spent.
    pub recipient: Address,
    /// The deposit.
    pub amount: Amount,
    /// The actor's signature over the opening.
    pub signature: Signature,
}

impl From<&OpenRequest> for ChannelTerms {
    fn from(open: &OpenRequest) -> Self {
        Self {
            channel: open.id,
            kind: open.kind,
            market: open.market,
            actor: open.actor,
            delegate: open.delegate,
            marketmaker: open.marketmaker,
            recipient: open.recipient,
            amount: open.amount,
            signature: open.signature,
        }
    }
}

/// Where the deposit of a channel goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// To whoever earned it, the fee already taken off.
    pub payout: Amount,
    /// To the market's owner. What the network takes of a fee is in neither.
    pub fee: Amount,
    /// Back to whoever deposited it.
    pub refund: Amount,
    /// Seconds since the Unix epoch: until when a newer state is taken, or when it was paid out.
    pub at: u64,
}
