//! Logins at a real Crossbar.io that asks the market whom to let in, and what others can do to whoever is logged in there.
//!
//! The node is the one that `cargo xtask test` names in `BOURSE_CROSSBAR`, on the configurations in `examples/crossbar`; where
//! the variable is unset these tests say that they checked nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Access, Serializer};
use bourse_app::uri;
use bourse_chain::Signer;
use bourse_tests::{
    Behind, Buyer, Client, Plain, Seller, World, assert_balanced, call, fund, refused, tokens,
};
use bourse_wamp::{Dict, Session, Value, WampError};
use serde_json::json;

const LOGOUT: &str = "xbr.marketmaker.authenticator.logout";

/// A market of members that has joined the node.
async fn members_behind(node: &Behind) -> World {
    let url = node.url();
    World::with(|config| {
        node.welcome(config, url, Serializer::Cbor);
        config.realm.access = Access::Members;
    })
    .await
}

async fn log_in(world: &World, authid: &str) -> Session {
    world.session_as(authid, Behind::TICKET).await.unwrap()
}

/// What only this member may ask.
async fn own_call(session: &Session, member: &Signer) -> Result<Value, WampError> {
    let args = vec![Value::from(member.address().0), Value::from(1u64)];
    call(session, "xbr.marketmaker.get_channels_by_actor", args).await
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_crossbar_a_key_is_whose_who_proved_to_hold_it_and_counts_no_longer_than_it_stands() {
    let Some(node) = Behind::start_with_logins() else {
        return;
    };
    let mut world = members_behind(&node).await;
    let anybody = log_in(&world, "buyer-one").await;
    let (owner, thief) = (Signer::generate(), Signer::generate());
    for member in [&owner, &thief] {
        fund(&anybody, member.address(), tokens(1)).await;
    }
    let client = Client::new();
    let (key, claim) = (client.key.clone(), client.vouched(&world, &thief).extra);
    assert!(Plain::is_challenged_in_vain(&world, &key, &claim).await);
    let client = Client {
        key,
        extra: Dict::new(),
    }
    .vouched(&world, &owner);
    let first = client.join(&world, &client.extra).await.unwrap();
    let authid = format!("member-{}", hex::encode(owner.address().0));
    assert_eq!((first.authid(), first.authrole()), (authid.as_str(), "user"));
    own_call(&first, &owner).await.unwrap();
    refused(own_call(&first, &thief).await, uri::NOT_AUTHORIZED);
    // It is on record since that call, and nobody else's word for the key counts.
    let second = client.join(&world, &Dict::new()).await.unwrap();
    assert_eq!(second.authid(), authid);
    assert!(client.join(&world, &claim).await.is_err());

    // Sessions outlive the market here, and it finds out anew by what they are in.
    world.restart().await;
    for session in [&first, &second] {
        own_call(session, &owner).await.unwrap();
    }
    call(&second, LOGOUT, vec![]).await.unwrap();
    refused(own_call(&first, &owner).await, uri::NOT_AUTHORIZED);
    world.restart().await;
    refused(own_call(&first, &owner).await, uri::NOT_AUTHORIZED);
    // Who came by a ticket is in by the operator's word, whatever the market forgot.
    call(&anybody, "xbr.marketmaker.status", vec![]).await.unwrap();
}

/// Registers what somebody else serves, as Crossbar.io lets whoever may register there.
async fn take_over(stranger: &mut Plain, provider_id: &str) -> serde_json::Value {
    let procedure = format!("xbr.provider.{provider_id}.sell");
    let register = json!([64, 1, {"force_reregister": true}, procedure]);
    stranger.ask(&register).await
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_crossbar_nobody_takes_the_place_of_a_seller_that_has_a_role_of_its_own() {
    let Some(node) = Behind::start_with_logins() else {
        return;
    };
    let url = node.url();
    let world = World::with(|config| node.welcome(config, url, Serializer::Cbor)).await;
    let session = log_in(&world, "seller-one").await;
    let seller = Seller::on(&world, session, "seller-one", tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    let mut buyer = Buyer::on(&world, log_in(&world, "buyer-one").await, tokens(10)).await;
    buyer.buy(key).await.unwrap();
    for stranger in ["buyer-one", "seller-two"] {
        let mut client = Plain::at(&world.url()).await;
        let realm = &world.config().realm.name;
        client.log_in(realm, stranger, Behind::TICKET).await;
        let answer = take_over(&mut client, "seller-one").await;
        assert_eq!(
            (&answer[0], &answer[4]),
            (&json!(8), &json!("wamp.error.not_authorized")),
            "{answer}"
        );
        buyer.buy(key).await.unwrap();
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_crossbar_whoever_takes_a_sellers_place_can_keep_it_from_selling_and_has_nothing_of_it() {
    let Some(node) = Behind::start() else {
        return;
    };
    let url = node.url();
    let world = World::with(|config| {
        node.welcome(config, url, Serializer::Cbor);
        config.market.sell_deadline_ms = 3_000;
    })
    .await;
    let mut seller = Seller::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    buyer.buy(key).await.unwrap();
    let mut stranger = Plain::at(&world.url()).await;
    let realm = &world.config().realm.name;
    let details = json!({"roles": {"callee": {}}, "authmethods": ["anonymous"]});
    let welcome = stranger.ask(&json!([1, realm, details])).await;
    assert_eq!(welcome[0], 2, "{welcome}");
    let answer = take_over(&mut stranger, &seller.provider_id).await;
    assert_eq!(answer[0], 65, "it may, as everybody here may: {answer}");
    let books = (buyer.seq, buyer.balance);
    buyer.buy_at(key, tokens(1)).await.unwrap_err();
    assert_eq!(buyer.posted().await, books, "the buyer has everything");
    stranger.leave().await;
    seller.restart(&world).await;
    buyer.buy_at(key, tokens(1)).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
