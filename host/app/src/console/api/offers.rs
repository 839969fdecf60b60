//! Offers: all of them, those placed last first, or what is on sale of one API.

use super::room::Reading;
use super::{Answer, at, opt, text, units};
use crate::console::problem::Problem;
use crate::console::query::Query;
use axum::Json;
use axum::extract::RawQuery;
use bourse_market::{Address, ApiId, Nanos, Offer, OfferId, Price, check_on_sale};
use bourse_store::{OfferQuery, Place};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A page of offers.
pub(super) async fn list(Reading(room): Reading, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref(), &["api", "seller", "cursor", "limit"])?;
    let (api, seller) = (query.value::<ApiId>("api")?, query.value::<Address>("seller")?);
    let (cursor, limit) = (query.bytes("cursor")?, query.limit()?);
    if seller.is_some() && api.is_none() {
        return Err(Problem::bad(
            "`seller` narrows the offers of an API: name that with `api`",
        ));
    }
    let market = room.market;
    let look = move || {
        let (ledger, now) = (market.store.read()?, market.now());
        let (offers, next) = match api {
            None => {
                let page = ledger.offers_before(cursor.map(id).transpose()?, limit)?;
                (page.found, page.next.map(|id| id.0.to_vec()))
            }
            Some(api) => {
                let page =
                    ledger.query_offers(&on_sale(api, seller, now), cursor.map(place).transpose()?, limit)?;
                (page.found, page.next.map(|place| place.to_bytes().to_vec()))
            }
        };
        Ok(json!({
            "offers": offers.iter().map(|offer| row(offer, now)).collect::<Vec<_>>(),
            "next": opt(next, |next| Value::String(hex::encode(next))),
        }))
    };
    room.console.look(look).await.map(Json)
}

fn on_sale(api: ApiId, seller: Option<Address>, now: Nanos) -> OfferQuery {
    OfferQuery {
        api,
        from: Nanos(0),
        until: Nanos(u64::MAX),
        uri_prefix: None,
        categories: BTreeMap::new(),
        seller,
        now,
    }
}

fn id(bytes: Vec<u8>) -> Result<OfferId, Problem> {
    OfferId::try_from(bytes.as_slice()).map_err(|error| Problem::bad(format!("`cursor`: {error}")))
}

fn place(bytes: Vec<u8>) -> Result<Place, Problem> {
    let bytes: [u8; Place::LEN] = bytes
        .try_into()
        .map_err(|_| Problem::bad("`cursor` is of another list than this one"))?;
    Ok(Place::from_bytes(&bytes))
}

/// An offer as it is shown.
pub(super) fn row(offer: &Offer, now: Nanos) -> Value {
    let stands = match check_on_sale(offer, now) {
        Ok(()) => "on sale".to_owned(),
        Err(_) if offer.revoked.is_some() => "revoked".to_owned(),
        Err(_) if offer.remaining == Some(0) => "sold out".to_owned(),
        Err(_) if offer.expires.is_some_and(|end| end <= now) => "expired".to_owned(),
        Err(refusal) => refusal.to_string(),
    };
    json!({
        "id": text(offer.id),
        "key": text(offer.key),
        "api": text(offer.api),
        "uri": offer.uri,
        "seller": text(offer.seller),
        "provider": offer.provider_id,
        "placed": at(offer.placed_at),
        "expires": opt(offer.expires, at),
        "price": match offer.price {
            Price::Fixed(price) => units(price),
            Price::Dynamic => Value::Null,
        },
        "policy": offer.pricing.policy,
        "floor": opt(offer.pricing.floor, units),
        "cap": opt(offer.pricing.cap, units),
        "copies": offer.copies,
        "remaining": offer.remaining,
        "stands": stands,
        "categories": offer.categories,
    })
}
