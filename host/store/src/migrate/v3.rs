//! Schema 3: the records that differ from those of schema 4, as they were.
//!
//! What they are made of and has not changed since is not copied. Whoever changes such a part freezes it here first: the
//! ledger of schema 3 under `tests/fixtures` cannot be read otherwise.

use super::rewrite;
use crate::codec;
use crate::error::StoreError;
use crate::index;
use crate::keys;
use crate::tables::{CHUNK, Id, Tables};
use bourse_market::{
    Address, Amount, ApiId, Ask, CatalogId, ChannelId, ChannelKind, ChannelState, Doubt, Identity, KeyId,
    MarketId, Nanos, OfferId, Placer, Price, PriceSource, PricingTerms, PurchaseId, SealedKey, Seq,
    SessionId, Signature, Suspension, VoidReason,
};
use heed::RwTxn;
use serde::Deserialize;
use std::collections::BTreeMap;

/// From schema 3 to schema 4. Index entries are the same in both, but for those of the ends of offers, which are new.
pub(super) fn convert(tables: &Tables, txn: &mut RwTxn<'_>) -> Result<u64, StoreError> {
    let channels = rewrite(&tables.channels, txn, |old: Channel| old.into_next())?;
    let offers = rewrite(&tables.offers, txn, |old: Offer| old.into_next())?;
    list_ends(tables, txn)?;
    let purchases = rewrite(&tables.purchases, txn, |old: Purchase| old.into_next())?;
    Ok(channels.saturating_add(offers).saturating_add(purchases))
}

/// Adds the entries of the ends of offers, which are in the form of schema 4 by now.
fn list_ends(tables: &Tables, txn: &mut RwTxn<'_>) -> Result<(), StoreError> {
    let mut from = keys::LEAST.to_vec();
    loop {
        let (mut entries, mut last) = (Vec::new(), None);
        for record in tables.offers.from(&*txn, &from)?.take(CHUNK) {
            let (key, bytes) = record?;
            let offer: bourse_market::Offer = codec::decode(tables.offers.name, bytes)?;
            entries.extend(index::of_offer(&offer));
            last = Some(key.to_vec());
        }
        let Some(last) = last else { return Ok(()) };
        from = keys::behind(&last);
        for entry in entries.iter().filter(|entry| entry.table == Id::offers_ending) {
            tables.offers_ending.put(txn, &entry.key, &entry.value)?;
        }
    }
}

#[derive(Deserialize)]
struct Channel {
    id: ChannelId,
    kind: ChannelKind,
    market: MarketId,
    actor: Address,
    delegate: Address,
    marketmaker: Address,
    recipient: Address,
    amount: Amount,
    open_at: Amount,
    opened: Nanos,
    open_signature: Signature,
    state: ChannelState,
    bound: bool,
    seq: Seq,
    remaining: Amount,
    inflight: Amount,
    spent: Amount,
    pending: Option<PurchaseId>,
    suspended: Option<Suspension>,
    unresolved: u32,
    closing: Option<Box<Closing>>,
}

impl Channel {
    fn into_next(self) -> bourse_market::Channel {
        bourse_market::Channel {
            id: self.id,
            kind: self.kind,
            market: self.market,
            actor: self.actor,
            delegate: self.delegate,
            marketmaker: self.marketmaker,
            recipient: self.recipient,
            amount: self.amount,
            open_at: self.open_at,
            opened: self.opened,
            open_signature: self.open_signature,
            state: self.state,
            bound: self.bound,
            seq: self.seq,
            remaining: self.remaining,
            inflight: self.inflight,
            spent: self.spent,
            pending: self.pending,
            suspended: self.suspended,
            unresolved: self.unresolved,
            // Where one was abandoned, nobody wrote down which: its seller goes on from the posted pair, as before.
            abandoned: None,
            prepaid: Amount::ZERO,
            closing: self.closing.map(|closing| Box::new(closing.into_next())),
            quarantined: None,
        }
    }
}

#[derive(Deserialize)]
struct Closing {
    at: Nanos,
    close_at: Amount,
    seq: Seq,
    balance: Amount,
    is_final: bool,
    delegate_signature: Signature,
    marketmaker_signature: Signature,
}

impl Closing {
    fn into_next(self) -> bourse_market::Closing {
        bourse_market::Closing {
            at: self.at,
            close_at: self.close_at,
            seq: self.seq,
            balance: self.balance,
            returned: Amount::ZERO,
            is_final: self.is_final,
            delegate_signature: self.delegate_signature,
            marketmaker_signature: self.marketmaker_signature,
        }
    }
}

#[derive(Deserialize)]
struct Offer {
    id: OfferId,
    key: KeyId,
    api: ApiId,
    catalog: Option<CatalogId>,
    uri: String,
    seller: Address,
    provider_id: Option<String>,
    placer: Placer,
    placed_at: Nanos,
    valid_from: Option<Nanos>,
    expires: Option<Nanos>,
    revoked: Option<Nanos>,
    signature: Signature,
    signature_verified: bool,
    claimed: bool,
    price: Price,
    pricing: PricingTerms,
    copies: Option<u32>,
    remaining: Option<u32>,
    categories: BTreeMap<String, String>,
}

impl Offer {
    fn into_next(self) -> bourse_market::Offer {
        bourse_market::Offer {
            id: self.id,
            key: self.key,
            api: self.api,
            catalog: self.catalog,
            uri: self.uri,
            seller: self.seller,
            provider_id: self.provider_id,
            placer: self.placer,
            placed_at: self.placed_at,
            valid_from: self.valid_from,
            expires: self.expires,
            revoked: self.revoked,
            signature: self.signature,
            signature_verified: self.signature_verified,
            claimed: self.claimed,
            unlisted: false,
            price: self.price,
            pricing: self.pricing,
            copies: self.copies,
            remaining: self.remaining,
            categories: self.categories,
        }
    }
}

#[derive(Deserialize)]
enum PurchaseState {
    Sent,
    Posted {
        at: Nanos,
        s3: Signature,
        s4: Signature,
        sealed_key: SealedKey,
        recovered: u32,
    },
    Voided {
        at: Nanos,
        reason: VoidReason,
    },
}

impl PurchaseState {
    fn into_next(self) -> bourse_market::PurchaseState {
        match self {
            Self::Sent => bourse_market::PurchaseState::Sent,
            Self::Posted {
                at,
                s3,
                s4,
                sealed_key,
                recovered,
            } => bourse_market::PurchaseState::Posted {
                at,
                s3,
                s4,
                sealed_key,
                recovered,
            },
            Self::Voided { at, reason } => bourse_market::PurchaseState::Voided { at, reason },
        }
    }
}

#[derive(Deserialize)]
struct Recovery {
    at: Nanos,
    seq: Seq,
    s2: Signature,
}

impl Recovery {
    /// All steps there were asked the seller to confirm, with as much left as its purchase leaves.
    fn into_next(self, balance: Amount) -> bourse_market::Recovery {
        bourse_market::Recovery {
            at: self.at,
            doubt: Doubt::Unclear,
            ask: Ask {
                seq: self.seq,
                amount: Amount::ZERO,
                balance,
            },
            s2: self.s2,
        }
    }
}

#[derive(Deserialize)]
struct Purchase {
    id: PurchaseId,
    identity: Identity,
    offer: OfferId,
    api: ApiId,
    seller: Address,
    buyer: Address,
    at: Nanos,
    price: Amount,
    fee: Amount,
    source: PriceSource,
    payment_seq: Seq,
    payment_balance: Amount,
    callee: SessionId,
    paying_channel: ChannelId,
    paying_seq: Seq,
    paying_balance: Amount,
    s1: Signature,
    s2: Signature,
    state: PurchaseState,
    recoveries: Vec<Recovery>,
}

impl Purchase {
    fn into_next(self) -> bourse_market::Purchase {
        let left = self.paying_balance;
        let recoveries = self
            .recoveries
            .into_iter()
            .map(|step| step.into_next(left))
            .collect();
        bourse_market::Purchase {
            id: self.id,
            identity: self.identity,
            offer: self.offer,
            api: self.api,
            seller: self.seller,
            buyer: self.buyer,
            at: self.at,
            price: self.price,
            fee: self.fee,
            source: self.source,
            payment_seq: self.payment_seq,
            payment_balance: self.payment_balance,
            callee: self.callee,
            paying_channel: self.paying_channel,
            paying_seq: self.paying_seq,
            paying_balance: self.paying_balance,
            prepaid: Amount::ZERO,
            s1: self.s1,
            s2: self.s2,
            state: self.state.into_next(),
            recoveries,
        }
    }
}
