//! `get_payment_channel_balance` and `get_paying_channel_balance`: the last posted pair of a channel.

use super::{Reply, get_channel, while_wanted};
use crate::market::Market;
use crate::wire::{Arguments, balance_dict, of_refusal, reply};
use bourse_market::{Amount, Channel, ChannelId, ChannelKind, ChannelState, Refusal, View};
use bourse_wamp::{Invocation, WampError};
use std::sync::Arc;
use std::time::Duration;

/// How long a getter waits for a purchase under way: a party that starts in the middle of one must not adopt a pair
/// that is about to move.
const WAIT: Duration = Duration::from_secs(2);

pub(super) async fn get_payment_channel_balance(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let id = argument(&mut invocation)?;
    get_channel::find(&market, id, ChannelKind::Payment)?;
    while_wanted(invocation.cancelled, soon(market.pending.settled(&id))).await?;
    posted_pair(&market, id, ChannelKind::Payment)
}

pub(super) async fn get_paying_channel_balance(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let id = argument(&mut invocation)?;
    get_channel::find(&market, id, ChannelKind::Paying)?;
    while_wanted(invocation.cancelled, soon(market.turns.passed(&id))).await?;
    posted_pair(&market, id, ChannelKind::Paying)
}

/// The pair, unless nobody knows it: whoever asks would go on from there.
fn posted_pair(market: &Market, id: ChannelId, kind: ChannelKind) -> Reply {
    let channel = get_channel::find(market, id, kind)?;
    match channel.quarantined {
        Some(_) => Err(of_refusal(&Refusal::ChannelQuarantined { channel: id })),
        None => Ok(reply(balance_dict(&channel, owed(market, &channel)?))),
    }
}

/// What the delegate of a paying channel is owed for escrowed keys, if this channel is one that may settle it now.
fn owed(market: &Market, channel: &Channel) -> Result<Amount, WampError> {
    if channel.kind != ChannelKind::Paying || !channel.bound || channel.state != ChannelState::Open {
        return Ok(Amount::ZERO);
    }
    let debt = market.read(|ledger| {
        // Whoever closes with what is told would be refused.
        let held = ledger.quarantined_of(&channel.delegate)?.is_some();
        if held {
            Ok(None)
        } else {
            ledger.debt(&channel.delegate)
        }
    })?;
    Ok(debt.map_or(Amount::ZERO, |debt| debt.owed))
}

/// Waits for the end of what is under way, a little. Over or not, what is read then is posted.
async fn soon(over: impl Future<Output = ()>) -> Result<(), WampError> {
    let _ = tokio::time::timeout(WAIT, over).await;
    Ok(())
}

fn argument(invocation: &mut Invocation) -> Result<ChannelId, WampError> {
    Arguments::of(invocation, &["channel_oid"])?.required("channel_oid")
}
