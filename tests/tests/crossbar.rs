//! The market behind a real Crossbar.io, which is killed under load, as the market is.
//!
//! The node is the one that `cargo xtask test` names in `BOURSE_CROSSBAR`, on the configuration in `examples/crossbar`;
//! where the variable is unset these tests say that they checked nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::Serializer;
use bourse_market::KeyId;
use bourse_tests::{
    Behaviour, Behind, Buyer, Order, Receipt, Seller, World, assert_balanced, call, int_of, map_of, run,
    tokens,
};
use bourse_wamp::{CallError, CallOptions, Dict, Value};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const BUYERS: usize = 3;
const KILLS: usize = 2;
/// Trading goes on this soon after the router is back.
const RESUMED: Duration = Duration::from_secs(5);

/// A market that has joined the node.
async fn behind(node: &Behind) -> World {
    let url = node.url();
    World::with(|config| node.welcome(config, url, Serializer::Cbor)).await
}

/// A buyer and the order it has no answer to.
struct Trader {
    buyer: Buyer,
    unanswered: Option<Order>,
    sales: usize,
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

/// Buys until the market or the router is gone.
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

/// Asks again and again until there is something, for as long as a loaded machine may take.
async fn found<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{what} did not come");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Asks for the unanswered order until it is answered: with the receipt if it was posted, by a sale if it was not.
async fn answered(trader: &mut Trader) {
    let order = trader.unanswered.take().unwrap();
    let books = (trader.buyer.seq, trader.buyer.balance);
    let receipt = found("a receipt", async || match ask(&trader.buyer, &order).await {
        Ok(receipt) => Some(receipt),
        Err(CallError::Wamp(error)) if error.uri.starts_with("bourse.") => {
            let posted = trader.buyer.posted().await;
            let paid = posted == (order.seq, order.balance);
            assert!(
                paid || posted == books,
                "{posted:?} follows neither {books:?} nor {order:?}: {error}"
            );
            None
        }
        Err(_) => None,
    })
    .await;
    trader.buyer.book(&receipt);
    trader.sales += 1;
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

async fn sellers_and_traders(world: &World) -> (Vec<Seller>, Vec<KeyId>, Vec<Trader>) {
    let sellers = vec![
        Seller::new(world, tokens(100_000)).await,
        Seller::new(world, tokens(100_000)).await,
    ];
    let mut keys = Vec::new();
    for seller in &sellers {
        // Long enough that a kill finds purchases with their sellers.
        seller.behave(Behaviour::Slow(Duration::from_millis(20)));
        keys.push(seller.offer(Some(tokens(1))).await);
    }
    let mut traders = Vec::new();
    for _ in 0..BUYERS {
        traders.push(Trader {
            buyer: Buyer::new(world, tokens(50_000)).await,
            unanswered: None,
            sales: 0,
        });
    }
    (sellers, keys, traders)
}

/// Has everybody trade, and then `break_off` what they trade over.
async fn broken_off(
    traders: Vec<Trader>,
    keys: &[KeyId],
    after: Duration,
    break_off: impl FnOnce(),
) -> Vec<Trader> {
    let mut tasks = JoinSet::new();
    for (number, trader) in traders.into_iter().enumerate() {
        tasks.spawn(trade(trader, keys[number % keys.len()]));
    }
    sleep(after).await;
    break_off();
    let done = timeout(Duration::from_secs(20), tasks.join_all());
    done.await.expect("a broken connection is noticed at once")
}

async fn real_clients(wire: fn(&Behind) -> String, serializer: Serializer, arguments: &str) {
    let Some(interpreter) = std::env::var_os("BOURSE_PYTHON") else {
        return eprintln!("NOT CHECKED: BOURSE_PYTHON is unset; `cargo xtask test` sets it");
    };
    let Some(node) = Behind::start() else {
        return;
    };
    let url = wire(&node);
    let world = World::with(|config| node.welcome(config, url.clone(), serializer)).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/trade.py");
    let output = Command::new(interpreter)
        .arg(script)
        .args(["--url", &url, "--keys", "20", "--price", "35"])
        .args(arguments.split_whitespace())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let summary: serde_json::Value = serde_json::from_str(said.trim())
        .unwrap_or_else(|error| panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert!(output.status.success(), "{summary:#}");
    assert_eq!(summary["decrypted"], 20, "{summary:#}");
    assert_eq!(summary["agree"], true, "{summary:#}");
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_seller_and_buyer_trade_through_crossbar() {
    real_clients(Behind::url, Serializer::Cbor, "--serializer cbor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_seller_and_buyer_trade_through_crossbar_over_rawsocket_and_json() {
    real_clients(Behind::raw_url, Serializer::Json, "--serializer json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crossbar_killed_under_load_costs_nobody_a_unit_and_trading_resumes_within_five_seconds() {
    let Some(mut node) = Behind::start() else {
        return;
    };
    let mut world = behind(&node).await;
    let (mut sellers, keys, mut traders) = sellers_and_traders(&world).await;
    for kill in 0..KILLS {
        let after = Duration::from_millis(900 + 37 * kill as u64);
        traders = broken_off(traders, &keys, after, || node.kill()).await;
        world.assert_sound();
        sleep(Duration::from_secs(2)).await;

        let returned = node.again(&world).await;
        let status = found("a market that is not degraded", async || {
            let session = world.session().await;
            let status = call(&session, "xbr.marketmaker.get_status", Vec::new())
                .await
                .ok()?;
            (map_of(&status).get("degraded") == Some(&Value::Null)).then_some(status)
        })
        .await;
        assert_eq!(int_of(&status, "status"), 1);
        for seller in &mut sellers {
            seller.reconnect(&world).await;
        }
        for (number, trader) in traders.iter_mut().enumerate() {
            trader.buyer.reconnect(&world).await;
            answered(trader).await;
            let resumed = returned.elapsed();
            assert!(
                number > 0 || resumed < RESUMED,
                "the first sale after {resumed:?}"
            );
            if number == 0 {
                eprintln!("kill {kill}: the first sale {resumed:?} after the router was back");
            }
        }
    }
    assert!(
        traders.iter().all(|trader| trader.sales > KILLS),
        "everybody traded between the kills"
    );
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
async fn a_market_killed_under_load_goes_on_with_sellers_that_never_left() {
    let Some(node) = Behind::start() else {
        return;
    };
    let mut world = behind(&node).await;
    // The first start makes the key and the market; the process finds both.
    world.stop().await;
    world.try_run_apart(&node.environment()).unwrap();
    let (sellers, keys, mut traders) = sellers_and_traders(&world).await;
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let after = Duration::from_millis(900 + 37 * kill as u64);
        traders = broken_off(traders, &keys, after, || world.kill()).await;
        assert_verified(&world);
        interrupted += world.verify().checked.sent;
        world.try_run_apart(&node.environment()).unwrap();
        for trader in &mut traders {
            // Buyers and sellers are on the sessions that they had, with the books that they had.
            answered(trader).await;
        }
    }
    assert!(
        interrupted > 0,
        "no kill came in the middle of a purchase: the test proves little"
    );
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
