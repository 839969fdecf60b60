//! Keys of the tables: fixed-length parts joined, numbers in big-endian order so that they sort.

use bourse_market::outbox::{IntentKey, Nonce};
use bourse_market::registry::{ActorKey, ConsentKey};
use bourse_market::{
    Address, ApiId, BlockNumber, ChannelId, ChannelKind, ClientKey, DecisionId, Nanos, OfferId, PairKey,
    PolicySlot, PurchaseId, Seq,
};
use sha2::{Digest, Sha256};

/// Bytes of a text that stand in a key as they are. LMDB takes keys of 511 bytes; no key here holds more than two
/// texts and 40 bytes.
const MAX_TEXT: usize = 200;

/// In the place of a text's length: its SHA-256 follows.
const HASHED: u8 = 0xFF;

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A text as part of a key: its length, then itself, so that no text begins another's key. A longer text is hashed:
/// every text has a key, and no write fails for what a stranger called itself.
fn text(text: &str) -> Vec<u8> {
    match u8::try_from(text.len()) {
        Ok(length) if text.len() <= MAX_TEXT => join(&[&[length], text.as_bytes()]),
        _ => join(&[&[HASHED], Sha256::digest(text.as_bytes()).as_slice()]),
    }
}

/// `channel ‖ seq`.
pub(crate) fn purchase_at(channel: &ChannelId, seq: Seq) -> Vec<u8> {
    join(&[channel.as_bytes(), &seq.0.to_be_bytes()])
}

/// `posted ‖ purchase`.
pub(crate) fn posted(at: Nanos, purchase: &PurchaseId) -> Vec<u8> {
    join(&[&at.0.to_be_bytes(), purchase.as_bytes()])
}

/// `kind ‖ party`: what the channels of a delegate, actor or recipient have in common.
pub(crate) fn party(kind: ChannelKind, address: &Address) -> Vec<u8> {
    join(&[&[kind as u8], address.as_bytes()])
}

/// `kind ‖ party ‖ opened ‖ channel`: a party's channels, oldest first.
pub(crate) fn channel_of(kind: ChannelKind, address: &Address, opened: Nanos, id: &ChannelId) -> Vec<u8> {
    join(&[
        &[kind as u8],
        address.as_bytes(),
        &opened.0.to_be_bytes(),
        id.as_bytes(),
    ])
}

/// `actor ‖ asked ‖ channel`.
pub(crate) fn wanted_of(actor: &Address, at: Nanos, channel: &ChannelId) -> Vec<u8> {
    join(&[actor.as_bytes(), &at.0.to_be_bytes(), channel.as_bytes()])
}

/// `end ‖ offer`.
pub(crate) fn ending(at: Nanos, id: &OfferId) -> Vec<u8> {
    join(&[&at.0.to_be_bytes(), id.as_bytes()])
}

/// `delegate ‖ channel`.
pub(crate) fn delegates_channel(delegate: &Address, id: &ChannelId) -> Vec<u8> {
    join(&[delegate.as_bytes(), id.as_bytes()])
}

/// `party ‖ key`.
pub(crate) fn user_key_of(party: &Address, key: &ClientKey) -> Vec<u8> {
    join(&[party.as_bytes(), key.as_bytes()])
}

/// `channel ‖ released`.
pub(crate) fn reconciliation(channel: &ChannelId, at: Nanos) -> Vec<u8> {
    join(&[channel.as_bytes(), &at.0.to_be_bytes()])
}

/// `delegate ‖ provider id`.
pub(crate) fn pair(key: &PairKey) -> Vec<u8> {
    join(&[key.delegate.as_bytes(), &text(&key.provider_id)])
}

/// `provider id ‖ delegate`.
pub(crate) fn pair_of_provider(key: &PairKey) -> Vec<u8> {
    join(&[&text(&key.provider_id), key.delegate.as_bytes()])
}

/// What all [`pair_of_provider`] keys of a provider begin with.
pub(crate) fn provider(provider_id: &str) -> Vec<u8> {
    text(provider_id)
}

/// `api ‖ seller`: what the offers of a seller have in common.
pub(crate) fn api_seller(api: &ApiId, seller: &Address) -> Vec<u8> {
    join(&[api.as_bytes(), seller.as_bytes()])
}

/// `api ‖ beginning of a URI`.
pub(crate) fn api_uri(api: &ApiId, stem: &str) -> Vec<u8> {
    join(&[api.as_bytes(), &text(stem)])
}

/// `api ‖ label ‖ value`.
pub(crate) fn category(api: &ApiId, key: &str, value: &str) -> Vec<u8> {
    join(&[api.as_bytes(), &text(key), &text(value)])
}

/// `policy ‖ key`.
pub(crate) fn policy_slot(slot: &PolicySlot) -> Vec<u8> {
    join(&[&text(&slot.policy), &text(&slot.key)])
}

/// `policy`: also what all its [`policy_slot`] keys begin with.
pub(crate) fn policy(name: &str) -> Vec<u8> {
    text(name)
}

/// `decided ‖ decision`.
pub(crate) fn decided(at: Nanos, id: &DecisionId) -> Vec<u8> {
    join(&[&at.0.to_be_bytes(), id.as_bytes()])
}

/// `market ‖ actor ‖ type`.
pub(crate) fn actor(key: &ActorKey) -> Vec<u8> {
    join(&[key.market.as_bytes(), key.actor.as_bytes(), &[key.kind as u8]])
}

/// `catalog ‖ member ‖ delegate ‖ type ‖ market`.
pub(crate) fn consent_about(key: &ConsentKey) -> Vec<u8> {
    join(&[
        key.catalog.as_bytes(),
        key.member.as_bytes(),
        key.delegate.as_bytes(),
        &[key.delegate_type as u8],
        key.market.as_bytes(),
    ])
}

/// The lists of `registry_by`: the first byte of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RegistryBy {
    /// Markets of an owner, by creation.
    MarketOwner = 1,
    /// Markets of a market maker, by creation.
    MarketMaker = 2,
    /// Markets that a member takes part in, by joining.
    MarketActor = 3,
    /// Catalogs of an owner, by creation.
    CatalogOwner = 4,
    /// APIs of a catalog, by publication.
    ApiCatalog = 5,
}

impl RegistryBy {
    /// The list that a key is of.
    pub(crate) fn of(key: &[u8]) -> Option<Self> {
        [
            Self::MarketOwner,
            Self::MarketMaker,
            Self::MarketActor,
            Self::CatalogOwner,
            Self::ApiCatalog,
        ]
        .into_iter()
        .find(|list| key.first() == Some(&(*list as u8)))
    }
}

/// `list ‖ whom or what it is of`: what the keys of one list begin with.
pub(crate) fn registry_by(list: RegistryBy, of: &[u8]) -> Vec<u8> {
    join(&[&[list as u8], of])
}

/// The key of a block: numbers in their order.
pub(crate) fn block(number: BlockNumber) -> [u8; 8] {
    number.0.to_be_bytes()
}

/// `block ‖ channel`: what is found by the block that a signature names.
pub(crate) fn at_block(named: BlockNumber, id: &ChannelId) -> Vec<u8> {
    join(&[&block(named), id.as_bytes()])
}

/// `purpose ‖ channel`, and `‖ round` where there may be several, or `purpose ‖ consent ‖ block ‖ given`. The purposes' numbers are on disk, and stay.
pub(crate) fn intent(key: &IntentKey) -> Vec<u8> {
    match key {
        IntentKey::Approve(channel) => join(&[&[1], channel.as_bytes()]),
        IntentKey::Open(channel) => join(&[&[2], channel.as_bytes()]),
        IntentKey::Clear(channel) => join(&[&[3], channel.as_bytes()]),
        IntentKey::Close { channel, round } => join(&[&[4], channel.as_bytes(), &round.to_be_bytes()]),
        IntentKey::Consent(word) => join(&[
            &[5],
            word.consent.as_bytes(),
            &word.signed_at.0.to_be_bytes(),
            &[u8::from(word.granted)],
        ]),
    }
}

/// The key of a nonce: numbers in their order.
pub(crate) fn nonce(nonce: Nonce) -> [u8; 8] {
    nonce.0.to_be_bytes()
}

/// `time ‖ nonce`.
pub(crate) fn carried(at: Nanos, nonce: Nonce) -> Vec<u8> {
    join(&[&at.0.to_be_bytes(), &self::nonce(nonce)])
}

/// The lists of `consents_by`: the first byte of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ConsentsBy {
    /// All.
    Block = 1,
    /// Those of a member.
    Member = 2,
    /// Those for a delegate.
    Delegate = 3,
    /// Those in a market.
    Market = 4,
    /// Those of a catalog.
    Catalog = 5,
    /// Those with a title.
    Title = 6,
    /// Those with a description.
    Description = 7,
    /// Those with a tag.
    Tag = 8,
}

/// `list ‖ whom or what it is of`: what the keys of one list begin with.
pub(crate) fn consents_by(list: ConsentsBy, of: &[u8]) -> Vec<u8> {
    join(&[&[list as u8], of])
}

/// The same where it is a list of a text.
pub(crate) fn consents_by_text(list: ConsentsBy, of: &str) -> Vec<u8> {
    consents_by(list, &text(of))
}

/// The least key there can be: LMDB takes no empty one.
pub(crate) const LEAST: [u8; 1] = [0];

/// The least key behind `key`.
pub(crate) fn behind(key: &[u8]) -> Vec<u8> {
    join(&[key, &LEAST])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_party_sort_by_age_and_stay_together() {
        let (alice, bob) = (Address([1; 20]), Address([2; 20]));
        let key = |who, at, id| channel_of(ChannelKind::Payment, who, Nanos(at), &ChannelId([id; 16]));
        let mut keys = [
            key(&bob, 1, 9),
            key(&alice, 256, 1),
            key(&alice, 255, 2),
            key(&alice, 255, 1),
        ];
        keys.sort();
        assert_eq!(
            keys,
            [
                key(&alice, 255, 1),
                key(&alice, 255, 2),
                key(&alice, 256, 1),
                key(&bob, 1, 9)
            ]
        );
        assert!(keys[0].starts_with(&party(ChannelKind::Payment, &alice)));
    }

    #[test]
    fn texts_of_any_length_give_keys_that_lmdb_takes_and_that_never_collide() {
        let texts = [
            "",
            "a",
            "a\0",
            "ab",
            &"x".repeat(200),
            &"x".repeat(201),
            &"x".repeat(5000),
        ];
        let slot = |policy: &str, key: &str| PolicySlot {
            policy: policy.to_owned(),
            key: key.to_owned(),
        };
        let mut keys: Vec<_> = texts
            .iter()
            .flat_map(|a| texts.iter().map(|b| policy_slot(&slot(a, b))))
            .collect();
        assert!(keys.iter().all(|key| key.len() <= 511));
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), texts.len() * texts.len());
    }
}
