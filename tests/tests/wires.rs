//! A purchase over every transport and serializer, between parties that speak different ones, with amounts above 64
//! bits in every spelling that sellers use.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_tests::{Behaviour, Buyer, Seller, Wire, World, assert_balanced, call, refused, tokens};
use bourse_wamp::{Serializer, Value};
use std::time::{Duration, Instant};

/// 3.5e19 units: more than 64 bits hold.
const PRICE: u64 = 35;

#[tokio::test(flavor = "multi_thread")]
async fn every_wire_buys_from_every_wire_with_amounts_as_bytes_and_as_plain_numbers() {
    let world = World::start().await;
    let (mut buyers, mut sellers) = (Vec::new(), Vec::new());
    for (number, wire) in Wire::all().enumerate() {
        let session = world.session_over(wire).await;
        buyers.push(Buyer::on(&world, session, tokens(10_000)).await);
        let session = world.session_over(wire).await;
        sellers.push((
            wire,
            Seller::on(&world, session, &format!("p{number}"), tokens(10_000)).await,
        ));
    }
    for (wire, seller) in &sellers {
        // MessagePack has no integers above 64 bits: its sellers answer bytes.
        let spellings = match wire.serializer() {
            Serializer::MsgPack => vec![Behaviour::Honest],
            Serializer::Json | Serializer::Cbor => vec![Behaviour::Honest, Behaviour::PlainNumbers],
        };
        for spelling in spellings {
            seller.behave(spelling);
            let key = seller.offer(Some(tokens(PRICE))).await;
            for buyer in &mut buyers {
                let receipt = buyer.buy(key).await.unwrap();
                assert_eq!((receipt.paid, receipt.sealed_key.len()), (tokens(PRICE), 80));
            }
        }
    }
    let sellers: Vec<&Seller> = sellers.iter().map(|(_, seller)| seller).collect();
    assert_balanced(&world, &buyers.iter().collect::<Vec<_>>(), &sellers).await;
}

#[tokio::test]
async fn a_seller_that_cannot_spell_its_answer_fails_cleanly_and_at_once() {
    let world = World::start().await;
    let session = world.session_over(Wire::WebSocket(Serializer::MsgPack)).await;
    let mut seller = Seller::on(&world, session, "p", tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(1000)).await;
    let key = seller.offer(Some(tokens(PRICE))).await;
    seller.behave(Behaviour::PlainNumbers);
    let asked = Instant::now();
    refused(buyer.buy(key).await, "xbr.error.transaction_failed");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    // It advanced; that is what the suspension is for.
    seller.behave(Behaviour::Honest);
    seller.restart(&world).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn every_wire_carries_every_getter_alike() {
    let world = World::start().await;
    let buyer = Buyer::new(&world, tokens(PRICE)).await;
    let seller = Seller::new(&world, tokens(PRICE)).await;
    let key = seller.offer(Some(tokens(PRICE))).await;
    let channel = || vec![Value::from(buyer.channel.0)];
    let calls = [
        ("get_payment_channel", channel()),
        ("get_payment_channel_balance", channel()),
        (
            "get_active_paying_channel",
            vec![Value::from(seller.signer.address().0)],
        ),
        (
            "get_channels_by_actor",
            vec![Value::from(buyer.actor.address().0), Value::from(1u64)],
        ),
        ("get_gas_price", vec![]),
        ("status", vec![]),
    ];
    for (procedure, args) in calls {
        let uri = format!("xbr.marketmaker.{procedure}");
        let expected = call(&buyer.session, &uri, args.clone()).await.unwrap();
        for wire in Wire::all() {
            let session = world.session_over(wire).await;
            assert_eq!(
                call(&session, &uri, args.clone()).await.unwrap(),
                expected,
                "{procedure} over {wire:?}"
            );
            let price = call(&session, "xbr.marketmaker.get_quote", vec![Value::from(key.0)])
                .await
                .unwrap();
            assert_eq!(
                bourse_tests::amount_of(&price, "price"),
                tokens(PRICE),
                "{wire:?}"
            );
        }
    }
}
