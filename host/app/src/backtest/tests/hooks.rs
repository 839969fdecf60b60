//! Trials of the hooks that refuse and hide.

use super::history::{BEGINS, engine};
use crate::backtest::ask::{Base, Params, params};
use crate::backtest::change::Change;
use crate::backtest::entry::{Entry, Place, Sale};
use crate::backtest::exact::replay;
use crate::backtest::report::Report;
use crate::backtest::revisions::Revisions;
use crate::backtest::source::Source;
use crate::backtest::trial::{Trial, run};
use bourse_market::{
    Address, Amount, ApiId, DecisionId, KeyId, MarketId, Nanos, Offer, OfferId, Placer, Price, PricingTerms,
    PurchaseId, SessionId, Signature,
};
use bourse_policy::{
    Action, Batch, ConsentRequest, Edit, Engine, FilterRequest, Grants, Hex, Imports, Limits, Record,
    Revision, StateChange,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// A policy that ships, whether or not this host carries it.
fn policy(engine: &Engine, name: &str) -> Revision {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../policies/dist/{name}.wasm"));
    engine.load(name, &std::fs::read(path).unwrap()).unwrap()
}

fn offer(which: u8) -> Offer {
    Offer {
        id: OfferId([which; 16]),
        key: KeyId([which; 16]),
        api: ApiId([1; 16]),
        catalog: None,
        uri: "com.example.series".to_owned(),
        seller: Address([which; 20]),
        provider_id: None,
        placer: Placer {
            session: SessionId(1),
            authid: None,
        },
        placed_at: Nanos(BEGINS - 1),
        valid_from: None,
        expires: None,
        revoked: None,
        signature: Signature([0; 65]),
        signature_verified: false,
        claimed: false,
        unlisted: false,
        price: Price::Dynamic,
        pricing: PricingTerms::default(),
        copies: None,
        remaining: None,
        categories: BTreeMap::new(),
    }
}

/// What is committed of a policy's state.
#[derive(Default)]
struct Committed {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    counters: RefCell<BTreeMap<String, i64>>,
}

impl Committed {
    fn post(&self, changes: &[StateChange]) {
        for change in changes {
            let key = change.key.clone();
            match &change.edit {
                Edit::Set(Some(value)) => {
                    self.values.borrow_mut().insert(key, value.clone());
                }
                Edit::Set(None) => {
                    self.values.borrow_mut().remove(&key);
                }
                Edit::Add(delta) => *self.counters.borrow_mut().entry(key).or_default() += delta,
            }
        }
    }
}

impl Imports for Committed {
    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.values.borrow().get(key).cloned()
    }

    fn counter(&self, key: &str) -> i64 {
        self.counters.borrow().get(key).copied().unwrap_or(0)
    }
}

fn limits() -> Limits {
    Limits {
        deadline: std::time::Duration::from_secs(600),
        ..Limits::for_batch(64)
    }
}

fn entry(index: usize, mut record: Record, paid: Option<Amount>, buyer: Address) -> Entry {
    record.id = Some(Hex(DecisionId((index as u128).to_be_bytes())));
    let at = Nanos(record.at_ns.0 + 1_000);
    Entry {
        place: Place::Line(index as u64 + 1),
        record,
        purchase: paid.map(|_| PurchaseId((index as u128).to_be_bytes())),
        sale: paid.map(|paid| Sale::new(at, paid, buyer)),
        shadow: false,
    }
}

/// Tries `new` on a log of `entries`, which replays exactly.
fn tried(engine: &Engine, entries: &[Entry], new: &Revision, over: &str, of: &[&str]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    for entry in entries {
        writeln!(file, "{}", entry.to_line()).unwrap();
    }
    let source = Source::open(&path, 1 << 20).unwrap();
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/dist");
    let files: Vec<_> = ["quota", "fair-share"]
        .iter()
        .map(|name| dist.join(format!("{name}.wasm")))
        .collect();
    let revisions = Revisions::new(engine.clone(), &files, Vec::new()).unwrap();
    let replayed = replay(&source, &revisions, 2, &mut |_, _| {}).unwrap();
    assert!(replayed.ok, "{replayed:?}");
    let trial = Trial {
        source: &source,
        new,
        old: None,
        of: of.iter().map(|name| (*name).to_owned()).collect(),
        params: Params {
            base: Base::Own,
            over: params(over).unwrap(),
        },
        elasticity: None,
        workers: 2,
    };
    run(&trial, &mut |_, _| {}).unwrap()
}

fn decisions(report: &Report, change: Change) -> u64 {
    let all = report.changes.iter().filter(|changes| changes.change == change);
    all.map(|changes| changes.decisions).sum()
}

/// Ten purchases of one buyer under a quota of a hundred.
fn under_quota(quota: &Revision) -> Vec<Entry> {
    let committed = Committed::default();
    let buyer = Address([7; 20]);
    (0..10usize)
        .map(|index| {
            let offer = offer(1);
            let request = ConsentRequest {
                now: Nanos(BEGINS + index as u64 * 1_000_000),
                market: MarketId([9; 16]),
                action: Action::Buy,
                buyer: Some(buyer),
                params: "{}",
                offer: Some(&offer),
                buyer_grants: &[],
                seller_grants: &[],
            };
            let grants = Grants {
                state: true,
                ..Grants::NONE
            };
            let decided = quota.authorize(&request, &committed, grants, &limits());
            decided.outcome.unwrap();
            committed.post(&decided.changes);
            entry(index, decided.record, Some(Amount::from_tokens(2)), buyer)
        })
        .collect()
}

#[test]
fn a_tighter_quota_would_have_prevented_the_purchases_past_it() {
    let engine = engine();
    let quota = policy(&engine, "quota");
    let entries = under_quota(&quota);
    let report = tried(&engine, &entries, &quota, r#"{"keys": 3}"#, &[]);
    assert_eq!(decisions(&report, Change::NowRefused), 7);
    assert_eq!(decisions(&report, Change::Same), 3);
    let prevented = report.prevented.unwrap();
    assert_eq!((prevented.sales, prevented.paid.as_str()), (7, "14"));
    assert_eq!((report.answers.assumed, report.left_out.unanswerable), (0, 0));
    let code = &report.refusals[0];
    assert_eq!((code.code.as_str(), code.new), ("quota_used_up", 7));
    assert!(report.prices.is_none() && report.revenue.is_none());
}

#[test]
fn a_question_about_a_state_that_was_not_recorded_has_no_answer() {
    let engine = engine();
    let quota = policy(&engine, "quota");
    let entries = under_quota(&quota);
    // Counted by seller, under keys that were not read then.
    let report = tried(&engine, &entries, &quota, r#"{"scope": "seller"}"#, &[]);
    assert_eq!((report.compared, report.left_out.unanswerable), (0, 10));
    assert!(
        report
            .left_out
            .questions
            .keys()
            .all(|question| question.starts_with("state."))
    );
}

#[test]
fn a_filter_is_compared_by_what_it_shows() {
    let engine = engine();
    let fair = policy(&engine, "fair-share");
    // Eight offers of one seller and two of others.
    let offers: Vec<Offer> = (0..10u8)
        .map(|which| Offer {
            seller: Address([which.max(7); 20]),
            ..offer(which)
        })
        .collect();
    let batch = Batch::of(&offers.iter().collect::<Vec<_>>());
    let entries: Vec<Entry> = (0..6usize)
        .map(|index| {
            let request = FilterRequest {
                now: Nanos(BEGINS + index as u64),
                market: MarketId([9; 16]),
                action: Action::Query,
                buyer: None,
                params: "{}",
                batch: &batch,
            };
            let grants = fair.imports().iter().copied().fold(Grants::NONE, Grants::with);
            let decided = fair.filter(&request, &Committed::default(), grants, &limits());
            decided.outcome.as_ref().unwrap();
            entry(index, decided.record, None, Address([7; 20]))
        })
        .collect();
    let same = tried(&engine, &entries, &fair, "{}", &[]);
    assert_eq!((same.compared, same.changed), (6, 0));
    let shown = same.shown.unwrap();
    assert_eq!(shown.old, shown.new);
    let looser = tried(&engine, &entries, &fair, r#"{"share_bp": 10000}"#, &[]);
    assert_eq!(decisions(&looser, Change::OtherOffers), 6);
    assert_eq!(looser.shown.unwrap().new, 60);
    let in_order = tried(&engine, &entries, &fair, r#"{"turns": false}"#, &[]);
    assert_eq!(decisions(&in_order, Change::OtherOrder), 6);
}
