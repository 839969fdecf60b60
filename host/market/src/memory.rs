//! A ledger in memory: the reference that tests and the simulator compare with.

use crate::chain::{Anchor, AppliedBlock};
use crate::command::{Ending, Genesis};
use crate::invariants::{Auditor, Violation, check_in_place, check_sale_in_place};
use crate::login::UserKey;
use crate::outbox::{Intent, IntentKey, Nonce, NonceLine};
use crate::registry::{
    Actor, ActorKey, Api, Catalog, Consent, ConsentKey, Market, Member, Registration, RegistrationKey,
};
use crate::view::{Fault, View};
use crate::voucher::Voucher;
use crate::{
    Account, Address, ApiId, Binding, BlockNumber, CatalogId, Change, Changes, Channel, ChannelId, ClientKey,
    Command, ConsentId, Debt, Decision, DecisionId, EscrowPayment, EscrowSale, EscrowedKey, KeyId, MarketId,
    Nanos, Offer, OfferId, Outcome, Pair, PairKey, PolicySlot, Purchase, PurchaseId, PurchaseState,
    Reconciliation, Refusal, Seq, Totals, apply,
};
use core::convert::Infallible;
use std::collections::{BTreeMap, BTreeSet};

/// Records in ordered maps. Two ledgers are equal when every record and index is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MemoryLedger {
    genesis: Option<Genesis>,
    totals: Totals,
    accounts: BTreeMap<Address, Account>,
    channels: BTreeMap<ChannelId, Channel>,
    bindings: BTreeMap<Address, Binding>,
    offers: BTreeMap<KeyId, Offer>,
    purchases: BTreeMap<PurchaseId, Purchase>,
    purchases_at: BTreeMap<(ChannelId, Seq), PurchaseId>,
    escrow_sales: BTreeMap<PurchaseId, EscrowSale>,
    escrow_sales_at: BTreeMap<(ChannelId, Seq), PurchaseId>,
    escrowed_keys: BTreeMap<KeyId, EscrowedKey>,
    debts: BTreeMap<Address, Debt>,
    escrow_payments: BTreeMap<ChannelId, EscrowPayment>,
    pairs: BTreeMap<PairKey, Pair>,
    decisions: BTreeMap<DecisionId, Decision>,
    reconciliations: BTreeMap<(ChannelId, Nanos), Reconciliation>,
    policy_values: BTreeMap<PolicySlot, Vec<u8>>,
    policy_counters: BTreeMap<PolicySlot, i64>,
    policy_sizes: BTreeMap<String, u64>,
    members: BTreeMap<Address, Member>,
    markets: BTreeMap<MarketId, Market>,
    actors: BTreeMap<ActorKey, Actor>,
    catalogs: BTreeMap<CatalogId, Catalog>,
    apis: BTreeMap<ApiId, Api>,
    consents: BTreeMap<ConsentKey, Consent>,
    user_keys: BTreeMap<ClientKey, UserKey>,
    blocks: BTreeMap<BlockNumber, AppliedBlock>,
    anchors: BTreeMap<ChannelId, Anchor>,
    vouchers: BTreeMap<ChannelId, Voucher>,
    intents: BTreeMap<IntentKey, Intent>,
    nonce_line: Option<NonceLine>,
}

impl MemoryLedger {
    /// A ledger without a single record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides a command and writes what comes of it.
    ///
    /// # Errors
    ///
    /// The [`Refusal`]; then nothing has changed.
    pub fn submit(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        match apply(self, command) {
            Ok((changes, outcome)) => {
                self.commit(changes);
                Ok(outcome)
            }
            Err(Fault::Refused(refusal)) => Err(refusal),
            Err(Fault::View(never)) => match never {},
        }
    }

    /// Writes records as they are, in order.
    pub fn commit(&mut self, changes: Changes) {
        for change in changes {
            match change {
                Change::Genesis(genesis) => self.genesis = Some(genesis),
                Change::Account(address, account) => drop(self.accounts.insert(address, account)),
                Change::Totals(totals) => self.totals = totals,
                Change::Channel(channel) => drop(self.channels.insert(channel.id, *channel)),
                Change::Binding(delegate, binding) => drop(self.bindings.insert(delegate, binding)),
                Change::Offer(offer) => drop(self.offers.insert(offer.key, *offer)),
                Change::Purchase(purchase) => self.write_purchase(*purchase),
                Change::Reconciliation(record) => {
                    self.reconciliations.insert((record.channel, record.at), *record);
                }
                Change::EscrowSale(sale) => {
                    let place = (sale.identity.channel, sale.payment_seq);
                    self.escrow_sales_at.insert(place, sale.id);
                    self.escrow_sales.insert(sale.id, *sale);
                }
                Change::EscrowedKey(key, Some(escrowed)) => drop(self.escrowed_keys.insert(key, escrowed)),
                Change::EscrowedKey(key, None) => drop(self.escrowed_keys.remove(&key)),
                Change::Debt(delegate, debt) => drop(self.debts.insert(delegate, debt)),
                Change::EscrowPayment(channel, payment) => {
                    self.escrow_payments.insert(channel, payment);
                }
                Change::Pair(key, pair) => drop(self.pairs.insert(key, pair)),
                Change::Decision(decision) => drop(self.decisions.insert(decision.id, *decision)),
                Change::PolicyValue(slot, Some(value)) => drop(self.policy_values.insert(slot, value)),
                Change::PolicyValue(slot, None) => drop(self.policy_values.remove(&slot)),
                Change::PolicyCounter(slot, 0) => drop(self.policy_counters.remove(&slot)),
                Change::PolicyCounter(slot, count) => drop(self.policy_counters.insert(slot, count)),
                Change::PolicySize(policy, 0) => drop(self.policy_sizes.remove(&policy)),
                Change::PolicySize(policy, size) => drop(self.policy_sizes.insert(policy, size)),
                Change::Registered(registration) => self.register(*registration),
                Change::Unregistered(key) => self.unregister(&key),
                Change::UserKey(key, Some(record)) => drop(self.user_keys.insert(key, *record)),
                Change::UserKey(key, None) => drop(self.user_keys.remove(&key)),
                Change::Block(number, Some(applied)) => drop(self.blocks.insert(number, *applied)),
                Change::Block(number, None) => drop(self.blocks.remove(&number)),
                Change::Anchor(channel, anchor) => drop(self.anchors.insert(channel, *anchor)),
                Change::Intent(intent) => drop(self.intents.insert(intent.key, *intent)),
                Change::Voucher(channel, Some(voucher)) => drop(self.vouchers.insert(channel, *voucher)),
                Change::Voucher(channel, None) => drop(self.vouchers.remove(&channel)),
                Change::NonceLine(line) => self.nonce_line = Some(line),
            }
        }
    }

    fn register(&mut self, registration: Registration) {
        match registration {
            Registration::Member(member) => drop(self.members.insert(member.address, member)),
            Registration::Market(market) => drop(self.markets.insert(market.id, market)),
            Registration::Actor(actor) => drop(self.actors.insert(actor.key, actor)),
            Registration::Catalog(catalog) => drop(self.catalogs.insert(catalog.id, catalog)),
            Registration::Api(api) => drop(self.apis.insert(api.id, api)),
            Registration::Consent(consent) => drop(self.consents.insert(consent.key, consent)),
        }
    }

    fn unregister(&mut self, key: &RegistrationKey) {
        match key {
            RegistrationKey::Member(address) => drop(self.members.remove(address)),
            RegistrationKey::Market(id) => drop(self.markets.remove(id)),
            RegistrationKey::Actor(key) => drop(self.actors.remove(key)),
            RegistrationKey::Catalog(id) => drop(self.catalogs.remove(id)),
            RegistrationKey::Api(id) => drop(self.apis.remove(id)),
            RegistrationKey::Consent(key) => drop(self.consents.remove(key)),
        }
    }

    fn write_purchase(&mut self, purchase: Purchase) {
        let place = (purchase.identity.channel, purchase.payment_seq);
        match purchase.state {
            PurchaseState::Sent | PurchaseState::Posted { .. } => {
                self.purchases_at.insert(place, purchase.id);
            }
            // A voided purchase frees its place, unless another has taken it already.
            PurchaseState::Voided { .. } => {
                if self.purchases_at.get(&place) == Some(&purchase.id) {
                    self.purchases_at.remove(&place);
                }
            }
        }
        self.purchases.insert(purchase.id, purchase);
    }

    /// All accounts, by address.
    pub fn accounts(&self) -> impl Iterator<Item = (&Address, &Account)> {
        self.accounts.iter()
    }

    /// All channels, by id.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.values()
    }

    /// All offers, by key.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values()
    }

    /// All purchases, by id.
    pub fn purchases(&self) -> impl Iterator<Item = &Purchase> {
        self.purchases.values()
    }

    /// All sales of escrowed keys, by id.
    pub fn escrow_sales(&self) -> impl Iterator<Item = &EscrowSale> {
        self.escrow_sales.values()
    }

    /// All escrowed keys.
    pub fn escrowed_keys(&self) -> impl Iterator<Item = (&KeyId, &EscrowedKey)> {
        self.escrowed_keys.iter()
    }

    /// All debts, by delegate.
    pub fn debts(&self) -> impl Iterator<Item = (&Address, &Debt)> {
        self.debts.iter()
    }

    /// All payments of debts, by channel.
    pub fn escrow_payments(&self) -> impl Iterator<Item = (&ChannelId, &EscrowPayment)> {
        self.escrow_payments.iter()
    }

    /// All pairs, by delegate and provider id.
    pub fn pairs(&self) -> impl Iterator<Item = (&PairKey, &Pair)> {
        self.pairs.iter()
    }

    /// A recorded decision.
    pub fn decision(&self, id: &DecisionId) -> Option<&Decision> {
        self.decisions.get(id)
    }

    /// All decisions, by id.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.values()
    }

    /// All values of policies.
    pub fn policy_values(&self) -> impl Iterator<Item = (&PolicySlot, &[u8])> {
        self.policy_values
            .iter()
            .map(|(slot, value)| (slot, value.as_slice()))
    }

    /// All counters of policies that are not zero.
    pub fn policy_counters(&self) -> impl Iterator<Item = (&PolicySlot, i64)> {
        self.policy_counters.iter().map(|(slot, count)| (slot, *count))
    }

    /// What the spaces of policies take of their quotas, by name.
    pub fn policy_sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.policy_sizes
            .iter()
            .map(|(policy, size)| (policy.as_str(), *size))
    }

    /// All consents, by what they are about.
    pub fn consents(&self) -> impl Iterator<Item = &Consent> {
        self.consents.values()
    }

    /// Checks every invariant.
    pub fn audit(&self) -> Vec<Violation> {
        let mut auditor = Auditor::new();
        self.feed(&mut auditor);
        auditor.finish()
    }

    /// Everything that a market would find wrong when it starts: each purchase and sale beside its channels.
    pub fn glance(&self) -> Vec<Violation> {
        let channel = |id: &ChannelId| self.channels.get(id);
        let purchases = self.purchases.values().map(|purchase| {
            let payment = channel(&purchase.identity.channel);
            check_in_place(purchase, payment, channel(&purchase.paying_channel))
        });
        let sales = self.escrow_sales.values();
        let sales = sales.map(|sale| check_sale_in_place(sale, channel(&sale.identity.channel)));
        purchases.chain(sales).filter_map(Result::err).collect()
    }

    /// Feeds every record to an auditor.
    pub fn feed(&self, auditor: &mut Auditor) {
        if let Some(genesis) = &self.genesis {
            auditor.genesis(genesis);
        }
        auditor.totals(&self.totals);
        self.accounts
            .iter()
            .for_each(|(address, account)| auditor.account(address, account));
        self.bindings
            .iter()
            .for_each(|(delegate, binding)| auditor.binding(delegate, binding));
        self.channels
            .values()
            .for_each(|channel| auditor.channel(channel));
        self.reconciliations
            .values()
            .for_each(|record| auditor.reconciliation(record));
        self.offers.values().for_each(|offer| auditor.offer(offer));
        self.decisions
            .values()
            .for_each(|decision| auditor.decision(decision));
        self.anchors
            .iter()
            .for_each(|(channel, anchor)| auditor.anchor(*channel, anchor));
        self.vouchers
            .values()
            .for_each(|voucher| auditor.voucher(voucher));
        self.user_keys.values().for_each(|key| auditor.user_key(key));
        self.intents.values().for_each(|intent| auditor.intent(intent));
        self.nonce_line.iter().for_each(|line| auditor.nonce_line(line));
        self.policy_values()
            .for_each(|(slot, value)| auditor.policy_value(slot, value.len()));
        self.policy_counters()
            .for_each(|(slot, count)| auditor.policy_counter(slot, count));
        self.policy_sizes()
            .for_each(|(policy, size)| auditor.policy_size(policy, size));
        self.purchases
            .values()
            .for_each(|purchase| auditor.purchase(purchase));
        self.escrow_sales
            .values()
            .for_each(|sale| auditor.escrow_sale(sale));
        self.escrowed_keys
            .keys()
            .for_each(|key| auditor.escrowed_key(key));
        self.debts
            .iter()
            .for_each(|(delegate, debt)| auditor.debt(delegate, debt));
        self.escrow_payments
            .iter()
            .for_each(|(channel, payment)| auditor.escrow_payment(channel, payment));
    }
}

impl View for MemoryLedger {
    type Error = Infallible;

    fn genesis(&self) -> Result<Option<Genesis>, Infallible> {
        Ok(self.genesis.clone())
    }

    fn totals(&self) -> Result<Totals, Infallible> {
        Ok(self.totals)
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, Infallible> {
        Ok(self.accounts.get(address).copied())
    }

    fn channel(&self, id: &ChannelId) -> Result<Option<Channel>, Infallible> {
        Ok(self.channels.get(id).cloned())
    }

    fn binding(&self, delegate: &Address) -> Result<Option<Binding>, Infallible> {
        Ok(self.bindings.get(delegate).copied())
    }

    fn offer_by_key(&self, key: &KeyId) -> Result<Option<Offer>, Infallible> {
        Ok(self.offers.get(key).cloned())
    }

    fn ended_offers(
        &self,
        after: Option<Ending>,
        until: Nanos,
        most: usize,
    ) -> Result<Vec<Offer>, Infallible> {
        let ended = |ending: Ending| ending.at < until && after.is_none_or(|after| ending > after);
        let ended = |offer: &&Offer| Ending::of(offer).is_some_and(ended);
        let mut ended: Vec<&Offer> = self.offers.values().filter(ended).collect();
        ended.sort_by_key(|offer| Ending::of(offer));
        Ok(ended.into_iter().take(most).cloned().collect())
    }

    fn reserved_offers(&self) -> Result<BTreeSet<OfferId>, Infallible> {
        let sent = |purchase: &&Purchase| matches!(purchase.state, PurchaseState::Sent);
        Ok(self
            .purchases
            .values()
            .filter(sent)
            .map(|purchase| purchase.offer)
            .collect())
    }

    fn purchase(&self, id: &PurchaseId) -> Result<Option<Purchase>, Infallible> {
        Ok(self.purchases.get(id).cloned())
    }

    fn purchase_at(&self, channel: &ChannelId, seq: Seq) -> Result<Option<Purchase>, Infallible> {
        Ok(self
            .purchases_at
            .get(&(*channel, seq))
            .and_then(|id| self.purchases.get(id))
            .cloned())
    }

    fn escrow_sale(&self, id: &PurchaseId) -> Result<Option<EscrowSale>, Infallible> {
        Ok(self.escrow_sales.get(id).cloned())
    }

    fn escrow_sale_at(&self, channel: &ChannelId, seq: Seq) -> Result<Option<EscrowSale>, Infallible> {
        let id = self.escrow_sales_at.get(&(*channel, seq));
        Ok(id.and_then(|id| self.escrow_sales.get(id)).cloned())
    }

    fn escrowed_key(&self, key: &KeyId) -> Result<Option<EscrowedKey>, Infallible> {
        Ok(self.escrowed_keys.get(key).copied())
    }

    fn debt(&self, delegate: &Address) -> Result<Option<Debt>, Infallible> {
        Ok(self.debts.get(delegate).copied())
    }

    fn quarantined_of(&self, delegate: &Address) -> Result<Option<ChannelId>, Infallible> {
        let shut = |channel: &&Channel| {
            channel.delegate == *delegate && channel.bound && channel.quarantined.is_some()
        };
        Ok(self.channels.values().find(shut).map(|channel| channel.id))
    }

    fn escrow_payment(&self, channel: &ChannelId) -> Result<Option<EscrowPayment>, Infallible> {
        Ok(self.escrow_payments.get(channel).copied())
    }

    fn pair(&self, key: &PairKey) -> Result<Option<Pair>, Infallible> {
        Ok(self.pairs.get(key).cloned())
    }

    fn has_decision(&self, id: &DecisionId) -> Result<bool, Infallible> {
        Ok(self.decisions.contains_key(id))
    }

    fn policy_value(&self, slot: &PolicySlot) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.policy_values.get(slot).cloned())
    }

    fn policy_counter(&self, slot: &PolicySlot) -> Result<i64, Infallible> {
        Ok(self.policy_counters.get(slot).copied().unwrap_or_default())
    }

    fn policy_size(&self, policy: &str) -> Result<u64, Infallible> {
        Ok(self.policy_sizes.get(policy).copied().unwrap_or_default())
    }

    fn member(&self, address: &Address) -> Result<Option<Member>, Infallible> {
        Ok(self.members.get(address).cloned())
    }

    fn market(&self, id: &MarketId) -> Result<Option<Market>, Infallible> {
        Ok(self.markets.get(id).cloned())
    }

    fn actor(&self, key: &ActorKey) -> Result<Option<Actor>, Infallible> {
        Ok(self.actors.get(key).cloned())
    }

    fn catalog(&self, id: &CatalogId) -> Result<Option<Catalog>, Infallible> {
        Ok(self.catalogs.get(id).cloned())
    }

    fn api(&self, id: &ApiId) -> Result<Option<Api>, Infallible> {
        Ok(self.apis.get(id).cloned())
    }

    fn consent(&self, id: &ConsentId) -> Result<Option<Consent>, Infallible> {
        Ok(self.consents.values().find(|consent| consent.id == *id).cloned())
    }

    fn consent_about(&self, key: &ConsentKey) -> Result<Option<Consent>, Infallible> {
        Ok(self.consents.get(key).cloned())
    }

    fn user_key(&self, key: &ClientKey) -> Result<Option<UserKey>, Infallible> {
        Ok(self.user_keys.get(key).cloned())
    }

    fn user_keys_of(&self, party: &Address) -> Result<Vec<UserKey>, Infallible> {
        let of_party = self.user_keys.values().filter(|known| known.party == *party);
        Ok(of_party.cloned().collect())
    }

    fn chain_tip(&self) -> Result<Option<AppliedBlock>, Infallible> {
        Ok(self.blocks.last_key_value().map(|(_, applied)| applied.clone()))
    }

    fn applied_from(&self, number: BlockNumber) -> Result<Vec<AppliedBlock>, Infallible> {
        Ok(self
            .blocks
            .range(number..)
            .rev()
            .map(|(_, applied)| applied.clone())
            .collect())
    }

    fn applied_below(&self, number: BlockNumber, most: usize) -> Result<Vec<BlockNumber>, Infallible> {
        Ok(self
            .blocks
            .range(..number)
            .map(|(number, _)| *number)
            .take(most)
            .collect())
    }

    fn anchor(&self, channel: &ChannelId) -> Result<Option<Anchor>, Infallible> {
        Ok(self.anchors.get(channel).cloned())
    }

    fn voucher(&self, channel: &ChannelId) -> Result<Option<Voucher>, Infallible> {
        Ok(self.vouchers.get(channel).cloned())
    }

    fn nonce_line(&self) -> Result<Option<NonceLine>, Infallible> {
        Ok(self.nonce_line)
    }

    fn intent(&self, key: &IntentKey) -> Result<Option<Intent>, Infallible> {
        Ok(self.intents.get(key).cloned())
    }

    fn intent_at(&self, nonce: Nonce) -> Result<Option<Intent>, Infallible> {
        let mut intents = self.intents.values();
        Ok(intents.find(|intent| intent.nonce == nonce).cloned())
    }

    fn last_intent(&self) -> Result<Option<Intent>, Infallible> {
        Ok(self.intents.values().max_by_key(|intent| intent.nonce).cloned())
    }

    fn unfinished_intents(&self) -> Result<Vec<Intent>, Infallible> {
        let intents = self.intents.values();
        let mut unfinished: Vec<_> = intents.filter(|intent| intent.is_unfinished()).cloned().collect();
        unfinished.sort_by_key(|intent| intent.nonce);
        Ok(unfinished)
    }

    fn carried_since(&self, since: Nanos) -> Result<Vec<Address>, Infallible> {
        let recent = self.intents.values().filter(|intent| intent.at >= since);
        let mut carried: Vec<_> = recent
            .filter_map(|intent| Some((intent.at, intent.nonce, intent.carries()?.key.member)))
            .collect();
        carried.sort();
        Ok(carried.into_iter().map(|(_, _, member)| member).collect())
    }

    fn locking_intents(&self, provider: Option<&Address>) -> Result<Vec<Intent>, Infallible> {
        let locks = |intent: &&Intent| {
            intent
                .locks()
                .is_some_and(|terms| provider.is_none_or(|provider| terms.actor == *provider))
        };
        let mut locking: Vec<_> = self.intents.values().filter(locks).cloned().collect();
        locking.sort_by_key(|intent| (intent.opens().map(|terms| terms.actor), intent.key));
        Ok(locking)
    }

    fn openings_wanted(&self, actor: &Address, skip: u32) -> Result<Option<Nanos>, Infallible> {
        let for_actor = |intent: &&Intent| intent.opens().is_some_and(|terms| terms.actor == *actor);
        let mut times: Vec<_> = self
            .intents
            .values()
            .filter(for_actor)
            .map(|intent| intent.at)
            .collect();
        times.sort_unstable();
        Ok(times.iter().rev().nth(skip as usize).copied())
    }
}
