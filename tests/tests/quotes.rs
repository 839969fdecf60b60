//! Quotes: what they promise, to whom, for how long, and how often.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::{Amount, KeyId};
use bourse_policy::testing::{Guest, computed, price, request_offset};
use bourse_tests::{
    Behaviour, Buyer, Seller, World, amount_of, assert_balanced, bytes_of, call, error_amount, int_of,
    map_of, now, refused, send, tokens,
};
use bourse_wamp::{Dict, Session, Value};
use std::time::Duration;

const INSUFFICIENT_AMOUNT: &str = "xbr.error.insufficient_amount";
const MILLI: u64 = 1_000_000;

/// A policy that asks the time: every price is higher than all before it.
fn clock(name: &str, valid_ms: u32) -> (&str, Vec<u8>) {
    let now = format!(
        "(i64.load (i32.add (local.get $request) (i32.const {})))",
        request_offset("ctx.now")
    );
    (name, Guest::named(name).quote(computed(&now, valid_ms)).build())
}

/// A policy that asks 2 units of a buyer it knows and 1 of any other.
fn familiar() -> (&'static str, Vec<u8>) {
    let known = format!(
        "(i32.load8_u (i32.add (local.get $request) (i32.const {})))",
        request_offset("ctx.buyer")
    );
    let units = format!("(i64.extend_i32_u (i32.add (i32.const 1) {known}))");
    (
        "familiar",
        Guest::named("familiar").quote(computed(&units, 10_000)).build(),
    )
}

async fn world() -> (World, Seller, Buyer) {
    let policies = [
        clock("clock", 10_000),
        clock("endless", u32::MAX),
        clock("short", 60),
        familiar(),
    ];
    let world = World::with_policies(&policies, |_| {}).await;
    let seller = Seller::new(&world, tokens(1_000_000)).await;
    let buyer = Buyer::new(&world, tokens(100_000)).await;
    (world, seller, buyer)
}

async fn quote(session: &Session, key: KeyId) -> Value {
    call(session, "xbr.marketmaker.get_quote", vec![Value::from(key.0)])
        .await
        .unwrap()
}

/// The buyer pays what it was told, and is told that the price is another by now.
async fn is_priced_afresh(buyer: &Buyer, key: KeyId, told: Amount) {
    let error = refused(buyer.send(&buyer.order(key, told)).await, INSUFFICIENT_AMOUNT);
    assert!(error_amount(&error, "price") > told);
}

#[tokio::test]
async fn a_quote_says_its_price_its_end_and_who_decided() {
    let (world, seller, buyer) = world().await;
    let key = seller.offer_by("clock").await;
    let quote = quote(&buyer.session, key).await;
    assert_eq!(bytes_of(&quote, "key"), key.0);
    assert_eq!(map_of(&quote)["dynamic"], Value::Bool(true));
    assert_eq!(map_of(&quote)["policy"], Value::from("clock"));
    assert_eq!(map_of(&quote)["revision"].as_str().unwrap().len(), 66);
    assert_eq!(
        int_of(&quote, "expires") - int_of(&quote, "timestamp"),
        10_000 * MILLI
    );
    assert_eq!(
        amount_of(&quote, "price"),
        Amount::from_units(int_of(&quote, "timestamp").into())
    );
    world.assert_sound();
}

#[tokio::test]
async fn a_live_quote_is_the_price_of_the_purchase() {
    let (world, seller, mut buyer) = world().await;
    let key = seller.offer_by("clock").await;
    for _ in 0..3 {
        let told = buyer.quote(key).await.unwrap();
        let receipt = buyer.buy_at(key, told).await.unwrap();
        assert_eq!(receipt.paid, told);
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_quote_holds_for_its_session_alone() {
    let (world, seller, mut buyer) = world().await;
    let key = seller.offer_by("clock").await;
    let told = buyer.quote(key).await.unwrap();
    let elsewhere = world.session().await;
    refused(
        send(&elsewhere, &buyer.order(key, told)).await,
        INSUFFICIENT_AMOUNT,
    );
    buyer.buy_at(key, told).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_quote_holds_for_its_key_alone() {
    let (world, seller, mut buyer) = world().await;
    let (key, other) = (seller.offer_by("clock").await, seller.offer_by("clock").await);
    let told = buyer.quote(key).await.unwrap();
    is_priced_afresh(&buyer, other, told).await;
    buyer.buy_at(key, told).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_new_quote_replaces_the_old() {
    let (world, seller, mut buyer) = world().await;
    let key = seller.offer_by("clock").await;
    let (old, new) = (buyer.quote(key).await.unwrap(), buyer.quote(key).await.unwrap());
    is_priced_afresh(&buyer, key, old).await;
    let receipt = buyer.buy_at(key, new).await.unwrap();
    assert_eq!(receipt.paid, new);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_quote_is_used_once() {
    let (world, seller, mut buyer) = world().await;
    let key = seller.offer_by("clock").await;
    let told = buyer.quote(key).await.unwrap();
    buyer.buy_at(key, told).await.unwrap();
    is_priced_afresh(&buyer, key, told).await;
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_quote_survives_what_is_refused_before_the_reservation_but_not_a_failed_sale() {
    let (world, seller, mut buyer) = world().await;
    let key = seller.offer_by("clock").await;
    let told = buyer.quote(key).await.unwrap();
    let mut wrong = buyer.order_at(key, told, buyer.seq.next().unwrap(), tokens(1));
    refused(buyer.send(&wrong).await, "bourse.error.wrong_balance");
    wrong = buyer.order_at(key, told, buyer.seq, tokens(1));
    refused(buyer.send(&wrong).await, "bourse.error.out_of_order");
    buyer.buy_at(key, told).await.unwrap();

    let told = buyer.quote(key).await.unwrap();
    seller.behave(Behaviour::Refuse("crossbar.error.no_such_object"));
    refused(
        buyer.send(&buyer.order(key, told)).await,
        "crossbar.error.no_such_object",
    );
    seller.behave(Behaviour::Honest);
    is_priced_afresh(&buyer, key, told).await;
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_session_holds_sixty_four_quotes_and_loses_the_oldest() {
    let (world, seller, mut buyer) = world().await;
    let mut told = Vec::new();
    for _ in 0..65 {
        let key = seller.offer_by("clock").await;
        told.push((key, buyer.quote(key).await.unwrap()));
    }
    is_priced_afresh(&buyer, told[0].0, told[0].1).await;
    for (key, told) in [told[1], told[64]] {
        buyer.buy_at(key, told).await.unwrap();
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_quote_lapses_when_its_policy_said_and_after_thirty_seconds_at_most() {
    let (world, seller, mut buyer) = world().await;
    let (endless, short) = (seller.offer_by("endless").await, seller.offer_by("short").await);
    let quoted = quote(&buyer.session, endless).await;
    assert_eq!(
        int_of(&quoted, "expires") - int_of(&quoted, "timestamp"),
        30_000 * MILLI
    );

    let told = buyer.quote(short).await.unwrap();
    tokio::time::sleep(Duration::from_millis(80)).await;
    is_priced_afresh(&buyer, short, told).await;
    let told = amount_of(&quoted, "price");
    buyer.buy_at(endless, told).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_lapses_while_its_purchase_waits_is_no_price_any_more() {
    let (world, seller, mut buyer) = world().await;
    let (slow, short) = (
        seller.offer(Some(tokens(1))).await,
        seller.offer_by("short").await,
    );
    let mut waiting = Buyer::new(&world, tokens(100)).await;
    buyer.buy(slow).await.unwrap();
    seller.behave(Behaviour::Slow(Duration::from_millis(250)));
    let first = buyer.order(slow, tokens(1));
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let told = waiting.quote(short).await.unwrap();
        let error = refused(
            waiting.send(&waiting.order(short, told)).await,
            INSUFFICIENT_AMOUNT,
        );
        assert!(error_amount(&error, "price") > told);
    };
    let (sold, ()) = tokio::join!(buyer.pay(&first), late);
    sold.unwrap();
    seller.behave(Behaviour::Honest);
    waiting.buy(slow).await.unwrap();
    assert_balanced(&world, &[&buyer, &waiting], &[&seller]).await;
}

#[tokio::test]
async fn a_quote_is_gone_when_its_offer_is_revoked_or_ends() {
    let (world, seller, buyer) = world().await;
    let revoked = seller.offer_by("clock").await;
    let ends = now() + 300 * MILLI;
    let pricing = Dict::from([("policy".to_owned(), Value::from("clock"))]);
    let ending = seller
        .try_offer(
            None,
            Dict::from([
                ("pricing".to_owned(), pricing.into()),
                ("valid_from".to_owned(), Value::from(ends - 600_000 * MILLI)),
                ("expires".to_owned(), Value::from(ends)),
            ]),
        )
        .await
        .unwrap();
    let told = [
        (revoked, buyer.quote(revoked).await.unwrap()),
        (ending, buyer.quote(ending).await.unwrap()),
    ];
    assert_eq!(
        int_of(&quote(&buyer.session, ending).await, "expires"),
        ends,
        "no quote outlives its offer"
    );
    call(
        &seller.session,
        "xbr.marketmaker.revoke_offer",
        vec![Value::from(revoked.0)],
    )
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_nanos((ends + 20 * MILLI).saturating_sub(now()))).await;
    for (key, told) in told {
        refused(
            buyer.send(&buyer.order(key, told)).await,
            "xbr.error.offer_expired",
        );
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_quote_is_gone_when_its_session_or_the_market_is() {
    let (mut world, mut seller, mut buyer) = world().await;
    let key = seller.offer_by("clock").await;
    let told = buyer.quote(key).await.unwrap();
    buyer.session.leave().await;
    buyer.reconnect(&world).await;
    is_priced_afresh(&buyer, key, told).await;

    let told = buyer.quote(key).await.unwrap();
    world.restart().await;
    buyer.reconnect(&world).await;
    seller.reconnect(&world).await;
    is_priced_afresh(&buyer, key, told).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_purchase_without_a_quote_is_priced_afresh() {
    let steady = (
        "steady",
        Guest::named("steady").quote(price([500, 0, 0, 0], 1)).build(),
    );
    let world = World::with_policies(&[steady], |_| {}).await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer_by("steady").await;
    let receipt = buyer.buy_at(key, Amount::from_units(500)).await.unwrap();
    assert_eq!(receipt.paid, Amount::from_units(500));
    let error = refused(
        buyer.send(&buyer.order(key, Amount::from_units(501))).await,
        "bourse.error.price_changed",
    );
    assert_eq!(error_amount(&error, "price"), Amount::from_units(500));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_policy_knows_the_buyer_of_a_quote_only_after_a_valid_signature_on_its_session() {
    let (world, seller, mut buyer) = world().await;
    let key = seller.offer_by("familiar").await;
    let [stranger, known] = [Amount::from_units(1), Amount::from_units(2)];
    assert_eq!(buyer.quote(key).await.unwrap(), stranger);

    let fixed = seller.offer(Some(tokens(1))).await;
    let mut forged = buyer.order(fixed, tokens(1));
    forged.signature = Buyer::new(&world, tokens(1))
        .await
        .sign(forged.seq, forged.balance);
    refused(buyer.send(&forged).await, "xbr.error.invalid_signature");
    assert_eq!(
        buyer.quote(key).await.unwrap(),
        stranger,
        "a forged signature proves nothing"
    );

    let wrong = buyer.order_at(fixed, tokens(1), buyer.seq, tokens(1));
    refused(buyer.send(&wrong).await, "bourse.error.out_of_order");
    assert_eq!(
        buyer.quote(key).await.unwrap(),
        known,
        "a valid one does, even on a purchase that is refused"
    );

    buyer.reconnect(&world).await;
    assert_eq!(buyer.quote(key).await.unwrap(), stranger, "on that session alone");
    // The live quote, then none.
    buyer.buy_at(key, stranger).await.unwrap();
    buyer.reconnect(&world).await;
    buyer.buy_at(key, known).await.unwrap();
    world.assert_sound();
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
    assert_eq!(seller.posted().await, seller.books());
}

#[tokio::test]
async fn demand_follows_sales_and_survives_a_restart() {
    let (mut world, mut seller, mut buyer) = world().await;
    let key = seller.offer(None).await;
    let calm = buyer.quote(key).await.unwrap();
    for _ in 0..10 {
        buyer.buy(key).await.unwrap();
    }
    let busy = buyer.quote(key).await.unwrap();
    assert!(busy > calm, "ten quick sales move the price: {calm} to {busy}");
    world.restart().await;
    buyer.reconnect(&world).await;
    seller.reconnect(&world).await;
    assert_eq!(
        buyer.quote(key).await.unwrap(),
        busy,
        "the window is rebuilt from the receipts"
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
