//! What the host asks a pricing policy.

use bourse_market::{Address, Amount, MarketId, Nanos, Offer};
use serde::{Deserialize, Serialize};

/// In which procedure a policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// place_offer.
    Place,
    /// query_offers.
    Query,
    /// get_quote.
    Quote,
    /// buy_key.
    Buy,
}

/// One question to a pricing policy. All that it may know is here and in the answers of its granted imports.
#[derive(Debug, Clone, Copy)]
pub struct PriceRequest<'a> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate, none until it is proven.
    pub buyer: Option<Address>,
    /// Parameters: a JSON object, at most 4 KiB, the rule's with the seller's laid over them.
    pub params: &'a str,
    /// The offer.
    pub offer: &'a Offer,
    /// The fixed price under `applies_to = "all"`, else none.
    pub base: Option<Amount>,
    /// The price is at least this: the highest of all floors that hold.
    pub floor: Amount,
    /// The price is at most this: the lowest of all caps that hold.
    pub cap: Amount,
    /// The price holds for at most this many milliseconds.
    pub max_valid_ms: u32,
}
