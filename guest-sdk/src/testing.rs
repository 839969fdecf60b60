//! A test bench that needs no WebAssembly: requests with sane defaults, and a market whose sales a test writes down.

use crate::{
    Action, Address, Amount, ApiId, Figures, KeyId, Market, MarketId, Nanos, Offer, PriceRequest, Subject,
};
use core::time::Duration;

/// When the requests of tests happen: a second after a round number of the clock.
pub const NOW: Nanos = Nanos(1_700_000_001_000_000_000);

/// A request for a price of [`offer`], without floor, cap or base, that may hold for 30 seconds.
///
/// Change what a test is about: `PriceRequest { floor: Amount::from_tokens(5), ..request(params) }`.
pub fn request<P>(params: P) -> PriceRequest<P> {
    PriceRequest {
        now: NOW,
        market: MarketId([0x11; 16]),
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

/// A sale for [`MockMarket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sale {
    /// When it was posted.
    pub at: Nanos,
    /// The key.
    pub key: KeyId,
    /// Its API.
    pub api: ApiId,
    /// Its seller's delegate.
    pub seller: Address,
    /// The buyer's delegate.
    pub buyer: Address,
    /// What was paid.
    pub price: Amount,
}

/// A market that counts the sales it was given, exactly, without the host's rounding to buckets.
#[derive(Debug, Clone, Default)]
pub struct MockMarket {
    /// The end of every window.
    pub now: Nanos,
    /// Sales in any order; those after `now` have not happened yet.
    pub sales: Vec<Sale>,
}

impl MockMarket {
    /// A market at `now` in which `offer` was just sold `count` times for one token, the last time at `now` and
    /// before that every `apart`.
    pub fn busy(now: Nanos, offer: &Offer, count: u32, apart: Duration) -> Self {
        let sale = |back: u32| Sale {
            at: Nanos(
                now.0
                    .saturating_sub(u64::try_from((apart * back).as_nanos()).unwrap_or(u64::MAX)),
            ),
            key: offer.key,
            api: offer.api,
            seller: offer.seller,
            buyer: Address([0x55; 20]),
            price: Amount::from_tokens(1),
        };
        Self {
            now,
            sales: (0..count).map(sale).collect(),
        }
    }
}

impl Market for MockMarket {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        let window = Duration::from_millis(u64::from(window_ms));
        let of_subject = |sale: &&Sale| match subject {
            Subject::Key(key) => sale.key == key,
            Subject::Api(api) => sale.api == api,
            Subject::Seller(seller) => sale.seller == seller,
            Subject::Buyer(buyer) => sale.buyer == buyer,
        };
        let mut figures = Figures::default();
        for sale in self
            .sales
            .iter()
            .filter(of_subject)
            .filter(|sale| sale.at <= self.now)
        {
            if figures.last_at.is_none_or(|last| last <= sale.at) {
                figures.last_at = Some(sale.at);
                figures.last_price = Some(sale.price);
            }
            if self.now.since(sale.at) < window {
                figures.sales += 1;
                figures.volume = figures.volume.saturating_add(sale.price);
            }
        }
        figures
    }
}

/// The market for policies that must not ask: every question fails the test.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMarket;

impl Market for NoMarket {
    #[allow(
        clippy::panic,
        reason = "this is an assertion of a test bench; components never contain it"
    )]
    fn demand(&self, subject: Subject, _window_ms: u32) -> Figures {
        panic!("the policy asked for the demand of {subject:?}, which this test does not grant")
    }
}
