//! `fair-share`: no seller takes more than its share of a page of offers.
//!
//! Each seller keeps its first offers, by the host's order, up to its share, and the sellers take turns on the page.
//! It asks the host nothing, so its rule needs no grant. README.md beside this crate has the parameters.

use bourse::{Address, Batch, FilterRequest, Verdict, WHOLE_BP};

/// The policy.
pub struct FairShare;

/// What the operator may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// The most that one seller's offers may take of a page, in hundredths of a percent; one offer is always allowed.
    #[param(default = 2_500, min = 1, max = WHOLE_BP)]
    pub share_bp: u64,
    /// Offers on a page; unset takes all that the host asks about at once for a page.
    #[param(min = 1, max = 1_000)]
    pub page: Option<u32>,
    /// Whether the sellers take turns on the page; otherwise the host's order stays.
    #[param(default = true)]
    pub turns: bool,
}

impl Params {
    /// Offers that one seller may have on a page, where `count` are asked about.
    fn limit(&self, count: usize) -> usize {
        let page = self.page.map_or(count as u64, u64::from);
        let limit = page
            .saturating_mul(self.share_bp)
            .checked_div(WHOLE_BP)
            .unwrap_or(0);
        usize::try_from(limit).unwrap_or(usize::MAX).max(1)
    }
}

/// An offer, and how many of its seller's stand before it.
struct Place {
    seller: Address,
    index: usize,
    turn: usize,
}

/// No seller takes more than its share of a page of offers.
#[bourse::policy]
impl FairShare {
    /// Hides what exceeds a seller's share. The one key of get_quote and buy_key never does.
    pub fn filter(request: &FilterRequest<Params>, offers: &Batch<'_>) -> Verdict {
        let params = &request.params;
        let mut places: Vec<Place> = offers
            .iter()
            .enumerate()
            .map(|(index, offer)| Place {
                seller: offer.seller(),
                index,
                turn: 0,
            })
            .collect();
        places.sort_unstable_by_key(|place| (place.seller, place.index));
        let (mut seller, mut turn) = (None, 0);
        for place in &mut places {
            turn = if seller == Some(place.seller) { turn + 1 } else { 0 };
            seller = Some(place.seller);
            place.turn = turn;
        }
        let limit = params.limit(offers.len());
        places.retain(|place| place.turn < limit);
        let mut verdict = Verdict::none(offers.len());
        for place in &places {
            verdict.keep(place.index);
        }
        if params.turns {
            places.sort_unstable_by_key(|place| (place.turn, place.index));
            verdict.order(places.iter().map(|place| place.index));
        }
        verdict
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
