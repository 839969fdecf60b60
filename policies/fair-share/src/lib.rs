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

/// For each offer, how many of its seller's stand before it.
///
/// A table of hashes rather than a sort: a thousand offers are looked at in one go. Addresses that fall on the same place
/// make it slower, by a few milliseconds at worst, where a thousand sellers have made theirs for that.
fn turns(offers: &Batch<'_>) -> Vec<usize> {
    let size = offers.len().saturating_mul(2).next_power_of_two();
    let mut table: Vec<Option<(Address, usize)>> = vec![None; size];
    let mut turn_of = |seller: Address| {
        let mut place = hash(seller) & (size - 1);
        loop {
            // The table is never full, as it is twice as long as there are offers.
            match table.get_mut(place) {
                Some(Some((address, count))) if *address == seller => {
                    *count += 1;
                    return *count;
                }
                Some(slot @ None) => {
                    *slot = Some((seller, 0));
                    return 0;
                }
                _ => place = (place + 1) & (size - 1),
            }
        }
    };
    offers.iter().map(|offer| turn_of(offer.seller())).collect()
}

/// Any bits of the address, as addresses are hashes themselves.
fn hash(Address(bytes): Address) -> usize {
    bytes
        .last_chunk()
        .map_or(0, |last| u32::from_le_bytes(*last) as usize)
}

/// The indices of the kept offers, turn by turn.
fn in_turns(turns: &[usize], limit: usize) -> Vec<usize> {
    let mut starts: Vec<usize> = Vec::new();
    let kept = || turns.iter().enumerate().filter(|(_, turn)| **turn < limit);
    for (_, turn) in kept() {
        if *turn >= starts.len() {
            starts.resize(*turn + 1, 0);
        }
        if let Some(count) = starts.get_mut(*turn) {
            *count += 1;
        }
    }
    let mut next = 0;
    for start in &mut starts {
        next += std::mem::replace(start, next);
    }
    let mut order = vec![0; next];
    for (index, turn) in kept() {
        if let Some(start) = starts.get_mut(*turn)
            && let Some(place) = order.get_mut(*start)
        {
            *place = index;
            *start += 1;
        }
    }
    order
}

/// No seller takes more than its share of a page of offers.
#[bourse::policy]
impl FairShare {
    /// Hides what exceeds a seller's share. The one key of get_quote and buy_key never does.
    pub fn filter(request: &FilterRequest<Params>, offers: &Batch<'_>) -> Verdict {
        let params = &request.params;
        let (turns, limit) = (turns(offers), params.limit(offers.len()));
        let mut verdict = Verdict::none(offers.len());
        for (index, turn) in turns.iter().enumerate() {
            if *turn < limit {
                verdict.keep(index);
            }
        }
        if params.turns {
            verdict.order(in_turns(&turns, limit));
        }
        verdict
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
