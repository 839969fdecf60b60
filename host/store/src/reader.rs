//! Reading: one snapshot of the ledger, for the length of one look.

use crate::codec;
use crate::error::StoreError;
use crate::index;
use crate::keys;
use crate::query::{Page, Place};
use crate::records::Records;
use crate::tables::{Table, Tables};
use bourse_market::chain::{Anchor, AppliedBlock};
use bourse_market::login::UserKey;
use bourse_market::outbox::{Intent, IntentKey, Nonce, NonceLine};
use bourse_market::registry::{Actor, ActorKey, Api, Catalog, Consent, ConsentKey, Market, Member};
use bourse_market::voucher::Voucher;
use bourse_market::{
    Account, Address, ApiId, Binding, BlockNumber, CatalogId, Channel, ChannelId, ChannelKind, ClientKey,
    ConsentId, Debt, Decision, DecisionId, Ending, EscrowPayment, EscrowSale, EscrowedKey, Genesis, KeyId,
    MarketId, Nanos, Offer, OfferId, Pair, PairKey, PolicySlot, Purchase, PurchaseId, Reconciliation, Sale,
    Seq, Totals, View,
};
use heed::{RoTxn, WithoutTls};
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::ops::ControlFlow;

/// The ledger as it was when this reader was made: later commits do not show.
///
/// A reader keeps the pages it may look at from being used again, so it is to be short-lived; it is not `Send`, so that
/// no task can hold one across an await.
pub struct Reader<'s> {
    pub(crate) tables: &'s Tables,
    pub(crate) txn: RoTxn<'s, WithoutTls>,
    _on_one_thread: PhantomData<*const ()>,
}

/// How many records there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Channels of both kinds.
    pub channels: u64,
    /// Channels that clients may find as active.
    pub live_channels: u64,
    /// Channels that wait for their seller or the operator.
    pub suspended_channels: u64,
    /// Channels in quarantine, since their ledger was restored from a backup.
    pub quarantined_channels: u64,
    /// Delegates that belong to an actor.
    pub bindings: u64,
    /// Offers, ended ones included.
    pub offers: u64,
    /// Purchases, voided ones included.
    pub purchases: u64,
    /// Purchases that are reserved and not yet resolved.
    pub sent: u64,
    /// Posted purchases, sales of escrowed keys included.
    pub posted: u64,
    /// Sales of escrowed keys.
    pub escrow_sales: u64,
    /// Keys in escrow.
    pub escrowed_keys: u64,
    /// Pairs of a delegate and a provider id.
    pub pairs: u64,
    /// Recorded decisions.
    pub decisions: u64,
    /// Values that policies keep.
    pub policy_values: u64,
    /// Counters that policies keep.
    pub policy_counters: u64,
    /// Members, markets, actors, catalogs and APIs of the network.
    pub registered: u64,
    /// Consents, withdrawn ones included.
    pub consents: u64,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(tables: &'s Tables, txn: RoTxn<'s, WithoutTls>) -> Self {
        Self {
            tables,
            txn,
            _on_one_thread: PhantomData,
        }
    }

    pub(crate) fn records(&self) -> Records<'_> {
        Records {
            tables: self.tables,
            txn: &self.txn,
        }
    }

    /// An offer by its id.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the ledger cannot be read; so it is with every method here.
    pub fn offer(&self, id: &OfferId) -> Result<Option<Offer>, StoreError> {
        self.records().offer(id)
    }

    /// The oldest live channel of a delegate ([`Channel::is_live`]): the one that clients find as active.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn active_channel(
        &self,
        kind: ChannelKind,
        delegate: &Address,
    ) -> Result<Option<Channel>, StoreError> {
        let index = &self.tables.live_channels;
        let first = index
            .prefix(&self.txn, &keys::party(kind, delegate))?
            .next()
            .transpose()?;
        let Some((key, _)) = first else { return Ok(None) };
        let id = trailing(index, key)?;
        self.records().named(index, &self.tables.channels, &id).map(Some)
    }

    /// The channels whose final state the contract is to be shown, of those that name block `from` or a later one, the earliest
    /// first, and no more than a thousand: some hours of closings.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn closing_channels(&self, from: BlockNumber) -> Result<Vec<Channel>, StoreError> {
        let index = &self.tables.closing;
        let mut channels = Vec::new();
        for entry in index.from(&self.txn, &keys::block(from))?.take(1024) {
            let id = trailing(index, entry?.0)?;
            channels.push(self.records().named(index, &self.tables.channels, &id)?);
        }
        Ok(channels)
    }

    /// At most `limit` vouchers behind `after` that name block `until` or an earlier one, the earliest first.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn lapsing_vouchers(
        &self,
        until: BlockNumber,
        after: Option<(BlockNumber, ChannelId)>,
        limit: usize,
    ) -> Result<Vec<Voucher>, StoreError> {
        let index = &self.tables.vouchers_lapsing;
        let after = after.map(|(block, channel)| keys::at_block(block, &channel));
        let from = after.as_deref().unwrap_or(&keys::LEAST);
        let mut vouchers = Vec::new();
        for entry in index.from(&self.txn, from)? {
            let (key, _) = entry?;
            if after.as_deref() == Some(key) {
                continue;
            }
            if vouchers.len() == limit {
                break;
            }
            let id = trailing(index, key)?;
            let voucher: Voucher = self.records().named(index, &self.tables.vouchers, &id)?;
            if voucher.close_at > until {
                break;
            }
            vouchers.push(voucher);
        }
        Ok(vouchers)
    }

    /// At most `limit` channels of a delegate behind `after`, oldest first.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn channels_by_delegate(
        &self,
        kind: ChannelKind,
        delegate: &Address,
        live_only: bool,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Page<ChannelId>, StoreError> {
        let index = if live_only {
            &self.tables.live_channels
        } else {
            &self.tables.channels_by_delegate
        };
        let page = self.page(index, &keys::party(kind, delegate), after, limit)?;
        Ok(page.map(|place| ChannelId(place.id)))
    }

    /// At most `limit` payment channels of an actor behind `after`, or paying channels of a recipient, oldest first.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn channels_by_actor(
        &self,
        kind: ChannelKind,
        party: &Address,
        live_only: bool,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Page<ChannelId>, StoreError> {
        let index = if live_only {
            &self.tables.live_by_actor
        } else {
            &self.tables.channels_by_actor
        };
        let page = self.page(index, &keys::party(kind, party), after, limit)?;
        Ok(page.map(|place| ChannelId(place.id)))
    }

    /// The suspended paying channels of a seller's delegate.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn suspended_channels(&self, delegate: &Address) -> Result<Vec<ChannelId>, StoreError> {
        let ids = self.ids(&self.tables.suspended_channels, delegate.as_bytes())?;
        Ok(ids.into_iter().map(ChannelId).collect())
    }

    /// The channels in quarantine that come behind `after`, by delegate, `limit` of them at most.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn quarantined_channels(
        &self,
        after: Option<&Channel>,
        limit: usize,
    ) -> Result<Vec<Channel>, StoreError> {
        let index = &self.tables.quarantined_channels;
        let from = after.map_or(keys::LEAST.to_vec(), |channel| {
            keys::behind(&keys::delegates_channel(&channel.delegate, &channel.id))
        });
        let entries = index.from(&self.txn, &from)?.take(limit);
        entries
            .map(|entry| {
                let id = trailing(index, entry?.0)?;
                self.records().named(index, &self.tables.channels, &id)
            })
            .collect()
    }

    /// A channel of a delegate that is in quarantine.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn quarantined_channel(
        &self,
        kind: ChannelKind,
        delegate: &Address,
    ) -> Result<Option<ChannelId>, StoreError> {
        let index = &self.tables.quarantined_channels;
        for id in self.ids(index, delegate.as_bytes())? {
            let channel: Channel = self.records().named(index, &self.tables.channels, &id)?;
            if channel.kind == kind {
                return Ok(Some(channel.id));
            }
        }
        Ok(None)
    }

    /// How a channel came out of quarantine, each time, oldest first.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn reconciliations(&self, channel: &ChannelId) -> Result<Vec<Reconciliation>, StoreError> {
        let table = &self.tables.reconciliations;
        let entries = table.prefix(&self.txn, channel.as_bytes())?;
        entries.map(|entry| codec::decode(table.name, entry?.1)).collect()
    }

    /// The suspended pairs of a seller's delegate.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn suspended_pairs(&self, delegate: &Address) -> Result<Vec<PairKey>, StoreError> {
        let index = &self.tables.suspended_pairs;
        let keys = index.prefix(&self.txn, delegate.as_bytes())?;
        keys.map(|entry| self.pair_named(index, entry?.0)).collect()
    }

    /// The suspended pairs of a provider id: those to release when it registers anew.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn suspended_pairs_of_provider(&self, provider_id: &str) -> Result<Vec<PairKey>, StoreError> {
        let index = &self.tables.suspended_providers;
        let entries = index.prefix(&self.txn, &keys::provider(provider_id))?;
        entries.map(|entry| self.pair_named(index, entry?.1)).collect()
    }

    /// The purchases that are reserved and not yet resolved: what a start-up has to resolve.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn sent_purchases(&self) -> Result<Vec<Purchase>, StoreError> {
        let index = &self.tables.sent;
        let entries = index.iter(&self.txn)?;
        entries
            .map(|entry| self.records().named(index, &self.tables.purchases, entry?.0))
            .collect()
    }

    /// Shows what was sold at `since` or later to `visit`, in that order, whoever sold it.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn sold_since(
        &self,
        since: Nanos,
        visit: &mut dyn FnMut(PurchaseId, &Sale),
    ) -> Result<(), StoreError> {
        let (index, tables) = (&self.tables.posted_by_time, self.tables);
        for entry in index.from(&self.txn, &since.0.to_be_bytes())? {
            let (key, value) = entry?;
            let id = trailing(index, key)?;
            let sale = if value == index::ESCROWED {
                let sale: EscrowSale = self.records().named(index, &tables.escrow_sales, &id)?;
                Some(sale.sold())
            } else {
                let purchase: Purchase = self.records().named(index, &tables.purchases, &id)?;
                purchase.sold()
            };
            if let Some(sale) = sale {
                visit(PurchaseId(id), &sale);
            }
        }
        Ok(())
    }

    /// The sale behind the id of a purchase, whoever sold; none while it is not posted.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn sale(&self, id: &PurchaseId) -> Result<Option<Sale>, StoreError> {
        match self.records().purchase(id)? {
            Some(purchase) => Ok(purchase.sold()),
            None => Ok(self.records().escrow_sale(id)?.map(|sale| sale.sold())),
        }
    }

    /// When the last purchase was posted.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn last_posted(&self) -> Result<Option<Nanos>, StoreError> {
        let last = self.tables.posted_by_time.last_key(&self.txn)?;
        Ok(last.and_then(index::time_of))
    }

    /// A recorded decision.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn decision(&self, id: &DecisionId) -> Result<Option<Decision>, StoreError> {
        self.records().decision(id)
    }

    /// Shows the decisions that came to posted purchases to `visit`, by the time they were taken: those at `from` and
    /// later, before `to`.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn decisions(
        &self,
        from: Nanos,
        to: Nanos,
        visit: &mut dyn FnMut(Decision) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let index = &self.tables.decisions_by_time;
        for entry in index.from(&self.txn, &from.0.to_be_bytes())? {
            let (key, _) = entry?;
            if index::time_of(key).is_none_or(|at| at >= to) {
                break;
            }
            let id = trailing(index, key)?;
            let decision = self.records().named(index, &self.tables.decisions, &id)?;
            if visit(decision).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// What the policy `policy` keeps under `key`, among its values.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn policy_value(&self, policy: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.records().policy_value(&slot(policy, key))
    }

    /// The counter `key` of the policy `policy`; zero if nothing was ever added to it.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn policy_counter(&self, policy: &str, key: &str) -> Result<i64, StoreError> {
        self.records().policy_counter(&slot(policy, key))
    }

    /// The policies that keep something, by name, and what that takes of [`bourse_market::StateWrite::QUOTA`], in bytes.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn policy_sizes(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let table = &self.tables.policy_sizes;
        table
            .iter(&self.txn)?
            .map(|entry| codec::decode(table.name, entry?.1))
            .collect()
    }

    /// How many records there are.
    ///
    /// # Errors
    ///
    /// As [`Reader::offer`].
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let len = |table: &Table| table.len(&self.txn);
        let tables = self.tables;
        let registered = [
            len(&tables.members)?,
            len(&tables.markets)?,
            len(&tables.actors)?,
            len(&tables.catalogs)?,
            len(&tables.apis)?,
        ];
        Ok(Counts {
            accounts: len(&tables.accounts)?,
            channels: len(&tables.channels)?,
            live_channels: len(&tables.live_channels)?,
            suspended_channels: len(&tables.suspended_channels)?,
            quarantined_channels: len(&tables.quarantined_channels)?,
            bindings: len(&tables.bindings)?,
            offers: len(&tables.offers)?,
            purchases: len(&tables.purchases)?,
            sent: len(&tables.sent)?,
            posted: len(&tables.posted_by_time)?,
            escrow_sales: len(&tables.escrow_sales)?,
            escrowed_keys: len(&tables.escrowed_keys)?,
            pairs: len(&tables.pairs)?,
            decisions: len(&tables.decisions)?,
            policy_values: len(&tables.policy_values)?,
            policy_counters: len(&tables.policy_counters)?,
            registered: registered.into_iter().fold(0, u64::saturating_add),
            consents: len(&tables.consents)?,
        })
    }

    fn ids(&self, index: &Table, prefix: &[u8]) -> Result<Vec<[u8; 16]>, StoreError> {
        index
            .prefix(&self.txn, prefix)?
            .map(|entry| trailing(index, entry?.0))
            .collect()
    }

    /// At most `limit` places behind `after` of the list in `index` whose keys begin with `prefix` and end with a place.
    pub(crate) fn page(
        &self,
        index: &Table,
        prefix: &[u8],
        after: Option<Place>,
        limit: usize,
    ) -> Result<Page<Place>, StoreError> {
        let from = after.map_or(prefix.to_vec(), |place| {
            keys::behind(&[prefix, &place.to_bytes()].concat())
        });
        let (mut found, mut more) = (Vec::new(), false);
        for entry in index.from(&self.txn, &from)? {
            let Some(place) = entry?.0.strip_prefix(prefix) else {
                break;
            };
            if found.len() >= limit {
                more = true;
                break;
            }
            let place = place.first_chunk().map(Place::from_bytes);
            found.push(place.ok_or_else(|| StoreError::Decode {
                table: index.name,
                why: "a key of it is too short for a place".to_owned(),
            })?);
        }
        let next = found.last().copied().filter(|_| more);
        Ok(Page { found, next })
    }

    fn pair_named(&self, index: &Table, record: &[u8]) -> Result<PairKey, StoreError> {
        let (key, _): (PairKey, Pair) = self.records().named(index, &self.tables.pairs, record)?;
        Ok(key)
    }
}

fn slot(policy: &str, key: &str) -> PolicySlot {
    PolicySlot {
        policy: policy.to_owned(),
        key: key.to_owned(),
    }
}

/// The id at the end of an index key.
fn trailing(index: &Table, key: &[u8]) -> Result<[u8; 16], StoreError> {
    index::trailing_id(key).ok_or_else(|| StoreError::Decode {
        table: index.name,
        why: format!("its key has {} bytes, too few for an id", key.len()),
    })
}

impl View for Reader<'_> {
    type Error = StoreError;

    fn genesis(&self) -> Result<Option<Genesis>, StoreError> {
        self.records().genesis()
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        self.records().totals()
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        self.records().account(address)
    }

    fn channel(&self, id: &ChannelId) -> Result<Option<Channel>, StoreError> {
        self.records().channel(id)
    }

    fn binding(&self, delegate: &Address) -> Result<Option<Binding>, StoreError> {
        self.records().binding(delegate)
    }

    fn offer_by_key(&self, key: &KeyId) -> Result<Option<Offer>, StoreError> {
        self.records().offer_by_key(key)
    }

    fn ended_offers(
        &self,
        after: Option<Ending>,
        until: Nanos,
        most: usize,
    ) -> Result<Vec<Offer>, StoreError> {
        self.records().ended_offers(after, until, most)
    }

    fn reserved_offers(&self) -> Result<BTreeSet<OfferId>, StoreError> {
        self.records().reserved_offers()
    }

    fn purchase(&self, id: &PurchaseId) -> Result<Option<Purchase>, StoreError> {
        self.records().purchase(id)
    }

    fn purchase_at(&self, channel: &ChannelId, seq: Seq) -> Result<Option<Purchase>, StoreError> {
        self.records().purchase_at(channel, seq)
    }

    fn escrow_sale(&self, id: &PurchaseId) -> Result<Option<EscrowSale>, StoreError> {
        self.records().escrow_sale(id)
    }

    fn escrow_sale_at(&self, channel: &ChannelId, seq: Seq) -> Result<Option<EscrowSale>, StoreError> {
        self.records().escrow_sale_at(channel, seq)
    }

    fn escrowed_key(&self, key: &KeyId) -> Result<Option<EscrowedKey>, StoreError> {
        self.records().escrowed_key(key)
    }

    fn debt(&self, delegate: &Address) -> Result<Option<Debt>, StoreError> {
        self.records().debt(delegate)
    }

    fn quarantined_of(&self, delegate: &Address) -> Result<Option<ChannelId>, StoreError> {
        self.records().quarantined_of(delegate)
    }

    fn escrow_payment(&self, channel: &ChannelId) -> Result<Option<EscrowPayment>, StoreError> {
        self.records().escrow_payment(channel)
    }

    fn pair(&self, key: &PairKey) -> Result<Option<Pair>, StoreError> {
        self.records().pair(key)
    }

    fn has_decision(&self, id: &DecisionId) -> Result<bool, StoreError> {
        self.records().has_decision(id)
    }

    fn policy_value(&self, slot: &PolicySlot) -> Result<Option<Vec<u8>>, StoreError> {
        self.records().policy_value(slot)
    }

    fn policy_counter(&self, slot: &PolicySlot) -> Result<i64, StoreError> {
        self.records().policy_counter(slot)
    }

    fn policy_size(&self, policy: &str) -> Result<u64, StoreError> {
        self.records().policy_size(policy)
    }

    fn member(&self, address: &Address) -> Result<Option<Member>, StoreError> {
        self.records().member(address)
    }

    fn market(&self, id: &MarketId) -> Result<Option<Market>, StoreError> {
        self.records().market(id)
    }

    fn actor(&self, key: &ActorKey) -> Result<Option<Actor>, StoreError> {
        self.records().actor(key)
    }

    fn catalog(&self, id: &CatalogId) -> Result<Option<Catalog>, StoreError> {
        self.records().catalog(id)
    }

    fn api(&self, id: &ApiId) -> Result<Option<Api>, StoreError> {
        self.records().api(id)
    }

    fn consent(&self, id: &ConsentId) -> Result<Option<Consent>, StoreError> {
        self.records().consent(id)
    }

    fn consent_about(&self, key: &ConsentKey) -> Result<Option<Consent>, StoreError> {
        self.records().consent_about(key)
    }

    fn user_key(&self, key: &ClientKey) -> Result<Option<UserKey>, StoreError> {
        self.records().user_key(key)
    }

    fn user_keys_of(&self, party: &Address) -> Result<Vec<UserKey>, StoreError> {
        self.records().user_keys_of(party)
    }

    fn chain_tip(&self) -> Result<Option<AppliedBlock>, StoreError> {
        self.records().chain_tip()
    }

    fn applied_from(&self, number: BlockNumber) -> Result<Vec<AppliedBlock>, StoreError> {
        self.records().applied_from(number)
    }

    fn applied_below(&self, number: BlockNumber, most: usize) -> Result<Vec<BlockNumber>, StoreError> {
        self.records().applied_below(number, most)
    }

    fn anchor(&self, channel: &ChannelId) -> Result<Option<Anchor>, StoreError> {
        self.records().anchor(channel)
    }

    fn voucher(&self, channel: &ChannelId) -> Result<Option<Voucher>, StoreError> {
        self.records().voucher(channel)
    }

    fn nonce_line(&self) -> Result<Option<NonceLine>, StoreError> {
        self.records().nonce_line()
    }

    fn intent(&self, key: &IntentKey) -> Result<Option<Intent>, StoreError> {
        self.records().intent(key)
    }

    fn intent_at(&self, nonce: Nonce) -> Result<Option<Intent>, StoreError> {
        self.records().intent_at(nonce)
    }

    fn last_intent(&self) -> Result<Option<Intent>, StoreError> {
        self.records().last_intent()
    }

    fn unfinished_intents(&self) -> Result<Vec<Intent>, StoreError> {
        self.records().unfinished_intents()
    }

    fn carried_since(&self, since: Nanos) -> Result<Vec<Address>, StoreError> {
        self.records().carried_since(since)
    }

    fn locking_intents(&self, provider: Option<&Address>) -> Result<Vec<Intent>, StoreError> {
        self.records().locking_intents(provider)
    }

    fn openings_wanted(&self, actor: &Address, skip: u32) -> Result<Option<Nanos>, StoreError> {
        self.records().openings_wanted(actor, skip)
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    /// Has one candidate for `A` if `T` is not `Send`, and two if it is.
    trait AmbiguousIfSend<A> {
        fn check() {}
    }
    impl<T: ?Sized> AmbiguousIfSend<()> for T {}
    impl<T: ?Sized + Send> AmbiguousIfSend<u8> for T {}

    #[test]
    fn a_reader_cannot_leave_its_thread_so_no_task_holds_one_across_an_await() {
        // Does not compile once a reader is `Send`.
        <Reader<'_> as AmbiguousIfSend<_>>::check();
    }
}
