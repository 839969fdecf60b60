//! `auction-floor`: each sale raises the price by a step and time lowers it, until sales come at the rate that was
//! asked for.
//!
//! The step and the fall are such that `target_sales` within `period_ms` cancel out. So the price that stands still is
//! the one at which buyers take just that many keys, whatever it is, and README.md beside this crate argues why the
//! price finds it, and with which parameters. This file has the hook, `course.rs` how a price moves.

mod course;

use bourse::{Amount, Offer, Price, PriceRequest, Refusal, State};
use course::Course;
use tally::millis;

/// The policy.
pub struct AuctionFloor;

/// What operator and seller may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// The first price of an offer before anything of its kind was sold, in tokens, for dynamic offers. A fixed price
    /// goes before it.
    #[param(default = "1")]
    pub start: Amount,
    /// Where the price ends if nobody buys, in tokens, above 0; unset means a hundredth of the start.
    pub floor: Option<Amount>,
    /// Sales within a period that leave the price where it is.
    #[param(default = 60, min = 1, max = 1_000_000)]
    pub target_sales: u64,
    /// How long the period is, in milliseconds.
    #[param(default = 60_000, min = 1_000, max = tally::MAX_PERIOD_MS)]
    pub period_ms: u64,
    /// What each sale adds to the price, in hundredths of a percent of it.
    #[param(default = 100, min = 1, max = 2_500)]
    pub step_bp: u64,
    /// What is sold at one price: the keys of one API of the seller, or all of its keys.
    #[param(default = Scope::Api)]
    pub scope: Scope,
    /// How long a price holds, in milliseconds; the host may shorten it.
    #[param(default = 2_000, min = 1)]
    pub valid_ms: u32,
}

/// What is sold at one price. The seller is always the same, so that nobody moves the price of another's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub enum Scope {
    /// The keys of one API of the seller.
    Api,
    /// All keys of the seller.
    Seller,
}

/// How far, in hundredths of a percent, the sales of the target may move the price while a quote holds: README.md says
/// why more of it makes the price swing.
const MAX_LAG_BP: u128 = 1_000;

impl Params {
    fn check(&self) -> Result<(), Refusal> {
        let positive = |name: &str, amount: Amount| match amount.is_zero() {
            true => Err(Refusal::params(format!(
                "{name} is 0: expected more, as no step could raise such a price"
            ))),
            false => Ok(()),
        };
        positive("start", self.start)?;
        self.floor.map_or(Ok(()), |floor| positive("floor", floor))?;
        let moved = u128::from(self.target_sales) * u128::from(self.step_bp);
        let longest = (MAX_LAG_BP * u128::from(self.period_ms))
            .checked_div(moved)
            .unwrap_or(0);
        if u128::from(self.valid_ms) > longest {
            return Err(Refusal::params(format!(
                "valid_ms is {}: expected at most {longest}, within which {} sales in {} ms, {} bp each, move the \
                 price by a tenth",
                self.valid_ms, self.target_sales, self.period_ms, self.step_bp
            )));
        }
        Ok(())
    }

    /// Under which key the price is kept.
    fn key(&self, offer: &Offer) -> String {
        match self.scope {
            Scope::Api => tally::key("a", &[&offer.seller.0, &offer.api.0]),
            Scope::Seller => tally::key("s", &[&offer.seller.0]),
        }
    }
}

/// Each sale raises the price by a step and time lowers it, until sales come at the rate that was asked for.
#[bourse::policy]
impl AuctionFloor {
    /// The price after the last sale, as far as it has fallen since.
    ///
    /// # Errors
    ///
    /// `bad_params` for prices of 0, and for a validity within which the price should move by more than a tenth.
    pub fn quote(request: &PriceRequest<Params>, host: &impl State) -> Result<Price, Refusal> {
        let params = &request.params;
        params.check()?;
        let start = request.base_price(None, params.start);
        if request.base.is_some_and(Amount::is_zero) {
            return Ok(request.price(Amount::ZERO, params.valid_ms));
        }
        let course = Course {
            step_bp: params.step_bp,
            target_sales: params.target_sales,
            period_ms: params.period_ms,
            floor: request.bound(params.floor.unwrap_or_else(|| course::least(start))),
            cap: request.cap,
        };
        let now_ms = millis(request.now);
        let key = params.key(&request.offer);
        let last = course::read(host, &key);
        let is_new = last.is_none();
        let amount = match last {
            Some((last, sales)) => course.after(last, sales, now_ms),
            None => course.fallen(start, request.age_ms()),
        };
        let price = request.price(amount, params.valid_ms);
        course::write(host, &key, is_new, price.amount, now_ms);
        Ok(price)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
