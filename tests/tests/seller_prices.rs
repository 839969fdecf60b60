//! The seller's own price: an offer that no policy prices is priced by the session that placed it, and by nobody else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::{Amount, KeyId};
use bourse_tests::{Buyer, Seller, World, assert_balanced, call, error_text, map_of, refused, tokens};
use bourse_wamp::{CallResult, Dict, Session, Value, WampError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";

/// A market whose sellers price their own dynamic offers.
async fn world() -> World {
    World::with(|config| {
        config.policies.default_rule = false;
        config.market.quote_deadline_ms = 300;
    })
    .await
}

fn named(price: Value, valid_ms: Value) -> CallResult {
    let answer = Dict::from([("price".to_owned(), price), ("valid_ms".to_owned(), valid_ms)]);
    CallResult {
        args: vec![answer.into()],
        kwargs: Dict::new(),
    }
}

fn price(tokens: Amount, valid_ms: u64) -> CallResult {
    named(Value::from(tokens.to_be_bytes()), Value::Int(valid_ms.into()))
}

/// Registers `xbr.provider.<id>.quote`; the answers are numbered from 1.
async fn quotes_with<F>(session: &Session, provider_id: &str, answer: F) -> Arc<AtomicU64>
where
    F: Fn(u64, Vec<Value>) -> Result<CallResult, WampError> + Clone + Send + Sync + 'static,
{
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    session
        .register(&format!("xbr.provider.{provider_id}.quote"), move |invocation| {
            let answer = answer.clone()(count.fetch_add(1, Ordering::SeqCst) + 1, invocation.args);
            async move { answer }
        })
        .await
        .unwrap();
    asked
}

async fn quote_of(buyer: &Buyer, key: KeyId) -> Result<Value, WampError> {
    call(
        &buyer.session,
        "xbr.marketmaker.get_quote",
        vec![Value::from(key.0)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_nothing_can_price_is_refused_with_the_reason() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let error = refused(seller.try_offer(None, Dict::new()).await, INVALID_ARGUMENT);
    assert_eq!(error.kwargs["argument"], Value::from("price"));
    let text = error_text(&error);
    assert!(
        text.contains(&format!("xbr.provider.{}.quote", seller.provider_id)),
        "{text}"
    );
    // Nor can a stranger make it one that can be priced: the name is held, by the session that sells.
    let stranger = world.session().await;
    let uri = format!("xbr.provider.{}.quote", seller.provider_id);
    let taken = stranger
        .register(&uri, |_| async { Ok(price(tokens(1), 1000)) })
        .await
        .unwrap_err();
    assert!(taken.to_string().contains("not_authorized"), "{taken}");
    refused(seller.try_offer(None, Dict::new()).await, INVALID_ARGUMENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sellers_price_is_told_kept_for_its_validity_and_binding_when_bought() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let asked = quotes_with(&seller.session, &seller.provider_id, |number, args| {
        assert_eq!(args.len(), 2, "the key and the buyer's delegate");
        Ok(price(tokens(number), 60_000))
    })
    .await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(None).await;
    let told = quote_of(&buyer, key).await.unwrap();
    assert_eq!(map_of(&told)["dynamic"], Value::Bool(true));
    assert!(!map_of(&told).contains_key("policy"), "no policy had a say");
    assert_eq!(
        buyer.quote(key).await.unwrap(),
        tokens(1),
        "kept, not asked again"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let receipt = buyer.buy_at(key, tokens(1)).await.unwrap();
    assert_eq!(receipt.paid, tokens(1));
    // The market knows the buyer's delegate now: that is another question to the seller.
    assert_eq!(buyer.quote(key).await.unwrap(), tokens(2));
    // Without a live quote the price is asked for in the purchase, and a buyer who signed less pays nothing.
    let mut other = Buyer::new(&world, tokens(100)).await;
    let error = refused(
        other.send(&other.order(key, tokens(1))).await,
        "xbr.error.insufficient_amount",
    );
    assert_eq!(bourse_tests::error_amount(&error, "price"), tokens(3));
    assert_eq!(other.buy_at(key, tokens(3)).await.unwrap().paid, tokens(3));
    assert_balanced(&world, &[&buyer, &other], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sellers_price_lapses_and_stays_within_the_bounds_of_its_offer() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(100)).await;
    quotes_with(&seller.session, &seller.provider_id, |number, _| {
        Ok(price(tokens(number * 10), 1))
    })
    .await;
    let bounds = Dict::from([
        ("floor".to_owned(), Value::from(tokens(15).to_be_bytes())),
        ("cap".to_owned(), Value::from(tokens(25).to_be_bytes())),
    ]);
    let key = seller
        .try_offer(None, Dict::from([("pricing".to_owned(), bounds.into())]))
        .await
        .unwrap();
    let buyer = Buyer::new(&world, tokens(100)).await;
    let mut prices = Vec::new();
    for _ in 0..3 {
        prices.push(buyer.quote(key).await.unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(prices, [tokens(15), tokens(20), tokens(25)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_is_late_or_talks_nonsense_is_unavailable_and_costs_nothing() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let (zero, absurd) = (Value::from([0u8; 32]), Value::from("much"));
    let answers = [
        named(absurd, Value::Int(1000u64.into())),
        named(zero.clone(), Value::Int(0u64.into())),
        named(zero.clone(), Value::Int(u64::MAX.into())),
        named(zero, Value::Null),
        CallResult {
            args: vec![Value::Int(7u64.into())],
            kwargs: Dict::new(),
        },
    ];
    let count = answers.len() as u64;
    let answers = Arc::new(answers);
    quotes_with(
        &seller.session,
        &seller.provider_id,
        move |number, _| match answers.get(usize::try_from(number - 1).unwrap()) {
            Some(answer) => Ok(answer.clone()),
            None => Err(WampError {
                uri: "com.example.not_today".to_owned(),
                args: vec![Value::from("x".repeat(100_000))],
                kwargs: Dict::new(),
            }),
        },
    )
    .await;
    let key = seller.offer(None).await;
    let buyer = Buyer::new(&world, tokens(100)).await;
    for _ in 0..count {
        let error = refused(quote_of(&buyer, key).await, SELLER_UNAVAILABLE);
        assert!(error_text(&error).contains("makes no sense"), "{error:?}");
    }
    let error = refused(quote_of(&buyer, key).await, SELLER_UNAVAILABLE);
    let text = error_text(&error);
    assert!(
        text.contains("com.example.not_today") && text.len() < 1000,
        "{text:.200}"
    );

    let slow = Seller::new(&world, tokens(100)).await;
    slow.session
        .register(&format!("xbr.provider.{}.quote", slow.provider_id), |_| async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Ok(price(tokens(1), 1000))
        })
        .await
        .unwrap();
    let key = slow.offer(None).await;
    let started = Instant::now();
    let late = refused(buyer.send(&buyer.order(key, tokens(1))).await, SELLER_UNAVAILABLE);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(error_text(&late).contains("in time"), "{late:?}");
    assert_balanced(&world, &[&buyer], &[&seller, &slow]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_takes_over_the_name_names_no_price() {
    let world = world().await;
    let mut seller = Seller::new(&world, tokens(100)).await;
    quotes_with(&seller.session, &seller.provider_id, |_, _| {
        Ok(price(tokens(10), 1))
    })
    .await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(None).await;
    assert_eq!(buyer.quote(key).await.unwrap(), tokens(10));
    seller.session.leave().await;
    let stranger = world.session().await;
    let asked = quotes_with(&stranger, &seller.provider_id, |_, _| {
        Ok(price(Amount::from_units(1), 60_000))
    })
    .await;
    let error = refused(buyer.buy_at(key, Amount::from_units(1)).await, SELLER_UNAVAILABLE);
    assert!(error_text(&error).contains("has not proven"), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "it was not even asked");
    // The seller's own way back: it registers anew and places its key anew.
    stranger.leave().await;
    seller.reconnect(&world).await;
    quotes_with(&seller.session, &seller.provider_id, |_, _| {
        Ok(price(tokens(12), 1000))
    })
    .await;
    let key = seller.offer(None).await;
    assert_eq!(buyer.quote(key).await.unwrap(), tokens(12));
    assert_eq!(buyer.buy_at(key, tokens(12)).await.unwrap().paid, tokens(12));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_policy_prices_the_seller_is_not_asked() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let asked = quotes_with(&seller.session, &seller.provider_id, |_, _| {
        Ok(price(tokens(7), 1000))
    })
    .await;
    let key = seller.offer(None).await;
    let buyer = Buyer::new(&world, tokens(100)).await;
    let told = quote_of(&buyer, key).await.unwrap();
    assert_eq!(map_of(&told)["policy"], Value::from("surge"));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
