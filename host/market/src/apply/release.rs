//! Letting a suspended channel or pair sell again.

use super::Decided;
use crate::{Change, ChannelId, ChannelKind, ChannelState, Fault, Outcome, PairKey, Refusal, View};

/// Unclear answers in a row after which a seller's registration no longer releases its channel: the first costs the
/// market maker one purchase at most, a second without any sale between looks like a method.
const UNRESOLVED_BY_REGISTRATION: u32 = 1;

/// The channel goes on from its posted pair. The count of unclear answers stays until a purchase is posted: only
/// that proves that the state we abandoned was not adopted.
pub(super) fn channel<V: View>(view: &V, id: &ChannelId, by_operator: bool) -> Decided<V> {
    let channel = view
        .channel(id)
        .map_err(Fault::View)?
        .filter(|channel| channel.kind == ChannelKind::Paying);
    let mut channel = channel.ok_or(Refusal::ChannelUnknown { channel: *id })?;
    if channel.state != ChannelState::Open {
        return Err(Refusal::ChannelNotOpen { channel: *id }.into());
    }
    let Some(suspension) = channel.suspended.take() else {
        return Ok((Vec::new(), Outcome::Done));
    };
    if !by_operator && channel.unresolved > UNRESOLVED_BY_REGISTRATION {
        return Err(Refusal::ChannelSuspended {
            channel: *id,
            why: suspension.why,
        }
        .into());
    }
    Ok((vec![Change::Channel(Box::new(channel))], Outcome::Done))
}

/// An unproven pair risks nobody's channel, so it may try as often as it registers.
pub(super) fn pair<V: View>(view: &V, key: &PairKey) -> Decided<V> {
    let mut pair = view.pair(key).map_err(Fault::View)?.unwrap_or_default();
    let changes = pair.suspended.take().map(|_| Change::Pair(key.clone(), pair));
    Ok((changes.into_iter().collect(), Outcome::Done))
}
