//! `dutch`: the price falls with the age of the offer, from a start to a floor.
//!
//! Either in a straight line over `duration_ms`, or, with `half_life_ms`, such that what is left above the floor
//! halves in each half-life. README.md beside this crate has the parameters. It asks the market nothing, so its rule
//! needs no grant.

use bourse::{Amount, Market, Price, PriceRequest, PricingPolicy, Refusal};
use serde::Deserialize;

/// The policy.
pub struct Dutch;

/// What operator and seller may set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The price of a new offer, in tokens; unset means twice the reference.
    pub start: Option<Amount>,
    /// The price of an old offer, in tokens; unset means half the reference. The request's own floor goes before it.
    pub floor: Option<Amount>,
    /// How long the price falls in a straight line, in milliseconds.
    pub duration_ms: u64,
    /// Set: the way down halves in each such time, in milliseconds, and `duration_ms` has no meaning.
    pub half_life_ms: Option<u64>,
    /// The price falls in steps this long, in milliseconds, so that two questions in a row get one answer.
    pub step_ms: u64,
    /// How long a price holds, in milliseconds.
    pub valid_ms: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            start: None,
            floor: None,
            duration_ms: 3_600_000,
            half_life_ms: None,
            step_ms: 1_000,
            valid_ms: 5_000,
        }
    }
}

impl Params {
    /// The reference where the offer has no fixed price.
    const REFERENCE: Amount = Amount::from_tokens(10);

    fn check(&self) -> Result<(), Refusal> {
        let lengths = [
            ("duration_ms", Some(self.duration_ms)),
            ("half_life_ms", self.half_life_ms),
            ("step_ms", Some(self.step_ms)),
        ];
        match lengths.into_iter().find(|(_, length)| *length == Some(0)) {
            Some((name, _)) => Err(Refusal::params(format!("{name} is 0: expected at least 1"))),
            None => Ok(()),
        }
    }

    /// What is left of `distance` after `age` milliseconds.
    fn left(&self, distance: Amount, age: u64) -> Amount {
        match self.half_life_ms {
            Some(half_life) => {
                // Halved once for each whole half-life, and in a straight line within the present one.
                let whole = age.checked_div(half_life).unwrap_or(u64::MAX);
                let rest = age.checked_rem(half_life).unwrap_or(0);
                let upper = distance.halved(whole);
                let lower = upper.halved(1);
                upper.saturating_sub(upper.saturating_sub(lower).saturating_mul_div(rest, half_life))
            }
            None => distance.saturating_mul_div(self.duration_ms.saturating_sub(age), self.duration_ms),
        }
    }
}

impl PricingPolicy for Dutch {
    const NAME: &'static str = "dutch";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "The price falls with the age of the offer, from a start to a floor.";

    type Params = Params;

    fn params_schema() -> &'static str {
        include_str!("../params.schema.json")
    }

    fn quote(request: &PriceRequest<Params>, _market: &impl Market) -> Result<Price, Refusal> {
        let params = &request.params;
        params.check()?;
        let reference = request.base_price(None, Params::REFERENCE);
        let floor = request.bound(params.floor.unwrap_or(reference.halved(1)));
        let start = request.bound(params.start.unwrap_or(reference.saturating_add(reference)));
        let age = request.age_ms();
        let age = age.saturating_sub(age.checked_rem(params.step_ms).unwrap_or(0));
        let amount = floor.saturating_add(params.left(start.saturating_sub(floor), age));
        Ok(request.price(amount, params.valid_ms))
    }
}

bourse::export_pricing!(Dutch);

#[cfg(test)]
mod tests;
