//! What buyers spend and do not settle, on the real contracts: how far they are trusted, and what the market maker does with a
//! voucher that is not renewed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::{ChannelClose, Signer};
use bourse_delegates::{BuyerOptions, MarketClient, ReceiveKey, connect};
use bourse_market::{Amount, ChannelId, ChannelKind};
use bourse_tests::{
    Buyer, Chain, Ear, Order, PAYMENT, Receipt, World, amount_of, bytes_of, call, call_named, close_args,
    error_amount, int_of, map_of, refused, state_of, tokens, until,
};
use bourse_wamp::{Dict, Session, Value, WampError};
use std::time::Duration;

/// Blocks above one that counts.
const DEPTH: u64 = 2;
/// What is taken on trust, in whole tokens.
const TRUST: u64 = 10;
const INVALID: &str = "wamp.error.invalid_argument";

async fn market(chain: &Chain) -> World {
    chain
        .world(DEPTH, |config| config.market.max_unsettled = TRUST)
        .await
}

/// The state that an order leads to, as its delegate signs it for a voucher.
fn final_state(order: &Order, close_at: u64) -> ChannelClose {
    ChannelClose {
        is_final: true,
        close_at: Amount::from_units(close_at.into()),
        ..ChannelClose::off_chain(Chain::MARKET, order.channel, order.seq, order.balance)
    }
}

/// A voucher as `buy_key` takes it.
fn voucher(chain: &Chain, state: &ChannelClose, signer: &Signer) -> Value {
    let signature = signer.sign(&state.digest(&chain.domain()));
    Value::Map(Dict::from([
        ("close_at".to_owned(), state.close_at.to_u64().unwrap().into()),
        ("signature".to_owned(), signature.0.into()),
    ]))
}

async fn send(session: &Session, order: &Order, voucher: Value) -> Result<Receipt, WampError> {
    let kwargs = Dict::from([("voucher".to_owned(), voucher)]);
    call_named(session, "xbr.marketmaker.buy_key", order.args(), kwargs)
        .await
        .map(Receipt::of)
}

/// Buys with a voucher over the newest block.
async fn buy_backed(chain: &Chain, buyer: &mut Buyer, key: bourse_market::KeyId, price: Amount) {
    let head = chain.seen(&buyer.session).await;
    let order = buyer.order(key, price);
    let voucher = voucher(chain, &final_state(&order, head), &buyer.signer);
    let receipt = send(&buyer.session, &order, voucher).await.unwrap();
    buyer.book(&receipt);
}

/// Waits until the contract paid the buyer's channel out, and the market knows.
async fn settled(chain: &Chain, session: &Session) {
    until("the contract pays out", async || {
        chain.payouts(PAYMENT).await == 1
    })
    .await;
    chain.mine(DEPTH).await;
    chain.caught_up(session, DEPTH).await;
    assert_eq!(state_of(session, ChannelKind::Payment, PAYMENT).await, Some(3));
}

#[tokio::test]
async fn what_is_spent_beyond_the_limit_is_settled_by_a_voucher_that_nobody_renews() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain).await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;
    let session = world.session().await;
    for price in [6, 4] {
        let key = seller.offer(Some(tokens(price))).await;
        buyer.buy(key).await.unwrap();
    }
    let key = seller.offer(Some(tokens(1))).await;
    let order = buyer.order(key, tokens(1));
    let error = refused(buyer.send(&order).await, "bourse.error.unsettled");
    assert_eq!(error_amount(&error, "spent"), tokens(10));
    assert_eq!(error_amount(&error, "max_unsettled"), tokens(TRUST));
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));

    let topic = format!(
        "xbr.marketmaker.delegate.{}.on_voucher_lapsing",
        buyer.signer.address()
    );
    let mut lapsing = Ear::at(&session, &topic).await;
    let signed_at = chain.seen(&session).await;
    buy_backed(&chain, &mut buyer, key, tokens(1)).await;
    // Answered again without any voucher: it was paid for.
    let again = buyer.send(&order).await.unwrap();
    assert_eq!((again.seq, again.remaining), (buyer.seq, buyer.balance));

    chain.mine(705).await;
    let told = lapsing.one().await;
    assert_eq!(bytes_of(&told, "channel_oid"), PAYMENT.0);
    assert_eq!(amount_of(&told, "balance"), buyer.balance);
    assert_eq!(int_of(&told, "close_at"), signed_at);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(chain.payouts(PAYMENT).await, 0);
    let before = chain.tokens_of(chain.parties.buyer.address()).await;
    // Asked some more times, and then closed.
    for _ in 0..8 {
        chain.mine(25).await;
        chain.seen(&session).await;
    }
    settled(&chain, &session).await;
    let after = chain.tokens_of(chain.parties.buyer.address()).await;
    assert_eq!(after.checked_sub(before), Some(tokens(500 - 11)));
    world.assert_sound();
}

/// A thief that spends what it had to back, and then closes in the way that settles nothing.
#[tokio::test]
async fn a_request_to_close_over_block_1_is_settled_by_the_voucher_at_once() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain).await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;
    let session = world.session().await;
    let key = seller.offer(Some(tokens(40))).await;
    buy_backed(&chain, &mut buyer, key, tokens(40)).await;
    let plain = ChannelClose {
        is_final: true,
        ..ChannelClose::off_chain(Chain::MARKET, PAYMENT, buyer.seq, buyer.balance)
    };
    let args = close_args(&world, &plain, &buyer.signer);
    let answer = call(&session, "xbr.marketmaker.close_channel", args)
        .await
        .unwrap();
    assert!(int_of(&answer, "close_at") > 1);
    assert_eq!(bytes_of(&answer, "transaction").len(), 32);
    settled(&chain, &session).await;
    world.assert_sound();
}

#[tokio::test]
async fn a_voucher_that_is_worth_nothing_buys_nothing() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain).await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;
    let key = seller.offer(Some(tokens(40))).await;
    let order = buyer.order(key, tokens(40));
    let head = chain.seen(&buyer.session).await;
    let good = final_state(&order, head);
    let stranger = Signer::generate();
    let wrong = [
        // Too old to be kept, not there yet, and the block of states that are exchanged.
        (
            voucher(&chain, &final_state(&order, head - 301), &buyer.signer),
            INVALID,
        ),
        (
            voucher(&chain, &final_state(&order, head + 1), &buyer.signer),
            INVALID,
        ),
        (voucher(&chain, &final_state(&order, 1), &buyer.signer), INVALID),
        // Signed for another state, or not final, or by somebody else: whoever it recovers to is not the delegate.
        (
            voucher(
                &chain,
                &ChannelClose {
                    balance: tokens(500),
                    ..good
                },
                &buyer.signer,
            ),
            "xbr.error.invalid_signature",
        ),
        (
            voucher(
                &chain,
                &ChannelClose {
                    is_final: false,
                    ..good
                },
                &buyer.signer,
            ),
            "xbr.error.invalid_signature",
        ),
        (
            voucher(
                &chain,
                &ChannelClose {
                    channel: ChannelId([1; 16]),
                    ..good
                },
                &buyer.signer,
            ),
            "xbr.error.invalid_signature",
        ),
        (voucher(&chain, &good, &stranger), "xbr.error.invalid_signature"),
        (Value::from(7), INVALID),
        (Value::Map(Dict::new()), INVALID),
    ];
    for (voucher, uri) in wrong {
        refused(send(&buyer.session, &order, voucher).await, uri);
        assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
    }
    // A voucher for one order is none for the next.
    let other = seller.offer(Some(tokens(30))).await;
    let next = buyer.order(other, tokens(30));
    let used = voucher(&chain, &good, &buyer.signer);
    refused(
        send(&buyer.session, &next, used.clone()).await,
        "xbr.error.invalid_signature",
    );
    buyer.book(&send(&buyer.session, &order, used).await.unwrap());
    world.assert_sound();
}

/// Our own buyer on a session of its own.
async fn start(chain: &Chain, world: &World) -> bourse_delegates::Buyer {
    let session = connect(&world.url(), "realm1").await.unwrap();
    let client = MarketClient::new(session, Some(chain.parties.marketmaker.address()));
    bourse_delegates::Buyer::start(
        client.await.unwrap(),
        chain.parties.buyer_delegate.clone(),
        ReceiveKey::generate(),
        BuyerOptions::default(),
    )
    .await
    .unwrap()
}

/// Whoever could not be asked in time, because the market was away, is asked before its channel is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buyer_that_could_not_be_asked_in_time_is_asked_before_its_channel_is_closed() {
    let Some(chain) = Chain::start().await else { return };
    let mut world = market(&chain).await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;
    let key = seller.offer(Some(tokens(40))).await;
    buy_backed(&chain, &mut buyer, key, tokens(40)).await;
    drop(seller);
    world.stop().await;
    chain.mine(950).await;
    world.restart().await;
    let session = world.session().await;
    chain.caught_up(&session, DEPTH).await;
    assert_eq!(state_of(&session, ChannelKind::Payment, PAYMENT).await, Some(1));
    let _ours = start(&chain, &world).await;
    let delegate = buyer.signer.address();
    let topic = format!("xbr.marketmaker.delegate.{delegate}.on_voucher_lapsing");
    let mut lapsing = Ear::at(&session, &topic).await;
    chain.mine(30).await;
    lapsing.one().await;
    chain.mine(200).await;
    chain.caught_up(&session, DEPTH).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(state_of(&session, ChannelKind::Payment, PAYMENT).await, Some(1));
    assert_eq!(chain.payouts(PAYMENT).await, 0);
    world.assert_sound();
}

/// Our own buyer brings vouchers by itself, and renews them while it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_buyer_spends_beyond_the_limit_and_its_channel_stays_open() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain).await;
    let (_plain, seller) = chain.traders(&world, DEPTH).await;
    let session = world.session().await;
    chain.seen(&session).await;
    let delegate = chain.parties.buyer_delegate.clone();
    let mut buyer = start(&chain, &world).await;
    for price in [8, 9, 10] {
        let key = seller.offer(Some(tokens(price))).await;
        // The seller of these tests seals nothing that opens: what is paid is what matters here.
        let _ = buyer.buy(key, tokens(price)).await;
    }
    assert_eq!(buyer.balance().remaining, tokens(500 - 27));
    let topic = format!(
        "xbr.marketmaker.delegate.{}.on_voucher_lapsing",
        delegate.address()
    );
    let mut lapsing = Ear::at(&session, &topic).await;
    for _ in 0..3 {
        chain.mine(720).await;
        lapsing.one().await;
        // Renewed: one over an older block is refused for it.
        let balance = buyer.balance();
        let state = ChannelClose {
            is_final: true,
            close_at: Amount::from_units((chain.seen(&session).await - 100).into()),
            ..ChannelClose::off_chain(Chain::MARKET, PAYMENT, balance.seq, balance.remaining)
        };
        let signature = delegate.sign(&state.digest(&chain.domain()));
        until("it is renewed", async || {
            let args = vec![
                Value::from(PAYMENT.0),
                state.close_at.to_u64().unwrap().into(),
                Value::from(signature.0),
            ];
            let older = call(&session, "bourse.market.renew_voucher", args).await;
            older.is_err_and(|error| bourse_tests::error_text(&error).contains("the one on record"))
        })
        .await;
    }
    assert_eq!(state_of(&session, ChannelKind::Payment, PAYMENT).await, Some(1));
    assert_eq!(chain.payouts(PAYMENT).await, 0);
    let config = call(&session, "xbr.marketmaker.get_config", vec![])
        .await
        .unwrap();
    assert_eq!(amount_of(&config, "max_unsettled"), tokens(TRUST));
    assert!(map_of(&config).contains_key("max_unsettled"));
    world.assert_sound();
}
