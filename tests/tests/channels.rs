//! Opening channels: what is refused and why, whose money it takes, and the events that go with channels and offers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::{ChannelOpen, Signer};
use bourse_market::{Address, Amount, ChannelKind, MarketId};
use bourse_tests::{
    Buyer, Ear, Seller, World, amount_of, assert_balanced, bytes_of, call, call_named, error_amount, fund,
    int_of, map_of, open_args, open_message, public, refused, tokens,
};
use bourse_wamp::{Dict, Value};

const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
const INVALID_SIGNATURE: &str = "xbr.error.invalid_signature";
const OPEN: &str = "xbr.marketmaker.open_channel";

#[tokio::test]
async fn a_request_that_is_not_for_this_market_is_refused_by_the_argument() {
    let world = World::start().await;
    let session = world.session().await;
    let member = Signer::generate();
    fund(&session, member.address(), tokens(100)).await;
    let honest = open_message(
        &world,
        ChannelKind::Payment,
        &member,
        Signer::generate().address(),
        tokens(10),
    );
    // What the member signs, and yet it is not for us.
    type Change = fn(&mut ChannelOpen);
    let signed: [(&str, Change); 6] = [
        ("market_oid", |message| message.market = MarketId([1; 16])),
        ("marketmaker", |message| message.marketmaker = Address([1; 20])),
        ("recipient", |message| message.recipient = message.actor),
        ("delegate", |message| message.delegate = Address([0; 20])),
        ("amount", |message| message.amount = Amount::ZERO),
        ("current_block_number", |message| message.opened_at = Amount::ZERO),
    ];
    for (argument, change) in signed {
        let mut message = honest;
        change(&mut message);
        let error = refused(
            call(&session, OPEN, open_args(&world, &message, &member)).await,
            INVALID_ARGUMENT,
        );
        assert_eq!(error.kwargs["argument"], Value::from(argument));
    }
    // What is not part of the signed fields, or another value than was signed.
    for (at, value, uri) in [
        (3, Value::from(1u64), INVALID_ARGUMENT),
        (5, Value::from([1; 20]), INVALID_ARGUMENT),
        (6, Value::from(0u64), INVALID_ARGUMENT),
        (6, Value::from(3u64), INVALID_ARGUMENT),
        (0, Value::from([1; 20]), INVALID_SIGNATURE),
        (2, Value::from([1; 16]), INVALID_SIGNATURE),
        (4, Value::from(2u64), INVALID_SIGNATURE),
        (6, Value::from(2u64), INVALID_SIGNATURE),
        (7, Value::from([1; 20]), INVALID_SIGNATURE),
        (9, Value::from([1; 20]), INVALID_SIGNATURE),
        (10, Value::from(tokens(11).to_be_bytes()), INVALID_SIGNATURE),
        (11, Value::from([1; 65]), INVALID_SIGNATURE),
    ] {
        let mut args = open_args(&world, &honest, &member);
        args[at] = value.clone();
        let error = call(&session, OPEN, args).await.expect_err("a changed request");
        assert_eq!(error.uri, uri, "argument {at} as {value:?}: {error:?}");
    }
    assert_eq!(world.host().counts().unwrap().channels, 0);
    call(&session, OPEN, open_args(&world, &honest, &member))
        .await
        .unwrap();
    let again = refused(
        call(&session, OPEN, open_args(&world, &honest, &member)).await,
        INVALID_ARGUMENT,
    );
    assert_eq!(again.kwargs["argument"], Value::from("channel_oid"));
    let later = ChannelOpen {
        opened_at: Amount::from_units(123_456),
        ..honest
    };
    let later = ChannelOpen {
        channel: bourse_market::ChannelId([5; 16]),
        ..later
    };
    call(&session, OPEN, open_args(&world, &later, &member))
        .await
        .unwrap();
    world.assert_sound();
}

#[tokio::test]
async fn a_channel_takes_no_more_than_its_payer_has() {
    let world = World::with(|config| config.chain.local.float = 100).await;
    let session = world.session().await;
    let (member, delegate) = (Signer::generate(), Signer::generate().address());
    fund(&session, member.address(), tokens(10)).await;
    for (kind, holds, good) in [(ChannelKind::Payment, 10, 4), (ChannelKind::Paying, 100, 60)] {
        let open = async |amount| {
            let message = open_message(&world, kind, &member, delegate, amount);
            call(&session, OPEN, open_args(&world, &message, &member)).await
        };
        for too_much in [tokens(holds + 1), Amount::MAX] {
            let error = refused(open(too_much).await, "bourse.error.insufficient_funds");
            assert_eq!(
                (error_amount(&error, "holds"), error_amount(&error, "needs")),
                (tokens(holds), too_much)
            );
        }
        open(tokens(good)).await.unwrap();
        let error = refused(open(tokens(holds)).await, "bourse.error.insufficient_funds");
        assert_eq!(error_amount(&error, "holds"), tokens(holds - good));
        open(tokens(holds - good)).await.unwrap();
    }
    world.assert_sound();
    assert_eq!(world.verify().sums.accounts, Amount::ZERO);
    assert_eq!(world.verify().sums.channels, tokens(110));
}

#[tokio::test]
async fn a_new_channel_is_open_with_its_whole_amount_and_its_delegate_is_told() {
    let world = World::start().await;
    let session = world.session().await;
    let (member, delegate) = (Signer::generate(), Signer::generate().address());
    fund(&session, member.address(), tokens(10)).await;
    for (kind, name) in [(ChannelKind::Payment, "payment"), (ChannelKind::Paying, "paying")] {
        let topic = format!("xbr.marketmaker.delegate.{delegate}.on_{name}_channel_open");
        let mut ear = Ear::at(&session, &topic).await;
        let message = open_message(&world, kind, &member, delegate, tokens(10));
        let opened = call(&session, OPEN, open_args(&world, &message, &member))
            .await
            .unwrap();
        assert_eq!(bytes_of(&opened, "channel_oid"), message.channel.0);
        assert_eq!(int_of(&opened, "state"), 1);

        let id = vec![Value::from(message.channel.0)];
        let getter = format!("xbr.marketmaker.get_{name}_channel");
        let channel = call(&session, &getter, id.clone()).await.unwrap();
        assert_eq!(ear.one().await, channel);
        assert!(ear.is_quiet());
        for (key, value) in [
            ("market_oid", Value::from(world.market().0)),
            ("channel_type", Value::from(kind as u8)),
            ("marketmaker", Value::from(world.marketmaker().0)),
            ("actor", Value::from(member.address().0)),
            ("delegate", Value::from(delegate.0)),
            ("recipient", Value::from(message.recipient.0)),
            ("amount", Value::from(tokens(10).to_be_bytes())),
            ("open_at", Value::from(Amount::from_units(1).to_be_bytes())),
            ("seq", Value::from(1u64)),
            ("state", Value::from(1u64)),
            ("close_balance", Value::from([0; 32])),
            ("suspended", Value::Null),
            ("quarantined", Value::Null),
        ] {
            assert_eq!(map_of(&channel)[key], value, "{name}: {key}");
        }
        let balance = call(&session, &format!("{getter}_balance"), id).await.unwrap();
        assert_eq!(amount_of(&balance, "remaining"), tokens(10));
        assert_eq!(
            (amount_of(&balance, "inflight"), int_of(&balance, "seq")),
            (Amount::ZERO, 1)
        );
        let active = format!("xbr.marketmaker.get_active_{name}_channel");
        assert_eq!(
            call(&session, &active, vec![Value::from(delegate.0)])
                .await
                .unwrap(),
            channel
        );
    }
    world.assert_sound();
}

#[tokio::test]
async fn w_12_offers_are_announced_as_they_are_placed_and_revoked_without_signature_and_session() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(10)).await;
    let listener = world.session().await;
    let mut placed = Ear::at(&listener, "xbr.marketmaker.on_offer_placed").await;
    let mut revoked = Ear::at(&listener, "xbr.marketmaker.on_offer_revoked").await;
    let own = format!("xbr.marketmaker.delegate.{}", seller.signer.address());
    let mut own_placed = Ear::at(&listener, &format!("{own}.on_offer_placed")).await;
    let mut own_revoked = Ear::at(&listener, &format!("{own}.on_offer_revoked")).await;
    for price in [None, Some(Amount::ZERO), Some(tokens(35))] {
        let labels = Dict::from([("colour".to_owned(), Value::from("red"))]);
        let more = Dict::from([("categories".to_owned(), labels.clone().into())]);
        let args = seller.offer_args(price, more);
        let offer = call_named(
            &seller.session,
            "xbr.marketmaker.place_offer",
            vec![],
            args.clone(),
        )
        .await
        .unwrap();
        assert_eq!(placed.one().await, public(&offer));
        assert_eq!(own_placed.one().await, public(&offer));
        let fields = map_of(&offer);
        for (key, argument) in [
            ("key", "key_id"),
            ("api", "api_id"),
            ("uri", "uri"),
            ("seller", "delegate_adr"),
            ("signature", "delegate_signature"),
            ("seller_authid", "provider_id"),
            ("categories", "categories"),
        ] {
            assert_eq!(fields[key], args[argument], "{key}");
        }
        assert_eq!(fields["seller_session_id"], Value::from(seller.session.id()));
        assert_eq!(
            fields["price"],
            Value::from(price.map(|price| price.to_be_bytes()))
        );
        assert_eq!(fields["dynamic"], Value::Bool(price.is_none()));
        let id = vec![Value::from(bytes_of(&offer, "offer"))];
        assert_eq!(
            call(&listener, "xbr.marketmaker.get_offer", id.clone())
                .await
                .unwrap(),
            offer
        );

        let key = vec![Value::from(bytes_of(&offer, "key"))];
        let gone = call(&seller.session, "xbr.marketmaker.revoke_offer", key)
            .await
            .unwrap();
        assert_eq!(revoked.one().await, public(&gone));
        assert_eq!(own_revoked.one().await, public(&gone));
        assert_eq!(
            call(&listener, "xbr.marketmaker.get_offer", id).await.unwrap(),
            gone
        );
        assert!(fields["expires"] == Value::Null && int_of(&gone, "expires") >= int_of(&offer, "timestamp"));
    }
    let again = Dict::from([("key_id".to_owned(), Value::from([3; 16]))]);
    seller.try_offer(None, again.clone()).await.unwrap();
    placed.next().await;
    refused(seller.try_offer(None, again).await, "bourse.error.duplicate_key");
    assert!(placed.is_quiet(), "what is refused is not announced");
    world.assert_sound();
}

#[tokio::test]
async fn channels_that_run_empty_are_announced() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(10)).await;
    let [mut first, mut second] = [
        Buyer::new(&world, tokens(5)).await,
        Buyer::new(&world, tokens(100)).await,
    ];
    let listener = world.session().await;
    let mut payment = Ear::at(&listener, "xbr.marketmaker.on_payment_channel_empty").await;
    let mut paying = Ear::at(&listener, "xbr.marketmaker.on_paying_channel_empty").await;
    let own = |delegate, kind| format!("xbr.marketmaker.delegate.{delegate}.on_{kind}_channel_empty");
    let mut firsts = Ear::at(&listener, &own(first.signer.address(), "payment")).await;
    let mut sellers = Ear::at(&listener, &own(seller.signer.address(), "paying")).await;
    let key = seller.offer(Some(tokens(5))).await;
    first.buy(key).await.unwrap();
    assert_eq!(payment.one().await, Value::from(first.channel.0));
    assert_eq!(firsts.one().await, Value::from(first.channel.0));
    assert!(paying.is_quiet());
    second.buy(key).await.unwrap();
    assert_eq!(paying.one().await, Value::from(seller.channel.0));
    assert_eq!(sellers.one().await, Value::from(seller.channel.0));
    assert!(payment.is_quiet());
    assert_balanced(&world, &[&first, &second], &[&seller]).await;
}
