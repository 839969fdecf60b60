//! The pricing hook: from a request to a price or a refusal.

use crate::{Address, Amount, Market, MarketId, Nanos, Offer, json};
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// A program that sets prices. Turn it into a component with [`export_pricing!`](crate::export_pricing).
///
/// A call starts from a fresh instance: nothing survives it but the answer. There is no clock, no randomness and no
/// I/O; the same request with the same answers of the market gives the same price, which is what lets the host
/// replay a decision years later.
pub trait PricingPolicy {
    /// Its name, which must equal the stem of the component's file: `surge` for `surge.wasm`.
    const NAME: &'static str;
    /// Its version, for people; the host tells revisions apart by the hash of the component.
    const VERSION: &'static str;
    /// One sentence on what it does.
    const SUMMARY: &'static str;

    /// What the operator and the seller may set. [`Default`] is what holds where they set nothing.
    ///
    /// An amount is an [`Amount`], in tokens. A fraction is read by an `f64` alone, and a price made of such depends on
    /// its rounding: whole numbers of the smallest unit, as basis points are, do better.
    ///
    /// Derive `serde::Deserialize` with `#[serde(default, deny_unknown_fields)]`, so that each field is optional and a
    /// misspelt one is refused by its name. The seller's values overlay the rule's, field by field, before the policy
    /// sees them: a bound that a seller must not move belongs into the rule's floor and cap, not into a parameter.
    type Params: DeserializeOwned + Default;

    /// The JSON Schema of the parameters, for consoles and checks.
    fn params_schema() -> &'static str {
        r#"{"type":"object"}"#
    }

    /// Prices one key for one buyer. The host bounds the answer to the request's floor and cap.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] tells the buyer why there is no price.
    fn quote(request: &PriceRequest<Self::Params>, market: &impl Market) -> Result<Price, Refusal>;
}

/// What a price is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Copy, Hash, Default)]
pub enum Action {
    /// A seller places an offer.
    Place,
    /// A buyer lists offers.
    Query,
    /// A buyer asks for a price.
    #[default]
    Quote,
    /// A buyer pays.
    Buy,
}

/// Everything a price may depend on, besides the market's demand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceRequest<P> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// What the price is asked for: [`Action::Quote`], or [`Action::Buy`] for a buyer without a live quote.
    pub action: Action,
    /// The buyer's delegate; none until it has proven who it is.
    pub buyer: Option<Address>,
    /// The rule's parameters, overlaid by the seller's.
    pub params: P,
    /// What is to be priced.
    pub offer: Offer,
    /// The fixed price, where the rule reprices fixed-price offers; none for a dynamic offer.
    pub base: Option<Amount>,
    /// The least the answer can be: the highest of the floors in force.
    pub floor: Amount,
    /// The most the answer can be: the lowest of the caps in force.
    pub cap: Amount,
    /// The longest a price may hold, in milliseconds.
    pub max_valid_ms: u32,
}

impl<P> PriceRequest<P> {
    /// `amount` moved between the floor and the cap, which never cross: the host answers such a request itself.
    pub fn bound(&self, amount: Amount) -> Amount {
        amount.max(self.floor).min(self.cap)
    }

    /// Where a price starts from, within the bounds: the fixed price of the offer; else `param`, what the parameters
    /// say; else `default`.
    ///
    /// A start below the floor is lifted to it, so that the price moves from there at once instead of hiding under it.
    pub fn base_price(&self, param: Option<Amount>, default: Amount) -> Amount {
        self.bound(self.base.or(param).unwrap_or(default))
    }

    /// How long the key has been for sale, in milliseconds.
    pub fn age_ms(&self) -> u64 {
        // A u64 of nanoseconds cannot have more than a u64 of milliseconds.
        u64::try_from(self.now.since(self.offer.for_sale_since()).as_millis()).unwrap_or(u64::MAX)
    }

    /// `amount`, bounded, holding for `valid_ms` milliseconds or as long as the host allows.
    pub fn price(&self, amount: Amount, valid_ms: u32) -> Price {
        Price {
            amount: self.bound(amount),
            valid_ms: valid_ms.min(self.max_valid_ms),
        }
    }
}

/// A price and how long it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// What the key costs.
    pub amount: Amount,
    /// For how many milliseconds the buyer may buy at it.
    pub valid_ms: u32,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs: 1 to 32 of `a-z`, `0-9` and `_`. Always the same for the same reason.
    pub code: Cow<'static, str>,
    /// For people; the host cuts it at 256 bytes.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its stable code and its reason.
    pub fn new(code: impl Into<Cow<'static, str>>, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
        }
    }

    /// The refusal of parameters that make no sense, with the code `bad_params`.
    pub fn params(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new("bad_params", text)
    }
}

/// Answers a request whose parameters are still text, as the exported hook does: parses them and asks the policy.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`, or the policy's own.
pub fn quote<P: PricingPolicy>(
    request: PriceRequest<String>,
    market: &impl Market,
) -> Result<Price, Refusal> {
    let PriceRequest {
        now,
        market: id,
        action,
        buyer,
        params,
        offer,
        base,
        floor,
        cap,
        max_valid_ms,
    } = request;
    let params = match params.as_str() {
        "" | "{}" => P::Params::default(),
        text => json::from_str(text).map_err(|error| Refusal::params(error.to_string()))?,
    };
    P::quote(
        &PriceRequest {
            now,
            market: id,
            action,
            buyer,
            params,
            offer,
            base,
            floor,
            cap,
            max_valid_ms,
        },
        market,
    )
}
