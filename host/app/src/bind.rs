//! Whose a delegate is, on the operator's word, while the market runs.
//!
//! On a chain anybody may open a channel that names anybody's delegate. So a delegate counts as its actor's only when the
//! operator says so; until then no channel that names it is used.

use crate::market::Market;
use bourse_market::{Address, BindRequest, ChannelId, ChannelKind, Command, Outcome, View};
use serde::{Deserialize, Serialize};

/// Channels of one delegate that are bound in one write. More are bound by the same command again.
const MOST: usize = 256;

/// The operator knows whose a delegate is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The delegate.
    pub(crate) delegate: Address,
    /// Its actor.
    pub(crate) actor: Address,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// The channels that may be used now.
    pub(crate) channels: Vec<ChannelId>,
}

/// Binds a delegate to its actor, and with it the channels of the actor that name it. Blocks.
///
/// # Errors
///
/// Why not, in words; nothing has changed then.
pub(crate) fn carry_out(market: &Market, request: Request) -> Result<Reply, String> {
    let Request { delegate, actor } = request;
    if is_swapped(market, request).map_err(|error| error.to_string())? {
        return Err(format!(
            "{delegate} is a member and {actor} is none: is it the other way round? The delegate comes first, then its actor"
        ));
    }
    let channels = unbound(market, delegate, actor).map_err(|error| error.to_string())?;
    let command = Command::Bind(BindRequest {
        delegate,
        actor,
        channels,
        at: market.now(),
    });
    match market
        .store
        .submit_blocking(command)
        .map_err(|error| error.to_string())?
    {
        Outcome::Bound { channels } => {
            tracing::info!(%delegate, %actor, channels = channels.len(), "a delegate was bound to its actor");
            let channels = channels.into_iter().map(|channel| channel.id).collect();
            Ok(Reply { channels })
        }
        other => Err(format!("the ledger answered with another's outcome: {other:?}")),
    }
}

/// Whether the registry knows the delegate for a member and the actor for none: a word that is for good is not taken so.
fn is_swapped(market: &Market, request: Request) -> Result<bool, bourse_store::StoreError> {
    let ledger = market.store.read()?;
    let (delegate, actor) = (ledger.member(&request.delegate)?, ledger.member(&request.actor)?);
    Ok(delegate.is_some() && actor.is_none())
}

/// The actor's channels of both kinds that name the delegate and are not used yet.
fn unbound(
    market: &Market,
    delegate: Address,
    actor: Address,
) -> Result<Vec<ChannelId>, bourse_store::StoreError> {
    let ledger = market.store.read()?;
    let mut found = Vec::new();
    for kind in [ChannelKind::Payment, ChannelKind::Paying] {
        let mut after = None;
        loop {
            let page = ledger.channels_by_delegate(kind, &delegate, false, after, MOST)?;
            for id in page.found {
                let channel = ledger.channel(&id)?;
                if channel.is_some_and(|channel| channel.actor == actor && !channel.bound) {
                    found.push(id);
                }
            }
            after = page.next;
            if after.is_none() || found.len() >= MOST {
                break;
            }
        }
    }
    found.truncate(MOST);
    Ok(found)
}
