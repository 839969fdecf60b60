//! The original SimpleSeller and SimpleBuyer, in Python and unmodified, trade through the node.

use crate::let_like_anonymous;
use bourse_app::config::{Access, Config, Serializer};
use bourse_tests::{Behind, KnownPair, World, python_trade};
use serde_json::json;

async fn trade(
    node: &Behind,
    url: String,
    serializer: Serializer,
    change: impl FnOnce(&mut Config),
    arguments: &str,
) {
    let world = World::with(|config| {
        node.welcome(config, url.clone(), serializer);
        change(config);
    })
    .await;
    let arguments = format!("--keys 20 --price 35 {arguments}");
    let Some((ended_well, summary)) = python_trade(&url, &arguments).await else {
        return;
    };
    assert!(ended_well, "{summary:#}");
    assert_eq!(summary["decrypted"], 20, "{summary:#}");
    assert_eq!(summary["agree"], true, "{summary:#}");
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_seller_and_buyer_trade_through_crossbar() {
    let Some(node) = Behind::start() else {
        return;
    };
    trade(&node, node.url(), Serializer::Cbor, |_| {}, "--serializer cbor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_seller_and_buyer_trade_through_crossbar_over_rawsocket_and_json() {
    let Some(node) = Behind::start() else {
        return;
    };
    trade(
        &node,
        node.raw_url(),
        Serializer::Json,
        |_| {},
        "--serializer json",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn w_10_the_original_seller_and_buyer_trade_through_crossbar_in_a_realm_of_members_once_they_log_in() {
    let pair = KnownPair::new();
    let node = Behind::start_with(|setup| {
        let_like_anonymous(setup, "delegate");
        for authid in pair.authids() {
            let principal = json!({"ticket": KnownPair::TICKET, "role": "delegate"});
            setup.auth["ticket"]["principals"][authid] = principal;
        }
    });
    let Some(node) = node else {
        return;
    };
    let members = |config: &mut Config| config.realm.access = Access::Members;
    trade(&node, node.url(), Serializer::Cbor, members, &pair.arguments()).await;
}
