//! Which index entries each record has. Writing and verifying both ask here, so that they cannot disagree.

use crate::keys::{self, ConsentsBy, RegistryBy};
use crate::query::Place;
use crate::tables::Id;
use bourse_market::login::UserKey;
use bourse_market::outbox::{Intent, IntentKey, Nonce};
use bourse_market::registry::{Actor, Api, Catalog, Consent, Market, Registration};
use bourse_market::voucher::Voucher;
use bourse_market::{
    Address, BlockNumber, Channel, ChannelId, ChannelKind, Decision, EscrowSale, Nanos, Offer, Pair, PairKey,
    Purchase, PurchaseState,
};

/// One entry of an index: in that table, under that key, that value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) table: Id,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

fn entry(table: Id, key: Vec<u8>, value: &[u8]) -> Entry {
    Entry {
        table,
        key,
        value: value.to_vec(),
    }
}

/// Beginnings of a URI that are indexed: those of more components narrow little further, and each is an entry.
const STEMS: usize = 4;

/// The entries of an offer. One that is not listed is found by its key alone. One that ended by itself, or is sold out,
/// stays in the lists until it is swept, for nothing happens in the moment it ends.
pub(crate) fn of_offer(offer: &Offer) -> Vec<Entry> {
    let mut entries = vec![entry(
        Id::offer_by_key,
        offer.key.as_bytes().to_vec(),
        offer.id.as_bytes(),
    )];
    if !offer.is_listed() {
        return entries;
    }
    if let Some(at) = offer.leaves_lists_at() {
        entries.push(entry(Id::offers_ending, keys::ending(at, &offer.id), &[]));
    }
    let place = Place::from(offer).to_bytes();
    let api = &offer.api;
    let mut list = |table, prefix: Vec<u8>| {
        entries.push(entry(table, [prefix.as_slice(), &place].concat(), &[]));
    };
    list(Id::offers_by_api, api.as_bytes().to_vec());
    list(Id::offers_by_seller, keys::api_seller(api, &offer.seller));
    for stem in stems(&offer.uri) {
        list(Id::offers_by_uri, keys::api_uri(api, stem));
    }
    for (key, value) in &offer.categories {
        list(Id::offers_by_category, keys::category(api, key, value));
    }
    entries
}

/// The beginnings of a URI up to each of its dots, shortest first.
fn stems(uri: &str) -> impl Iterator<Item = &str> {
    let ends = uri
        .match_indices('.')
        .map(|(at, dot)| at.saturating_add(dot.len()));
    ends.take(STEMS).filter_map(|end| uri.get(..end))
}

/// The longest indexed beginning of every URI that begins with `prefix`; none if it has no dot.
pub(crate) fn longest_stem(prefix: &str) -> Option<&str> {
    stems(prefix).last()
}

/// The entries of a purchase: a voided one has none, its position is free again.
pub(crate) fn of_purchase(purchase: &Purchase) -> Vec<Entry> {
    let id = purchase.id.as_bytes();
    let at = || {
        let key = keys::purchase_at(&purchase.identity.channel, purchase.payment_seq);
        entry(Id::purchase_at, key, id)
    };
    match &purchase.state {
        PurchaseState::Sent => vec![at(), entry(Id::sent, id.to_vec(), &[])],
        PurchaseState::Posted { at: posted, .. } => {
            vec![
                at(),
                entry(Id::posted_by_time, keys::posted(*posted, &purchase.id), &[]),
            ]
        }
        PurchaseState::Voided { .. } => Vec::new(),
    }
}

/// In `posted_by_time`, where a sale of an escrowed key is meant rather than a purchase.
pub(crate) const ESCROWED: &[u8] = &[1];

/// The entries of a sale of an escrowed key.
pub(crate) fn of_escrow_sale(sale: &EscrowSale) -> Vec<Entry> {
    let at = keys::purchase_at(&sale.identity.channel, sale.payment_seq);
    vec![
        entry(Id::escrow_sale_at, at, sale.id.as_bytes()),
        entry(Id::posted_by_time, keys::posted(sale.at, &sale.id), ESCROWED),
    ]
}

/// The entries of a channel.
pub(crate) fn of_channel(channel: &Channel) -> Vec<Entry> {
    // A seller looks for the channels that pay it, whoever opened them.
    let party = match channel.kind {
        ChannelKind::Payment => &channel.actor,
        ChannelKind::Paying => &channel.recipient,
    };
    let key = |party| keys::channel_of(channel.kind, party, channel.opened, &channel.id);
    let mut entries = vec![
        entry(Id::channels_by_delegate, key(&channel.delegate), &[]),
        entry(Id::channels_by_actor, key(party), &[]),
    ];
    if channel.is_live() {
        entries.push(entry(Id::live_channels, key(&channel.delegate), &[]));
        entries.push(entry(Id::live_by_actor, key(party), &[]));
    }
    if channel.suspended.is_some() {
        let key = keys::delegates_channel(&channel.delegate, &channel.id);
        entries.push(entry(Id::suspended_channels, key, &[]));
    }
    if channel.quarantined.is_some() {
        let key = keys::delegates_channel(&channel.delegate, &channel.id);
        entries.push(entry(Id::quarantined_channels, key, &[]));
    }
    if let Some(block) = channel.shown_at() {
        entries.push(entry(Id::closing, keys::at_block(block, &channel.id), &[]));
    }
    entries
}

/// Whether two records of one channel have the same entries: whether all that [`of_channel`] looks at is the same.
pub(crate) fn is_found_alike(one: &Channel, other: &Channel) -> bool {
    let looked_at = |channel: &Channel| {
        (
            (channel.id, channel.kind, channel.opened),
            (channel.actor, channel.delegate, channel.recipient),
            channel.is_live(),
            (channel.suspended.is_some(), channel.quarantined.is_some()),
            channel.shown_at(),
        )
    };
    looked_at(one) == looked_at(other)
}

/// The entries of a pair.
pub(crate) fn of_pair(key: &PairKey, pair: &Pair) -> Vec<Entry> {
    if pair.suspended.is_none() {
        return Vec::new();
    }
    let record = keys::pair(key);
    vec![
        entry(Id::suspended_pairs, record.clone(), &[]),
        entry(Id::suspended_providers, keys::pair_of_provider(key), &record),
    ]
}

/// The entries of a decision.
pub(crate) fn of_decision(decision: &Decision) -> Vec<Entry> {
    let key = keys::decided(decision.header.at, &decision.id);
    vec![entry(Id::decisions_by_time, key, &[])]
}

/// The entries of a record of the registry.
pub(crate) fn of_registration(registration: &Registration) -> Vec<Entry> {
    match registration {
        Registration::Member(_) => Vec::new(),
        Registration::Market(market) => of_market(market),
        Registration::Actor(actor) => of_actor(actor),
        Registration::Catalog(catalog) => of_catalog(catalog),
        Registration::Api(api) => of_api(api),
        Registration::Consent(consent) => of_consent(consent),
    }
}

/// An entry of a list of the registry: in the order of blocks, and of the records of one block in that of their keys.
fn listed(list: RegistryBy, of: &[u8], at: BlockNumber, record: &[u8]) -> Entry {
    let key = [
        &keys::registry_by(list, of),
        at.0.to_be_bytes().as_slice(),
        record,
    ]
    .concat();
    entry(Id::registry_by, key, record)
}

/// The entries of a market.
pub(crate) fn of_market(market: &Market) -> Vec<Entry> {
    let (id, created) = (market.id.as_bytes(), market.created);
    vec![
        listed(RegistryBy::MarketOwner, market.owner.as_bytes(), created, id),
        listed(RegistryBy::MarketMaker, market.maker.as_bytes(), created, id),
    ]
}

/// The entries of an actor: none once it has left.
pub(crate) fn of_actor(actor: &Actor) -> Vec<Entry> {
    if actor.left.is_some() {
        return Vec::new();
    }
    let (of, key) = (actor.key.actor, keys::actor(&actor.key));
    vec![listed(RegistryBy::MarketActor, of.as_bytes(), actor.joined, &key)]
}

/// The entries of a catalog.
pub(crate) fn of_catalog(catalog: &Catalog) -> Vec<Entry> {
    let (of, id) = (catalog.owner.as_bytes(), catalog.id.as_bytes());
    vec![listed(RegistryBy::CatalogOwner, of, catalog.created, id)]
}

/// The entries of an API.
pub(crate) fn of_api(api: &Api) -> Vec<Entry> {
    let (of, id) = (api.catalog.as_bytes(), api.id.as_bytes());
    vec![listed(RegistryBy::ApiCatalog, of, api.published, id)]
}

/// The entries of a consent, given or withdrawn.
pub(crate) fn of_consent(consent: &Consent) -> Vec<Entry> {
    let (key, attributes) = (&consent.key, &consent.attributes);
    let place = Place::from(consent).to_bytes();
    let mut entries = vec![entry(
        Id::consent_about,
        keys::consent_about(key),
        consent.id.as_bytes(),
    )];
    let mut list = |prefix: Vec<u8>| {
        let key = [prefix.as_slice(), &place].concat();
        entries.push(entry(Id::consents_by, key, &[]));
    };
    list(keys::consents_by(ConsentsBy::Block, &[]));
    list(keys::consents_by(ConsentsBy::Member, key.member.as_bytes()));
    list(keys::consents_by(ConsentsBy::Delegate, key.delegate.as_bytes()));
    list(keys::consents_by(ConsentsBy::Market, key.market.as_bytes()));
    list(keys::consents_by(ConsentsBy::Catalog, key.catalog.as_bytes()));
    list(keys::consents_by_text(ConsentsBy::Title, &attributes.title));
    list(keys::consents_by_text(
        ConsentsBy::Description,
        &attributes.description,
    ));
    for tag in &attributes.tags {
        list(keys::consents_by_text(ConsentsBy::Tag, tag));
    }
    entries
}

/// The entries of a key that a client logs in with.
pub(crate) fn of_user_key(known: &UserKey) -> Vec<Entry> {
    let key = keys::user_key_of(&known.party, &known.key);
    vec![entry(Id::user_keys_by_party, key, &[])]
}

/// The entries of a voucher.
pub(crate) fn of_voucher(voucher: &Voucher) -> Vec<Entry> {
    let key = keys::at_block(voucher.close_at, &voucher.channel);
    vec![entry(Id::vouchers_lapsing, key, &[])]
}

/// The entries of a transaction of the market maker.
pub(crate) fn of_intent(intent: &Intent) -> Vec<Entry> {
    let (key, nonce) = (keys::intent(&intent.key), keys::nonce(intent.nonce).to_vec());
    let mut entries = vec![entry(Id::nonces, nonce.clone(), &key)];
    if intent.is_unfinished() {
        entries.push(entry(Id::outbox, nonce, &key));
    }
    if let Some(terms) = intent.locks() {
        let key = keys::delegates_channel(&terms.actor, &terms.channel);
        entries.push(entry(Id::locking, key, &[]));
    }
    if let Some(terms) = intent.opens() {
        let key = keys::wanted_of(&terms.actor, intent.at, &terms.channel);
        entries.push(entry(Id::openings_wanted, key, &[]));
    }
    if let Some(said) = intent.carries() {
        let key = keys::carried(intent.at, intent.nonce);
        entries.push(entry(Id::carried, key, said.key.member.as_bytes()));
    }
    entries
}

/// The opening that an entry of `locking` or `openings_wanted` is of.
pub(crate) fn opening_of(key: &[u8]) -> Option<IntentKey> {
    trailing_id(key).map(|channel| IntentKey::Open(ChannelId(channel)))
}

/// When a `openings_wanted` key says its channel was to be opened.
pub(crate) fn wanted_at(key: &[u8]) -> Option<Nanos> {
    let (_, rest) = key.split_at_checked(Address::LEN)?;
    rest.first_chunk().map(|bytes| Nanos(u64::from_be_bytes(*bytes)))
}

/// The nonce that a key of `carried` ends with.
pub(crate) fn nonce_of(key: &[u8]) -> Option<Nonce> {
    key.last_chunk().map(|bytes| Nonce(u64::from_be_bytes(*bytes)))
}

/// When a `posted_by_time` key says its purchase was posted, or a `decisions_by_time` key its decision was taken.
pub(crate) fn time_of(key: &[u8]) -> Option<Nanos> {
    key.first_chunk().map(|bytes| Nanos(u64::from_be_bytes(*bytes)))
}

/// The last 16 bytes of an index key: the id it ends with.
pub(crate) fn trailing_id(key: &[u8]) -> Option<[u8; 16]> {
    key.last_chunk().copied()
}
