//! `get_catalogs_by_owner(owner_adr)`: the catalogs of a member, in the order of their creation, page by page.

use super::pages::Part;
use super::{Reply, member};
use crate::market::Market;
use crate::wire::{Arguments, catalog_dict, fault, uri};
use bourse_market::Address;
use bourse_wamp::Invocation;
use std::sync::Arc;

pub(super) async fn get_catalogs_by_owner(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let login = member(&invocation);
    let mut arguments = Arguments::of(&mut invocation, &["owner_adr", "limit", "cursor"])?;
    let owner: Address = arguments.required("owner_adr")?;
    if let Some(login) = login.filter(|login| *login != owner) {
        return Err(fault(
            uri::NOT_AUTHORIZED,
            format!(
                "owner_adr: the caller is logged in as member {login}, expected its own address, got {owner}"
            ),
        ));
    }
    let part = Part::parse(&mut arguments)?;
    let page = market.read(|ledger| ledger.catalogs_of_owner(&owner, part.after, part.limit))?;
    part.reply(&page, catalog_dict)
}
