//! `surge`: the price follows demand within a sliding window, from a base up to a multiple of it.
//!
//! Each sale beyond `target_sales` within the last `window_ms` milliseconds adds `step_bp` of the base, until the
//! price is `max_bp` of it. As sales leave the window the price falls back. README.md beside this crate has the
//! parameters.

use bourse::{Amount, MAX_WINDOW_MS, Market, Price, PriceRequest, PricingPolicy, Refusal, Subject, WHOLE_BP};
use serde::Deserialize;

/// The policy.
pub struct Surge;

/// What operator and seller may set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The price without demand, in tokens, for dynamic offers; unset means 10. A fixed price goes before it.
    pub base: Option<Amount>,
    /// Whose sales count.
    pub scope: Scope,
    /// How far back sales count, in milliseconds.
    pub window_ms: u32,
    /// Sales within the window that the base is meant for.
    pub target_sales: u64,
    /// What each further sale adds, in hundredths of a percent of the base.
    pub step_bp: u64,
    /// The most the price can be, in hundredths of a percent of the base.
    pub max_bp: u64,
    /// How long a price holds, in milliseconds.
    pub valid_ms: u32,
}

/// Whose sales count as demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those of the one key.
    Key,
    /// Those of all keys of its API. Keys are replaced every few seconds or minutes, APIs last.
    Api,
    /// Those of all keys of its seller.
    Seller,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            base: None,
            scope: Scope::Api,
            window_ms: 60_000,
            target_sales: 5,
            step_bp: 200,
            max_bp: 30_000,
            valid_ms: 5_000,
        }
    }
}

impl Params {
    /// The base where neither the offer nor the parameters name one.
    const BASE: Amount = Amount::from_tokens(10);

    fn check(&self) -> Result<(), Refusal> {
        let Self {
            window_ms, max_bp, ..
        } = self;
        if *window_ms == 0 || *window_ms > MAX_WINDOW_MS {
            return Err(Refusal::params(format!(
                "window_ms is {window_ms}: expected 1 to {MAX_WINDOW_MS}"
            )));
        }
        if *max_bp < WHOLE_BP {
            return Err(Refusal::params(format!(
                "max_bp is {max_bp}: expected at least {WHOLE_BP}, the base itself"
            )));
        }
        Ok(())
    }

    /// What the price is after `sales`, in hundredths of a percent of the base.
    fn factor_bp(&self, sales: u64) -> u64 {
        let excess = sales.saturating_sub(self.target_sales);
        WHOLE_BP
            .saturating_add(excess.saturating_mul(self.step_bp))
            .min(self.max_bp)
    }
}

impl PricingPolicy for Surge {
    const NAME: &'static str = "surge";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str =
        "The price rises with the sales of a sliding window and falls back as they leave it.";

    type Params = Params;

    fn params_schema() -> &'static str {
        include_str!("../params.schema.json")
    }

    fn quote(request: &PriceRequest<Params>, market: &impl Market) -> Result<Price, Refusal> {
        let params = &request.params;
        params.check()?;
        let subject = match params.scope {
            Scope::Key => Subject::Key(request.offer.key),
            Scope::Api => Subject::Api(request.offer.api),
            Scope::Seller => Subject::Seller(request.offer.seller),
        };
        let sales = market.demand(subject, params.window_ms).sales;
        let base = request.base_price(params.base, Params::BASE);
        Ok(request.price(base.saturating_mul_bp(params.factor_bp(sales)), params.valid_ms))
    }
}

bourse::export_pricing!(Surge);

#[cfg(test)]
mod tests;
