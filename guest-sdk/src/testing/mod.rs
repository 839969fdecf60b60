//! A test bench that needs no WebAssembly: requests with sane defaults, and a host whose sales, values and counters a
//! test writes down.
//!
//! What the real sandbox adds, from fuel to the check of answers, is in the crate `bourse-harness`.

mod batch;
mod host;
mod market;

pub use batch::TestBatch;
pub use host::{Change, MockHost, NoHost};
pub use market::{MockMarket, Sale};

use crate::{
    Action, Address, AdmitRequest, Amount, ApiId, ConsentRequest, FilterRequest, KeyId, MarketId, Nanos,
    Offer, PriceRequest,
};

/// When the requests of tests happen: a second after a round number of the clock.
pub const NOW: Nanos = Nanos(1_700_000_001_000_000_000);

/// The market of all requests here.
const MARKET: MarketId = MarketId([0x11; 16]);

/// The buyer's delegate of requests that have one.
pub const BUYER: Address = Address([0x55; 20]);

/// A request for a price of [`offer`], without floor, cap or base, that may hold for 30 seconds.
///
/// Change what a test is about: `PriceRequest { floor: Amount::from_tokens(5), ..request(params) }`.
pub fn request<P>(params: P) -> PriceRequest<P> {
    PriceRequest {
        now: NOW,
        market: MARKET,
        action: Action::Quote,
        buyer: None,
        params,
        offer: offer(),
        base: None,
        floor: Amount::ZERO,
        cap: Amount::MAX,
        max_valid_ms: 30_000,
    }
}

/// A request to place [`offer`].
pub fn admit_request<P>(params: P) -> AdmitRequest<P> {
    AdmitRequest {
        now: NOW,
        market: MARKET,
        action: Action::Place,
        buyer: None,
        params,
        offer: offer(),
    }
}

/// [`BUYER`] lists offers. The offers come beside it: see [`TestBatch`].
pub fn filter_request<P>(params: P) -> FilterRequest<P> {
    FilterRequest {
        now: NOW,
        market: MARKET,
        action: Action::Query,
        buyer: Some(BUYER),
        params,
    }
}

/// [`BUYER`] asks for a price of [`offer`], and nothing was recorded about either party.
pub fn consent_request<P>(params: P) -> ConsentRequest<P> {
    ConsentRequest {
        now: NOW,
        market: MARKET,
        action: Action::Quote,
        buyer: Some(BUYER),
        params,
        offer: Some(offer()),
        buyer_grants: Vec::new(),
        seller_grants: Vec::new(),
    }
}

/// A dynamic offer without limits, placed at [`NOW`].
pub fn offer() -> Offer {
    Offer {
        key: KeyId([0x22; 16]),
        api: ApiId([0x33; 16]),
        uri: "io.crossbar.example".to_owned(),
        seller: Address([0x44; 20]),
        placed_at: NOW,
        valid_from: NOW,
        ..Offer::default()
    }
}
