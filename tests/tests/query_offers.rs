//! query_offers, which the old market maker never had (W-43).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's own helpers may stop the test"
)]

use bourse_app::config::{Hook, Rule};
use bourse_market::{ApiId, View};
use bourse_tests::{Buyer, Seller, World, call, call_named, error_text, refused, tokens};
use bourse_wamp::{CallOptions, Dict, Session, Value, WampError};
use std::time::Duration;

const API: ApiId = ApiId([7; 16]);

fn named(entries: &[(&str, Value)]) -> Dict {
    let usual = [
        ("api_id", Value::from(API.0)),
        ("from_ts", Value::Int(0u64.into())),
    ];
    usual
        .iter()
        .chain(entries)
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

/// The offers' keys and the cursor.
async fn page(session: &Session, kwargs: Dict) -> (Vec<Vec<u8>>, Value) {
    let options = CallOptions {
        timeout: Some(Duration::from_secs(30)),
        ..CallOptions::default()
    };
    let mut result = session
        .call("xbr.marketmaker.query_offers", Vec::new(), kwargs, options)
        .await
        .unwrap();
    let Some(Value::List(offers)) = result.args.pop() else {
        panic!("expected a list")
    };
    let keys = offers
        .iter()
        .map(|offer| bourse_tests::bytes_of(offer, "key").to_vec());
    (keys.collect(), result.kwargs.remove("cursor").unwrap())
}

async fn found(session: &Session, entries: &[(&str, Value)]) -> Vec<Vec<u8>> {
    page(session, named(entries)).await.0
}

async fn offer(seller: &Seller, uri: &str, categories: &[(&str, &str)]) -> Vec<u8> {
    let categories: Dict = categories
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect();
    let more = Dict::from([
        ("uri".to_owned(), Value::from(uri)),
        ("categories".to_owned(), Value::Map(categories)),
    ]);
    seller.try_offer(Some(tokens(1)), more).await.unwrap().0.to_vec()
}

#[tokio::test]
async fn w_43_offers_are_found_by_api_time_uri_seller_and_categories_all_of_which_must_hold() {
    let world = World::start().await;
    let (one, two) = (
        Seller::new(&world, tokens(100)).await,
        Seller::new(&world, tokens(100)).await,
    );
    let a = offer(&one, "com.example.berlin.", &[("kind", "rain"), ("rank", "1")]).await;
    let b = offer(&one, "com.example.bern.", &[("kind", "rain"), ("rank", "2")]).await;
    let c = offer(&two, "com.example.berlin.", &[("kind", "sun"), ("rank", "1")]).await;
    let d = offer(&two, "org.example.", &[]).await;
    let session = world.session().await;

    assert_eq!(found(&session, &[]).await, [&a[..], &b, &c, &d], "oldest first");
    assert_eq!(
        found(&session, &[("uri", "com.example.ber".into())]).await,
        [&a[..], &b, &c]
    );
    assert_eq!(
        found(&session, &[("uri", "com.example.berl".into())]).await,
        [&a[..], &c]
    );
    assert_eq!(found(&session, &[("uri", "o".into())]).await, [&d[..]]);
    let by = |seller: &Seller| Value::from(seller.signer.address().0);
    assert_eq!(found(&session, &[("seller_id", by(&two))]).await, [&c[..], &d]);
    let in_hex = Value::from(two.signer.address().to_string());
    assert_eq!(found(&session, &[("seller_id", in_hex)]).await, [&c[..], &d]);
    let labels = |entries: &[(&str, Value)]| {
        let labels = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()));
        ("categories", Value::Map(labels.collect()))
    };
    assert_eq!(
        found(&session, &[labels(&[("kind", "rain".into())])]).await,
        [&a[..], &b]
    );
    // As the documentation of the protocol has it: an integer.
    let first_rain = labels(&[("kind", "rain".into()), ("rank", Value::Int(1u64.into()))]);
    assert_eq!(found(&session, std::slice::from_ref(&first_rain)).await, [&a[..]]);
    assert!(
        found(&session, &[first_rain, ("seller_id", by(&two))])
            .await
            .is_empty()
    );
    let other = call(
        &session,
        "xbr.marketmaker.query_offers",
        vec![Value::from([8u8; 16]), Value::Int(0u64.into())],
    );
    assert_eq!(other.await.unwrap(), Value::List(Vec::new()), "no such API");
    let ahead = (
        "from_ts",
        Value::Int((bourse_tests::now() + 60_000_000_000).into()),
    );
    assert!(found(&session, &[ahead]).await.is_empty());
    assert!(
        found(&session, &[("until_ts", Value::Int(1u64.into()))])
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn only_offers_that_can_be_bought_are_found() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let in_a_minute = Value::Int((bourse_tests::now() + 60_000_000_000).into());
    let place =
        |name: &str, value: Value| seller.try_offer(Some(tokens(1)), Dict::from([(name.to_owned(), value)]));
    let single = place("copies", Value::Int(1u64.into())).await.unwrap();
    place("valid_from", in_a_minute).await.unwrap();
    let revoked = seller.offer(Some(tokens(1))).await;
    assert_eq!(
        found(&seller.session, &[]).await,
        [single.0.to_vec(), revoked.0.to_vec()]
    );

    call(
        &seller.session,
        "xbr.marketmaker.revoke_offer",
        vec![Value::from(revoked.0)],
    )
    .await
    .unwrap();
    buyer.buy(single).await.unwrap();
    assert!(found(&seller.session, &[]).await.is_empty());
    world.assert_sound();
}

#[tokio::test]
async fn pages_follow_each_other_by_their_cursor_and_leave_nothing_out() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut keys = Vec::new();
    for _ in 0..25 {
        keys.push(seller.offer(Some(tokens(1))).await.0.to_vec());
    }
    let (first, _) = page(&seller.session, named(&[])).await;
    assert_eq!(first, keys[..10], "ten where nothing is said");
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let (more, next) = page(
            &seller.session,
            named(&[("limit", Value::Int(7u64.into())), ("cursor", cursor)]),
        )
        .await;
        seen.extend(more);
        cursor = next;
        if cursor == Value::Null {
            break;
        }
    }
    assert_eq!(seen, keys);
}

#[tokio::test]
async fn each_argument_that_is_wrong_is_named() {
    let world = World::start().await;
    let session = world.session().await;
    let wrong = async |name: &str, value: Value| -> WampError {
        let answer = call_named(
            &session,
            "xbr.marketmaker.query_offers",
            Vec::new(),
            named(&[(name, value)]),
        )
        .await;
        refused(answer, "wamp.error.invalid_argument")
    };
    for (name, value) in [
        ("api_id", Value::Bytes(vec![7; 15])),
        ("api_id", Value::Null),
        ("from_ts", Value::from("yesterday")),
        ("until_ts", Value::Bool(true)),
        ("uri", Value::Int(1u64.into())),
        ("categories", Value::List(Vec::new())),
        (
            "categories",
            Value::Map(Dict::from([("kind".to_owned(), Value::Null)])),
        ),
        ("seller_id", Value::Bytes(vec![1; 16])),
        ("seller_id", Value::from("0x12")),
        ("limit", Value::Int(0u64.into())),
        ("limit", Value::Int(1001u64.into())),
        ("cursor", Value::Bytes(vec![0; 23])),
    ] {
        let error = wrong(name, value.clone()).await;
        assert!(
            error_text(&error).starts_with(&format!("{name}: ")),
            "{value:?}: {error:?}"
        );
    }
    // Any 24 bytes are a place.
    let strange = named(&[("cursor", Value::Bytes(vec![0xff; 24]))]);
    assert_eq!(page(&session, strange).await, (Vec::new(), Value::Null));
}

fn rule(hook: Hook, policy: &str, params: &str) -> Rule {
    Rule {
        hook,
        policy: policy.to_owned(),
        params: params.parse().unwrap(),
        ..Rule::default_pricing()
    }
}

#[tokio::test]
async fn a_filter_gets_the_page_whole_and_what_it_hides_is_not_in_it() {
    let world = World::with(|config| {
        config.policies.rule = vec![
            Rule::default_pricing(),
            rule(Hook::Offers, "fair-share", "share_bp = 5000"),
        ];
    })
    .await;
    let (big, small) = (
        Seller::new(&world, tokens(100)).await,
        Seller::new(&world, tokens(100)).await,
    );
    for _ in 0..8 {
        big.offer(Some(tokens(1))).await;
    }
    let theirs = [
        small.offer(Some(tokens(1))).await,
        small.offer(Some(tokens(1))).await,
    ];
    let session = world.session().await;
    let shown = found(&session, &[]).await;
    let of_small = shown
        .iter()
        .filter(|key| theirs.iter().any(|own| own.0[..] == key[..]))
        .count();
    assert_eq!(of_small, 2, "the small seller is shown whole");
    assert!(shown.len() < 10, "the large one is cut: {}", shown.len());
}

#[tokio::test]
async fn consent_to_all_offers_of_an_api_is_asked_once_and_its_refusal_reaches_the_caller() {
    // Nobody is on record, so nobody gets past this one.
    let world = World::with(|config| {
        config.policies.rule = vec![
            Rule::default_pricing(),
            Rule {
                api: Some(ApiId([8; 16])),
                ..rule(Hook::Consent, "purpose-consent", "purpose = 'research'")
            },
        ];
    })
    .await;
    let session = world.session().await;
    let query = |api: ApiId| {
        let args = vec![Value::from(api.0), Value::Int(0u64.into())];
        call(&session, "xbr.marketmaker.query_offers", args)
    };
    let of_another = query(API).await.unwrap();
    assert_eq!(
        of_another,
        Value::List(Vec::new()),
        "the rule is about another API"
    );
    let error = refused(query(ApiId([8; 16])).await, "bourse.error.refused");
    assert_eq!(error.kwargs.get("policy"), Some(&Value::from("purpose-consent")));
    assert!(
        error.kwargs.contains_key("revision") && error.kwargs.contains_key("code"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_offer_that_is_sold_out_leaves_the_lists_and_its_receipt_is_replayed_all_the_same() {
    let mut world = World::with(|config| config.offers.sweep_after_ms = 100).await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let one_copy = Dict::from([("copies".to_owned(), Value::Int(1u64.into()))]);
    let sold = seller.try_offer(Some(tokens(1)), one_copy).await.unwrap();
    let kept = seller.offer(Some(tokens(1))).await;
    let order = buyer.order(sold, tokens(1));
    let receipt = buyer.pay(&order).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;

    assert_eq!(buyer.send(&order).await.unwrap(), receipt);
    assert_eq!(found(&seller.session, &[]).await, [kept.0.to_vec()]);
    world.assert_sound();
    let listed = world
        .after_the_end(|ledger| {
            [sold, kept].map(|key| ledger.offer_by_key(&key).unwrap().unwrap().is_listed())
        })
        .await;
    assert_eq!(listed, [false, true]);
}
