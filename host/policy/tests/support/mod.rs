//! What the suites share: one engine per process, a plain offer, a plain request.

#![allow(dead_code, reason = "each suite uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at its first surprise"
)]

use bourse_market::{
    Address, Amount, ApiId, CatalogId, Figures, KeyId, MarketId, Nanos, Offer, OfferId, Placer, Price,
    PricingTerms, SessionId, Signature, Subject,
};
use bourse_policy::{Action, Engine, EngineOptions, Imports, PriceRequest, Revision};
use std::cell::RefCell;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineOptions::default()).unwrap());

/// The process's engine.
pub(crate) fn engine() -> &'static Engine {
    &ENGINE
}

/// Loads what must load.
pub(crate) fn load(name: &str, bytes: &[u8]) -> Revision {
    engine()
        .load(name, bytes)
        .unwrap_or_else(|error| unreachable!("{name}: {error}"))
}

/// An offer with every field told apart.
pub(crate) fn offer() -> Offer {
    Offer {
        id: OfferId([1; 16]),
        key: KeyId([2; 16]),
        api: ApiId([3; 16]),
        catalog: Some(CatalogId([4; 16])),
        uri: "com.example.weather".to_owned(),
        seller: Address([5; 20]),
        provider_id: Some("0xprovider".to_owned()),
        placer: Placer {
            session: SessionId(6),
            authid: None,
        },
        placed_at: Nanos(1_000),
        valid_from: Some(Nanos(2_000)),
        expires: Some(Nanos(3_000)),
        revoked: None,
        signature: Signature([7; 65]),
        signature_verified: false,
        claimed: true,
        price: Price::Fixed(Amount::from_units(8)),
        pricing: PricingTerms::default(),
        copies: Some(9),
        remaining: Some(10),
        categories: [("colour", "blue"), ("region", "é")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
    }
}

/// A request over `offer`: floor 10, cap 1000 base units, a price holds for at most 30 s.
pub(crate) fn request(offer: &Offer) -> PriceRequest<'_> {
    PriceRequest {
        now: Nanos(11),
        market: MarketId([12; 16]),
        action: Action::Buy,
        buyer: Some(Address([13; 20])),
        params: "{\"a\":1}",
        offer,
        base: Some(Amount::from_units(14)),
        floor: Amount::from_units(10),
        cap: Amount::from_units(1000),
        max_valid_ms: 30_000,
    }
}

/// Imports that answer the same to everything and keep the questions.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) figures: Figures,
    pub(crate) asked: RefCell<Vec<(Subject, u32)>>,
}

impl Imports for Scripted {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        self.asked.borrow_mut().push((subject, window_ms));
        self.figures
    }
}
