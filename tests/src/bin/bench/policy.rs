//! Pricing without a market around it.

use crate::report::{Figures, RUNS, Ratio, Report, repeat, repeat_on};
use bourse_market::{
    Address, Amount, ApiId, Decision, DecisionHeader, DecisionId, Figures as Demand, KeyId, MarketId, Nanos,
    Offer, OfferId, Placer, Price, PricingTerms, SessionId, Signature, Subject,
};
use bourse_policy::{
    Action, Batch, Engine, EngineOptions, FilterRequest, Grants, Imports, Instances, Limits, PriceRequest,
};

use bourse_store::{DecisionLog, LogOptions};

/// Demand that is always the same.
struct Steady;

impl Imports for Steady {
    fn demand(&self, _subject: Subject, _window_ms: u32) -> Demand {
        Demand {
            sales: 12,
            ..Demand::default()
        }
    }
}

/// `limit.engine` is the bare call on a fresh instance; `policy.price.fresh` adds encoding, checks, the record and the log;
/// `policy.price.warm` is the same on an instance that served before, without the log, and so are
/// `policy.price.fresh.1thread` and `policy.price.fresh.2threads`, which are the fresh one on one thread and on two at once: 0.5 of the time per call if neither waits for the other, 1 or more if the process's memory map
/// lets only one go on. `limit.engine.filter` and `policy.filter.1000` are the two for a page of offers.
pub(crate) fn measure(report: &mut Report) {
    const LINES: [&str; 7] = [
        "limit.engine",
        "policy.price.fresh",
        "policy.price.warm",
        "policy.price.fresh.1thread",
        "policy.price.fresh.2threads",
        "limit.engine.filter",
        "policy.filter.1000",
    ];
    if !LINES.iter().any(|line| report.wants(line)) {
        return;
    }
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let surge = engine
        .load("surge", include_bytes!("../../../../policies/dist/surge.wasm"))
        .unwrap();
    let offer = offer();
    let request = PriceRequest {
        now: Nanos(1_700_000_000_000_000_000),
        market: MarketId([1; 16]),
        action: Action::Quote,
        buyer: Some(Address([2; 20])),
        params: "{}",
        offer: &offer,
        base: None,
        floor: Amount::ZERO,
        cap: Amount::from_tokens(1_000_000),
        max_valid_ms: 30_000,
    };
    let (grants, limits) = (
        Grants {
            market: true,
            ..Grants::NONE
        },
        Limits::default(),
    );
    let bare_call = surge.bare(&request, grants, &limits);
    let bare: Vec<Figures> = (0..RUNS)
        .map(|_| repeat(|| bare_call.call(&Steady).unwrap()))
        .collect();
    report.line("limit.engine", &bare, None);
    let folder = tempfile::tempdir().unwrap();
    // As many may wait as this produces until the next pause: a full queue would be the cheaper way.
    let options = LogOptions {
        queue: 1 << 20,
        queue_bytes: 1 << 30,
        ..LogOptions::default()
    };
    let log = DecisionLog::open(folder.path(), options).unwrap();
    let unlogged = || {
        let decided = surge.price(&request, &Steady, grants, &limits);
        assert!(decided.outcome.is_ok());
        std::hint::black_box(decided.record.encode());
    };
    let price = || {
        let decided = surge.price(&request, &Steady, grants, &limits);
        assert!(decided.outcome.is_ok());
        let decision = Decision {
            id: DecisionId([7; 16]),
            header: DecisionHeader {
                at: request.now,
                hook: decided.record.hook.to_string(),
                policy: surge.name().to_owned(),
                revision: surge.id(),
                purchase: None,
            },
            body: decided.record.encode(),
        };
        // A quote keeps the decision; the log gets its own.
        log.append(std::hint::black_box(&decision).clone());
    };
    let fresh: Vec<Figures> = (0..RUNS).map(|_| repeat(price)).collect();
    report.line("policy.price.fresh", &fresh, Some(("limit.engine", Ratio::P50)));
    let warm_limits = Limits {
        instances: Instances::Warm,
        ..limits
    };
    let warm: Vec<Figures> = (0..RUNS)
        .map(|_| {
            repeat(|| {
                let decision = surge.price(&request, &Steady, grants, &warm_limits);
                assert!(decision.outcome.is_ok());
                std::hint::black_box(decision.record.encode());
            })
        })
        .collect();
    report.line("policy.price.warm", &warm, Some(("limit.engine", Ratio::P50)));
    assert_eq!(log.dropped(), 0, "what is dropped is not what was measured");
    // Its thread would be a third on this machine's processors.
    log.shutdown();
    let one: Vec<Figures> = (0..RUNS).map(|_| repeat(unlogged)).collect();
    report.line(
        "policy.price.fresh.1thread",
        &one,
        Some(("limit.engine", Ratio::P50)),
    );
    let two: Vec<Figures> = (0..RUNS).map(|_| repeat_on(2, unlogged)).collect();
    report.line(
        "policy.price.fresh.2threads",
        &two,
        Some(("policy.price.fresh.1thread", Ratio::Throughput)),
    );
    measure_filter(report, &engine);
}

/// A page of a thousand offers of forty sellers, whose turns are counted and put in order.
fn measure_filter(report: &mut Report, engine: &Engine) {
    let fair = engine
        .load(
            "fair-share",
            include_bytes!("../../../../policies/dist/fair-share.wasm"),
        )
        .unwrap();
    let offers: Vec<Offer> = (0..Batch::MAX as u64)
        .map(|at| Offer {
            key: KeyId(u128::from(at).to_be_bytes()),
            seller: Address([(at % 40) as u8; 20]),
            ..offer()
        })
        .collect();
    let batch = Batch::of(&offers.iter().collect::<Vec<_>>());
    let request = FilterRequest {
        now: Nanos(1_700_000_000_000_000_000),
        market: MarketId([1; 16]),
        action: Action::Query,
        buyer: Some(Address([2; 20])),
        params: "{}",
        batch: &batch,
    };
    let (grants, limits) = (Grants::NONE, Limits::for_batch(Batch::MAX));
    let bare_call = fair.bare_filter(&request, grants, &limits);
    let bare: Vec<Figures> = (0..RUNS)
        .map(|_| repeat(|| bare_call.call(&Steady).unwrap()))
        .collect();
    report.line("limit.engine.filter", &bare, None);
    let filter: Vec<Figures> = (0..RUNS)
        .map(|_| {
            repeat(|| {
                let decision = fair.filter(&request, &Steady, grants, &limits);
                assert_eq!(decision.outcome.unwrap().indices.len(), Batch::MAX);
                std::hint::black_box(decision.record.encode());
            })
        })
        .collect();
    report.line(
        "policy.filter.1000",
        &filter,
        Some(("limit.engine.filter", Ratio::P50)),
    );
}

fn offer() -> Offer {
    Offer {
        id: OfferId([1; 16]),
        key: KeyId([2; 16]),
        api: ApiId([3; 16]),
        catalog: None,
        uri: "com.example.weather.".to_owned(),
        seller: Address([4; 20]),
        provider_id: Some("0x0123456789abcdef".repeat(8)),
        placer: Placer {
            session: SessionId(1),
            authid: None,
        },
        placed_at: Nanos(1_699_999_000_000_000_000),
        valid_from: None,
        expires: None,
        revoked: None,
        signature: Signature([1; 65]),
        signature_verified: false,
        claimed: true,
        unlisted: false,
        price: Price::Dynamic,
        pricing: PricingTerms::default(),
        copies: None,
        remaining: None,
        categories: [("region", "eu"), ("kind", "weather")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    }
}
