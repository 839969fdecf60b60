//! `find_consents(…)`: the consents that filters hold for, those that changed longest ago first, page by page.

use super::{Reply, while_wanted};
use crate::market::Market;
use crate::wire::{Arguments, bytes, consent_dict, invalid, opt};
use bourse_market::{ApiId, BlockNumber};
use bourse_store::{ConsentQuery, Place};
use bourse_wamp::{CallResult, Dict, Invocation, Value, WampError};
use std::sync::Arc;

const ARGUMENTS: &[&str] = &[
    "created_from",
    "limit",
    "include_owners",
    "include_delegates",
    "include_markets",
    "include_apis",
    "include_titles",
    "include_descriptions",
    "include_tags",
    "include_details",
    "cursor",
];

/// Values of one filter: each is looked for in an index of its own.
const MAX_ANY_OF: usize = 64;
/// Consents on a page.
const PAGE: usize = 1000;
/// The same where each comes whole: 5 KiB at most, in a frame of a mebibyte.
const PAGE_IN_FULL: usize = 100;

/// What is asked for.
struct Search {
    query: ConsentQuery,
    /// Catalogs, or APIs of catalogs.
    apis: Option<Vec<ApiId>>,
    details: bool,
    after: Option<Place>,
}

pub(super) async fn find_consents(market: Arc<Market>, invocation: Invocation) -> Reply {
    while_wanted(invocation.cancelled.clone(), find(market, invocation)).await
}

async fn find(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let Search {
        mut query,
        apis,
        details,
        after,
    } = parse(Arguments::of(&mut invocation, ARGUMENTS)?)?;
    let desk = Arc::clone(&market);
    let read = move || {
        desk.read(|ledger| {
            if let Some(ids) = apis {
                let ids: Vec<[u8; 16]> = ids.into_iter().map(|id| id.0).collect();
                query.catalogs = Some(ledger.catalogs_of(&ids)?);
            }
            let page = if details { PAGE_IN_FULL } else { PAGE };
            ledger.query_consents(&query, after, page)
        })
    };
    let page = market.workers.run(read).await??;
    let spell = |consent| match details {
        true => consent_dict(consent, true),
        false => bytes(consent.id.0),
    };
    let next = opt(page.next, |place| bytes(place.to_bytes()));
    Ok(CallResult {
        args: vec![Value::List(page.found.iter().map(spell).collect())],
        kwargs: Dict::from([("cursor".to_owned(), next)]),
    })
}

fn parse(mut arguments: Arguments) -> Result<Search, WampError> {
    let from = arguments.or("created_from", BlockNumber(1))?;
    let until = match arguments.optional::<u64>("limit")? {
        None => BlockNumber(u64::MAX),
        Some(0) => {
            return Err(invalid(
                "limit",
                "expected a number of blocks, 1 at least, or null for all, got 0",
            ));
        }
        // So many blocks, the first included.
        Some(blocks) => BlockNumber(from.0.saturating_add(blocks - 1)),
    };
    Ok(Search {
        query: ConsentQuery {
            from,
            until,
            members: arguments.list("include_owners", MAX_ANY_OF)?,
            delegates: arguments.list("include_delegates", MAX_ANY_OF)?,
            markets: arguments.list("include_markets", MAX_ANY_OF)?,
            catalogs: None,
            titles: arguments.list("include_titles", MAX_ANY_OF)?,
            descriptions: arguments.list("include_descriptions", MAX_ANY_OF)?,
            tags: arguments.list("include_tags", MAX_ANY_OF)?,
        },
        apis: arguments.list("include_apis", MAX_ANY_OF)?,
        details: arguments.or("include_details", false)?,
        after: arguments.optional("cursor")?,
    })
}
