//! Shipped policies that keep something: what one call writes is what the next one reads.

use super::support::{consent_request, offer};
use super::{dynamic, granted, shipped, wide};
use bourse_market::{Address, Amount, Nanos, Offer};
use bourse_policy::{
    Action, ConsentRequest, Decided, Declined, Edit, Imports, Limits, PriceRequest, Revision, StateChange,
};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A state that keeps what posted purchases write.
#[derive(Default)]
struct Ledger {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    counters: RefCell<BTreeMap<String, i64>>,
}

impl Ledger {
    fn post(&self, changes: Vec<StateChange>) {
        assert!(!changes.is_empty(), "a purchase that nobody counts");
        for StateChange { key, edit } in changes {
            match edit {
                Edit::Set(Some(value)) => {
                    self.values.borrow_mut().insert(key, value);
                }
                Edit::Set(None) => {
                    self.values.borrow_mut().remove(&key);
                }
                Edit::Add(delta) => *self.counters.borrow_mut().entry(key).or_default() += delta,
            }
        }
    }
}

impl Imports for Ledger {
    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.values.borrow().get(key).cloned()
    }

    fn counter(&self, key: &str) -> i64 {
        self.counters.borrow().get(key).copied().unwrap_or(0)
    }
}

const BUYER: Address = Address([0x55; 20]);
const SECOND: u64 = 1_000_000_000;

/// Base units of a hundredth of a token.
const HUNDREDTH: u128 = 10_000_000_000_000_000;

/// What a call decided, once it replayed exactly and proved cheap.
fn exact<T>(revision: &Revision, decided: Decided<T>) -> Decided<T> {
    assert!(revision.replay(&decided.record).unwrap().is_exact());
    // A hundredth of the budget would do.
    assert!(
        decided.fuel < Limits::default().fuel / 50,
        "{} fuel",
        decided.fuel
    );
    decided
}

/// Buys a key at `seconds`, and gives its price in hundredths of a token.
fn buy(name: &str, ledger: &Ledger, seconds: u64, params: &str) -> u64 {
    let revision = shipped(name);
    let offer = Offer {
        placed_at: Nanos(1_000 * SECOND),
        valid_from: None,
        ..dynamic()
    };
    let asked = PriceRequest {
        buyer: Some(BUYER),
        params,
        ..wide(&offer, 1_000 * SECOND + seconds * SECOND)
    };
    let decided = revision.price(&asked, ledger, granted(revision), &Limits::default());
    let decided = exact(revision, decided);
    let amount = decided.outcome.unwrap().amount;
    if !decided.changes.is_empty() {
        ledger.post(decided.changes);
    }
    // To the nearest, as steps of percents do not come out even.
    let [units, 0, 0, 0] = *amount.saturating_add(Amount::from_units(HUNDREDTH / 2)).limbs() else {
        panic!("{amount:?} is more than 18 tokens");
    };
    units / HUNDREDTH as u64
}

#[test]
fn tiered_takes_off_more_after_more_keys() {
    let ledger = Ledger::default();
    let params = r#"{"measure":"keys","tiers":[{"from":2,"off_bp":1000},{"from":4,"off_bp":2500}]}"#;
    let prices: Vec<u64> = (0..6).map(|at| buy("tiered", &ledger, at, params)).collect();
    assert_eq!(prices, [1_000, 1_000, 900, 900, 750, 750]);
}

#[test]
fn subscription_is_paid_once_a_period() {
    let ledger = Ledger::default();
    let params = r#"{"price":"7.5","period_ms":60000}"#;
    let prices = [0, 1, 59, 60, 61, 120].map(|at| buy("subscription", &ledger, at, params));
    assert_eq!(prices, [750, 0, 0, 750, 0, 750]);
}

#[test]
fn auction_floor_rises_with_sales_and_falls_with_time() {
    let ledger = Ledger::default();
    let params = r#"{"start":"10","step_bp":1000,"valid_ms":500}"#;
    let prices = [0, 0, 0].map(|at| buy("auction-floor", &ledger, at, params));
    assert_eq!(prices, [1_000, 1_100, 1_210]);
    // Three steps up, and a minute of one step a second down, to the floor of a hundredth.
    let prices = [2, 62, 62].map(|at| buy("auction-floor", &ledger, at, params));
    assert_eq!(prices, [1_100, 10, 11]);
}

#[test]
fn quota_ends_with_its_keys_and_begins_again() {
    let (revision, offer, ledger) = (shipped("quota"), offer(), Ledger::default());
    let mut bought = Vec::new();
    for seconds in [0, 1, 2, 59, 60] {
        let request = ConsentRequest {
            action: Action::Buy,
            buyer: Some(BUYER),
            now: Nanos((1_000 + seconds) * SECOND),
            params: r#"{"keys":2,"period_ms":60000}"#,
            ..consent_request(Some(&offer), &[])
        };
        let decided = revision.authorize(&request, &ledger, granted(revision), &Limits::default());
        let decided = exact(revision, decided);
        match decided.outcome {
            Ok(()) => {
                ledger.post(decided.changes);
                bought.push(seconds);
            }
            Err(Declined::Refused { code, .. }) => assert_eq!(code, "quota_used_up"),
            Err(Declined::Failed(failure)) => panic!("{failure}"),
        }
    }
    assert_eq!(bought, [0, 1, 60]);
}
