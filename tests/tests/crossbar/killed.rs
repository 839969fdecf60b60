//! The router or the market is killed, under load.

use crate::{RESUMED, behind, mended};
use bourse_tests::{Behind, Town, assert_verified, int_of};
use std::time::Duration;
use tokio::time::sleep;

const BUYERS: usize = 3;
const KILLS: usize = 2;
/// Long enough that a kill finds purchases with their sellers.
const PAUSE: Duration = Duration::from_millis(20);
/// A broken connection is noticed at once.
const NOTICED: Duration = Duration::from_secs(20);

fn before_kill(kill: usize) -> Duration {
    Duration::from_millis(900 + 37 * kill as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn crossbar_killed_under_load_costs_nobody_a_unit_and_trading_resumes_within_five_seconds() {
    let Some(mut node) = Behind::start() else {
        return;
    };
    let mut world = behind(&node).await;
    let mut town = Town::of(&world, BUYERS, PAUSE).await;
    for kill in 0..KILLS {
        town.broken_off(before_kill(kill), NOTICED, || node.kill()).await;
        world.assert_sound();
        sleep(Duration::from_secs(2)).await;

        let returned = node.again(&world).await;
        assert_eq!(int_of(&mended(&world).await, "status"), 1);
        town.reconnect(&world).await;
        for (number, trader) in town.traders.iter_mut().enumerate() {
            trader.answered().await;
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
    town.assert_balanced(&world, KILLS).await;
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
    let mut town = Town::of(&world, BUYERS, PAUSE).await;
    let mut interrupted = 0;
    for kill in 0..KILLS {
        town.broken_off(before_kill(kill), NOTICED, || world.kill()).await;
        assert_verified(&world);
        interrupted += world.verify().checked.sent;
        world.try_run_apart(&node.environment()).unwrap();
        for trader in &mut town.traders {
            // Buyers and sellers are on the sessions that they had, with the books that they had.
            trader.answered().await;
        }
    }
    assert!(
        interrupted > 0,
        "no kill came in the middle of a purchase: the test proves little"
    );
    town.assert_balanced(&world, KILLS).await;
    world.stop().await;
    assert_verified(&world);
}
