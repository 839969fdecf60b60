//! `subscription`: one flat price for a period, and every key within it is free.
//!
//! The first key costs the flat price and begins the period; the state remembers how many periods were paid and since
//! when. Purchases that overlap may each pay: each then buys a period of its own, one after the other, so neither side
//! loses what was paid. README.md beside this crate has the parameters.

use bourse::{Address, Amount, Offer, Price, PriceRequest, Refusal, State};
use tally::{Tally, millis};

/// The policy.
pub struct Subscription;

/// What operator and seller may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// What a period costs, in tokens.
    #[param(default = "10")]
    pub price: Amount,
    /// How long a period is, in milliseconds.
    #[param(default = 2_592_000_000, min = tally::MIN_PERIOD_MS, max = tally::MAX_PERIOD_MS)]
    pub period_ms: u64,
    /// What a subscription covers: the keys of one API of the seller, or all of its keys.
    #[param(default = Covers::Api)]
    pub covers: Covers,
    /// What one key costs a buyer who has not proven who it is, in tokens; unset refuses it.
    pub single: Option<Amount>,
    /// Subscriptions that are kept; later buyers are refused before they pay.
    #[param(default = 5_000, min = 1, max = tally::MAX_TALLIES)]
    pub max_subscribers: u32,
    /// How long a price holds, in milliseconds; the host may shorten it, and a free key never outlives its period.
    #[param(default = 5_000, min = 1)]
    pub valid_ms: u32,
}

/// What a subscription covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bourse::Params)]
pub enum Covers {
    /// The keys of one API of the seller.
    Api,
    /// All keys of the seller.
    Seller,
}

/// Bytes of an address in the key of a subscription to an API, which does not fit in whole: enough that nobody finds a
/// second address that starts so.
const SHORT: usize = 14;

impl Params {
    fn check(&self) -> Result<(), Refusal> {
        if self.price.is_zero() {
            return Err(Refusal::params(
                "price is 0: expected more, as a free key needs no subscription",
            ));
        }
        Ok(())
    }

    /// Under which key the subscription of `buyer` is kept. The seller is always in it: what was paid to one seller
    /// frees no key of another.
    fn key(&self, offer: &Offer, buyer: Address) -> String {
        let (Address(seller), Address(buyer)) = (offer.seller, buyer);
        match self.covers {
            Covers::Seller => tally::key("s", &[&seller, &buyer]),
            Covers::Api => {
                let short = |address: &[u8; 20]| address.first_chunk::<SHORT>().copied().unwrap_or_default();
                tally::key("a", &[&short(&seller), &offer.api.0, &short(&buyer)])
            }
        }
    }
}

/// One flat price for a period, and every key within it is free.
#[bourse::policy]
impl Subscription {
    /// Nothing within a paid period, else the flat price, which begins one.
    ///
    /// # Errors
    ///
    /// `buyer_unknown` where a buyer must be proven, `full` where there is no room, `bad_params` for a price of 0.
    pub fn quote(request: &PriceRequest<Params>, host: &impl State) -> Result<Price, Refusal> {
        let params = &request.params;
        params.check()?;
        if request.base.is_some_and(Amount::is_zero) {
            return Ok(request.price(Amount::ZERO, params.valid_ms));
        }
        let Some(buyer) = request.buyer else {
            let unknown = "a subscription belongs to a buyer: log in as one, and ask again";
            return match params.single {
                Some(single) => Ok(request.price(single, params.valid_ms)),
                None => Err(Refusal::new("buyer_unknown", unknown)),
            };
        };
        let now_ms = millis(request.now);
        let key = params.key(&request.offer, buyer);
        let tally = Tally::read(host, &key);
        if let Some(left_ms) = tally.left_ms(now_ms, tally.count()) {
            let left_ms = u32::try_from(left_ms).unwrap_or(u32::MAX);
            return Ok(request.price(Amount::ZERO, params.valid_ms.min(left_ms)));
        }
        if tally.is_crowded_out(host, params.max_subscribers) {
            return Err(Refusal::new(
                "full",
                format!(
                    "there are {} subscriptions, and no room for another",
                    params.max_subscribers
                ),
            ));
        }
        let price = request.price(params.price, params.valid_ms);
        // A cap of 0 makes a free key, not a subscription.
        if !price.amount.is_zero() {
            tally.begin(host, &key, 1, now_ms, params.period_ms);
        }
        Ok(price)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
