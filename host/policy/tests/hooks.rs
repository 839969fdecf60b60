//! What offers and consent hooks are told, what they may answer, and what the host makes of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at its first surprise"
)]

mod support;

use bourse_policy::testing::hostile::{refusing, willing};
use bourse_policy::testing::{DATA, Guest, field_offset, no, verdict, yes};
use bourse_policy::{
    Batch, Decided, Declined, Failure, Grants, Hook, Input, Instances, Limits, NoImports, Output, Revision,
    Shown,
};
use support::{admit_request, batch, call_all, consent_request, filter_request, grant, load, offer, offers};

fn filter(revision: &Revision, batch: &Batch) -> Decided<Shown> {
    revision.filter(
        &filter_request(batch),
        &NoImports,
        Grants::NONE,
        &Limits::default(),
    )
}

fn verdict_of(keep: &[u8], order: &[u32]) -> Revision {
    let order_at = DATA + keep.len().next_multiple_of(4) as u32;
    let mut data = keep.to_vec();
    data.resize(keep.len().next_multiple_of(4), 0);
    data.extend(order.iter().flat_map(|index| index.to_le_bytes()));
    let body = verdict((DATA, keep.len() as u32), (order_at, order.len() as u32));
    load(
        "verdict",
        &Guest::of("verdict", Hook::Offers)
            .data(&data)
            .filter(body)
            .build(),
    )
}

#[test]
fn a_guest_that_says_yes_and_one_that_says_no_are_heard_in_every_hook() {
    for hook in Hook::ALL {
        let revision = load("willing", &willing("willing", hook));
        assert_eq!(revision.hooks(), [hook]);
        for came in call_all(&revision, hook, &NoImports, Grants::NONE, &Limits::default()) {
            assert_eq!(came.declined, None, "{}", came.what);
            assert_eq!(came.record.hook, hook);
            assert!(came.fuel > 0);
        }
        let revision = load(
            "unwilling",
            &refusing("unwilling", hook, "sold_out", "Come back later."),
        );
        for came in call_all(&revision, hook, &NoImports, Grants::NONE, &Limits::default()) {
            if came.what == "filter" {
                assert_eq!(came.record.output, Output::Shown { indices: Vec::new() });
                continue;
            }
            let expected = Declined::Refused {
                code: "sold_out".to_owned(),
                text: "Come back later.".to_owned(),
            };
            assert_eq!(came.declined, Some(expected), "{}", came.what);
            assert_eq!(came.record.outcome, "refused");
        }
    }
}

#[test]
fn each_function_has_its_own_word_for_a_good_outcome() {
    let words = |hook: Hook| -> Vec<String> {
        let revision = load("willing", &willing("willing", hook));
        call_all(&revision, hook, &NoImports, Grants::NONE, &Limits::default())
            .into_iter()
            .map(|came| came.record.outcome.into_owned())
            .collect()
    };
    assert_eq!(words(Hook::Pricing), ["priced"]);
    assert_eq!(words(Hook::Offers), ["admitted", "shown"]);
    assert_eq!(words(Hook::Consent), ["allowed"]);
}

#[test]
fn a_hook_that_is_not_exported_is_missing_and_nothing_runs() {
    let revision = load("willing", &willing("willing", Hook::Pricing));
    for hook in [Hook::Offers, Hook::Consent] {
        for came in call_all(&revision, hook, &NoImports, Grants::NONE, &Limits::default()) {
            assert_eq!(came.declined, Some(Failure::MissingHook { hook }.into()));
            assert_eq!(came.fuel, 0);
        }
    }
}

#[test]
fn one_component_can_serve_all_three_hooks() {
    let guest = Guest::of("all", Hook::Offers)
        .also(Hook::Consent)
        .also(Hook::Pricing);
    let revision = load("all", &guest.build());
    assert_eq!(revision.hooks(), Hook::ALL);
    for hook in Hook::ALL {
        for came in call_all(&revision, hook, &NoImports, Grants::NONE, &Limits::default()) {
            assert_eq!(came.declined, None);
        }
    }
}

#[test]
fn a_batch_arrives_as_it_was_packed_with_its_layout_and_count() {
    // Says no by trapping unless every byte adds up to what the host says.
    let body = "(if (i32.ne (local.get $layout) (i32.const 1)) (then unreachable))
        (if (i32.ne (local.get $count) (i32.const 3)) (then unreachable))
        (if (i32.ne (i32.load (i32.add (local.get $batch) (i32.const 12))) (local.get $batch_len)) (then unreachable))
        (if (i64.ne (local.get $now) (i64.const 11)) (then unreachable))
        (if (i32.ne (local.get $action) (i32.const 1)) (then unreachable))
        (if (i32.ne (local.get $buyer_c) (i32.const 0x0d0d0d0d)) (then unreachable))
        (if (i32.ne (local.get $params_len) (i32.const 7)) (then unreachable))";
    let guest =
        Guest::of("reader", Hook::Offers).filter(format!("{body} {}", bourse_policy::testing::keep_all()));
    let revision = load("reader", &guest.build());
    let decided = filter(&revision, &batch(&offers(3)));
    assert_eq!(decided.outcome.unwrap().indices, [0, 1, 2]);
}

#[test]
fn kept_offers_come_in_the_policys_order_first_and_then_in_the_hosts() {
    let ten = batch(&offers(10));
    for (keep, order, expected) in [
        ([0b1111_1111, 0b11], vec![], (0..10).collect()),
        ([0b1111_1111, 0b1111_1111], vec![], (0..10).collect::<Vec<u32>>()),
        ([0b1000_0001, 0b10], vec![], vec![0, 7, 9]),
        ([0b1000_0001, 0b10], vec![9], vec![9, 0, 7]),
        ([0b1000_0001, 0b10], vec![7, 9, 0], vec![7, 9, 0]),
        ([0, 0], vec![], vec![]),
    ] {
        let decided = filter(&verdict_of(&keep, &order), &ten);
        assert_eq!(decided.outcome.unwrap().indices, expected, "{keep:?} {order:?}");
        assert_eq!(decided.record.output, Output::Shown { indices: expected });
    }
}

#[test]
fn a_verdict_that_adds_repeats_or_brings_back_an_offer_is_no_answer() {
    let ten = batch(&offers(10));
    for (keep, order, why) in [
        (vec![0xff], vec![], "`keep` has 1 bytes: 10 offers need 2"),
        (vec![0xff; 3], vec![], "`keep` has 3 bytes: 10 offers need 2"),
        (vec![], vec![], "`keep` has 0 bytes: 10 offers need 2"),
        (
            vec![0xff, 0xff],
            vec![10],
            "`order` holds 10, which is not one of 10 offers",
        ),
        (
            vec![0xff, 0xff],
            vec![u32::MAX],
            "`order` holds 4294967295, which is not one of 10 offers",
        ),
        (
            vec![0xff, 0xff],
            vec![3, 4, 3],
            "`order` holds 3, which is in it twice",
        ),
        (vec![0xfe, 0xff], vec![0], "`order` holds 0, which is not kept"),
    ] {
        let decided = filter(&verdict_of(&keep, &order), &ten);
        let expected = Failure::BadOutput {
            reason: why.to_owned(),
        };
        assert_eq!(decided.outcome, Err(Declined::Failed(expected)));
        assert!(decided.changes.is_empty());
    }
}

#[test]
fn a_batch_may_be_empty_or_full_but_not_more() {
    let revision = load("willing", &willing("willing", Hook::Offers));
    assert_eq!(filter(&revision, &batch(&[])).outcome.unwrap().indices, [0u32; 0]);
    let full = filter(&revision, &batch(&offers(Batch::MAX)));
    assert_eq!(full.outcome.unwrap().indices.len(), Batch::MAX);
    let more = filter(&revision, &batch(&offers(Batch::MAX + 1)));
    let expected = Failure::BadBatch {
        count: 1001,
        limit: 1000,
    };
    assert_eq!(more.outcome, Err(Declined::Failed(expected)));
    assert_eq!(more.fuel, 0);
}

#[test]
fn a_page_of_the_fattest_offers_is_no_reason_to_run_out_of_memory() {
    let mut fat = offer();
    fat.categories = (0..32).map(|at| (format!("{at:064}"), "x".repeat(500))).collect();
    let many = vec![fat; 1000];
    let batch = batch(&many);
    assert!(batch.bytes().len() > Limits::default().memory);
    let revision = load("willing", &willing("willing", Hook::Offers));
    let decided = filter(&revision, &batch);
    assert_eq!(decided.outcome.unwrap().indices.len(), 1000);
    assert!(revision.replay(&decided.record).unwrap().is_exact());
}

#[test]
fn the_record_of_a_filter_shares_the_batch_with_its_request() {
    let batch = batch(&offers(3));
    let decided = filter(&load("willing", &willing("willing", Hook::Offers)), &batch);
    let Input::Filter(input) = &decided.record.input else {
        panic!("{:?}", decided.record.input)
    };
    assert!(core::ptr::eq(input.batch.0.as_slice(), batch.bytes()));
}

#[test]
fn an_offer_to_be_admitted_arrives_with_its_context() {
    // Context and offer lie one after the other, as the two first fields of a price request do.
    for (path, further, load_word, expected) in [
        ("ctx.now", 0, "i64.load", 11u64),
        ("ctx.action", 0, "i64.load8_u", 0),
        ("ctx.buyer", 0, "i64.load8_u", 0),
        ("offer.seller.c", 0, "i64.load32_u", 0x0505_0505),
        ("offer.expires", 8, "i64.load", 3_000),
        ("offer.categories", 4, "i64.load32_u", 2),
    ] {
        let at = bourse_policy::testing::request_offset(path) + further;
        let word = format!("({load_word} (i32.add (local.get $request) (i32.const {at})))");
        let body = format!(
            "(if (i64.ne {word} (i64.const {expected})) (then unreachable)) {}",
            yes()
        );
        let revision = load("reader", &Guest::of("reader", Hook::Offers).admit(body).build());
        let decided = revision.admit(
            &admit_request(&offer()),
            &NoImports,
            Grants::NONE,
            &Limits::default(),
        );
        assert_eq!(decided.outcome, Ok(()), "{path}");
    }
}

#[test]
fn consents_of_both_parties_arrive_with_every_field() {
    let consents = [grant(), grant()];
    let at = |path: &str| field_offset("consent", "request", path);
    let of_grant = |path: &str| field_offset("consent", "grant", path);
    let list = |path: &str| {
        format!(
            "(i32.load (i32.add (local.get $request) (i32.const {})))",
            at(path)
        )
    };
    let size = field_offset("consent", "grant", "attributes") + 8;
    // The second grant of the seller: `attributes` is the last field, and its size is a multiple of the alignment.
    let second = size.next_multiple_of(8);
    for (place, load_word, expected) in [
        (
            format!("(i32.add (local.get $request) (i32.const {}))", at("offer")),
            "i64.load8_u",
            1,
        ),
        (
            format!(
                "(i32.add (local.get $request) (i32.const {}))",
                at("buyer-grants") + 4
            ),
            "i64.load32_u",
            2,
        ),
        (
            format!(
                "(i32.add {} (i32.const {}))",
                list("seller-grants"),
                second + of_grant("updated")
            ),
            "i64.load",
            24,
        ),
        (
            format!(
                "(i32.add {} (i32.const {}))",
                list("seller-grants"),
                second + of_grant("delegate-type")
            ),
            "i64.load8_u",
            3,
        ),
        (
            format!(
                "(i32.add {} (i32.const {}))",
                list("buyer-grants"),
                of_grant("granted")
            ),
            "i64.load8_u",
            1,
        ),
        (
            format!(
                "(i32.add {} (i32.const {}))",
                list("buyer-grants"),
                of_grant("delegate") + 16
            ),
            "i64.load32_u",
            0x1616_1616,
        ),
        (
            format!(
                "(i32.add {} (i32.const {}))",
                list("buyer-grants"),
                of_grant("attributes") + 4
            ),
            "i64.load32_u",
            1,
        ),
    ] {
        let body = format!(
            "(if (i64.ne ({load_word} {place}) (i64.const {expected})) (then unreachable)) {}",
            yes()
        );
        let revision = load(
            "reader",
            &Guest::of("reader", Hook::Consent).authorize(body).build(),
        );
        let decided = revision.authorize(
            &consent_request(Some(&offer()), &consents),
            &NoImports,
            Grants::NONE,
            &Limits::default(),
        );
        assert_eq!(decided.outcome, Ok(()), "{place} {load_word}");
    }
}

#[test]
fn a_query_asks_for_consent_without_an_offer() {
    let at = field_offset("consent", "request", "offer");
    let body = format!(
        "(if (i32.load8_u (i32.add (local.get $request) (i32.const {at}))) (then unreachable)) {}",
        no((DATA, 4), (DATA, 4))
    );
    let guest = Guest::of("reader", Hook::Consent).data(b"none").authorize(body);
    let decided = load("reader", &guest.build()).authorize(
        &consent_request(None, &[]),
        &NoImports,
        Grants::NONE,
        &Limits::default(),
    );
    assert!(matches!(decided.outcome, Err(Declined::Refused { code, .. }) if code == "none"));
}

#[test]
fn a_record_says_on_what_kind_of_instance_it_was_decided() {
    let revision = load("willing", &willing("willing", Hook::Consent));
    for instances in [Instances::Fresh, Instances::Warm] {
        let limits = Limits {
            instances,
            ..Limits::default()
        };
        let decided = revision.authorize(&consent_request(None, &[]), &NoImports, Grants::NONE, &limits);
        assert_eq!(decided.record.instance, instances);
    }
}
