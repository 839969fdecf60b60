//! What policies remember: written by purchases alone, seen by whoever asks next, and explained by the ledger.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Grant, Hook, Instances, Rule};
use bourse_market::{Amount, Decision, KeyId, Nanos, PriceSource, Purchase, PurchaseId, View};
use bourse_policy::testing::hostile::willing;
use bourse_policy::testing::{DATA, Guest, IMPORTED, computed, keep_all, no, yes};
use bourse_policy::{Action, Engine, EngineOptions, Hook as PolicyHook, Input, Record};
use bourse_tests::{
    Behaviour, Buyer, Receipt, Seller, World, amount_of, assert_balanced, call, decisions, error_text,
    process, refused, tokens, until,
};
use bourse_wamp::{Dict, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

const INSUFFICIENT_AMOUNT: &str = "xbr.error.insufficient_amount";
const NO_SUCH_OBJECT: &str = "crossbar.error.no_such_object";
const POLICY_FAILED: &str = "bourse.error.policy_failed";
const REFUSED: &str = "bourse.error.refused";

fn rule(hook: Hook, policy: &str) -> Rule {
    Rule {
        hook,
        policy: policy.to_owned(),
        grants: vec![Grant::State],
        ..Rule::default_pricing()
    }
}

/// Adds to the counter whose one-letter name lies `at` so far into the guest's data.
fn add(at: u32, delta: i64) -> String {
    format!(
        "(call $add (i32.const {}) (i32.const 1) (i64.const {delta}))",
        DATA + at
    )
}

/// A price that counts purchases: one base unit more than the counter `n`, to which it adds `step`.
fn counting(name: &str, step: i64) -> (&str, Vec<u8>) {
    let price = format!("(i64.add (i64.const 1) (call $counter (i32.const {DATA}) (i32.const 1)))");
    let body = format!("{} {}", computed(&price, 30_000), add(0, step));
    (
        name,
        Guest::named(name).with_state().data(b"n").quote(body).build(),
    )
}

/// A policy with all hooks, each of which counts by a counter of its own: `p` by 1, `f` by 1, `c` by 10.
fn counting_all(name: &str) -> (&str, Vec<u8>) {
    let price = format!("(i64.add (i64.const 1) (call $counter (i32.const {DATA}) (i32.const 1)))");
    let guest = Guest::of(name, PolicyHook::Pricing)
        .with_state()
        .data(b"pfc")
        .quote(format!("{} {}", computed(&price, 30_000), add(0, 1)))
        .admit(yes())
        .filter(format!("{} {}", keep_all(), add(1, 1)))
        .authorize(format!("{} {}", yes(), add(2, 10)));
    (name, guest.build())
}

fn units(units: u64) -> Amount {
    Amount::from_units(units.into())
}

/// The price of a key for somebody who buys nothing.
async fn price(world: &World, key: KeyId) -> Amount {
    let stranger = world.session().await;
    let asked = call(&stranger, "xbr.marketmaker.get_quote", vec![Value::from(key.0)]);
    amount_of(&asked.await.unwrap(), "price")
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_written_with_a_posted_purchase_and_by_nothing_else() {
    let mut world = World::with_policies(&[counting("counts", 1)], |config| {
        config.policies.rule = vec![rule(Hook::Pricing, "counts")];
    })
    .await;
    let mut seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    for _ in 0..5 {
        assert_eq!(price(&world, key).await, units(1), "a quote writes nothing");
    }
    refused(
        buyer.send(&buyer.order(key, Amount::ZERO)).await,
        INSUFFICIENT_AMOUNT,
    );
    assert_eq!(
        price(&world, key).await,
        units(1),
        "a refused purchase writes nothing"
    );

    seller.behave(Behaviour::Refuse(NO_SUCH_OBJECT));
    refused(buyer.buy(key).await, NO_SUCH_OBJECT);
    assert_eq!(seller.sells().len(), 1);
    assert_eq!(
        price(&world, key).await,
        units(1),
        "a voided purchase writes nothing"
    );
    seller.behave(Behaviour::Honest);

    let folder = world.folder().join("build");
    std::fs::create_dir(&folder).unwrap();
    let shadow = folder.join("counts.wasm");
    std::fs::write(&shadow, counting("counts", 100).1).unwrap();
    let said = process::run(
        world.data(),
        &["policy", "deploy", "--shadow", shadow.to_str().unwrap()],
    );
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(buyer.buy(key).await.unwrap().paid, units(1));
    let mut policies = world.host().policies();
    policies.retain(|status| status.name == "counts");
    let shadow = policies.pop().unwrap().shadow.unwrap();
    until("the shadow's decision", async || {
        world.host().flush_log();
        decisions(&world)
            .iter()
            .any(|record| record.revision.0.to_string() == shadow)
    })
    .await;
    assert_eq!(
        price(&world, key).await,
        units(2),
        "the purchase wrote, its shadow did not"
    );

    world.restart().await;
    seller.reconnect(&world).await;
    buyer.reconnect(&world).await;
    assert_eq!(price(&world, key).await, units(2), "it is there after a restart");
    // With a live quote the purchase writes what that quote decided.
    let promised = buyer.quote(key).await.unwrap();
    assert_eq!(buyer.buy_at(key, promised).await.unwrap().paid, units(2));
    assert_eq!(price(&world, key).await, units(3));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    let kept = world
        .after_the_end(|ledger| ledger.policy_counter("counts", "n").unwrap())
        .await;
    assert_eq!(kept, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_purchase_sets_the_next_one_reads_until_it_is_removed() {
    // The price is one unit more than the byte under `v`, which becomes that price; at three units it goes.
    let key = format!("(i32.const {DATA}) (i32.const 1)");
    let value = DATA + 64;
    let body = format!(
        "(call $get {key} (i32.const {IMPORTED}))
         (i64.store (i32.const {value}) (i64.add (i64.const 1)
           (if (result i64) (i32.load8_u (i32.const {IMPORTED}))
             (then (i64.load8_u (i32.load (i32.const {}))))
             (else (i64.const 0)))))
         {}
         (call $set {key} (i32.lt_u (i32.load8_u (i32.const {value})) (i32.const 3)) (i32.const {value}) (i32.const 1))",
        IMPORTED + 4,
        computed(&format!("(i64.load (i32.const {value}))"), 30_000),
    );
    let guest = Guest::named("remembers").with_state().data(b"v").quote(body);
    let mut world = World::with_policies(&[("remembers", guest.build())], |config| {
        config.policies.rule = vec![rule(Hook::Pricing, "remembers")];
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let offer = seller.offer(None).await;
    let mut paid = Vec::new();
    for _ in 0..8 {
        paid.push(buyer.buy(offer).await.unwrap().paid);
    }
    assert_eq!(paid, [1, 2, 3, 1, 2, 3, 1, 2].map(units));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    let kept = world
        .after_the_end(|ledger| ledger.policy_value("remembers", "v").unwrap())
        .await;
    assert_eq!(kept, Some(vec![2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn additions_of_purchases_that_overlap_all_count() {
    const SELLERS: usize = 3;
    let world = World::with_policies(&[counting("counts", 1)], |config| {
        config.policies.rule = vec![rule(Hook::Pricing, "counts")];
    })
    .await;
    let mut parties = Vec::new();
    for _ in 0..SELLERS {
        let seller = Seller::new(&world, tokens(1)).await;
        let key = seller.offer(None).await;
        parties.push((seller, Buyer::new(&world, tokens(1)).await, key));
    }
    // Proven sellers may take their time.
    for (posted, (_, buyer, key)) in parties.iter_mut().enumerate() {
        assert_eq!(buyer.buy(*key).await.unwrap().paid, units(1 + posted as u64));
    }
    let mut overlapping = tokio::task::JoinSet::new();
    let (mut sellers, mut buyers) = (Vec::new(), Vec::new());
    let level = units(1 + SELLERS as u64);
    for (seller, mut buyer, key) in parties {
        seller.behave(Behaviour::Slow(Duration::from_secs(2)));
        sellers.push(seller);
        overlapping.spawn(async move {
            // Nobody has posted yet, so all pay the same.
            let receipt = buyer.buy_at(key, level).await.unwrap();
            (buyer, receipt)
        });
    }
    for (buyer, receipt) in overlapping.join_all().await {
        assert_eq!(receipt.paid, level, "they overlap");
        buyers.push(buyer);
    }
    let key = sellers[0].offer(None).await;
    assert_eq!(price(&world, key).await, units(1 + 2 * SELLERS as u64));
    assert_balanced(
        &world,
        &buyers.iter().collect::<Vec<_>>(),
        &sellers.iter().collect::<Vec<_>>(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refuses_a_purchase_takes_back_what_others_would_have_remembered_of_it() {
    let says_no = Guest::of("says-no", PolicyHook::Consent)
        .data(b"no")
        .authorize(no((DATA, 2), (DATA, 2)));
    let policies = [counting_all("all"), ("says-no", says_no.build())];
    let mut world = World::with_policies(&policies, |config| {
        config.policies.rule = vec![
            rule(Hook::Pricing, "all"),
            rule(Hook::Offers, "all"),
            rule(Hook::Consent, "all"),
        ];
        config.policies.rule.push(Rule {
            // Of this one seller, so that its offer can be placed through the name of another.
            category: BTreeMap::from([("no".to_owned(), "yes".to_owned())]),
            grants: Vec::new(),
            ..rule(Hook::Consent, "says-no")
        });
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    let labels = Dict::from([("no".to_owned(), Value::from("yes"))]);
    let labels = Dict::from([("categories".to_owned(), Value::from(labels))]);
    refused(seller.try_offer(None, labels).await, REFUSED);
    let key = seller.offer(None).await;
    assert_eq!(buyer.quote(key).await.unwrap(), units(1));
    // The price is the last question: what filter and consent wanted to remember goes with it.
    refused(
        buyer.send(&buyer.order(key, Amount::ZERO)).await,
        INSUFFICIENT_AMOUNT,
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    let kept = world
        .after_the_end(|ledger| ["p", "f", "c"].map(|name| ledger.policy_counter("all", name).unwrap()))
        .await;
    assert_eq!(kept, [0, 0, 0], "neither quote, nor offer, nor refused purchase");
}

/// A consent policy that puts 15 KiB aside for every purchase, and never takes any of it back.
fn hoarding(name: &str) -> (&str, Vec<u8>) {
    let (counter, key) = (format!("(i32.const {DATA}) (i32.const 1)"), DATA + 8);
    let body = format!(
        "(local $n i32) (local $end i32)
         (local.set $n (i32.mul (i32.wrap_i64 (call $counter {counter})) (i32.const 15)))
         (local.set $end (i32.add (local.get $n) (i32.const 15)))
         (loop $more
           (i32.store8 (i32.const {key}) (i32.add (i32.const 32) (i32.and (local.get $n) (i32.const 63))))
           (i32.store8 (i32.const {}) (i32.add (i32.const 32) (i32.shr_u (local.get $n) (i32.const 6))))
           (call $set (i32.const {key}) (i32.const 2) (i32.const 1) (i32.const 200000) (i32.const 1024))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $more (i32.lt_u (local.get $n) (local.get $end))))
         (call $add {counter} (i64.const 1))
         {}",
        key + 1,
        yes()
    );
    let guest = Guest::of(name, PolicyHook::Consent).with_state().data(b"n");
    (name, guest.authorize(body).build())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_whose_memory_is_full_fails_rather_than_forgets() {
    let mut world = World::with_policies(&[hoarding("hoards")], |config| {
        config.policies.rule = vec![Rule {
            uri: Some("com.hoarded.".to_owned()),
            ..rule(Hook::Consent, "hoards")
        }];
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let uri = Dict::from([("uri".to_owned(), Value::from("com.hoarded."))]);
    let hoarded = seller.try_offer(Some(units(1)), uri).await.unwrap();
    let free = seller.offer(Some(units(1))).await;
    let mut sales = 0;
    let full = loop {
        match buyer.buy_at(hoarded, units(1)).await {
            Ok(_) => sales += 1,
            Err(error) => break error,
        }
        assert!(sales < 100, "there is no end to it");
    };
    // A mebibyte holds that many times 15 KiB with its keys.
    assert!((60..=68).contains(&sales), "{sales} sales");
    for error in [
        full,
        buyer.send(&buyer.order(hoarded, units(1))).await.unwrap_err(),
        buyer.quote(hoarded).await.unwrap_err(),
    ] {
        assert_eq!(error.uri, POLICY_FAILED, "{error:?}");
        assert_eq!(error.kwargs["policy"], Value::from("hoards"));
        assert_eq!(error.kwargs["code"], Value::from("host"));
        assert!(error_text(&error).contains("1048576 bytes"), "{error:?}");
    }
    // The others trade on, and so does this one once it hoards no more.
    buyer.buy_at(free, units(1)).await.unwrap();
    let file = world.data().join("policies").join("hoards.wasm");
    std::fs::write(file, willing("hoards", PolicyHook::Consent)).unwrap();
    until("the frugal revision", async || buyer.quote(hoarded).await.is_ok()).await;
    buyer.buy(hoarded).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    let (counted, sizes) = world
        .after_the_end(|ledger| {
            let counted = ledger.policy_counter("hoards", "n").unwrap();
            (counted, ledger.policy_sizes().unwrap())
        })
        .await;
    assert_eq!(counted, sales);
    assert!(sizes[0].1 <= 1 << 20, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_remembers_so_much_at_once_and_is_refused_where_it_would_be_more() {
    // Sixteen additions a call: four rules fill a purchase's share, the fifth is too much.
    let body = format!("{} {}", yes(), add(0, 1).repeat(16));
    let guest = Guest::of("busy", PolicyHook::Consent)
        .with_state()
        .data(b"n")
        .authorize(body);
    let mut world = World::with_policies(&[("busy", guest.build())], |config| {
        config.policies.rule = vec![rule(Hook::Consent, "busy"); 4];
        config.policies.rule.push(Rule {
            uri: Some("com.much.".to_owned()),
            ..rule(Hook::Consent, "busy")
        });
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let enough = seller.offer(Some(units(1))).await;
    let uri = Dict::from([("uri".to_owned(), Value::from("com.much."))]);
    let too_much = seller.try_offer(Some(units(1)), uri).await.unwrap();
    let error = refused(buyer.send(&buyer.order(too_much, units(1))).await, POLICY_FAILED);
    assert!(error_text(&error).contains("80 things"), "{error:?}");
    buyer.buy_at(enough, units(1)).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    let kept = world
        .after_the_end(|ledger| ledger.policy_counter("busy", "n").unwrap())
        .await;
    assert_eq!(kept, 64);
}

/// Every posted purchase of the ledger with its decisions.
async fn told(world: &mut World) -> Vec<(Purchase, Vec<(Decision, Record)>)> {
    world
        .after_the_end(|ledger| {
            let mut by_purchase = BTreeMap::<PurchaseId, Vec<(Decision, Record)>>::new();
            ledger
                .decisions(Nanos(0), Nanos(u64::MAX), &mut |decision| {
                    let record = Record::decode(&decision.body).unwrap();
                    let purchase = decision.header.purchase.expect("the ledger holds no others");
                    by_purchase.entry(purchase).or_default().push((decision, record));
                    ControlFlow::Continue(())
                })
                .unwrap();
            let mut told = Vec::new();
            ledger
                .sold_since(Nanos(0), &mut |id, _| {
                    let purchase = ledger.purchase(&id).unwrap().expect("its seller was asked");
                    let decisions = by_purchase.remove(&id).unwrap_or_default();
                    told.push((purchase, decisions));
                })
                .unwrap();
            assert!(by_purchase.is_empty(), "decisions of no posted purchase");
            told
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_keeps_every_decision_behind_it_and_each_can_be_repeated_exactly() {
    for instances in [Instances::Fresh, Instances::Warm] {
        every_decision_is_kept(instances).await;
    }
}

async fn every_decision_is_kept(instances: Instances) {
    let (name, bytes) = counting_all("all");
    let mut world = World::with_policies(&[(name, bytes.clone())], |config| {
        config.policies.rule = [Hook::Pricing, Hook::Offers, Hook::Consent]
            .map(|hook| Rule {
                instances,
                ..rule(hook, "all")
            })
            .into();
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let mut receipts: Vec<Receipt> = Vec::new();
    // Without a quote the price is decided in the purchase, with one before it; and a fixed price by nobody.
    receipts.push(buyer.buy_at(key, units(1)).await.unwrap());
    receipts.push(buyer.buy(key).await.unwrap());
    let fixed = seller.offer(Some(units(50))).await;
    receipts.push(buyer.buy_at(fixed, units(50)).await.unwrap());
    assert_eq!(
        receipts.iter().map(|receipt| receipt.paid).collect::<Vec<_>>(),
        [1, 2, 50].map(units)
    );
    // What comes to nothing is not in the ledger.
    buyer.quote(key).await.unwrap();
    refused(
        buyer.send(&buyer.order(fixed, Amount::ZERO)).await,
        INSUFFICIENT_AMOUNT,
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    world.host().flush_log();
    let logged = decisions(&world);

    let mut told = told(&mut world).await;
    told.sort_by_key(|(purchase, _)| purchase.payment_seq);
    assert_eq!(told.len(), receipts.len());
    let revision = Engine::new(EngineOptions::default())
        .unwrap()
        .load(name, &bytes)
        .unwrap();
    let mut in_ledger = BTreeSet::new();
    let (buy, quote) = (Action::Buy, Action::Quote);
    let expected = [
        vec![("offers", buy), ("consent", buy), ("pricing", buy)],
        vec![("pricing", quote), ("offers", buy), ("consent", buy)],
        vec![("offers", buy), ("consent", buy)],
    ];
    for (((purchase, decisions), expected), receipt) in told.iter().zip(expected).zip(&receipts) {
        assert_eq!(
            (purchase.payment_seq, purchase.price),
            (receipt.seq, receipt.paid)
        );
        let mut made: Vec<(&str, Action)> = decisions
            .iter()
            .map(|(decision, record)| {
                let action = match &record.input {
                    Input::Pricing(input) => input.action,
                    Input::Filter(input) => input.action,
                    Input::Consent(input) => input.action,
                    other => panic!("{other:?} comes to no purchase"),
                };
                (decision.header.hook.as_str(), action)
            })
            .collect();
        let mut expected = expected;
        made.sort_unstable_by_key(|(hook, _)| hook.to_owned());
        expected.sort_unstable_by_key(|(hook, _)| hook.to_owned());
        assert_eq!(made, expected);
        for (decision, record) in decisions {
            assert_eq!(record.id.as_ref().unwrap().0, decision.id);
            assert_eq!(decision.header.revision, revision.id());
            assert!(
                !record.imports.is_empty(),
                "its questions to the state are recorded"
            );
            let replay = revision.replay(record).unwrap();
            assert!(replay.is_exact(), "{:?}", replay.differences);
            assert!(logged.contains(record), "the log tells it too, at once");
            in_ledger.insert(decision.id);
        }
        let priced = decisions
            .iter()
            .find(|(decision, _)| decision.header.hook == "pricing");
        let source = priced.map_or(PriceSource::Fixed, |(decision, _)| {
            PriceSource::Policy(decision.id)
        });
        assert_eq!(purchase.source, source);
    }
    // Of the log, what came to nothing replays no less.
    assert!(logged.len() > in_ledger.len());
    for record in &logged {
        assert!(revision.replay(record).unwrap().is_exact());
    }
    let store = bourse_store::Store::open_read_only(world.data(), world.config().store.map_size).unwrap();
    let kept = ["p", "f", "c"].map(|name| store.read().unwrap().policy_counter("all", name).unwrap());
    assert_eq!(
        kept,
        [2, 3, 30],
        "each purchase counted once, by whoever was asked"
    );
}
