//! The cases of the shipped policies, asked of the components in `policies/dist`, as `bourse policy test` asks them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use bourse_cases::Case;
use bourse_policy::{Engine, EngineOptions};
use std::path::Path;

fn ask(policy: &str) {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let component = std::fs::read(policies.join("dist").join(format!("{policy}.wasm"))).unwrap();
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let revision = engine.load(policy, &component).unwrap();
    let mut cases = 0;
    for entry in std::fs::read_dir(policies.join(policy).join("cases")).unwrap() {
        let path = entry.unwrap().path();
        let case = Case::parse(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let verdict = case.expect.compare(&case.input.ask(&revision));
        assert!(verdict.holds(), "{}: {:#?}", path.display(), verdict.lines);
        cases += 1;
    }
    assert!(cases > 0, "{policy} has no cases");
}

/// A test for each, so that they run beside each other: most of their time goes into compiling a component.
macro_rules! answers_its_cases {
    ($($policy:literal as $name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            ask($policy);
        }
    )*};
}

answers_its_cases! {
    "auction-floor" as auction_floor_answers_its_cases,
    "dutch" as dutch_answers_its_cases,
    "fair-share" as fair_share_answers_its_cases,
    "geo-fence" as geo_fence_answers_its_cases,
    "purpose-consent" as purpose_consent_answers_its_cases,
    "quality-filter" as quality_filter_answers_its_cases,
    "quota" as quota_answers_its_cases,
    "subscription" as subscription_answers_its_cases,
    "surge" as surge_answers_its_cases,
    "tiered" as tiered_answers_its_cases,
}
