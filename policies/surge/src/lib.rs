//! `surge`: the price follows demand within a sliding window, from a base up to a multiple of it.
//!
//! Each sale beyond `target_sales` within the last `window_ms` milliseconds adds `step_bp` of the base, until the
//! price is `max_bp` of it. As sales leave the window the price falls back. README.md beside this crate has the
//! parameters.

use bourse::{Amount, MAX_WINDOW_MS, Market, Price, PriceRequest, Refusal, Subject, WHOLE_BP};

/// The policy.
pub struct Surge;

/// What operator and seller may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// Price without demand, in tokens, for dynamic offers; 10 where unset. Fractions in quotes. The fixed price of a
    /// repriced offer goes before it.
    pub base: Option<Amount>,
    /// Whose sales count as demand: those of the key, of its API, or of its seller.
    pub scope: Scope,
    /// How far back sales count, in milliseconds.
    #[param(default = 60_000, min = 1, max = MAX_WINDOW_MS)]
    pub window_ms: u32,
    /// Sales within the window that the base is meant for.
    #[param(default = 5)]
    pub target_sales: u64,
    /// What each further sale adds, in hundredths of a percent of the base.
    #[param(default = 200)]
    pub step_bp: u64,
    /// The most the price can be, in hundredths of a percent of the base.
    #[param(default = 30_000, min = WHOLE_BP)]
    pub max_bp: u64,
    /// How long a price holds, in milliseconds; the host may shorten it.
    #[param(default = 5_000, min = 1)]
    pub valid_ms: u32,
}

/// Whose sales count as demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub enum Scope {
    /// Those of the one key.
    Key,
    /// Those of all keys of its API. Keys are replaced every few seconds or minutes, APIs last.
    #[param(default)]
    Api,
    /// Those of all keys of its seller.
    Seller,
}

impl Params {
    /// The base where neither the offer nor the parameters name one.
    const BASE: Amount = Amount::from_tokens(10);

    /// What the price is after `sales`, in hundredths of a percent of the base.
    fn factor_bp(&self, sales: u64) -> u64 {
        let excess = sales.saturating_sub(self.target_sales);
        WHOLE_BP
            .saturating_add(excess.saturating_mul(self.step_bp))
            .min(self.max_bp)
    }
}

/// The price rises with the sales of a sliding window and falls back as they leave it.
#[bourse::policy]
impl Surge {
    /// The price for this buyer, now.
    ///
    /// # Errors
    ///
    /// None of its own: what the parameters must be is checked when they are read.
    pub fn quote(request: &PriceRequest<Params>, host: &impl Market) -> Result<Price, Refusal> {
        let params = &request.params;
        let subject = match params.scope {
            Scope::Key => Subject::Key(request.offer.key),
            Scope::Api => Subject::Api(request.offer.api),
            Scope::Seller => Subject::Seller(request.offer.seller),
        };
        let sales = host.demand(subject, params.window_ms).sales;
        let base = request.base_price(params.base, Params::BASE);
        Ok(request.price(base.saturating_mul_bp(params.factor_bp(sales)), params.valid_ms))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
