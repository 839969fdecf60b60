//! Sales, the newest first, and the prices of the last ones and of the last quotes, by API.

use super::room::Reading;
use super::{Answer, at, opt, text, units};
use crate::console::Quoted;
use crate::console::problem::Problem;
use crate::console::query::Query;
use axum::Json;
use axum::extract::RawQuery;
use bourse_market::{Amount, ApiId, Decision, PriceSource};
use bourse_policy::{Input, Record};
use bourse_store::{Place, Posted, Reader, StoreError};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Sales that a chart is drawn of: those of all APIs together.
const DRAWN: usize = 300;

/// A page of sales.
pub(super) async fn list(Reading(room): Reading, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref(), &["before", "limit"])?;
    let (before, limit) = (place(&query)?, query.limit()?);
    let market = room.market;
    let look = move || {
        let ledger = market.store.read()?;
        let page = ledger.sales_before(before, limit)?;
        let sales = page.found.iter().map(|posted| row(&ledger, posted));
        let sales = sales.collect::<Result<Vec<_>, _>>()?;
        Ok(json!({
            "sales": sales,
            "next": opt(page.next, |place| Value::String(hex::encode(place.to_bytes()))),
        }))
    };
    room.console.look(look).await.map(Json)
}

fn place(query: &Query<'_>) -> Result<Option<Place>, Problem> {
    let Some(bytes) = query.bytes("before")? else {
        return Ok(None);
    };
    let bytes: [u8; Place::LEN] = bytes.try_into().map_err(|_| {
        Problem::bad(format!(
            "`before` is no place in a list: it has {} bytes, as a page before this one named it",
            Place::LEN
        ))
    })?;
    Ok(Some(Place::from_bytes(&bytes)))
}

/// A sale as it is shown.
pub(super) fn row(ledger: &Reader<'_>, posted: &Posted) -> Result<Value, StoreError> {
    let decision = priced_by(ledger, posted)?;
    let record = decision.as_ref().and_then(decode);
    let sale = &posted.sale;
    Ok(json!({
        "id": text(posted.id),
        "at": at(sale.at),
        "key": text(sale.key),
        "api": text(sale.api),
        "seller": text(sale.seller),
        "buyer": text(sale.buyer),
        "offer": text(posted.offer),
        "channel": text(posted.channel),
        "price": units(sale.price),
        "fee": units(posted.fee),
        "most": units(posted.most),
        "base": opt(base(posted, record.as_ref()), units),
        "source": source(&posted.source),
        "policy": opt(decision.as_ref(), |decision| text(&decision.header.policy)),
        "revision": opt(decision.as_ref(), |decision| text(decision.header.revision)),
        "decision": opt(decision.as_ref(), |decision| text(decision.id)),
        "escrowed": posted.escrowed,
    }))
}

pub(super) fn source(source: &PriceSource) -> &'static str {
    match source {
        PriceSource::Fixed => "fixed",
        PriceSource::Policy(_) => "policy",
        PriceSource::Seller => "seller",
    }
}

/// The decision behind the price of a sale.
fn priced_by(ledger: &Reader<'_>, posted: &Posted) -> Result<Option<Decision>, StoreError> {
    match &posted.source {
        PriceSource::Policy(id) => ledger.decision(id),
        PriceSource::Fixed | PriceSource::Seller => Ok(None),
    }
}

fn decode(decision: &Decision) -> Option<Record> {
    Record::decode(&decision.body).ok()
}

/// What a price started from: the offer's own, or what the policy was given to work on.
fn base(posted: &Posted, record: Option<&Record>) -> Option<Amount> {
    match posted.source {
        PriceSource::Fixed => Some(posted.sale.price),
        PriceSource::Seller => None,
        PriceSource::Policy(_) => record.and_then(base_of),
    }
}

/// The base that a policy was given: the offer's price, or the parameter of that name. One that a policy has of its own, where
/// it was given none, is nowhere on record.
pub(super) fn base_of(record: &Record) -> Option<Amount> {
    let Input::Pricing(input) = &record.input else {
        return None;
    };
    input
        .base
        .map(|base| base.0)
        .or_else(|| base_of_params(&input.params))
}

/// The base that parameters name: every policy that has such a parameter means by it what its prices start from, in tokens.
pub(super) fn base_of_params(params: &str) -> Option<Amount> {
    let params: Map<String, Value> = serde_json::from_str(params).ok()?;
    let tokens = match params.get("base")? {
        Value::String(tokens) => tokens.clone(),
        Value::Number(tokens) => tokens.to_string(),
        _ => return None,
    };
    Amount::parse_tokens(&tokens).ok()
}

/// A quote as it is shown.
pub(super) fn quote(quoted: &Quoted) -> Value {
    let quote = quoted.quote.as_deref();
    let decision = quote.and_then(|quote| quote.decision.as_ref());
    let base = decision.and_then(decode).as_ref().and_then(base_of);
    json!({
        "at": at(quoted.at),
        "key": text(quoted.key),
        "api": text(quoted.api),
        "seller": text(quoted.seller),
        "buyer": opt(quoted.buyer, text),
        "price": units(quoted.price),
        "base": opt(base.or(quoted.own), units),
        "source": opt(quote, |quote| source(&quote.source).into()),
        "until": opt(quote, |quote| at(quote.until)),
        "policy": opt(decision, |decision| text(&decision.header.policy)),
        "decision": opt(decision, |decision| text(decision.id)),
    })
}

/// What one API's chart is drawn of.
#[derive(Default)]
struct Series {
    uri: Option<String>,
    sales: Vec<Value>,
    quotes: Vec<Value>,
}

/// The last prices of each API: the base, what was quoted, what was paid.
pub(super) async fn prices(Reading(room): Reading) -> Answer {
    let market = room.market;
    let look = move || {
        let mut series: BTreeMap<ApiId, Series> = BTreeMap::new();
        let ledger = market.store.read()?;
        for posted in ledger.sales_before(None, DRAWN)?.found {
            let of_api = series.entry(posted.sale.api).or_default();
            if of_api.uri.is_none() {
                of_api.uri = ledger.offer(&posted.offer)?.map(|offer| offer.uri);
            }
            of_api.sales.push(row(&ledger, &posted)?);
        }
        for quoted in market.feed.quotes() {
            let of_api = series.entry(quoted.api).or_default();
            of_api.quotes.push(quote(&quoted));
        }
        let spelled = series.into_iter().map(|(api, series)| {
            json!({ "api": text(api), "uri": series.uri, "sales": series.sales, "quotes": series.quotes })
        });
        Ok(json!({ "apis": spelled.collect::<Vec<_>>() }))
    };
    room.console.look(look).await.map(Json)
}
