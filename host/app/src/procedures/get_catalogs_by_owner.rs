//! `get_catalogs_by_owner(owner_adr)`: the catalogs of a member, in the order of their creation, page by page, each with what
//! it says of itself, as far as that was fetched.

use super::Reply;
use super::pages::Part;
use crate::content::Content;
use crate::market::Market;
use crate::wire::{Arguments, catalog_dict, of_store};
use bourse_chain::ContentId;
use bourse_market::Address;
use bourse_market::registry::Catalog;
use bourse_store::{Page, StoreError};
use bourse_wamp::Invocation;
use std::sync::Arc;

/// Bytes of metadata in one answer, as they are spelled: half of a frame.
const MAX_METADATA: usize = 512 * 1024;
/// Bytes of one catalog's: each becomes six if it is spelled in the worst way. What is longer counts as missing.
const MAX_TEXT: usize = 64 * 1024;

/// A catalog and what it says of itself; empty if that is not known.
struct Described {
    catalog: Catalog,
    metadata: String,
}

pub(super) async fn get_catalogs_by_owner(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["owner_adr", "limit", "cursor"])?;
    let owner: Address = arguments.required("owner_adr")?;
    let part = Part::parse(&mut arguments)?;
    let (desk, after, limit) = (Arc::clone(&market), part.after, part.limit);
    let page = market.workers.run(move || {
        let ledger = desk.store.read()?;
        let page = ledger.catalogs_of_owner(&owner, after, limit)?;
        let found = page.found.len();
        let described = describe(&desk.content, page.found);
        // Where the cursor stands is for the ledger to say.
        let next = match described.len() < found {
            true => ledger.catalogs_of_owner(&owner, after, described.len())?.next,
            false => page.next,
        };
        Ok::<_, StoreError>(Page {
            found: described,
            next,
        })
    });
    let page = page.await?.map_err(of_store)?;
    part.reply(&page, |described| {
        catalog_dict(&described.catalog, &described.metadata)
    })
}

/// As many of the catalogs, the first at least, as there is room for what they say.
fn describe(content: &Content, catalogs: Vec<Catalog>) -> Vec<Described> {
    let mut room = MAX_METADATA;
    let mut described = Vec::with_capacity(catalogs.len());
    for catalog in catalogs {
        let metadata = metadata(content, &catalog);
        let Some(rest) = room.checked_sub(spelled(&metadata)) else {
            break;
        };
        room = rest;
        described.push(Described { catalog, metadata });
    }
    described
}

/// What is on the chain for a name is anybody's text: it is looked for only if it is a hash.
fn metadata(content: &Content, catalog: &Catalog) -> String {
    let id: Option<ContentId> = catalog.meta.parse().ok();
    let text = id.and_then(|id| content.get(id));
    text.filter(|text| text.len() <= MAX_TEXT).unwrap_or_default()
}

/// Bytes that a text takes in JSON, which takes the most.
fn spelled(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        0..=0x1F | 0x7F => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}
