//! `get_channels_by_delegate` and `get_channels_by_actor`: the ids of channels, oldest first.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, bytes, fault, reply, uri};
use bourse_market::{Address, ChannelKind};
use bourse_wamp::{Invocation, Value};
use std::sync::Arc;

pub(super) async fn get_channels_by_delegate(market: Arc<Market>, invocation: Invocation) -> Reply {
    let (delegate, kind, live) = parse(
        invocation,
        &["delegate_adr", "channel_type", "filter_open"],
        uri::INVALID_DELEGATE_ADR,
    )?;
    let channels = market.read(|ledger| ledger.channels_by_delegate(kind, &delegate, live))?;
    Ok(reply(Value::List(
        channels.iter().map(|id| bytes(id.0)).collect(),
    )))
}

pub(super) async fn get_channels_by_actor(market: Arc<Market>, invocation: Invocation) -> Reply {
    let (member, kind, live) = parse(
        invocation,
        &["member_adr", "channel_type", "filter_open"],
        uri::INVALID_MEMBER_ADR,
    )?;
    let channels = market.read(|ledger| ledger.channels_by_actor(kind, &member, live))?;
    Ok(reply(Value::List(
        channels.iter().map(|id| bytes(id.0)).collect(),
    )))
}

/// Both take an address, a kind of channel, and whether to list only open channels with anything left.
fn parse(
    mut invocation: Invocation,
    names: &'static [&'static str; 3],
    wrong_address: &str,
) -> Result<(Address, ChannelKind, bool), bourse_wamp::WampError> {
    let [address, channel_type, filter_open] = *names;
    let mut arguments = Arguments::of(&mut invocation, names)?;
    let kind = match arguments.required::<u64>(channel_type)? {
        1 => ChannelKind::Payment,
        2 => ChannelKind::Paying,
        other => {
            return Err(fault(
                uri::INVALID_CHANNEL_TYPE,
                format!("{channel_type}: expected 1 (payment) or 2 (paying), got {other}"),
            ));
        }
    };
    let address = arguments.required::<Address>(address).map_err(|mut error| {
        wrong_address.clone_into(&mut error.uri);
        error
    })?;
    Ok((address, kind, arguments.or(filter_open, true)?))
}
