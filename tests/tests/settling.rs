//! Final states that the market maker shows to the real contract: each once, whatever crashes, whoever is quicker, and however
//! long the node was away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::{ChannelClose, Signer};
use bourse_market::{ChannelId, ChannelKind, OFF_CHAIN_CLOSE_AT, Seq, Signature};
use bourse_tests::{
    Chain, Ear, Gateway, Mood, PAYING, PAYMENT, World, bind, bytes_of, call, channel_of, close_args, int_of,
    map_of, refused, state_of, tokens, until,
};
use bourse_wamp::{Session, Value, WampError};
use std::ffi::OsString;

/// Blocks above one that counts.
const DEPTH: u64 = 2;

async fn close(
    world: &World,
    session: &Session,
    state: &ChannelClose,
    delegate: &Signer,
) -> Result<Value, WampError> {
    let args = close_args(world, state, delegate);
    call(session, "xbr.marketmaker.close_channel", args).await
}

async fn nonce(chain: &Chain) -> u64 {
    let us = chain.parties.marketmaker.address();
    chain.node().nonce(us).await.unwrap()
}

async fn paid_out(chain: &Chain, channel: ChannelId) {
    until("the contract pays out", async || {
        chain.payouts(channel).await == 1
    })
    .await;
}

/// Mines until what is in a block counts, and the channel is settled for the market.
async fn settled(chain: &Chain, session: &Session, kind: ChannelKind, channel: ChannelId) {
    paid_out(chain, channel).await;
    chain.mine(DEPTH).await;
    chain.caught_up(session, DEPTH).await;
    assert_eq!(state_of(session, kind, channel).await, Some(3));
}

#[tokio::test]
async fn w_27_what_both_signed_is_shown_by_the_market_maker_once_and_told() {
    let Some(chain) = Chain::start().await else { return };
    let world = chain.world(DEPTH, |_| {}).await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;
    let key = seller.offer(Some(tokens(7))).await;
    buyer.buy(key).await.unwrap();
    let session = world.session().await;
    let delegate = &chain.parties.buyer_delegate;
    let mut ear = Ear::at(&session, "xbr.marketmaker.on_payment_channel_closing").await;
    let before = nonce(&chain).await;

    let pair = (buyer.seq, buyer.balance);
    let state = chain.final_state(&session, PAYMENT, pair).await;
    let answer = close(&world, &session, &state, delegate).await.unwrap();
    assert_eq!(int_of(&answer, "state"), 2);
    let told = ear.one().await;
    assert_eq!(bytes_of(&told, "transaction"), bytes_of(&answer, "transaction"));
    // The same request again, and one over a later block while the first is under way: the same transaction.
    let again = close(&world, &session, &state, delegate).await.unwrap();
    assert_eq!(bytes_of(&again, "transaction"), bytes_of(&answer, "transaction"));
    settled(&chain, &session, ChannelKind::Payment, PAYMENT).await;
    assert_eq!(nonce(&chain).await - before, 1);

    let args = vec![Value::Bytes(bytes_of(&answer, "transaction").to_vec())];
    let receipt = call(&session, "xbr.marketmaker.get_transaction_receipt", args).await;
    assert_eq!(int_of(&receipt.unwrap(), "status"), 1);
    let channel = channel_of(&session, ChannelKind::Payment, PAYMENT).await.unwrap();
    assert_eq!(bytes_of(&channel, "closed_tx"), bytes_of(&answer, "transaction"));
    // Of 7 tokens a hundredth is the market's.
    let all = chain.tokens_of(chain.parties.buyer.address()).await;
    assert_eq!(all, tokens(10_000 - 7));
    world.assert_sound();
}

/// W-51: what the original buyer sends names block 1, for ever.
#[tokio::test]
async fn w_51_a_request_over_block_1_ends_the_channel_for_good_and_waits_for_a_recent_block() {
    let Some(chain) = Chain::start().await else { return };
    let mut world = chain.world(DEPTH, |_| {}).await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;
    let key = seller.offer(Some(tokens(7))).await;
    buyer.buy(key).await.unwrap();
    let next = seller.offer(Some(tokens(1))).await;
    let order = buyer.order(next, tokens(1));
    let delegate = &chain.parties.buyer_delegate;
    let before = nonce(&chain).await;
    let pair = (buyer.seq, buyer.balance);
    let plain = ChannelClose {
        is_final: true,
        ..ChannelClose::off_chain(Chain::MARKET, PAYMENT, pair.0, pair.1)
    };
    assert_eq!(plain.close_at, OFF_CHAIN_CLOSE_AT);

    let session = world.session().await;
    // Not of any other state, nor of one that is not final.
    let cheaper = ChannelClose {
        balance: tokens(500),
        ..plain
    };
    refused(
        close(&world, &session, &cheaper, delegate).await,
        "bourse.error.wrong_balance",
    );
    let open = ChannelClose {
        is_final: false,
        ..plain
    };
    assert!(close(&world, &session, &open, delegate).await.is_err());
    assert_eq!(state_of(&session, ChannelKind::Payment, PAYMENT).await, Some(1));

    let answer = close(&world, &session, &plain, delegate).await.unwrap();
    assert_eq!(
        (int_of(&answer, "state"), int_of(&answer, "close_at")),
        (2, 1),
        "it is closing, by a state that settles nothing"
    );
    assert_eq!(map_of(&answer).get("transaction"), Some(&Value::Null));
    let ours = Signature::try_from(bytes_of(&answer, "signature")).unwrap();
    let signer = bourse_chain::recover(&plain.digest(&chain.domain()), &ours).unwrap();
    assert_eq!(signer, chain.parties.marketmaker.address());
    refused(buyer.send(&order).await, "crossbar.error.no_such_object");
    // The contract takes it from nobody.
    let why = chain.close(&plain, delegate).await.unwrap_err().to_string();
    assert!(why.contains("INVALID_CHANNEL_BLOCK_NUMBER"), "{why}");

    drop((buyer, seller, session));
    world.restart().await;
    let session = world.session().await;
    chain.caught_up(&session, DEPTH).await;
    assert_eq!(state_of(&session, ChannelKind::Payment, PAYMENT).await, Some(2));
    assert_eq!(nonce(&chain).await, before);
    let again = close(&world, &session, &plain, delegate).await.unwrap();
    assert_eq!(bytes_of(&again, "signature"), bytes_of(&answer, "signature"));

    let fresh = chain.final_state(&session, PAYMENT, pair).await;
    let answer = close(&world, &session, &fresh, delegate).await.unwrap();
    assert_eq!(Some(int_of(&answer, "close_at")), fresh.close_at.to_u64());
    settled(&chain, &session, ChannelKind::Payment, PAYMENT).await;
    // And never again by the old one.
    assert!(close(&world, &session, &plain, delegate).await.is_err());
    assert_eq!(nonce(&chain).await - before, 1);
    world.assert_sound();
}

/// The node is away for longer than the contract takes a state: the delegate is told, and signs over a later block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_came_too_late_is_shown_again_once_its_delegate_signed_it_anew() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let rpc = gateway.url();
    let world = chain.world(DEPTH, |config| config.chain.rpc = Some(rpc)).await;
    let (_buyer, _seller) = chain.traders(&world, DEPTH).await;
    let session = world.session().await;
    let delegate = &chain.parties.seller_delegate;
    let topic = format!(
        "xbr.marketmaker.delegate.{}.on_channel_close_failed",
        delegate.address()
    );
    let mut ear = Ear::at(&session, &topic).await;
    let before = nonce(&chain).await;
    let pair = (Seq::FIRST, tokens(400));
    let state = chain.final_state(&session, PAYING, pair).await;
    chain.dev().mine_at_once(false).await.unwrap();
    let answer = close(&world, &session, &state, delegate).await.unwrap();
    let known = bourse_market::TransactionHash(bytes_of(&answer, "transaction").try_into().unwrap());
    until("the node has it", async || {
        chain.node().knows(known).await.unwrap()
    })
    .await;
    // Nobody mines it in time.
    chain
        .dev()
        .ask("anvil_dropAllTransactions", serde_json::json!([]))
        .await
        .unwrap();
    gateway.be(Mood::Down);
    chain.mine(1_500).await;
    gateway.be(Mood::Honest);
    until("it is sent again", async || {
        chain.node().knows(known).await.unwrap()
    })
    .await;
    chain.mine(1 + DEPTH).await;
    let failed = ear.one().await;
    assert_eq!(bytes_of(&failed, "channel_oid"), PAYING.0);
    let reason = map_of(&failed).get("reason").unwrap().clone();
    assert_eq!(reason, Value::from("INVALID_CHANNEL_BLOCK_NUMBER"));
    assert_eq!(state_of(&session, ChannelKind::Paying, PAYING).await, Some(2));

    chain.dev().mine_at_once(true).await.unwrap();
    chain.mine(1).await;
    let fresh = chain.final_state(&session, PAYING, pair).await;
    let answer = close(&world, &session, &fresh, delegate).await.unwrap();
    assert_ne!(bytes_of(&answer, "transaction"), known.0);
    settled(&chain, &session, ChannelKind::Paying, PAYING).await;
    assert_eq!(nonce(&chain).await - before, 2);
    assert_eq!(
        chain.tokens_of(chain.parties.marketmaker.address()).await,
        tokens(10_000)
    );
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegate_that_is_quicker_costs_one_reverted_transaction_at_most() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let rpc = gateway.url();
    let world = chain.world(DEPTH, |config| config.chain.rpc = Some(rpc)).await;
    let (buyer, _seller) = chain.traders(&world, DEPTH).await;
    let session = world.session().await;
    let delegate = &chain.parties.buyer_delegate;
    let topic = format!(
        "xbr.marketmaker.delegate.{}.on_channel_close_failed",
        delegate.address()
    );
    let mut unclosed = Ear::at(&session, &topic).await;
    let before = nonce(&chain).await;
    let state = chain
        .final_state(&session, PAYMENT, (buyer.seq, buyer.balance))
        .await;
    chain.dev().mine_at_once(false).await.unwrap();
    let answer = close(&world, &session, &state, delegate).await.unwrap();
    let ours = Signature::try_from(bytes_of(&answer, "signature")).unwrap();
    gateway.be(Mood::Down);
    let drop_all = "anvil_dropAllTransactions";
    chain.dev().ask(drop_all, serde_json::json!([])).await.unwrap();
    chain.dev().mine_at_once(true).await.unwrap();
    let theirs = delegate.sign(&state.digest(&chain.domain()));
    let show = chain.contracts.close_channel(&state, &theirs, &ours);
    chain.send(&chain.parties.stranger, &show).await;
    gateway.be(Mood::Honest);
    settled(&chain, &session, ChannelKind::Payment, PAYMENT).await;
    for _ in 0..8 {
        chain.mine(DEPTH).await;
        chain.caught_up(&session, DEPTH).await;
    }
    assert!(nonce(&chain).await - before <= 1);
    assert_eq!(chain.payouts(PAYMENT).await, 1);
    assert!(
        unclosed.is_quiet(),
        "it is paid out: nothing failed for its delegate"
    );
    world.assert_sound();
}

/// More than may be under way at a time: the rest waits for places, and keeps none of those back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_closings_than_places_are_all_paid_out() {
    const CHANNELS: u8 = 64;
    let Some(chain) = Chain::start().await else { return };
    let world = chain.world(DEPTH, |_| {}).await;
    let parties = &chain.parties;
    let channels: Vec<_> = (1..=CHANNELS).map(|number| ChannelId([number; 16])).collect();
    for channel in &channels {
        chain.open(ChannelKind::Payment, *channel, tokens(5)).await;
    }
    chain.mine(DEPTH).await;
    let session = world.session().await;
    chain.caught_up(&session, DEPTH).await;
    bind(&world, parties.buyer_delegate.address(), parties.buyer.address()).await;
    let before = nonce(&chain).await;
    chain.dev().mine_at_once(false).await.unwrap();
    let state = chain
        .final_state(&session, channels[0], (Seq::FIRST, tokens(5)))
        .await;
    let mut asked = tokio::task::JoinSet::new();
    for channel in channels.clone() {
        let state = ChannelClose { channel, ..state };
        let args = close_args(&world, &state, &parties.buyer_delegate);
        let session = session.clone();
        asked.spawn(async move { call(&session, "xbr.marketmaker.close_channel", args).await });
    }
    while let Some(answer) = asked.join_next().await {
        assert_eq!(int_of(&answer.unwrap().unwrap(), "state"), 2);
    }
    chain.dev().mine_at_once(true).await.unwrap();
    until("all are paid out", async || {
        chain.mine(1).await;
        let mut paid = 0;
        for channel in &channels {
            paid += chain.payouts(*channel).await;
        }
        paid == channels.len()
    })
    .await;
    assert_eq!(nonce(&chain).await - before, u64::from(CHANNELS));
    world.assert_sound();
}

/// Killed at each place between the answer and the end, with a host that has such places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w_29_a_death_at_any_step_of_a_closing_shows_it_once() {
    if !cfg!(feature = "crash-points") {
        eprintln!("NOT CHECKED: this needs the feature crash-points; `cargo xtask ci` has it");
        return;
    }
    for place in [
        "showing-committed:1",
        "attempt-committed:1",
        "transaction-sent:1",
        "end-committed:1",
    ] {
        let Some(chain) = Chain::start().await else { return };
        let mut world = chain.world(DEPTH, |_| {}).await;
        let (buyer, seller) = chain.traders(&world, DEPTH).await;
        let pair = (buyer.seq, buyer.balance);
        drop((buyer, seller));
        world.stop().await;
        let before = nonce(&chain).await;
        let fuse = world.folder().join("fuse");
        std::fs::write(&fuse, place).unwrap();
        let mut environment = chain.variables(chain.url(), DEPTH);
        environment.push(("BOURSE_CRASH_FUSE", OsString::from(&fuse)));
        world.try_run_apart(&environment).unwrap();
        let session = world.session().await;
        let state = chain.final_state(&session, PAYMENT, pair).await;
        let args = close_args(&world, &state, &chain.parties.buyer_delegate);
        let asked = tokio::spawn(async move { call(&session, "xbr.marketmaker.close_channel", args).await });
        until(place, async || {
            // The end comes in blocks that count.
            if place.starts_with("end") {
                chain.mine(1).await;
            }
            world.has_ended()
        })
        .await;
        asked.abort();
        world.try_run_apart(&chain.variables(chain.url(), DEPTH)).unwrap();
        let session = world.session().await;
        settled(&chain, &session, ChannelKind::Payment, PAYMENT).await;
        chain.mine(DEPTH).await;
        chain.caught_up(&session, DEPTH).await;
        assert_eq!(nonce(&chain).await - before, 1, "{place}");
        // Asked again, it says that it is over.
        let asked = close(&world, &session, &state, &chain.parties.buyer_delegate).await;
        assert_eq!(int_of(&asked.unwrap(), "state"), 3);
        world.assert_sound();
        world.kill();
    }
}
