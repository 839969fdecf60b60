//! What the market maker wants of the chain: each of its transactions is a record before it is signed.
//!
//! What lives here: the records, and the requests that make and move them. A transaction's nonce is taken in the very write
//! that makes its record, and stays: whatever crashes, what is sent again is the same transaction, or the same with a higher
//! price, and the chain takes one of them.
//!
//! What never does: signing, sending, and asking a node what became of it.

use crate::Amount;
use crate::chain::{ChannelTerms, Mined};
use crate::command::OpenRequest;
use crate::ids::{
    Address, BlockNumber, ChannelId, ConsentId, MarketId, Nanos, Seq, Signature, TransactionHash,
};
use crate::record::{Channel, ChannelKind};
use crate::registry::{Consent, ConsentKey, ConsentRequest};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The place of a transaction among all of its sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nonce(pub u64);

impl Nonce {
    /// The place behind it; none behind the last.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which transaction: what it is for, and of what. There is one of each, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IntentKey {
    /// It lets XBRChannel take the deposit of a paying channel.
    Approve(ChannelId),
    /// It opens the channel.
    Open(ChannelId),
    /// The channel was not opened: it takes back what XBRChannel was allowed to take for it.
    Clear(ChannelId),
    /// It shows the contract the channel's final state. One that the contract did not take is followed by another.
    Close {
        /// The channel.
        channel: ChannelId,
        /// How many came before.
        round: u32,
    },
    /// It tells XBRMarket what a member said of a consent.
    Consent(ConsentWord),
}

impl IntentKey {
    /// What it is for, in a word, as traces have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Open(_) => "open",
            Self::Clear(_) => "clear",
            Self::Close { .. } => "close",
            Self::Consent(_) => "consent",
        }
    }

    /// The channel it is about, if it is about one.
    pub const fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Approve(channel)
            | Self::Open(channel)
            | Self::Clear(channel)
            | Self::Close { channel, .. } => Some(*channel),
            Self::Consent(_) => None,
        }
    }
}

/// What a member said of a consent, at a block: one word for each, given or withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConsentWord {
    /// The consent.
    pub consent: ConsentId,
    /// The block that was signed.
    pub signed_at: BlockNumber,
    /// Given, or withdrawn.
    pub granted: bool,
}

impl ConsentWord {
    /// The word that stands in a consent.
    pub fn of(consent: &Consent) -> Self {
        Self {
            consent: consent.id,
            signed_at: consent.signed_at,
            granted: consent.granted,
        }
    }
}

/// What a transaction is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// XBRChannel may take so many tokens of the market maker, in place of what it was allowed before.
    Approve {
        /// Exactly what the channel will lock.
        amount: Amount,
    },
    /// A channel is to be opened.
    Open {
        /// Its terms, with its actor's signature.
        terms: Box<ChannelTerms>,
        /// The block that was signed.
        opened_at: Amount,
        /// What it locked is free again for good, so that it counts no more.
        released: bool,
    },
    /// A channel is to be paid out.
    Close(Box<FinalState>),
    /// A consent is to be given or withdrawn on the chain, in its member's name.
    Consent(Box<SignedConsent>),
}

/// The last state of a channel, as both sides signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalState {
    /// The channel.
    pub channel: ChannelId,
    /// Its market.
    pub market: MarketId,
    /// Its position.
    pub seq: Seq,
    /// What is left in it.
    pub balance: Amount,
    /// The block that was signed.
    pub close_at: Amount,
    /// By its delegate.
    pub delegate_signature: Signature,
    /// By the market maker.
    pub marketmaker_signature: Signature,
}

impl FinalState {
    /// That of a channel, if the contract is to be shown it.
    pub fn of(channel: &Channel) -> Option<Self> {
        channel.shown_at()?;
        let closing = channel.closing.as_deref()?;
        Some(Self {
            channel: channel.id,
            market: channel.market,
            seq: closing.seq,
            balance: closing.balance,
            close_at: closing.close_at,
            delegate_signature: closing.delegate_signature,
            marketmaker_signature: closing.marketmaker_signature,
        })
    }
}

/// What a member said of a consent, as the contract takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedConsent {
    /// What it is about.
    pub key: ConsentKey,
    /// The block that was signed.
    pub signed_at: BlockNumber,
    /// Given, or withdrawn.
    pub granted: bool,
    /// The URIs it covers begin so; the contract takes none that is empty.
    pub service_prefix: String,
    /// The member's signature over the contract's form.
    pub signature: Signature,
}

impl Wanted {
    /// The channel that was asked for is to be opened.
    pub fn open(open: &OpenRequest) -> Self {
        Self::Open {
            terms: Box::new(open.into()),
            opened_at: open.open_at,
            released: false,
        }
    }

    /// What stands in a consent is to be told, signed in the contract's form.
    pub fn consent(consent: &Consent, signature: Signature) -> Self {
        Self::Consent(Box::new(SignedConsent {
            key: consent.key,
            signed_at: consent.signed_at,
            granted: consent.granted,
            service_prefix: consent.service_prefix.clone(),
            signature,
        }))
    }
}

/// What a transaction may cost for each unit of gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GasPrice {
    /// One price: chains from before the London fork.
    Legacy {
        /// Paid in any case.
        price: u64,
    },
    /// A limit for tip and base fee together, and a tip for the miner (EIP-1559).
    Market {
        /// The limit.
        most: u64,
        /// The tip.
        tip: u64,
    },
}

impl GasPrice {
    /// The most that is paid for a unit of gas, in wei.
    pub fn most(&self) -> u64 {
        match *self {
            Self::Legacy { price } => price,
            Self::Market { most, .. } => most,
        }
    }
}

/// One signed form of a transaction. All forms of one have its nonce, so that the chain takes one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The hash that it is known by.
    pub hash: TransactionHash,
    /// What it may cost.
    pub price: GasPrice,
    /// The newest block when it was made.
    pub head: BlockNumber,
    /// When.
    pub at: Nanos,
}

/// How far a transaction has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// It is not signed yet.
    Waiting,
    /// It is signed, and may be in the network, or in a block that does not count yet.
    Sent,
    /// It is in a block that counts, and did what it was for.
    Mined(Mined),
    /// It did not, and never will.
    Failed {
        /// Why, in the contract's words if it has any.
        reason: String,
        /// Where it was reverted; none if another transaction took its place.
        mined: Option<Mined>,
    },
}

/// A transaction that the market maker wants to be on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Which it is.
    pub key: IntentKey,
    /// What it does.
    pub wanted: Wanted,
    /// Its place among the market maker's transactions.
    pub nonce: Nonce,
    /// Gas it may take.
    pub gas_limit: u64,
    /// Its signed forms, the first first.
    pub attempts: Vec<Attempt>,
    /// How far it has come.
    pub progress: Progress,
    /// When it was wanted.
    pub at: Nanos,
}

impl Intent {
    /// Transactions that may be under way at a time. Nodes keep some 64 of a sender.
    pub const MAX_UNFINISHED: usize = 60;
    /// Those that somebody asked for are fewer: to be paid what is owed is not to wait for places that strangers take.
    pub const MAX_UNFINISHED_ASKED: usize = 40;
    /// Those of them that may carry consents: the rest is for channels.
    pub const MAX_UNFINISHED_CONSENTS: usize = 30;
    /// Signed forms of one: with each an eighth dearer than the one before, the last costs more than forty times the first.
    pub const MAX_ATTEMPTS: usize = 32;
    /// Characters of a reason that are kept.
    pub const MAX_REASON: usize = 200;
    /// Transactions that show the final state of one channel. After the last it is its delegate's to show.
    pub const MAX_ROUNDS: u32 = 8;

    /// Whether it is neither mined nor failed.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.progress, Progress::Waiting | Progress::Sent)
    }

    /// The channel it opens, if that is what it does.
    pub fn opens(&self) -> Option<&ChannelTerms> {
        match &self.wanted {
            Wanted::Open { terms, .. } => Some(terms),
            Wanted::Approve { .. } | Wanted::Close(_) | Wanted::Consent(_) => None,
        }
    }

    /// The consent it carries to the chain, if that is what it does.
    pub fn carries(&self) -> Option<&SignedConsent> {
        match &self.wanted {
            Wanted::Consent(said) => Some(said),
            Wanted::Approve { .. } | Wanted::Open { .. } | Wanted::Close(_) => None,
        }
    }

    /// The paying channel that has tokens of the market maker locked because of it, or may come to.
    pub fn locks(&self) -> Option<&ChannelTerms> {
        match &self.wanted {
            Wanted::Open {
                terms,
                released: false,
                ..
            } if terms.kind == ChannelKind::Paying && !matches!(self.progress, Progress::Failed { .. }) => {
                Some(terms)
            }
            _ => None,
        }
    }

    /// The transaction as it is known: where it is mined, else its newest form.
    pub fn transaction(&self) -> Option<TransactionHash> {
        match &self.progress {
            Progress::Mined(mined)
            | Progress::Failed {
                mined: Some(mined), ..
            } => Some(mined.transaction),
            _ => self.attempts.last().map(|attempt| attempt.hash),
        }
    }
}

/// The market maker's nonces: which are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceLine {
    /// The first that was given out here.
    pub first: Nonce,
    /// The next to be.
    pub next: Nonce,
    /// Nonces in between that somebody else used.
    pub skipped: u64,
}

/// What the market maker may lock in paying channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayingLimits {
    /// In all channels of this provider together.
    pub provider: Amount,
    /// In those of all providers.
    pub cap: Amount,
    /// In one channel at least.
    pub minimum: Amount,
    /// And in a payment channel.
    pub payment_minimum: Amount,
    /// How often a channel may be opened for one actor, of either kind.
    pub rate: OpeningRate,
}

/// How many channels may be opened for one actor in any time of a length. Each costs the market maker gas, whatever
/// becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpeningRate {
    /// So many, the failed ones included.
    pub most: u32,
    /// Nanoseconds.
    pub within: Nanos,
}

/// Gas that the transactions of an opening may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpeningGas {
    /// The approval before a paying channel, and the one that takes it back.
    pub approve: u64,
    /// The opening.
    pub open: u64,
}

/// A channel to be opened on the chain. The signatures are already recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntendRequest {
    /// What its actor signed.
    pub open: OpenRequest,
    /// Whom the signature that binds the delegate recovers to, if there is one.
    pub bound_by: Option<Address>,
    /// For a paying channel.
    pub limits: PayingLimits,
    /// Gas for it.
    pub gas: OpeningGas,
}

/// A final state that the contract is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShowRequest {
    /// Its channel.
    pub channel: ChannelId,
    /// The earliest block that it may name: the contract would not take an older one for long enough.
    pub not_before: BlockNumber,
    /// Gas for it.
    pub gas: u64,
    /// When.
    pub at: Nanos,
}

/// How many consents the market maker carries to the chain, and pays for, in [`CarryRequest::PERIOD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarryLimits {
    /// Of one member.
    pub member: u64,
    /// Of all members together.
    pub all: u64,
}

/// A member's word on a consent of its own, to be told to the chain. The signatures are already recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarryRequest {
    /// What it says to the market.
    pub said: ConsentRequest,
    /// Its signature over the contract's form of the same.
    pub signature: Signature,
    /// Whom that recovers to.
    pub signer: Address,
    /// How many are carried.
    pub limits: CarryLimits,
    /// Gas for it.
    pub gas: u64,
}

impl CarryRequest {
    /// A day, in nanoseconds.
    pub const PERIOD: u64 = 24 * 60 * 60 * 1_000_000_000;
    /// Bytes of a service prefix that is carried: each 32 of them cost the market maker 20,000 units of gas, or 40,000.
    pub const MAX_PREFIX: usize = 256;
}

/// A signed form of a transaction, about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRequest {
    /// The transaction.
    pub nonce: Nonce,
    /// Its form.
    pub attempt: Attempt,
}

/// What became of a transaction, in blocks that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It did what it was for.
    Mined(Mined),
    /// It was reverted.
    Reverted {
        /// Where.
        mined: Mined,
        /// Why.
        reason: String,
    },
    /// Another transaction has its nonce.
    Displaced,
}

/// The end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcludeRequest {
    /// The transaction.
    pub nonce: Nonce,
    /// What became of it.
    pub verdict: Verdict,
    /// When.
    pub at: Nanos,
}
