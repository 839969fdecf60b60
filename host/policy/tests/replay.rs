//! Whatever a policy was asked and told, its decision goes into a record, through both forms, and comes out again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

mod support;

use bourse_market::{Address, Amount, ApiId, CatalogId, Figures, KeyId, MarketId, Nanos, Offer, Price};
use bourse_policy::testing::{ANSWER, BITMAP, DATA, Guest, IMPORTED, computed, no, place, yes};
use bourse_policy::{
    Action, AdmitRequest, Batch, ConsentGrant, ConsentRequest, Decided, Edit, FilterRequest, Grants, Hook,
    Input, Limits, OfferInput, PriceRequest, Record, Revision,
};
use proptest::prelude::*;
use std::sync::LazyLock;
use support::{Scripted, load, offer};

/// Asks everything that can be asked, and leaves the sum of what it was told in the global `$sum`.
fn prelude() -> String {
    let key = format!("(i32.const {DATA}) (i32.const 3)");
    let add = |what: &str| format!("(global.set $sum (i64.add (global.get $sum) {what}))");
    let loaded = |at: u32| add(&format!("(i64.load (i32.const {at}))"));
    [
        format!(
            "(call $demand (i32.const 3) (i64.const 7) (i64.const 8) (i32.const 9) (i32.const 60000)
               (i32.const {IMPORTED}))"
        ),
        loaded(IMPORTED),
        loaded(IMPORTED + 8),
        format!("(call $get {key} (i32.const {}))", IMPORTED + 512),
        add(&format!("(i64.load32_u (i32.const {}))", IMPORTED + 520)),
        add(&format!("(call $counter {key})")),
        format!("(call $add {key} (global.get $sum))"),
        format!("(call $set {key} (i32.const 1) (i32.const {IMPORTED}) (i32.const 40))"),
        add(&format!("(call $counter {key})")),
        format!("(call $get {key} (i32.const {}))", IMPORTED + 512),
        add(&format!("(i64.load32_u (i32.const {}))", IMPORTED + 520)),
        format!("(call $line (i32.const 1) (i32.const {DATA}) (i32.const 6))"),
    ]
    .concat()
}

/// Keeps the offers whose keys begin with an even byte, and orders them from the last to the first.
fn choosing() -> String {
    let len = "(i32.div_u (i32.add (local.get $count) (i32.const 7)) (i32.const 8))";
    format!(
        "(local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 4)
           (i32.mul (local.get $count) (i32.const 4))))
         (i32.store (i32.const {}) (local.get $at))
         (local.set $i (local.get $count))
         (block $done (loop $on
           (br_if $done (i32.eqz (local.get $i)))
           (local.set $i (i32.sub (local.get $i) (i32.const 1)))
           (if (i32.eqz (i32.and (i32.const 1) (i32.load8_u (i32.add (local.get $batch)
                 (i32.load (i32.add (local.get $batch) (i32.mul (local.get $i) (i32.const 4))))))))
             (then
               (local.set $j (i32.add (i32.const {BITMAP}) (i32.shr_u (local.get $i) (i32.const 3))))
               (i32.store8 (local.get $j) (i32.or (i32.load8_u (local.get $j))
                 (i32.shl (i32.const 1) (i32.and (local.get $i) (i32.const 7)))))
               (i32.store (local.get $at) (local.get $i))
               (local.set $at (i32.add (local.get $at) (i32.const 4)))))
           (br $on)))
         {} (i32.store (i32.const {}) {len})
         (i32.store (i32.const {}) (i32.shr_u (i32.sub (local.get $at) (i32.load (i32.const {}))) (i32.const 2)))
         (i32.const {ANSWER})",
        ANSWER + 8,
        place(ANSWER, BITMAP),
        ANSWER + 4,
        ANSWER + 12,
        ANSWER + 8,
    )
}

/// A policy of all hooks that asks everything, and refuses where what it was told adds up to an odd number.
static CURIOUS: LazyLock<Revision> = LazyLock::new(|| {
    let odd = "(i64.eqz (i64.and (global.get $sum) (i64.const 1)))";
    let judge = format!(
        "{} (if (result i32) {odd} (then {}) (else {}))",
        prelude(),
        yes(),
        no((DATA, 3), (DATA + 3, 5))
    );
    let guest = Guest::named("curious")
        .with_market()
        .with_state()
        .with_log()
        .data(b"oddstrange")
        .items("(global $sum (mut i64) (i64.const 0))")
        .quote(format!("{} {}", prelude(), computed("(global.get $sum)", 5)))
        .admit(judge.clone())
        .authorize(judge)
        .filter(format!("{} {}", prelude(), choosing()));
    load("curious", &guest.build())
});

fn amounts() -> impl Strategy<Value = Amount> {
    any::<[u64; 4]>().prop_map(Amount::from_limbs)
}

fn texts() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}

prop_compose! {
    fn all_offers()(
        key: [u8; 16], api: [u8; 16], seller: [u8; 20],
        catalog in any::<Option<[u8; 16]>>(), uri in texts(), provider_id in proptest::option::of(texts()),
        times in any::<(u64, Option<u64>, Option<u64>)>(), price in proptest::option::of(amounts()),
        copies: Option<u32>, remaining: Option<u32>,
        categories in proptest::collection::btree_map(texts(), texts(), 0..5),
    ) -> Offer {
        Offer {
            key: KeyId(key),
            api: ApiId(api),
            seller: Address(seller),
            catalog: catalog.map(CatalogId),
            uri,
            provider_id,
            placed_at: Nanos(times.0),
            valid_from: times.1.map(Nanos),
            expires: times.2.map(Nanos),
            price: price.map_or(Price::Dynamic, Price::Fixed),
            copies,
            remaining,
            categories,
            ..offer()
        }
    }
}

prop_compose! {
    fn consents()(
        member: [u8; 20], delegate: [u8; 20], catalog: [u8; 16], delegate_type: u8, api_prefix in texts(),
        updated: u64, granted: bool, attributes in proptest::collection::vec((texts(), texts()), 0..4),
    ) -> ConsentGrant {
        ConsentGrant {
            member: Address(member),
            delegate: Address(delegate),
            catalog: CatalogId(catalog),
            delegate_type,
            api_prefix,
            updated,
            granted,
            attributes,
        }
    }
}

prop_compose! {
    fn answers()(
        sales: u64, volume in amounts(), quotes: u64, last_price in proptest::option::of(amounts()),
        last_at: Option<u64>, value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100)),
        counter: i64,
    ) -> Scripted {
        Scripted {
            figures: Figures { sales, volume, quotes, last_price, last_at: last_at.map(Nanos) },
            values: value.map(|value| ("odd".to_owned(), value)).into_iter().collect(),
            counters: [("odd".to_owned(), counter)].into(),
            ..Scripted::default()
        }
    }
}

/// Takes a decision through both forms and repeats it.
fn round<T>(decided: &Decided<T>) -> Result<(), TestCaseError> {
    let record = &decided.record;
    let line = record.to_json();
    prop_assert!(!line.contains('\n'));
    let from_json = Record::from_json(&line).unwrap();
    prop_assert_eq!(&from_json, record);
    let from_bytes = Record::decode(&from_json.encode()).unwrap();
    prop_assert_eq!(&from_bytes, record);
    let replay = CURIOUS.replay(&from_bytes).unwrap();
    prop_assert!(
        replay.is_exact(),
        "{:?} {:?}",
        replay.differences,
        replay.record.output
    );
    prop_assert_eq!(record.imports.len(), 8);
    match &decided.outcome {
        Ok(_) => {
            prop_assert_eq!(decided.changes.len(), 2);
            prop_assert!(
                decided
                    .changes
                    .first()
                    .is_some_and(|change| matches!(change.edit, Edit::Add(_)))
            );
        }
        Err(_) => prop_assert!(decided.changes.is_empty()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_survives_both_forms_and_repeats_exactly(
        offers in proptest::collection::vec(all_offers(), 1..20),
        grants in proptest::collection::vec(consents(), 0..4),
        scripted in answers(),
        params in texts(),
        buyer: Option<[u8; 20]>,
        now: u64,
        bounds in (amounts(), amounts()),
        max_valid_ms: u32,
    ) {
        let (now, market, buyer) = (Nanos(now), MarketId([1; 16]), buyer.map(Address));
        let (action, params, offer, limits) = (Action::Buy, params.as_str(), &offers[0], Limits::default());
        let revision = &*CURIOUS;
        let ask = PriceRequest {
            now, market, action, buyer, params, offer,
            base: None,
            floor: bounds.0.min(bounds.1),
            cap: bounds.0.max(bounds.1),
            max_valid_ms,
        };
        round(&revision.price(&ask, &scripted, Grants::ALL, &limits))?;
        let ask = AdmitRequest { now, market, action, buyer, params, offer };
        round(&revision.admit(&ask, &scripted, Grants::ALL, &limits))?;
        let ask = ConsentRequest {
            now, market, action, buyer, params,
            offer: (offers.len() > 1).then_some(offer),
            buyer_grants: &grants,
            seller_grants: grants.get(1..).unwrap_or_default(),
        };
        round(&revision.authorize(&ask, &scripted, Grants::ALL, &limits))?;
        let batch = Batch::of(&offers.iter().collect::<Vec<_>>());
        let ask = FilterRequest { now, market, action, buyer, params, batch: &batch };
        let decided = revision.filter(&ask, &scripted, Grants::ALL, &limits);
        round(&decided)?;
        let Input::Filter(input) = &decided.record.input else { panic!("not of a filter") };
        let unpacked = input.offers().unwrap();
        for (offer, packed) in offers.iter().zip(unpacked) {
            let expected = OfferInput { id: packed.id, ..OfferInput::from(offer) };
            prop_assert_eq!(packed, expected);
        }
        let even = |index: &u32| offers[*index as usize].key.0[0] % 2 == 0;
        let expected: Vec<u32> = (0..offers.len() as u32).rev().filter(even).collect();
        prop_assert_eq!(decided.outcome.unwrap().indices, expected);
    }
}

#[test]
fn the_form_of_before_is_still_read() {
    let revision = load("willing", &Guest::named("willing").build());
    let offer = offer();
    let decided = revision.price(
        &support::request(&offer),
        &Scripted::default(),
        Grants::NONE,
        &Limits::default(),
    );
    let bytes = decided.record.encode();
    // Version 1 was the same without the last byte.
    let mut older = bytes[..bytes.len() - 1].to_vec();
    older[0] = 1;
    assert_eq!(Record::decode(&older).unwrap(), decided.record);
    let mut json: serde_json::Value = serde_json::from_str(&decided.record.to_json()).unwrap();
    json["v"] = 1.into();
    json.as_object_mut().unwrap().remove("instance");
    assert_eq!(Record::from_json(&json.to_string()).unwrap(), decided.record);
    assert_eq!(decided.record.hook, Hook::Pricing);
}
