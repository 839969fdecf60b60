//! A policy sees its request and the answers of its granted imports, and its decision can be repeated.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

mod support;

use bourse_market::{Amount, DecisionId, Figures, KeyId, Nanos, Subject};
use bourse_policy::testing::{Guest, computed, request_offset};
use bourse_policy::{
    Declined, DecodeError, Difference, Failure, Grants, Hex, Hook, Import, Limits, MAX_CALLS, MAX_WINDOW_MS,
    NoImports, Output, PriceRequest, Record, ReplayError, Revision,
};
use support::{Scripted, load, offer, request};

const MARKET: Grants = Grants {
    market: true,
    state: false,
    log: false,
};

/// A guest that answers with the 64-bit word of its request at `offset` as the amount.
fn echo(offset: u32, load: &str) -> Revision {
    let word = format!("({load} (i32.add (local.get $request) (i32.const {offset})))");
    support::load("echo", &Guest::named("echo").quote(computed(&word, 5)).build())
}

#[test]
fn every_field_of_a_request_arrives_where_the_package_says() {
    let offer = offer();
    let word = |byte: u64| u64::from_be_bytes([byte as u8; 8]);
    let cases: [(&str, u32, &str, u64); 24] = [
        ("ctx.now", 0, "i64.load", 11),
        ("ctx.market.hi", 0, "i64.load", word(12)),
        ("ctx.market.lo", 0, "i64.load", word(12)),
        ("ctx.action", 0, "i64.load8_u", 3),
        ("ctx.buyer", 0, "i64.load8_u", 1),
        ("ctx.buyer", 8, "i64.load", word(13)),
        ("ctx.params", 4, "i64.load32_u", 7),
        ("offer.key.hi", 0, "i64.load", word(2)),
        ("offer.api.lo", 0, "i64.load", word(3)),
        ("offer.catalog", 8, "i64.load", word(4)),
        ("offer.uri", 4, "i64.load32_u", "com.example.weather".len() as u64),
        ("offer.seller.a", 0, "i64.load", word(5)),
        ("offer.seller.c", 0, "i64.load32_u", 0x0505_0505),
        ("offer.provider", 0, "i64.load8_u", 1),
        ("offer.placed-at", 0, "i64.load", 1_000),
        ("offer.valid-from", 0, "i64.load", 2_000),
        ("offer.expires", 8, "i64.load", 3_000),
        ("offer.price", 8, "i64.load", 8),
        ("offer.copies", 4, "i64.load32_u", 9),
        ("offer.remaining", 4, "i64.load32_u", 10),
        ("offer.categories", 4, "i64.load32_u", 2),
        ("base", 8, "i64.load", 14),
        ("floor.l0", 0, "i64.load", 0),
        ("max-valid-ms", 0, "i64.load32_u", 30_000),
    ];
    for (path, further, load, expected) in cases {
        let revision = echo(request_offset(path) + further, load);
        let asked = PriceRequest {
            floor: Amount::ZERO,
            cap: Amount::MAX,
            ..request(&offer)
        };
        let priced = revision
            .price(&asked, &NoImports, Grants::NONE, &Limits::default())
            .outcome
            .unwrap();
        assert_eq!(priced.amount, Amount::from_units(expected.into()), "{path}");
    }
}

#[test]
fn what_an_offer_does_not_say_arrives_as_nothing_and_valid_from_as_its_placing() {
    let mut offer = offer();
    offer.valid_from = None;
    offer.catalog = None;
    offer.provider_id = None;
    offer.price = bourse_market::Price::Dynamic;
    offer.categories.clear();
    for (path, load, expected) in [
        ("offer.valid-from", "i64.load", 1_000),
        ("offer.catalog", "i64.load8_u", 0),
        ("offer.provider", "i64.load8_u", 0),
        ("offer.price", "i64.load8_u", 0),
        ("ctx.buyer", "i64.load8_u", 0),
        ("base", "i64.load8_u", 0),
    ] {
        let revision = echo(request_offset(path), load);
        let asked = PriceRequest {
            floor: Amount::ZERO,
            buyer: None,
            base: None,
            ..request(&offer)
        };
        let priced = revision
            .price(&asked, &NoImports, Grants::NONE, &Limits::default())
            .outcome
            .unwrap();
        assert_eq!(priced.amount, Amount::from_units(expected), "{path}");
    }
}

/// Asks for the demand of a key over `window_ms`, `times` times, and answers with the sales.
fn demanding(window_ms: u32, times: u32) -> Revision {
    let call = format!(
        "(call $demand (i32.const 0) (i64.const 0x0202020202020202) (i64.const 0x0202020202020203) (i32.const 0)
           (i32.const {}) (i32.const 4096))",
        window_ms.cast_signed(),
    );
    let body = format!(
        "{} {}",
        call.repeat(times as usize),
        computed("(i64.load (i32.const 4096))", 5)
    );
    load(
        "demanding",
        &Guest::named("demanding").with_market().quote(body).build(),
    )
}

fn figures() -> Figures {
    Figures {
        sales: 77,
        volume: Amount::from_limbs([1, 2, 3, 4]),
        quotes: 5,
        last_price: Some(Amount::from_units(6)),
        last_at: Some(Nanos(7)),
    }
}

#[test]
fn demand_is_asked_of_the_host_and_recorded_with_its_answer() {
    let scripted = Scripted {
        figures: figures(),
        ..Scripted::default()
    };
    let decision = demanding(60_000, 1).price(&request(&offer()), &scripted, MARKET, &Limits::default());
    assert_eq!(decision.outcome.unwrap().amount, Amount::from_units(77));
    let mut key = [2; 16];
    key[15] = 3;
    assert_eq!(*scripted.asked.borrow(), [(Subject::Key(KeyId(key)), 60_000)]);
    assert_eq!(decision.record.imports.len(), 1);
    assert_eq!(decision.record.imports[0].name, "market.demand");
}

#[test]
fn a_window_longer_than_a_day_is_asked_as_a_day() {
    let scripted = Scripted {
        figures: figures(),
        ..Scripted::default()
    };
    let decision = demanding(u32::MAX, 1).price(&request(&offer()), &scripted, MARKET, &Limits::default());
    decision.outcome.unwrap();
    assert_eq!(scripted.asked.borrow()[0].1, MAX_WINDOW_MS);
}

#[test]
fn imports_can_be_called_only_so_often() {
    let scripted = Scripted {
        figures: figures(),
        ..Scripted::default()
    };
    let most = MAX_CALLS as u32;
    demanding(1, most)
        .price(&request(&offer()), &scripted, MARKET, &Limits::default())
        .outcome
        .unwrap();
    let decision = demanding(1, most + 1).price(&request(&offer()), &scripted, MARKET, &Limits::default());
    let expected = Failure::TooManyCalls { limit: most };
    assert_eq!(decision.outcome, Err(Declined::Failed(expected)));
    assert_eq!(decision.record.imports.len(), MAX_CALLS);
}

#[test]
fn an_import_that_is_not_granted_is_named_before_anything_runs() {
    let revision = demanding(1, 1);
    assert_eq!(revision.imports(), [Import::Market]);
    revision.check_grants(MARKET).unwrap();
    let error = revision.check_grants(Grants::NONE).unwrap_err();
    assert_eq!(error.import(), Import::Market);
    assert!(error.to_string().contains("grants = [\"market\"]"), "{error}");
    let decision = revision.price(&request(&offer()), &NoImports, Grants::NONE, &Limits::default());
    assert_eq!(decision.record.outcome, "not_granted");
    assert_eq!(decision.fuel, 0);
}

#[test]
fn describe_may_not_call_imports() {
    let call = "(call $demand (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 1) (i32.const 4096))";
    let bytes = Guest::named("curious")
        .with_market()
        .describe(format!("{call} unreachable"))
        .build();
    let error = support::engine().load("curious", &bytes).unwrap_err();
    assert!(
        error.to_string().contains("`market`, which is not granted"),
        "{error}"
    );
}

#[test]
fn a_decision_is_repeated_exactly_from_its_record() {
    let revision = demanding(60_000, 3);
    let scripted = Scripted {
        figures: figures(),
        ..Scripted::default()
    };
    let decision = revision.price(&request(&offer()), &scripted, MARKET, &Limits::default());
    let record = Record::decode(&decision.record.encode()).unwrap();
    let replay = revision.replay(&record).unwrap();
    assert!(replay.is_exact(), "{:?}", replay.differences);
    assert_eq!(replay.record.fuel, decision.fuel);
    assert!(decision.fuel > 0);

    let mut other = record.clone();
    other.fuel += 1;
    assert_eq!(revision.replay(&other).unwrap().differences, [Difference::Fuel]);
    let mut fewer = record.clone();
    fewer.imports.pop();
    let replay = revision.replay(&fewer).unwrap();
    assert_eq!(replay.record.outcome, "diverged");
    assert!(replay.differences.contains(&Difference::Outcome));
    let mut more = record.clone();
    more.imports.push(record.imports[0].clone());
    assert_eq!(revision.replay(&more).unwrap().differences, [Difference::Imports]);

    let stranger = load("good", &Guest::named("good").build());
    assert!(matches!(
        stranger.replay(&record).unwrap_err(),
        ReplayError::Revision { .. }
    ));
}

#[test]
fn the_same_call_burns_the_same_fuel_on_every_thread() {
    let revision = demanding(60_000, 2);
    let offer = offer();
    let expected = revision
        .price(&request(&offer), &Scripted::default(), MARKET, &Limits::default())
        .fuel;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let decision =
                        revision.price(&request(&offer), &Scripted::default(), MARKET, &Limits::default());
                    assert_eq!(
                        decision.fuel, expected,
                        "{:?} {:?}",
                        decision.outcome, decision.elapsed
                    );
                    decision.outcome.unwrap();
                }
            });
        }
    });
}

#[test]
fn nothing_of_a_call_is_left_for_the_next_one() {
    let body = format!(
        "(global.set $count (i64.add (global.get $count) (i64.const 1)))
         (i64.store (i32.const 8192) (i64.add (i64.load (i32.const 8192)) (global.get $count)))
         {}",
        computed("(i64.load (i32.const 8192))", 5),
    );
    let bytes = Guest::named("count")
        .items("(global $count (mut i64) (i64.const 10))")
        .quote(body)
        .build();
    let revision = load("count", &bytes);
    for _ in 0..5 {
        let decision = revision.price(&request(&offer()), &NoImports, Grants::NONE, &Limits::default());
        assert_eq!(decision.outcome.unwrap().amount, Amount::from_units(11));
    }
}

#[test]
fn a_record_reads_the_same_from_bytes_and_from_json() {
    let scripted = Scripted {
        figures: figures(),
        ..Scripted::default()
    };
    let decision = demanding(1, 1).price(&request(&offer()), &scripted, MARKET, &Limits::default());
    let mut record = decision.record;
    record.id = Some(Hex(DecisionId([9; 16])));
    let bytes = record.encode();
    assert!(bytes.len() < 450, "{} bytes", bytes.len());
    assert_eq!(Record::decode(&bytes).unwrap(), record);
    let line = record.to_json();
    assert_eq!(Record::from_json(&line).unwrap(), record);
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["v"], 2);
    assert_eq!(json["hook"], "pricing");
    assert_eq!(json["outcome"], "priced");
    assert_eq!(json["id"], "0x09090909090909090909090909090909");
    assert_eq!(json["input"]["pricing"]["cap"], "1000");
    assert_eq!(json["imports"][0]["answer"]["figures"]["volume"], {
        let [a, b, c, d] = [1u64, 2, 3, 4];
        Amount::from_limbs([a, b, c, d]).as_u256().to_string()
    });
    assert!(matches!(record.output, Output::Price { .. }));
    assert_eq!(record.hook, Hook::Pricing);
}

#[test]
fn what_is_not_a_record_is_refused() {
    let record = demanding(1, 1)
        .price(
            &request(&offer()),
            &Scripted::default(),
            MARKET,
            &Limits::default(),
        )
        .record;
    let bytes = record.encode();
    for cut in 0..bytes.len() {
        assert!(Record::decode(&bytes[..cut]).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(
        Record::decode(&longer),
        Err(DecodeError::Corrupt { .. })
    ));
    let mut newer = bytes;
    newer[0] = 3;
    assert!(matches!(
        Record::decode(&newer),
        Err(DecodeError::Version { got: 3 })
    ));
}

#[test]
fn fuel_counts_the_same_with_the_clock_running_and_without() {
    // Some 60 million instructions: long enough to meet several ticks.
    let body = format!(
        "(local $left i32) (local.set $left (i32.const 10000000))
         (loop $on (local.set $left (i32.sub (local.get $left) (i32.const 1))) (br_if $on (local.get $left))) {}",
        computed("(i64.const 20)", 5),
    );
    let revision = load("long", &Guest::named("long").quote(body).build());
    let limits = Limits {
        fuel: 1 << 40,
        deadline: core::time::Duration::from_secs(60),
        ..Limits::default()
    };
    let decision = revision.price(&request(&offer()), &NoImports, Grants::NONE, &limits);
    assert_eq!(decision.outcome.unwrap().amount, Amount::from_units(20));
    assert!(revision.replay(&decision.record).unwrap().is_exact());
}
