//! The ways a ledger can be wrong.

use crate::outbox::{Nonce, NonceLine};
use crate::{Address, Amount, ChannelId, ChannelKind, Debt, DecisionId, KeyId, OfferId, PurchaseId, Seq};

/// Which of its two channels a purchase is looked at from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The buyer's payment channel.
    Payment,
    /// The seller's paying channel.
    Paying,
}

impl core::fmt::Display for Side {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Payment => "payment",
            Self::Paying => "paying",
        })
    }
}

impl From<ChannelKind> for Side {
    fn from(kind: ChannelKind) -> Self {
        match kind {
            ChannelKind::Payment => Self::Payment,
            ChannelKind::Paying => Self::Paying,
        }
    }
}

/// An invariant that does not hold, with the values that break it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// remaining + inflight + spent ≠ amount.
    #[error("channel {channel}: remaining + inflight + spent is {parts}, its deposit {amount}")]
    ChannelSum {
        /// The channel.
        channel: ChannelId,
        /// The sum of the three; 2^256 − 1 if it exceeds that.
        parts: Amount,
        /// Deposited.
        amount: Amount,
    },
    /// Tokens reserved for nothing.
    #[error("channel {channel} holds {inflight} in flight without a pending purchase")]
    InflightWithoutPending {
        /// The channel.
        channel: ChannelId,
        /// Reserved.
        inflight: Amount,
    },
    /// Fields of a channel record that exclude each other.
    #[error("channel {channel}: {what}")]
    ChannelShape {
        /// The channel.
        channel: ChannelId,
        /// What is wrong, in words.
        what: &'static str,
    },
    /// A transaction of the market maker whose record does not hold together.
    #[error("the transaction of nonce {nonce}: {what}")]
    Transaction {
        /// Its nonce.
        nonce: Nonce,
        /// What is wrong, in words.
        what: &'static str,
    },
    /// Nonces that are given out and no transaction has, or the other way round.
    #[error(
        "nonces {} to {} are given out but for the last, {} of them passed over, and there are {count} transactions",
        line.first, line.next, line.skipped
    )]
    NonceLine {
        /// What is on record.
        line: NonceLine,
        /// Transactions.
        count: u64,
    },
    /// A channel that may be used although its delegate belongs to somebody else, or to nobody.
    #[error("channel {channel} is bound, but delegate {delegate} does not belong to its actor")]
    BoundElsewhere {
        /// The channel.
        channel: ChannelId,
        /// Its delegate.
        delegate: Address,
    },
    /// The seq of a channel is not 1 + its posted purchases and the further questions they were answered by.
    #[error(
        "channel {channel} stands at seq {seq}, posted purchases and their recoveries moved it by {moved}"
    )]
    SeqCount {
        /// The channel.
        channel: ChannelId,
        /// Where it stands.
        seq: Seq,
        /// Purchases posted on it, and steps of recovery that a seller answered.
        moved: u64,
    },
    /// What a channel spent is not what its posted purchases cost.
    #[error("channel {channel} has spent {spent}, its posted purchases add up to {posted}")]
    SpentMismatch {
        /// The channel.
        channel: ChannelId,
        /// As the channel says.
        spent: Amount,
        /// As its purchases say; 2^256 − 1 if they exceed that.
        posted: Amount,
    },
    /// What a channel prepaid is not what its posted purchases left of it.
    #[error("channel {channel} has prepaid {prepaid}, its posted purchases leave {left}")]
    PrepaidMismatch {
        /// The channel.
        channel: ChannelId,
        /// As the channel says.
        prepaid: Amount,
        /// As its purchases say; 2^256 − 1 if they say nothing sensible.
        left: Amount,
    },
    /// The signed balances of a channel's posted purchases do not lead from its deposit to its posted balance.
    #[error("channel {channel}: the balances of its posted purchases do not form one line")]
    BrokenTrail {
        /// The channel.
        channel: ChannelId,
    },
    /// Two posted purchases at one position of a channel.
    #[error("the {side} channel {channel} was posted twice at seq {seq}")]
    DuplicateSeq {
        /// Which of the purchase's channels.
        side: Side,
        /// The channel.
        channel: ChannelId,
        /// The position.
        seq: Seq,
    },
    /// A purchase on a channel that does not exist or is of the other kind.
    #[error("purchase {purchase} names {side} channel {channel}, which is no such channel")]
    UnknownChannel {
        /// Which of the purchase's channels.
        side: Side,
        /// The purchase.
        purchase: PurchaseId,
        /// The channel.
        channel: ChannelId,
    },
    /// A purchase whose buyer or seller is not the delegate of its channel.
    #[error("purchase {purchase} names {named} where {side} channel {channel} has delegate {delegate}")]
    WrongParty {
        /// Which of the purchase's channels.
        side: Side,
        /// The purchase.
        purchase: PurchaseId,
        /// The channel.
        channel: ChannelId,
        /// The buyer or seller as the purchase says.
        named: Address,
        /// The channel's delegate.
        delegate: Address,
    },
    /// A sent purchase that its channel does not know as pending.
    #[error("purchase {purchase} is sent, but not pending on its {side} channel {channel}")]
    SentNotPending {
        /// Which of the purchase's channels.
        side: Side,
        /// The purchase.
        purchase: PurchaseId,
        /// The channel.
        channel: ChannelId,
    },
    /// A channel whose pending purchase is not sent, or does not exist.
    #[error("{side} channel {channel} waits for purchase {purchase}, which is not sent on it")]
    PendingNotSent {
        /// Which kind of channel.
        side: Side,
        /// The channel.
        channel: ChannelId,
        /// The pending purchase.
        purchase: PurchaseId,
    },
    /// A pending purchase for which its channel reserved something else, or at another position.
    #[error("{side} channel {channel} does not reserve what its pending purchase {purchase} says")]
    ReservedMismatch {
        /// Which kind of channel.
        side: Side,
        /// The channel.
        channel: ChannelId,
        /// The pending purchase.
        purchase: PurchaseId,
    },
    /// Fields of a purchase record that exclude each other.
    #[error("purchase {purchase}: {what}")]
    PurchaseShape {
        /// The purchase.
        purchase: PurchaseId,
        /// What is wrong, in words.
        what: &'static str,
    },
    /// Copies sold, reserved and left do not add up.
    #[error("offer {offer}: of {copies:?} copies {remaining:?} are left and {taken} sold or reserved")]
    Copies {
        /// The offer.
        offer: OfferId,
        /// As placed.
        copies: Option<u32>,
        /// As left.
        remaining: Option<u32>,
        /// Sent and posted purchases.
        taken: u64,
    },
    /// A price of a policy without the decision that explains it.
    #[error("posted purchase {purchase} names decision {decision}, which is not recorded")]
    MissingDecision {
        /// The purchase.
        purchase: PurchaseId,
        /// The decision.
        decision: DecisionId,
    },
    /// A decision that belongs to no posted purchase.
    #[error("decision {decision} belongs to {}", owner(*.purchase))]
    OrphanDecision {
        /// The decision.
        decision: DecisionId,
        /// The purchase it names, if it names one.
        purchase: Option<PurchaseId>,
    },
    /// A policy keeps something that could not have been written.
    #[error("the state of policy {policy}, key {key}: {what}")]
    StateShape {
        /// The policy.
        policy: String,
        /// The key.
        key: String,
        /// What is wrong, in words.
        what: &'static str,
    },
    /// A policy's space is not as large as its record says.
    #[error("the state of policy {policy} takes {found} bytes, its record says {recorded}")]
    StateSize {
        /// The policy.
        policy: String,
        /// Sum over its keys and values.
        found: u64,
        /// As recorded, 0 without a record.
        recorded: u64,
    },
    /// Tokens appeared or vanished (local mode).
    #[error("accounts and channels hold {held}, float and grants are {endowed}")]
    Conservation {
        /// All accounts and all channels that are not settled; 2^256 − 1 if they exceed that.
        held: Amount,
        /// Float and grants, as the totals say; 2^256 − 1 if they exceed that.
        endowed: Amount,
    },
    /// The faucet's grants, account by account, are not the total (local mode).
    #[error("the accounts were granted {accounts}, the ledger says {total}")]
    Grants {
        /// Sum over all accounts; 2^256 − 1 if it exceeds that.
        accounts: Amount,
        /// As the totals say.
        total: Amount,
    },
    /// What a delegate is owed and was paid is not what its escrowed keys earned.
    #[error(
        "delegate {delegate} is owed {} and was paid {} for {} escrowed sales; {sold} sales earned {earned}, and its channels \
         paid {paid}",
        .debt.owed, .debt.settled, .debt.sales
    )]
    Debt {
        /// The delegate.
        delegate: Address,
        /// What its record says.
        debt: Box<Debt>,
        /// By the sales; 2^256 − 1 if they exceed that.
        earned: Amount,
        /// By its channels; 2^256 − 1 if they exceed that.
        paid: Amount,
        /// How many sales there are.
        sold: u64,
    },
    /// A debt that was paid over a channel that may not pay it: open, somebody else's, or not there.
    #[error("channel {channel} paid for escrowed keys, and is no closed paying channel of their seller")]
    StrayPayment {
        /// The channel.
        channel: ChannelId,
    },
    /// A sale of an escrowed key that is owed to somebody else than the delegate that signed its offer.
    #[error("purchase {purchase} of escrowed key {key} is owed to {named}, who signed no offer of it")]
    WrongCreditor {
        /// The sale.
        purchase: PurchaseId,
        /// The key.
        key: KeyId,
        /// Whom the sale names.
        named: Address,
    },
    /// A key that is kept although nobody may buy it.
    #[error("key {key} is in escrow, and no signed offer of it is in force")]
    StrayKey {
        /// The key.
        key: KeyId,
    },
    /// Buyers' debits are not sellers' credits and fees.
    #[error("buyers paid {debits}, sellers received {credits} for it and the market {fees}")]
    Debits {
        /// Spent by all payment channels.
        debits: Amount,
        /// Spent by all paying channels but for what was prepaid, and what is owed for escrowed keys beside.
        credits: Amount,
        /// Fees of all posted purchases.
        fees: Amount,
    },
    /// Keys to log in with that should not be so.
    #[error("the keys of {party}: {what}")]
    UserKeys {
        /// Whose keys.
        party: Address,
        /// What is wrong.
        what: &'static str,
    },
    /// Records without the one that says whose they are.
    #[error("there are records, but no genesis record")]
    NoGenesis,
    /// More violations than are kept.
    #[error("and {count} more")]
    More {
        /// How many were left out.
        count: u64,
    },
}

fn owner(purchase: Option<PurchaseId>) -> String {
    purchase.map_or_else(
        || "no purchase".to_owned(),
        |id| format!("purchase {id}, which is not posted"),
    )
}
