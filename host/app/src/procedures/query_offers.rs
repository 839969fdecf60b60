//! `query_offers(…)`: the offers of an API that a buyer may see, oldest first, page by page.

use super::{Reply, caller, while_wanted};
use crate::market::Market;
use crate::policies::Inquiry;
use crate::wire::{Arguments, Label, SellerId, bytes, check_categories, invalid, offer_dict, opt};
use bourse_market::Nanos;
use bourse_policy::Action;
use bourse_store::{OfferQuery, Place};
use bourse_wamp::{CallResult, Dict, Invocation, Value, WampError};
use std::collections::BTreeMap;
use std::sync::Arc;

const ARGUMENTS: &[&str] = &[
    "api_id",
    "from_ts",
    "until_ts",
    "uri",
    "categories",
    "seller_id",
    "limit",
    "cursor",
];

/// Offers on a page where nothing else is said.
const DEFAULT_LIMIT: u32 = 10;
/// Offers on a page at most: a filter policy gets a page whole.
const MAX_LIMIT: u32 = 1000;

pub(super) async fn query_offers(market: Arc<Market>, invocation: Invocation) -> Reply {
    while_wanted(invocation.cancelled.clone(), query(market, invocation)).await
}

async fn query(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let session = caller(&invocation)?;
    let now = market.now();
    let arguments = Arguments::of(&mut invocation, ARGUMENTS)?;
    let (query, after, limit) = parse(arguments, now)?;
    let inquiry = Inquiry {
        action: Action::Query,
        buyer: market.known_buyer(session),
        now,
    };
    let desk = Arc::clone(&market);
    let page = market
        .workers
        .run(move || {
            desk.policies
                .page(&query, after, limit, &inquiry, |query, after, limit| {
                    desk.read(|ledger| ledger.query_offers(query, after, limit))
                })
        })
        .await??;
    let next = opt(page.next, |place| bytes(place.to_bytes()));
    Ok(CallResult {
        args: vec![Value::List(page.found.iter().map(offer_dict).collect())],
        kwargs: Dict::from([("cursor".to_owned(), next)]),
    })
}

fn parse(mut arguments: Arguments, now: Nanos) -> Result<(OfferQuery, Option<Place>, usize), WampError> {
    let query = OfferQuery {
        api: arguments.required("api_id")?,
        from: arguments.required("from_ts")?,
        until: arguments.or("until_ts", now)?,
        uri_prefix: arguments.optional("uri")?,
        categories: categories(arguments.or("categories", Dict::new())?)?,
        seller: arguments.optional("seller_id")?.map(|SellerId(seller)| seller),
        now,
    };
    let limit = arguments.or("limit", DEFAULT_LIMIT)?;
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid(
            "limit",
            format_args!("expected 1 to {MAX_LIMIT}, or null for {DEFAULT_LIMIT}, got {limit}"),
        ));
    }
    let after = arguments.optional("cursor")?;
    Ok((query, after, limit as usize))
}

fn categories(given: Dict) -> Result<BTreeMap<String, String>, WampError> {
    check_categories(&given)?;
    given
        .into_iter()
        .map(|(key, value)| {
            Label::of(value)
                .map(|Label(value)| (key.clone(), value))
                .map_err(|got| {
                    invalid(
                        "categories",
                        format_args!("{key:.40}: expected a string, an integer or a boolean, got {got}"),
                    )
                })
        })
        .collect()
}
