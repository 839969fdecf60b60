//! The library: which revision answers, over deploys, rollbacks and restarts.

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

use bourse_policy::{
    BreakerState, Changed, DeployError, Grants, Library, LibraryError, LibraryOptions, Limits, NoImports,
    Origin, PolicyState,
};
use place::{Place, component, id, shadow, status, version};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{engine, offer, request};

fn v(library: &Library) -> String {
    version(library, "p").unwrap_or_default()
}

#[test]
fn a_library_starts_with_the_files_of_its_folder_and_what_ships() {
    let place = Place::new()
        .shipping("p", &component("p", "1"))
        .shipping("q", &component("q", "1"));
    place.put("p.wasm", &component("p", "2"));
    place.put("readme.md", b"no policy");
    let library = place.open();
    assert_eq!(library.names(), ["p", "q"]);
    assert_eq!(v(&library), "2");
    assert_eq!(library.get("p").unwrap().origin, Origin::File);
    assert_eq!(library.get("q").unwrap().origin, Origin::Shipped);
    assert!(library.get("r").is_none());
    let p = status(&library, "p");
    assert_eq!((p.state, p.version.as_deref()), (PolicyState::Active, Some("2")));
    assert_eq!(p.revision, Some(id(&component("p", "2")).to_string()));
    assert_eq!(p.breaker, Some(BreakerState::Closed));
    assert_eq!(p.reason, None);
    assert_eq!(library.notices(), [""; 0]);
}

#[test]
fn a_library_starts_without_a_folder_of_policies() {
    let place = Place::new().shipping("p", &component("p", "1"));
    std::fs::remove_dir(&place.options.folder).unwrap();
    let library = place.open();
    assert_eq!(v(&library), "1");
    assert!(library.scan().is_empty());
    library.deploy("p", &component("p", "2"), None, false).unwrap();
    assert_eq!(v(&place.open()), "2");
}

#[test]
fn a_bad_file_at_the_start_disables_its_policy_alone_and_says_why() {
    let place = Place::new()
        .shipping("p", &component("p", "1"))
        .shipping("q", &component("q", "1"));
    place.put("p.wasm", b"garbage");
    place.put("r.wasm", &component("r", "1"));
    place.put("Bad Name.wasm", &component("r", "1"));
    let library = place.open();
    assert_eq!(library.names(), ["q", "r"]);
    let p = status(&library, "p");
    assert_eq!(p.state, PolicyState::Broken);
    assert!(p.reason.unwrap().contains("not a WebAssembly file"));
    assert_eq!(p.revision, None);
    let stray = status(&library, "Bad Name");
    assert_eq!(stray.state, PolicyState::Broken);
    assert!(stray.reason.unwrap().contains("cannot name a policy"));
}

#[test]
fn deploys_and_rollbacks_hold_over_restarts() {
    let place = Place::new();
    let library = place.open();
    for (version, previous) in [("1", None), ("2", Some("1")), ("3", Some("2"))] {
        let bytes = component("p", version);
        let deployed = library.deploy("p", &bytes, None, false).unwrap();
        assert_eq!(deployed.revision, id(&bytes));
        assert_eq!(
            deployed.previous,
            previous.map(|version| id(&component("p", version)))
        );
        assert_eq!((deployed.shadow, deployed.warning), (false, None));
        assert_eq!(std::fs::read(place.file("p.wasm")).unwrap(), bytes);
        assert_eq!(library.archived(id(&bytes)).unwrap(), bytes);
    }
    assert_eq!(library.get("p").unwrap().origin, Origin::Deployed);
    assert!(library.scan().is_empty() && library.scan().is_empty());

    let library = place.open();
    assert_eq!(v(&library), "3");
    assert_eq!(library.get("p").unwrap().origin, Origin::Deployed);
    let previous = status(&library, "p").previous;
    assert_eq!(
        previous,
        ["2", "1"].map(|version| id(&component("p", version)).to_string())
    );

    assert_eq!(library.rollback("p").unwrap().version, "2");
    assert_eq!(v(&library), "2");
    let library = place.open();
    assert_eq!(v(&library), "2");
    assert_eq!(library.rollback("p").unwrap().version, "1");
    let error = library.rollback("p").unwrap_err();
    assert_eq!(error.code(), "no_previous");
    let library = place.open();
    assert_eq!(v(&library), "1");
    assert_eq!(library.rollback("p").unwrap_err().code(), "no_previous");
    // What was left is not good, but it is still there to replay what it decided.
    let three = id(&component("p", "3"));
    assert_eq!(library.load_archived("p", three).unwrap().id(), three);
}

#[test]
fn a_revision_that_is_deployed_again_is_in_the_history_once() {
    let place = Place::new();
    let library = place.open();
    for version in ["1", "2", "1", "1"] {
        library
            .deploy("p", &component("p", version), None, false)
            .unwrap();
    }
    assert_eq!(
        status(&library, "p").previous,
        [id(&component("p", "2")).to_string()]
    );
    assert_eq!(library.rollback("p").unwrap().version, "2");
    assert_eq!(library.rollback("p").unwrap_err().code(), "no_previous");
}

#[test]
fn the_history_keeps_the_latest_revisions_only() {
    let place = Place::new();
    let library = place.open();
    for version in 0..40 {
        library
            .deploy("p", &component("p", &version.to_string()), None, false)
            .unwrap();
    }
    let previous = status(&library, "p").previous;
    assert_eq!(previous.len(), 31);
    assert_eq!(previous[0], id(&component("p", "38")).to_string());
    assert!(library.archived(id(&component("p", "0"))).is_some());
}

#[test]
fn a_rollback_to_what_ships_takes_the_file_away() {
    let place = Place::new().shipping("p", &component("p", "1"));
    let library = place.open();
    library.deploy("p", &component("p", "2"), None, false).unwrap();
    assert!(place.file("p.wasm").exists());
    library.rollback("p").unwrap();
    assert_eq!(library.get("p").unwrap().origin, Origin::Shipped);
    assert!(!place.file("p.wasm").exists());
    assert!(library.scan().is_empty() && library.scan().is_empty());
    assert_eq!(v(&place.open()), "1");
}

#[test]
fn a_newer_host_brings_newer_policies_and_the_older_are_one_rollback_away() {
    let mut place = Place::new().shipping("p", &component("p", "1"));
    place.open();
    place.options.shipped.clear();
    let place = place.shipping("p", &component("p", "2"));
    let library = place.open();
    assert_eq!(v(&library), "2");
    library.rollback("p").unwrap();
    assert_eq!(v(&library), "1");
    assert_eq!(v(&place.open()), "1");
}

#[test]
fn a_rollback_steps_over_a_revision_whose_copy_is_damaged() {
    let place = Place::new();
    let library = place.open();
    for version in ["1", "2", "3"] {
        library
            .deploy("p", &component("p", version), None, false)
            .unwrap();
    }
    std::fs::write(place.archived(id(&component("p", "2"))), b"rot").unwrap();
    assert_eq!(library.archived(id(&component("p", "2"))), None);
    library.rollback("p").unwrap();
    assert_eq!(v(&library), "1");
    let library = place.open();
    library.deploy("p", &component("p", "2"), None, false).unwrap();
    // And a deploy mends the copy.
    assert!(library.archived(id(&component("p", "2"))).is_some());
}

#[test]
fn a_disabled_policy_stays_so_until_it_is_enabled_or_deployed() {
    let place = Place::new().shipping("p", &component("p", "1"));
    let library = place.open();
    library.disable("p").unwrap();
    assert!(library.get("p").is_none());
    assert_eq!(status(&library, "p").state, PolicyState::Disabled);

    let library = place.open();
    assert!(library.get("p").is_none());
    assert_eq!(status(&library, "p").state, PolicyState::Disabled);
    for error in [
        library.rollback("p").unwrap_err(),
        library.promote("p").unwrap_err(),
        library.deploy("p", &component("p", "2"), None, true).unwrap_err(),
    ] {
        assert_eq!(error.code(), "disabled");
    }
    // A new file waits until it is enabled.
    place.put("p.wasm", &component("p", "2"));
    assert!(library.scan().is_empty() && library.scan().is_empty());
    assert!(library.get("p").is_none());
    assert_eq!(library.enable("p").unwrap().version, "2");
    assert_eq!(v(&library), "2");

    library.disable("p").unwrap();
    library.deploy("p", &component("p", "3"), None, false).unwrap();
    assert_eq!(v(&library), "3");
    assert_eq!(v(&place.open()), "3");
}

#[test]
fn enabling_what_cannot_be_used_says_why() {
    let place = Place::new();
    place.put("p.wasm", b"garbage");
    let library = place.open();
    library.disable("p").unwrap();
    let error = library.enable("p").unwrap_err();
    assert_eq!(error.code(), "broken");
    assert!(error.to_string().contains("not a WebAssembly file"), "{error}");
    assert_eq!(status(&library, "p").state, PolicyState::Broken);
}

#[test]
fn nobody_can_be_changed_who_is_not_known() {
    let place = Place::new();
    let library = place.open();
    for error in [
        library.disable("p").unwrap_err(),
        library.enable("p").map(drop).unwrap_err(),
        library.rollback("p").map(drop).unwrap_err(),
        library.promote("p").map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code(), "unknown_policy");
    }
    assert!(library.status().is_empty());
}

#[test]
fn a_name_is_checked_before_it_becomes_a_path() {
    let place = Place::new();
    let library = place.open();
    for name in ["../p", "", ".", "p/q", "P", "p.wasm", "p\0", "é", &"p".repeat(65)] {
        let bytes = component(if name.is_empty() { "p" } else { name }, "1");
        for error in [
            library.deploy(name, &bytes, None, false).map(drop).unwrap_err(),
            library.deploy(name, &bytes, None, true).map(drop).unwrap_err(),
            library.rollback(name).map(drop).unwrap_err(),
            library.promote(name).map(drop).unwrap_err(),
            library.disable(name).unwrap_err(),
            library.enable(name).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.code(), "name", "{name:?}");
        }
    }
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 3);
    assert_eq!(std::fs::read_dir(&place.options.folder).unwrap().count(), 0);
}

#[test]
fn a_refused_deploy_changes_nothing() {
    let place = Place::new();
    let library = place.open();
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    let good = component("p", "2");
    let cases: [(&[u8], &str); 4] = [
        (b"garbage", "not_wasm"),
        (&good[..good.len() - 10], "invalid"),
        (&component("q", "2"), "name_mismatch"),
        (&vec![0; 3 << 20], "too_large"),
    ];
    for (bytes, code) in cases {
        for as_shadow in [false, true] {
            let error = library.deploy("p", bytes, None, as_shadow).unwrap_err();
            assert_eq!(error.code(), code);
        }
    }
    assert_eq!((v(&library), shadow(&library, "p")), ("1".to_owned(), None));
    assert_eq!(std::fs::read(place.file("p.wasm")).unwrap(), component("p", "1"));
    assert_eq!(v(&place.open()), "1");
}

#[test]
fn a_shadow_runs_beside_the_active_revision_until_it_is_promoted() {
    let place = Place::new();
    let library = place.open();
    let error = library.deploy("p", &component("p", "1"), None, true).unwrap_err();
    assert_eq!(error.code(), "nothing_to_shadow");
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    assert_eq!(library.promote("p").unwrap_err().code(), "no_shadow");

    let deployed = library.deploy("p", &component("p", "2"), None, true).unwrap();
    assert!(deployed.shadow);
    assert_eq!(
        (v(&library), shadow(&library, "p")),
        ("1".to_owned(), Some("2".to_owned()))
    );
    assert_eq!(std::fs::read(place.file("p.wasm")).unwrap(), component("p", "1"));
    // Another deploy leaves the shadow where it is, and so does a restart.
    library.deploy("p", &component("p", "3"), None, false).unwrap();
    let library = place.open();
    assert_eq!(
        (v(&library), shadow(&library, "p")),
        ("3".to_owned(), Some("2".to_owned()))
    );
    assert_eq!(
        status(&library, "p").shadow,
        Some(id(&component("p", "2")).to_string())
    );

    let promoted = library.promote("p").unwrap();
    assert_eq!((promoted.version.as_str(), promoted.shadow), ("2", false));
    assert_eq!((v(&library), shadow(&library, "p")), ("2".to_owned(), None));
    let library = place.open();
    assert_eq!((v(&library), shadow(&library, "p")), ("2".to_owned(), None));
    assert_eq!(library.rollback("p").unwrap().version, "3");
}

#[test]
fn a_shadow_whose_copy_is_lost_is_dropped_with_a_notice() {
    let place = Place::new();
    let library = place.open();
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    library.deploy("p", &component("p", "2"), None, true).unwrap();
    std::fs::remove_file(place.archived(id(&component("p", "2")))).unwrap();
    assert_eq!(library.promote("p").unwrap_err().code(), "not_archived");
    let library = place.open();
    assert_eq!((v(&library), shadow(&library, "p")), ("1".to_owned(), None));
    assert!(library.notices()[0].contains("without its shadow"));
}

#[test]
fn a_file_beside_a_good_revision_that_breaks_leaves_the_good_one_in_force() {
    let place = Place::new();
    place.put("p.wasm", &component("p", "1"));
    let library = place.open();
    for garbage in [
        &b""[..],
        b"garbage",
        &component("p", "2")[..200],
        &component("q", "1"),
    ] {
        place.put("p.wasm", garbage);
        assert!(library.scan().is_empty());
        let changes = library.scan();
        assert_eq!(changes.len(), 1);
        let Changed::Refused { keeps, .. } = &changes[0].what else {
            panic!("{changes:?}");
        };
        assert_eq!(*keeps, Some(id(&component("p", "1"))));
        assert!(library.scan().is_empty());
        assert_eq!(v(&library), "1");
        let now = status(&library, "p");
        assert_eq!(now.state, PolicyState::LastGood);
        assert!(now.reason.is_some());

        let restarted = place.open();
        assert_eq!(v(&restarted), "1");
        assert_eq!(status(&restarted, "p").state, PolicyState::LastGood);
    }
    place.put("p.wasm", &component("p", "3"));
    library.scan();
    let changes = library.scan();
    assert!(
        matches!(changes[0].what, Changed::Replaced { from, to }
            if from == id(&component("p", "1")) && to == id(&component("p", "3"))),
        "{changes:?}"
    );
    assert_eq!(status(&library, "p").state, PolicyState::Active);
}

#[test]
fn a_rollback_from_a_broken_file_goes_before_what_stands_in_for_it() {
    let place = Place::new();
    let library = place.open();
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    library.deploy("p", &component("p", "2"), None, false).unwrap();
    place.put("p.wasm", b"garbage");
    let library = place.open();
    assert_eq!(v(&library), "2");
    library.rollback("p").unwrap();
    assert_eq!(
        (v(&library), status(&library, "p").state),
        ("1".to_owned(), PolicyState::Active)
    );
    assert_eq!(std::fs::read(place.file("p.wasm")).unwrap(), component("p", "1"));
}

#[test]
fn a_file_counts_once_it_has_stopped_changing() {
    let place = Place::new();
    let library = place.open();
    let bytes = component("p", "1");
    for part in 1..8 {
        place.put("p.wasm", &bytes[..bytes.len() * part / 8]);
        assert!(library.scan().is_empty(), "part {part}");
    }
    place.put("p.wasm", &bytes);
    assert!(library.scan().is_empty());
    let changes = library.scan();
    assert_eq!(changes[0].name, "p");
    assert_eq!(changes[0].what, Changed::Added { to: id(&bytes) });
    assert_eq!(v(&library), "1");
    assert!(library.scan().is_empty());
    assert_eq!(
        serde_json::to_value(&changes[0]).unwrap(),
        serde_json::json!({"name": "p", "change": "added", "to": id(&bytes).to_string()})
    );
}

#[test]
fn a_file_that_goes_takes_its_policy_with_it_or_lets_what_ships_back() {
    let place = Place::new().shipping("q", &component("q", "1"));
    place.put("p.wasm", &component("p", "1"));
    place.put("q.wasm", &component("q", "2"));
    let library = place.open();
    std::fs::remove_file(place.file("p.wasm")).unwrap();
    std::fs::remove_file(place.file("q.wasm")).unwrap();
    assert!(library.scan().is_empty());
    // It was but a file being replaced, in two steps.
    place.put("q.wasm", &component("q", "2"));
    let changes = library.scan();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].what, Changed::Removed);
    assert!(library.get("p").is_none());
    assert_eq!(version(&library, "q").unwrap(), "2");
    std::fs::remove_file(place.file("q.wasm")).unwrap();
    library.scan();
    let changes = library.scan();
    assert_eq!(
        changes[0].what,
        Changed::Shipped {
            to: id(&component("q", "1"))
        }
    );
    assert_eq!(version(&library, "q").unwrap(), "1");

    // What was removed is not stood in for: neither after a restart nor beside a broken file.
    let library = place.open();
    assert!(library.get("p").is_none());
    assert_eq!(status(&library, "p").state, PolicyState::Removed);
    place.put("p.wasm", b"garbage");
    let library = place.open();
    assert!(library.get("p").is_none());
    assert_eq!(status(&library, "p").state, PolicyState::Broken);
    // Unless the operator asks for it.
    assert_eq!(library.rollback("p").unwrap().version, "1");
    assert_eq!(v(&place.open()), "1");
}

#[test]
fn a_folder_that_vanishes_takes_nothing_with_it() {
    let place = Place::new();
    place.put("p.wasm", &component("p", "1"));
    let library = place.open();
    let away = place.dir.path().join("away");
    std::fs::rename(&place.options.folder, &away).unwrap();
    for _ in 0..3 {
        assert!(library.scan().is_empty());
    }
    assert_eq!(v(&library), "1");
    std::fs::rename(&away, &place.options.folder).unwrap();
    assert!(library.scan().is_empty() && library.scan().is_empty());
    assert_eq!(v(&library), "1");
}

#[test]
fn a_pipe_or_a_folder_under_a_policys_name_is_refused_without_waiting() {
    let place = Place::new();
    std::fs::create_dir(place.file("p.wasm")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.file("q.wasm"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink("/nonexistent", place.file("r.wasm")).unwrap();
    let library = place.open();
    for name in ["p", "q", "r"] {
        let status = status(&library, name);
        assert_eq!(status.state, PolicyState::Broken, "{name}");
        assert!(status.reason.unwrap().contains("cannot read"), "{name}");
    }
}

#[test]
fn a_damaged_history_is_set_aside_with_a_notice_and_the_folder_decides() {
    let place = Place::new().shipping("q", &component("q", "1"));
    let library = place.open();
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    library.deploy("p", &component("p", "2"), None, false).unwrap();
    library.disable("q").unwrap();
    let good = std::fs::read_to_string(place.history()).unwrap();
    for damaged in [
        "garbage".to_owned(),
        good.chars().take(good.len() / 2).collect(),
        good.replace("\"v\": 1", "\"v\": 2"),
        good.replace("\"p\"", "\"../../p\""),
    ] {
        assert_ne!(damaged, good);
        std::fs::write(place.history(), &damaged).unwrap();
        let library = place.open();
        let notices = library.notices();
        assert_eq!(notices.len(), 1);
        assert!(notices[0].contains("library.json is damaged"), "{notices:?}");
        assert_eq!(
            (v(&library), version(&library, "q").unwrap()),
            ("2".to_owned(), "1".to_owned())
        );
        assert_eq!(library.rollback("p").unwrap_err().code(), "no_previous");
        let aside = place.history().with_extension("json.bad");
        assert_eq!(std::fs::read_to_string(aside).unwrap(), damaged);
        assert!(place.open().notices().is_empty());
    }
}

#[test]
fn the_same_revision_keeps_its_breaker_and_a_new_one_starts_closed() {
    let place = Place::new();
    let library = place.open();
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    let now = std::time::Instant::now();
    let fail = || {
        let breaker = library.get("p").unwrap().breaker.clone();
        breaker
            .admit(now)
            .ok()
            .and_then(|permit| permit.record(now, true))
    };
    assert!((0..5).map(|_| fail()).fold(None, |_, last| last).is_some());
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    assert_eq!(status(&library, "p").breaker, Some(BreakerState::Open));
    assert_eq!(status(&library, "p").failures, 5);
    library.deploy("p", &component("p", "2"), None, false).unwrap();
    assert_eq!(status(&library, "p").breaker, Some(BreakerState::Closed));
    library.rollback("p").unwrap();
    assert_eq!(status(&library, "p").breaker, Some(BreakerState::Closed));
}

#[test]
fn what_fits_nobodys_rules_does_not_come_into_force() {
    let place = Place::new();
    let library = place.open();
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    library.vet(|revision| match revision.description().version.as_str() {
        "2" => Err("the rule for p does not grant `market`".to_owned()),
        _ => Ok(()),
    });
    let error = library
        .deploy("p", &component("p", "2"), None, false)
        .unwrap_err();
    assert_eq!(error.code(), "unfit");
    place.put("p.wasm", &component("p", "2"));
    library.scan();
    assert!(matches!(library.scan()[0].what, Changed::Refused { .. }));
    assert_eq!(v(&library), "1");
    assert!(status(&library, "p").reason.unwrap().contains("does not grant"));
    library.deploy("p", &component("p", "3"), None, false).unwrap();
    assert_eq!(status(&library, "p").state, PolicyState::Active);
}

#[test]
fn an_archive_that_cannot_be_used_is_an_error_at_once() {
    let place = Place::new();
    let file = place.dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let options = LibraryOptions::new(&place.options.folder, file.join("revisions"));
    let error = Library::open(engine().clone(), options).unwrap_err();
    assert!(matches!(error, LibraryError::Archive { .. }), "{error}");
}

#[test]
fn a_deploy_that_cannot_be_written_changes_nothing() {
    let place = Place::new();
    let library = place.open();
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    // A folder in the component's place stops the rename, for root as well.
    std::fs::remove_file(place.file("p.wasm")).unwrap();
    std::fs::create_dir(place.file("p.wasm")).unwrap();
    let error = library
        .deploy("p", &component("p", "2"), None, false)
        .unwrap_err();
    assert!(matches!(error, DeployError::Write { .. }), "{error}");
    assert_eq!(v(&library), "1");
    let left: Vec<_> = std::fs::read_dir(&place.options.folder).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn readers_find_a_revision_at_every_moment_of_two_hundred_swaps() {
    let place = Place::new();
    let library = place.open();
    let versions = ["1", "2", "3"].map(|version| component("p", version));
    library.deploy("p", &versions[0], None, false).unwrap();
    let (stop, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let offer = offer();
                while !stop.load(Ordering::Relaxed) {
                    let entry = library.get("p").expect("a policy that is never away");
                    let priced =
                        entry
                            .revision
                            .price(&request(&offer), &NoImports, Grants::NONE, &Limits::default());
                    priced.outcome.expect("a price from whichever revision it is");
                    assert_eq!(priced.record.revision.0, entry.revision.id());
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for at in 0..200 {
            let wanted = &versions[(at + 1) % 3];
            // By every way that a revision changes.
            if at % 10 == 9 {
                std::fs::write(place.file("p.wasm"), wanted).unwrap();
                library.scan();
                library.scan();
            } else {
                library.deploy("p", wanted, None, false).unwrap();
            }
            assert_eq!(library.get("p").unwrap().revision.id(), id(wanted));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(reads.load(Ordering::Relaxed) > 200);
}

#[test]
fn deploys_of_one_policy_at_once_come_one_after_another() {
    let place = Place::new();
    let library = place.open();
    let versions: Vec<Vec<u8>> = (0..8)
        .map(|version| component("p", &version.to_string()))
        .collect();
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for bytes in &versions {
                scope.spawn(|| library.deploy("p", bytes, None, false).unwrap());
            }
            scope.spawn(|| library.scan());
        });
        let active = library.get("p").unwrap().revision.id();
        // Folder, history and readers agree on the last of them.
        assert_eq!(id(&std::fs::read(place.file("p.wasm")).unwrap()), active);
        assert_eq!(status(&library, "p").previous.len(), versions.len() - 1);
        assert_eq!(place.open().get("p").unwrap().revision.id(), active);
    }
}

#[test]
fn readers_and_lists_do_not_wait_for_a_compilation() {
    use bourse_policy::testing::Guest;
    let place = Place::new();
    let library = place.open();
    library.deploy("p", &component("p", "1"), None, false).unwrap();
    // Compiled before, so that it does not queue for the compiler's threads.
    let other = component("q", "1");
    library.deploy("q", &other, None, false).unwrap();
    let body = "(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 7)) (i32.const 3)))".repeat(400);
    let large: String = (0..300)
        .map(|_| format!("(func (param i32) (result i32) {body} (local.get 0))"))
        .collect();
    let bytes = Guest::named("p").version("2").items(&large).build();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            library.deploy("p", &bytes, None, false).unwrap();
            done.store(true, Ordering::SeqCst);
        });
        let (mut before, mut listed) = (0, 0);
        while !done.load(Ordering::SeqCst) {
            let entry = library.get("p").unwrap();
            before += usize::from(entry.revision.description().version == "1");
            listed += library.status().len();
            // Neither does another policy's deploy.
            if before == 10 {
                library.deploy("q", &other, None, false).unwrap();
                assert!(!done.load(Ordering::SeqCst), "it waited for the large one");
            }
        }
        assert!(before > 10 && listed > 10, "{before} reads, {listed} lists");
    });
    assert_eq!(v(&library), "2");
}
