//! Everything that can change a ledger, and what comes of it.

use crate::Amount;
use crate::chain::{Advance, Anchor, AppliedBlock, Followed, Unwind};
use crate::escrow::{Debt, EscrowPayment, EscrowSale};
use crate::ids::{
    Address, BlockNumber, ChannelId, ClientKey, EscrowedKey, KeyId, MarketId, Nanos, OfferId, PurchaseId,
    SealedKey, Seq, SessionId, Signature,
};
use crate::login::{LoginRequest, UserKey};
use crate::outbox::{
    AttemptRequest, CarryRequest, ConcludeRequest, IntendRequest, Intent, Nonce, NonceLine, ShowRequest,
};
use crate::record::{
    Account, Ask, Binding, Channel, ChannelKind, Decision, Doubt, Identity, Offer, Pair, PairKey,
    PriceSource, Purchase, Reconciliation, ShownState, Suspension, Totals,
};
use crate::registry::{Consent, ConsentRequest, Registration, RegistrationKey};
use crate::state::{DroppedWrites, PolicySlot, StateWrite};
use crate::voucher::{Cover, RenewRequest, SignedVoucher, Voucher};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The first record of a ledger: whose it is. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The market.
    pub market: MarketId,
    /// Its market maker.
    pub marketmaker: Address,
    /// The market's owner: recipient of payment channels. In local mode the market maker.
    pub owner: Address,
    /// Tokens the market maker starts with; zero with a chain.
    pub float: Amount,
    /// Whether accounts are kept here: local mode.
    pub local: bool,
    /// When.
    pub at: Nanos,
}

/// A grant of the faucet. Local mode only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundRequest {
    /// Who receives.
    pub address: Address,
    /// How much; the procedure bounds it.
    pub amount: Amount,
    /// When.
    pub at: Nanos,
}

/// A channel to open. The signature is already recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// The channel's id, fresh.
    pub id: ChannelId,
    /// Which way its money flows.
    pub kind: ChannelKind,
    /// The market it names.
    pub market: MarketId,
    /// Who opens it.
    pub actor: Address,
    /// Whose signature will move it.
    pub delegate: Address,
    /// The market maker it names.
    pub marketmaker: Address,
    /// Who receives what is spent.
    pub recipient: Address,
    /// The deposit.
    pub amount: Amount,
    /// Block number it was signed at, 1 at least.
    pub open_at: Amount,
    /// The signature over all this.
    pub signature: Signature,
    /// Whom that signature recovers to.
    pub signer: Address,
    /// When the ledger records it.
    pub at: Nanos,
}

/// Whose a delegate is, on the operator's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindRequest {
    /// The delegate.
    pub delegate: Address,
    /// Its actor.
    pub actor: Address,
    /// Channels of that actor that name it, to be used from now on.
    pub channels: Vec<ChannelId>,
    /// When.
    pub at: Nanos,
}

/// A channel to close. The delegate's signature is already recovered; ours covers the very same state, and is worth
/// nothing unless this is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseRequest {
    /// The channel.
    pub id: ChannelId,
    /// Its position, as signed.
    pub seq: Seq,
    /// What is left in it, as signed.
    pub balance: Amount,
    /// No state follows, as signed.
    pub is_final: bool,
    /// Block number it was signed at.
    pub close_at: Amount,
    /// The delegate's signature.
    pub delegate_signature: Signature,
    /// Whom that signature recovers to.
    pub signer: Address,
    /// Ours.
    pub marketmaker_signature: Signature,
    /// When the ledger records it.
    pub at: Nanos,
}

/// An offer to place, complete but for the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRequest {
    /// The offer; `remaining` equals `copies`, `revoked` is none.
    pub offer: Offer,
    /// The key itself, if the market maker is to sell it without its seller. Only of an offer that its seller signed.
    pub escrow: Option<EscrowedKey>,
}

/// Taking an offer back. Whether the caller may is checked against the offer, inside the write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeRequest {
    /// The key on offer.
    pub key: KeyId,
    /// The calling session.
    pub caller: crate::record::Placer,
    /// The seller's delegate, if the caller proved to be it by a signature.
    pub proven: Option<Address>,
    /// When.
    pub at: Nanos,
}

/// Taking offers that ended off the lists that queries look into, a bounded number at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepRequest {
    /// Those whose end came before this.
    pub ended_before: Nanos,
    /// Where the sweep before this one got to, none for the first.
    pub after: Option<Ending>,
}

/// A place among the offers that may leave the lists, in their order ([`Offer::leaves_lists_at`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ending {
    /// From when on.
    pub at: Nanos,
    /// Which of the offers of that moment.
    pub offer: OfferId,
}

impl Ending {
    /// Where `offer` stands among them; none if it is off the lists already, or never ends.
    pub fn of(offer: &Offer) -> Option<Self> {
        Some(Self {
            at: offer.leaves_lists_at()?,
            offer: offer.id,
        })
    }
}

impl SweepRequest {
    /// Offers that one sweep looks at.
    pub const MAX_OFFERS: usize = 64;
    /// Entries of lists that one sweep takes away, but for those of its last offer.
    pub const MAX_ENTRIES: usize = 128;
    /// Entries of lists that an offer has beside its labels, at most.
    pub const USUAL_ENTRIES: usize = 6;
}

/// The buyer's side of a purchase, whoever sells: what it asks for, and at which price it would get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// A fresh id.
    pub id: PurchaseId,
    /// When.
    pub at: Nanos,
    /// What the buyer asked for.
    pub identity: Identity,
    /// The buyer's delegate as the request names it.
    pub buyer: Address,
    /// Whom `s1` recovers to.
    pub signer: Address,
    /// The buyer's signature.
    pub s1: Signature,
    /// The price in force.
    pub price: Amount,
    /// The market's part of it.
    pub fee: Amount,
    /// How the price came about.
    pub source: PriceSource,
    /// `compat.lenient_seq`: admit a buyer that signed the posted seq instead of the next.
    pub lenient_seq: bool,
    /// What its buyer may spend without a claim that the contract pays; none without a contract.
    pub cover: Option<Cover>,
}

/// A purchase to reserve: every check, then both channels, in one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveRequest {
    /// The buyer's side.
    pub order: Order,
    /// The session that will be asked to sell.
    pub callee: SessionId,
    /// The paying channel the seller serves.
    pub paying_channel: ChannelId,
    /// Its position once posted, as `s2` says.
    pub paying_seq: Seq,
    /// Its balance once posted, as `s2` says.
    pub paying_balance: Amount,
    /// Our signature over that.
    pub s2: Signature,
}

/// A sale of an escrowed key: every check, the buyer's channel, the receipt and what the seller is owed, in one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverRequest {
    /// The buyer's side.
    pub order: Order,
    /// What was opened and sealed: it must still be what the ledger keeps.
    pub escrowed: EscrowedKey,
    /// The data key, sealed to the buyer.
    pub sealed_key: SealedKey,
    /// The payment channel's position that `s4` covers. The balance is the one the buyer signed.
    pub payment_seq: Seq,
    /// Our signature over the payment channel's new state.
    pub s4: Signature,
    /// The decision that [`PriceSource::Policy`] names.
    pub decision: Option<Decision>,
    /// The other decisions that let it pass. Each gets the sale's id.
    pub also: Vec<Decision>,
    /// What the policies of all these decisions wrote, in order.
    pub state_writes: Vec<StateWrite>,
}

/// A further question, to be recorded before the seller is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverRequest {
    /// The reserved purchase.
    pub id: PurchaseId,
    /// When.
    pub at: Nanos,
    /// Why it is asked.
    pub doubt: Doubt,
    /// The state that is asked for.
    pub ask: Ask,
    /// Our signature over that state.
    pub s2: Signature,
}

/// A seller's clean answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostRequest {
    /// The reserved purchase.
    pub id: PurchaseId,
    /// When.
    pub at: Nanos,
    /// The seller's signature over the paying channel's new state.
    pub s3: Signature,
    /// The question it answers: 0 is the first, else that step of recovery, from 1.
    pub recovered: u32,
    /// Whom it recovers to.
    pub signer: Address,
    /// The sealed data key.
    pub sealed_key: SealedKey,
    /// Our signature over the payment channel's new state.
    pub s4: Signature,
    /// The buyer's voucher over that state, with which it was admitted.
    pub voucher: Option<SignedVoucher>,
    /// The decision that [`PriceSource::Policy`] names.
    pub decision: Option<Decision>,
    /// The other decisions that let it pass: of consent and filter policies. Each gets the purchase's id.
    pub also: Vec<Decision>,
    /// What the policies of all these decisions wrote, in order.
    pub state_writes: Vec<StateWrite>,
}

/// Why a purchase was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidReason {
    /// The error URI the buyer gets.
    pub error: String,
    /// In words.
    pub text: String,
    /// The seller's answer was unclear: it may hold a state we signed (`s2`) and consider itself paid.
    pub ambiguous: bool,
}

/// A purchase to undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidRequest {
    /// The reserved purchase.
    pub id: PurchaseId,
    /// When.
    pub at: Nanos,
    /// Why. If ambiguous, the paying channel is suspended, or only the pair if the session that was asked never
    /// answered with the delegate's signature.
    pub reason: VoidReason,
}

/// A state that a delegate shows for its latest. Its signatures are already recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The state.
    pub state: ShownState,
    /// Whom its signature recovers to.
    pub signer: Address,
    /// Whom the other one recovers to, where there is one.
    pub countersigner: Option<Address>,
}

/// A channel to take out of quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileRequest {
    /// The channel.
    pub channel: ChannelId,
    /// The latest state its delegate shows. None only with `accept_loss`: the operator takes the ledger's own state for it.
    pub shown: Option<Shown>,
    /// The operator accepts what is lost: a newer state than the ledger's is posted without the purchases that led to it,
    /// and a state that nobody shows is given up.
    pub accept_loss: bool,
    /// What of all that its seller was paid was for no purchase, as the operator knows. None takes it for earned: a seller's
    /// later state tells of sales that the ledger lost, and they paid whatever they could out of what was prepaid before.
    pub prepaid: Option<Amount>,
    /// When.
    pub at: Nanos,
}

/// Whatever changes a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Endow a new ledger.
    Genesis(Genesis),
    /// Hand out test tokens.
    Fund(FundRequest),
    /// Open a channel.
    Open(Box<OpenRequest>),
    /// Tell whose a delegate is.
    Bind(BindRequest),
    /// Close a channel.
    Close(Box<CloseRequest>),
    /// Place an offer.
    Place(Box<PlaceRequest>),
    /// Take an offer back.
    Revoke(RevokeRequest),
    /// Take offers that ended off the lists.
    Sweep(SweepRequest),
    /// Reserve a purchase.
    Reserve(Box<ReserveRequest>),
    /// Sell an escrowed key.
    Deliver(Arc<DeliverRequest>),
    /// Ask an unclear seller again.
    Recover(RecoverRequest),
    /// Complete a purchase.
    Post(Box<PostRequest>),
    /// Undo a purchase.
    Void(VoidRequest),
    /// The seller behind this paying channel registered anew: it goes on from the posted pair, unless two answers
    /// in a row were unclear; then only the operator may release it.
    ReleaseChannel {
        /// The suspended channel.
        channel: ChannelId,
        /// By the operator's decision.
        by_operator: bool,
    },
    /// The provider registered anew: the pair may try again.
    ReleasePair(PairKey),
    /// The ledger was restored from a backup: a channel that is not settled stands still until it is reconciled.
    Quarantine {
        /// The channel.
        channel: ChannelId,
        /// When.
        at: Nanos,
    },
    /// Take a channel out of quarantine.
    Reconcile(Box<ReconcileRequest>),
    /// What a block says about the registry. A record of a later block stays as it is.
    Register(Box<Registration>),
    /// What a member says about a consent of its own.
    Consent(Box<ConsentRequest>),
    /// The same of one that stands given and ends: it needs no room, and what was recorded with it stays.
    Withdraw(Box<ConsentRequest>),
    /// Record a key that a client logs in with.
    Login(Box<LoginRequest>),
    /// Take such a key back.
    Logout {
        /// The key.
        key: ClientKey,
        /// When.
        at: Nanos,
    },
    /// Go on along the chain.
    Advance(Box<Advance>),
    /// Go back to a block that is still part of it.
    Unwind(Unwind),
    /// Have a channel opened on the chain.
    Intend(Box<IntendRequest>),
    /// Have a channel's final state shown to the contract.
    Show(ShowRequest),
    /// Keep a buyer's claim enforceable.
    Renew(Box<RenewRequest>),
    /// A voucher is worth nothing any more, unless it names a later block than this.
    Lapse {
        /// Its channel.
        channel: ChannelId,
        /// The block.
        close_at: BlockNumber,
    },
    /// Record what a member says about a consent of its own, and have it told to the chain.
    Carry(Box<CarryRequest>),
    /// Sign a transaction, at first or with a higher price.
    Attempt(AttemptRequest),
    /// A transaction has come to its end.
    Conclude(ConcludeRequest),
    /// The chain dropped the block that a transaction was in: it has not come to its end after all.
    Reopen(Nonce),
    /// The market maker's next transaction on the chain has this nonce. Where none of the ledger's is under way, it goes on
    /// from there.
    MoveLine(Nonce),
}

impl Command {
    /// What it is, in a word, as traces have it: never what it is about.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Genesis(_) => "genesis",
            Self::Fund(_) => "fund",
            Self::Open(_) => "open",
            Self::Bind(_) => "bind",
            Self::Close(_) => "close",
            Self::Place(_) => "place",
            Self::Revoke(_) => "revoke",
            Self::Sweep(_) => "sweep",
            Self::Reserve(_) => "reserve",
            Self::Deliver(_) => "deliver",
            Self::Recover(_) => "recover",
            Self::Post(_) => "post",
            Self::Void(_) => "void",
            Self::ReleaseChannel { .. } => "release_channel",
            Self::ReleasePair(_) => "release_pair",
            Self::Quarantine { .. } => "quarantine",
            Self::Reconcile(_) => "reconcile",
            Self::Register(_) => "register",
            Self::Consent(_) => "consent",
            Self::Withdraw(_) => "withdraw",
            Self::Login(_) => "login",
            Self::Logout { .. } => "logout",
            Self::Advance(_) => "advance",
            Self::Unwind(_) => "unwind",
            Self::Intend(_) => "intend",
            Self::Show(_) => "show",
            Self::Renew(_) => "renew",
            Self::Lapse { .. } => "lapse",
            Self::Carry(_) => "carry",
            Self::Attempt(_) => "attempt",
            Self::Conclude(_) => "conclude",
            Self::Reopen(_) => "reopen",
            Self::MoveLine(_) => "move_line",
        }
    }
}

/// A record to write. `store` keeps its indexes from these alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Whose ledger this is.
    Genesis(Genesis),
    /// A member's test tokens.
    Account(Address, Account),
    /// What the ledger was endowed with.
    Totals(Totals),
    /// A channel.
    Channel(Box<Channel>),
    /// A delegate's actor.
    Binding(Address, Binding),
    /// An offer.
    Offer(Box<Offer>),
    /// A purchase. Sent and posted ones are found by (payment channel, payment seq), voided ones are not.
    Purchase(Box<Purchase>),
    /// How a channel came out of quarantine.
    Reconciliation(Box<Reconciliation>),
    /// A sale of an escrowed key, found by (payment channel, payment seq) as posted purchases are.
    EscrowSale(Box<EscrowSale>),
    /// The escrowed key of an offer; none removes it.
    EscrowedKey(KeyId, Option<EscrowedKey>),
    /// What a delegate is owed.
    Debt(Address, Debt),
    /// What the final state of a channel paid of a debt.
    EscrowPayment(ChannelId, EscrowPayment),
    /// A pair.
    Pair(PairKey, Pair),
    /// A decision.
    Decision(Box<Decision>),
    /// A value in a policy's space; none removes it.
    PolicyValue(PolicySlot, Option<Vec<u8>>),
    /// A counter in a policy's space; zero removes it.
    PolicyCounter(PolicySlot, i64),
    /// Bytes that a policy's space takes of its quota; zero removes the record.
    PolicySize(String, u64),
    /// A record of the registry.
    Registered(Box<Registration>),
    /// No such record any more.
    Unregistered(RegistrationKey),
    /// A key that a client logs in with; none drops it.
    UserKey(ClientKey, Option<Box<UserKey>>),
    /// How far the ledger followed the chain; none drops what was kept of a block.
    Block(BlockNumber, Option<Box<AppliedBlock>>),
    /// What the chain says of a channel.
    Anchor(ChannelId, Box<Anchor>),
    /// A transaction of the market maker.
    Intent(Box<Intent>),
    /// A payment channel's voucher; none drops it.
    Voucher(ChannelId, Option<Box<Voucher>>),
    /// Which nonces are given out.
    NonceLine(NonceLine),
}

/// The records one command writes, in order.
pub type Changes = Vec<Change>;

/// What a command came to, for the caller's reply and events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to tell.
    Done,
    /// The account after a grant.
    Funded(Account),
    /// The new channel.
    Opened(Box<Channel>),
    /// The delegate is its actor's.
    Bound {
        /// The channels that are used from now on.
        channels: Vec<Channel>,
    },
    /// The channel as it stands closed.
    Closed {
        /// The channel.
        channel: Box<Channel>,
        /// The very same close was applied before, and nothing happened now.
        again: bool,
    },
    /// The channel is out of quarantine.
    Reconciled(Box<Reconciliation>),
    /// What a block says is on record, or a later word was already.
    Registered {
        /// Whether anything changed.
        changed: bool,
    },
    /// The ledger stands elsewhere on the chain.
    Followed(Box<Followed>),
    /// The transaction is on record, or has been.
    Intended {
        /// It.
        intent: Box<Intent>,
        /// The very same was asked for before, and nothing happened now.
        again: bool,
    },
    /// The consent as it stands, and the transaction that tells the chain.
    Carried {
        /// The consent.
        consent: Box<Consent>,
        /// The transaction.
        intent: Box<Intent>,
        /// The very same was carried before.
        again: bool,
    },
    /// The transaction as it ended.
    Concluded(Box<Intent>),
    /// The consent as it stands.
    Consented(Box<Consent>),
    /// The key as it stands on record.
    LoggedIn(Box<UserKey>),
    /// The key, taken back.
    LoggedOut(Box<UserKey>),
    /// The new offer.
    Placed(Box<Offer>),
    /// The offer, revoked.
    Revoked(Box<Offer>),
    /// Offers that ended are off the lists.
    Swept {
        /// How many.
        offers: usize,
        /// Where to go on at once, if there may be more to do. Those that were passed over wait for the next first sweep.
        next: Option<Ending>,
    },
    /// The purchase is reserved: ask the seller.
    Reserved(Box<Purchase>),
    /// The step is on record: ask the seller again.
    Recovering(Box<Purchase>),
    /// The same purchase was posted before: replay its receipt.
    Replayed(Box<Purchase>),
    /// The purchase is posted; both channels as they stand now.
    Posted {
        /// The purchase.
        purchase: Box<Purchase>,
        /// The buyer's channel.
        payment: Box<Channel>,
        /// The seller's channel.
        paying: Box<Channel>,
        /// What its policies wrote and was not kept, usually nothing.
        dropped: Vec<DroppedWrites>,
    },
    /// The escrowed key is sold.
    Delivered {
        /// The sale.
        sale: Box<EscrowSale>,
        /// The buyer's channel as it stands now.
        payment: Box<Channel>,
        /// The very same purchase was posted before, and nothing happened now.
        again: bool,
        /// What its policies wrote and was not kept, usually nothing.
        dropped: Vec<DroppedWrites>,
    },
    /// The purchase is void.
    Voided {
        /// The purchase.
        purchase: Box<Purchase>,
        /// Set if the paying channel is suspended now.
        channel_suspended: Option<Suspension>,
        /// Set if the pair is suspended now.
        pair_suspended: Option<Suspension>,
    },
}
