//! The link between market and router is lost while the router lives; and a router that has a callee where the market asks
//! whether there is none, or has no room.

use crate::{RESUMED, behind, mended};
use bourse_app::config::{LoginMethod, Serializer};
use bourse_tests::{Behind, Buyer, Relay, Seller, Town, World, call, map_of, page, refused, tokens, until};
use bourse_wamp::{
    CallResult, Invocation, JoinOptions, Limits, Router, RouterConfig, Session, Users, Value, connect_ws,
};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const BUYERS: usize = 3;
const PAUSE: Duration = Duration::from_millis(20);
/// The market looks every ten seconds whether its router answers, and waits five for that.
const LOOK: Duration = Duration::from_secs(15);

/// A market that has joined the node over a wire which can be lost, while everybody else is at the node itself.
async fn over_a_wire(node: &Behind) -> (World, Relay) {
    let wire = Relay::to(&node.url()).await;
    let url = format!("ws://{}/ws", wire.address());
    let mut world = World::with(|config| node.welcome(config, url, Serializer::Cbor)).await;
    world.meet_at(node.url());
    (world, wire)
}

/// What the market's page says of it, and whether it is ready.
async fn ready(world: &World) -> (bool, serde_json::Value) {
    let (status, said) = page(world.http(), "/readyz").await;
    (status.ends_with("200 OK"), serde_json::from_str(&said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_cut_under_load_costs_nobody_a_unit_and_whoever_stayed_at_the_router_trades_on() {
    let Some(node) = Behind::start() else {
        return;
    };
    let (world, wire) = over_a_wire(&node).await;
    let mut town = Town::of(&world, BUYERS, PAUSE).await;
    let stranger = world.session().await;
    for cut in 0..2_u64 {
        let after = Duration::from_millis(900 + 37 * cut);
        town.broken_off(after, Duration::from_secs(10), || wire.cut())
            .await;
        until("a market that says that it is not reached", async || {
            !ready(&world).await.0
        })
        .await;
        let (_, said) = ready(&world).await;
        let why = said["degraded"].as_str().unwrap();
        assert!(
            why.contains("router") && said["degraded_since"].as_u64().is_some(),
            "{said}"
        );
        let (health, _) = page(world.http(), "/healthz").await;
        assert_eq!(health, "HTTP/1.1 200 OK", "it is well, only nobody reaches it");
        refused(
            call(&stranger, "xbr.marketmaker.get_status", Vec::new()).await,
            "wamp.error.no_such_procedure",
        );
        sleep(Duration::from_secs(2)).await;

        wire.mend();
        let returned = Instant::now();
        for trader in &mut town.traders {
            // On the sessions that they had.
            trader.answered().await;
            assert!(returned.elapsed() < RESUMED, "{:?}", returned.elapsed());
        }
        assert_eq!(map_of(&mended(&world).await)["degraded_since"], Value::Null);
        assert!(ready(&world).await.0);
    }
    town.assert_balanced(&world, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_goes_silent_is_given_up_and_what_the_market_had_there_is_taken_back() {
    let Some(node) = Behind::start() else {
        return;
    };
    let (world, wire) = over_a_wire(&node).await;
    let mut town = Town::of(&world, BUYERS, PAUSE).await;
    let began = Instant::now();
    // Neither side hears that anything ended: the router takes the market for alive, which has to end that itself.
    let patience = LOOK + RESUMED + RESUMED;
    town.broken_off(Duration::from_millis(900), patience, || wire.fall_silent())
        .await;
    for trader in &mut town.traders {
        trader.answered().await;
    }
    let took = began.elapsed();
    assert!(took < patience + RESUMED, "trading went on after {took:?}");
    assert!(wire.connections() >= 2, "it came over a new connection");
    mended(&world).await;
    town.assert_balanced(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_serves_what_no_seller_does_neither_keeps_the_market_away_nor_sells() {
    const ASKED: &str = "xbr.provider.bourse-asks-whether-it-may-call-sellers.sell";
    let Some(node) = Behind::start() else {
        return;
    };
    let join = async || {
        let link = connect_ws(&node.url(), bourse_wamp::Serializer::Cbor)
            .await
            .unwrap();
        Session::join(link, JoinOptions::default()).await.unwrap()
    };
    let silent = join().await;
    silent.register(ASKED, |_: Invocation| pending()).await.unwrap();
    let began = Instant::now();
    let mut world = behind(&node).await;
    assert!(
        began.elapsed() < RESUMED,
        "it waited for an answer: {:?}",
        began.elapsed()
    );
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(50)).await;
    let key = seller.offer(Some(tokens(2))).await;
    buyer.buy(key).await.unwrap();

    world.stop().await;
    silent.leave().await;
    let answering = join().await;
    let answer = async |_: Invocation| Ok(CallResult::one("at your service"));
    answering.register(ASKED, answer).await.unwrap();
    world.restart().await;
    // The seller and the buyer never left.
    buyer.buy(key).await.unwrap();
    let status = mended(&world).await;
    assert_eq!(map_of(&status)["degraded_since"], Value::Null);
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_without_room_is_waited_for_and_one_that_refuses_the_market_ends_its_start() {
    // The library's own router, which lets a guest be the market where its users say so.
    let users = || Users::new(true).with_ticket("xbrmm", "marketmaker", "sesame");
    let limits = Limits {
        sessions: 1,
        ..Limits::default()
    };
    let config = RouterConfig {
        limits,
        ..RouterConfig::default()
    };
    let router = Router::new(config, Arc::new(users()));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let url = format!("ws://{}/ws", router.listen_ws(any, "/ws").await.unwrap());
    let link = connect_ws(&url, bourse_wamp::Serializer::Cbor).await.unwrap();
    let guest = Session::join(link, JoinOptions::default()).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    std::fs::write(&right, "sesame").unwrap();
    std::fs::write(&wrong, "barley").unwrap();
    let mut world = World::with(|config| {
        config.wamp.connect = Some(url.clone());
        config.wamp.login.method = LoginMethod::Ticket;
        config.wamp.login.authid = Some("xbrmm".to_owned());
        config.wamp.login.file = Some(right.clone());
    })
    .await;
    let (there, said) = ready(&world).await;
    assert!(
        !there
            && said["degraded"]
                .as_str()
                .unwrap()
                .contains("wamp.error.unavailable"),
        "{said}"
    );
    guest.leave().await;
    until("the market at a router that has room", async || {
        ready(&world).await.0
    })
    .await;

    let mut config = world.config().clone();
    config.store.path = folder.path().join("data");
    config.wamp.login.file = Some(wrong);
    world.stop().await;
    let error = bourse_app::Host::start(&config).await.err().unwrap();
    let said = format!("{error:#}");
    assert!(
        said.contains("wamp.error.authentication_failed") && said.contains("xbrmm"),
        "{said}"
    );
    config.wamp.login.file = Some(right);
    config.realm.name = "realm9".to_owned();
    // This process does not end with a start that failed, and may have the ledger open for a moment yet.
    config.store.path = folder.path().join("other");
    let error = bourse_app::Host::start(&config).await.err().unwrap();
    assert!(
        format!("{error:#}").contains("wamp.error.no_such_realm"),
        "{error:#}"
    );
}
