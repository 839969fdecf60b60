//! Closing channels: at the posted pair alone, once, with nothing under way, and every unit accounted for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::{ChannelClose, Signer, recover};
use bourse_market::{Amount, ChannelId, ChannelKind, KeyId, Seq, Signature, View};
use bourse_tests::{
    Behaviour, Buyer, Closer, Ear, Seller, World, amount_of, assert_balanced, bytes_of, call, close,
    close_args, close_message, error_amount, int_of, map_of, open, refused, send, tokens,
};
use bourse_wamp::{Session, Value};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

const CLOSE: &str = "xbr.marketmaker.close_channel";
const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
const INVALID_SIGNATURE: &str = "xbr.error.invalid_signature";
const NOT_OPEN: &str = "xbr.error.channel_not_open";
const UNPAYABLE: &str = "xbr.error.insufficient_paying_balance";

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn get_channel(session: &Session, kind: &str, channel: ChannelId) -> Value {
    let getter = format!("xbr.marketmaker.get_{kind}_channel");
    call(session, &getter, vec![Value::from(channel.0)])
        .await
        .unwrap()
}

/// One sale of `price` tokens between a buyer with 100 and a seller with 50.
async fn traded(world: &World, price: u64) -> (Buyer, Seller, KeyId) {
    let seller = Seller::new(world, tokens(50)).await;
    let mut buyer = Buyer::new(world, tokens(100)).await;
    let key = seller.offer(Some(tokens(price))).await;
    buyer.buy(key).await.unwrap();
    (buyer, seller, key)
}

#[tokio::test]
async fn both_kinds_close_where_the_ledger_stands_and_both_signatures_are_kept() {
    let world = World::start().await;
    let (buyer, seller, _) = traded(&world, 10).await;
    let listener = world.session().await;
    let parties = [
        (
            "payment",
            buyer.channel,
            &buyer.signer,
            (buyer.seq, buyer.balance),
        ),
        ("paying", seller.channel, &seller.signer, seller.books()),
    ];
    for (kind, channel, signer, pair) in parties {
        let (seq, balance) = pair;
        let mut all = Ear::at(&listener, &format!("xbr.marketmaker.on_{kind}_channel_closing")).await;
        let delegate = signer.address();
        let topic = format!("xbr.marketmaker.delegate.{delegate}.on_{kind}_channel_closing");
        let mut own = Ear::at(&listener, &topic).await;
        let before = get_channel(&listener, kind, channel).await;
        let closed = close(&world, &listener, channel, pair, signer).await.unwrap();
        assert_eq!(all.one().await, closed);
        assert_eq!(own.one().await, closed);
        assert_eq!(bytes_of(&closed, "transaction").len(), 32);
        assert_eq!(bytes_of(&closed, "channel_oid"), channel.0);
        assert_eq!(bytes_of(&closed, "market_oid"), world.market().0);
        assert_eq!(
            (int_of(&closed, "state"), int_of(&closed, "seq")),
            (3, u64::from(seq.0))
        );
        assert_eq!(amount_of(&closed, "balance"), balance);
        assert_eq!(map_of(&closed)["is_final"], Value::Bool(true));

        // The record tells the same, with a signature of each side over one and the same state.
        let record = get_channel(&listener, kind, channel).await;
        for (key, value) in [
            ("state", Value::from(3u64)),
            ("closing_at", Value::from(Amount::from_units(1).to_be_bytes())),
            ("closed_at", Value::from(Amount::from_units(1).to_be_bytes())),
            ("close_channel_seq", Value::from(seq.0)),
            ("close_balance", Value::from(balance.to_be_bytes())),
            ("close_is_final", Value::Bool(true)),
            ("closed_tx", Value::Null),
        ] {
            assert_eq!(map_of(&record)[key], value, "{kind}: {key}");
        }
        for key in [
            "timestamp",
            "amount",
            "actor",
            "delegate",
            "recipient",
            "seq",
            "open_at",
        ] {
            assert_eq!(map_of(&record)[key], map_of(&before)[key], "{kind}: {key}");
        }
        let digest = close_message(&world, channel, pair).digest(&world.domain());
        for (key, signer) in [("close_del_sig", delegate), ("close_mm_sig", world.marketmaker())] {
            let signature = Signature::try_from(bytes_of(&record, key)).unwrap();
            assert_eq!(recover(&digest, &signature).unwrap(), signer, "{kind}: {key}");
        }
        assert_eq!(bytes_of(&closed, "signature"), bytes_of(&record, "close_mm_sig"));
        let active = format!("xbr.marketmaker.get_active_{kind}_channel");
        let active = call(&listener, &active, vec![Value::from(delegate.0)])
            .await
            .unwrap();
        assert_eq!(active, Value::Null);
        assert!(all.is_quiet() && own.is_quiet());
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    assert_eq!(
        world.verify().sums.channels,
        Amount::ZERO,
        "nothing is left in channels"
    );
    let (members, maker) = (
        [buyer.actor.address(), seller.actor.address()],
        world.marketmaker(),
    );
    let mut world = world;
    let float = tokens(world.config().chain.local.float);
    world
        .after_the_end(|ledger| {
            let holds = |address| ledger.account(&address).unwrap().unwrap_or_default().balance;
            assert_eq!(members.map(holds), [tokens(90), tokens(10)]);
            assert_eq!(holds(maker), float, "what buyers paid is what sellers got");
        })
        .await;
}

#[tokio::test]
async fn w_03_a_delegate_that_names_another_pair_is_told_the_posted_one_and_its_channel_stays_open() {
    let world = World::start().await;
    let (mut buyer, seller, key) = traded(&world, 10).await;
    let session = world.session().await;
    let unit = Amount::from_units(1);
    for (channel, signer, left, deposit) in [
        (buyer.channel, &buyer.signer, tokens(90), tokens(100)),
        (seller.channel, &seller.signer, tokens(40), tokens(50)),
    ] {
        for (seq, balance, uri) in [
            (1, deposit, "bourse.error.out_of_order"),
            (3, left, "bourse.error.out_of_order"),
            (2, deposit, "bourse.error.wrong_balance"),
            (2, Amount::ZERO, "bourse.error.wrong_balance"),
            (2, left.checked_add(unit).unwrap(), "bourse.error.wrong_balance"),
            (2, left.checked_sub(unit).unwrap(), "bourse.error.wrong_balance"),
        ] {
            let error = refused(
                close(&world, &session, channel, (Seq(seq), balance), signer).await,
                uri,
            );
            assert_eq!(error.kwargs["seq"], Value::from(2u64));
            assert_eq!(error_amount(&error, "remaining"), left);
        }
    }
    // Nothing happened to either: they trade on.
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_26_a_request_that_is_not_the_delegates_final_word_is_refused_and_leaves_nothing_behind() {
    let world = World::start().await;
    let (mut buyer, seller, key) = traded(&world, 10).await;
    let session = world.session().await;
    let honest = close_message(&world, buyer.channel, (buyer.seq, buyer.balance));
    type Change = fn(&mut ChannelClose);
    let signed: [(&str, Change); 2] = [
        ("current_block_number", |message| message.close_at = Amount::ZERO),
        ("closing_is_final", |message| message.is_final = false),
    ];
    for (argument, change) in signed {
        let mut message = honest;
        change(&mut message);
        let args = close_args(&world, &message, &buyer.signer);
        let error = refused(call(&session, CLOSE, args).await, INVALID_ARGUMENT);
        assert_eq!(error.kwargs["argument"], Value::from(argument));
    }
    let [unknown, paying] = [[9; 16], seller.channel.0].map(Value::from);
    for (at, value, uri) in [
        (0, unknown, "xbr.error.invalid_channel"),
        (0, paying, INVALID_SIGNATURE),
        (1, Value::from(1u64), INVALID_ARGUMENT),
        (2, Value::from(2u64), INVALID_SIGNATURE),
        (3, Value::from([1; 20]), INVALID_ARGUMENT),
        (4, Value::from(tokens(100).to_be_bytes()), INVALID_SIGNATURE),
        (5, Value::from(3u64), INVALID_SIGNATURE),
        (6, Value::Bool(false), INVALID_SIGNATURE),
        (6, Value::from(1u64), INVALID_ARGUMENT),
        (7, Value::from([1; 65]), INVALID_SIGNATURE),
    ] {
        let mut args = close_args(&world, &honest, &buyer.signer);
        args[at] = value;
        let error = call(&session, CLOSE, args).await.expect_err("a changed request");
        assert_eq!(error.uri, uri, "argument {at}: {error:?}");
    }
    // The state of a purchase is not final: what a buyer signs to buy closes nothing.
    let mut args = close_args(&world, &honest, &buyer.signer);
    args[7] = Value::from(buyer.sign(buyer.seq, buyer.balance).0);
    refused(call(&session, CLOSE, args).await, INVALID_SIGNATURE);
    for stranger in [&buyer.actor, &seller.signer, &Signer::generate()] {
        let args = close_args(&world, &honest, stranger);
        refused(call(&session, CLOSE, args).await, INVALID_SIGNATURE);
    }
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn w_27_a_closed_channel_stays_closed_and_tells_its_end_again_and_again() {
    let mut world = World::start().await;
    let (buyer, mut seller, key) = traded(&world, 10).await;
    let first = buyer.order_at(key, tokens(10), Seq(2), tokens(90));
    let receipt = buyer.send(&first).await.unwrap();
    let (next, pair) = (buyer.order(key, tokens(10)), (buyer.seq, buyer.balance));
    let closed = close(&world, &buyer.session, buyer.channel, pair, &buyer.signer)
        .await
        .unwrap();
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
            seller.reconnect(&world).await;
        }
        let session = world.session().await;
        let mut ear = Ear::at(&session, "xbr.marketmaker.on_payment_channel_closing").await;
        // A new purchase is refused, the old one's receipt is still there, and so is the end.
        refused(send(&session, &next).await, "crossbar.error.no_such_object");
        assert_eq!(send(&session, &first).await.unwrap().value, receipt.value);
        for _ in 0..2 {
            let again = close(&world, &session, buyer.channel, pair, &buyer.signer)
                .await
                .unwrap();
            assert_eq!(again, closed);
        }
        assert!(ear.is_quiet(), "old news");
        let other = (Seq(3), tokens(80));
        refused(
            close(&world, &session, buyer.channel, other, &buyer.signer).await,
            NOT_OPEN,
        );
        world.assert_sound();
    }
    assert_eq!(world.verify().sums.debits, tokens(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_waits_for_the_purchase_under_way_and_ends_at_the_pair_it_leads_to() {
    let world = World::start().await;
    let (mut buyer, seller, key) = traded(&world, 10).await;
    let (session, mut second) = (world.session().await, Buyer::new(&world, tokens(100)).await);
    seller.behave(Behaviour::Slow(millis(300)));
    let order = buyer.order(key, tokens(10));
    let (old, new) = ((Seq(2), tokens(90)), (Seq(3), tokens(80)));
    let closing = async {
        sleep(millis(100)).await;
        let early = close(&world, &session, buyer.channel, old, &buyer.signer);
        let right = close(&world, &session, buyer.channel, new, &buyer.signer);
        // The seller's next state is the one after the sale under way, ahead of the one that waits in line.
        let seller = close(
            &world,
            &session,
            seller.channel,
            (Seq(3), tokens(30)),
            &seller.signer,
        );
        tokio::join!(early, right, seller)
    };
    let in_line = async {
        sleep(millis(50)).await;
        second.buy_at(key, tokens(10)).await
    };
    let (bought, in_line, (early, right, paying)) = tokio::join!(buyer.send(&order), in_line, closing);
    buyer.book(&bought.unwrap());
    let early = early.expect_err("the buyer has bought since");
    assert!(
        ["bourse.error.out_of_order", NOT_OPEN].contains(&early.uri.as_str()),
        "{early:?}"
    );
    assert_eq!(int_of(&right.unwrap(), "seq"), 3);
    assert_eq!(int_of(&paying.unwrap(), "seq"), 3);
    refused(in_line, UNPAYABLE);
    assert_balanced(&world, &[&buyer, &second], &[&seller]).await;
    assert_eq!(
        world.verify().sums.channels,
        tokens(100),
        "but for the second buyer's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_waits_no_longer_than_a_sale_may_take() {
    let world = World::with(|config| config.market.sell_deadline_ms = 600).await;
    let (buyer, seller, key) = traded(&world, 10).await;
    seller.behave(Behaviour::Silent);
    let order = buyer.order(key, tokens(10));
    let (pair, session) = ((buyer.seq, buyer.balance), world.session().await);
    let closing = async {
        sleep(millis(100)).await;
        // The sale comes to nothing, and both stand where they stood.
        let payment = close(&world, &session, buyer.channel, pair, &buyer.signer);
        let paying = close(&world, &session, seller.channel, seller.books(), &seller.signer);
        tokio::join!(payment, paying)
    };
    let (bought, (payment, paying)) = tokio::join!(buyer.send(&order), closing);
    bought.unwrap_err();
    payment.unwrap();
    // Its answer is unclear, yet by its own signature it stands at the posted pair.
    paying.unwrap();
    world.assert_sound();
    assert_eq!(world.verify().checked.suspended_channels, 0);
}

#[tokio::test]
async fn w_29a_a_seller_in_doubt_closes_at_the_posted_pair_and_not_at_what_it_adopted() {
    let world = World::start().await;
    let (mut buyer, seller, key) = traded(&world, 10).await;
    seller.behave(Behaviour::LoseAnswer);
    refused(buyer.buy(key).await, "xbr.error.transaction_failed");
    let adopted = seller.books();
    assert_eq!(
        adopted,
        (Seq(5), tokens(30)),
        "the sale, and two steps of recovery"
    );
    let session = world.session().await;
    let error = refused(
        close(&world, &session, seller.channel, adopted, &seller.signer).await,
        "bourse.error.out_of_order",
    );
    assert_eq!(error_amount(&error, "remaining"), tokens(40));
    let channel = get_channel(&session, "paying", seller.channel).await;
    assert_ne!(map_of(&channel)["suspended"], Value::Null);
    let posted = (Seq(2), tokens(40));
    close(&world, &session, seller.channel, posted, &seller.signer)
        .await
        .unwrap();
    let channel = get_channel(&session, "paying", seller.channel).await;
    assert_eq!(map_of(&channel)["suspended"], Value::Null);
    world.assert_sound();
    assert_eq!(world.verify().sums.credits, tokens(10));
}

#[tokio::test]
async fn w_07_w_47_a_successor_serves_once_the_seller_has_closed_and_registered_anew() {
    let world = World::start().await;
    let mut seller = Seller::new(&world, tokens(15)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(10))).await;
    buyer.buy(key).await.unwrap();
    let delegate = seller.signer.address();
    let next = open(
        &world,
        &seller.session,
        ChannelKind::Paying,
        &seller.actor,
        delegate,
        tokens(50),
    )
    .await;
    // Five are left, and a price of ten closes nothing by itself.
    refused(buyer.buy(key).await, UNPAYABLE);
    let record = get_channel(&seller.session, "paying", seller.channel).await;
    assert_eq!(map_of(&record)["state"], Value::from(1u64));
    let pair = seller.books();
    for other in [&buyer.signer, &seller.actor] {
        refused(
            close(&world, &seller.session, seller.channel, pair, other).await,
            INVALID_SIGNATURE,
        );
    }
    close(&world, &seller.session, seller.channel, pair, &seller.signer)
        .await
        .unwrap();
    let active = vec![Value::from(delegate.0)];
    let active = call(
        &buyer.session,
        "xbr.marketmaker.get_active_paying_channel",
        active,
    )
    .await
    .unwrap();
    assert_eq!(bytes_of(&active, "channel_oid"), next.0);
    // The seller still answers for the closed one; it would leave if it saw another.
    refused(buyer.buy(key).await, UNPAYABLE);
    assert_eq!(seller.sells().len(), 1);
    seller.restart(&world).await;
    assert_eq!(seller.channel, next);
    buyer.buy(key).await.unwrap();
    assert_eq!(seller.books(), (Seq(2), tokens(40)));
    world.assert_sound();
    assert_eq!(
        (world.verify().sums.debits, world.verify().sums.credits),
        (tokens(20), tokens(20))
    );
}

#[tokio::test]
async fn what_a_developer_closes_by_hand_is_closed_where_it_stood() {
    let world = World::start().await;
    let (buyer, seller, _) = traded(&world, 10).await;
    let session = bourse_delegates::connect(&world.url(), &world.config().realm.name)
        .await
        .unwrap();
    let client = bourse_delegates::MarketClient::new(session, None).await.unwrap();
    for (kind, channel, signer, left) in [
        (ChannelKind::Payment, buyer.channel, &buyer.signer, 90),
        (ChannelKind::Paying, seller.channel, &seller.signer, 40),
    ] {
        let stood = bourse_delegates::dev::close_channel(&client, signer, kind, channel)
            .await
            .unwrap();
        assert_eq!((stood.seq, stood.remaining), (Seq(2), tokens(left)));
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    assert_eq!(world.verify().sums.channels, Amount::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unit_is_accounted_for_while_buyers_trade_and_channels_close_and_open() {
    let (buyers, sellers, rounds) = match std::env::var_os("BOURSE_LONG") {
        Some(_) => (64, 8, 6),
        None => (8, 2, 3),
    };
    let world = World::start().await;
    let mut shops = Vec::new();
    for _ in 0..sellers {
        shops.push(Seller::new(&world, tokens(10_000)).await);
    }
    let mut parties = Vec::new();
    for _ in 0..buyers {
        parties.push(Buyer::new(&world, tokens(20)).await);
    }
    let (mut paid, mut sales) = (Amount::ZERO, 0);
    for round in 0..rounds {
        let mut keys = Vec::new();
        for (number, shop) in shops.iter().enumerate() {
            keys.push(shop.offer(Some(tokens(1 + number as u64 % 3))).await);
        }
        let mut trading = JoinSet::new();
        for (number, mut buyer) in parties.drain(..).enumerate() {
            let (keys, args) = (keys.clone(), Closer::of(&world));
            trading.spawn(async move {
                let mut sales = 0;
                for step in 0..4 {
                    sales += usize::from(buyer.buy(keys[(number + step) % keys.len()]).await.is_ok());
                }
                // Every other buyer closes at the end of its day, in the middle of everybody else's.
                let closes = (number + round) % 2 == 0;
                if closes {
                    let pair = (buyer.seq, buyer.balance);
                    args.close(&buyer.session, buyer.channel, pair, &buyer.signer)
                        .await
                        .unwrap();
                }
                (buyer, sales, closes)
            });
        }
        // One seller closes under load: at where it believes to stand, again until no sale came between.
        let leaving = round % shops.len();
        let closer = Closer::of(&world);
        loop {
            let (shop, pair) = (&shops[leaving], shops[leaving].books());
            match closer
                .close(&shop.session, shop.channel, pair, &shop.signer)
                .await
            {
                Ok(_) => break,
                Err(error) => assert!(error.uri.starts_with("bourse.error."), "{error:?}"),
            }
            sleep(millis(1)).await;
        }
        for (buyer, bought, closed) in trading.join_all().await {
            sales += bought;
            if closed {
                paid = paid.checked_add(buyer.paid()).unwrap();
                parties.push(Buyer::new(&world, tokens(20)).await);
            } else {
                parties.push(buyer);
            }
        }
        let shop = &mut shops[leaving];
        let delegate = shop.signer.address();
        shop.channel = open(
            &world,
            &shop.session,
            ChannelKind::Paying,
            &shop.actor,
            delegate,
            tokens(10_000),
        )
        .await;
        shop.restart(&world).await;
        world.assert_sound();
    }
    let open = parties.iter().map(Buyer::paid);
    let debits = open.fold(paid, |sum, paid| sum.checked_add(paid).unwrap());
    let report = world.verify();
    assert_eq!((report.sums.debits, report.sums.credits), (debits, debits));
    assert_eq!(
        report.sums.accounts.checked_add(report.sums.channels),
        Some(report.sums.endowed)
    );
    assert!(sales >= buyers * rounds, "only {sales} sales");
    for buyer in &parties {
        assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
    }
    assert_eq!(report.checked.posted, sales as u64);
}
