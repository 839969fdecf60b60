//! Stacks by fuel.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use bourse_policy::testing::{Guest, price};
use bourse_policy::{Engine, EngineOptions, Grants, Limits, NoImports, Record, Revision};

/// A guest that loops in one function for some time, and then three times as long in another.
fn guest() -> Vec<u8> {
    let looping = |name: &str, rounds: u32| {
        format!(
            "(func ${name} (local $left i32) (local.set $left (i32.const {rounds}))
               (loop $more
                 (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                 (br_if $more (local.get $left))))"
        )
    };
    Guest::named("test")
        .items(&format!("{}{}", looping("short", 1000), looping("long", 3000)))
        .quote(format!(
            "(call $short) (call $long) {}",
            price([1, 0, 0, 0], 1000)
        ))
        .build()
}

fn load(backtraces: bool) -> (Revision, Record) {
    let engine = Engine::new(EngineOptions {
        instances: 4,
        backtraces,
        ..EngineOptions::default()
    })
    .unwrap();
    let revision = engine.load("test", &guest()).unwrap();
    let offer = support::offer();
    let request = support::request(&offer);
    let record = revision
        .price(&request, &NoImports, Grants::NONE, &Limits::default())
        .record;
    (revision, record)
}

#[test]
fn a_call_is_where_its_fuel_was_burned_and_the_same_each_time() {
    let (revision, record) = load(true);
    const SAMPLES: u64 = 100;
    let stacks = || -> Vec<Vec<String>> {
        (0..SAMPLES)
            .filter_map(|sample| revision.stack_after(&record, record.fuel * sample / SAMPLES))
            .collect()
    };
    let first = stacks();
    assert_eq!(first, stacks());
    let on_top = |name: &str| {
        first
            .iter()
            .filter(|stack| stack.last().is_some_and(|top| top.contains(name)))
            .count()
    };
    assert!((23..=27).contains(&on_top("short")), "{}", on_top("short"));
    assert!((73..=77).contains(&on_top("long")), "{}", on_top("long"));
    let of_long = |stack: &&Vec<String>| stack.last().is_some_and(|top| top.contains("long"));
    assert!(
        first.iter().filter(of_long).all(|stack| stack.len() == 2),
        "called from `quote`"
    );
}

#[test]
fn a_call_that_is_over_is_nowhere() {
    let (revision, record) = load(true);
    assert_eq!(revision.stack_after(&record, record.fuel), None);
    assert_eq!(revision.stack_after(&record, u64::MAX), None);
}

#[test]
fn an_engine_without_backtraces_tells_nothing() {
    let (revision, record) = load(false);
    assert_eq!(revision.stack_after(&record, record.fuel / 2), None);
}
