//! Copies of a ledger in use, and what is made of them.

use crate::fixture::*;
use crate::schema::former;
use bourse_market::*;
use bourse_store::{OpenError, Options, Restored, Store, SubmitError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// When backups are taken and restored here.
const TAKEN: Nanos = Nanos(7_000);
const RESTORED: Nanos = Nanos(9_000);

fn restore(backup: &Path, target: &Path) -> Result<Restored, OpenError> {
    Store::restore(backup, &options(target), RESTORED, &mut |_, _| {})
}

/// A ledger of `parties` parties that each bought once, and a backup of it.
fn backed_up(dir: &Path, parties: u64) -> Store {
    let store = open(&dir.join("live"));
    populate(&store, parties, 10);
    for party in 0..parties {
        reserve_now(&store, party, party).unwrap();
        do_all(&store, [post(party, party, 40)]);
    }
    store.backup(&dir.join("backup"), TAKEN).unwrap();
    store
}

#[test]
fn a_backup_is_read_like_a_ledger_and_never_traded_from() {
    let dir = tempfile::tempdir().unwrap();
    let store = backed_up(dir.path(), 3);
    let target = dir.path().join("backup");
    do_all(&store, [place(9, 1)]);
    let error = store.backup(&target, TAKEN).unwrap_err();
    assert!(error.to_string().contains("a ledger is there already"), "{error}");

    let copy = Store::open_read_only(&target, 0).unwrap();
    assert_sound(&copy);
    let reader = copy.read().unwrap();
    assert!(reader.offer_by_key(&key(2)).unwrap().is_some());
    assert_eq!(reader.offer_by_key(&key(9)).unwrap(), None);
    drop(reader);
    drop(copy);
    let error = Store::open(options(&target), &stamp()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is a backup, and what was signed since it was taken is not in it: make a data folder of it with `bourse \
             ledger restore`",
            target.display()
        )
    );
    assert!(!target.join("data.mdb.partial").exists());
}

#[test]
fn two_backups_into_one_folder_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("live"));
    populate(&store, 3, 10);
    let target = dir.path().join("backup");
    std::fs::create_dir(&target).unwrap();
    // What a backup that was cut off left is in nobody's way, what one that goes on writes is.
    let partial = std::fs::File::create(target.join("data.mdb.partial")).unwrap();
    partial.set_len(5 << 20).unwrap();
    partial.lock().unwrap();
    let error = store.backup(&target, TAKEN).unwrap_err();
    assert!(
        error.to_string().starts_with("another backup is written to"),
        "{error}"
    );
    assert!(target.join("data.mdb.partial").exists());
    drop(partial);
    store.backup(&target, TAKEN).unwrap();
    assert_sound(&Store::open_read_only(&target, 0).unwrap());
}

#[test]
fn backups_taken_under_load_are_sound_and_hold_whatever_was_answered_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("live"));
    populate(&store, 4, 1_000_000);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for party in 0..4u64 {
            let (store, over) = (&store, &over);
            scope.spawn(move || {
                for number in (party..).step_by(4) {
                    reserve_now(store, number, party).unwrap();
                    do_all(store, [post(number, party, 2000)]);
                    if over.load(Relaxed) {
                        break;
                    }
                }
            });
        }
        for round in 0..8 {
            let before = store.read().unwrap().counts().unwrap();
            let target = dir.path().join(format!("backup-{round}"));
            store.backup(&target, TAKEN).unwrap();
            let after = store.read().unwrap().counts().unwrap();
            let copy = Store::open_read_only(&target, 0).unwrap();
            assert_sound(&copy);
            let held = copy.read().unwrap().counts().unwrap();
            assert!(before.posted <= held.posted && held.posted <= after.posted);
            drop(copy);
            let restored = restore(&target, &dir.path().join(format!("restored-{round}"))).unwrap();
            assert_eq!(restored.report.checked.posted, held.posted);
        }
        over.store(true, Relaxed);
    });
    assert!(store.read().unwrap().counts().unwrap().posted > 8);
    assert_sound(&store);
}

#[test]
fn a_restored_ledger_holds_all_and_moves_no_channel_until_each_is_reconciled() {
    let dir = tempfile::tempdir().unwrap();
    let live = backed_up(dir.path(), 2);
    // What the ledger that is about to be lost still did.
    reserve_now(&live, 10, 0).unwrap();
    do_all(&live, [post(10, 0, 40)]);
    drop(live);

    let path = dir.path().join("data");
    let restored = restore(&dir.path().join("backup"), &path).unwrap();
    assert_eq!((restored.stamp, restored.taken), (stamp(), Some(TAKEN)));
    assert_eq!(restored.report.checked.quarantined_channels, 4);
    assert!(!path.join("restoring").exists());
    let store = open(&path);
    assert_sound(&store);
    let payment = channel(ChannelKind::Payment, 0);
    let shut = Refusal::ChannelQuarantined { channel: payment };
    assert_eq!(
        reserve_now(&store, 10, 0).unwrap_err(),
        SubmitError::Refused(shut.clone())
    );
    let record = store.read().unwrap().channel(&payment).unwrap().unwrap();
    assert_eq!(record.quarantined, Some(RESTORED));
    assert_eq!(
        store.submit_blocking(close(&record)).unwrap_err(),
        SubmitError::Refused(shut)
    );
    let reader = store.read().unwrap();
    let who = delegate(ChannelKind::Payment, 0);
    assert_eq!(reader.active_channel(ChannelKind::Payment, &who).unwrap(), None);
    // A page at a time, all of them once.
    let mut found = Vec::new();
    while let [next] = reader.quarantined_channels(found.last(), 1).unwrap().as_slice() {
        found.push(next.clone());
    }
    assert_eq!(found.len(), 4);
    drop(reader);

    // The buyer shows where it stands, the seller likewise; the other two are given up.
    for found in &found {
        let (kind, first) = (found.kind, found.delegate == delegate(found.kind, 0));
        let state = ShownState {
            seq: Seq(3),
            balance: Amount::from_tokens(8),
            signature: Signature([1; 65]),
            countersignature: Some(Signature([2; 65])),
        };
        let request = ReconcileRequest {
            channel: found.id,
            shown: first.then_some(Shown {
                state,
                signer: delegate(kind, 0),
                countersigner: Some(MAKER),
            }),
            accept_loss: true,
            prepaid: None,
            at: Nanos(9_500),
        };
        do_all(&store, [Command::Reconcile(Box::new(request))]);
    }
    assert_sound(&store);
    assert_eq!(store.read().unwrap().counts().unwrap().quarantined_channels, 0);
    let history = store.read().unwrap().reconciliations(&payment).unwrap();
    assert_eq!((history.len(), history[0].positions()), (1, 1));
    reserve_now(&store, 20, 0).unwrap();
    do_all(&store, [post(20, 0, 40)]);
    assert_sound(&store);
    // It is an ordinary ledger again.
    drop(store);
    assert_sound(&open(&path));
}

#[test]
fn nothing_is_restored_over_a_ledger_nor_from_where_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = backed_up(dir.path(), 1);
    drop(store);
    let (live, backup) = (dir.path().join("live"), dir.path().join("backup"));
    let error = restore(&backup, &live).unwrap_err();
    assert!(matches!(error, OpenError::Occupied { .. }), "{error}");
    let error = restore(&dir.path().join("nowhere"), &dir.path().join("data")).unwrap_err();
    assert!(matches!(error, OpenError::NoLedger { .. }), "{error}");
    // While a market has the folder, or another restores into it.
    let store = open(&dir.path().join("other"));
    let error = restore(&backup, &dir.path().join("other")).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(store);
    assert_sound(&open(&live));
}

#[test]
fn what_an_interrupted_restoration_left_is_no_ledger_and_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    drop(backed_up(dir.path(), 1));
    let path = dir.path().join("data");
    let left = path.join("restoring");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::copy(dir.path().join("backup/data.mdb"), left.join("data.mdb")).unwrap();
    std::fs::write(left.join("lock.mdb"), b"torn").unwrap();
    assert_eq!(Store::stamp(&path).unwrap(), None);
    restore(&dir.path().join("backup"), &path).unwrap();
    assert_eq!(
        open(&path).read().unwrap().counts().unwrap().quarantined_channels,
        2
    );
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    drop(backed_up(dir.path(), 1));
    let backup = dir.path().join("backup");
    // A balance in an account that nobody put there.
    let file = backup.join("data.mdb");
    let mut bytes = std::fs::read(&file).unwrap();
    let needle = Amount::from_tokens(1_000_000_000 - 10).to_be_bytes();
    let at = bytes.windows(32).rposition(|window| window == needle).unwrap();
    bytes[at + 31] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let path = dir.path().join("data");
    let error = restore(&backup, &path).unwrap_err();
    assert!(matches!(error, OpenError::Unsound { .. }), "{error}");
    assert!(error.to_string().contains("is damaged, 1 violations"), "{error}");
    assert_eq!(Store::stamp(&path).unwrap(), None);
    assert!(!path.join("restoring").exists());
}

#[test]
fn a_copy_of_a_former_schema_is_converted_as_it_is_restored() {
    // Ten channels, two of them closed; and four more, one of them closed.
    for (schema, quarantined) in [(3, 8), (4, 11)] {
        let (dir, path) = former(schema);
        let target = dir.path().join("restored");
        let restored = restore(&path, &target).unwrap();
        assert_eq!(restored.taken, None);
        assert_eq!(restored.report.checked.quarantined_channels, quarantined);
        let store = open(&target);
        assert_sound(&store);
        do_all(&store, [void(8, true)]);
        assert_sound(&store);
    }
}

#[test]
fn a_ledger_that_is_full_can_be_backed_up_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options {
        map_size: 2 << 20,
        ..options(&dir.path().join("live"))
    };
    let store = Store::open(small, &stamp()).unwrap();
    populate(&store, 1, 10);
    let full = (2000..).find(|number| {
        let placed = store.submit_blocking(place(*number, 0));
        matches!(placed, Err(SubmitError::Full { .. }))
    });
    assert!(full.is_some());
    store.backup(&dir.path().join("backup"), TAKEN).unwrap();
    let restored = restore(&dir.path().join("backup"), &dir.path().join("data")).unwrap();
    assert_eq!(restored.report.checked.quarantined_channels, 2);
}
