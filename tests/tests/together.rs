//! Everything at once: starts in the middle of sales, sellers that come and go, two providers of one delegate, and
//! what happens to the same thing asked for twice at the same time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::Signer;
use bourse_market::{ChannelKind, KeyId};
use bourse_tests::{
    Behaviour, Buyer, Seller, World, assert_balanced, call, call_named, fund, map_of, open, open_args,
    open_message, refused, tokens,
};
use bourse_wamp::{Dict, Value};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
const TRANSACTION_FAILED: &str = "xbr.error.transaction_failed";

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_bought_while_its_seller_still_starts_is_sold_once_the_seller_is_ready() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    // Unproven the first time, proven the second.
    for _ in 0..2 {
        seller.session.leave().await;
        seller.session = world.session().await;
        seller.begin(&world).await;
        // As the real sellers do: the offer goes out before the balance is known.
        let key = seller.offer(Some(tokens(1))).await;
        let order = buyer.order(key, tokens(1));
        let ready = async {
            sleep(millis(100)).await;
            let asked = Instant::now();
            seller.adopt().await;
            asked.elapsed()
        };
        let (receipt, took) = tokio::join!(buyer.pay(&order), ready);
        receipt.unwrap();
        assert!(
            took < millis(1000),
            "the seller waited {took:?} for a balance that waited for the seller"
        );
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_restarts_under_full_load_always_comes_back() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(10_000)).await;
    let key = seller.offer(Some(tokens(1))).await;
    let mut first = Buyer::new(&world, tokens(100)).await;
    first.buy(key).await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut trading = JoinSet::new();
    for _ in 0..3 {
        let mut buyer = Buyer::new(&world, tokens(1000)).await;
        let stopped = stopped.clone();
        trading.spawn(async move {
            let mut sales = 0;
            while !*stopped.borrow() {
                match buyer.buy_at(key, tokens(1)).await {
                    Ok(_) => sales += 1,
                    // Its seller is away or in the middle of a start; the next try may do better.
                    Err(_) => sleep(millis(5)).await,
                }
            }
            (buyer, sales)
        });
    }
    for _ in 0..6 {
        sleep(millis(60)).await;
        seller.restart(&world).await;
        // A sale proves that it is back, and that the start before was forgiven.
        let asked = Instant::now();
        while first.buy_at(key, tokens(1)).await.is_err() {
            assert!(
                asked.elapsed() < millis(5000),
                "the seller is back, and its keys are not sold"
            );
            sleep(millis(20)).await;
        }
    }
    stop.send(true).unwrap();
    let traded = trading.join_all().await;
    let mut buyers: Vec<&Buyer> = traded.iter().map(|(buyer, _)| buyer).collect();
    buyers.push(&first);
    assert!(traded.iter().all(|(_, sales)| *sales > 0));
    assert_balanced(&world, &buyers, &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_sellers_answer_the_sums_are_right_in_the_end() {
    let world = World::with(|config| config.market.sell_deadline_ms = 400).await;
    let behaviours = [
        Behaviour::Honest,
        Behaviour::Slow(millis(30)),
        Behaviour::LoseAnswer,
        Behaviour::Honest,
        Behaviour::Refuse("crossbar.error.no_such_object"),
        Behaviour::WrongSigner,
        Behaviour::StartSlowly(2),
        Behaviour::Silent,
        Behaviour::Honest,
        Behaviour::NoKey,
    ];
    let mut sellers = Vec::new();
    for _ in 0..3 {
        sellers.push(Seller::new(&world, tokens(1000)).await);
    }
    let mut buyers = Vec::new();
    for _ in 0..5 {
        buyers.push(Buyer::new(&world, tokens(1000)).await);
    }
    let mut sales = 0;
    for round in 0..6 {
        let mut keys = Vec::new();
        for (number, seller) in sellers.iter().enumerate() {
            seller.behave(behaviours[(round * 3 + number * 7) % behaviours.len()].clone());
            keys.push(seller.offer(Some(tokens(1 + number as u64))).await);
        }
        let mut trading = JoinSet::new();
        for (number, mut buyer) in buyers.drain(..).enumerate() {
            let keys = keys.clone();
            trading.spawn(async move {
                let mut sales = 0;
                for step in 0..keys.len() {
                    let key = keys[(number + step) % keys.len()];
                    sales += usize::from(buyer.buy(key).await.is_ok());
                }
                (buyer, sales)
            });
        }
        for (buyer, bought) in trading.join_all().await {
            sales += bought;
            buyers.push(buyer);
        }
        // Whoever was left in doubt starts afresh; then its books must be the ledger's.
        for seller in &mut sellers {
            seller.restart(&world).await;
        }
        assert_balanced(
            &world,
            &buyers.iter().collect::<Vec<_>>(),
            &sellers.iter().collect::<Vec<_>>(),
        )
        .await;
    }
    assert!(sales > 20, "only {sales} sales");
    assert_eq!(world.verify().checked.posted, sales as u64);
}

#[tokio::test]
async fn two_providers_of_one_delegate_share_its_channel_and_only_the_unclear_one_can_clear_up() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let session = seller.also_as(&world, "second").await;
    let key = seller.offer(Some(tokens(1))).await;
    let under = |id: &str| {
        seller.offer_args(
            Some(tokens(1)),
            Dict::from([("provider_id".to_owned(), Value::from(id))]),
        )
    };
    let placed = call_named(&session, "xbr.marketmaker.place_offer", vec![], under("second"))
        .await
        .unwrap();
    let second = KeyId::try_from(bourse_tests::bytes_of(&placed, "key")).unwrap();
    for key in [key, second, key] {
        buyer.buy(key).await.unwrap();
    }
    seller.behave(Behaviour::LoseAnswer);
    refused(buyer.buy(key).await, TRANSACTION_FAILED);
    seller.behave(Behaviour::Honest);
    // The channel is one: the other provider stands still too, and coming back does not help it.
    refused(buyer.buy(second).await, SELLER_UNAVAILABLE);
    session.leave().await;
    let session = seller.also_as(&world, "second").await;
    refused(buyer.buy(second).await, SELLER_UNAVAILABLE);
    let channel = vec![Value::from(seller.channel.0)];
    let channel = call(&session, "xbr.marketmaker.get_paying_channel", channel)
        .await
        .unwrap();
    assert_ne!(map_of(&channel)["suspended"], Value::Null);

    seller.restart(&world).await;
    buyer.buy(key).await.unwrap();
    session.leave().await;
    let _session = seller.also_as(&world, "second").await;
    buyer.buy(second).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_is_under_way_survives_the_end_of_its_offer() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    seller.behave(Behaviour::Slow(millis(200)));
    let order = buyer.order(key, tokens(1));
    let revoke = async {
        sleep(millis(80)).await;
        call(
            &seller.session,
            "xbr.marketmaker.revoke_offer",
            vec![Value::from(key.0)],
        )
        .await
        .unwrap();
    };
    let (receipt, ()) = tokio::join!(buyer.pay(&order), revoke);
    receipt.unwrap();
    refused(buyer.buy(key).await, "xbr.error.offer_expired");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_same_thing_asked_for_at_once_one_is_done() {
    const AT_ONCE: usize = 8;
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let member = Signer::generate();
    let session = world.session().await;
    fund(&session, member.address(), tokens(100)).await;
    let message = open_message(
        &world,
        ChannelKind::Payment,
        &member,
        Signer::generate().address(),
        tokens(10),
    );
    let key = Dict::from([("key_id".to_owned(), Value::from([1; 16]))]);
    let (mut opens, mut places) = (JoinSet::new(), JoinSet::new());
    for _ in 0..AT_ONCE {
        let (session, args) = (world.session().await, open_args(&world, &message, &member));
        opens.spawn(async move { call(&session, "xbr.marketmaker.open_channel", args).await });
        let (session, args) = (
            seller.session.clone(),
            seller.offer_args(Some(tokens(1)), key.clone()),
        );
        places.spawn(async move { call_named(&session, "xbr.marketmaker.place_offer", vec![], args).await });
    }
    for (done, uri) in [
        (opens.join_all().await, "wamp.error.invalid_argument"),
        (places.join_all().await, "bourse.error.duplicate_key"),
    ] {
        let (won, lost): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, AT_ONCE - 1));
        lost.into_iter().for_each(|lost| drop(refused(lost, uri)));
    }
    let counts = world.host().counts().unwrap();
    assert_eq!((counts.channels, counts.offers), (2, 1));
    world.assert_sound();
}

#[tokio::test]
async fn a_seller_may_register_and_offer_before_it_has_a_channel() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(1)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let one = seller.offer(Some(tokens(1))).await;
    buyer.buy(one).await.unwrap();
    // Its channel is empty now; it starts without one.
    seller.session.leave().await;
    seller.session = world.session().await;
    seller.begin(&world).await;
    let key = seller.offer(Some(tokens(1))).await;
    refused(buyer.buy(key).await, "xbr.error.insufficient_paying_balance");
    let (actor, delegate) = (&seller.actor, seller.signer.address());
    let new = open(
        &world,
        &seller.session,
        ChannelKind::Paying,
        actor,
        delegate,
        tokens(5),
    )
    .await;
    seller.restart(&world).await;
    assert_eq!(seller.channel, new);
    // What a session offered that never proved to be the seller's ends with it.
    refused(buyer.buy(key).await, "bourse.error.seller_unavailable");
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    world.assert_sound();
    assert_eq!(seller.posted().await, seller.books());
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
}
