//! The ledger as one transaction sees it: point reads of decoded records.

use crate::codec;
use crate::error::StoreError;
use crate::index;
use crate::keys;
use crate::tables::{Table, Tables};
use bourse_market::chain::{Anchor, AppliedBlock};
use bourse_market::login::UserKey;
use bourse_market::outbox::{Intent, IntentKey, Nonce, NonceLine};
use bourse_market::registry::{
    Actor, ActorKey, Api, Catalog, Consent, ConsentKey, Market, Member, Registration, RegistrationKey,
};
use bourse_market::voucher::Voucher;
use bourse_market::{
    Account, Address, ApiId, Binding, BlockNumber, CatalogId, Channel, ChannelId, ClientKey, ConsentId, Debt,
    Decision, DecisionId, Ending, EscrowPayment, EscrowSale, EscrowedKey, Genesis, KeyId, MarketId, Nanos,
    Offer, OfferId, Pair, PairKey, PolicySlot, Purchase, PurchaseId, Seq, Totals, View,
};
use heed::{AnyTls, RoTxn};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// The key of a table's only record.
pub(crate) const ONLY: &[u8] = b"1";

/// The records that a transaction sees: a reader's snapshot, or what the writer has written so far.
#[derive(Clone, Copy)]
pub(crate) struct Records<'t> {
    pub(crate) tables: &'t Tables,
    pub(crate) txn: &'t RoTxn<'t, AnyTls>,
}

impl<'t> Records<'t> {
    fn get<R: DeserializeOwned>(&self, table: &Table, key: &[u8]) -> Result<Option<R>, StoreError> {
        table
            .get(self.txn, key)?
            .map(|bytes| codec::decode(table.name, bytes))
            .transpose()
    }

    /// The record an index entry names.
    pub(crate) fn named<R: DeserializeOwned>(
        &self,
        index: &Table,
        table: &Table,
        key: &[u8],
    ) -> Result<R, StoreError> {
        self.get(table, key)?.ok_or_else(|| StoreError::Dangling {
            index: index.name,
            record: format!("{} {}", table.name, hex(key)),
        })
    }

    /// An offer by its id.
    pub(crate) fn offer(&self, id: &OfferId) -> Result<Option<Offer>, StoreError> {
        self.get(&self.tables.offers, id.as_bytes())
    }

    /// A decision by its id.
    pub(crate) fn decision(&self, id: &DecisionId) -> Result<Option<Decision>, StoreError> {
        self.get(&self.tables.decisions, id.as_bytes())
    }

    /// A pair under its raw key.
    pub(crate) fn pair_record(&self, key: &[u8]) -> Result<Option<(PairKey, Pair)>, StoreError> {
        self.get(&self.tables.pairs, key)
    }

    /// A record of the registry.
    pub(crate) fn registered(&self, key: &RegistrationKey) -> Result<Option<Registration>, StoreError> {
        Ok(match key {
            RegistrationKey::Member(address) => self.member(address)?.map(Registration::Member),
            RegistrationKey::Market(id) => self.market(id)?.map(Registration::Market),
            RegistrationKey::Actor(key) => self.actor(key)?.map(Registration::Actor),
            RegistrationKey::Catalog(id) => self.catalog(id)?.map(Registration::Catalog),
            RegistrationKey::Api(id) => self.api(id)?.map(Registration::Api),
            RegistrationKey::Consent(key) => self.consent_about(key)?.map(Registration::Consent),
        })
    }
}

impl View for Records<'_> {
    type Error = StoreError;

    fn genesis(&self) -> Result<Option<Genesis>, StoreError> {
        self.get(&self.tables.genesis, ONLY)
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        Ok(self.get(&self.tables.totals, ONLY)?.unwrap_or_default())
    }

    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        self.get(&self.tables.accounts, address.as_bytes())
    }

    fn channel(&self, id: &ChannelId) -> Result<Option<Channel>, StoreError> {
        self.get(&self.tables.channels, id.as_bytes())
    }

    fn binding(&self, delegate: &Address) -> Result<Option<Binding>, StoreError> {
        self.get(&self.tables.bindings, delegate.as_bytes())
    }

    fn offer_by_key(&self, key: &KeyId) -> Result<Option<Offer>, StoreError> {
        let index = &self.tables.offer_by_key;
        let id = index.get(self.txn, key.as_bytes())?;
        id.map(|id| self.named(index, &self.tables.offers, id))
            .transpose()
    }

    fn ended_offers(
        &self,
        after: Option<Ending>,
        until: Nanos,
        most: usize,
    ) -> Result<Vec<Offer>, StoreError> {
        let index = &self.tables.offers_ending;
        let from = after.map_or(keys::LEAST.to_vec(), |after| {
            keys::behind(&keys::ending(after.at, &after.offer))
        });
        let mut offers = Vec::new();
        for entry in index.from(self.txn, &from)?.take(most) {
            let (key, _) = entry?;
            if index::time_of(key).is_none_or(|at| at >= until) {
                break;
            }
            let id = index::trailing_id(key).unwrap_or_default();
            offers.push(self.named(index, &self.tables.offers, &id)?);
        }
        Ok(offers)
    }

    fn reserved_offers(&self) -> Result<BTreeSet<OfferId>, StoreError> {
        let index = &self.tables.sent;
        index
            .iter(self.txn)?
            .map(|entry| {
                let purchase: Purchase = self.named(index, &self.tables.purchases, entry?.0)?;
                Ok(purchase.offer)
            })
            .collect()
    }

    fn purchase(&self, id: &PurchaseId) -> Result<Option<Purchase>, StoreError> {
        self.get(&self.tables.purchases, id.as_bytes())
    }

    fn purchase_at(&self, channel: &ChannelId, seq: Seq) -> Result<Option<Purchase>, StoreError> {
        let index = &self.tables.purchase_at;
        let id = index.get(self.txn, &keys::purchase_at(channel, seq))?;
        id.map(|id| self.named(index, &self.tables.purchases, id))
            .transpose()
    }

    fn escrow_sale(&self, id: &PurchaseId) -> Result<Option<EscrowSale>, StoreError> {
        self.get(&self.tables.escrow_sales, id.as_bytes())
    }

    fn escrow_sale_at(&self, channel: &ChannelId, seq: Seq) -> Result<Option<EscrowSale>, StoreError> {
        let index = &self.tables.escrow_sale_at;
        let id = index.get(self.txn, &keys::purchase_at(channel, seq))?;
        id.map(|id| self.named(index, &self.tables.escrow_sales, id))
            .transpose()
    }

    fn escrowed_key(&self, key: &KeyId) -> Result<Option<EscrowedKey>, StoreError> {
        self.get(&self.tables.escrowed_keys, key.as_bytes())
    }

    fn debt(&self, delegate: &Address) -> Result<Option<Debt>, StoreError> {
        self.get(&self.tables.debts, delegate.as_bytes())
    }

    fn quarantined_of(&self, delegate: &Address) -> Result<Option<ChannelId>, StoreError> {
        let index = &self.tables.quarantined_channels;
        for entry in index.prefix(self.txn, delegate.as_bytes())? {
            let id = ChannelId(index::trailing_id(entry?.0).unwrap_or_default());
            // Anybody can open a channel that names it.
            if self.channel(&id)?.is_some_and(|channel| channel.bound) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn escrow_payment(&self, channel: &ChannelId) -> Result<Option<EscrowPayment>, StoreError> {
        self.get(&self.tables.escrow_payments, channel.as_bytes())
    }

    fn pair(&self, key: &PairKey) -> Result<Option<Pair>, StoreError> {
        Ok(self.pair_record(&keys::pair(key))?.map(|(_, pair)| pair))
    }

    fn has_decision(&self, id: &DecisionId) -> Result<bool, StoreError> {
        Ok(self.tables.decisions.get(self.txn, id.as_bytes())?.is_some())
    }

    fn policy_value(&self, slot: &PolicySlot) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.get(&self.tables.policy_values, &keys::policy_slot(slot))?;
        Ok(found.map(|(_, value): (PolicySlot, Vec<u8>)| value))
    }

    fn policy_counter(&self, slot: &PolicySlot) -> Result<i64, StoreError> {
        let found = self.get(&self.tables.policy_counters, &keys::policy_slot(slot))?;
        Ok(found.map_or(0, |(_, count): (PolicySlot, i64)| count))
    }

    fn policy_size(&self, policy: &str) -> Result<u64, StoreError> {
        let found = self.get(&self.tables.policy_sizes, &keys::policy(policy))?;
        Ok(found.map_or(0, |(_, size): (String, u64)| size))
    }

    fn member(&self, address: &Address) -> Result<Option<Member>, StoreError> {
        self.get(&self.tables.members, address.as_bytes())
    }

    fn market(&self, id: &MarketId) -> Result<Option<Market>, StoreError> {
        self.get(&self.tables.markets, id.as_bytes())
    }

    fn actor(&self, key: &ActorKey) -> Result<Option<Actor>, StoreError> {
        self.get(&self.tables.actors, &keys::actor(key))
    }

    fn catalog(&self, id: &CatalogId) -> Result<Option<Catalog>, StoreError> {
        self.get(&self.tables.catalogs, id.as_bytes())
    }

    fn api(&self, id: &ApiId) -> Result<Option<Api>, StoreError> {
        self.get(&self.tables.apis, id.as_bytes())
    }

    fn consent(&self, id: &ConsentId) -> Result<Option<Consent>, StoreError> {
        self.get(&self.tables.consents, id.as_bytes())
    }

    fn consent_about(&self, key: &ConsentKey) -> Result<Option<Consent>, StoreError> {
        let index = &self.tables.consent_about;
        let id = index.get(self.txn, &keys::consent_about(key))?;
        id.map(|id| self.named(index, &self.tables.consents, id))
            .transpose()
    }

    fn user_key(&self, key: &ClientKey) -> Result<Option<UserKey>, StoreError> {
        self.get(&self.tables.user_keys, key.as_bytes())
    }

    fn user_keys_of(&self, party: &Address) -> Result<Vec<UserKey>, StoreError> {
        let index = &self.tables.user_keys_by_party;
        index
            .prefix(self.txn, party.as_bytes())?
            .map(|entry| {
                let (key, _) = entry?;
                let key = key.get(Address::LEN..).unwrap_or_default();
                self.named(index, &self.tables.user_keys, key)
            })
            .collect()
    }

    fn chain_tip(&self) -> Result<Option<AppliedBlock>, StoreError> {
        let table = &self.tables.chain_blocks;
        let last = table.backwards(self.txn)?.next().transpose()?;
        last.map(|(_, bytes)| codec::decode(table.name, bytes))
            .transpose()
    }

    fn applied_from(&self, number: BlockNumber) -> Result<Vec<AppliedBlock>, StoreError> {
        let table = &self.tables.chain_blocks;
        let found = table.from(self.txn, &keys::block(number))?;
        let mut applied = found
            .map(|entry| codec::decode(table.name, entry?.1))
            .collect::<Result<Vec<_>, _>>()?;
        applied.reverse();
        Ok(applied)
    }

    fn applied_below(&self, number: BlockNumber, most: usize) -> Result<Vec<BlockNumber>, StoreError> {
        let mut numbers = Vec::new();
        for entry in self.tables.chain_blocks.iter(self.txn)?.take(most) {
            let key = entry?.0.try_into().unwrap_or([u8::MAX; 8]);
            let found = BlockNumber(u64::from_be_bytes(key));
            if found >= number {
                break;
            }
            numbers.push(found);
        }
        Ok(numbers)
    }

    fn anchor(&self, channel: &ChannelId) -> Result<Option<Anchor>, StoreError> {
        self.get(&self.tables.anchors, channel.as_bytes())
    }

    fn voucher(&self, channel: &ChannelId) -> Result<Option<Voucher>, StoreError> {
        self.get(&self.tables.vouchers, channel.as_bytes())
    }

    fn nonce_line(&self) -> Result<Option<NonceLine>, StoreError> {
        self.get(&self.tables.nonce_line, ONLY)
    }

    fn intent(&self, key: &IntentKey) -> Result<Option<Intent>, StoreError> {
        self.get(&self.tables.intents, &keys::intent(key))
    }

    fn intent_at(&self, nonce: Nonce) -> Result<Option<Intent>, StoreError> {
        let index = &self.tables.nonces;
        let key = index.get(self.txn, &keys::nonce(nonce))?;
        key.map(|key| self.named(index, &self.tables.intents, key))
            .transpose()
    }

    fn last_intent(&self) -> Result<Option<Intent>, StoreError> {
        let index = &self.tables.nonces;
        let Some(last) = index.last_key(self.txn)? else {
            return Ok(None);
        };
        let key = index.get(self.txn, last)?;
        key.map(|key| self.named(index, &self.tables.intents, key))
            .transpose()
    }

    fn unfinished_intents(&self) -> Result<Vec<Intent>, StoreError> {
        let index = &self.tables.outbox;
        index
            .iter(self.txn)?
            .map(|entry| self.named(index, &self.tables.intents, entry?.1))
            .collect()
    }

    fn carried_since(&self, since: Nanos) -> Result<Vec<Address>, StoreError> {
        let index = &self.tables.carried;
        let mut members = Vec::new();
        for entry in index.from(self.txn, &since.0.to_be_bytes())? {
            let (_, member) = entry?;
            members.push(Address::try_from(member).map_err(|error| StoreError::Decode {
                table: index.name,
                why: error.to_string(),
            })?);
        }
        Ok(members)
    }

    fn locking_intents(&self, provider: Option<&Address>) -> Result<Vec<Intent>, StoreError> {
        let index = &self.tables.locking;
        let mut intents = Vec::new();
        let from: &[u8] = provider.map_or(&keys::LEAST, |provider| provider.as_bytes());
        for entry in index.from(self.txn, from)? {
            let (key, _) = entry?;
            if provider.is_some_and(|provider| !key.starts_with(provider.as_bytes())) {
                break;
            }
            let opening = index::opening_of(key).map(|opening| keys::intent(&opening));
            intents.push(self.named(index, &self.tables.intents, &opening.unwrap_or_default())?);
        }
        Ok(intents)
    }

    fn openings_wanted(&self, actor: &Address, skip: u32) -> Result<Option<Nanos>, StoreError> {
        let index = &self.tables.openings_wanted;
        let mut newest_first = index.prefix_backwards(self.txn, actor.as_bytes())?;
        match newest_first.nth(skip as usize) {
            Some(entry) => Ok(index::wanted_at(entry?.0)),
            None => Ok(None),
        }
    }
}

/// `0x` and hex digits, for messages.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
