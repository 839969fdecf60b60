//! `@NAME@`: the price rises with each sale of the last minute, and falls back as sales leave it.
//!
//! ```text
//! price = base x min(10 000 + step_bp x sales, max_bp) / 10 000
//! ```

use bourse::{Amount, Market, Price, PriceRequest, Refusal, Subject, WHOLE_BP};

/// How far back sales count, in milliseconds.
const WINDOW_MS: u32 = 60_000;

/// How long a price holds, in milliseconds. The host may shorten it.
const VALID_MS: u32 = 5_000;

/// What operators and sellers may set. The host shows them these descriptions, and refuses what is out of bounds with
/// the code `bad_params` before `quote` is called.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// Price without sales, in tokens.
    #[param(default = "10")]
    pub base: Amount,
    /// What each sale adds, in hundredths of a percent of the base.
    #[param(default = 100, max = 1_000_000)]
    pub step_bp: u64,
    /// The most the price can be, in hundredths of a percent of the base.
    #[param(default = 30_000, min = WHOLE_BP, max = 1_000_000)]
    pub max_bp: u64,
}

/// The policy. Its functions are the hooks that the component has: add `admit` and `filter` to choose among offers, or
/// `authorize` to choose among buyers.
pub struct Policy;

/// The price rises with each sale of the last minute.
#[bourse::policy]
impl Policy {
    /// The price of one key for one buyer. All that there is to know is in the request, and in the answers of `host`:
    /// there is no clock, no chance and nothing left from the last call, so every decision can be replayed.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] would reach the buyer with its code and text; this policy sells to everybody.
    pub fn quote(request: &PriceRequest<Params>, host: &impl Market) -> Result<Price, Refusal> {
        let params = &request.params;
        let sales = host
            .demand(Subject::Api(request.offer.api), WINDOW_MS)
            .sales;
        // Sales are anybody's to make: nothing here may overflow.
        let factor = WHOLE_BP
            .saturating_add(sales.saturating_mul(params.step_bp))
            .min(params.max_bp);
        // A seller's fixed price, where the rule lets a policy work over it, goes before our own.
        let base = request.base_price(Some(params.base), Amount::ZERO);
        Ok(request.price(base.saturating_mul_bp(factor), VALID_MS))
    }
}

#[cfg(test)]
mod tests;
