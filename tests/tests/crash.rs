//! The real binary, killed with -9 while it sells: what was promised is kept, what was not is undone, and nobody
//! loses a unit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::KeyId;
use bourse_tests::{Behaviour, Buyer, Order, Receipt, Seller, World, assert_balanced, refused, run, tokens};
use bourse_wamp::{CallError, CallOptions, Dict};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const BUYERS: usize = 4;
const KILLS: usize = 3;

/// A buyer and the order it has no answer to.
struct Trader {
    buyer: Buyer,
    unanswered: Option<Order>,
    sales: usize,
}

/// Buys until the connection breaks.
async fn trade(mut trader: Trader, key: KeyId) -> Trader {
    loop {
        let order = trader.buyer.order(key, tokens(1));
        match ask(&trader.buyer, &order).await {
            Ok(receipt) => {
                trader.buyer.book(&receipt);
                trader.sales += 1;
            }
            Err(CallError::Wamp(error))
                if error.uri.starts_with("bourse.") || error.uri.starts_with("xbr.") =>
            {
                panic!("an honest purchase was refused: {error:?}")
            }
            Err(_) => {
                trader.unanswered = Some(order);
                return trader;
            }
        }
    }
}

async fn ask(buyer: &Buyer, order: &Order) -> Result<Receipt, CallError> {
    let options = CallOptions {
        timeout: Some(Duration::from_secs(20)),
        ..CallOptions::default()
    };
    let answer = buyer
        .session
        .call("xbr.marketmaker.buy_key", order.args(), Dict::new(), options)
        .await?;
    Ok(Receipt::of(answer.args.into_iter().next().unwrap()))
}

/// `bourse ledger verify` on the world's data, running or not.
fn assert_verified(world: &World) {
    let output = run(world.data(), &["ledger", "verify"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("every invariant holds"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_kills_during_continuous_purchases_cost_nobody_a_unit() {
    let mut world = World::apart().await;
    let mut sellers = vec![
        Seller::new(&world, tokens(100_000)).await,
        Seller::new(&world, tokens(100_000)).await,
    ];
    let mut keys = Vec::new();
    for seller in &sellers {
        // Long enough that a kill finds purchases with their sellers.
        seller.behave(Behaviour::Slow(Duration::from_millis(5)));
        keys.push(seller.offer(Some(tokens(1))).await);
    }
    let mut traders = Vec::new();
    for _ in 0..BUYERS {
        traders.push(Trader {
            buyer: Buyer::new(&world, tokens(50_000)).await,
            unanswered: None,
            sales: 0,
        });
    }
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let mut tasks = JoinSet::new();
        for (number, trader) in traders.drain(..).enumerate() {
            tasks.spawn(trade(trader, keys[number % keys.len()]));
        }
        // Not the same moment of a purchase each time.
        sleep(Duration::from_millis(400 + 37 * kill as u64)).await;
        world.kill();
        let done = timeout(Duration::from_secs(10), tasks.join_all());
        traders = done.await.expect("a broken connection is noticed at once");
        assert_verified(&world);
        interrupted += world.verify().checked.sent;

        world.run_apart();
        for seller in &mut sellers {
            seller.reconnect(&world).await;
        }
        for trader in &mut traders {
            trader.buyer.reconnect(&world).await;
            let books = (trader.buyer.seq, trader.buyer.balance);
            let order = trader.unanswered.take().unwrap();
            let posted = trader.buyer.posted().await;
            let paid = posted == (order.seq, order.balance);
            assert!(
                paid || posted == books,
                "kill {kill}: {posted:?} follows neither {books:?} nor {order:?}"
            );
            // Asked again, it is answered: with the receipt if it was posted, by a sale if it was not.
            let receipt = ask(&trader.buyer, &order).await.unwrap();
            trader.buyer.book(&receipt);
            trader.sales += 1;
        }
    }
    assert!(
        traders.iter().all(|trader| trader.sales > KILLS),
        "everybody traded between the kills"
    );
    assert!(
        interrupted > 0,
        "no kill came in the middle of a purchase: the test proves little"
    );
    assert_verified(&world);
    let buyers: Vec<&Buyer> = traders.iter().map(|trader| &trader.buyer).collect();
    assert_balanced(&world, &buyers, &sellers.iter().collect::<Vec<_>>()).await;
    let sales: usize = traders.iter().map(|trader| trader.sales).sum();
    assert_eq!(
        world.verify().checked.posted,
        sales as u64,
        "one posted purchase for each receipt"
    );
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
