//! `get_offer(offer_id)`: an offer as it stands.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, fault, offer_dict, reply, uri};
use bourse_market::OfferId;
use bourse_wamp::Invocation;
use std::sync::Arc;

pub(super) async fn get_offer(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["offer_id"])?;
    let id: OfferId = arguments.required("offer_id")?;
    let offer = market.read(|ledger| ledger.offer(&id))?;
    let offer = offer.ok_or_else(|| fault(uri::NO_SUCH_OBJECT, format!("no offer {id}")))?;
    Ok(reply(offer_dict(&offer)))
}
