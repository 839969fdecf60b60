//! Records as the dictionaries that clients read. Amounts always go out as 32 bytes, also when zero.

use bourse_market::outbox::{Intent, Progress};
use bourse_market::registry::{Attributes, Catalog, Consent};
use bourse_market::{Amount, Channel, ChannelState, Nanos, Offer, Price, Receipt, TransactionHash};
use bourse_wamp::{CallResult, Dict, Value};

/// Raw bytes as a value.
pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    Value::Bytes(bytes.as_ref().to_vec())
}

/// An integer as a value.
pub(crate) fn int(int: impl Into<u64>) -> Value {
    Value::Int(int.into().into())
}

/// A text as a value.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::Str(text.into())
}

/// A value or null.
pub(crate) fn opt<T>(value: Option<T>, spell: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, spell)
}

/// A reply with one positional result.
pub(crate) fn reply(value: Value) -> CallResult {
    CallResult {
        args: vec![value],
        kwargs: Dict::new(),
    }
}

fn amount(value: Amount) -> Value {
    bytes(value.to_be_bytes())
}

fn nanos(value: Nanos) -> Value {
    int(value.0)
}

/// A dictionary of these entries.
pub(crate) fn dict<const N: usize>(entries: [(&str, Value); N]) -> Dict {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// An offer as place_offer, get_offer, revoke_offer and the offer events spell it. A dynamic price is null.
pub(crate) fn offer_dict(offer: &Offer) -> Value {
    let price = match offer.price {
        Price::Fixed(price) => amount(price),
        Price::Dynamic => Value::Null,
    };
    let categories = (!offer.categories.is_empty()).then(|| {
        offer
            .categories
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect::<Dict>()
    });
    Value::Map(dict([
        ("timestamp", nanos(offer.placed_at)),
        ("offer", bytes(offer.id.0)),
        ("seller", bytes(offer.seller.0)),
        ("seller_session_id", int(offer.placer.session.0)),
        ("seller_authid", opt(offer.provider_id.as_deref(), text)),
        ("key", bytes(offer.key.0)),
        ("api", bytes(offer.api.0)),
        ("uri", text(&offer.uri)),
        ("valid_from", opt(offer.valid_from, nanos)),
        ("signature", bytes(offer.signature.0)),
        ("price", price),
        ("dynamic", Value::Bool(offer.price == Price::Dynamic)),
        ("categories", opt(categories, Value::Map)),
        ("expires", opt(offer.revoked.or(offer.expires), nanos)),
        ("copies", opt(offer.copies, int)),
        ("remaining", opt(offer.remaining, int)),
    ]))
}

/// An offer as everybody may hear of it: without the signature, and without the session that placed it.
pub(crate) fn public_offer_dict(offer: &Offer) -> Value {
    let mut told = offer_dict(offer);
    if let Value::Map(fields) = &mut told {
        for private in ["signature", "seller_session_id"] {
            fields.insert(private.to_owned(), Value::Null);
        }
    }
    told
}

/// A channel as the channel getters and events spell it.
pub(crate) fn channel_dict(channel: &Channel) -> Value {
    let closing = channel.closing.as_deref();
    let closed = closing.filter(|_| channel.state == ChannelState::Closed);
    Value::Map(dict([
        ("market_oid", bytes(channel.market.0)),
        ("member_oid", Value::Null),
        ("channel_oid", bytes(channel.id.0)),
        ("timestamp", nanos(channel.opened)),
        ("open_at", amount(channel.open_at)),
        ("seq", int(bourse_market::Seq::FIRST.0)),
        ("channel_type", int(channel.kind as u8)),
        ("marketmaker", bytes(channel.marketmaker.0)),
        ("actor", bytes(channel.actor.0)),
        ("delegate", bytes(channel.delegate.0)),
        ("recipient", bytes(channel.recipient.0)),
        ("amount", amount(channel.amount)),
        ("timeout", int(0u8)),
        ("state", int(channel.state as u8)),
        ("closing_at", opt(closing, |closing| amount(closing.close_at))),
        // Without a chain there is no later block in which it could be settled.
        ("closed_at", opt(closed, |closing| amount(closing.close_at))),
        (
            "close_mm_sig",
            opt(closing, |closing| bytes(closing.marketmaker_signature.0)),
        ),
        (
            "close_del_sig",
            opt(closing, |closing| bytes(closing.delegate_signature.0)),
        ),
        (
            "close_channel_seq",
            int(closing.map_or(0, |closing| closing.seq.0)),
        ),
        (
            "close_balance",
            amount(closing.map_or(Amount::ZERO, |closing| closing.balance)),
        ),
        (
            "close_is_final",
            Value::Bool(closing.is_some_and(|closing| closing.is_final)),
        ),
        ("closed_tx", Value::Null),
        (
            "suspended",
            opt(channel.suspended.as_ref(), |suspension| text(&suspension.why)),
        ),
        ("quarantined", opt(channel.quarantined, nanos)),
    ]))
}

/// A channel that closes, as `close_channel` answers and its events tell.
pub(crate) fn closing_dict(channel: &Channel, transaction: Option<TransactionHash>) -> Value {
    let closing = channel.closing.as_deref();
    Value::Map(dict([
        ("transaction", opt(transaction, |hash| bytes(hash.0))),
        ("market_oid", bytes(channel.market.0)),
        ("channel_oid", bytes(channel.id.0)),
        ("state", int(channel.state as u8)),
        ("balance", bytes(channel.posted_remaining().to_be_bytes())),
        ("seq", int(channel.seq.0)),
        (
            "is_final",
            Value::Bool(closing.is_some_and(|closing| closing.is_final)),
        ),
        (
            "close_at",
            opt(closing.and_then(|closing| closing.close_at.to_u64()), int),
        ),
        (
            "signature",
            opt(closing, |closing| bytes(closing.marketmaker_signature.0)),
        ),
    ]))
}

/// A consent as set_consent, get_consent and find_consents spell it.
pub(crate) fn consent_dict(consent: &Consent, with_attributes: bool) -> Value {
    let key = &consent.key;
    let mut entries = dict([
        ("consent_oid", bytes(consent.id.0)),
        ("market_oid", bytes(key.market.0)),
        ("member", bytes(key.member.0)),
        ("delegate", bytes(key.delegate.0)),
        ("delegate_type", int(key.delegate_type as u8)),
        ("catalog_oid", bytes(key.catalog.0)),
        ("timestamp", nanos(consent.at)),
        ("updated", amount(Amount::from_units(consent.updated.0.into()))),
        ("consent", Value::Bool(consent.granted)),
        ("service_prefix", text(&consent.service_prefix)),
        ("tid", opt(consent.transaction, |hash| bytes(hash.0))),
        (
            "signature",
            opt(consent.signature, |signature| bytes(signature.0)),
        ),
        ("synced", Value::Bool(consent.synced)),
    ]);
    if with_attributes {
        entries.insert("attributes".to_owned(), attributes_dict(&consent.attributes));
    }
    Value::Map(entries)
}

/// The same of one that goes to the chain, with the transaction as it is known, and why that failed if it did.
pub(crate) fn carried_consent_dict(consent: &Consent, with_attributes: bool, intent: &Intent) -> Value {
    let failure = match &intent.progress {
        Progress::Failed { reason, .. } => Some(reason),
        Progress::Waiting | Progress::Sent | Progress::Mined(_) => None,
    };
    let mut told = consent_dict(consent, with_attributes);
    if let Value::Map(entries) = &mut told {
        entries.extend(dict([
            ("transaction", opt(intent.transaction(), |hash| bytes(hash.0))),
            ("failure", opt(failure, text)),
        ]));
    }
    told
}

fn attributes_dict(attributes: &Attributes) -> Value {
    let labels = attributes.labels.iter();
    let mut entries: Dict = labels.map(|(name, value)| (name.clone(), text(value))).collect();
    entries.extend(dict([
        ("title", text(&attributes.title)),
        ("description", text(&attributes.description)),
        ("tags", Value::List(attributes.tags.iter().map(text).collect())),
    ]));
    Value::Map(entries)
}

/// A catalog as get_catalogs_by_owner spells it, with what its meta names.
pub(crate) fn catalog_dict(catalog: &Catalog, meta_data: &str) -> Value {
    let named = |name: &String| Some(name).filter(|name| !name.is_empty()).cloned();
    Value::Map(dict([
        ("oid", bytes(catalog.id.0)),
        ("timestamp", nanos(catalog.at)),
        ("seq", int(catalog.seq)),
        ("owner", bytes(catalog.owner.0)),
        ("terms", opt(named(&catalog.terms), text)),
        ("meta", opt(named(&catalog.meta), text)),
        ("tid", opt(catalog.transaction, |hash| bytes(hash.0))),
        (
            "signature",
            opt(catalog.signature, |signature| bytes(signature.0)),
        ),
        ("meta_data", text(meta_data)),
    ]))
}

/// The balance of a channel: always the last posted pair, never one half of a pending purchase. Of a seller that was
/// paid for a purchase that came to nothing, also how much of that is left to net; `owed` is what its delegate is owed
/// beside, where that is anything.
pub(crate) fn balance_dict(channel: &Channel, owed: Amount) -> Value {
    let mut balance = dict([
        ("remaining", amount(channel.posted_remaining())),
        ("inflight", amount(Amount::ZERO)),
        ("seq", int(channel.seq.0)),
    ]);
    if !channel.prepaid.is_zero() {
        balance.insert("prepaid".to_owned(), amount(channel.prepaid));
    }
    if !owed.is_zero() {
        balance.insert("owed".to_owned(), amount(owed));
    }
    Value::Map(balance)
}

/// The receipt of a posted purchase.
pub(crate) fn receipt_dict(receipt: &Receipt) -> Value {
    Value::Map(dict([
        ("key_id", bytes(receipt.key.0)),
        ("delegate", bytes(receipt.buyer.0)),
        ("buyer_pubkey", bytes(receipt.buyer_pubkey.0)),
        ("sealed_key", bytes(receipt.sealed_key.0)),
        ("offer_id", bytes(receipt.offer.0)),
        ("free_rated", Value::Bool(receipt.price.is_zero())),
        ("amount", amount(receipt.amount)),
        ("amount_paid", amount(receipt.price)),
        ("channel_seq", int(receipt.seq.0)),
        ("payment_channel", bytes(receipt.channel.0)),
        ("remaining", amount(receipt.balance)),
        ("inflight", amount(Amount::ZERO)),
        ("signature", bytes(receipt.s4.0)),
    ]))
}
