//! Instances that serve more than once, for who asks for them: what is left, and what is never left.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

mod support;

use bourse_market::{Amount, KeyId, Offer};
use bourse_policy::testing::{ANSWER, DATA, Guest, computed, price, refusal, request_offset};
use bourse_policy::{
    Difference, Engine, EngineOptions, Grants, Hook, Import, Instances, Limits, NoImports, PriceDecision,
    PriceRequest, Revision,
};
use support::{Scripted, call_all, load, offer, request};

const WARM: Limits = Limits {
    fuel: 10_000_000,
    deadline: core::time::Duration::from_millis(50),
    memory: 8 << 20,
    instances: Instances::Warm,
};

fn ask(revision: &Revision, offer: &Offer) -> PriceDecision {
    let asked = PriceRequest {
        cap: Amount::MAX,
        ..request(offer)
    };
    revision.price(&asked, &NoImports, Grants::NONE, &WARM)
}

fn amount(revision: &Revision) -> Amount {
    ask(revision, &offer()).outcome.unwrap().amount
}

/// Counts its calls from 20 on, and does `also` before it answers.
fn counting(also: &str) -> Guest {
    Guest::named("count")
        .items("(global $count (mut i64) (i64.const 19))")
        // The guests of tests never free anything: room for a thousand requests.
        .pages(32)
        .quote(format!(
            "(global.set $count (i64.add (global.get $count) (i64.const 1)))
             (memory.fill (i32.const {ANSWER}) (i32.const 0) (i32.const 64)) {also} {}",
            computed("(global.get $count)", 5)
        ))
}

/// Does `what` if the first byte of the key is 1.
fn on_demand(what: &str) -> String {
    let key = request_offset("offer.key.hi") + 7;
    format!(
        "(if (i32.eq (i32.load8_u (i32.add (local.get $request) (i32.const {key}))) (i32.const 1)) (then {what}))"
    )
}

fn demanding() -> Offer {
    Offer {
        key: KeyId([1; 16]),
        ..offer()
    }
}

#[test]
fn a_warm_instance_serves_again_and_a_fresh_one_never_does() {
    let revision = load("count", &counting("").build());
    for expected in 20..30 {
        assert_eq!(amount(&revision), Amount::from_units(expected));
        let fresh = revision.price(&request(&offer()), &NoImports, Grants::NONE, &Limits::default());
        assert_eq!(fresh.outcome.unwrap().amount, Amount::from_units(20));
    }
}

#[test]
fn an_instance_is_retired_after_any_failure() {
    let bad = price([20, 0, 0, 0], 0);
    for failure in [
        "unreachable".to_owned(),
        "(loop $on (br $on))".to_owned(),
        "(loop $on (drop (memory.grow (i32.const 16))) (br $on))".to_owned(),
        "(return (i32.const -8))".to_owned(),
        // Not a failure of the call but of its answer: a validity of 0.
        format!("(return {bad})"),
    ] {
        let revision = load("count", &counting(&on_demand(&failure)).build());
        assert_eq!(amount(&revision), Amount::from_units(20));
        assert_eq!(amount(&revision), Amount::from_units(21));
        let failed = ask(&revision, &demanding());
        assert!(failed.outcome.is_err(), "{failure}: {:?}", failed.outcome);
        assert_eq!(amount(&revision), Amount::from_units(20), "after {failure}");
    }
}

#[test]
fn a_refusal_is_no_reason_to_retire() {
    let no = format!("(return {})", refusal((DATA, 2), (DATA, 2)));
    let revision = load("count", &counting(&on_demand(&no)).data(b"no").build());
    assert_eq!(amount(&revision), Amount::from_units(20));
    assert_eq!(ask(&revision, &demanding()).record.outcome, "refused");
    assert_eq!(amount(&revision), Amount::from_units(22));
}

#[test]
fn an_instance_that_grows_by_more_than_a_megabyte_after_its_first_call_is_retired() {
    let grow = |pages: u32| on_demand(&format!("(drop (memory.grow (i32.const {pages})))"));
    let revision = load("count", &counting(&grow(8)).build());
    // The first call may grow as it likes: what an allocator takes then is there for the next.
    for expected in 20..23 {
        let amount = ask(&revision, &demanding()).outcome.unwrap().amount;
        assert_eq!(amount, Amount::from_units(expected));
    }
    let last = ask(&revision, &demanding()).outcome.unwrap().amount;
    assert_eq!(last, Amount::from_units(23));
    assert_eq!(amount(&revision), Amount::from_units(20));
}

#[test]
fn an_instance_serves_a_thousand_calls_and_no_more() {
    let revision = load("count", &counting("").build());
    let highest = (0..1_500).map(|_| amount(&revision)).max().unwrap();
    assert_eq!(highest, Amount::from_units(20 + 999));
}

#[test]
fn each_warm_call_has_its_own_budget_of_fuel_and_import_calls() {
    let spend = "(local $left i32) (local.set $left (i32.const 1000000))
        (loop $on (local.set $left (i32.sub (local.get $left) (i32.const 1))) (br_if $on (local.get $left)))";
    let revision = load(
        "long",
        &Guest::named("long")
            .quote(format!("{spend} {}", price([20, 0, 0, 0], 1)))
            .build(),
    );
    let fuels: Vec<u64> = (0..5).map(|_| ask(&revision, &offer()).fuel).collect();
    assert!(
        fuels[0] > 5_000_000 && fuels.iter().all(|fuel| *fuel == fuels[0]),
        "{fuels:?}"
    );

    let call = "(call $demand (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 1) (i32.const 4096))";
    let body = format!("{} {}", call.repeat(40), price([20, 0, 0, 0], 1));
    let revision = load(
        "asking",
        &Guest::named("asking").with_market().quote(body).build(),
    );
    for _ in 0..3 {
        let imports = Scripted::default();
        let decision = revision.price(
            &request(&offer()),
            &imports,
            Grants::NONE.with(Import::Market),
            &WARM,
        );
        decision.outcome.unwrap();
        assert_eq!(decision.record.imports.len(), 40);
        assert_eq!(imports.asked.borrow().len(), 40, "each call asks its own caller");
    }
}

#[test]
fn changes_of_state_belong_to_the_call_that_made_them() {
    let body = format!(
        "(call $add (i32.const {DATA}) (i32.const 3) (i64.const 5)) {}",
        computed(&format!("(call $counter (i32.const {DATA}) (i32.const 3))"), 1)
    );
    let revision = load(
        "adding",
        &Guest::named("adding")
            .with_state()
            .data(b"key")
            .quote(body)
            .build(),
    );
    let mut imports = Scripted::default();
    imports.counters.insert("key".to_owned(), 20);
    for _ in 0..3 {
        let decision = revision.price(
            &request(&offer()),
            &imports,
            Grants::NONE.with(Import::State),
            &WARM,
        );
        assert_eq!(decision.outcome.unwrap().amount, Amount::from_units(25));
        assert_eq!(decision.changes.len(), 1);
    }
}

#[test]
fn a_warm_decision_of_a_policy_that_remembers_nothing_repeats() {
    let offer = offer();
    let revision = load(
        "plain",
        &Guest::named("plain").quote(price([20, 0, 0, 0], 1)).build(),
    );
    for _ in 0..3 {
        let decision = ask(&revision, &offer);
        assert_eq!(decision.record.instance, Instances::Warm);
        assert!(revision.replay(&decision.record).unwrap().is_exact());
    }
    let revision = load("count", &counting("").build());
    assert!(
        revision
            .replay(&ask(&revision, &offer).record)
            .unwrap()
            .is_exact()
    );
    let second = ask(&revision, &offer).record;
    assert_eq!(
        revision.replay(&second).unwrap().differences,
        [Difference::Output],
        "a policy that remembers is found out"
    );
}

#[test]
fn warm_instances_serve_every_hook_and_many_threads() {
    let guest = Guest::of("all", Hook::Offers)
        .also(Hook::Consent)
        .also(Hook::Pricing);
    let revision = load("all", &guest.build());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for hook in Hook::ALL.repeat(30) {
                    for came in call_all(&revision, hook, &NoImports, Grants::NONE, &WARM) {
                        assert_eq!(came.declined, None);
                    }
                }
            });
        }
    });
}

#[test]
fn waiting_instances_leave_room_in_the_engine_and_go_with_their_revision() {
    let engine = Engine::new(EngineOptions {
        instances: 6,
        ..EngineOptions::default()
    })
    .unwrap();
    let bytes = Guest::named("count").build();
    for _ in 0..10 {
        let revision = engine.load("count", &bytes).unwrap();
        let both = std::sync::Barrier::new(5);
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    both.wait();
                    ask(&revision, &offer()).outcome.unwrap();
                });
            }
        });
    }
}
