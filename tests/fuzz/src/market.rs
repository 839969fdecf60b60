//! The questions that guests are asked, a host that answers them, and a guest that agrees: always the same, so that only
//! the bytes differ.

use bourse_market::{
    Address, Amount, ApiId, CatalogId, Figures, KeyId, MarketId, Nanos, Offer, OfferId, Placer, Price,
    PricingTerms, SessionId, Signature, Subject,
};
use bourse_policy::testing::Guest;
use bourse_policy::{
    Action, AdmitRequest, Batch, ConsentGrant, ConsentRequest, Engine, EngineOptions, FilterRequest, Imports,
    Level, PriceRequest, Revision,
};
use std::sync::LazyLock;

/// Offers in the batch of `filter`: one more than fit into a byte of its answer.
pub(crate) const OFFERS: usize = 9;

/// The least and the most a price can be.
pub(crate) const FLOOR: Amount = Amount::from_units(10);
pub(crate) const CAP: Amount = Amount::from_units(1_000_000);

/// The longest a price can hold.
pub(crate) const MAX_VALID_MS: u32 = 30_000;

const NOW: Nanos = Nanos(1_700_000_000_000_000_000);
const MARKET: MarketId = MarketId([12; 16]);
const BUYER: Option<Address> = Some(Address([13; 20]));
const PARAMS: &str = r#"{"base":"2.5"}"#;

/// A guest that agrees to everything, on every hook.
pub(crate) static WILLING: LazyLock<Revision> = LazyLock::new(|| {
    use bourse_policy::Hook::{Consent, Offers};
    let engine = Engine::new(EngineOptions {
        instances: 4,
        ..EngineOptions::default()
    })
    .expect("the engine starts");
    let guest = Guest::named("willing").also(Offers).also(Consent);
    engine.load("willing", &guest.build()).expect("the guest loads")
});

pub(crate) fn offer(number: u8) -> Offer {
    Offer {
        id: OfferId([number; 16]),
        key: KeyId([number ^ 0xf0; 16]),
        api: ApiId([3; 16]),
        catalog: Some(CatalogId([4; 16])),
        uri: "com.example.weather".to_owned(),
        seller: Address([5; 20]),
        provider_id: Some("seller".to_owned()),
        placer: Placer {
            session: SessionId(6),
            authid: None,
        },
        placed_at: Nanos(1_000),
        valid_from: None,
        expires: Some(Nanos(u64::MAX)),
        revoked: None,
        signature: Signature([7; 65]),
        signature_verified: false,
        claimed: true,
        unlisted: false,
        price: Price::Fixed(Amount::from_units(80)),
        pricing: PricingTerms::default(),
        copies: Some(9),
        remaining: Some(8),
        categories: [("region".to_owned(), "münchen".to_owned())].into(),
    }
}

pub(crate) fn price(offer: &Offer) -> PriceRequest<'_> {
    PriceRequest {
        now: NOW,
        market: MARKET,
        action: Action::Buy,
        buyer: BUYER,
        params: PARAMS,
        offer,
        base: None,
        floor: FLOOR,
        cap: CAP,
        max_valid_ms: MAX_VALID_MS,
    }
}

pub(crate) fn admit(offer: &Offer) -> AdmitRequest<'_> {
    AdmitRequest {
        now: NOW,
        market: MARKET,
        action: Action::Place,
        buyer: None,
        params: PARAMS,
        offer,
    }
}

pub(crate) fn filter(batch: &Batch) -> FilterRequest<'_> {
    FilterRequest {
        now: NOW,
        market: MARKET,
        action: Action::Query,
        buyer: BUYER,
        params: PARAMS,
        batch,
    }
}

pub(crate) fn batch() -> Batch {
    let offers: Vec<Offer> = (0..OFFERS).map(|number| offer(number as u8)).collect();
    Batch::of(&offers.iter().collect::<Vec<_>>())
}

pub(crate) fn consent<'a>(offer: &'a Offer, grants: &'a [ConsentGrant]) -> ConsentRequest<'a> {
    ConsentRequest {
        now: NOW,
        market: MARKET,
        action: Action::Buy,
        buyer: BUYER,
        params: PARAMS,
        offer: Some(offer),
        buyer_grants: grants,
        seller_grants: grants,
    }
}

pub(crate) fn grants() -> Vec<ConsentGrant> {
    vec![ConsentGrant {
        member: Address([14; 20]),
        delegate: Address([13; 20]),
        delegate_type: 2,
        catalog: CatalogId([4; 16]),
        api_prefix: "com.example.".to_owned(),
        updated: 15,
        granted: true,
        attributes: vec![("purpose".to_owned(), "research".to_owned())],
    }]
}

/// A host whose policy has kept these bytes under every key.
pub(crate) struct Kept<'a>(pub(crate) &'a [u8]);

impl Imports for Kept<'_> {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        Figures {
            sales: u64::from(window_ms),
            volume: Amount::MAX,
            quotes: u64::MAX,
            last_price: matches!(subject, Subject::Key(_)).then_some(Amount::from_units(1)),
            last_at: None,
        }
    }

    fn state(&self, _key: &str) -> Option<Vec<u8>> {
        Some(self.0.to_vec())
    }

    fn counter(&self, key: &str) -> i64 {
        i64::try_from(key.len()).unwrap_or(i64::MIN)
    }

    fn log(&self, _level: Level, text: &str) {
        assert!(
            text.len() <= bourse_policy::MAX_LINE,
            "a line of {} bytes",
            text.len()
        );
    }
}
