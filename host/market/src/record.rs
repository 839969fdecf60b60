//! The records the ledger keeps. Each is one value under one key; `store` adds the indexes.

use crate::ids::{
    Address, ApiId, BlockNumber, BuyerPubkey, CatalogId, ChannelId, DecisionId, KeyId, MarketId, Nanos,
    OfferId, PurchaseId, RevisionId, SealedKey, Seq, SessionId, Signature,
};
use crate::{Amount, VoidReason};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The block that states name that are exchanged to buy and sell: the first. The contract takes them no more on any chain that
/// keys are sold on.
pub const OFF_CHAIN_CLOSE_AT: Amount = Amount::from_units(1);

/// Test tokens of one member in local mode; nothing of this exists with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// What the member may still deposit into channels.
    pub balance: Amount,
    /// Everything the faucet ever gave it.
    pub granted: Amount,
}

/// What a local ledger was endowed with: accounts and channels together always hold `float + granted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Tokens the market maker started with.
    pub float: Amount,
    /// Tokens the faucet handed out.
    pub granted: Amount,
}

/// Which way the money of a channel flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ChannelKind {
    /// From a buyer to the market.
    Payment = 1,
    /// From the market to a seller.
    Paying = 2,
}

/// Where a channel stands in its life; the numbers are those of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ChannelState {
    /// Purchases may move it.
    Open = 1,
    /// A closing state is signed; no purchase any more.
    Closing = 2,
    /// Settled.
    Closed = 3,
    /// Settlement failed.
    Failed = 4,
}

/// A payment or paying channel with its balance.
///
/// `remaining + inflight + spent = amount` holds in every committed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its identifier.
    pub id: ChannelId,
    /// Which way its money flows.
    pub kind: ChannelKind,
    /// The market it belongs to.
    pub market: MarketId,
    /// Who opened it and signed for that.
    pub actor: Address,
    /// Whose signature moves it.
    pub delegate: Address,
    /// The market maker, its other side.
    pub marketmaker: Address,
    /// Who receives what was spent.
    pub recipient: Address,
    /// The deposit.
    pub amount: Amount,
    /// Block number signed at opening.
    pub open_at: Amount,
    /// When the ledger recorded it.
    pub opened: Nanos,
    /// The actor's signature over the opening.
    pub open_signature: Signature,
    /// Where it stands.
    pub state: ChannelState,
    /// False if its delegate belongs to another actor: such a channel is never used.
    pub bound: bool,
    /// Last posted position.
    pub seq: Seq,
    /// Neither spent nor reserved.
    pub remaining: Amount,
    /// Reserved by the pending purchase.
    pub inflight: Amount,
    /// Paid for posted purchases.
    pub spent: Amount,
    /// The one purchase that is reserved and not yet resolved.
    pub pending: Option<PurchaseId>,
    /// Set while a seller's unclear answer keeps a paying channel from selling.
    pub suspended: Option<Suspension>,
    /// Unclear answers since the last posted purchase that left nothing open: what the market maker may have to bear.
    pub unresolved: u32,
    /// The last voided purchase whose seller may have adopted a state it was shown. Cleared by the next posted one,
    /// which tells where the seller stands.
    pub abandoned: Option<PurchaseId>,
    /// What a seller was paid for purchases that were void for their buyers: netted from what it is owed next.
    pub prepaid: Amount,
    /// The one final state of a channel that is no longer open.
    pub closing: Option<Box<Closing>>,
    /// Set while nobody knows whether the channel stands where this record says: since its ledger was restored from a
    /// backup. Nothing moves it until it is reconciled.
    pub quarantined: Option<Nanos>,
}

/// The final state of a channel with both signatures, each over the same `EIP712ChannelClose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// When the ledger recorded it; from then on no purchase moves the channel.
    pub at: Nanos,
    /// Block number it was signed at.
    pub close_at: Amount,
    /// The channel's last position.
    pub seq: Seq,
    /// What was left in it: the actor's, or the market maker's where the channel was a paying one.
    pub balance: Amount,
    /// What of the balance had been prepaid, and was given back: [`Channel::prepaid`] as it was.
    pub returned: Amount,
    /// No state follows. Without a chain always so.
    pub is_final: bool,
    /// The delegate's signature.
    pub delegate_signature: Signature,
    /// Ours.
    pub marketmaker_signature: Signature,
}

impl Channel {
    /// What was left after the last posted purchase: the balance both sides signed, with [`Channel::seq`].
    pub fn posted_remaining(&self) -> Amount {
        self.remaining.saturating_add(self.inflight)
    }

    /// What its final state gave back of what had been prepaid.
    pub fn returned(&self) -> Amount {
        self.closing
            .as_ref()
            .map_or(Amount::ZERO, |closing| closing.returned)
    }

    /// How a seller's credit is paid: what goes over the channel now, and what was paid before.
    pub fn net(&self, credit: Amount) -> (Amount, Amount) {
        let prepaid = self.prepaid.min(credit);
        (credit.checked_sub(prepaid).unwrap_or_default(), prepaid)
    }

    /// Who gets what is left: the member that deposited it, or the market maker, whose money a paying channel locks.
    pub fn depositor(&self) -> Address {
        match self.kind {
            ChannelKind::Payment => self.actor,
            ChannelKind::Paying => self.marketmaker,
        }
    }

    /// The block that its final state names, if the contract is to be shown it: both signed, and over no block of states that
    /// are exchanged only.
    pub fn shown_at(&self) -> Option<BlockNumber> {
        let closing = self.closing.as_deref().filter(|closing| closing.is_final)?;
        let fresh = closing.close_at > OFF_CHAIN_CLOSE_AT && self.state == ChannelState::Closing;
        closing.close_at.to_u64().filter(|_| fresh).map(BlockNumber)
    }

    /// Whether clients may find it as their active channel: open, theirs, and something left in it. One in quarantine is
    /// not: they would adopt a pair that may be long past.
    pub fn is_live(&self) -> bool {
        self.bound
            && self.state == ChannelState::Open
            && self.quarantined.is_none()
            && !self.posted_remaining().is_zero()
    }
}

/// How a channel came out of quarantine, kept for ever: where it moved without a purchase on record, this is why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// The channel.
    pub channel: ChannelId,
    /// Which way its money flows.
    pub kind: ChannelKind,
    /// When it was released.
    pub at: Nanos,
    /// Since when it had been in quarantine.
    pub quarantined: Nanos,
    /// Where the restored ledger had it.
    pub seq: Seq,
    /// What was left there.
    pub remaining: Amount,
    /// The latest state that its delegate showed, and where it stands since. None where the operator took the ledger's
    /// own for it, unseen: what it moved by since the backup is lost.
    pub shown: Option<ShownState>,
}

/// A state with its delegate's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownState {
    /// The position.
    pub seq: Seq,
    /// What is left there.
    pub balance: Amount,
    /// The delegate's signature over both.
    pub signature: Signature,
    /// The market maker's over the same, where it was shown: of a seller's later state always.
    pub countersignature: Option<Signature>,
}

impl Reconciliation {
    /// Positions that it moved the channel by: sales whose records are lost.
    pub fn positions(&self) -> u32 {
        let shown = self.shown.map_or(self.seq, |shown| shown.seq);
        shown.0.saturating_sub(self.seq.0)
    }

    /// What these sales took from the channel.
    pub fn amount(&self) -> Amount {
        let shown = self.shown.map_or(self.remaining, |shown| shown.balance);
        self.remaining.checked_sub(shown).unwrap_or_default()
    }
}

/// Why something stands still: a state we signed went to a seller whose answer proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when.
    pub at: Nanos,
    /// The purchase that was voided for its buyer.
    pub purchase: PurchaseId,
    /// What the seller did, in words.
    pub why: String,
}

/// The actor a delegate belongs to: the first that opened a channel naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The delegate's actor.
    pub actor: Address,
    /// The channel that bound it.
    pub channel: ChannelId,
    /// When.
    pub at: Nanos,
}

/// What a seller asks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Price {
    /// A price of its own; zero is free.
    Fixed(Amount),
    /// The market prices it at every quote.
    Dynamic,
}

/// How a seller wants a dynamic price to be found. Every part is optional.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PricingTerms {
    /// The pricing policy the seller chose, by name.
    pub policy: Option<String>,
    /// Parameters laid over those of the rule: a JSON object.
    pub params: Option<String>,
    /// Never sell below.
    pub floor: Option<Amount>,
    /// Never sell above.
    pub cap: Option<Amount>,
}

/// Who placed an offer, and so may revoke it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placer {
    /// The WAMP session.
    pub session: SessionId,
    /// The authid it had proven, none for an anonymous session.
    pub authid: Option<String>,
}

/// A key on offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its identifier.
    pub id: OfferId,
    /// The key on offer; one offer for each key, ever.
    pub key: KeyId,
    /// The API the data belongs to.
    pub api: ApiId,
    /// The catalog of that API, where known.
    pub catalog: Option<CatalogId>,
    /// Where the data is published: an exact URI or a prefix.
    pub uri: String,
    /// The seller's delegate.
    pub seller: Address,
    /// The part of `xbr.provider.<id>.` under which the seller answers.
    pub provider_id: Option<String>,
    /// Who placed it.
    pub placer: Placer,
    /// When it was placed.
    pub placed_at: Nanos,
    /// Sold from then on; none is at once.
    pub valid_from: Option<Nanos>,
    /// Sold until then; none is for ever.
    pub expires: Option<Nanos>,
    /// When its seller took it back.
    pub revoked: Option<Nanos>,
    /// What came as `delegate_signature`.
    pub signature: Signature,
    /// Whether that signature was verified. Ignored bytes are never proof.
    pub signature_verified: bool,
    /// The placing session answered under [`Offer::provider_id`] then. No proof, for anybody may while nobody does.
    pub claimed: bool,
    /// It ended by itself or is sold out, and was taken off the lists that queries look into.
    pub unlisted: bool,
    /// Fixed or dynamic.
    pub price: Price,
    /// The seller's wishes for a dynamic price.
    pub pricing: PricingTerms,
    /// How often it may be sold; none is without limit.
    pub copies: Option<u32>,
    /// Copies neither sold nor reserved.
    pub remaining: Option<u32>,
    /// Labels, sorted by key, at most 32.
    pub categories: BTreeMap<String, String>,
}

impl Offer {
    /// Labels of one offer at most: placing one with more is refused, and the store keeps room for so many.
    pub const MAX_CATEGORIES: usize = 32;

    /// Whether queries may find it: neither taken back nor taken off the lists.
    pub fn is_listed(&self) -> bool {
        self.revoked.is_none() && !self.unlisted
    }

    /// When it may be taken off the lists: at its end, or at any time once no copy is left. None if it is off already, or
    /// never ends.
    pub fn leaves_lists_at(&self) -> Option<Nanos> {
        match self.remaining {
            _ if !self.is_listed() => None,
            Some(0) => Some(Nanos(0)),
            _ => self.expires,
        }
    }

    /// The pair that answers for it: its seller under its provider id, the empty one where it names none.
    pub fn pair(&self) -> PairKey {
        PairKey {
            delegate: self.seller,
            provider_id: self.provider_id.clone().unwrap_or_default(),
        }
    }

    /// Whether `callee` may be asked to sell it, `pair` being what is known of [`Offer::pair`].
    ///
    /// A seller signs whatever state the market maker has signed, for any key it knows. So it is asked for the keys
    /// that it offered itself: on this very session, on one that proved to be its own, under its proven authid, or
    /// with its signature. Else anybody could offer its keys in its name, at no price, and it would sell them. Only
    /// while no session has proved anything, one that answered under the provider id is believed.
    pub fn may_be_sold_by(&self, callee: SessionId, pair: &Pair) -> bool {
        let placer = &self.placer;
        let own_session = if pair.is_proven() {
            pair.sessions.contains(&placer.session)
        } else {
            self.claimed
        };
        let own_authid = placer.authid.is_some() && placer.authid == self.provider_id;
        callee == placer.session || own_session || own_authid || self.signature_verified
    }
}

/// What makes two requests to buy the same purchase. The signature is verified, never part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The payment channel.
    pub channel: ChannelId,
    /// The position the buyer signed.
    pub seq: Seq,
    /// The key it wants.
    pub key: KeyId,
    /// Whom the key is sealed to.
    pub buyer_pubkey: BuyerPubkey,
    /// The most the buyer pays.
    pub amount: Amount,
    /// The balance the buyer signed.
    pub balance: Amount,
}

/// Where a purchase stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PurchaseState {
    /// Reserved; the seller has been asked, or is about to be.
    Sent,
    /// Paid and delivered.
    Posted {
        /// When.
        at: Nanos,
        /// The seller's signature over the paying channel's new state.
        s3: Signature,
        /// Our signature over the payment channel's new state.
        s4: Signature,
        /// The data key, sealed to the buyer.
        sealed_key: SealedKey,
        /// The question that `s3` answers: 0 is the first, else that one of [`Purchase::recoveries`], from 1.
        recovered: u32,
    },
    /// Undone: nobody paid.
    Voided {
        /// When.
        at: Nanos,
        /// Why.
        reason: VoidReason,
    },
}

/// How a price came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PriceSource {
    /// The offer's own price.
    Fixed,
    /// A policy's decision, kept under this id.
    Policy(DecisionId),
    /// The seller's delegate, asked for its price of an offer that has none.
    Seller,
}

/// A state of a paying channel that its seller is asked to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// The position.
    pub seq: Seq,
    /// What the seller gets beyond the state it is asked to leave.
    pub amount: Amount,
    /// What is left in the channel then.
    pub balance: Amount,
}

impl Ask {
    /// The state after this one at which nothing more is paid: whoever advanced to this one agrees to it, and its
    /// signature covers both. None beyond the last position there is.
    pub fn confirmed(&self) -> Option<Self> {
        Some(Self {
            seq: self.seq.next()?,
            amount: Amount::ZERO,
            balance: self.balance,
        })
    }

    /// The state after this one at which no more than `balance` is left: what was paid for this one counts towards it.
    /// None beyond the last position there is.
    pub fn netted(&self, balance: Amount) -> Option<Self> {
        let balance = self.balance.min(balance);
        Some(Self {
            seq: self.seq.next()?,
            amount: self.balance.checked_sub(balance)?,
            balance,
        })
    }
}

/// Why the seller of a purchase is asked another question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// Its answer was unclear: it may have advanced to the state it was asked for, and is asked to confirm it.
    Unclear,
    /// It says that it stands elsewhere: it may have adopted a state of the purchase that [`Channel::abandoned`] names,
    /// and is asked to go on from there. What it was paid then counts.
    Elsewhere,
}

/// A further question to the seller of a purchase. Whatever it answers, it gets no more than this purchase or the
/// abandoned one, whichever is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// When it was recorded, before it left.
    pub at: Nanos,
    /// Why.
    pub doubt: Doubt,
    /// The state that is asked for.
    pub ask: Ask,
    /// Our signature over that state.
    pub s2: Signature,
}

/// One attempt to buy a key, with every signature that was given for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Its identifier.
    pub id: PurchaseId,
    /// What the buyer asked for.
    pub identity: Identity,
    /// The offer.
    pub offer: OfferId,
    /// The API of the offer.
    pub api: ApiId,
    /// The seller's delegate.
    pub seller: Address,
    /// The buyer's delegate.
    pub buyer: Address,
    /// When it was reserved.
    pub at: Nanos,
    /// What the buyer pays: the seller's credit and the market's fee.
    pub price: Amount,
    /// The market's part of the price.
    pub fee: Amount,
    /// How the price came about.
    pub source: PriceSource,
    /// Position of the payment channel once posted.
    pub payment_seq: Seq,
    /// Balance of the payment channel once posted.
    pub payment_balance: Amount,
    /// The session that is asked to sell.
    pub callee: SessionId,
    /// The paying channel.
    pub paying_channel: ChannelId,
    /// Position of the paying channel that the seller was asked for first. Where the purchase took it tells
    /// [`Purchase::answered`].
    pub paying_seq: Seq,
    /// Balance of the paying channel that the seller was asked for first.
    pub paying_balance: Amount,
    /// The part of its credit that the seller had been paid before: [`Channel::prepaid`].
    pub prepaid: Amount,
    /// The buyer's signature over the payment channel's new state.
    pub s1: Signature,
    /// Our signature over the paying channel's new state.
    pub s2: Signature,
    /// Where it stands.
    pub state: PurchaseState,
    /// What the seller was asked after unclear answers, in order.
    pub recoveries: Vec<Recovery>,
}

impl Purchase {
    /// Unclear answers after which a seller is asked to confirm.
    pub const RECOVERIES: usize = 2;
    /// Further questions of one purchase, of all kinds.
    pub const QUESTIONS: usize = 8;

    /// The question that the seller answered: 0 is the first. So it is before the purchase is posted.
    pub fn recovered(&self) -> u32 {
        match self.state {
            PurchaseState::Posted { recovered, .. } => recovered,
            PurchaseState::Sent | PurchaseState::Voided { .. } => 0,
        }
    }

    /// The state that question asked for, 0 being the first; none that is not on record.
    pub fn ask(&self, question: u32) -> Option<Ask> {
        match question.checked_sub(1) {
            None => Some(Ask {
                seq: self.paying_seq,
                amount: self.payable()?,
                balance: self.paying_balance,
            }),
            Some(at) => self
                .recoveries
                .get(usize::try_from(at).ok()?)
                .map(|step| step.ask),
        }
    }

    /// Every state its seller was asked for, in order.
    pub fn asks(&self) -> impl DoubleEndedIterator<Item = Ask> + '_ {
        let steps = self.recoveries.iter().map(|step| step.ask);
        self.ask(0).into_iter().chain(steps)
    }

    /// Where the purchase takes the paying channel: the state that was answered.
    pub fn answered(&self) -> Option<Ask> {
        self.ask(self.recovered())
    }

    /// What the seller receives for it.
    pub fn credit(&self) -> Option<Amount> {
        self.price.checked_sub(self.fee)
    }

    /// What of that it is still to be paid.
    pub fn payable(&self) -> Option<Amount> {
        self.credit()?.checked_sub(self.prepaid)
    }

    /// What was left in the paying channel before it.
    pub fn paying_base(&self) -> Option<Amount> {
        self.paying_balance.checked_add(self.payable()?)
    }

    /// What it keeps in flight on the paying channel: the most that any state its seller was shown would pay.
    pub fn held(&self) -> Option<Amount> {
        let lowest = self.asks().map(|ask| ask.balance).min()?;
        self.paying_base()?.checked_sub(lowest)
    }
}

/// A seller's delegate and the provider id its offers name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairKey {
    /// The delegate whose paying channel is used.
    pub delegate: Address,
    /// Under which its calls are registered.
    pub provider_id: String,
}

/// What is known of a [`PairKey`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pair {
    /// Sessions that answered with the delegate's valid signature, the last [`Pair::SESSIONS`] of them, oldest first.
    pub sessions: Vec<SessionId>,
    /// Set while an unclear answer of a session that never proved itself keeps the pair from selling.
    pub suspended: Option<Suspension>,
}

impl Pair {
    /// Proven sessions that are remembered. A seller that restarts more often loses the offers of its first sessions.
    pub const SESSIONS: usize = 64;

    /// It has answered with the delegate's valid signature once: it is who it says.
    pub fn is_proven(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// Remembers that `session` answered so. False if that was known.
    pub fn prove(&mut self, session: SessionId) -> bool {
        if self.sessions.contains(&session) {
            return false;
        }
        if self.sessions.len() >= Self::SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
        true
    }
}

/// What is known of a decision without reading its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionHeader {
    /// When the request was decoded.
    pub at: Nanos,
    /// Which hook decided: `pricing`, `offers` or `consent`; of a shadow `shadow.pricing` and so on.
    pub hook: String,
    /// The policy's name.
    pub policy: String,
    /// Its revision.
    pub revision: RevisionId,
    /// The posted purchase it belongs to. Set when the ledger keeps it, whatever it was before; a decision that came to
    /// no purchase has none.
    pub purchase: Option<PurchaseId>,
}

impl DecisionHeader {
    /// What stands before the hook where a shadow decided. The body is as the revision in force would have left it.
    pub const SHADOW: &str = "shadow.";

    /// Whether a shadow decided, and nobody was told.
    pub fn is_of_shadow(&self) -> bool {
        self.hook.starts_with(Self::SHADOW)
    }
}

/// One recorded decision of a policy. The body is encoded and read by `policy` alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its identifier.
    pub id: DecisionId,
    /// What it is about.
    pub header: DecisionHeader,
    /// Input, imports, output, fuel and time, encoded.
    pub body: Vec<u8>,
}
