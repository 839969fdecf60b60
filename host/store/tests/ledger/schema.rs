//! Ledgers of former schemas: converted once, whole or not at all.

use crate::escrow::{deliver, leave, settle};
use crate::fixture::*;
use crate::registry::register_everything;
use bourse_market::*;
use bourse_store::{Disk, OfferQuery, OpenError, Options, SCHEMA, Store};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// The schemas before this version's, each with a ledger under `tests/fixtures`.
const FORMER: [u32; 2] = [3, 4];

/// A ledger with a record of every kind and state that schema 3 knows. Party 0 sells and is paid, 1 sells after a step
/// of recovery and is suspended later, 2 never proves itself, 3 is left with a purchase under way, 4 closes.
fn trade_everything(store: &Store) {
    populate(store, 5, 100);
    let mut fancy = place(10, 0);
    if let Command::Place(request) = &mut fancy {
        let offer = &mut request.offer;
        offer.catalog = Some(CatalogId([4; 16]));
        offer.uri = "io.example.weather.berlin".to_owned();
        offer.placer.authid = Some("station".to_owned());
        offer.valid_from = Some(Nanos(4));
        offer.expires = Some(Nanos(1_000_000));
        offer.price = Price::Dynamic;
        offer.pricing = PricingTerms {
            policy: Some("surge".to_owned()),
            params: Some(r#"{"max_uplift_bp":100}"#.to_owned()),
            floor: Some(Amount::from_units(1)),
            cap: Some(Amount::from_tokens(9)),
        };
        offer.copies = Some(3);
        offer.remaining = Some(3);
        offer.categories = [("city", "berlin"), ("topic", "weather")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    }
    let revoke = Command::Revoke(RevokeRequest {
        key: key(11),
        caller: Placer {
            session: SessionId(9),
            authid: None,
        },
        proven: None,
        at: Nanos(9),
    });
    do_all(store, [fancy, place(11, 2), revoke]);

    // Posted: by the first answer, by a step of recovery, and of the offer with three copies.
    buy(store, 0, 0, 0);
    buy_recovered(store, 1, 1);
    buy(store, 2, 10, 0);
    // Voided: for nobody to blame, with the paying channel suspended, with the pair suspended.
    reserve_now(store, 3, 0).unwrap();
    do_all(store, [void(3, false)]);
    reserve_now(store, 4, 1).unwrap();
    do_all(store, [void(4, true)]);
    reserve_now(store, 5, 2).unwrap();
    do_all(store, [void(5, true)]);
    // Closed at what is left after a purchase, both channels of the party.
    buy(store, 6, 4, 4);
    for kind in [ChannelKind::Payment, ChannelKind::Paying] {
        let record = store.read().unwrap().channel(&channel(kind, 4)).unwrap().unwrap();
        do_all(store, [close(&record)]);
    }
    // Under way, asked once more.
    buy(store, 7, 3, 3);
    reserve_now(store, 8, 3).unwrap();
    do_all(store, [recover(store, 8)]);
}

/// What schema 4 knows beside that, left by two more parties. Party 5 is owed for an escrowed key, and was in quarantine; 6
/// was paid for another with the final state of its channel, and is in quarantine.
fn trade_what_schema_4_knows(store: &Store) {
    for number in [5, 6] {
        do_all(
            store,
            [
                fund(actor(ChannelKind::Payment, number), 100),
                open_channel(ChannelKind::Payment, number, 100, 10 + number),
                open_channel(ChannelKind::Paying, number, 100, 10 + number),
                leave(20 + number, number),
            ],
        );
        let sale = deliver(&store.read().unwrap(), 20 + number, 20 + number, 5);
        do_all(store, [sale]);
    }
    let paid = settle(&store.read().unwrap(), 6).unwrap();
    do_all(store, [paid]);
    for number in [5, 6] {
        let channel = channel(ChannelKind::Payment, number);
        do_all(
            store,
            [Command::Quarantine {
                channel,
                at: Nanos(3000),
            }],
        );
    }
    let mut ended = place(30, 5);
    if let Command::Place(request) = &mut ended {
        request.offer.expires = Some(Nanos(50));
    }
    let reconcile = Command::Reconcile(Box::new(ReconcileRequest {
        channel: channel(ChannelKind::Payment, 5),
        shown: None,
        accept_loss: true,
        prepaid: None,
        at: Nanos(3001),
    }));
    let sweep = Command::Sweep(SweepRequest {
        ended_before: Nanos(60),
        after: None,
    });
    do_all(store, [reconcile, ended, sweep]);
    register_everything(store);
}

/// Sells key `offer` of party `party` to it.
fn buy(store: &Store, number: u64, offer: u64, party: u64) {
    let command = reserve(&store.read().unwrap(), number, offer, party, party);
    do_all(store, [command, post(number, party, 40)]);
}

/// The same, after the seller was asked once more.
fn buy_recovered(store: &Store, number: u64, party: u64) {
    // A seller is asked again once it has proven itself.
    buy(store, 100 + number, party, party);
    reserve_now(store, number, party).unwrap();
    let mut answer = post(number, party, 40);
    if let Command::Post(request) = &mut answer {
        request.recovered = 1;
        request.state_writes.push(StateWrite {
            policy: "surge".to_owned(),
            key: "sales".to_owned(),
            edit: StateEdit::Add(7),
        });
    }
    do_all(store, [recover(store, number), answer]);
}

fn recover(store: &Store, number: u64) -> Command {
    let sent = store
        .read()
        .unwrap()
        .purchase(&purchase(number))
        .unwrap()
        .unwrap();
    Command::Recover(RecoverRequest {
        id: sent.id,
        at: Nanos(1900),
        doubt: Doubt::Unclear,
        ask: sent.asks().last().and_then(|ask| ask.confirmed()).unwrap(),
        s2: Signature([6; 65]),
    })
}

#[test]
#[ignore = "makes the folder of a fixture, see tests/fixtures"]
fn a_folder_with_everything() {
    let target = std::env::var_os("BOURSE_TEST_FOLDER").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let small = Options {
        map_size: 4 << 20,
        ..options(dir.path())
    };
    let store = Store::open(small, &stamp()).unwrap();
    trade_everything(&store);
    trade_what_schema_4_knows(&store);
    assert_sound(&store);
    drop(store);
    // A backup would bear its mark.
    let file = Path::new(&target).join("data.mdb");
    std::fs::copy(dir.path().join("data.mdb"), file).unwrap();
}

/// A copy of the ledger of a former schema.
pub fn former(schema: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    std::fs::create_dir(&path).unwrap();
    let fixture = format!("tests/fixtures/schema-{schema}/data.mdb");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    std::fs::copy(fixture, path.join("data.mdb")).unwrap();
    (dir, path)
}

#[test]
fn there_is_a_ledger_of_each_former_schema() {
    let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")).unwrap();
    let mut names: Vec<_> = folders
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, FORMER.map(|schema| format!("schema-{schema}")));
    assert_eq!(
        FORMER.last(),
        Some(&(SCHEMA - 1)),
        "make one before the schema ends"
    );
}

#[test]
fn a_ledger_of_a_former_schema_is_converted_at_its_first_opening_with_every_record_and_trades_on() {
    for schema in FORMER {
        is_converted_and_trades_on(schema);
    }
}

fn is_converted_and_trades_on(schema: u32) {
    let (_dir, path) = former(schema);
    drop(open(&path));
    // Once converted, it opens like any other.
    let store = open(&path);
    assert_sound(&store);
    check_all(&store, schema);

    // What was under way is resolved, who was suspended is released, and both sell again.
    do_all(&store, [post(8, 3, 40)]);
    let suspended = channel(ChannelKind::Paying, 1);
    do_all(
        &store,
        [Command::ReleaseChannel {
            channel: suspended,
            by_operator: true,
        }],
    );
    buy(&store, 20, 3, 3);
    buy(&store, 21, 1, 1);
    buy(&store, 22, 10, 0);
    assert_sound(&store);
    let reader = store.read().unwrap();
    assert_eq!(
        reader.offer(&OfferId(id(b'o', 10))).unwrap().unwrap().remaining,
        Some(1)
    );
}

/// What a ledger of a former schema holds, as readers see it.
#[track_caller]
fn check_all(store: &Store, schema: u32) {
    check_records(store);
    let reader = store.read().unwrap();
    let last: u64 = if schema == 3 { 7 } else { 26 };
    let value = reader.policy_value("surge", "last").unwrap();
    assert_eq!(value, Some(last.to_be_bytes().to_vec()));
    let counts = reader.counts().unwrap();
    let found = [
        counts.accounts,
        counts.channels,
        counts.bindings,
        counts.offers,
        counts.pairs,
        counts.purchases,
        counts.posted,
        counts.sent,
        counts.decisions,
        counts.policy_values,
        counts.policy_counters,
    ];
    if schema == 3 {
        assert_eq!(found, [7, 10, 10, 7, 5, 10, 6, 1, 6, 1, 1]);
        return;
    }
    assert_eq!(found, [10, 14, 14, 10, 5, 10, 8, 1, 8, 1, 1]);
    let found = [
        counts.escrow_sales,
        counts.escrowed_keys,
        counts.quarantined_channels,
    ];
    assert_eq!(found, [2, 2, 1]);
    assert_eq!((counts.registered, counts.consents), (14, 12));
    check_what_schema_4_knows(store);
}

/// What `trade_what_schema_4_knows` left.
#[track_caller]
fn check_what_schema_4_knows(store: &Store) {
    let reader = store.read().unwrap();
    let tokens = Amount::from_tokens;
    let abandoned = reader.channel(&channel(ChannelKind::Paying, 1)).unwrap().unwrap();
    assert_eq!(abandoned.abandoned, Some(purchase(4)));
    let owed = |party| {
        reader
            .debt(&delegate(ChannelKind::Paying, party))
            .unwrap()
            .unwrap()
    };
    assert_eq!((owed(5).owed, owed(6).owed), (tokens(1), tokens(0)));
    let sale = reader.escrow_sale(&purchase(25)).unwrap().unwrap();
    assert_eq!((sale.identity.key, sale.payment_seq), (key(25), Seq(2)));
    assert_eq!(
        reader.escrowed_key(&key(26)).unwrap(),
        Some(EscrowedKey([26; 88]))
    );
    let paid = reader.escrow_payment(&channel(ChannelKind::Paying, 6)).unwrap();
    assert_eq!(paid.unwrap().amount, tokens(1));
    let shut = reader
        .channel(&channel(ChannelKind::Payment, 6))
        .unwrap()
        .unwrap();
    assert_eq!(shut.quarantined, Some(Nanos(3000)));
    let let_out = reader
        .channel(&channel(ChannelKind::Payment, 5))
        .unwrap()
        .unwrap();
    assert_eq!(let_out.quarantined, None);
    let how = reader.reconciliations(&let_out.id).unwrap();
    assert_eq!(how.iter().map(|how| how.at).collect::<Vec<_>>(), [Nanos(3001)]);
    let ended = reader.offer_by_key(&key(30)).unwrap().unwrap();
    assert!(ended.unlisted);
}

/// What `trade_everything` left, as readers see it.
fn check_records(store: &Store) {
    let reader = store.read().unwrap();
    let standing = |kind, number| {
        let found = reader.channel(&channel(kind, number)).unwrap().unwrap();
        let whole = |amount: Amount| amount == Amount::from_tokens(1) || amount.is_zero();
        assert!(whole(found.inflight));
        (
            found.seq.0,
            found.remaining,
            found.spent,
            found.state,
            found.pending,
        )
    };
    let tokens = Amount::from_tokens;
    for (kind, number, expected) in [
        (
            ChannelKind::Payment,
            0,
            (3, tokens(98), tokens(2), ChannelState::Open, None),
        ),
        (
            ChannelKind::Paying,
            0,
            (3, tokens(98), tokens(2), ChannelState::Open, None),
        ),
        (
            ChannelKind::Payment,
            1,
            (3, tokens(98), tokens(2), ChannelState::Open, None),
        ),
        // One more for the step of recovery.
        (
            ChannelKind::Paying,
            1,
            (4, tokens(98), tokens(2), ChannelState::Open, None),
        ),
        (
            ChannelKind::Payment,
            2,
            (1, tokens(100), tokens(0), ChannelState::Open, None),
        ),
        (
            ChannelKind::Payment,
            3,
            (2, tokens(98), tokens(1), ChannelState::Open, Some(purchase(8))),
        ),
        (
            ChannelKind::Paying,
            3,
            (2, tokens(98), tokens(1), ChannelState::Open, Some(purchase(8))),
        ),
        (
            ChannelKind::Payment,
            4,
            (2, tokens(99), tokens(1), ChannelState::Closed, None),
        ),
        (
            ChannelKind::Paying,
            4,
            (2, tokens(99), tokens(1), ChannelState::Closed, None),
        ),
    ] {
        assert_eq!(standing(kind, number), expected, "{kind:?} {number}");
    }
    let closed = reader
        .channel(&channel(ChannelKind::Payment, 4))
        .unwrap()
        .unwrap();
    let closing = closed.closing.unwrap();
    assert_eq!((closing.seq, closing.balance), (Seq(2), tokens(99)));
    assert_eq!(closing.delegate_signature, Signature([8; 65]));
    assert_eq!(closing.marketmaker_signature, Signature([9; 65]));
    let suspended = delegate(ChannelKind::Paying, 1);
    let suspended = reader.suspended_channels(&suspended).unwrap();
    assert_eq!(suspended, [channel(ChannelKind::Paying, 1)]);
    let record = reader.channel(&suspended[0]).unwrap().unwrap();
    assert_eq!(record.suspended.unwrap().purchase, purchase(4));
    assert_eq!(record.unresolved, 1);
    let pairs = reader.suspended_pairs(&delegate(ChannelKind::Paying, 2)).unwrap();
    assert_eq!(pairs.len(), 1);

    let posted = reader.purchase(&purchase(1)).unwrap().unwrap();
    assert_eq!((posted.recoveries.len(), posted.recovered()), (1, 1));
    let signatures = |purchase: &Purchase| match purchase.state {
        PurchaseState::Posted {
            s3, s4, sealed_key, ..
        } => (s3, s4, sealed_key),
        _ => panic!("{:?} is not posted", purchase.id),
    };
    let all = (Signature([3; 65]), Signature([4; 65]), SealedKey([8; 80]));
    assert_eq!(signatures(&posted), all);
    assert_eq!((posted.s1, posted.s2), (Signature([1; 65]), Signature([2; 65])));
    let PurchaseState::Voided { at, reason } = reader.purchase(&purchase(4)).unwrap().unwrap().state else {
        panic!("purchase 4 is not voided");
    };
    assert_eq!((at, reason.ambiguous), (Nanos(2004), true));
    let sent = reader.sent_purchases().unwrap();
    assert_eq!(
        (sent.len(), sent[0].id, sent[0].recoveries.len()),
        (1, purchase(8), 1)
    );
    let decision = reader.decision(&DecisionId(id(b'd', 6))).unwrap().unwrap();
    assert_eq!(decision.header.purchase, Some(purchase(6)));
    assert_eq!(reader.policy_counter("surge", "sales").unwrap(), 7);

    let query = OfferQuery {
        api: ApiId([3; 16]),
        from: Nanos(0),
        until: Nanos(u64::MAX),
        uri_prefix: Some("io.example.weather.".to_owned()),
        categories: [("city".to_owned(), "berlin".to_owned())].into(),
        seller: Some(delegate(ChannelKind::Paying, 0)),
        now: Nanos(5),
    };
    let page = reader.query_offers(&query, None, 10).unwrap();
    let [offer] = page.found.as_slice() else {
        panic!("{} offers found", page.found.len());
    };
    assert_eq!((offer.key, offer.price), (key(10), Price::Dynamic));
    assert_eq!((offer.copies, offer.remaining), (Some(3), Some(2)));
    assert_eq!(offer.pricing.cap, Some(tokens(9)));
    // What ends is known to the sweep, which schema 3 had not.
    assert!(!offer.unlisted);
    let ended = reader.ended_offers(None, Nanos(1_000_001), 10).unwrap();
    assert_eq!(ended.first().map(|offer| offer.key), Some(key(10)));
    assert!(reader.offer_by_key(&key(11)).unwrap().unwrap().revoked.is_some());
}

#[test]
fn who_only_reads_a_ledger_of_a_former_schema_is_told_what_converts_it() {
    for schema in FORMER {
        is_told_what_converts_it(schema);
    }
}

fn is_told_what_converts_it(schema: u32) {
    let (_dir, path) = former(schema);
    let before = std::fs::read(path.join("data.mdb")).unwrap();
    let error = Store::open_read_only(&path, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the data folder {} has schema {schema}, this program reads schema 5: let `bourse ledger upgrade` or `bourse serve` \
             open it once, which converts it",
            path.display()
        )
    );
    // Whose it is can be told all the same, and another market's opening neither succeeds nor converts.
    assert_eq!(Store::stamp(&path).unwrap(), Some(stamp()));
    let mut other = stamp();
    other.chain_id = 1;
    let error = Store::open(options(&path), &other).unwrap_err();
    assert!(matches!(error, OpenError::StampMismatch { .. }), "{error}");
    assert_eq!(std::fs::read(path.join("data.mdb")).unwrap(), before);
}

#[test]
fn a_conversion_that_fails_or_is_cut_off_leaves_the_former_ledger_and_succeeds_at_the_next_start() {
    for schema in FORMER {
        leaves_the_former_ledger(schema);
    }
}

fn leaves_the_former_ledger(schema: u32) {
    let (_dir, path) = former(schema);
    let disk = TestDisk::new();
    disk.fail_at.store(1, SeqCst);
    let error = Store::open_on(options(&path), &stamp(), disk).unwrap_err();
    let expected = format!(
        "has schema {schema} and cannot be converted to 5: the ledger's database failed: the disk is broken; nothing was \
         changed"
    );
    assert!(error.to_string().ends_with(&expected), "{error}");
    must_be_unconverted(&path, schema);

    let output = Process::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "schema::child_dies_while_it_converts"])
        .env("BOURSE_TEST_FOLDER", &path)
        .output()
        .unwrap();
    assert!(!output.status.success(), "it lived");
    must_be_unconverted(&path, schema);

    let store = open(&path);
    assert_sound(&store);
    check_all(&store, schema);
}

#[track_caller]
fn must_be_unconverted(path: &Path, schema: u32) {
    let error = Store::open_read_only(path, 0).unwrap_err();
    assert!(
        matches!(error, OpenError::Unconverted { stored, .. } if stored == schema),
        "{error}"
    );
}

/// A machine that dies with everything written and nothing committed.
struct Dying;

impl Disk for Dying {
    fn free(&self, _path: &Path) -> std::io::Result<u64> {
        Ok(u64::MAX)
    }

    fn before_commit(&self) -> std::io::Result<()> {
        std::process::abort()
    }
}

#[test]
#[ignore = "run by a_conversion_that_fails_or_is_cut_off_leaves_the_former_ledger_and_succeeds_at_the_next_start"]
fn child_dies_while_it_converts() {
    let path = std::env::var_os("BOURSE_TEST_FOLDER").unwrap();
    let _ = Store::open_on(options(path.as_ref()), &stamp(), Arc::new(Dying));
}
