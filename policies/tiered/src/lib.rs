//! `tiered`: the more a buyer bought of a seller within a period, the less the next key costs.
//!
//! What counts is kept in the policy's state, per buyer and seller, and not asked from the market, whose figures of a
//! buyer are those of all sellers: who buys from itself, at no cost, must not earn a discount from others.
//! README.md beside this crate has the parameters.

use bourse::{Address, Amount, Price, PriceRequest, Refusal, State, WHOLE_BP};
use tally::{Tally, millis};

/// The policy.
pub struct Tiered;

/// What operator and seller may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// The price without a discount, in tokens, for dynamic offers. A fixed price goes before it.
    #[param(default = "10")]
    pub base: Amount,
    /// What counts towards a tier: tokens paid, or keys bought.
    #[param(default = Measure::Tokens)]
    pub measure: Measure,
    /// The tiers, from the lowest: none is no discount, 16 at most.
    pub tiers: Vec<Tier>,
    /// How long purchases count, in milliseconds, from the first one on.
    #[param(default = 2_592_000_000, min = tally::MIN_PERIOD_MS, max = tally::MAX_PERIOD_MS)]
    pub period_ms: u64,
    /// Buyers of sellers that are counted; later ones pay the base.
    #[param(default = 5_000, min = 1, max = tally::MAX_TALLIES)]
    pub max_buyers: u32,
    /// How long a price holds, in milliseconds; the host may shorten it.
    #[param(default = 5_000, min = 1)]
    pub valid_ms: u32,
}

/// What counts towards a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub enum Measure {
    /// Whole tokens that the buyer paid to the seller.
    Tokens,
    /// Keys that the buyer bought from the seller.
    Keys,
}

/// One tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub struct Tier {
    /// From how much on it holds: whole tokens or keys before this purchase.
    #[param(required, min = 1)]
    pub from: u64,
    /// What it takes off the base, in hundredths of a percent.
    #[param(required, min = 1, max = WHOLE_BP)]
    pub off_bp: u64,
}

/// Tiers that one rule may have.
const MAX_TIERS: usize = 16;

/// A counter holds millionths of a token, 9.2 × 10^12 tokens in all: small enough for any price, and it never fills.
const PARTS: u64 = 1_000_000;

/// Base units in a millionth of a token.
const UNITS_PER_PART: u64 = 1_000_000_000_000;

impl Params {
    fn check(&self) -> Result<(), Refusal> {
        if self.tiers.len() > MAX_TIERS {
            let tiers = self.tiers.len();
            return Err(Refusal::params(format!(
                "tiers has {tiers}: expected at most {MAX_TIERS}"
            )));
        }
        for (lower, upper) in self.tiers.iter().zip(self.tiers.iter().skip(1)) {
            if upper.from <= lower.from || upper.off_bp <= lower.off_bp {
                return Err(Refusal::params(format!(
                    "tiers has {} off from {} after {} off from {}: expected more off from more",
                    upper.off_bp, upper.from, lower.off_bp, lower.from
                )));
            }
        }
        Ok(())
    }

    /// What the buyer pays who has counted `count`, in hundredths of a percent of the base.
    fn factor_bp(&self, count: u64) -> u64 {
        let reached = |tier: &&Tier| match self.measure {
            Measure::Tokens => tier.from.saturating_mul(PARTS) <= count,
            Measure::Keys => tier.from <= count,
        };
        let off_bp = self
            .tiers
            .iter()
            .rev()
            .find(reached)
            .map_or(0, |tier| tier.off_bp);
        WHOLE_BP.saturating_sub(off_bp)
    }

    /// What a purchase for `price` counts.
    fn counts(&self, price: Amount) -> u64 {
        match self.measure {
            Measure::Keys => 1,
            Measure::Tokens => match price.checked_div(UNITS_PER_PART).map(Amount::limbs) {
                Some([parts, 0, 0, 0]) => parts,
                _ => u64::MAX,
            },
        }
    }

    /// Under which key the purchases are counted.
    fn key(&self, seller: Address, buyer: Address) -> String {
        let kind = match self.measure {
            Measure::Tokens => "t",
            Measure::Keys => "k",
        };
        tally::key(kind, &[&seller.0, &buyer.0])
    }
}

/// The more a buyer bought of a seller within a period, the less the next key costs.
#[bourse::policy]
impl Tiered {
    /// The base less the discount of the tier that the buyer has reached. Unproven buyers have reached none.
    ///
    /// # Errors
    ///
    /// Tiers that do not rise, with the code `bad_params`.
    pub fn quote(request: &PriceRequest<Params>, host: &impl State) -> Result<Price, Refusal> {
        let params = &request.params;
        params.check()?;
        let base = request.base_price(None, params.base);
        let (Some(buyer), false) = (request.buyer, base.is_zero()) else {
            return Ok(request.price(base, params.valid_ms));
        };
        let now_ms = millis(request.now);
        let key = params.key(request.offer.seller, buyer);
        let tally = Tally::read(host, &key);
        let price = request.price(
            base.saturating_mul_bp(params.factor_bp(tally.count_at(now_ms))),
            params.valid_ms,
        );
        if !tally.is_crowded_out(host, params.max_buyers) {
            tally.add_at(host, &key, params.counts(price.amount), now_ms, params.period_ms);
        }
        Ok(price)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
