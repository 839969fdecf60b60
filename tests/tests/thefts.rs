//! One test for each theft or loss that the market before this one allowed, under the number it goes by
//! (`w_01` is W-01 of the protocol's list of weaknesses). Each fails on a market that still allows it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::{Amount, KeyId, Seq};
use bourse_tests::{
    Behaviour, Buyer, Ear, Receipt, Seller, World, amount_of, assert_balanced, bytes_of, call, call_named,
    error_amount, int_of, map_of, now, refused, send, tokens,
};
use bourse_wamp::{Dict, Value, WampError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const INVALID_SIGNATURE: &str = "xbr.error.invalid_signature";
const OUT_OF_ORDER: &str = "bourse.error.out_of_order";
const WRONG_BALANCE: &str = "bourse.error.wrong_balance";
const PRICE_CHANGED: &str = "bourse.error.price_changed";
const INSUFFICIENT_AMOUNT: &str = "xbr.error.insufficient_amount";
const INSUFFICIENT_PAYING: &str = "xbr.error.insufficient_paying_balance";
const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
const NO_SUCH_OBJECT: &str = "crossbar.error.no_such_object";
const OFFER_EXPIRED: &str = "xbr.error.offer_expired";

fn one_unit() -> Amount {
    Amount::from_units(1)
}

fn plus(left: Amount, right: Amount) -> Amount {
    left.checked_add(right).unwrap()
}

fn minus(left: Amount, right: Amount) -> Amount {
    left.checked_sub(right).unwrap()
}

/// A market with one seller of 1000 tokens and one buyer of 100.
async fn pair() -> (World, Seller, Buyer) {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let buyer = Buyer::new(&world, tokens(100)).await;
    (world, seller, buyer)
}

#[tokio::test]
async fn w_01_a_stranger_cannot_spend_a_channel_whose_id_he_knows() {
    let (world, seller, victim) = pair().await;
    let thief = Buyer::new(&world, tokens(1)).await;
    let key = seller.offer(Some(tokens(5))).await;

    let (seq, balance) = (Seq(2), tokens(95));
    let honest = victim.order_at(key, tokens(5), seq, balance);
    let digest_by_thief = {
        // The right state of the victim's channel, signed by the thief.
        let mut order = thief.order_at(key, tokens(5), seq, balance);
        order.channel = victim.channel;
        order.signature = thief.sign_for(victim.channel, seq, balance);
        order
    };
    let in_the_victims_name = {
        let mut order = digest_by_thief.clone();
        order.delegate = victim.signer.address();
        order
    };
    let with_a_signature_for_another_channel = {
        let mut order = honest.clone();
        order.signature = thief.sign(seq, balance);
        order
    };
    let with_the_victims_signature_in_his_own_name = {
        let mut order = honest.clone();
        order.delegate = thief.signer.address();
        order
    };
    for order in [
        digest_by_thief,
        in_the_victims_name,
        with_a_signature_for_another_channel,
        with_the_victims_signature_in_his_own_name,
    ] {
        refused(thief.send(&order).await, INVALID_SIGNATURE);
    }
    assert_eq!(seller.sells(), [], "the seller was never asked");
    assert_eq!(
        world.host().counts().unwrap().purchases,
        0,
        "nothing was reserved"
    );
    assert_balanced(&world, &[&victim, &thief], &[&seller]).await;

    assert_eq!(
        victim.send(&honest).await.unwrap().remaining,
        balance,
        "the victim's own signature works"
    );
}

#[tokio::test]
async fn w_02_a_seq_or_balance_that_lies_is_refused_and_moves_nothing() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(5))).await;
    let five = tokens(5);
    let six = plus(five, one_unit());

    for (seq, amount, balance, uri) in [
        (0, five, tokens(95), OUT_OF_ORDER),
        (1, five, tokens(95), OUT_OF_ORDER),
        (3, five, tokens(95), OUT_OF_ORDER),
        (u32::MAX, five, tokens(95), OUT_OF_ORDER),
        (2, five, tokens(100), WRONG_BALANCE),
        (2, five, plus(tokens(95), one_unit()), WRONG_BALANCE),
        (2, five, minus(tokens(95), one_unit()), WRONG_BALANCE),
        (2, five, Amount::MAX, WRONG_BALANCE),
        (2, five, Amount::ZERO, WRONG_BALANCE),
        (2, six, minus(tokens(100), six), PRICE_CHANGED),
        (
            2,
            minus(five, one_unit()),
            plus(tokens(95), one_unit()),
            INSUFFICIENT_AMOUNT,
        ),
        (2, Amount::ZERO, tokens(100), INSUFFICIENT_AMOUNT),
    ] {
        let order = buyer.order_at(key, amount, Seq(seq), balance);
        let error = refused(buyer.send(&order).await, uri);
        match uri {
            OUT_OF_ORDER => {
                assert_eq!(
                    error.kwargs["expected_seq"],
                    Value::from(2u64),
                    "an honest buyer can go on from here"
                );
                assert_eq!(error_amount(&error, "remaining"), tokens(100));
            }
            WRONG_BALANCE => assert_eq!(error_amount(&error, "expected"), tokens(95)),
            _ => assert_eq!(error_amount(&error, "price"), five),
        }
    }
    let mut forged = buyer.order(key, five);
    forged.balance = tokens(100);
    refused(buyer.send(&forged).await, INVALID_SIGNATURE);

    assert_eq!(seller.sells(), [], "the seller was never asked");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_02_a_replayed_request_charges_once_and_gets_the_identical_receipt() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(5))).await;
    let order = buyer.order(key, tokens(5));
    let receipt = buyer.pay(&order).await.unwrap();

    for _ in 0..3 {
        assert_eq!(buyer.send(&order).await.unwrap(), receipt);
    }
    let elsewhere = world.session().await;
    assert_eq!(
        send(&elsewhere, &order).await.unwrap(),
        receipt,
        "a client that reconnects asks again"
    );
    assert_eq!(seller.sells().len(), 1, "the seller was asked once");
    assert_balanced(&world, &[&buyer], &[&seller]).await;

    let later = buyer.buy(key).await.unwrap();
    assert_ne!(later, receipt);
    assert_eq!(
        buyer.send(&order).await.unwrap(),
        receipt,
        "also when the channel has moved on"
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_05_only_its_seller_takes_an_offer_back() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(5))).await;
    let rival = Seller::new(&world, tokens(10)).await;
    for session in [&rival.session, &buyer.session] {
        let revoked = call(session, "xbr.marketmaker.revoke_offer", vec![Value::from(key.0)]).await;
        refused(revoked, "bourse.error.not_authorized");
    }
    buyer.buy(key).await.unwrap();
    call(
        &seller.session,
        "xbr.marketmaker.revoke_offer",
        vec![Value::from(key.0)],
    )
    .await
    .unwrap();
    refused(buyer.buy(key).await, OFFER_EXPIRED);
    assert_balanced(&world, &[&buyer], &[&seller, &rival]).await;
}

#[tokio::test]
async fn w_20_a_failed_sale_gives_both_channels_their_money_back() {
    let world = World::start().await;
    // Both channels hold exactly one price: a unit that stayed reserved would be missed.
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(Some(tokens(10))).await;

    seller.behave(Behaviour::Refuse(NO_SUCH_OBJECT));
    for _ in 0..3 {
        refused(buyer.buy(key).await, NO_SUCH_OBJECT);
        assert_balanced(&world, &[&buyer], &[&seller]).await;
    }
    let paying = vec![Value::from(seller.channel.0)];
    let paying = call(
        &seller.session,
        "xbr.marketmaker.get_paying_channel_balance",
        paying,
    )
    .await
    .unwrap();
    assert_eq!(amount_of(&paying, "remaining"), tokens(10));
    assert_eq!(amount_of(&paying, "inflight"), Amount::ZERO);

    seller.behave(Behaviour::Honest);
    let receipt = buyer.buy(key).await.unwrap();
    assert_eq!(
        (receipt.remaining, seller.books().1),
        (Amount::ZERO, Amount::ZERO)
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_21_after_a_failed_sale_buyer_and_seller_still_trade() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(1))).await;
    for failure in [
        NO_SUCH_OBJECT,
        "xbr.error.unexpected_marketmaker_adr",
        "xbr.error.unexpected_channel_balance",
        "xbr.error.unexpected_channel_oid",
    ] {
        let before = (buyer.posted().await, seller.posted().await);
        seller.behave(Behaviour::Refuse(failure));
        refused(buyer.buy(key).await, failure);
        assert_eq!(
            (buyer.posted().await, seller.posted().await),
            before,
            "no seq moved"
        );
        seller.behave(Behaviour::Honest);
        // The receipt's seq follows the buyer's own, the sale's the seller's own: both check.
        buyer.buy(key).await.unwrap();
    }
    assert_eq!(buyer.seq, Seq(5));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

/// Everybody buys each key once, at the same time.
async fn buy_all(
    buyers: Vec<Buyer>,
    keys: &[KeyId],
    price: Amount,
) -> Vec<(Buyer, Vec<Result<Receipt, WampError>>)> {
    let mut tasks = JoinSet::new();
    for mut buyer in buyers {
        let keys = keys.to_vec();
        tasks.spawn(async move {
            let mut receipts = Vec::new();
            for key in keys {
                let order = buyer.order(key, price);
                receipts.push(buyer.pay(&order).await);
            }
            (buyer, receipts)
        });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn w_22_receipts_of_concurrent_purchases_show_their_own_values() {
    const BUYERS: u64 = 8;
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(seller.offer(Some(tokens(1))).await);
    }
    let mut buyers = Vec::new();
    for number in 0..BUYERS {
        // Different deposits, so that a receipt with another's figures cannot pass for one's own.
        buyers.push(Buyer::new(&world, tokens(100 + number)).await);
    }
    // Paying checks seq, remaining and signature of each receipt against the buyer's own books.
    let done = buy_all(buyers, &keys, tokens(1)).await;
    for (buyer, receipts) in &done {
        assert_eq!(receipts.len(), keys.len());
        for ((key, receipt), seq) in keys.iter().zip(receipts).zip(2..) {
            let receipt = receipt.as_ref().unwrap();
            assert_eq!(bytes_of(&receipt.value, "key_id"), key.0);
            assert_eq!(bytes_of(&receipt.value, "payment_channel"), buyer.channel.0);
            assert_eq!(bytes_of(&receipt.value, "delegate"), buyer.signer.address().0);
            assert_eq!(receipt.seq, Seq(seq));
            assert_eq!(amount_of(&receipt.value, "inflight"), Amount::ZERO);
        }
        assert_eq!(buyer.paid(), tokens(5));
    }
    let buyers: Vec<&Buyer> = done.iter().map(|(buyer, _)| buyer).collect();
    assert_balanced(&world, &buyers, &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w_23_what_is_left_is_checked_in_the_write_that_takes_it() {
    let world = World::start().await;
    // Money for two sales, asked for by six buyers at once.
    let seller = Seller::new(&world, tokens(5)).await;
    seller.behave(Behaviour::Slow(Duration::from_millis(20)));
    let key = seller.offer(Some(tokens(2))).await;
    let mut buyers = Vec::new();
    for _ in 0..6 {
        buyers.push(Buyer::new(&world, tokens(2)).await);
    }
    let done = buy_all(buyers, &[key], tokens(2)).await;
    let sold = done.iter().filter(|(_, receipts)| receipts[0].is_ok()).count();
    assert_eq!(sold, 2);
    for error in done.iter().filter_map(|(_, receipts)| receipts[0].as_ref().err()) {
        assert_eq!(error.uri, INSUFFICIENT_PAYING, "{error:?}");
    }
    let buyers: Vec<&Buyer> = done.iter().map(|(buyer, _)| buyer).collect();
    assert_balanced(&world, &buyers, &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w_23_two_purchases_at_one_seq_of_a_channel_never_both_happen() {
    let (world, seller, mut buyer) = pair().await;
    let keys = [
        seller.offer(Some(tokens(60))).await,
        seller.offer(Some(tokens(60))).await,
    ];
    let orders = keys.map(|key| buyer.order(key, tokens(60)));
    let (first, second) = tokio::join!(buyer.send(&orders[0]), buyer.send(&orders[1]));
    let (won, lost) = if first.is_ok() {
        (first, second)
    } else {
        (second, first)
    };
    refused(lost, OUT_OF_ORDER);
    let receipt = won.unwrap();
    (buyer.seq, buyer.balance) = (receipt.seq, receipt.remaining);
    assert_eq!(buyer.paid(), tokens(60));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w_23_no_more_copies_are_sold_at_once_than_there_are() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    seller.behave(Behaviour::Slow(Duration::from_millis(10)));
    let copies = Dict::from([("copies".to_owned(), Value::from(3u64))]);
    let key = seller.try_offer(Some(tokens(1)), copies).await.unwrap();
    let mut buyers = Vec::new();
    for _ in 0..8 {
        buyers.push(Buyer::new(&world, tokens(1)).await);
    }
    let done = buy_all(buyers, &[key], tokens(1)).await;
    assert_eq!(done.iter().filter(|(_, receipts)| receipts[0].is_ok()).count(), 3);
    for error in done.iter().filter_map(|(_, receipts)| receipts[0].as_ref().err()) {
        assert_eq!(error.uri, "bourse.error.sold_out", "{error:?}");
    }
    let buyers: Vec<&Buyer> = done.iter().map(|(buyer, _)| buyer).collect();
    assert_balanced(&world, &buyers, &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w_24_sixty_four_concurrent_buyers_reach_one_seller_in_order() {
    const BUYERS: usize = 64;
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let key = seller.offer(Some(tokens(1))).await;
    let mut buyers = Vec::new();
    for _ in 0..BUYERS {
        buyers.push(Buyer::new(&world, tokens(2)).await);
    }
    let done = buy_all(buyers, &[key, key], tokens(1)).await;
    for (_, receipts) in &done {
        for receipt in receipts {
            assert!(receipt.is_ok(), "{receipt:?}");
        }
    }
    let seqs: Vec<u32> = seller.sells().iter().map(|sell| sell.seq.0).collect();
    let expected: Vec<u32> = (2..).take(2 * BUYERS).collect();
    assert_eq!(seqs, expected, "each sale arrived once, in order");
    let buyers: Vec<&Buyer> = done.iter().map(|(buyer, _)| buyer).collect();
    assert_balanced(&world, &buyers, &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w_25_a_silent_seller_never_holds_a_buyer_beyond_the_deadline() {
    const DEADLINE: Duration = Duration::from_millis(500);
    let world = World::with(|config| config.market.sell_deadline_ms = 500).await;
    let mut seller = Seller::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    let mut first = Buyer::new(&world, tokens(10)).await;
    let second = Buyer::new(&world, tokens(10)).await;
    first.buy(key).await.unwrap();

    seller.behave(Behaviour::Silent);
    let asked = Instant::now();
    let (orders, slack) = (
        [first.order(key, tokens(1)), second.order(key, tokens(1))],
        4 * DEADLINE,
    );
    // The second waits behind the first, and that counts too.
    let (one, two) = tokio::join!(first.send(&orders[0]), second.send(&orders[1]));
    let took = asked.elapsed();
    refused(one, SELLER_UNAVAILABLE);
    refused(two, SELLER_UNAVAILABLE);
    assert!(took < DEADLINE + slack, "both were answered after {took:?}");

    seller.behave(Behaviour::Honest);
    seller.restart(&world).await;
    first.buy(key).await.unwrap();
    assert_balanced(&world, &[&first, &second], &[&seller]).await;
}

#[tokio::test]
async fn w_40_the_status_is_running_while_the_market_runs_and_its_end_is_announced() {
    let mut world = World::start().await;
    let session = world.session().await;
    let status = call(&session, "xbr.marketmaker.get_status", vec![])
        .await
        .unwrap();
    assert_eq!(int_of(&status, "status"), 1);

    let mut ear = Ear::at(&session, "xbr.marketmaker.on_status").await;
    let market = Value::from(world.market().0);
    world.stop().await;
    for status in [2u64, 3] {
        assert_eq!(ear.next().await, [market.clone(), Value::from(status)]);
    }
}

#[tokio::test]
async fn w_41_status_answers_a_call_without_arguments() {
    let world = World::start().await;
    let session = world.session().await;
    let status = call(&session, "xbr.marketmaker.status", vec![]).await.unwrap();
    assert_eq!(map_of(&status)["status"], Value::from("RUNNING"));
    assert_eq!(int_of(&status, "current_block_no"), 1);
}

#[tokio::test]
async fn w_42_a_revoked_offer_is_off_sale_at_once_and_after_a_restart() {
    let (mut world, mut seller, mut buyer) = pair().await;
    let key = seller.offer(Some(tokens(5))).await;
    let price = buyer.quote(key).await.unwrap();
    let revoked = call(
        &seller.session,
        "xbr.marketmaker.revoke_offer",
        vec![Value::from(key.0)],
    )
    .await
    .unwrap();
    assert!(
        int_of(&revoked, "expires") <= now(),
        "it ended when it was revoked"
    );

    for _ in 0..2 {
        refused(buyer.quote(key).await, OFFER_EXPIRED);
        refused(buyer.send(&buyer.order(key, price)).await, OFFER_EXPIRED);
        let offer = vec![Value::from(bytes_of(&revoked, "offer"))];
        assert_eq!(
            call(&buyer.session, "xbr.marketmaker.get_offer", offer)
                .await
                .unwrap(),
            revoked
        );
        world.restart().await;
        seller.reconnect(&world).await;
        buyer.reconnect(&world).await;
    }
    assert_eq!(seller.sells(), []);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_44_offers_without_a_price_are_quoted_and_sold_at_one() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(None).await;
    let price = buyer.quote(key).await.unwrap();
    assert!(!price.is_zero(), "dynamic is not free");
    let receipt = buyer.buy(key).await.unwrap();
    assert_eq!(map_of(&receipt.value)["free_rated"], Value::Bool(false));
    assert_eq!(seller.sells()[0].amount, receipt.paid);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_44_free_keys_are_quoted_and_sold_for_nothing() {
    let (world, seller, mut buyer) = pair().await;
    let key = seller.offer(Some(Amount::ZERO)).await;
    assert_eq!(buyer.quote(key).await.unwrap(), Amount::ZERO);
    for _ in 0..2 {
        let receipt = buyer.buy(key).await.unwrap();
        assert_eq!(map_of(&receipt.value)["free_rated"], Value::Bool(true));
        assert_eq!(receipt.paid, Amount::ZERO);
    }
    assert_eq!(
        (buyer.seq, buyer.balance),
        (Seq(3), tokens(100)),
        "the seqs move, the money does not"
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_45_an_offer_without_a_price_is_placed_or_refused_but_never_both() {
    let (world, seller, mut buyer) = pair().await;
    let null = Dict::from([("price".to_owned(), Value::Null)]);
    let key = seller.try_offer(None, null).await.unwrap();
    let again = Dict::from([("key_id".to_owned(), Value::from(key.0))]);
    refused(seller.try_offer(None, again).await, "bourse.error.duplicate_key");

    let refused_key = KeyId(rand::random());
    let unknown = Value::Map(Dict::from([("policy".to_owned(), Value::from("nobodys"))]));
    let unknown = Dict::from([
        ("key_id".to_owned(), Value::from(refused_key.0)),
        ("pricing".to_owned(), unknown),
    ]);
    refused(
        seller.try_offer(None, unknown).await,
        "wamp.error.invalid_argument",
    );
    refused(buyer.quote(refused_key).await, NO_SUCH_OBJECT);
    assert_eq!(world.host().counts().unwrap().offers, 1);

    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

/// The keyword arguments of an offer on sale from `from` until `until`.
fn on_sale(from: u64, until: u64) -> Dict {
    Dict::from([
        ("valid_from".to_owned(), Value::from(from)),
        ("expires".to_owned(), Value::from(until)),
    ])
}

const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;

#[tokio::test]
async fn w_46_an_offer_that_ended_is_not_sold_even_at_a_price_quoted_before() {
    let (world, seller, mut buyer) = pair().await;
    let ends = now() + 400 * MILLI;
    let key = seller
        .try_offer(Some(tokens(1)), on_sale(ends - 600 * SECOND, ends))
        .await
        .unwrap();
    let dynamic = seller
        .try_offer(None, on_sale(ends - 600 * SECOND, ends))
        .await
        .unwrap();
    buyer.buy(key).await.unwrap();
    let quote = call(
        &buyer.session,
        "xbr.marketmaker.get_quote",
        vec![Value::from(dynamic.0)],
    )
    .await
    .unwrap();
    assert!(int_of(&quote, "expires") <= ends, "no quote outlives its offer");

    tokio::time::sleep(Duration::from_nanos((ends + 20 * MILLI).saturating_sub(now()))).await;
    for (key, price) in [(key, tokens(1)), (dynamic, amount_of(&quote, "price"))] {
        refused(buyer.quote(key).await, OFFER_EXPIRED);
        refused(buyer.send(&buyer.order(key, price)).await, OFFER_EXPIRED);
    }
    assert_eq!(seller.sells().len(), 1);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_46_an_offer_is_not_sold_before_it_begins() {
    let (world, seller, mut buyer) = pair().await;
    let begins = now() + 400 * MILLI;
    let key = seller
        .try_offer(Some(tokens(1)), on_sale(begins, begins + 600 * SECOND))
        .await
        .unwrap();
    for error in [
        refused(buyer.quote(key).await, "bourse.error.not_yet_valid"),
        refused(
            buyer.send(&buyer.order(key, tokens(1))).await,
            "bourse.error.not_yet_valid",
        ),
    ] {
        assert_eq!(error.kwargs["valid_from"], Value::from(begins));
    }
    tokio::time::sleep(Duration::from_nanos((begins + 20 * MILLI).saturating_sub(now()))).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_46_copies_run_out_and_a_failed_sale_gives_its_copy_back() {
    let (world, seller, mut buyer) = pair().await;
    let copies = Dict::from([("copies".to_owned(), Value::from(2u64))]);
    let placed = call_named(
        &seller.session,
        "xbr.marketmaker.place_offer",
        vec![],
        seller.offer_args(None, copies),
    )
    .await
    .unwrap();
    let key = KeyId::try_from(bytes_of(&placed, "key")).unwrap();
    let offer = vec![Value::from(bytes_of(&placed, "offer"))];
    let left = async || {
        let offer = call(&seller.session, "xbr.marketmaker.get_offer", offer.clone())
            .await
            .unwrap();
        (int_of(&offer, "copies"), int_of(&offer, "remaining"))
    };
    assert_eq!(left().await, (2, 2));
    seller.behave(Behaviour::Refuse(NO_SUCH_OBJECT));
    for _ in 0..3 {
        refused(buyer.buy(key).await, NO_SUCH_OBJECT);
    }
    assert_eq!(left().await, (2, 2));
    seller.behave(Behaviour::Honest);
    for still in [1, 0] {
        buyer.buy(key).await.unwrap();
        assert_eq!(left().await, (2, still));
    }
    refused(buyer.quote(key).await, "bourse.error.sold_out");
    refused(
        buyer.send(&buyer.order(key, tokens(50))).await,
        "bourse.error.sold_out",
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_49_valid_from_zero_means_now() {
    let (world, seller, mut buyer) = pair().await;
    let zero = Dict::from([("valid_from".to_owned(), Value::from(0u64))]);
    let args = seller.offer_args(Some(tokens(1)), zero);
    let placed = call_named(&seller.session, "xbr.marketmaker.place_offer", vec![], args)
        .await
        .unwrap();
    assert_eq!(map_of(&placed)["valid_from"], Value::Null);
    let key = KeyId::try_from(bytes_of(&placed, "key")).unwrap();
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_50_an_offer_may_last_a_hundred_years() {
    let (world, seller, mut buyer) = pair().await;
    let ends = now() + 100 * 365 * 24 * 3600 * SECOND;
    let args = seller.offer_args(Some(tokens(1)), on_sale(0, ends));
    let placed = call_named(&seller.session, "xbr.marketmaker.place_offer", vec![], args)
        .await
        .unwrap();
    assert_eq!(int_of(&placed, "expires"), ends);
    let key = KeyId::try_from(bytes_of(&placed, "key")).unwrap();
    buyer.buy(key).await.unwrap();
    for too_soon in [now(), now() + 299 * SECOND, 1] {
        let error = refused(
            seller.try_offer(Some(tokens(1)), on_sale(0, too_soon)).await,
            "wamp.error.invalid_argument",
        );
        assert_eq!(error.kwargs["argument"], Value::from("expires"));
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
