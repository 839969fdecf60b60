//! A host that dies while it finds out what an unclear seller did. Load seldom leads there, so each place has a story of
//! its own: one seller, one buyer, one death.

use crate::death::light;
use crate::load::{Unpaid, insist};
use bourse_market::Seq;
use bourse_tests::{Behaviour, Buyer, Seller, World, assert_balanced, run, tokens};
use std::ffi::OsString;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The places: a question is on record and not asked yet, or answered and not posted yet. First of a seller that is
/// asked to confirm, then of one that goes on from a purchase that was void.
pub(crate) const PLACES: [&str; 4] = [
    "recovery-recorded",
    "recovery-answered",
    "netting-recorded",
    "netting-answered",
];

/// What a suspended channel's keys are refused with.
const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
/// How long the host may take to die once its buyer has lost it.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// The host dies at this place. Its buyer has its money back and gets its key when it asks again, its seller sells
/// on, and no unit is missing.
pub(crate) async fn die_at(place: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let fuse = folder.path().join("fuse");
    let environment: [(&str, OsString); 1] = [("BOURSE_CRASH_FUSE", fuse.clone().into_os_string())];
    let mut world = World::apart().await;
    world.stop().await;
    world.try_run_apart(&environment).unwrap();
    let mut seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    let is_netting = place.starts_with("netting");
    match is_netting {
        true => {
            let dear = seller.offer(Some(tokens(4))).await;
            seller.behave(Behaviour::LoseAnswer);
            buyer.buy(dear).await.unwrap_err();
            seller.behave(Behaviour::Honest);
            seller.resume(&world).await;
        }
        false => seller.behave(Behaviour::InTurn(vec![Behaviour::LoseAnswer])),
    }

    light(&fuse, place, 1);
    let order = buyer.order(key, tokens(1));
    let mut refusals = 0;
    let answer = insist(&buyer, &order, &mut refusals).await;
    assert!(matches!(answer, Err(Unpaid::Lost)), "{place}: {answer:?}");
    let ended = timeout(LAST_BREATH, async {
        while !world.has_ended() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    ended.await.expect("the host dies where it is told to");
    std::fs::remove_file(&fuse).unwrap();
    world.kill();
    let left = world.verify();
    assert_eq!((left.checked.sent, left.violations), (1, vec![]), "{place}");

    world.try_run_apart(&environment).unwrap();
    buyer.reconnect(&world).await;
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance), "{place}: void");
    if is_netting {
        // The second unclear sale in a row: only the operator lets the channel sell again.
        let error = buyer.send(&order).await.unwrap_err();
        assert_eq!(error.uri, SELLER_UNAVAILABLE, "{place}: {error:?}");
        world.stop().await;
        let channel = seller.channel.to_string();
        let released = run(world.data(), &["ledger", "release", "--channel", &channel]);
        assert!(released.status.success(), "{place}: {released:?}");
        world.try_run_apart(&environment).unwrap();
        buyer.reconnect(&world).await;
    }
    match place {
        // It answered on a session that had never sold, so the market does not take its word for where it stands: it
        // starts afresh, from the posted pair.
        "netting-answered" => seller.reconnect(&world).await,
        _ => seller.resume(&world).await,
    }
    let receipt = insist(&buyer, &order, &mut refusals).await;
    let receipt = receipt.unwrap_or_else(|error| panic!("{place}: {error:?}"));
    buyer.book(&receipt);
    assert_eq!(buyer.seq, Seq(3), "{place}");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    world.stop().await;
}
