//! Policies that mean harm: each its own clear outcome, in time, and the next call is as good as new.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

mod support;

use bourse_market::Amount;
use bourse_policy::testing::hostile::{Hostile, failing_for, unloadable};
use bourse_policy::testing::{DATA, Guest, price, refusal};
use bourse_policy::{
    Bound, Declined, Engine, EngineOptions, Failure, Grants, Hook, INVALID_CODE, Imports, Limits, NoImports,
    PriceDecision, Record,
};
use core::time::Duration;
use std::time::Instant;
use support::{call_all, engine, load, offer, request};

fn ask(name: &str, bytes: &[u8], limits: &Limits) -> PriceDecision {
    load(name, bytes).price(&request(&offer()), &NoImports, Grants::NONE, limits)
}

fn good() -> PriceDecision {
    let bytes = Guest::named("good").quote(price([500, 0, 0, 0], 1000)).build();
    ask("good", &bytes, &Limits::default())
}

/// The default limits, and a shorter deadline for the guest that must not end by its fuel.
fn limits_for(hostile: &Hostile) -> Limits {
    match hostile.code {
        "deadline" => Limits {
            deadline: Duration::from_millis(10),
            ..Limits::default()
        },
        _ => Limits::default(),
    }
}

#[test]
fn every_failing_guest_has_its_own_outcome_in_every_hook_and_the_next_call_works() {
    for hook in Hook::ALL {
        for hostile in failing_for(hook) {
            let revision = load(hostile.name, &hostile.bytes);
            for came in call_all(&revision, hook, &NoImports, Grants::NONE, &limits_for(&hostile)) {
                let Some(Declined::Failed(failure)) = &came.declined else {
                    panic!("{} {}: {:?}", hostile.name, came.what, came.declined)
                };
                assert_eq!(
                    failure.code(),
                    hostile.code,
                    "{} {}: {failure}",
                    hostile.name,
                    came.what
                );
                assert_eq!(came.record.outcome, hostile.code);
                // The deadline is 50 ms of running; the rest is for a machine that does other things too.
                assert!(
                    came.elapsed < Duration::from_secs(2),
                    "{} {} took {:?}",
                    hostile.name,
                    came.what,
                    came.elapsed
                );
                assert!(came.fuel <= Limits::default().fuel);
            }
            assert_eq!(
                good().outcome.unwrap().amount,
                Amount::from_units(500),
                "after {}",
                hostile.name
            );
        }
    }
}

#[test]
fn every_hook_has_a_guest_for_every_way_to_fail() {
    for hook in Hook::ALL {
        let guests = failing_for(hook);
        for code in [
            "trap",
            "out_of_fuel",
            "deadline",
            "out_of_memory",
            "stack_overflow",
            "bad_output",
            "not_granted",
        ] {
            assert!(guests.iter().any(|hostile| hostile.code == code), "{hook} {code}");
        }
        for name in ["bad-output", "oversized-output"] {
            assert!(guests.iter().any(|hostile| hostile.name == name), "{hook} {name}");
        }
    }
}

#[test]
fn every_file_that_is_no_policy_is_refused_with_its_own_reason() {
    for hostile in unloadable() {
        let started = Instant::now();
        let error = engine().load(hostile.name, &hostile.bytes).unwrap_err();
        assert_eq!(error.code(), hostile.code, "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    good().outcome.unwrap();
}

#[test]
fn a_module_that_imports_wasi_is_told_that_there_is_none() {
    let wasi = unloadable()
        .into_iter()
        .find(|hostile| hostile.code == "unknown_import")
        .unwrap();
    let error = engine().load(wasi.name, &wasi.bytes).unwrap_err().to_string();
    assert!(error.contains("wasi:clocks/monotonic-clock@0.2.0"), "{error}");
    assert!(error.contains("policies have no WASI"), "{error}");
}

#[test]
fn an_endless_loop_with_endless_fuel_ends_at_the_deadline() {
    let bytes = Guest::named("loop")
        .quote("(loop $on (br $on)) unreachable")
        .build();
    let limits = Limits {
        fuel: u64::MAX,
        ..Limits::default()
    };
    let revision = load("loop", &bytes);
    let decision = revision.price(&request(&offer()), &NoImports, Grants::NONE, &limits);
    assert_eq!(
        decision.outcome,
        Err(Declined::Failed(Failure::Deadline { limit_ms: 50 }))
    );
    // Never early by more than a tick, and late by no more than a busy machine explains.
    assert!(
        decision.elapsed > Duration::from_millis(30),
        "{:?}",
        decision.elapsed
    );
    assert!(
        decision.elapsed < Duration::from_secs(2),
        "{:?}",
        decision.elapsed
    );
    assert!(
        revision.replay(&decision.record).is_err(),
        "what the clock decided cannot be repeated"
    );
}

#[test]
fn an_import_that_dawdles_counts_against_the_deadline() {
    struct Slow;
    impl Imports for Slow {
        fn demand(&self, _: bourse_market::Subject, _: u32) -> bourse_market::Figures {
            std::thread::sleep(Duration::from_millis(30));
            bourse_market::Figures::default()
        }
    }
    let call = "(call $demand (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 1) (i32.const 4096))";
    let bytes = Guest::named("slow")
        .with_market()
        .quote(format!("(loop $on {call} (br $on)) unreachable"))
        .build();
    let limits = Limits {
        deadline: Duration::from_millis(10),
        ..Limits::default()
    };
    let grants = Grants {
        market: true,
        ..Grants::NONE
    };
    let decision = load("slow", &bytes).price(&request(&offer()), &Slow, grants, &limits);
    assert_eq!(
        decision.outcome,
        Err(Declined::Failed(Failure::Deadline { limit_ms: 10 }))
    );
    assert_eq!(decision.record.imports.len(), 1);
}

#[test]
fn a_price_above_the_cap_is_the_cap_even_at_the_end_of_256_bits() {
    for limbs in [[1001, 0, 0, 0], [0, 1, 0, 0], [u64::MAX; 4]] {
        let bytes = Guest::named("greedy").quote(price(limbs, u32::MAX)).build();
        let priced = ask("greedy", &bytes, &Limits::default()).outcome.unwrap();
        assert_eq!(priced.amount, Amount::from_units(1000));
        assert_eq!(priced.bounded, Some(Bound::Cap));
        assert_eq!(
            priced.valid_ms, 30_000,
            "the largest validity is cut to what the host allows"
        );
    }
}

#[test]
fn a_refusal_reaches_the_buyer_with_its_code_and_a_cut_text() {
    for (code, expected) in [("sold_out", "sold_out"), ("No Code!", INVALID_CODE)] {
        let mut data = code.as_bytes().to_vec();
        data.extend("é".repeat(300).as_bytes());
        let at = DATA + code.len() as u32;
        let bytes = Guest::named("no")
            .data(&data)
            .quote(refusal((DATA, code.len() as u32), (at, 600)))
            .build();
        let Err(Declined::Refused { code, text }) = ask("no", &bytes, &Limits::default()).outcome else {
            panic!("not refused")
        };
        assert_eq!(
            (code.as_str(), text.as_str()),
            (expected, "é".repeat(128).as_str())
        );
    }
}

#[test]
fn a_memory_limit_below_what_the_guest_starts_with_is_out_of_memory() {
    let bytes = Guest::named("large").pages(32).build();
    let limits = Limits {
        memory: 1 << 20,
        ..Limits::default()
    };
    let decision = ask("large", &bytes, &limits);
    let expected = Failure::OutOfMemory {
        asked: 2 << 20,
        limit: 1 << 20,
    };
    assert_eq!(decision.outcome, Err(Declined::Failed(expected)));
}

#[test]
fn more_calls_than_instances_are_told_that_all_are_busy() {
    let engine = Engine::new(EngineOptions {
        instances: 1,
        ..EngineOptions::default()
    })
    .unwrap();
    let bytes = Guest::named("good").build();
    let calls = {
        let call = "(call $demand (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 1) (i32.const 4096))";
        Guest::named("outer")
            .with_market()
            .quote(format!("{call} {}", price([500, 0, 0, 0], 1)))
            .build()
    };
    let (inner, outer) = (
        engine.load("good", &bytes).unwrap(),
        engine.load("outer", &calls).unwrap(),
    );
    struct Nested(bourse_policy::Revision, std::cell::RefCell<Option<PriceDecision>>);
    impl Imports for Nested {
        fn demand(&self, _: bourse_market::Subject, _: u32) -> bourse_market::Figures {
            let decision = self
                .0
                .price(&request(&offer()), &NoImports, Grants::NONE, &Limits::default());
            *self.1.borrow_mut() = Some(decision);
            bourse_market::Figures::default()
        }
    }
    let nested = Nested(inner.clone(), std::cell::RefCell::new(None));
    let grants = Grants {
        market: true,
        ..Grants::NONE
    };
    outer
        .price(&request(&offer()), &nested, grants, &Limits::default())
        .outcome
        .unwrap();
    let busy = nested.1.into_inner().unwrap();
    assert_eq!(busy.outcome, Err(Declined::Failed(Failure::Busy)));
    inner
        .price(&request(&offer()), &NoImports, Grants::NONE, &Limits::default())
        .outcome
        .unwrap();
}

#[test]
fn failures_are_recorded_and_repeat_exactly_unless_the_clock_decided() {
    for hook in Hook::ALL {
        for hostile in failing_for(hook) {
            let revision = load(hostile.name, &hostile.bytes);
            for came in call_all(&revision, hook, &NoImports, Grants::NONE, &limits_for(&hostile)) {
                let record = Record::decode(&came.record.encode()).unwrap();
                assert_eq!(record, came.record);
                if hostile.code == "deadline" {
                    assert!(revision.replay(&record).is_err());
                    continue;
                }
                let replay = revision.replay(&record).unwrap();
                assert!(
                    replay.is_exact(),
                    "{} {}: {:?} {:?}",
                    hostile.name,
                    came.what,
                    replay.differences,
                    replay.record.output
                );
            }
        }
    }
}

#[test]
fn a_floor_above_the_cap_is_refused_without_running_anything() {
    let offer = offer();
    let asked = bourse_policy::PriceRequest {
        floor: Amount::from_units(2000),
        ..request(&offer)
    };
    let bytes = Guest::named("good").build();
    let decision = load("good", &bytes).price(&asked, &NoImports, Grants::NONE, &Limits::default());
    assert_eq!(decision.record.outcome, "bad_bounds");
    assert_eq!(decision.fuel, 0);
}
