//! Several markets of one process at one node, each in a realm of its own.

use bourse_app::House;
use bourse_market::KeyId;
use bourse_tests::{Behind, Setup, World, call, corn_and_salt, page, refused, tokens, trade_one, until};
use serde_json::Value;

/// Two realms in place of the one that there is.
fn two_realms(setup: &mut Setup) {
    let realms = ["corn", "salt"].map(|name| {
        let mut realm = setup.realms[0].clone();
        realm["name"] = name.into();
        realm
    });
    setup.realms = Value::from(realms.to_vec());
}

/// Whether all of them are ready, and what the page says of each.
async fn ready(world: &World) -> (bool, Value) {
    let (status, said) = page(world.http(), "/readyz").await;
    (status.ends_with("200 OK"), serde_json::from_str(&said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_markets_at_one_crossbar_trade_each_in_its_realm_come_back_with_it_and_stop_alone() {
    let Some(mut node) = Behind::start_with(two_realms) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (_, markets) = corn_and_salt(folder.path(), &node.section());
    let mut house = House::start(&markets).await.unwrap();
    let (corn, salt) = (
        World::of(&house.hosts()[0], &markets[0]),
        World::of(&house.hosts()[1], &markets[1]),
    );
    assert_eq!(corn.url(), salt.url(), "one router");
    assert_ne!(corn.market(), salt.market());

    let key = KeyId([7; 16]);
    let (mut corn_seller, mut corn_buyer) = trade_one(&corn, key).await;
    let (mut salt_seller, mut salt_buyer) = trade_one(&salt, key).await;
    // Neither signature nor channel of one is worth anything in the other.
    let order = corn_buyer.order(key, tokens(2));
    let stray = salt.session().await;
    call(&stray, "xbr.marketmaker.buy_key", order.args())
        .await
        .unwrap_err();

    node.kill();
    until("both without their router", async || {
        let (_, said) = ready(&corn).await;
        ["corn", "salt"]
            .iter()
            .all(|realm| said["markets"][realm]["degraded"].is_string())
    })
    .await;
    node.again(&corn).await;
    until("both at their router again", async || ready(&corn).await.0).await;
    for (world, seller, buyer) in [
        (&corn, &mut corn_seller, &mut corn_buyer),
        (&salt, &mut salt_seller, &mut salt_buyer),
    ] {
        seller.reconnect(world).await;
        buyer.reconnect(world).await;
        buyer.buy(key).await.unwrap();
    }

    house.stop_one("corn").await;
    let (_, said) = ready(&salt).await;
    assert_eq!(said["markets"]["corn"]["status"], "STOPPED", "{said}");
    assert_eq!(said["markets"]["salt"]["status"], "RUNNING", "{said}");
    refused(
        call(&corn.session().await, "xbr.marketmaker.get_status", Vec::new()).await,
        "wamp.error.no_such_procedure",
    );
    salt_buyer.buy(key).await.unwrap();
    let report = house.hosts()[0].verify().unwrap();
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert_eq!(report.checked.posted, 3);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_whose_realm_the_router_does_not_have_is_named_and_leaves_the_others_nothing_behind() {
    let Some(node) = Behind::start_with(two_realms) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (_, mut markets) = corn_and_salt(folder.path(), &node.section());
    markets[1].realm.name = "pepper".to_owned();
    let error = House::start(&markets).await.err().unwrap();
    let said = format!("{error:#}");
    assert!(
        said.contains("pepper") && said.contains("no_such_realm"),
        "{said}"
    );
    markets[1].realm.name = "salt".to_owned();
    // This process does not end with a start that failed, and may have that ledger open for a moment yet.
    markets[1].store.path = folder.path().join("other");
    // Were the first still there, a second of the same realm and folder could not start.
    let house = House::start(&markets).await.unwrap();
    assert_eq!(house.hosts().len(), 2);
    house.stop().await;
}
