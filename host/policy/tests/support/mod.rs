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
use bourse_policy::{
    Action, AdmitRequest, Batch, ConsentGrant, ConsentRequest, Declined, Engine, EngineOptions,
    FilterRequest, Grants, Hook, Imports, Level, Limits, PriceRequest, Record, Revision,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
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
        unlisted: false,
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

/// Whether `offer` may be placed.
pub(crate) fn admit_request(offer: &Offer) -> AdmitRequest<'_> {
    AdmitRequest {
        now: Nanos(11),
        market: MarketId([12; 16]),
        action: Action::Place,
        buyer: None,
        params: "{\"a\":1}",
        offer,
    }
}

/// Which of `batch` may be seen.
pub(crate) fn filter_request(batch: &Batch) -> FilterRequest<'_> {
    FilterRequest {
        now: Nanos(11),
        market: MarketId([12; 16]),
        action: Action::Query,
        buyer: Some(Address([13; 20])),
        params: "{\"a\":1}",
        batch,
    }
}

/// Whether the parties of `offer` may deal, over `grants` of both.
pub(crate) fn consent_request<'a>(
    offer: Option<&'a Offer>,
    grants: &'a [ConsentGrant],
) -> ConsentRequest<'a> {
    ConsentRequest {
        now: Nanos(11),
        market: MarketId([12; 16]),
        action: Action::Buy,
        buyer: Some(Address([13; 20])),
        params: "{\"a\":1}",
        offer,
        buyer_grants: grants,
        seller_grants: grants,
    }
}

/// A consent with every field told apart.
pub(crate) fn grant() -> ConsentGrant {
    ConsentGrant {
        member: Address([21; 20]),
        delegate: Address([22; 20]),
        delegate_type: 3,
        catalog: CatalogId([23; 16]),
        api_prefix: "com.example.".to_owned(),
        updated: 24,
        granted: true,
        attributes: vec![("purpose".to_owned(), "research".to_owned())],
    }
}

/// As many offers as `count`, each with a key of its own.
pub(crate) fn offers(count: usize) -> Vec<Offer> {
    (0..count)
        .map(|at| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&(at as u64).to_le_bytes());
            Offer {
                key: KeyId(key),
                ..offer()
            }
        })
        .collect()
}

/// The batch of `offers`.
pub(crate) fn batch(offers: &[Offer]) -> Batch {
    Batch::of(&offers.iter().collect::<Vec<_>>())
}

/// What became of a call, whichever it was.
pub(crate) struct Came {
    pub(crate) what: &'static str,
    pub(crate) declined: Option<Declined>,
    pub(crate) elapsed: core::time::Duration,
    pub(crate) fuel: u64,
    pub(crate) record: Record,
}

/// Calls every function of `hook` with plain requests.
pub(crate) fn call_all(
    revision: &Revision,
    hook: Hook,
    imports: &dyn Imports,
    grants: Grants,
    limits: &Limits,
) -> Vec<Came> {
    macro_rules! came {
        ($what:literal, $decided:expr) => {{
            let decided = $decided;
            Came {
                what: $what,
                declined: decided.outcome.err(),
                elapsed: decided.elapsed,
                fuel: decided.fuel,
                record: decided.record,
            }
        }};
    }
    let offer = offer();
    let offers = offers(20);
    let batch = batch(&offers);
    let consents = [grant()];
    match hook {
        Hook::Pricing => vec![came!(
            "quote",
            revision.price(&request(&offer), imports, grants, limits)
        )],
        Hook::Offers => vec![
            came!(
                "admit",
                revision.admit(&admit_request(&offer), imports, grants, limits)
            ),
            came!(
                "filter",
                revision.filter(&filter_request(&batch), imports, grants, limits)
            ),
        ],
        Hook::Consent => vec![came!(
            "authorize",
            revision.authorize(&consent_request(Some(&offer), &consents), imports, grants, limits)
        )],
    }
}

/// Imports that answer the same to everything and keep the questions.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) figures: Figures,
    pub(crate) values: BTreeMap<String, Vec<u8>>,
    pub(crate) counters: BTreeMap<String, i64>,
    pub(crate) asked: RefCell<Vec<(Subject, u32)>>,
    pub(crate) lines: RefCell<Vec<(Level, String)>>,
}

impl Imports for Scripted {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        self.asked.borrow_mut().push((subject, window_ms));
        self.figures
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.values.get(key).cloned()
    }

    fn counter(&self, key: &str) -> i64 {
        self.counters.get(key).copied().unwrap_or(0)
    }

    fn log(&self, level: Level, text: &str) {
        self.lines.borrow_mut().push((level, text.to_owned()));
    }
}
