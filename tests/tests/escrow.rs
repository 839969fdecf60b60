//! W-52: keys that their sellers leave with the market maker, sold in their absence and paid for when a channel closes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::Host;
use bourse_chain::Signer;
use bourse_delegates::{BuyerOptions, DataKey, KeyTerms, MarketClient, OfferTerms, ReceiveKey};
use bourse_market::{Amount, ApiId, BuyerPubkey, ChannelId, ChannelKind, KeyId, Nanos, Seq, Signature, View};
use bourse_tests::{
    Absent, Behaviour, Buyer, Ear, Order, Receipt, Seller, World, amount_of, bytes_of, call, close,
    error_amount, error_text, int_of, map_of, now, place, refused, run, send, tokens,
};
use bourse_wamp::{CallError, CallOptions, Dict, Session, Value};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
const INVALID_SIGNATURE: &str = "xbr.error.invalid_signature";
const DUPLICATE_KEY: &str = "bourse.error.duplicate_key";
const SOLD_OUT: &str = "bourse.error.sold_out";
const OFFER_EXPIRED: &str = "xbr.error.offer_expired";
const WRONG_BALANCE: &str = "bourse.error.wrong_balance";
/// A buyer with a key pair of its own.
async fn buyer(world: &World, deposit: u64) -> (Buyer, ReceiveKey) {
    let mut buyer = Buyer::new(world, tokens(deposit)).await;
    let receive = ReceiveKey::generate();
    buyer.pubkey = receive.public();
    (buyer, receive)
}

async fn balance(session: &Session, channel: ChannelId) -> Value {
    let args = vec![Value::from(channel.0)];
    call(session, "xbr.marketmaker.get_paying_channel_balance", args)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn w_52_a_key_is_sold_while_its_seller_is_away_and_opens_for_its_buyer() {
    let mut world = World::start().await;
    let absent = Absent::new();
    let left = absent.leave(&world, tokens(3)).await;
    let (mut buyer, receive) = buyer(&world, 10).await;
    assert_eq!(buyer.quote(left.key()).await.unwrap(), tokens(3));
    let first = buyer.buy(left.key()).await.unwrap();
    assert!(left.opens(&first.sealed_key, &receive));
    // And after a restart, without any quote.
    world.restart().await;
    buyer.reconnect(&world).await;
    let second = buyer.buy_at(left.key(), tokens(3)).await.unwrap();
    assert!(left.opens(&second.sealed_key, &receive));
    assert_ne!(first.sealed_key, second.sealed_key, "each is sealed afresh");
    assert_eq!(buyer.posted().await, (Seq(3), tokens(4)));
    let sums = world.verify().sums;
    assert_eq!(
        (sums.debits, sums.credits, sums.owed),
        (tokens(6), Amount::ZERO, tokens(6))
    );
    let (delegate, key) = (absent.signer.address(), left.key());
    world
        .after_the_end(|ledger| {
            assert_eq!(ledger.debt(&delegate).unwrap().unwrap().sales, 2);
            assert!(ledger.escrowed_key(&key).unwrap().is_some());
        })
        .await;
}

#[tokio::test]
async fn every_vector_of_a_sealed_key_opens_what_the_market_sealed() {
    let file = include_str!("../vectors/crypto.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let world = World::start().await;
    let absent = Absent::new();
    for vector in file["sealed"].as_array().unwrap() {
        let bytes = |name: &str| -> [u8; 32] {
            let text = vector[name].as_str().unwrap().trim_start_matches("0x");
            hex::decode(text).unwrap().try_into().unwrap()
        };
        let mut left = absent.sign(&world, Some(tokens(1)));
        left.secret = bytes("data_key");
        place(&world.session().await, left.args()).await.unwrap();
        let mut buyer = Buyer::new(&world, tokens(1)).await;
        buyer.pubkey = BuyerPubkey(bytes("buyer_pubkey"));
        let receipt = buyer.buy(left.key()).await.unwrap();
        assert!(left.opens(
            &receipt.sealed_key,
            &ReceiveKey::from_bytes(bytes("buyer_privkey"))
        ));
    }
}

#[tokio::test]
async fn the_receipt_has_the_shape_of_a_live_sales_and_comes_back_word_for_word() {
    let mut world = World::start().await;
    let seller = Seller::new(&world, tokens(10)).await;
    let live = seller.offer(Some(tokens(1))).await;
    let left = Absent::new().leave(&world, tokens(3)).await;
    let (mut buyer, _) = buyer(&world, 10).await;
    let of_live = buyer.buy(live).await.unwrap();
    let order = buyer.order(left.key(), tokens(3));
    let receipt = buyer.pay(&order).await.unwrap();
    let names = |receipt: &Receipt| map_of(&receipt.value).keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&receipt), names(&of_live));
    assert_eq!(bytes_of(&receipt.value, "key_id"), left.key().0);

    assert_eq!(buyer.send(&order).await.unwrap(), receipt);
    // Whatever came between, on any session, after a restart, and after the offer ended.
    buyer.buy(live).await.unwrap();
    assert_eq!(send(&world.session().await, &order).await.unwrap(), receipt);
    world.restart().await;
    assert_eq!(send(&world.session().await, &order).await.unwrap(), receipt);
    buyer.reconnect(&world).await;
    // Another purchase at a position that is taken is none.
    let mut other = order.clone();
    other.pubkey = BuyerPubkey([9; 32]);
    refused(buyer.send(&other).await, "bourse.error.out_of_order");
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escrowed_sale_waits_for_no_seller_and_moves_nothing_of_a_live_ones() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(50)).await;
    let live = seller.offer(Some(tokens(1))).await;
    let signed = Absent {
        actor: Signer::from_bytes(&seller.actor.to_bytes()).unwrap(),
        signer: Signer::from_bytes(&seller.signer.to_bytes()).unwrap(),
    };
    let left = signed.leave(&world, tokens(3)).await;
    let (mut one, _) = buyer(&world, 10).await;
    one.buy(live).await.unwrap();
    seller.behave(Behaviour::Slow(Duration::from_secs(3)));
    let (mut two, receive) = buyer(&world, 10).await;
    let slow = tokio::spawn(async move { one.buy_at(live, tokens(1)).await });
    sleep(Duration::from_millis(200)).await;
    let quick = timeout(Duration::from_secs(2), two.buy(left.key())).await;
    assert!(left.opens(
        &quick.expect("it waited for the seller").unwrap().sealed_key,
        &receive
    ));
    slow.await.unwrap().unwrap();
    // The seller's own books are still the market's.
    assert_eq!(seller.posted().await, seller.books());
    assert_eq!(seller.books(), (Seq(3), tokens(48)));
    assert_eq!(seller.sells().len(), 2, "it was asked for its own sales alone");
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_buyers_at_once_get_a_copy_or_nothing() {
    const COPIES: usize = 3;
    let world = World::start().await;
    let absent = Absent::new();
    let left = absent.sign(&world, Some(tokens(2)));
    let mut args = left.args();
    args.insert("copies".to_owned(), Value::Int(COPIES.into()));
    place(&world.session().await, args).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (mut buyer, receive) = buyer(&world, 10).await;
        let left = left.clone();
        tasks.spawn(async move {
            let bought = buyer.buy_at(left.key(), tokens(2)).await;
            match &bought {
                Ok(receipt) => assert!(left.opens(&receipt.sealed_key, &receive)),
                Err(error) => assert_eq!(error.uri, SOLD_OUT),
            }
            assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
            bought.is_ok()
        });
    }
    let sold = tasks.join_all().await.into_iter().filter(|sold| *sold).count();
    assert_eq!(sold, COPIES);
    assert_eq!(world.verify().sums.owed, tokens(6));
    world.assert_sound();
}

#[tokio::test]
async fn a_key_of_another_length_or_kind_is_refused_and_never_repeated() {
    let world = World::start().await;
    let session = world.session().await;
    let left = Absent::new().sign(&world, Some(tokens(1)));
    for wrong in [
        Value::Bytes(vec![]),
        Value::Bytes(vec![0x41; 31]),
        Value::Bytes(vec![0x41; 33]),
        Value::Int(7u64.into()),
        Value::Bool(true),
    ] {
        let mut args = left.args();
        args.insert("privkey".to_owned(), wrong);
        let error = refused(place(&session, args).await, INVALID_ARGUMENT);
        assert_eq!(error.kwargs.get("argument"), Some(&Value::from("privkey")));
        let text = error_text(&error);
        assert!(
            text.contains("32 bytes") && !text.contains("4141") && !text.contains("AA"),
            "{text}"
        );
    }
    assert_eq!(world.host().counts().unwrap().offers, 0);
}

#[tokio::test]
async fn nobody_leaves_a_key_in_a_name_that_is_not_signed_for() {
    // Although this market asks for no signatures where a seller sells by itself.
    let world = World::start().await;
    let session = world.session().await;
    let absent = Absent::new();
    let left = absent.sign(&world, Some(tokens(1)));
    let stranger = Signer::generate().sign(&left.offer.digest(&world.domain()));
    for signature in [stranger, Signature([1; 65]), Signature([0; 65])] {
        let mut args = left.args();
        args.insert("delegate_signature".to_owned(), Value::from(signature.0));
        refused(place(&session, args).await, INVALID_SIGNATURE);
    }
    // Nor at another price, for another time, or elsewhere.
    for (name, value) in [
        ("price", Value::from(tokens(2).to_be_bytes())),
        ("price", Value::Null),
        ("expires", Value::from(now() + 3_600_000_000_000)),
        ("valid_from", Value::Int(1u64.into())),
        ("uri", Value::Str("com.example.x".to_owned())),
        ("api_id", Value::from([8; 16])),
        ("key_id", Value::from([8; 16])),
        ("delegate_adr", Value::from([8; 20])),
    ] {
        let mut args = left.args();
        args.insert(name.to_owned(), value);
        refused(place(&session, args).await, INVALID_SIGNATURE);
    }
    let counts = world.host().counts().unwrap();
    assert_eq!((counts.offers, counts.escrowed_keys), (0, 0));
    place(&session, left.args()).await.unwrap();
}

#[tokio::test]
async fn a_signature_that_was_seen_places_nothing_more() {
    let world = World::start().await;
    let (session, thief) = (world.session().await, world.session().await);
    let mut ear = Ear::at(&thief, "xbr.marketmaker.on_offer_placed").await;
    let absent = Absent::new();
    // Refused for something else: nobody hears of it, and its signature.
    let left = absent.sign(&world, Some(tokens(1)));
    let mut spoiled = left.args();
    spoiled.insert("copies".to_owned(), Value::Int(0u64.into()));
    refused(place(&session, spoiled).await, INVALID_ARGUMENT);
    assert!(ear.is_quiet());
    place(&session, left.args()).await.unwrap();
    let seen = ear.one().await;
    assert_eq!(map_of(&seen)["signature"], Value::Null);
    let secret = format!("{:?}", Value::from(left.secret));
    assert!(!format!("{seen:?}").contains(&secret), "the key is told");

    let mut other = left.args();
    other.insert("privkey".to_owned(), Value::from([9; 32]));
    refused(place(&thief, other.clone()).await, DUPLICATE_KEY);
    // Nor in the place of an offer that its seller serves itself.
    let live = absent.sign(&world, Some(tokens(1)));
    let mut args = live.args();
    args.remove("privkey");
    place(&session, args).await.unwrap();
    refused(place(&thief, live.args()).await, DUPLICATE_KEY);
    let (mut buyer, receive) = buyer(&world, 10).await;
    assert!(left.opens(&buyer.buy(left.key()).await.unwrap().sealed_key, &receive));
    // It was placed without a key: its seller is to sell it, and is not there.
    refused(
        buyer.buy_at(live.key(), tokens(1)).await,
        "bourse.error.seller_unavailable",
    );
}

#[tokio::test]
async fn a_key_lies_on_disk_encrypted_alone_and_goes_with_its_offer() {
    let mut world = World::start().await;
    let session = world.session().await;
    let left = Absent::new().sign(&world, Some(tokens(3)));
    place(&session, left.args()).await.unwrap();
    let (mut buyer, _) = buyer(&world, 10).await;
    buyer.buy(left.key()).await.unwrap();
    let revoke = vec![Value::from(left.key().0)];
    let on_disk = |world: &World| std::fs::read(world.data().join("data.mdb")).unwrap();
    let holds = |data: &[u8], part: &[u8]| data.windows(part.len()).any(|window| window == part);
    let before = on_disk(&world);
    assert!(holds(&before, &left.key().0) && !holds(&before, &left.secret));
    call(&session, "xbr.marketmaker.revoke_offer", revoke)
        .await
        .unwrap();
    refused(buyer.buy_at(left.key(), tokens(3)).await, OFFER_EXPIRED);
    assert_eq!(world.host().counts().unwrap().escrowed_keys, 0);
    assert_eq!(
        world.verify().sums.owed,
        tokens(3),
        "what was earned is still owed"
    );
    let key = left.key();
    world
        .after_the_end(|ledger| assert_eq!(ledger.escrowed_key(&key).unwrap(), None))
        .await;
}

#[tokio::test]
async fn a_market_makers_key_that_was_changed_opens_no_market() {
    let mut world = World::start().await;
    Absent::new().leave(&world, tokens(3)).await;
    world.stop().await;
    let other = Signer::generate();
    std::fs::write(
        world.data().join("marketmaker.key"),
        hex::encode(other.to_bytes().as_slice()),
    )
    .unwrap();
    let Err(error) = Host::start(world.config()).await else {
        panic!("it trades with a key that opens nothing")
    };
    assert!(format!("{error:#}").contains("market maker"), "{error:#}");
}

#[tokio::test]
async fn a_policy_may_price_a_key_and_its_decision_is_kept_with_the_sale() {
    let mut world = World::start().await;
    let left = Absent::new().sign(&world, None);
    place(&world.session().await, left.args()).await.unwrap();
    let (mut buyer, receive) = buyer(&world, 1_000).await;
    let receipt = buyer.buy(left.key()).await.unwrap();
    assert!(left.opens(&receipt.sealed_key, &receive) && !receipt.paid.is_zero());
    let (channel, paid) = (buyer.channel, receipt.paid);
    world
        .after_the_end(|ledger| {
            let sale = ledger.escrow_sale_at(&channel, Seq(2)).unwrap().unwrap();
            let bourse_market::PriceSource::Policy(decision) = sale.source else {
                panic!("{:?}", sale.source)
            };
            let decision = ledger.decision(&decision).unwrap().unwrap();
            assert_eq!(decision.header.purchase, Some(sale.id));
            let mut sold = Vec::new();
            ledger
                .sold_since(Nanos(0), &mut |id, sale| sold.push((id, sale.price)))
                .unwrap();
            assert_eq!(sold, [(sale.id, paid)]);
        })
        .await;
}

#[tokio::test]
async fn a_key_whose_price_only_its_seller_knows_is_not_left() {
    let world = World::with(|config| config.policies.default_rule = false).await;
    let left = Absent::new().sign(&world, None);
    let mut args = left.args();
    args.insert("provider_id".to_owned(), Value::from("away"));
    let error = refused(place(&world.session().await, args).await, INVALID_ARGUMENT);
    assert!(error_text(&error).contains("name a price"), "{error:?}");
}

#[tokio::test]
async fn the_debt_is_told_and_settled_by_the_delegates_final_state_alone() {
    let world = World::start().await;
    let absent = Absent::new();
    let left = absent.leave(&world, tokens(3)).await;
    let (mut buyer, _) = buyer(&world, 30).await;
    let session = world.session().await;
    let channel = absent.open(&world, &session, tokens(50)).await;
    assert!(!map_of(&balance(&session, channel).await).contains_key("owed"));
    buyer.buy(left.key()).await.unwrap();
    buyer.buy(left.key()).await.unwrap();
    let told = balance(&session, channel).await;
    assert_eq!(
        (amount_of(&told, "owed"), amount_of(&told, "remaining")),
        (tokens(6), tokens(50))
    );
    assert_eq!(int_of(&told, "seq"), 1, "the channel itself did not move");

    let pair = |left: Amount| (Seq(1), left);
    for wrong in [tokens(43), tokens(45), tokens(49), Amount::ZERO] {
        let error = refused(
            close(&world, &session, channel, pair(wrong), &absent.signer).await,
            WRONG_BALANCE,
        );
        assert_eq!(error_amount(&error, "remaining"), tokens(50));
        assert_eq!(error_amount(&error, "due"), tokens(6));
    }
    for stranger in [&absent.actor, &buyer.signer] {
        refused(
            close(&world, &session, channel, pair(tokens(44)), stranger).await,
            INVALID_SIGNATURE,
        );
    }
    let closed = close(&world, &session, channel, pair(tokens(44)), &absent.signer)
        .await
        .unwrap();
    assert_eq!(amount_of(&closed, "balance"), tokens(44));
    let again = close(&world, &session, channel, pair(tokens(44)), &absent.signer).await;
    assert_eq!(again.unwrap(), closed);
    let sums = world.verify().sums;
    assert_eq!(
        (sums.debits, sums.credits, sums.owed),
        (tokens(6), tokens(6), Amount::ZERO)
    );
    world.assert_sound();
}

#[tokio::test]
async fn a_plain_close_stays_owed_and_the_next_channel_settles() {
    let mut world = World::start().await;
    let absent = Absent::new();
    let left = absent.leave(&world, tokens(3)).await;
    let (mut buyer, _) = buyer(&world, 30).await;
    let session = world.session().await;
    let first = absent.open(&world, &session, tokens(50)).await;
    buyer.buy(left.key()).await.unwrap();
    close(&world, &session, first, (Seq(1), tokens(50)), &absent.signer)
        .await
        .unwrap();
    assert_eq!(world.verify().sums.owed, tokens(3));
    world.restart().await;
    let session = world.session().await;
    // It holds less than is owed: the rest waits for another.
    let second = absent.open(&world, &session, tokens(2)).await;
    close(&world, &session, second, (Seq(1), Amount::ZERO), &absent.signer)
        .await
        .unwrap();
    assert_eq!(world.verify().sums.owed, tokens(1));
    let third = absent.open(&world, &session, tokens(5)).await;
    assert_eq!(amount_of(&balance(&session, third).await, "owed"), tokens(1));
    close(&world, &session, third, (Seq(1), tokens(4)), &absent.signer)
        .await
        .unwrap();
    assert_eq!(world.verify().sums.owed, Amount::ZERO);
    let actor = absent.actor.address();
    world
        .after_the_end(|ledger| {
            assert_eq!(ledger.account(&actor).unwrap().unwrap().balance, tokens(3));
        })
        .await;
}

#[tokio::test]
async fn the_example_delegates_leave_a_key_buy_it_and_are_paid_at_the_close() {
    let mut world = World::start().await;
    let client = async |world: &World| {
        let session = bourse_delegates::connect(&world.url(), &world.config().realm.name).await;
        MarketClient::new(session.unwrap(), None).await.unwrap()
    };
    let absent = Absent::new();
    let (key, data_key) = (KeyId(rand::random()), DataKey::generate());
    let offer = OfferTerms {
        key,
        api: ApiId([7; 16]),
        uri: "com.example.".to_owned(),
        expires: None,
        copies: Some(1),
        categories: [("topic".to_owned(), "weather".to_owned())].into(),
        terms: KeyTerms::Fixed(tokens(3)),
        provider_id: "away".to_owned(),
    };
    let leaving = client(&world).await;
    leaving
        .leave_offer(&absent.signer, &offer, &data_key)
        .await
        .unwrap();
    leaving.session().leave().await;

    let (buyer, _) = buyer(&world, 10).await;
    let signer = Signer::from_bytes(&buyer.signer.to_bytes()).unwrap();
    let options = BuyerOptions::default();
    let mut delegate =
        bourse_delegates::Buyer::start(client(&world).await, signer, ReceiveKey::generate(), options)
            .await
            .unwrap();
    let bought = delegate.buy(key, tokens(3)).await.unwrap();
    assert_eq!(bought.data_key, data_key);

    let session = world.session().await;
    let channel = absent.open(&world, &session, tokens(50)).await;
    let (client, kind) = (client(&world).await, ChannelKind::Paying);
    let closed = bourse_delegates::dev::close_channel(&client, &absent.signer, kind, channel)
        .await
        .unwrap();
    assert_eq!((closed.seq, closed.remaining), (Seq(1), tokens(47)));
    let actor = absent.actor.address();
    world
        .after_the_end(|ledger| {
            assert_eq!(ledger.account(&actor).unwrap().unwrap().balance, tokens(3));
        })
        .await;
}

#[tokio::test]
async fn whoever_opens_a_channel_in_the_delegates_name_is_not_paid_for_its_keys() {
    let world = World::start().await;
    let absent = Absent::new();
    let left = absent.leave(&world, tokens(3)).await;
    let session = world.session().await;
    let own = absent.open(&world, &session, tokens(50)).await;
    let rogue = Absent {
        actor: Signer::generate(),
        signer: Signer::from_bytes(&absent.signer.to_bytes()).unwrap(),
    };
    let theirs = rogue.open(&world, &session, tokens(50)).await;
    let (mut buyer, _) = buyer(&world, 30).await;
    buyer.buy(left.key()).await.unwrap();
    assert!(!map_of(&balance(&session, theirs).await).contains_key("owed"));
    // Even with the delegate's own signature.
    let error = refused(
        close(&world, &session, theirs, (Seq(1), tokens(47)), &absent.signer).await,
        WRONG_BALANCE,
    );
    assert!(!error.kwargs.contains_key("due"));
    close(&world, &session, own, (Seq(1), tokens(47)), &absent.signer)
        .await
        .unwrap();
    world.assert_sound();
}

/// A buyer and the order it has no answer to.
struct Trader {
    buyer: Buyer,
    receive: ReceiveKey,
    unanswered: Option<Order>,
    receipts: Vec<(Order, Receipt)>,
}

async fn trade(mut trader: Trader, key: KeyId) -> Trader {
    loop {
        let order = trader.buyer.order(key, tokens(1));
        let options = CallOptions {
            timeout: Some(Duration::from_secs(20)),
            ..CallOptions::default()
        };
        let asked = trader
            .buyer
            .session
            .call("xbr.marketmaker.buy_key", order.args(), Dict::new(), options);
        match asked.await {
            Ok(answer) => {
                let receipt = Receipt::of(answer.args.into_iter().next().unwrap());
                trader.buyer.book(&receipt);
                trader.receipts.push((order, receipt));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_market_killed_while_it_sells_escrowed_keys_owes_what_its_buyers_paid() {
    let mut world = World::apart().await;
    let absent = Absent::new();
    let left = absent.leave(&world, tokens(1)).await;
    let mut traders = Vec::new();
    for _ in 0..4 {
        let (buyer, receive) = buyer(&world, 50_000).await;
        traders.push(Trader {
            buyer,
            receive,
            unanswered: None,
            receipts: Vec::new(),
        });
    }
    for kill in 0..3 {
        let mut tasks = JoinSet::new();
        for trader in traders.drain(..) {
            tasks.spawn(trade(trader, left.key()));
        }
        sleep(Duration::from_millis(300 + 37 * kill)).await;
        world.kill();
        let done = timeout(Duration::from_secs(10), tasks.join_all());
        traders = done.await.expect("a broken connection is noticed at once");
        let output = run(world.data(), &["ledger", "verify"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(world.verify().checked.sent, 0, "nothing is ever half sold");
        world.run_apart();
        for trader in &mut traders {
            trader.buyer.reconnect(&world).await;
            let order = trader.unanswered.take().unwrap();
            let receipt = trader.buyer.pay(&order).await.unwrap();
            trader.receipts.push((order, receipt));
        }
    }
    let mut paid = 0;
    for trader in &traders {
        paid += trader.receipts.len() as u64;
        for (order, receipt) in trader.receipts.iter().take(20) {
            assert!(left.opens(&receipt.sealed_key, &trader.receive));
            assert_eq!(trader.buyer.send(order).await.unwrap(), *receipt);
        }
        assert_eq!(
            trader.buyer.posted().await,
            (trader.buyer.seq, trader.buyer.balance)
        );
    }
    assert!(paid > 12, "too idle to prove anything: {paid} sales");
    let report = world.verify();
    assert!(report.is_sound(), "{:#?}", report.violations);
    assert_eq!(
        (report.sums.owed, report.sums.debits),
        (tokens(paid), tokens(paid))
    );
    assert_eq!(report.checked.escrow_sales, paid);
}
