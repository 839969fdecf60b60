//! "Why this price?": whatever somebody has of a sale, a quote or an offer, with all that led to it; and any decision made
//! again on the spot.

use super::room::Reading;
use super::{Answer, at, offers, opt, sales, text, words};
use crate::backtest::{Field, Repeat, repeat};
use crate::console::problem::Problem;
use crate::market::Market;
use axum::Json;
use bourse_market::{
    Channel, ChannelId, Decision, DecisionId, KeyId, Nanos, Offer, OfferId, PriceSource, PurchaseId,
    PurchaseState, Seq, View,
};
use bourse_policy::Record;
use bourse_store::{DecisionLog, Posted, Reader, StoreError, read_log_between};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Purchases of a channel, or sales and quotes of a key, that are listed.
const LISTED: u32 = 20;
/// Sales that are looked through for those of a key: there is no index of them by key.
const LOOKED_THROUGH: usize = 2000;
/// Decisions that are looked through for those of a purchase beside its price.
const DECISIONS: usize = 4000;
/// How long before its reservation a purchase's filters and consent were asked: it may have waited for its turn.
const BEFORE_MS: [u64; 2] = [500, 15_000];
/// How far a decision may lie before its identifier was made, and its identifier before the log's next second.
const AROUND_MS: (u64, u64) = (60_000, 2_000);
/// Characters of a record's text that are shown: a page of offers may take a megabyte.
const SHOWN: usize = 4000;

/// What somebody asks about.
enum Asked {
    /// Anything with 16 bytes to its name.
    Id([u8; 16]),
    /// What a receipt names: the payment channel and its position.
    Receipt(ChannelId, Seq),
}

/// What is behind an identifier.
enum Found {
    Sale(Box<Posted>),
    Unpaid(Box<bourse_market::Purchase>),
    Decision(Box<Decision>),
    Offer(Box<Offer>),
    Channel(Box<Channel>),
}

fn parse(asked: &str) -> Result<Asked, Problem> {
    let bad = |why: String| {
        Problem::bad(format!(
            "{why}. Give the id of a purchase, decision, key, offer or channel as 32 hex digits, or a receipt's payment channel and seq as CHANNEL:SEQ"
        ))
    };
    let asked = asked.trim();
    match asked.split_once(':') {
        None => asked
            .parse::<PurchaseId>()
            .map(|id| Asked::Id(id.0))
            .map_err(|_| bad(format!("`{}` names nothing", short(asked)))),
        Some((channel, seq)) => {
            let channel = channel
                .parse()
                .map_err(|_| bad(format!("`{}` is no channel", short(channel))))?;
            let seq = seq
                .parse()
                .map_err(|_| bad(format!("`{}` is no seq", short(seq))))?;
            Ok(Asked::Receipt(channel, Seq(seq)))
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// All that is on record about what is asked.
pub(super) async fn explain(Reading(room): Reading) -> Answer {
    let asked = parse(room.named("id")?)?;
    let market = Arc::clone(&room.market);
    let look = move || {
        let ledger = market.store.read()?;
        let found = match asked {
            Asked::Id(id) => behind(&market, &ledger, id)?,
            Asked::Receipt(channel, seq) => at_seq(&ledger, &channel, seq)?,
        };
        let found = found.ok_or_else(|| {
            Problem::unknown(
                "nothing here has this name: no purchase, decision, key, offer or channel. Decisions that came to no purchase are kept for a while only",
            )
        })?;
        told(&market, &ledger, found)
    };
    room.console.look(look).await.map(Json)
}

fn behind(market: &Market, ledger: &Reader<'_>, id: [u8; 16]) -> Result<Option<Found>, Problem> {
    if let Some(found) = purchase(ledger, &PurchaseId(id))? {
        return Ok(Some(found));
    }
    if let Some(decision) = decision(market, ledger, &DecisionId(id))? {
        return Ok(Some(Found::Decision(Box::new(decision))));
    }
    let by_key = ledger.offer_by_key(&KeyId(id))?;
    if let Some(offer) = by_key.map_or_else(|| ledger.offer(&OfferId(id)), |offer| Ok(Some(offer)))? {
        return Ok(Some(Found::Offer(Box::new(offer))));
    }
    let channel = ledger.channel(&ChannelId(id))?;
    Ok(channel.map(|channel| Found::Channel(Box::new(channel))))
}

fn purchase(ledger: &Reader<'_>, id: &PurchaseId) -> Result<Option<Found>, StoreError> {
    if let Some(posted) = ledger.posted(id)? {
        return Ok(Some(Found::Sale(Box::new(posted))));
    }
    let unpaid = ledger.purchase(id)?;
    Ok(unpaid.map(|purchase| Found::Unpaid(Box::new(purchase))))
}

fn at_seq(ledger: &Reader<'_>, channel: &ChannelId, seq: Seq) -> Result<Option<Found>, StoreError> {
    let bought = ledger.purchase_at(channel, seq)?.map(|purchase| purchase.id);
    let id = match bought {
        Some(id) => Some(id),
        None => ledger.escrow_sale_at(channel, seq)?.map(|sale| sale.id),
    };
    id.map_or(Ok(None), |id| purchase(ledger, &id))
}

/// A decision of the ledger or, for a while, of the log.
fn decision(market: &Market, ledger: &Reader<'_>, id: &DecisionId) -> Result<Option<Decision>, Problem> {
    if let Some(decision) = ledger.decision(id)? {
        return Ok(Some(decision));
    }
    Ok(market.policies.log().map_or(Ok(None), |log| logged(log, id))?)
}

/// Looks where a decision must stand, if it is in the log: its identifier tells when it was made.
fn logged(log: &DecisionLog, id: &DecisionId) -> Result<Option<Decision>, StoreError> {
    let uuid = uuid::Uuid::from_bytes(id.0);
    let Some((seconds, nanos)) = uuid.get_timestamp().map(|made| made.to_unix()) else {
        return Ok(None);
    };
    let made = seconds
        .saturating_mul(1000)
        .saturating_add(u64::from(nanos) / 1_000_000);
    let moment = |ms: u64| Nanos(ms.saturating_mul(1_000_000));
    let (before, after) = AROUND_MS;
    let (from, to) = (
        moment(made.saturating_sub(before)),
        moment(made.saturating_add(after)),
    );
    log.flush();
    let mut found = None;
    read_log_between(log.folder(), from, to, &mut |decision| match decision.id == *id {
        true => {
            found = Some(decision);
            ControlFlow::Break(())
        }
        false => ControlFlow::Continue(()),
    })?;
    Ok(found)
}

fn told(market: &Market, ledger: &Reader<'_>, found: Found) -> Answered {
    match found {
        Found::Sale(posted) => sale(market, ledger, &posted),
        Found::Unpaid(purchase) => unpaid(market, ledger, &purchase),
        Found::Decision(decision) => of_decision(market, ledger, &decision),
        Found::Offer(offer) => of_offer(market, ledger, &offer),
        Found::Channel(channel) => of_channel(ledger, &channel),
    }
}

type Answered = Result<Value, Problem>;

fn sale(market: &Market, ledger: &Reader<'_>, posted: &Posted) -> Answered {
    let priced = match &posted.source {
        PriceSource::Policy(id) => ledger.decision(id)?,
        PriceSource::Fixed | PriceSource::Seller => None,
    };
    let record = priced
        .as_ref()
        .and_then(|decision| Record::decode(&decision.body).ok());
    let (also, all) = beside(ledger, posted, priced.as_ref())?;
    Ok(json!({
        "what": "sale",
        "words": words::of_sale(posted, record.as_ref()),
        "sale": sales::row(ledger, posted)?,
        "offer": offer(market, ledger, &posted.offer)?,
        "decisions": priced.iter().chain(&also).map(spelled).collect::<Vec<_>>(),
        "all_decisions": all,
    }))
}

/// The decisions of a sale's filters and consents, and whether these are all: they are found by their time.
fn beside(
    ledger: &Reader<'_>,
    posted: &Posted,
    priced: Option<&Decision>,
) -> Result<(Vec<Decision>, bool), StoreError> {
    let mut found: Vec<Decision> = Vec::new();
    let mut looked = 0_usize;
    let mut until = Nanos(posted.reserved.0.saturating_add(1));
    for ms in BEFORE_MS {
        let from = Nanos(posted.reserved.0.saturating_sub(ms * 1_000_000));
        ledger.decisions(from, until, &mut |decision| {
            looked = looked.saturating_add(1);
            let own = decision.header.purchase == Some(posted.id);
            if own && priced.is_none_or(|priced| priced.id != decision.id) {
                found.push(decision);
            }
            match looked > DECISIONS {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        until = from;
    }
    Ok((found, looked <= DECISIONS))
}

fn unpaid(market: &Market, ledger: &Reader<'_>, purchase: &bourse_market::Purchase) -> Answered {
    let void = match &purchase.state {
        PurchaseState::Voided { reason, .. } => Some(reason),
        PurchaseState::Sent | PurchaseState::Posted { .. } => None,
    };
    let decision = match &purchase.source {
        // What came to no sale is in the log alone.
        PriceSource::Policy(id) => decision(market, ledger, id)?,
        PriceSource::Fixed | PriceSource::Seller => None,
    };
    Ok(json!({
        "what": "purchase",
        "words": [words::of_unpaid(void)],
        "offer": offer(market, ledger, &purchase.offer)?,
        "decisions": decision.iter().map(spelled).collect::<Vec<_>>(),
    }))
}

fn of_decision(market: &Market, ledger: &Reader<'_>, decision: &Decision) -> Answered {
    let posted = match &decision.header.purchase {
        Some(id) => ledger.posted(id)?,
        None => None,
    };
    let shadow = decision.header.is_of_shadow();
    let nothing = match shadow {
        true => "A shadow decided this: it was compared, and used for nothing.",
        false => "No purchase came of this decision, as far as the ledger knows.",
    };
    let of = Record::decode(&decision.body)
        .ok()
        .and_then(|record| match record.input {
            bourse_policy::Input::Pricing(input) => Some(input.offer.id.0),
            bourse_policy::Input::Admit(input) => Some(input.offer.id.0),
            bourse_policy::Input::Consent(input) => input.offer.map(|offer| offer.id.0),
            bourse_policy::Input::Filter(_) => None,
        });
    Ok(json!({
        "what": "decision",
        "words": match posted {
            Some(_) => vec!["A purchase came of this decision."],
            None => vec![nothing],
        },
        "sale": opt(posted.as_ref().map(|posted| sales::row(ledger, posted)).transpose()?, |row| row),
        "offer": of.map_or(Ok(Value::Null), |id| offer(market, ledger, &id))?,
        "decisions": [spelled(decision)],
    }))
}

fn of_offer(market: &Market, ledger: &Reader<'_>, offer: &Offer) -> Answered {
    let mut sold = Vec::new();
    let page = ledger.sales_before(None, LOOKED_THROUGH)?;
    let of_key = page.found.iter().filter(|posted| posted.sale.key == offer.key);
    for posted in of_key.take(LISTED as usize) {
        sold.push(sales::row(ledger, posted)?);
    }
    let quotes = market.feed.quotes();
    let quotes = quotes.iter().filter(|quoted| quoted.key == offer.key);
    let through = page
        .next
        .map(|_| format!(" among the market's last {LOOKED_THROUGH}"));
    Ok(json!({
        "what": "offer",
        "words": [format!(
            "This is a key on offer. Below are its last sales{}, and the last quotes for it since the host started: choose one.",
            through.unwrap_or_default()
        )],
        "offer": offers::row(offer, market.now()),
        "sales": sold,
        "quotes": quotes.take(LISTED as usize).map(sales::quote).collect::<Vec<_>>(),
        "decisions": [],
    }))
}

fn of_channel(ledger: &Reader<'_>, channel: &Channel) -> Answered {
    let mut bought = Vec::new();
    let first = channel.seq.0.saturating_sub(LISTED);
    for seq in (first..=channel.seq.0).rev().take(LISTED as usize) {
        if let Some(Found::Sale(posted)) = at_seq(ledger, &channel.id, Seq(seq))? {
            bought.push(sales::row(ledger, &posted)?);
        }
    }
    Ok(json!({
        "what": "channel",
        "words": [match bought.is_empty() {
            true => "No sale was paid over this channel, or it is one that pays a seller: look up the purchase by its buyer's channel.",
            false => "These are the last sales that were paid over this channel: choose one.",
        }],
        "sales": bought,
        "decisions": [],
    }))
}

fn offer(market: &Market, ledger: &Reader<'_>, id: &OfferId) -> Answered {
    Ok(opt(ledger.offer(id)?, |offer| offers::row(&offer, market.now())))
}

/// A decision as it is shown.
fn spelled(decision: &Decision) -> Value {
    let header = &decision.header;
    let record = Record::decode(&decision.body);
    let (words, shown) = match &record {
        Ok(record) => (words::of_decision(record), recorded(record)),
        Err(error) => (
            vec![format!("Its record cannot be read: {error}.")],
            String::new(),
        ),
    };
    let record = record.ok();
    json!({
        "id": text(decision.id),
        "at": at(header.at),
        "hook": header.hook,
        "policy": header.policy,
        "revision": text(header.revision),
        "purchase": opt(header.purchase, text),
        "words": words,
        "record": shown,
        "outcome": record.as_ref().map(|record| record.outcome.clone()),
        "fuel": record.as_ref().map(|record| record.fuel),
        "us": record.as_ref().map(|record| record.us),
    })
}

/// The record as it is exported, for people to read: its numbers would not survive as numbers.
fn recorded(record: &Record) -> String {
    let mut value = serde_json::to_value(record).unwrap_or_default();
    shorten(&mut value);
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > SHOWN => {
            let kept: String = text.chars().take(SHOWN).collect();
            *text = format!("{kept}… ({} characters in all)", text.len());
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Makes a decision again, and says whether it came out the same.
pub(super) async fn replay(Reading(room): Reading) -> Answer {
    let id: DecisionId = room
        .named("id")?
        .parse()
        .map_err(|error: bourse_market::ParseIdError| Problem::bad(error.to_string()))?;
    let market = Arc::clone(&room.market);
    let look = move || {
        let ledger = market.store.read()?;
        let found = decision(&market, &ledger, &id)?;
        let found =
            found.ok_or_else(|| Problem::unknown(format!("there is no decision {id}, or not any more")))?;
        drop(ledger);
        again(&market, &found)
    };
    room.console.look(look).await.map(Json)
}

fn again(market: &Market, decision: &Decision) -> Answered {
    let refused = |why: String| Problem::refused(format!("this decision cannot be made again: {why}"));
    let record = Record::decode(&decision.body).map_err(|error| refused(error.to_string()))?;
    let library = market.policies.library();
    let revision = library
        .load_archived(&record.policy, record.revision.0)
        .map_err(|error| refused(error.to_string()))?;
    let started = Instant::now();
    let came = repeat(&record, &revision).map_err(refused)?;
    let took = started.elapsed();
    let (result, fields) = match came {
        Repeat::Exact => ("exact", Vec::new()),
        Repeat::Circumstance(_) => ("circumstance", Vec::new()),
        Repeat::Different(fields) => ("different", fields),
    };
    let differs = |field: &Field| json!({ "field": field.field, "recorded": field.recorded, "repeated": field.repeated });
    Ok(json!({
        "result": result,
        "outcome": record.outcome,
        "fields": fields.iter().map(differs).collect::<Vec<_>>(),
        "fuel": record.fuel,
        "us": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    }))
}
