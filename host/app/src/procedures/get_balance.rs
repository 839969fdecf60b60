//! `get_payment_channel_balance` and `get_paying_channel_balance`: the last posted pair of a channel.

use super::{Reply, get_channel};
use crate::market::Market;
use crate::wire::{Arguments, balance_dict, reply};
use bourse_market::{ChannelId, ChannelKind};
use bourse_wamp::Invocation;
use std::sync::Arc;
use std::time::Duration;

/// How long a getter waits for a purchase under way: a party that starts in the middle of one must not adopt a pair
/// that is about to move.
const WAIT: Duration = Duration::from_secs(2);

pub(super) async fn get_payment_channel_balance(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let id = argument(&mut invocation)?;
    get_channel::find(&market, id, ChannelKind::Payment)?;
    // Over or not, what follows is posted.
    let _ = tokio::time::timeout(WAIT, market.pending.settled(&id)).await;
    Ok(reply(balance_dict(&get_channel::find(
        &market,
        id,
        ChannelKind::Payment,
    )?)))
}

pub(super) async fn get_paying_channel_balance(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let id = argument(&mut invocation)?;
    get_channel::find(&market, id, ChannelKind::Paying)?;
    let _ = tokio::time::timeout(WAIT, market.turns.passed(&id)).await;
    Ok(reply(balance_dict(&get_channel::find(
        &market,
        id,
        ChannelKind::Paying,
    )?)))
}

fn argument(invocation: &mut Invocation) -> Result<ChannelId, bourse_wamp::WampError> {
    Arguments::of(invocation, &["channel_oid"])?.required("channel_oid")
}
