//! `dutch`: the price falls with the age of the offer, from a start to a floor.
//!
//! Either in a straight line over `duration_ms`, or, with `half_life_ms`, such that what is left above the floor
//! halves in each half-life. README.md beside this crate has the parameters. It asks the market nothing, so its rule
//! needs no grant.

use bourse::{Amount, Price, PriceRequest, Refusal};

/// The policy.
pub struct Dutch;

/// What operator and seller may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// Price of a new offer, in tokens, fractions in quotes. Where unset, twice the reference: the fixed price of a
    /// repriced offer, else 10, never below the floor in force.
    pub start: Option<Amount>,
    /// Price of an old offer, in tokens, fractions in quotes; half the reference where unset. A higher floor in force
    /// goes before it.
    pub floor: Option<Amount>,
    /// How long the price falls in a straight line, in milliseconds.
    #[param(default = 3_600_000, min = 1)]
    pub duration_ms: u64,
    /// If set, what is left above the floor halves in each such time, in milliseconds, and duration_ms has no meaning.
    #[param(min = 1)]
    pub half_life_ms: Option<u64>,
    /// The price falls in steps this long, in milliseconds.
    #[param(default = 1_000, min = 1)]
    pub step_ms: u64,
    /// How long a price holds, in milliseconds; the host may shorten it.
    #[param(default = 5_000, min = 1)]
    pub valid_ms: u32,
}

impl Params {
    /// The reference where the offer has no fixed price.
    const REFERENCE: Amount = Amount::from_tokens(10);

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

/// The price falls with the age of the offer, from a start to a floor.
#[bourse::policy]
impl Dutch {
    /// The price at the offer's present age.
    ///
    /// # Errors
    ///
    /// None of its own: what the parameters must be is checked when they are read.
    pub fn quote(request: &PriceRequest<Params>) -> Result<Price, Refusal> {
        let params = &request.params;
        let reference = request.base_price(None, Params::REFERENCE);
        let floor = request.bound(params.floor.unwrap_or(reference.halved(1)));
        let start = request.bound(params.start.unwrap_or(reference.saturating_add(reference)));
        let age = request.age_ms();
        let age = age.saturating_sub(age.checked_rem(params.step_ms).unwrap_or(0));
        let amount = floor.saturating_add(params.left(start.saturating_sub(floor), age));
        Ok(request.price(amount, params.valid_ms))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
