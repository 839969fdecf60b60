//! How [`crate::apply`] reads the ledger it is about to change.

use crate::chain::{Anchor, AppliedBlock};
use crate::command::{Ending, Genesis};
use crate::escrow::{Debt, EscrowPayment, EscrowSale};
use crate::ids::{
    Address, ApiId, BlockNumber, CatalogId, ChannelId, ClientKey, ConsentId, DecisionId, EscrowedKey, KeyId,
    MarketId, Nanos, OfferId, PurchaseId, Seq,
};
use crate::login::UserKey;
use crate::outbox::{Intent, IntentKey, Nonce, NonceLine};
use crate::record::{Account, Binding, Channel, Offer, Pair, PairKey, Purchase, Totals};
use crate::refusal::Refusal;
use crate::registry::{Actor, ActorKey, Api, Catalog, Consent, ConsentKey, Market, Member};
use crate::state::PolicySlot;
use crate::voucher::Voucher;
use std::collections::BTreeSet;

/// Point reads of records. Within a batch it already shows what earlier commands wrote.
pub trait View {
    /// How reading can fail.
    type Error;

    /// Whose ledger this is.
    fn genesis(&self) -> Result<Option<Genesis>, Self::Error>;
    /// What the ledger was endowed with.
    fn totals(&self) -> Result<Totals, Self::Error>;
    /// A member's test tokens.
    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error>;
    /// A channel of either kind.
    fn channel(&self, id: &ChannelId) -> Result<Option<Channel>, Self::Error>;
    /// A delegate's actor.
    fn binding(&self, delegate: &Address) -> Result<Option<Binding>, Self::Error>;
    /// The offer of a key.
    fn offer_by_key(&self, key: &KeyId) -> Result<Option<Offer>, Self::Error>;
    /// At most `most` offers that may leave the lists before `until` ([`Offer::leaves_lists_at`]), the first of them behind
    /// `after` first.
    fn ended_offers(
        &self,
        after: Option<Ending>,
        until: Nanos,
        most: usize,
    ) -> Result<Vec<Offer>, Self::Error>;
    /// The offers of all purchases that are reserved and not yet resolved.
    fn reserved_offers(&self) -> Result<BTreeSet<OfferId>, Self::Error>;
    /// A purchase, whatever became of it.
    fn purchase(&self, id: &PurchaseId) -> Result<Option<Purchase>, Self::Error>;
    /// The sent or posted purchase that takes a payment channel to `seq`.
    fn purchase_at(&self, channel: &ChannelId, seq: Seq) -> Result<Option<Purchase>, Self::Error>;
    /// A sale of an escrowed key.
    fn escrow_sale(&self, id: &PurchaseId) -> Result<Option<EscrowSale>, Self::Error>;
    /// The sale of an escrowed key that took a payment channel to `seq`.
    fn escrow_sale_at(&self, channel: &ChannelId, seq: Seq) -> Result<Option<EscrowSale>, Self::Error>;
    /// The escrowed key of an offer that is not revoked, if its seller left it here.
    fn escrowed_key(&self, key: &KeyId) -> Result<Option<EscrowedKey>, Self::Error>;
    /// What a delegate is owed; none if no escrowed key of its was ever sold.
    fn debt(&self, delegate: &Address) -> Result<Option<Debt>, Self::Error>;
    /// A channel of this delegate that is in quarantine, if any is.
    fn quarantined_of(&self, delegate: &Address) -> Result<Option<ChannelId>, Self::Error>;
    /// What the final state of a channel paid of a debt.
    fn escrow_payment(&self, channel: &ChannelId) -> Result<Option<EscrowPayment>, Self::Error>;
    /// What is known of a seller's delegate under a provider id.
    fn pair(&self, key: &PairKey) -> Result<Option<Pair>, Self::Error>;
    /// Whether a decision of this id is recorded.
    fn has_decision(&self, id: &DecisionId) -> Result<bool, Self::Error>;
    /// A value in a policy's space.
    fn policy_value(&self, slot: &PolicySlot) -> Result<Option<Vec<u8>>, Self::Error>;
    /// A counter in a policy's space; zero if it was never added to.
    fn policy_counter(&self, slot: &PolicySlot) -> Result<i64, Self::Error>;
    /// Bytes that a policy's space takes of its quota.
    fn policy_size(&self, policy: &str) -> Result<u64, Self::Error>;
    /// A member of the network.
    fn member(&self, address: &Address) -> Result<Option<Member>, Self::Error>;
    /// A market of the network.
    fn market(&self, id: &MarketId) -> Result<Option<Market>, Self::Error>;
    /// A member's part in a market.
    fn actor(&self, key: &ActorKey) -> Result<Option<Actor>, Self::Error>;
    /// A catalog.
    fn catalog(&self, id: &CatalogId) -> Result<Option<Catalog>, Self::Error>;
    /// An API.
    fn api(&self, id: &ApiId) -> Result<Option<Api>, Self::Error>;
    /// A consent, by its identifier.
    fn consent(&self, id: &ConsentId) -> Result<Option<Consent>, Self::Error>;
    /// A consent, by what it is about.
    fn consent_about(&self, key: &ConsentKey) -> Result<Option<Consent>, Self::Error>;
    /// A key that a client logs in with, taken back or not.
    fn user_key(&self, key: &ClientKey) -> Result<Option<UserKey>, Self::Error>;
    /// All keys on record of a member or delegate.
    fn user_keys_of(&self, party: &Address) -> Result<Vec<UserKey>, Self::Error>;
    /// The last block of the chain that was followed; none before the first.
    fn chain_tip(&self) -> Result<Option<AppliedBlock>, Self::Error>;
    /// The blocks on record from `number` on, the last first.
    fn applied_from(&self, number: BlockNumber) -> Result<Vec<AppliedBlock>, Self::Error>;
    /// At most `most` of the blocks on record below `number`, the first first.
    fn applied_below(&self, number: BlockNumber, most: usize) -> Result<Vec<BlockNumber>, Self::Error>;
    /// What the chain says of a channel.
    fn anchor(&self, channel: &ChannelId) -> Result<Option<Anchor>, Self::Error>;
    /// The voucher of a payment channel.
    fn voucher(&self, channel: &ChannelId) -> Result<Option<Voucher>, Self::Error>;
    /// Which nonces of the market maker are given out; none before the first.
    fn nonce_line(&self) -> Result<Option<NonceLine>, Self::Error>;
    /// A transaction of the market maker.
    fn intent(&self, key: &IntentKey) -> Result<Option<Intent>, Self::Error>;
    /// The transaction of a nonce.
    fn intent_at(&self, nonce: Nonce) -> Result<Option<Intent>, Self::Error>;
    /// The transaction with the highest nonce.
    fn last_intent(&self) -> Result<Option<Intent>, Self::Error>;
    /// The transactions that are neither mined nor failed, by nonce.
    fn unfinished_intents(&self) -> Result<Vec<Intent>, Self::Error>;
    /// The transactions that lock tokens of the market maker ([`Intent::locks`]): for this provider, or for all.
    fn locking_intents(&self, provider: Option<&Address>) -> Result<Vec<Intent>, Self::Error>;
    /// When the last channel but `skip` was to be opened for an actor, whatever became of it.
    fn openings_wanted(&self, actor: &Address, skip: u32) -> Result<Option<Nanos>, Self::Error>;
    /// The members whose consents were carried to the chain since then, once for each consent.
    fn carried_since(&self, since: Nanos) -> Result<Vec<Address>, Self::Error>;
}

/// Why a command was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault<E> {
    /// The rules say no; nothing changed.
    #[error("{0}")]
    Refused(Refusal),
    /// The ledger could not be read.
    #[error("the ledger could not be read")]
    View(E),
}

impl<E> From<Refusal> for Fault<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
