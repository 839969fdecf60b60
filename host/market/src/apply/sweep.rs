//! Taking offers that ended off the lists, so that queries need not step over them.

use super::Decided;
use crate::{Change, Ending, Fault, Offer, Outcome, SweepRequest, View};

/// Takes off what ended before the moment that is asked for, and what is sold out for good: a copy that is reserved may
/// come back, and its offer stays listed for that long. However many of those there are, the next sweep goes on behind them.
pub(super) fn sweep<V: View>(view: &V, request: &SweepRequest) -> Decided<V> {
    let until = request.ended_before;
    let ended = view
        .ended_offers(request.after, until, SweepRequest::MAX_OFFERS)
        .map_err(Fault::View)?;
    let seen = ended.len();
    let expired = |offer: &Offer| offer.expires.is_some_and(|end| end < until);
    let reserved = match ended.iter().all(expired) {
        true => Default::default(),
        false => view.reserved_offers().map_err(Fault::View)?,
    };
    let (mut changes, mut entries) = (Vec::new(), 0usize);
    let mut reached = request.after;
    for mut offer in ended {
        if entries >= SweepRequest::MAX_ENTRIES {
            break;
        }
        reached = Ending::of(&offer);
        if !expired(&offer) && reserved.contains(&offer.id) {
            continue;
        }
        entries = entries
            .saturating_add(SweepRequest::USUAL_ENTRIES)
            .saturating_add(offer.categories.len());
        offer.unlisted = true;
        changes.push(Change::Offer(Box::new(offer)));
    }
    let full = seen == SweepRequest::MAX_OFFERS || entries >= SweepRequest::MAX_ENTRIES;
    let swept = Outcome::Swept {
        offers: changes.len(),
        next: reached.filter(|_| full),
    };
    Ok((changes, swept))
}
