//! Channels that the market maker opens itself, on the real contracts of a real node: each transaction once, whatever crashes,
//! whatever the chain drops, and whatever the gas costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::Config;
use bourse_chain::{ChannelOpen, DelegateBinding, Fees, Signer, Transaction};
use bourse_market::chain::ChainEvent;
use bourse_market::{Address, Amount, ChannelId, ChannelKind, MarketId};
use bourse_tests::{
    Buyer, Chain, Ear, Seller, World, amount_of, bytes_of, call, error_text, int_of, map_of, open_args,
    refused, tokens, until,
};
use bourse_wamp::{Dict, Session, Value, WampError};
use serde_json::json;
use std::ffi::OsString;
use std::time::Duration;

const PAYMENT: ChannelId = ChannelId([0xb2; 16]);
const PAYING: ChannelId = ChannelId([0xc2; 16]);
/// Blocks above one that counts.
const DEPTH: u64 = 2;
/// What is locked for the seller at most, in whole tokens.
const LIMIT: u64 = 1_000;

const INVALID: &str = "wamp.error.invalid_argument";
const FUNDS: &str = "bourse.error.insufficient_funds";
const SIGNATURE: &str = "xbr.error.invalid_signature";

/// A market that opens channels for the usual seller.
async fn market(chain: &Chain, change: impl FnOnce(&mut Config)) -> World {
    let seller = chain.parties.seller.address().to_string();
    let world = chain
        .world(DEPTH, |config| {
            config.market.paying_limits.insert(seller, LIMIT);
            change(config);
        })
        .await;
    ready(chain, &world).await;
    world
}

/// Waits until the market takes the newest block for the head, and knows its next nonce.
async fn ready(chain: &Chain, world: &World) -> Session {
    let session = world.session().await;
    let head = chain.head().await;
    until("the market sees the newest block", async || {
        let status = call(&session, "xbr.marketmaker.get_status", vec![])
            .await
            .unwrap();
        int_of(map_of(&status).get("block").unwrap(), "number") >= head
    })
    .await;
    session
}

/// What a client sends to have a channel opened, with its delegate's word.
#[derive(Clone)]
struct Opening {
    args: Vec<Value>,
}

fn delegate_of(chain: &Chain, kind: ChannelKind) -> (&Signer, &Signer) {
    let parties = &chain.parties;
    match kind {
        ChannelKind::Payment => (&parties.buyer, &parties.buyer_delegate),
        ChannelKind::Paying => (&parties.seller, &parties.seller_delegate),
    }
}

fn signed(chain: &Chain, world: &World, message: ChannelOpen) -> Opening {
    let (actor, delegate) = delegate_of(chain, message.kind);
    let mut args = open_args(world, &message, actor);
    let binding = DelegateBinding {
        market: Chain::MARKET,
        actor: message.actor,
        delegate: message.delegate,
    };
    let signature = delegate.sign(&binding.digest(&chain.domain()));
    args.push(attributes(&signature.0));
    Opening { args }
}

fn attributes(signature: &[u8]) -> Value {
    let signature = Value::Bytes(signature.to_vec());
    Value::Map(Dict::from([("delegate_signature".to_owned(), signature)]))
}

async fn opening(
    chain: &Chain,
    world: &World,
    kind: ChannelKind,
    channel: ChannelId,
    deposit: u64,
) -> Opening {
    let message = chain.opening(kind, channel, tokens(deposit)).await;
    signed(chain, world, message)
}

/// Asks, as soon as the market knows its next nonce.
async fn ask(session: &Session, opening: &Opening) -> Result<Value, WampError> {
    let knows_none = |error: &WampError| {
        let said = error_text(error);
        said.contains("nonce is not known yet") || said.contains("must follow first")
    };
    loop {
        match call(session, "xbr.marketmaker.open_channel", opening.args.clone()).await {
            Err(error) if knows_none(&error) => tokio::time::sleep(Duration::from_millis(20)).await,
            answer => return answer,
        }
    }
}

async fn open(session: &Session, opening: &Opening) -> Value {
    ask(session, opening).await.unwrap()
}

async fn channel_of(session: &Session, kind: ChannelKind, channel: ChannelId) -> Option<Value> {
    let getter = match kind {
        ChannelKind::Payment => "xbr.marketmaker.get_payment_channel",
        ChannelKind::Paying => "xbr.marketmaker.get_paying_channel",
    };
    call(session, getter, vec![Value::from(channel.0)]).await.ok()
}

/// Mines until the market counts the channel as open and in use.
async fn counts(chain: &Chain, session: &Session, kind: ChannelKind, channel: ChannelId) -> Value {
    until("the opening is mined", async || {
        openings(chain, channel).await == 1
    })
    .await;
    chain.mine(DEPTH).await;
    until("the channel counts", async || {
        channel_of(session, kind, channel).await.is_some()
    })
    .await;
    channel_of(session, kind, channel).await.unwrap()
}

/// How often the contract says that a channel was opened.
async fn openings(chain: &Chain, channel: ChannelId) -> usize {
    let logged = chain.logged(0).await;
    let opened = logged
        .iter()
        .filter(|(_, event)| matches!(event, Ok(ChainEvent::Opened(terms)) if terms.channel == channel));
    opened.count()
}

async fn nonce(chain: &Chain) -> u64 {
    let us = chain.parties.marketmaker.address();
    chain.node().nonce(us).await.unwrap()
}

async fn allowance(chain: &Chain) -> Amount {
    let us = chain.parties.marketmaker.address();
    chain
        .contracts
        .approved_to_channels(chain.node(), us)
        .await
        .unwrap()
}

/// How many transactions have not ended.
async fn waiting(session: &Session) -> u64 {
    let status = call(session, "xbr.marketmaker.get_status", vec![]).await.unwrap();
    int_of(&status, "outbox_waiting")
}

async fn receipt(session: &Session, transaction: &[u8]) -> Result<Value, WampError> {
    let args = vec![Value::Bytes(transaction.to_vec())];
    call(session, "xbr.marketmaker.get_transaction_receipt", args).await
}

#[tokio::test]
async fn w_29_w_30_both_kinds_open_through_the_market_maker_and_trade_at_once() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain, |_| {}).await;
    let session = world.session().await;
    let before = nonce(&chain).await;
    let mut ears = Vec::new();
    for (kind, name) in [(ChannelKind::Payment, "payment"), (ChannelKind::Paying, "paying")] {
        let delegate = delegate_of(&chain, kind).1.address();
        let topic = format!("xbr.marketmaker.delegate.{delegate}.on_{name}_channel_open");
        ears.push(Ear::at(&session, &topic).await);
    }
    for (kind, channel, deposit) in [
        (ChannelKind::Payment, PAYMENT, 500),
        (ChannelKind::Paying, PAYING, 400),
    ] {
        ready(&chain, &world).await;
        let opening = opening(&chain, &world, kind, channel, deposit).await;
        let answer = open(&session, &opening).await;
        assert_eq!(bytes_of(&answer, "channel_oid"), channel.0);
        assert_eq!(bytes_of(&answer, "market_oid"), Chain::MARKET.0);
        assert_eq!(map_of(&answer).get("bound"), Some(&Value::Bool(true)));
        let known = counts(&chain, &session, kind, channel).await;
        assert_eq!(amount_of(&known, "amount"), tokens(deposit));
        // The same request again: the same transaction, and nothing new.
        let again = ask(&session, &opening).await.unwrap();
        assert_eq!(bytes_of(&again, "transaction"), bytes_of(&answer, "transaction"));
        let receipt = receipt(&session, bytes_of(&answer, "transaction")).await.unwrap();
        assert_eq!(int_of(&receipt, "status"), 1);
    }
    for mut ear in ears {
        ear.one().await;
    }
    // An opening, an approval, an opening; and nothing is left to take.
    assert_eq!(nonce(&chain).await - before, 3);
    assert_eq!(allowance(&chain).await, Amount::ZERO);

    let parties = &chain.parties;
    let seller = Seller::over(
        &world,
        world.session().await,
        "seller-1",
        (parties.seller.clone(), parties.seller_delegate.clone()),
        (PAYING, tokens(400)),
    )
    .await;
    let (actor, delegate) = (parties.buyer.clone(), parties.buyer_delegate.clone());
    let mut buyer = Buyer::over(&world, session, actor, delegate, PAYMENT, tokens(500));
    let key = seller.offer(Some(tokens(3))).await;
    buyer.buy(key).await.unwrap();
    world.assert_sound();
}

#[tokio::test]
async fn w_30_two_paying_channels_opened_at_once_take_exactly_what_was_approved_for_each() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain, |_| {}).await;
    let (one, other) = (ready(&chain, &world).await, world.session().await);
    let before = nonce(&chain).await;
    let second = ChannelId([0xc3; 16]);
    let first = opening(&chain, &world, ChannelKind::Paying, PAYING, 400).await;
    let next = opening(&chain, &world, ChannelKind::Paying, second, 300).await;
    tokio::join!(open(&one, &first), open(&other, &next));
    for (channel, deposit) in [(PAYING, 400), (second, 300)] {
        let known = counts(&chain, &one, ChannelKind::Paying, channel).await;
        assert_eq!(amount_of(&known, "amount"), tokens(deposit));
    }
    assert_eq!(nonce(&chain).await - before, 4);
    assert_eq!(allowance(&chain).await, Amount::ZERO);
    world.assert_sound();
}

#[tokio::test]
async fn w_06_what_a_request_to_open_names_and_locks_is_checked() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain, |config| config.market.paying_cap = Some(900)).await;
    let session = ready(&chain, &world).await;
    let before = nonce(&chain).await;
    let id = ChannelId([7; 16]);
    let (payment, paying) = (
        chain.opening(ChannelKind::Payment, id, tokens(5)).await,
        chain.opening(ChannelKind::Paying, id, tokens(5)).await,
    );
    let stranger = chain.parties.stranger.address();
    let wrong: Vec<(ChannelOpen, &str, &str)> = vec![
        (
            ChannelOpen {
                market: MarketId([1; 16]),
                ..payment
            },
            INVALID,
            "market_oid",
        ),
        (
            ChannelOpen {
                marketmaker: stranger,
                ..payment
            },
            INVALID,
            "marketmaker",
        ),
        (
            ChannelOpen {
                recipient: stranger,
                ..payment
            },
            INVALID,
            "recipient",
        ),
        (
            ChannelOpen {
                amount: Amount::ZERO,
                ..payment
            },
            INVALID,
            "amount",
        ),
        (
            ChannelOpen {
                opened_at: Amount::from_units(1),
                ..payment
            },
            INVALID,
            "current_block_number",
        ),
        (
            ChannelOpen {
                opened_at: Amount::from_units(1 << 40),
                ..payment
            },
            INVALID,
            "current_block_number",
        ),
        // More than the buyer has, or lets the contract take.
        (
            ChannelOpen {
                amount: tokens(10_001),
                ..payment
            },
            FUNDS,
            "10001",
        ),
        // Less than is worth it, more than for this provider, more than for all.
        (
            ChannelOpen {
                amount: Amount::from_units(1),
                ..paying
            },
            INVALID,
            "1 tokens at least",
        ),
        (
            ChannelOpen {
                amount: tokens(LIMIT + 1),
                ..paying
            },
            FUNDS,
            "at most 1000 tokens in paying channels of",
        ),
        (
            ChannelOpen {
                amount: tokens(901),
                ..paying
            },
            FUNDS,
            "at most 900 tokens in all paying channels",
        ),
    ];
    for (message, uri, says) in wrong {
        let error = refused(ask(&session, &signed(&chain, &world, message)).await, uri);
        assert!(error_text(&error).contains(says), "{says}: {error:?}");
    }
    let zero = ChannelOpen {
        delegate: Address([0; 20]),
        ..payment
    };
    let args = open_args(&world, &zero, &chain.parties.buyer);
    let error = refused(
        call(&session, "xbr.marketmaker.open_channel", args).await,
        INVALID,
    );
    assert!(error_text(&error).contains("delegate"), "{error:?}");
    // Chain, contract, the actor's signature, and a binding that is not the delegate's.
    let good = signed(&chain, &world, paying).args;
    for (place, value, uri) in [
        (3, Value::from(1u64), INVALID),
        (5, Value::from(stranger.0), INVALID),
        (10, Value::from(tokens(6).to_be_bytes()), SIGNATURE),
        (12, attributes(&good[11].clone().into_bytes()), SIGNATURE),
        (12, attributes(&[1; 64]), INVALID),
    ] {
        let mut args = good.clone();
        args[place] = value;
        refused(call(&session, "xbr.marketmaker.open_channel", args).await, uri);
    }
    // A provider that the operator did not list: the contract would open it, the market maker does not.
    let open = ChannelOpen {
        actor: stranger,
        recipient: stranger,
        ..paying
    };
    let args = open_args(&world, &open, &chain.parties.stranger);
    let error = refused(call(&session, "xbr.marketmaker.open_channel", args).await, FUNDS);
    assert!(
        error_text(&error).contains("at most 0 tokens in paying channels of"),
        "{error:?}"
    );
    // Nothing was sent for any of it.
    assert_eq!(nonce(&chain).await, before);
    world.assert_sound();
}

/// Each opening costs gas, whatever becomes of it; and a restart makes nobody forget how many there were.
#[tokio::test]
async fn paying_channels_of_a_provider_are_opened_so_often_in_a_day_and_the_error_says_when_to_come_again() {
    let Some(chain) = Chain::start().await else { return };
    let mut world = market(&chain, |config| config.market.openings_per_day = 1).await;
    let session = ready(&chain, &world).await;
    let first = opening(&chain, &world, ChannelKind::Paying, PAYING, 10).await;
    let asked = bourse_tests::now();
    open(&session, &first).await;
    counts(&chain, &session, ChannelKind::Paying, PAYING).await;
    for again in [false, true] {
        if again {
            world.restart().await;
        }
        let session = ready(&chain, &world).await;
        let second = opening(&chain, &world, ChannelKind::Paying, ChannelId([0xc3; 16]), 10).await;
        let error = refused(ask(&session, &second).await, "bourse.error.overloaded");
        assert!(error_text(&error).contains("at most 1 channels for"), "{error:?}");
        let again_at = error.kwargs.get("again_at").and_then(Value::as_u64).unwrap();
        let day = 24 * 60 * 60 * 1_000_000_000;
        assert!(
            (asked + day..asked + day + 60 * 1_000_000_000).contains(&again_at),
            "{error:?}"
        );
        // The first is answered as before, and who pays its own deposit is not limited.
        ask(&session, &first).await.unwrap();
    }
    let session = ready(&chain, &world).await;
    let payment = opening(&chain, &world, ChannelKind::Payment, PAYMENT, 10).await;
    open(&session, &payment).await;
    world.assert_sound();
}

trait Raw {
    fn into_bytes(self) -> Vec<u8>;
}

impl Raw for Value {
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Value::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }
}

/// The buyer takes its allowance back with a transaction that pays more, in the very block of the opening.
#[tokio::test]
async fn w_29_an_opening_that_is_reverted_is_told_with_the_contracts_reason() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain, |_| {}).await;
    let session = ready(&chain, &world).await;
    let (buyer, delegate) = delegate_of(&chain, ChannelKind::Payment);
    let topic = format!(
        "xbr.marketmaker.delegate.{}.on_channel_open_failed",
        delegate.address()
    );
    let mut ear = Ear::at(&session, &topic).await;
    let before = nonce(&chain).await;
    let opening = opening(&chain, &world, ChannelKind::Payment, PAYMENT, 500).await;
    chain.dev().mine_at_once(false).await.unwrap();
    let answer = open(&session, &opening).await;
    let transaction = bytes_of(&answer, "transaction").to_vec();
    let known = bourse_market::TransactionHash(transaction.clone().try_into().unwrap());
    until("the node has it", async || {
        chain.node().knows(known).await.unwrap()
    })
    .await;
    // Another of the same buyer's would be opened over the same allowance.
    let second = chain
        .opening(ChannelKind::Payment, ChannelId([1; 16]), tokens(5))
        .await;
    let error = refused(
        ask(&session, &signed(&chain, &world, second)).await,
        "bourse.error.not_ready",
    );
    assert!(
        error_text(&error).contains("is being opened already"),
        "{error:?}"
    );

    let revoke = chain.contracts.approve_channels(Amount::ZERO);
    let gwei = 1_000_000_000;
    let revoke = Transaction {
        chain_id: chain.domain().chain_id,
        nonce: chain.node().nonce(buyer.address()).await.unwrap(),
        to: Some(revoke.to),
        input: revoke.input,
        gas_limit: 100_000,
        fees: Fees::Market {
            max_fee: 400 * gwei,
            max_priority_fee: 200 * gwei,
        },
    };
    chain.node().send_raw(&revoke.sign(buyer).bytes).await.unwrap();
    chain.mine(1 + DEPTH).await;
    let failed = ear.one().await;
    assert_eq!(bytes_of(&failed, "channel_oid"), PAYMENT.0);
    assert_eq!(bytes_of(&failed, "transaction"), transaction);
    let reason = map_of(&failed).get("reason").unwrap().clone();
    assert_eq!(reason, Value::from("ERC20: transfer amount exceeds allowance"));
    let receipt = receipt(&session, &transaction).await.unwrap();
    assert_eq!(int_of(&receipt, "status"), 0);
    assert_eq!(nonce(&chain).await - before, 1);
    // The same request again is answered as before, and nothing is sent.
    let again = ask(&session, &opening).await.unwrap();
    assert_eq!(bytes_of(&again, "transaction"), transaction);
    world.assert_sound();

    // What the contract refuses outright is never sent.
    ready(&chain, &world).await;
    let gone = chain.contracts.unregister_member();
    chain.dev().mine_at_once(true).await.unwrap();
    chain.send(&chain.parties.seller, &gone).await;
    ready(&chain, &world).await;
    let refusal = self::opening(&chain, &world, ChannelKind::Paying, PAYING, 5).await;
    let error = refused(ask(&session, &refusal).await, "xbr.error.transaction_failed");
    assert!(error_text(&error).contains("INVALID_CHANNEL_ACTOR"), "{error:?}");
}

#[tokio::test]
async fn w_29_a_transaction_that_pays_too_little_is_sent_again_for_more_with_the_same_nonce() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain, |config| config.chain.bump_after_blocks = 2).await;
    let session = ready(&chain, &world).await;
    let before = nonce(&chain).await;
    let opening = opening(&chain, &world, ChannelKind::Payment, PAYMENT, 500).await;
    chain.dev().mine_at_once(false).await.unwrap();
    let answer = open(&session, &opening).await;
    let first = bytes_of(&answer, "transaction").to_vec();
    let known = bourse_market::TransactionHash(first.clone().try_into().unwrap());
    until("the node has it", async || {
        chain.node().knows(known).await.unwrap()
    })
    .await;
    // Blocks that cost more than it pays.
    for _ in 0..3 {
        chain
            .dev()
            .ask("anvil_setNextBlockBaseFeePerGas", json!(["0x174876e800"]))
            .await
            .unwrap();
        chain.mine(1).await;
    }
    assert_eq!(nonce(&chain).await, before, "it was not to be mined yet");
    let mut dearer = Vec::new();
    until("it is sent again", async || {
        let again = ask(&session, &opening).await.unwrap();
        dearer = bytes_of(&again, "transaction").to_vec();
        dearer != first
    })
    .await;
    let known = bourse_market::TransactionHash(dearer.clone().try_into().unwrap());
    until("the node has it", async || {
        chain.node().knows(known).await.unwrap()
    })
    .await;
    chain.mine(1).await;
    counts(&chain, &session, ChannelKind::Payment, PAYMENT).await;
    assert_eq!(nonce(&chain).await - before, 1);
    let receipt = receipt(&session, &dearer).await.unwrap();
    assert_eq!(int_of(&receipt, "status"), 1);
    world.assert_sound();
}

#[tokio::test]
async fn w_29_an_opening_that_the_chain_drops_is_sent_again_as_it_was() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain, |config| config.chain.bump_after_blocks = 1_000).await;
    let session = ready(&chain, &world).await;
    let before = nonce(&chain).await;
    let snapshot = chain.snapshot().await;
    let opening = opening(&chain, &world, ChannelKind::Paying, PAYING, 400).await;
    let answer = open(&session, &opening).await;
    let transaction = bytes_of(&answer, "transaction").to_vec();
    until("it is mined", async || openings(&chain, PAYING).await == 1).await;
    // It was in a block that did not count yet.
    chain.revert(snapshot).await;
    assert_eq!(nonce(&chain).await, before);
    let snapshot = chain.snapshot().await;
    chain.mine(4).await;
    counts(&chain, &session, ChannelKind::Paying, PAYING).await;
    assert_eq!(nonce(&chain).await - before, 2);
    // And in one that did.
    chain.mine(2).await;
    ready(&chain, &world).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    chain.revert(snapshot).await;
    chain.mine(12).await;
    until("it is mined again", async || openings(&chain, PAYING).await == 1).await;
    chain.mine(DEPTH).await;
    until("the channel counts again", async || {
        let known = channel_of(&session, ChannelKind::Paying, PAYING).await;
        known.is_some_and(|known| map_of(&known).get("quarantined") == Some(&Value::Null))
    })
    .await;
    assert_eq!(nonce(&chain).await - before, 2);
    assert_eq!(allowance(&chain).await, Amount::ZERO);
    let again = ask(&session, &opening).await.unwrap();
    assert_eq!(bytes_of(&again, "transaction"), transaction);
    world.assert_sound();
}

/// Somebody else sends with the market maker's key: the ledger notices, and goes on behind it.
#[tokio::test]
async fn nonces_that_somebody_else_used_are_passed_over() {
    let Some(chain) = Chain::start().await else { return };
    let world = market(&chain, |_| {}).await;
    let approve = chain.contracts.approve_channels(tokens(77));
    chain.send(&chain.parties.marketmaker, &approve).await;
    chain.mine(DEPTH).await;
    let session = ready(&chain, &world).await;
    let before = nonce(&chain).await;
    let opening = opening(&chain, &world, ChannelKind::Payment, PAYMENT, 500).await;
    open(&session, &opening).await;
    counts(&chain, &session, ChannelKind::Payment, PAYMENT).await;
    assert_eq!(nonce(&chain).await - before, 1);
    world.assert_sound();
}

/// The market's settings for a process of its own.
fn variables(chain: &Chain) -> Vec<(String, OsString)> {
    let mut variables: Vec<(String, OsString)> = chain
        .variables(chain.url(), DEPTH)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let seller = chain.parties.seller.address();
    variables.push((
        format!("BOURSE__MARKET__PAYING_LIMITS__{seller}"),
        LIMIT.to_string().into(),
    ));
    variables
}

fn run_apart(world: &mut World, variables: &[(String, OsString)]) {
    let borrowed: Vec<(&str, OsString)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    world.try_run_apart(&borrowed).unwrap();
}

/// Opens a paying channel, is killed at a moment of `die`'s choice, and asks again after a restart: one approval, one
/// opening, nothing left to take.
async fn opened_across_a_death(
    chain: &Chain,
    world: &mut World,
    channel: ChannelId,
    environment: &[(String, OsString)],
    die: impl AsyncFnOnce(&mut World),
) {
    run_apart(world, environment);
    let session = ready(chain, world).await;
    let before = nonce(chain).await;
    let opening = opening(chain, world, ChannelKind::Paying, channel, 5).await;
    let again = opening.clone();
    let asked = tokio::spawn(async move { ask(&session, &again).await });
    die(world).await;
    asked.abort();
    run_apart(world, &variables(chain));
    let session = ready(chain, world).await;
    open(&session, &opening).await;
    counts(chain, &session, ChannelKind::Paying, channel).await;
    // Or the end of this opening would come in the next life, and be taken for that of the next.
    until("every transaction has ended", async || {
        waiting(&session).await == 0
    })
    .await;
    assert_eq!(nonce(chain).await - before, 2);
    assert_eq!(openings(chain, channel).await, 1);
    assert_eq!(allowance(chain).await, Amount::ZERO);
    world.assert_sound();
    world.kill();
}

/// Killed so many milliseconds after it was asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w_29_kill_9_while_a_channel_is_opened_sends_no_transaction_twice_and_loses_none() {
    let Some(chain) = Chain::start().await else { return };
    let mut world = market(&chain, |_| {}).await;
    world.stop().await;
    for (number, after) in [0, 3, 6, 10, 15, 22, 40, 80].into_iter().enumerate() {
        let channel = ChannelId([u8::try_from(number).unwrap() + 1; 16]);
        opened_across_a_death(&chain, &mut world, channel, &variables(&chain), async |world| {
            tokio::time::sleep(Duration::from_millis(after)).await;
            world.kill();
        })
        .await;
    }
}

/// Killed at each place between the request and the end, with a host that has such places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w_29_a_death_at_any_step_of_a_transaction_sends_none_twice_and_loses_none() {
    if !cfg!(feature = "crash-points") {
        eprintln!("NOT CHECKED: this needs the feature crash-points; `cargo xtask ci` has it");
        return;
    }
    let Some(chain) = Chain::start().await else { return };
    let mut world = market(&chain, |_| {}).await;
    world.stop().await;
    let places = [
        "intent-committed:1",
        "attempt-committed:1",
        "attempt-committed:2",
        "transaction-sent:1",
        "transaction-sent:2",
        "end-committed:1",
        "end-committed:2",
    ];
    for (number, place) in places.into_iter().enumerate() {
        let channel = ChannelId([u8::try_from(number).unwrap() + 1; 16]);
        let fuse = world.folder().join("fuse");
        let mut environment = variables(&chain);
        environment.push(("BOURSE_CRASH_FUSE".to_owned(), fuse.clone().into_os_string()));
        std::fs::write(&fuse, place).unwrap();
        let blocks = chain.dev().clone();
        opened_across_a_death(&chain, &mut world, channel, &environment, async |world| {
            until(place, async || {
                // The end comes in blocks that count.
                if place.starts_with("end") {
                    blocks.mine(1).await.unwrap();
                }
                world.has_ended()
            })
            .await;
        })
        .await;
    }
}
