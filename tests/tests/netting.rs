//! A purchase whose answer came too late is void for its buyer, and its seller goes on from the state it adopted: it is
//! found there at its next sale, and what it was paid for nothing is netted. Nobody loses a unit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::{Amount, KeyId, Seq};
use bourse_tests::{Behaviour, Buyer, Seller, World, assert_balanced, call, map_of, refused, tokens};
use bourse_wamp::Value;

const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
const TRANSACTION_FAILED: &str = "xbr.error.transaction_failed";
const OTHER_SEQ: &str = "xbr.error.unexpected_channel_seq";

/// A seller that sold one key for a token, then lost every answer to a purchase at `price`: its buyer has its money back,
/// and the seller believes in (5, 999 − `price`), where the market's books say (2, 999).
async fn left_behind(price: u64) -> (World, Seller, Buyer, KeyId) {
    let world = World::with(|config| config.market.sell_deadline_ms = 2500).await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(500)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();

    let dear = seller.offer(Some(tokens(price))).await;
    seller.behave(Behaviour::LoseAnswer);
    refused(buyer.buy(dear).await, TRANSACTION_FAILED);
    assert_eq!(seller.books(), (Seq(5), tokens(999 - price)));
    assert_eq!(seller.posted().await, (Seq(2), tokens(999)));
    assert_eq!(
        buyer.posted().await,
        (buyer.seq, buyer.balance),
        "nothing was charged"
    );
    seller.behave(Behaviour::Honest);
    (world, seller, buyer, key)
}

/// Position, amount and balance of the last question.
fn last_asked(seller: &Seller) -> (u32, Amount, Amount) {
    let last = seller.sells().pop().unwrap();
    (last.seq.0, last.amount, last.balance)
}

/// What the market maker says it paid this seller too early; none if nothing.
async fn prepaid(seller: &Seller) -> Option<Amount> {
    let channel = vec![Value::from(seller.channel.0)];
    let balance = call(
        &seller.session,
        "xbr.marketmaker.get_paying_channel_balance",
        channel,
    )
    .await
    .unwrap();
    match map_of(&balance).get("prepaid") {
        Some(Value::Bytes(units)) => Some(Amount::from_be_bytes(units.as_slice().try_into().unwrap())),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_seller_that_adopted_a_void_purchase_is_found_at_its_next_sale_and_paid_once() {
    let (world, mut seller, mut buyer, key) = left_behind(1).await;
    seller.resume(&world).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(last_asked(&seller), (6, Amount::ZERO, tokens(998)));
    assert_eq!(
        prepaid(&seller).await,
        None,
        "the key it was paid for went to the next buyer's account"
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(last_asked(&seller), (7, tokens(1), tokens(997)));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn what_it_was_paid_beyond_its_next_sale_is_netted_from_those_after() {
    let (world, mut seller, mut buyer, key) = left_behind(3).await;
    seller.resume(&world).await;
    for left in [2, 1] {
        buyer.buy(key).await.unwrap();
        assert_eq!(last_asked(&seller).1, Amount::ZERO);
        assert_eq!(last_asked(&seller).2, tokens(996));
        assert_eq!(prepaid(&seller).await, Some(tokens(left)));
        assert_balanced(&world, &[&buyer], &[&seller]).await;
    }
    let key = seller.offer(Some(tokens(5))).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(last_asked(&seller), (8, tokens(4), tokens(992)));
    assert_eq!(prepaid(&seller).await, None);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_dearer_sale_takes_the_void_one_in() {
    let (world, mut seller, mut buyer, _) = left_behind(3).await;
    let key = seller.offer(Some(tokens(10))).await;
    seller.resume(&world).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(last_asked(&seller), (6, tokens(7), tokens(989)));
    assert_eq!(prepaid(&seller).await, None);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_seller_that_starts_afresh_instead_goes_on_from_the_posted_pair() {
    let (world, mut seller, mut buyer, key) = left_behind(3).await;
    seller.restart(&world).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(last_asked(&seller), (3, tokens(1), tokens(998)));
    assert_eq!(prepaid(&seller).await, None);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_seller_that_is_slow_to_start_and_adopted_nothing_is_paid_for_its_sale_alone() {
    let (world, mut seller, mut buyer, key) = left_behind(3).await;
    seller.restart(&world).await;
    seller.behave(Behaviour::StartSlowly(3));
    buyer.buy(key).await.unwrap();
    assert_eq!(seller.books(), (Seq(3), tokens(998)));
    assert_eq!(prepaid(&seller).await, None);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_29a_a_seller_that_lies_about_where_it_stands_gets_nothing_and_is_stopped() {
    let (world, mut seller, mut buyer, key) = left_behind(3).await;
    seller.resume(&world).await;
    seller.behave(Behaviour::Refuse(OTHER_SEQ));
    refused(buyer.buy(key).await, OTHER_SEQ);
    assert_eq!(
        buyer.posted().await,
        (buyer.seq, buyer.balance),
        "its buyer has everything back"
    );
    let most = tokens(3);
    for sell in seller.sells() {
        assert!(sell.balance >= tokens(999).checked_sub(most).unwrap(), "{sell:?}");
    }
    world.assert_sound();
    // Its second unclear answer: it may register as often as it likes, the operator decides.
    seller.behave(Behaviour::Honest);
    seller.restart(&world).await;
    let error = buyer.buy(key).await.unwrap_err();
    assert_eq!(error.uri, SELLER_UNAVAILABLE, "{error:?}");
    world.assert_sound();
}

#[tokio::test]
async fn while_it_owes_a_sale_a_seller_that_falls_silent_again_waits_for_the_operator() {
    let (world, mut seller, mut buyer, key) = left_behind(3).await;
    seller.resume(&world).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(prepaid(&seller).await, Some(tokens(2)));
    seller.behave(Behaviour::LoseAnswer);
    refused(buyer.buy(key).await, TRANSACTION_FAILED);
    seller.behave(Behaviour::Honest);
    seller.resume(&world).await;
    let error = buyer.buy(key).await.unwrap_err();
    assert_eq!(error.uri, SELLER_UNAVAILABLE, "{error:?}");
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_its_seller_answers_leaves_a_state_that_is_found_at_the_next_sale() {
    let mut world = World::apart().await;
    let mut seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    let dear = seller.offer(Some(tokens(4))).await;
    seller.behave(Behaviour::DropAnswer);
    let order = buyer.order(dear, tokens(4));
    let answer = tokio::time::timeout(std::time::Duration::from_millis(500), buyer.send(&order)).await;
    assert!(answer.is_err(), "{answer:?}");
    let books = seller.books();
    assert_eq!(books, (Seq(3), tokens(995)));
    world.kill();
    world.run_apart();
    buyer.reconnect(&world).await;
    seller.behave(Behaviour::Honest);
    seller.resume(&world).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(last_asked(&seller), (4, Amount::ZERO, tokens(995)));
    assert_eq!(prepaid(&seller).await, Some(tokens(3)));
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
