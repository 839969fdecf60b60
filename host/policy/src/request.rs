//! What the host asks a policy, one type for each function of the hooks.

use crate::batch::Batch;
use bourse_market::{Address, Amount, CatalogId, MarketId, Nanos, Offer};
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

impl Action {
    /// The word for it in records, metrics and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Query => "query",
            Self::Quote => "quote",
            Self::Buy => "buy",
        }
    }
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

/// Whether an offer may be placed.
#[derive(Debug, Clone, Copy)]
pub struct AdmitRequest<'a> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate; none, as nobody buys yet.
    pub buyer: Option<Address>,
    /// Parameters: a JSON object, at most 4 KiB.
    pub params: &'a str,
    /// The offer as it would be placed.
    pub offer: &'a Offer,
}

/// Which offers of a batch a buyer may see, and in which order.
#[derive(Debug, Clone, Copy)]
pub struct FilterRequest<'a> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate, none until it is proven.
    pub buyer: Option<Address>,
    /// Parameters: a JSON object, at most 4 KiB.
    pub params: &'a str,
    /// The offers, in the host's order. The record shares it, so nothing of it is copied on the host's side.
    pub batch: &'a Batch,
}

/// Whether two parties may deal.
#[derive(Debug, Clone, Copy)]
pub struct ConsentRequest<'a> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate, none until it is proven.
    pub buyer: Option<Address>,
    /// Parameters: a JSON object, at most 4 KiB.
    pub params: &'a str,
    /// The offer; none in query_offers, which asks once per query.
    pub offer: Option<&'a Offer>,
    /// What was recorded about the buyer.
    pub buyer_grants: &'a [ConsentGrant],
    /// What was recorded about the seller.
    pub seller_grants: &'a [ConsentGrant],
}

/// A consent that a member recorded for a delegate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentGrant {
    /// Who consents.
    pub member: Address,
    /// Who may act for it.
    pub delegate: Address,
    /// 1 provider, 2 consumer, 3 both.
    pub delegate_type: u8,
    /// The catalog it covers.
    pub catalog: CatalogId,
    /// The APIs of the catalog that it covers, by the start of their name.
    pub api_prefix: String,
    /// Block number of its last change; 0 without a chain.
    pub updated: u64,
    /// Given, or withdrawn.
    pub granted: bool,
    /// What else was recorded with it, as (name, value).
    pub attributes: Vec<(String, String)>,
}
