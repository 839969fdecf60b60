//! Thefts that need no broken signature: offers in a seller's name, and its own signatures shown to it again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::KeyId;
use bourse_tests::{Buyer, Seller, World, assert_balanced, call, call_named, refused, tokens};
use bourse_wamp::{Dict, Session, Value, WampError};

const NOT_AUTHORIZED: &str = "bourse.error.not_authorized";
const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";

/// Offers `key` for nothing, in the name of `seller`, under `provider_id`.
async fn offer_for_nothing(
    thief: &Session,
    seller: &Seller,
    key: KeyId,
    provider_id: &str,
) -> Result<Value, WampError> {
    let mut args = seller.offer_args(Some(bourse_market::Amount::ZERO), Dict::new());
    args.insert("key_id".to_owned(), Value::from(key.0));
    args.insert("provider_id".to_owned(), Value::Str(provider_id.to_owned()));
    call_named(thief, "xbr.marketmaker.place_offer", Vec::new(), args).await
}

#[tokio::test]
async fn nobody_offers_a_key_under_the_provider_id_of_another_session() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let thief = world.session().await;
    let error = offer_for_nothing(&thief, &seller, KeyId([1; 16]), &seller.provider_id)
        .await
        .unwrap_err();
    assert_eq!(error.uri, NOT_AUTHORIZED);
}

#[tokio::test]
async fn an_offer_placed_before_its_provider_came_is_never_sold_by_it() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(100)).await;
    // The thief saw the key in published data, while the seller was away.
    let (key, thief) = (KeyId([1; 16]), world.session().await);
    seller.session.leave().await;
    offer_for_nothing(&thief, &seller, key, &seller.provider_id)
        .await
        .unwrap();
    seller.reconnect(&world).await;

    let buyer = Buyer::new(&world, tokens(10)).await;
    let order = buyer.order(key, bourse_market::Amount::ZERO);
    refused(buyer.send(&order).await, SELLER_UNAVAILABLE);
    assert!(seller.sells().is_empty(), "the seller was asked for its key");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn an_offer_placed_under_a_squatted_provider_id_is_never_sold_by_its_owner() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let honest = seller.offer(Some(tokens(1))).await;
    buyer.buy(honest).await.unwrap();
    // While the seller is away, the thief answers under its id and offers a key that the seller knows.
    seller.session.leave().await;
    let (key, thief) = (KeyId([1; 16]), world.session().await);
    let sell = format!("xbr.provider.{}.sell", seller.provider_id);
    thief.register(&sell, |_| std::future::pending()).await.unwrap();
    offer_for_nothing(&thief, &seller, key, &seller.provider_id)
        .await
        .unwrap();
    thief.leave().await;
    seller.reconnect(&world).await;

    let order = buyer.order(key, bourse_market::Amount::ZERO);
    refused(buyer.send(&order).await, SELLER_UNAVAILABLE);
    assert_eq!(
        seller.sells().len(),
        1,
        "the seller was asked for a key it never offered"
    );
    // What the seller offered itself, on a session that proved to be its own, still sells.
    buyer.buy(honest).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_sale_meant_for_one_session_never_reaches_another() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(100)).await;
    let buyer = Buyer::new(&world, tokens(10)).await;
    seller.session.leave().await;
    let (key, thief) = (KeyId([1; 16]), world.session().await);
    let sell = format!("xbr.provider.{}.sell", seller.provider_id);
    // The thief has itself asked again and again, then leaves its place to the seller.
    let not_yet = |_| async {
        let uri = "xbr.error.unexpected_channel_seq".to_owned();
        Err(WampError {
            uri,
            args: Vec::new(),
            kwargs: Dict::new(),
        })
    };
    thief.register(&sell, not_yet).await.unwrap();
    offer_for_nothing(&thief, &seller, key, &seller.provider_id)
        .await
        .unwrap();
    let order = buyer.order(key, bourse_market::Amount::ZERO);
    let (bought, ()) = tokio::join!(buyer.send(&order), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        thief.leave().await;
        seller.reconnect(&world).await;
    });
    refused(bought, SELLER_UNAVAILABLE);
    assert!(
        seller.sells().is_empty(),
        "the seller was asked to sell for the thief"
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_sale_in_a_sellers_name_cannot_be_shown_to_the_seller_itself() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(5))).await;
    let thief = world.session().await;
    // Whatever state the market maker signed, only the market maker asks a seller to act on it.
    let sell = format!("xbr.provider.{}.sell", seller.provider_id);
    let error = call(&thief, &sell, vec![Value::from(key.0)]).await.unwrap_err();
    assert_eq!(error.uri, "wamp.error.not_authorized");
    assert!(seller.sells().is_empty());
}
