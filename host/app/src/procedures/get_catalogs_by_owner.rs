//! `get_catalogs_by_owner(owner_adr)`: the catalogs of a member, in the order of their creation.

use super::{Reply, member};
use crate::market::Market;
use crate::wire::{Arguments, catalog_dict, fault, reply, uri};
use bourse_market::Address;
use bourse_wamp::{Invocation, Value};
use std::sync::Arc;

/// Catalogs of one owner that are told.
const MAX_CATALOGS: usize = 1000;

pub(super) async fn get_catalogs_by_owner(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let login = member(&invocation);
    let mut arguments = Arguments::of(&mut invocation, &["owner_adr"])?;
    let owner: Address = arguments.required("owner_adr")?;
    if let Some(login) = login.filter(|login| *login != owner) {
        return Err(fault(
            uri::NOT_AUTHORIZED,
            format!(
                "owner_adr: the caller is logged in as member {login}, expected its own address, got {owner}"
            ),
        ));
    }
    let catalogs = market.read(|ledger| ledger.catalogs_of_owner(&owner, MAX_CATALOGS))?;
    Ok(reply(Value::List(catalogs.iter().map(catalog_dict).collect())))
}
