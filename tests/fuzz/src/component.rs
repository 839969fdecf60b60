//! Files that claim to be policies.

use crate::answers::{self, Hook};
use crate::hold;
use bourse_policy::testing::{Guest, hostile};
use bourse_policy::{Engine, EngineOptions, Limits};
use std::sync::LazyLock;
use std::time::Duration;

/// The name under which every file is loaded. A file that says it passes the last check.
const NAME: &str = "fuzzed";

/// Small, so that no input asks for much: what is large takes long, and finds nothing that the small does not.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::new(EngineOptions {
        instances: 4,
        memory: 4 << 20,
        component: 64 << 10,
        keep_resident: 64 << 10,
        ..EngineOptions::default()
    })
    .expect("the engine starts")
});

/// Loads the bytes and, where they load, asks every hook they export.
pub(crate) fn run(bytes: &[u8]) {
    let revision = match ENGINE.load(NAME, bytes) {
        Ok(revision) => revision,
        Err(error) => {
            assert!(!error.code().is_empty());
            assert!(
                error.to_string().len() < 64 << 10,
                "an error of {} bytes",
                error.to_string().len()
            );
            return;
        }
    };
    assert_eq!(revision.name(), NAME);
    assert_eq!(revision.size(), bytes.len());
    let limits = Limits {
        fuel: 100_000,
        deadline: Duration::from_millis(200),
        memory: 2 << 20,
        ..Limits::default()
    };
    for hook in Hook::ALL {
        answers::ask(&revision, hook, b"a value", &limits);
    }
    // Loading twice makes the same of it.
    let again = ENGINE.load(NAME, bytes).expect("what loaded once");
    assert_eq!(again.id(), revision.id());
    assert_eq!(again.imports(), revision.imports());
    assert_eq!(again.description(), revision.description());
    hold::description(revision.description());
}

/// Guests of each hook and import, good and hostile, and files that are none.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    use bourse_policy::Hook::{Consent, Offers, Pricing};
    let mut seeds: Vec<Vec<u8>> = [Pricing, Offers, Consent]
        .into_iter()
        .map(|hook| hostile::willing(NAME, hook))
        .collect();
    seeds.push(
        Guest::named(NAME)
            .also(Offers)
            .also(Consent)
            .with_market()
            .with_state()
            .with_log()
            .items("(table $t 4 funcref) (global $g (mut i64) (i64.const 1))")
            .build(),
    );
    seeds.push(hostile::refusing(NAME, Pricing, "closed", "come back tomorrow"));
    seeds.push(answers::guest(NAME).build());
    seeds.push(Guest::named(NAME).module());
    seeds.extend(
        hostile::unloadable()
            .into_iter()
            .map(|hostile| hostile.bytes)
            .filter(|bytes| bytes.len() < 16 << 10),
    );
    seeds
}
