//! Power cuts: every change of the library, cut off before each of its steps on disk.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Power for a number of steps; without a number it never fails.
#[derive(Debug)]
pub(crate) struct Power {
    left: AtomicI64,
    gone: AtomicBool,
    for_good: AtomicBool,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            left: AtomicI64::new(i64::MAX),
            gone: AtomicBool::new(false),
            for_good: AtomicBool::new(true),
        }
    }
}

impl Power {
    /// Power for `steps` more steps. After that nothing reaches the disk any more.
    fn lasts(&self, steps: i64) {
        self.left.store(steps, Ordering::SeqCst);
    }

    /// The step after `steps` more fails, and those after it succeed again.
    fn fails_at(&self, steps: i64) {
        self.for_good.store(false, Ordering::SeqCst);
        self.lasts(steps);
    }

    /// A step on the disk.
    pub(crate) fn step(&self) -> std::io::Result<()> {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 || (left < 0 && !self.for_good.load(Ordering::SeqCst)) {
            return Ok(());
        }
        self.gone.store(true, Ordering::SeqCst);
        Err(std::io::Error::other("the power is gone"))
    }

    /// Whether a step failed.
    fn has_failed(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }
}

mod tests {
    use super::super::disk::Disk;
    use super::super::{Deployed, Library, LibraryOptions};
    use crate::signature::{SigningKey, sign};
    use crate::testing::Guest;
    use crate::{Engine, EngineOptions};
    use std::sync::LazyLock;

    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineOptions::default()).unwrap());

    /// More steps than any change takes.
    const ENOUGH: i64 = 100;

    fn component(version: &str) -> Vec<u8> {
        Guest::named("p").version(version).build()
    }

    struct Place {
        _dir: tempfile::TempDir,
        options: LibraryOptions,
        key: Option<SigningKey>,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let options = LibraryOptions {
                cache: Some(dir.path().join("cache")),
                ..LibraryOptions::new(dir.path().join("policies"), dir.path().join("revisions"))
            };
            Self {
                _dir: dir,
                options,
                key: None,
            }
        }

        fn signed() -> Self {
            let mut place = Self::new();
            let key = SigningKey::from_bytes(&[7; 32]);
            place.options.keys = vec![key.verifying_key()];
            place.options.require_signature = true;
            place.key = Some(key);
            place
        }

        fn shipping(version: &str) -> Self {
            let mut place = Self::new();
            place.options.shipped = vec![("p", component(version).leak())];
            place
        }

        fn open(&self) -> Library {
            Library::open_on(ENGINE.clone(), self.options.clone(), Disk::default()).unwrap()
        }

        fn deploy(&self, library: &Library, version: &str, as_shadow: bool) -> Result<Deployed, String> {
            let bytes = component(version);
            let signature = self.key.as_ref().map(|key| sign(key, "p", &bytes));
            library
                .deploy("p", &bytes, signature.as_deref(), as_shadow)
                .map_err(|error| error.to_string())
        }
    }

    /// The version that answers and the one in its shadow.
    fn answers(library: &Library) -> (String, String) {
        let entry = library.get("p");
        let version = |revision: &crate::Revision| revision.description().version.clone();
        (
            entry
                .as_ref()
                .map_or_else(String::new, |entry| version(&entry.revision)),
            entry
                .and_then(|entry| entry.shadow.as_ref().map(version))
                .unwrap_or_default(),
        )
    }

    type Step = fn(&Place, &Library) -> Result<(), String>;

    /// Cuts `change` off before each of its steps on disk. A restart finds the state before or the one after, and
    /// the one after if the change said that it was done; and all changes work as ever.
    fn every_prefix(place: fn() -> Place, before: Step, change: Step) {
        let run = |steps: Option<i64>| {
            let place = place();
            let library = place.open();
            before(&place, &library).unwrap();
            let old = answers(&library);
            if let Some(steps) = steps {
                library.inner.disk.power.lasts(steps);
            }
            let outcome = change(&place, &library);
            let whole = !library.inner.disk.power.has_failed();
            drop(library);
            (place, old, outcome, whole)
        };
        let (whole, old, outcome, _) = run(None);
        outcome.unwrap();
        let new = answers(&whole.open());
        let mut done = 0;
        for steps in 0..ENOUGH {
            let (place, _, outcome, whole) = run(Some(steps));
            let library = place.open();
            let found = answers(&library);
            assert!(
                found == new || (found == old && outcome.is_err()),
                "cut off after {steps} steps: {found:?} instead of {old:?} or {new:?}; it said {outcome:?}"
            );
            done += usize::from(found == new);
            assert_eq!(library.notices(), [""; 0], "after {steps} steps");
            // What a crash leaves lying about is in nobody's way.
            place.deploy(&library, "9", false).unwrap();
            assert_eq!(answers(&place.open()).0, "9");
            if whole {
                assert!(done > 0);
                return;
            }
        }
        panic!("no end after {ENOUGH} steps");
    }

    fn text<T>(result: Result<T, crate::DeployError>) -> Result<(), String> {
        result.map(drop).map_err(|error| error.to_string())
    }

    fn deployed(place: &Place, library: &Library, versions: &[&str]) -> Result<(), String> {
        versions
            .iter()
            .try_for_each(|version| place.deploy(library, version, false).map(drop))
    }

    #[test]
    fn the_first_deploy_of_a_policy_is_there_or_not() {
        every_prefix(
            Place::new,
            |_, _| Ok(()),
            |place, library| deployed(place, library, &["1"]),
        );
    }

    #[test]
    fn a_deploy_over_another_revision_is_done_or_not() {
        every_prefix(
            Place::new,
            |place, library| deployed(place, library, &["1"]),
            |place, library| deployed(place, library, &["2"]),
        );
    }

    #[test]
    fn a_deploy_over_what_ships_is_done_or_not() {
        every_prefix(
            || Place::shipping("1"),
            |_, _| Ok(()),
            |place, library| deployed(place, library, &["2"]),
        );
    }

    #[test]
    fn a_signed_deploy_is_done_or_not_though_signature_and_component_are_two_files() {
        every_prefix(
            Place::signed,
            |place, library| deployed(place, library, &["1"]),
            |place, library| deployed(place, library, &["2"]),
        );
    }

    #[test]
    fn a_shadow_is_there_or_not() {
        every_prefix(
            Place::signed,
            |place, library| deployed(place, library, &["1"]),
            |place, library| place.deploy(library, "2", true).map(drop),
        );
    }

    #[test]
    fn a_promotion_is_done_or_not() {
        every_prefix(
            Place::signed,
            |place, library| {
                deployed(place, library, &["1"])?;
                place.deploy(library, "2", true).map(drop)
            },
            |_, library| text(library.promote("p")),
        );
    }

    #[test]
    fn a_rollback_is_done_or_not() {
        every_prefix(
            Place::signed,
            |place, library| deployed(place, library, &["1", "2"]),
            |_, library| text(library.rollback("p")),
        );
    }

    #[test]
    fn a_rollback_to_what_ships_is_done_or_not() {
        every_prefix(
            || Place::shipping("1"),
            |place, library| deployed(place, library, &["2"]),
            |_, library| text(library.rollback("p")),
        );
    }

    #[test]
    fn a_policy_is_disabled_or_not() {
        every_prefix(
            Place::new,
            |place, library| deployed(place, library, &["1"]),
            |_, library| text(library.disable("p")),
        );
    }

    #[test]
    fn a_policy_is_enabled_or_not() {
        every_prefix(
            Place::new,
            |place, library| {
                deployed(place, library, &["1"])?;
                text(library.disable("p"))
            },
            |_, library| text(library.enable("p")),
        );
    }

    #[test]
    fn a_file_of_the_operator_is_in_force_after_a_restart_whatever_of_it_was_written_down() {
        every_prefix(
            Place::new,
            |place, library| {
                deployed(place, library, &["1"])?;
                std::fs::write(place.options.folder.join("p.wasm"), component("2")).unwrap();
                Ok(())
            },
            |_, library| {
                library.scan();
                library.scan();
                Ok(())
            },
        );
    }

    #[test]
    fn a_failed_deploy_leaves_the_signature_of_the_component_that_stays() {
        for steps in 0..ENOUGH {
            let place = Place::signed();
            let library = place.open();
            deployed(&place, &library, &["1"]).unwrap();
            // A disk that fails once, not for good.
            library.inner.disk.power.fails_at(steps);
            let outcome = place.deploy(&library, "2", false);
            let whole = !library.inner.disk.power.has_failed();
            let version = answers(&library).0;
            assert_eq!(version, if outcome.is_ok() { "2" } else { "1" });
            for _ in 0..2 {
                assert!(library.scan().is_empty(), "after {steps} steps");
            }
            let status = library.status().pop().unwrap();
            assert_eq!(status.reason, None, "after {steps} steps");
            assert_eq!(answers(&place.open()).0, version);
            if whole {
                return;
            }
        }
        panic!("no end after {ENOUGH} steps");
    }
}
