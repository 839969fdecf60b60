//! `get_payment_channel`, `get_paying_channel` and their `get_active_…` kin: channels by id and by delegate.

use super::{Reply, caller};
use crate::market::Market;
use crate::wire::{Arguments, bytes, channel_dict, of_refusal, opt, reply};
use bourse_market::{Address, Channel, ChannelId, ChannelKind, Refusal, View};
use bourse_wamp::{Invocation, Value, WampError};
use std::sync::Arc;

pub(super) async fn get_payment_channel(market: Arc<Market>, invocation: Invocation) -> Reply {
    by_id(&market, invocation, ChannelKind::Payment)
}

pub(super) async fn get_paying_channel(market: Arc<Market>, invocation: Invocation) -> Reply {
    by_id(&market, invocation, ChannelKind::Paying)
}

fn by_id(market: &Market, mut invocation: Invocation, kind: ChannelKind) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["channel_oid"])?;
    let channel = find(market, arguments.required("channel_oid")?, kind)?;
    let anchor = market.read(|ledger| ledger.anchor(&channel.id))?;
    let mut told = channel_dict(&channel);
    if let (Value::Map(fields), Some((_, paid))) = (&mut told, anchor.and_then(|anchor| anchor.closed)) {
        fields.insert("closed_tx".to_owned(), bytes(paid.transaction.0));
    }
    Ok(reply(told))
}

/// A channel of one kind, by its id.
pub(super) fn find(market: &Market, id: ChannelId, kind: ChannelKind) -> Result<Channel, WampError> {
    market
        .read(|ledger| ledger.channel(&id))?
        .filter(|channel| channel.kind == kind)
        .ok_or_else(|| of_refusal(&Refusal::ChannelUnknown { channel: id }))
}

/// The buyer delegate's oldest open channel with anything left, or null.
pub(super) async fn get_active_payment_channel(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["delegate_adr"])?;
    let delegate: Address = arguments.required("delegate_adr")?;
    let active = market.read(|ledger| ledger.active_channel(ChannelKind::Payment, &delegate))?;
    Ok(reply(opt(active.as_ref(), channel_dict)))
}

/// The seller delegate's likewise. What a seller is told here is what its session will be served from.
pub(super) async fn get_active_paying_channel(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["delegate_adr"])?;
    let delegate: Address = arguments.required("delegate_adr")?;
    let active = market.read(|ledger| ledger.active_channel(ChannelKind::Paying, &delegate))?;
    if let Some(channel) = &active {
        market.providers.told(caller(&invocation)?, delegate, channel.id);
    }
    Ok(reply(opt(active.as_ref(), channel_dict)))
}
