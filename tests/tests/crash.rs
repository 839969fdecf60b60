//! The real binary, killed with -9 while it sells: what was promised is kept, what was not is undone, and nobody
//! loses a unit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_tests::{
    Behaviour, Buyer, Seller, Town, World, ask, assert_balanced, assert_verified, refused, run, tokens,
};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const BUYERS: usize = 4;
const KILLS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn three_kills_during_continuous_purchases_cost_nobody_a_unit() {
    let mut world = World::apart().await;
    let mut town = Town::of(&world, BUYERS, Duration::from_millis(5)).await;
    let mut interrupted = 0;
    for kill in 0..KILLS {
        // Not the same moment of a purchase each time.
        let after = Duration::from_millis(400 + 37 * kill as u64);
        town.broken_off(after, Duration::from_secs(10), || world.kill())
            .await;
        assert_verified(&world);
        interrupted += world.verify().checked.sent;

        world.run_apart();
        town.reconnect(&world).await;
        for trader in &mut town.traders {
            trader.assert_in_step().await;
            trader.ask_again().await.unwrap();
        }
    }
    assert!(
        interrupted > 0,
        "no kill came in the middle of a purchase: the test proves little"
    );
    assert_verified(&world);
    town.assert_balanced(&world, KILLS).await;
    world.stop().await;
    assert_verified(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn w_25_a_kill_while_the_seller_is_asked_voids_the_purchase_at_the_next_start() {
    let mut world = World::apart().await;
    let mut seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();

    seller.behave(Behaviour::Silent);
    let order = buyer.order(key, tokens(1));
    assert!(
        timeout(Duration::from_millis(300), ask(&buyer, &order))
            .await
            .is_err()
    );
    assert_eq!(world.verify().checked.sent, 1, "it is reserved");
    world.kill();
    assert_eq!(world.verify().checked.sent, 1, "and the reservation is durable");

    world.run_apart();
    assert_eq!(
        world.verify().checked.sent,
        0,
        "nobody is connected yet, and it is resolved"
    );
    buyer.reconnect(&world).await;
    assert_eq!(
        buyer.posted().await,
        (buyer.seq, buyer.balance),
        "the buyer has everything back"
    );
    refused(buyer.send(&order).await, "bourse.error.seller_unavailable");
    seller.behave(Behaviour::Honest);
    seller.reconnect(&world).await;
    let receipt = buyer.send(&order).await.unwrap();
    buyer.book(&receipt);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    assert_verified(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_order_finishes_what_is_under_way() {
    let mut world = World::apart().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    seller.behave(Behaviour::Slow(Duration::from_millis(300)));
    let order = buyer.order(key, tokens(1));
    let stopping = async {
        sleep(Duration::from_millis(100)).await;
        world.stop().await;
    };
    let (receipt, ()) = tokio::join!(ask(&buyer, &order), stopping);
    buyer.book(&receipt.unwrap());
    assert_verified(&world);
    world.run_apart();
    buyer.reconnect(&world).await;
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_is_served_by_one_process_at_a_time() {
    let world = World::apart().await;
    let second = run(
        world.data(),
        &[
            "serve",
            "--listen-ws",
            "127.0.0.1:0",
            "--listen-rs",
            "127.0.0.1:0",
        ],
    );
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use"), "{said}");
    assert_verified(&world);
}
