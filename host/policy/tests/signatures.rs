//! The library and signatures: who may put which policy into force.

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

use bourse_policy::{Changed, Library, LibraryError, PolicyState, SigningKey, sign};
use place::{Place, component, shadow, status, version};
use support::engine;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A place where the keys 1 and 2 count.
fn keyed(require_signature: bool) -> Place {
    let mut place = Place::new();
    place.options.keys = vec![key(1).verifying_key(), key(2).verifying_key()];
    place.options.require_signature = require_signature;
    place
}

fn deploy(library: &Library, version: &str, signature: Option<&[u8]>) -> Result<(), &'static str> {
    library
        .deploy("p", &component("p", version), signature, false)
        .map(drop)
        .map_err(|error| error.code())
}

fn signed(seed: u8, version: &str) -> Vec<u8> {
    sign(&key(seed), "p", &component("p", version))
}

fn v(library: &Library) -> String {
    version(library, "p").unwrap_or_default()
}

#[test]
fn requiring_signatures_of_nobody_is_a_mistake_that_is_told_at_once() {
    let mut place = Place::new();
    place.options.require_signature = true;
    let error = Library::open(engine().clone(), place.options.clone()).unwrap_err();
    assert!(matches!(error, LibraryError::NoKeys), "{error}");
    assert!(error.to_string().contains("list a key"));
}

#[test]
fn a_deploy_needs_the_right_signature_where_one_is_required() {
    let place = keyed(true);
    let library = place.open();
    let cases: [(&str, Option<Vec<u8>>); 6] = [
        ("unsigned", None),
        ("bad_signature_file", Some(b"trust me".to_vec())),
        ("unknown_key", Some(signed(3, "1"))),
        ("wrong_signature", Some(signed(1, "2"))),
        ("wrong_signature", Some(sign(&key(1), "q", &component("p", "1")))),
        ("wrong_signature", Some(sign(&key(1), "p", b""))),
    ];
    for (code, signature) in cases {
        assert_eq!(deploy(&library, "1", signature.as_deref()), Err(code));
        assert!(library.get("p").is_none());
        assert!(!place.file("p.wasm").exists());
    }
    assert_eq!(deploy(&library, "1", Some(&signed(2, "1"))), Ok(()));
    assert_eq!(status(&library, "p").signed_by, Some(key(2).verifying_key()));
    assert_eq!(std::fs::read(place.file("p.wasm.sig")).unwrap(), signed(2, "1"));
    let library = place.open();
    assert_eq!(library.get("p").unwrap().signed_by, Some(key(2).verifying_key()));
}

#[test]
fn without_the_requirement_a_signature_may_be_missing_but_not_wrong() {
    let place = keyed(false);
    let library = place.open();
    assert_eq!(deploy(&library, "1", None), Ok(()));
    assert_eq!(status(&library, "p").signed_by, None);
    assert_eq!(
        deploy(&library, "2", Some(&signed(1, "1"))),
        Err("wrong_signature")
    );
    assert_eq!(deploy(&library, "2", Some(&signed(3, "2"))), Err("unknown_key"));
    assert_eq!(v(&library), "1");
    assert_eq!(deploy(&library, "2", Some(&signed(1, "2"))), Ok(()));
    // An unsigned deploy takes the old signature away with it.
    assert_eq!(deploy(&library, "3", None), Ok(()));
    assert!(!place.file("p.wasm.sig").exists());
    assert_eq!(v(&place.open()), "3");
    // Nobody's keys: nothing to check against.
    let place = Place::new();
    assert_eq!(deploy(&place.open(), "1", Some(&signed(3, "2"))), Ok(()));
}

#[test]
fn what_ships_needs_no_signature() {
    let place = keyed(true).shipping("p", &component("p", "1"));
    let library = place.open();
    assert_eq!(v(&library), "1");
    assert_eq!(deploy(&library, "2", Some(&signed(1, "2"))), Ok(()));
    library.rollback("p").unwrap();
    assert_eq!((v(&library), v(&place.open())), ("1".to_owned(), "1".to_owned()));
}

#[test]
fn a_file_without_its_signature_waits_for_it() {
    let place = keyed(true);
    place.put("p.wasm", &component("p", "1"));
    let library = place.open();
    let reason = status(&library, "p").reason.unwrap();
    assert!(reason.contains("p.wasm.sig"), "{reason}");
    place.put("p.wasm.sig", &signed(1, "1"));
    assert!(library.scan().is_empty());
    assert!(matches!(library.scan()[0].what, Changed::Added { .. }));
    assert_eq!(v(&library), "1");

    // Component first, as people copy: the old signature is not its own.
    place.put("p.wasm", &component("p", "2"));
    library.scan();
    assert!(matches!(library.scan()[0].what, Changed::Refused { .. }));
    assert_eq!(
        (v(&library), status(&library, "p").state),
        ("1".to_owned(), PolicyState::LastGood)
    );
    // Also after a restart: the history knows the signature of the revision that was good.
    assert_eq!(v(&place.open()), "1");
    place.put("p.wasm.sig", &signed(2, "2"));
    library.scan();
    assert!(matches!(library.scan()[0].what, Changed::Replaced { .. }));
    assert_eq!(
        (v(&library), status(&library, "p").state),
        ("2".to_owned(), PolicyState::Active)
    );
    // Signed anew by another: the same revision.
    place.put("p.wasm.sig", &signed(1, "2"));
    assert!(library.scan().is_empty() && library.scan().is_empty());
    assert_eq!(status(&library, "p").signed_by, Some(key(1).verifying_key()));
    // A signature that is taken away is missed.
    std::fs::remove_file(place.file("p.wasm.sig")).unwrap();
    library.scan();
    assert!(matches!(library.scan()[0].what, Changed::Refused { .. }));
}

#[test]
fn a_key_that_is_withdrawn_takes_its_policies_with_it_at_the_next_start() {
    let mut place = keyed(true);
    let library = place.open();
    for (seed, version) in [(2, "1"), (1, "2"), (2, "3")] {
        assert_eq!(deploy(&library, version, Some(&signed(seed, version))), Ok(()));
    }
    let bytes = component("p", "4");
    let signature = sign(&key(1), "p", &bytes);
    library.deploy("p", &bytes, Some(&signature), true).unwrap();
    assert_eq!(shadow(&library, "p").unwrap(), "4");
    // Without key 1 a rollback steps over what it signed, and the shadow is gone.
    place.options.keys.remove(0);
    let library = place.open();
    assert_eq!((v(&library), shadow(&library, "p")), ("3".to_owned(), None));
    library.rollback("p").unwrap();
    assert_eq!(v(&library), "1");
    // Without key 2 as well nothing is left.
    place.options.keys = vec![key(3).verifying_key()];
    let library = place.open();
    assert!(library.get("p").is_none());
    assert_eq!(status(&library, "p").state, PolicyState::Broken);
    assert!(
        status(&library, "p")
            .reason
            .unwrap()
            .contains("not among the 1 keys")
    );
    assert!(!library.notices().is_empty());
}

#[test]
fn a_promotion_and_a_rollback_put_the_right_signature_beside_the_component() {
    let place = keyed(true);
    let library = place.open();
    assert_eq!(deploy(&library, "1", Some(&signed(1, "1"))), Ok(()));
    let (bytes, signature) = (component("p", "2"), signed(2, "2"));
    library.deploy("p", &bytes, Some(&signature), true).unwrap();
    library.promote("p").unwrap();
    assert_eq!(std::fs::read(place.file("p.wasm.sig")).unwrap(), signature);
    assert_eq!(v(&place.open()), "2");
    library.rollback("p").unwrap();
    assert_eq!(std::fs::read(place.file("p.wasm.sig")).unwrap(), signed(1, "1"));
    assert_eq!(v(&place.open()), "1");
    assert_eq!(library.notices(), [""; 0]);
}

#[test]
fn a_folder_that_everybody_may_write_to_is_worth_a_word_unless_signatures_are_required() {
    use std::os::unix::fs::PermissionsExt;
    for require_signature in [false, true] {
        let place = keyed(require_signature);
        std::fs::set_permissions(&place.options.folder, PermissionsExt::from_mode(0o1777)).unwrap();
        let notices = place.open().notices();
        assert_eq!(notices.len(), usize::from(!require_signature));
        assert!(
            notices.iter().all(|notice| notice.contains("chmod o-w")),
            "{notices:?}"
        );
    }
}
