//! The library under random sequences of all that can happen to a policy.
//!
//! No model says what must come of each step; what holds after every one of them does: the folder is the truth, a
//! restart changes nothing, and neither does what fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at its first surprise"
)]

#[path = "support/place.rs"]
mod place;
mod support;

use bourse_policy::{DeployError, Library, PolicyState, PolicyStatus};
use place::{Place, component, shadow, version};
use proptest::prelude::*;
use std::sync::LazyLock;

static COMPONENTS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| (0..4).map(|at| component("p", &at.to_string())).collect());

#[derive(Debug, Clone)]
enum Step {
    Deploy(usize),
    Shadow(usize),
    Promote,
    Rollback,
    Disable,
    Enable,
    Put(usize),
    Break,
    Remove,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4usize).prop_map(Step::Deploy),
        2 => (0..4usize).prop_map(Step::Shadow),
        2 => Just(Step::Promote),
        3 => Just(Step::Rollback),
        1 => Just(Step::Disable),
        2 => Just(Step::Enable),
        2 => (0..4usize).prop_map(Step::Put),
        1 => Just(Step::Break),
        1 => Just(Step::Remove),
        1 => Just(Step::Restart),
    ]
}

/// What a restart must not change: where a revision came from is told by the folder, and breakers start anew.
fn essence(library: &Library) -> (Option<PolicyStatus>, Option<String>, Option<String>) {
    let mut status = library.status().pop();
    if let Some(status) = &mut status {
        status.origin = None;
        status.breaker = None;
    }
    (status, version(library, "p"), shadow(library, "p"))
}

fn take(place: &Place, library: &mut Library, step: &Step) -> Result<(), DeployError> {
    match step {
        Step::Deploy(at) => library.deploy("p", &COMPONENTS[*at], None, false).map(drop)?,
        Step::Shadow(at) => library.deploy("p", &COMPONENTS[*at], None, true).map(drop)?,
        Step::Promote => library.promote("p").map(drop)?,
        Step::Rollback => library.rollback("p").map(drop)?,
        Step::Disable => library.disable("p")?,
        Step::Enable => library.enable("p").map(drop)?,
        Step::Put(at) => place.put("p.wasm", &COMPONENTS[*at]),
        Step::Break => place.put("p.wasm", b"garbage"),
        Step::Remove => {
            let _ = std::fs::remove_file(place.file("p.wasm"));
        }
        Step::Restart => *library = place.open(),
    }
    library.scan();
    library.scan();
    Ok(())
}

fn run(ships: bool, steps: &[Step]) {
    let mut place = Place::new();
    if ships {
        place = place.shipping("p", &COMPONENTS[0]);
    }
    let mut library = place.open();
    for (at, step) in steps.iter().enumerate() {
        let done = &steps[..=at];
        let before = essence(&library);
        let outcome = take(&place, &mut library, step);
        let after = essence(&library);
        match &outcome {
            // It is enabled all the same.
            Err(DeployError::Broken { .. }) | Ok(()) => {}
            Err(DeployError::Unknown { .. }) if matches!(step, Step::Enable) => {}
            Err(error) => assert_eq!(
                after, before,
                "{done:?} failed with {error}, and changed something"
            ),
        }
        let state = after.0.as_ref().map(|status| status.state);
        if state != Some(PolicyState::Disabled) {
            let file = std::fs::read(place.file("p.wasm")).ok();
            let good = file
                .as_ref()
                .map(|file| COMPONENTS.iter().position(|good| good == file));
            let expected = match good {
                Some(Some(at)) => Some(at.to_string()),
                // A broken file: what was in force before.
                Some(None) => after.1.clone(),
                None => ships.then(|| "0".to_owned()),
            };
            assert_eq!(after.1, expected, "{done:?}: the folder says otherwise");
        }
        let restarted = place.open();
        assert_eq!(
            essence(&restarted),
            after,
            "{done:?}: a restart made a difference"
        );
        assert_eq!(restarted.notices(), [""; 0], "{done:?}");
        assert_eq!(library.notices(), [""; 0], "{done:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_folder_is_the_truth_and_neither_restarts_nor_failures_change_anything(
        ships: bool,
        steps in prop::collection::vec(step(), 1..16),
    ) {
        run(ships, &steps);
    }
}
