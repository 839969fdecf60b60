//! `get_channels_by_delegate` and `get_channels_by_actor`: the ids of channels, oldest first, page by page.

use super::Reply;
use super::pages::Part;
use crate::market::Market;
use crate::wire::{Arguments, bytes, fault, uri};
use bourse_market::{Address, ChannelKind};
use bourse_wamp::{Invocation, WampError};
use std::sync::Arc;

/// Whose channels, and which of them.
struct Wanted {
    party: Address,
    kind: ChannelKind,
    /// Only open ones with anything left.
    live: bool,
    part: Part,
}

pub(super) async fn get_channels_by_delegate(market: Arc<Market>, invocation: Invocation) -> Reply {
    let wanted = parse(
        invocation,
        &["delegate_adr", "channel_type", "filter_open", "limit", "cursor"],
        uri::INVALID_DELEGATE_ADR,
    )?;
    let Wanted {
        party,
        kind,
        live,
        part,
    } = wanted;
    let page =
        market.read(|ledger| ledger.channels_by_delegate(kind, &party, live, part.after, part.limit))?;
    part.reply(&page, |id| bytes(id.0))
}

pub(super) async fn get_channels_by_actor(market: Arc<Market>, invocation: Invocation) -> Reply {
    let wanted = parse(
        invocation,
        &["member_adr", "channel_type", "filter_open", "limit", "cursor"],
        uri::INVALID_MEMBER_ADR,
    )?;
    let Wanted {
        party,
        kind,
        live,
        part,
    } = wanted;
    let page = market.read(|ledger| ledger.channels_by_actor(kind, &party, live, part.after, part.limit))?;
    part.reply(&page, |id| bytes(id.0))
}

/// Both take an address, a kind of channel, whether to list only open channels with anything left, and a page.
fn parse(
    mut invocation: Invocation,
    names: &'static [&'static str; 5],
    wrong_address: &str,
) -> Result<Wanted, WampError> {
    let [address, channel_type, filter_open, ..] = *names;
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
    let party = arguments.required::<Address>(address).map_err(|mut error| {
        wrong_address.clone_into(&mut error.uri);
        error
    })?;
    Ok(Wanted {
        party,
        kind,
        live: arguments.or(filter_open, true)?,
        part: Part::parse(&mut arguments)?,
    })
}
