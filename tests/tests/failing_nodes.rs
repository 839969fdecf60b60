//! A market whose node fails, or lies: trade goes on over the channels it knows, it says what is wrong, and catches up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::Host;
use bourse_app::config::Config;
use bourse_app::dev_chain::{Members, set_up};
use bourse_chain::{ChannelClose, ChannelOpen, Domain, Sender, Signer, deploy};
use bourse_market::{Amount, ChannelId, ChannelKind};
use bourse_tests::{
    Buyer, Chain, Ear, Gateway, Limiter, Mood, Relay, Seller, World, call, call_named, error_text, map_of,
    open_args, quantity, refused, run, tokens, until,
};
use bourse_wamp::{Dict, Session, Value};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PAYMENT: ChannelId = ChannelId([0xb2; 16]);
const PAYING: ChannelId = ChannelId([0xc2; 16]);
const LATER: ChannelId = ChannelId([0xb3; 16]);
const DEPTH: u64 = 2;

async fn status(session: &Session, key: &str) -> Option<Value> {
    let status = call(session, "xbr.marketmaker.get_status", vec![]).await.unwrap();
    map_of(&status)
        .get(key)
        .filter(|value| **value != Value::Null)
        .cloned()
}

async fn trouble(session: &Session) -> Option<String> {
    match status(session, "degraded").await {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}

async fn knows(session: &Session, channel: ChannelId) -> bool {
    let getter = "xbr.marketmaker.get_payment_channel";
    call(session, getter, vec![Value::from(channel.0)]).await.is_ok()
}

async fn caught_up(chain: &Chain, session: &Session) {
    let counts = chain.head().await - DEPTH;
    until("the ledger follows the chain", async || {
        let followed = status(session, "followed").await.and_then(|value| value.as_u64());
        followed == Some(counts) && trouble(session).await.is_none()
    })
    .await;
}

/// A market behind a gateway, with both channels open and bound.
async fn market(chain: &Chain, gateway: &Gateway) -> (World, Buyer, Seller) {
    market_with(chain, gateway, |_| {}).await
}

async fn market_with(
    chain: &Chain,
    gateway: &Gateway,
    change: impl FnOnce(&mut Config),
) -> (World, Buyer, Seller) {
    let world = chain
        .world(DEPTH, |config| {
            config.chain.rpc = Some(gateway.url());
            change(config);
        })
        .await;
    let parties = &chain.parties;
    chain.open(ChannelKind::Payment, PAYMENT, tokens(500)).await;
    chain.open(ChannelKind::Paying, PAYING, tokens(400)).await;
    chain.mine(DEPTH).await;
    let session = world.session().await;
    caught_up(chain, &session).await;
    for (delegate, actor) in [
        (&parties.buyer_delegate, &parties.buyer),
        (&parties.seller_delegate, &parties.seller),
    ] {
        let (data, words) = (
            world.data().to_owned(),
            [delegate, actor].map(|who| who.address().to_string()),
        );
        let bound =
            tokio::task::spawn_blocking(move || run(&data, &["ledger", "bind", &words[0], &words[1]]));
        assert!(bound.await.unwrap().status.success());
    }
    let (buyer, seller) = traders(chain, &world).await;
    (world, buyer, seller)
}

/// What a node may do instead of answering as it should, and what the market is to say of it.
fn moods() -> Vec<(Mood, &'static str)> {
    vec![
        (Mood::Down, "cannot be reached"),
        (Mood::Busy, "takes no more requests for now"),
        (Mood::Says("<html>welcome</html>"), "with nonsense"),
        (
            Mood::Says(r#"{"jsonrpc":"2.0","id":1,"result":"0x"}"#),
            "with nonsense",
        ),
        (
            Mood::Says(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"out of order today"}}"#),
            "out of order today",
        ),
        // Its head is far below where the ledger stands.
        (
            Mood::lies(|method, mut result| {
                if method == "eth_getBlockByNumber" && result.is_object() {
                    result["number"] = quantity(7);
                }
                result
            }),
            "is at block 7",
        ),
        // Its head is far above what it has.
        (
            Mood::lies(|method, mut result| {
                let number = result["number"]
                    .as_str()
                    .map(|text| text.trim_start_matches("0x").to_owned());
                if let ("eth_getBlockByNumber", Some(number)) = (method, number) {
                    let number = u64::from_str_radix(&number, 16).unwrap();
                    result["number"] = quantity(number + 1_000_000);
                }
                result
            }),
            "asked for block",
        ),
        // A chain of its own.
        (
            Mood::lies(|method, mut result| {
                if method == "eth_getBlockByNumber" && result.is_object() {
                    result["hash"] = json!(format!("0x{}", "77".repeat(32)));
                }
                result
            }),
            "shows another chain",
        ),
    ]
}

/// W-34: there is no signal to miss, and no failure ends the asking.
#[tokio::test]
async fn whatever_a_node_does_trade_goes_on_and_the_ledger_catches_up() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (world, mut buyer, seller) = market(&chain, &gateway).await;
    let session = world.session().await;
    for (number, (mood, says)) in moods().into_iter().enumerate() {
        gateway.be(mood);
        // There is something to read.
        let later = ChannelId([u8::try_from(number).unwrap(); 16]);
        chain.open(ChannelKind::Payment, later, tokens(1)).await;
        chain.mine(DEPTH).await;
        until("the market says what is wrong", async || {
            trouble(&session).await.is_some_and(|text| text.contains(says))
        })
        .await;
        let key = seller.offer(Some(tokens(1))).await;
        buyer.buy(key).await.unwrap();
        assert!(!knows(&session, later).await, "{says}");

        gateway.be(Mood::Honest);
        caught_up(&chain, &session).await;
        assert!(knows(&session, later).await, "{says}");
    }
    world.assert_sound();
}

#[tokio::test]
async fn a_silent_node_holds_up_nobody_and_a_market_stops_beside_it() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (mut world, mut buyer, seller) = market(&chain, &gateway).await;
    gateway.be(Mood::Silent);
    chain.mine(1).await;
    for _ in 0..3 {
        let key = seller.offer(Some(tokens(1))).await;
        buyer.buy(key).await.unwrap();
    }
    let stopped = tokio::time::timeout(Duration::from_secs(10), world.stop());
    stopped.await.expect("a stop waits for no node");
}

/// Both parties on fresh sessions, at the beginning of their channels.
async fn traders(chain: &Chain, world: &World) -> (Buyer, Seller) {
    let parties = &chain.parties;
    let pair = |actor: &Signer, delegate: &Signer| (actor.clone(), delegate.clone());
    let (actor, delegate) = pair(&parties.buyer, &parties.buyer_delegate);
    let buyer = Buyer::over(
        world,
        world.session().await,
        actor,
        delegate,
        PAYMENT,
        tokens(500),
    );
    let seller = pair(&parties.seller, &parties.seller_delegate);
    let seller = Seller::over(
        world,
        world.session().await,
        "seller-1",
        seller,
        (PAYING, tokens(400)),
    )
    .await;
    (buyer, seller)
}

#[tokio::test]
async fn a_market_starts_on_what_it_knows_while_its_node_is_down_trades_and_follows_once_it_answers() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (mut world, buyer, seller) = market(&chain, &gateway).await;
    drop((buyer, seller));
    for mood in [
        Mood::Down,
        Mood::Busy,
        Mood::Says("<html>502</html>"),
        Mood::Silent,
    ] {
        gateway.be(mood);
        world.restart().await;
        assert!(world.host().unseen().is_some());
        let session = world.session().await;
        assert!(trouble(&session).await.is_some());
        assert!(knows(&session, PAYMENT).await);
        world.stop().await;
    }
    gateway.be(Mood::Down);
    world.restart().await;
    let session = world.session().await;
    assert!(trouble(&session).await.unwrap().contains("cannot be reached"));
    assert_eq!(status(&session, "caught_up").await, Some(Value::Bool(false)));
    // The last block that is known to count stands for the newest.
    let head = status(&session, "block").await.unwrap();
    let followed = chain.head().await - DEPTH;
    assert_eq!(
        map_of(&head).get("number").and_then(Value::as_u64),
        Some(followed)
    );
    let (mut buyer, seller) = traders(&chain, &world).await;
    let key = seller.offer(Some(tokens(3))).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(buyer.balance, tokens(497));
    // What needs the chain waits for it.
    let opening = chain.opening(ChannelKind::Payment, LATER, tokens(1)).await;
    let mut args = open_args(&world, &opening, &chain.parties.buyer);
    args[4] = Value::from(followed);
    let at = ChannelOpen {
        opened_at: Amount::from_units(followed.into()),
        ..opening
    };
    args[11] = open_args(&world, &at, &chain.parties.buyer)[11].clone();
    refused(
        call(&session, "xbr.marketmaker.open_channel", args).await,
        "bourse.error.not_ready",
    );

    chain.open(ChannelKind::Payment, LATER, tokens(1)).await;
    chain.mine(DEPTH).await;
    gateway.be(Mood::Honest);
    caught_up(&chain, &session).await;
    assert!(knows(&session, LATER).await);
    assert_eq!(world.host().unseen(), None);
    let key = seller.offer(Some(tokens(4))).await;
    buyer.buy(key).await.unwrap();
    assert_eq!(buyer.balance, tokens(493));
    world.assert_sound();
}

/// Its block may be so old by now that the contract would not take it: then it backs nothing that is spent.
#[tokio::test]
async fn a_voucher_is_not_taken_while_no_node_says_which_block_is_the_newest_and_what_is_trusted_without_goes_on()
 {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (mut world, ..) = market_with(&chain, &gateway, |config| config.market.max_unsettled = 2).await;
    world.stop().await;
    gateway.be(Mood::Down);
    world.restart().await;
    let (mut buyer, seller) = traders(&chain, &world).await;
    let key = seller.offer(Some(tokens(2))).await;
    buyer.buy(key).await.unwrap();

    let session = world.session().await;
    let key = seller.offer(Some(tokens(1))).await;
    let order = buyer.order(key, tokens(1));
    refused(buyer.send(&order).await, "bourse.error.unsettled");
    let backed = async || {
        let head = status(&session, "block").await.unwrap();
        let close_at = map_of(&head).get("number").and_then(Value::as_u64).unwrap();
        let state = ChannelClose {
            is_final: true,
            close_at: Amount::from_units(close_at.into()),
            ..ChannelClose::off_chain(Chain::MARKET, PAYMENT, order.seq, order.balance)
        };
        let signature = chain.parties.buyer_delegate.sign(&state.digest(&chain.domain()));
        let voucher = Dict::from([
            ("close_at".to_owned(), close_at.into()),
            ("signature".to_owned(), signature.0.into()),
        ]);
        let voucher = Dict::from([("voucher".to_owned(), Value::Map(voucher))]);
        call_named(&session, "xbr.marketmaker.buy_key", order.args(), voucher).await
    };
    let error = refused(backed().await, "bourse.error.not_ready");
    assert!(
        error_text(&error).contains("which block is the newest"),
        "{error:?}"
    );
    gateway.be(Mood::Honest);
    caught_up(&chain, &session).await;
    backed().await.unwrap();
    world.assert_sound();
}

/// W-51: what is not known to be old enough is too young.
#[tokio::test]
async fn w_51_a_market_that_starts_without_its_node_sells_only_if_the_chain_was_old_enough_before() {
    const YOUNG: u64 = 100;
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let mut world = chain
        .world(YOUNG, |config| config.chain.rpc = Some(gateway.url()))
        .await;
    chain.open(ChannelKind::Payment, PAYMENT, tokens(500)).await;
    chain.open(ChannelKind::Paying, PAYING, tokens(400)).await;
    chain.mine(YOUNG).await;
    let session = world.session().await;
    until("both channels are known", async || {
        knows(&session, PAYMENT).await && trouble(&session).await.is_none()
    })
    .await;
    let counts = chain.head().await - YOUNG;
    until("the ledger follows the chain", async || {
        status(&session, "followed")
            .await
            .and_then(|value| value.as_u64())
            == Some(counts)
    })
    .await;
    assert!(counts < 1441 + YOUNG && chain.head().await > 1441 + YOUNG);
    world.stop().await;
    gateway.be(Mood::Down);
    world.restart().await;
    let (buyer, seller) = traders(&chain, &world).await;
    let key = seller.offer(Some(tokens(1))).await;
    let order = buyer.order(key, tokens(1));
    let session = world.session().await;
    refused(
        bourse_tests::send(&session, &order).await,
        "bourse.error.not_ready",
    );
}

#[tokio::test]
async fn a_first_start_needs_its_node_and_so_does_one_with_other_contracts() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let mut world = chain
        .world(DEPTH, |config| config.chain.rpc = Some(gateway.url()))
        .await;
    world.stop().await;
    gateway.be(Mood::Down);
    let folder = tempfile::tempdir().unwrap();
    let mut first = world.config().clone();
    first.store.path = folder.path().to_owned();
    chain.keep_key(folder.path());
    let mut others = world.config().clone();
    let contracts = others.chain.contracts.as_mut().unwrap();
    contracts.catalog = contracts.token.clone();
    for (config, says) in [
        (first, "first start needs every node"),
        (others, "are not those that this data folder was last opened with"),
    ] {
        let error = Host::start(&config).await.err().unwrap();
        let error = format!("{error:#}");
        assert!(
            error.contains(says) && error.contains("cannot be reached"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_that_started_without_its_node_ends_when_another_chain_comes_up_there() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (mut world, ..) = market(&chain, &gateway).await;
    let Some(other) = Chain::start_for(&chain.parties.stranger).await else {
        return;
    };
    other.mine(100).await;
    // The same contracts at the same addresses, but nobody there made us a market maker.
    assert_eq!(other.contracts, chain.contracts);
    world.stop().await;
    gateway.be(Mood::Down);
    world.restart().await;
    gateway.lead_to(other.url());
    gateway.be(Mood::Honest);
    let why = world.host().broken().await;
    assert!(why.contains("knows no market whose market maker is"), "{why}");
    world.stop().await;

    // A chain of another id. The real process ends by itself.
    gateway.be(Mood::Down);
    world
        .try_run_apart(&chain.variables(&gateway.url(), DEPTH))
        .unwrap();
    gateway.lead_to(chain.url());
    gateway.be(Mood::lies(|method, result| match method {
        "eth_chainId" => quantity(5),
        _ => result,
    }));
    until("the process ends", async || world.has_ended()).await;
    world.kill();

    // With the node of its own chain it starts as if nothing had been.
    gateway.be(Mood::Honest);
    world.restart().await;
    let session = world.session().await;
    caught_up(&chain, &session).await;
    world.assert_sound();
}

/// A node that has still to read its chain says of each contract that there is none.
#[tokio::test]
async fn a_node_that_has_not_come_as_far_as_the_ledger_is_waited_for() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (mut world, ..) = market(&chain, &gateway).await;
    world.stop().await;
    gateway.be(Mood::lies(|method, mut result| match method {
        "eth_getBlockByNumber" if result.is_object() => {
            result["number"] = quantity(0);
            result
        }
        "eth_getCode" => json!("0x"),
        _ => result,
    }));
    world.restart().await;
    let session = world.session().await;
    assert!(trouble(&session).await.unwrap().contains("is at block 0"));
    gateway.be(Mood::Honest);
    caught_up(&chain, &session).await;
}

/// Asks the market to open a payment channel, which its one-time nonce must be known for.
async fn open_through(chain: &Chain, world: &World, session: &Session, channel: ChannelId) {
    let opening = chain.opening(ChannelKind::Payment, channel, tokens(5)).await;
    let args = open_args(world, &opening, &chain.parties.buyer);
    until("the market opens it", async || {
        call(session, "xbr.marketmaker.open_channel", args.clone())
            .await
            .is_ok()
    })
    .await;
}

#[tokio::test]
async fn what_keeps_the_market_makers_transactions_from_going_on_is_told_in_the_status() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (world, ..) = market(&chain, &gateway).await;
    let session = world.session().await;
    let us = chain.parties.marketmaker.address();
    let waiting = async || {
        status(&session, "outbox_waiting")
            .await
            .and_then(|value| value.as_u64())
    };
    let stuck = async || match status(&session, "outbox_trouble").await {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    };
    assert_eq!(waiting().await, Some(0));
    until("nothing is wrong", async || stuck().await.is_none()).await;

    // It cannot pay for the gas.
    chain.dev().set_balance(us, 0).await.unwrap();
    open_through(&chain, &world, &session, LATER).await;
    until("the status says so", async || {
        stuck()
            .await
            .is_some_and(|text| text.to_lowercase().contains("insufficient funds"))
    })
    .await;
    assert_eq!(waiting().await, Some(1));
    assert_eq!(
        trouble(&session).await,
        None,
        "the chain is followed all the same"
    );
    chain.dev().set_balance(us, 100 * 10_u128.pow(18)).await.unwrap();
    until("it is sent", async || stuck().await.is_none()).await;
    chain.mine(DEPTH).await;
    until("nothing waits", async || waiting().await == Some(0)).await;
    caught_up(&chain, &session).await;
    assert!(knows(&session, LATER).await);

    // The node takes none.
    gateway.be(Mood::Refuses("eth_sendRawTransaction", -32000, "txpool is full"));
    open_through(&chain, &world, &session, ChannelId([0xb4; 16])).await;
    until("the status says so", async || {
        stuck().await.is_some_and(|text| text.contains("txpool is full"))
    })
    .await;
    // Somebody else sends with its key, past it.
    for _ in 0..2 {
        let call = chain.contracts.approve_channels(tokens(1));
        chain.send(&chain.parties.marketmaker, &call).await;
    }
    until("the status says so", async || {
        stuck()
            .await
            .is_some_and(|text| text.contains("somebody else sends with the market maker's key"))
    })
    .await;
    gateway.be(Mood::Honest);
    chain.mine(DEPTH).await;
    until("nothing waits", async || waiting().await == Some(0)).await;
    until("nothing is wrong", async || stuck().await.is_none()).await;
    world.assert_sound();
}

/// Buys keys for as long as `going` says, each within what a buyer may wait for at most where no node is asked.
async fn buy_while(buyer: &mut Buyer, seller: &Seller, going: impl AsyncFn() -> bool) -> u32 {
    let mut bought = 0;
    while going().await {
        let key = seller.offer(Some(Amount::from_units(1))).await;
        let began = Instant::now();
        buyer.buy(key).await.unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "a purchase waited for the node"
        );
        bought += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bought
}

/// As if for minutes, on a shorter clock: what a node may take is a setting.
#[tokio::test]
async fn a_node_that_answers_late_or_a_byte_at_a_time_holds_up_no_sale_and_is_caught_up_with() {
    const MAY_TAKE: Duration = Duration::from_millis(500);
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let answer_ms = u64::try_from(MAY_TAKE.as_millis()).unwrap();
    let (world, mut buyer, seller) =
        market_with(&chain, &gateway, |config| config.chain.answer_ms = answer_ms).await;
    let session = world.session().await;

    // Late, but in time: it takes a while, and nothing is wrong.
    gateway.be(Mood::Slow(MAY_TAKE / 4));
    chain.open(ChannelKind::Payment, LATER, tokens(1)).await;
    chain.mine(DEPTH).await;
    let bought = buy_while(&mut buyer, &seller, async || !knows(&session, LATER).await).await;
    assert!(bought > 0);
    assert_eq!(trouble(&session).await, None);

    for (number, mood) in [
        Mood::Slow(MAY_TAKE * 2),
        Mood::Trickles(Duration::from_millis(20)),
    ]
    .into_iter()
    .enumerate()
    {
        gateway.be(mood);
        let later = ChannelId([u8::try_from(number).unwrap(); 16]);
        chain.open(ChannelKind::Payment, later, tokens(1)).await;
        chain.mine(DEPTH).await;
        let says = async || {
            let text = trouble(&session).await;
            text.is_some_and(|text| text.contains("cannot be reached") && text.contains("timed out"))
        };
        let bought = buy_while(&mut buyer, &seller, async || !says().await).await;
        assert!(bought > 0);
        assert!(!knows(&session, later).await);
        gateway.be(Mood::Honest);
        caught_up(&chain, &session).await;
        assert!(knows(&session, later).await);
    }
    world.assert_sound();
}

/// Some 3,000 blocks through a node that many share: of 64 blocks and 5 events at a time, and so many questions in a second.
#[tokio::test]
async fn a_long_chain_is_caught_up_with_through_a_node_that_limits_ranges_results_and_rate_while_trade_goes_on()
 {
    const CHANNELS: u8 = 60;
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (world, mut buyer, seller) = market(&chain, &gateway).await;
    let session = world.session().await;
    gateway.be(Mood::Down);
    for number in 0..CHANNELS {
        let later = ChannelId([number; 16]);
        chain.open(ChannelKind::Payment, later, tokens(1)).await;
        // Some lie close together, so that ranges are too wide here and hold too much there.
        chain.mine(if number % 10 < 7 { 1 } else { 100 }).await;
    }
    chain.mine(DEPTH).await;
    let limiter = Limiter::new(64, 5, 40);
    let began = Instant::now();
    gateway.be(Mood::Limits(Arc::clone(&limiter)));
    let last = ChannelId([CHANNELS - 1; 16]);
    let bought = buy_while(&mut buyer, &seller, async || !knows(&session, last).await).await;
    assert!(bought > 0);
    for number in 0..CHANNELS {
        assert!(knows(&session, ChannelId([number; 16])).await, "{number}");
    }
    let (answered, turned_away) = (
        limiter.answered.load(Ordering::Relaxed),
        limiter.turned_away.load(Ordering::Relaxed),
    );
    eprintln!(
        "{} blocks after {:.1} s: {answered} questions answered, {turned_away} turned away, {bought} keys bought",
        chain.head().await,
        began.elapsed().as_secs_f64()
    );
    // It waits for as long as it is told to, in place of asking again and again.
    assert!(
        turned_away > 0 && turned_away * 4 < answered,
        "{turned_away} of {answered}"
    );
    gateway.be(Mood::Honest);
    caught_up(&chain, &session).await;
    world.assert_sound();
}

/// Whoever pays for each question does not pay for the same one twice. Asking for news is not counted.
#[tokio::test]
async fn an_empty_block_costs_its_node_few_questions() {
    const BLOCKS: u32 = 10;
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (world, ..) = market(&chain, &gateway).await;
    let session = world.session().await;
    let asked: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    let (asks, newest) = (Arc::clone(&asked), AtomicU64::new(0));
    gateway.be(Mood::lies(move |method, answer| {
        let number = answer["number"].as_str().unwrap_or_default();
        let number = u64::from_str_radix(number.trim_start_matches("0x"), 16);
        // The newest is news, or was until a moment ago.
        let is_news = number.is_ok_and(|number| newest.fetch_max(number, Ordering::Relaxed) <= number);
        if !is_news {
            *asks.lock().entry(method.to_owned()).or_default() += 1;
        }
        answer
    }));
    for _ in 0..BLOCKS {
        chain.mine(1).await;
        caught_up(&chain, &session).await;
    }
    gateway.be(Mood::Honest);
    let asked = asked.lock().clone();
    // Its events, the price of gas and the next nonce; of headers its own, and twice the one before it, which must still
    // be part of the chain when the events are known.
    let expected = [
        ("eth_getLogs", 1),
        ("eth_gasPrice", 1),
        ("eth_getTransactionCount", 1),
        ("eth_getBlockByNumber", 3),
    ];
    assert_eq!(asked.len(), expected.len(), "{asked:?}");
    for (method, times) in expected {
        let count = asked.get(method).copied().unwrap_or_default();
        assert!((1..=times * BLOCKS).contains(&count), "{asked:?}");
    }
    world.assert_sound();
}

/// From the block that makes an opening count to the event that tells of it.
async fn latency(chain: &Chain, session: &Session, channel: u8) -> Duration {
    let delegate = chain.parties.buyer_delegate.address();
    let topic = format!("xbr.marketmaker.delegate.{delegate}.on_payment_channel_open");
    let mut ear = Ear::at(session, &topic).await;
    chain
        .open(ChannelKind::Payment, ChannelId([channel; 16]), tokens(1))
        .await;
    chain.mine(DEPTH - 1).await;
    // Whatever was asked for before this block is answered.
    tokio::time::sleep(Duration::from_millis(150)).await;
    let began = Instant::now();
    chain.mine(1).await;
    ear.one().await;
    began.elapsed()
}

#[tokio::test]
async fn a_node_that_tells_of_its_blocks_is_followed_at_once_and_asked_for_them_when_it_tells_no_more() {
    const POLL_MS: u64 = 3_000;
    let Some(chain) = Chain::start().await else { return };
    let relay = Relay::to(chain.url()).await;
    let ws = format!("ws://{}", relay.address());
    let world = chain
        .world(DEPTH, |config| {
            config.chain.ws = Some(ws);
            config.chain.poll_ms = POLL_MS;
        })
        .await;
    let session = world.session().await;
    until("the market listens", async || relay.connections() == 1).await;
    caught_up(&chain, &session).await;
    let mut told = Vec::new();
    for channel in 0..5 {
        let latency = latency(&chain, &session, channel).await;
        assert!(latency < Duration::from_millis(POLL_MS / 2), "{latency:?}");
        told.push(latency);
    }
    told.sort_unstable();
    eprintln!(
        "block to event where the node tells of blocks: {:?} to {:?}",
        told[0], told[4]
    );

    relay.cut();
    let asked = latency(&chain, &session, 5).await;
    assert!(asked < Duration::from_millis(POLL_MS + 1_000), "{asked:?}");
    eprintln!("block to event where it is asked every {POLL_MS} ms: {asked:?}");
    assert_eq!(trouble(&session).await, None);

    relay.mend();
    until("the market listens again", async || relay.connections() == 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let latency = latency(&chain, &session, 6).await;
    assert!(latency < Duration::from_millis(POLL_MS / 2), "{latency:?}");
    world.assert_sound();
}

/// A node shows an opening that no other node knows of: with somebody to ask, nothing comes of it.
#[tokio::test]
async fn an_opening_that_a_node_invents_is_found_out_by_another() {
    let Some(chain) = Chain::start().await else { return };
    // As the contract would log it, but for the amount: of a channel that was opened, then dropped.
    let before = chain.snapshot().await;
    chain.open(ChannelKind::Payment, LATER, tokens(500)).await;
    let contract = chain.contracts.channel;
    let head = chain.head().await;
    let logged = chain.node().logs(head, head, &[contract]).await.unwrap();
    let [log] = logged.as_slice() else {
        panic!("{logged:?}")
    };
    let invented = json!({
        "address": log.address,
        "topics": log.topics,
        "data": log.data,
        "transactionHash": log.transaction_hash,
        "logIndex": "0x0",
    });
    chain.revert(before).await;

    let gateway = Gateway::to(chain.url()).await;
    let (rpc, verifier) = (gateway.url(), chain.url().to_owned());
    let world = chain
        .world(DEPTH, |config| {
            config.chain.rpc = Some(rpc);
            config.chain.verify = vec![verifier];
        })
        .await;
    let session = world.session().await;
    caught_up(&chain, &session).await;
    chain.mine(1).await;
    let counts = chain.head().await - DEPTH + 1;
    let hash = chain.node().header(counts).await.unwrap().unwrap().hash;
    gateway.be(Mood::lies(move |method, mut result| {
        if let ("eth_getLogs", Some(logs)) = (method, result.as_array_mut()) {
            let mut log = invented.clone();
            log["blockNumber"] = quantity(counts);
            log["blockHash"] = json!(hash);
            logs.push(log);
        }
        result
    }));
    chain.mine(1).await;
    until("the lie is found out", async || {
        trouble(&session)
            .await
            .is_some_and(|text| text.contains("does not confirm what"))
    })
    .await;
    assert!(!knows(&session, LATER).await);

    gateway.be(Mood::Honest);
    caught_up(&chain, &session).await;
    assert!(!knows(&session, LATER).await);
    // And what both know of counts.
    chain.open(ChannelKind::Payment, LATER, tokens(5)).await;
    chain.mine(DEPTH).await;
    caught_up(&chain, &session).await;
    assert!(knows(&session, LATER).await);
}

/// A node keeps an opening to itself, or lags behind: with somebody to ask, the ledger waits.
#[tokio::test]
async fn an_opening_that_a_node_hides_is_found_out_by_another() {
    let Some(chain) = Chain::start().await else { return };
    let gateway = Gateway::to(chain.url()).await;
    let (rpc, verifier) = (gateway.url(), chain.url().to_owned());
    let world = chain
        .world(DEPTH, |config| {
            config.chain.rpc = Some(rpc);
            config.chain.verify = vec![verifier];
        })
        .await;
    let session = world.session().await;
    caught_up(&chain, &session).await;
    gateway.be(Mood::lies(|method, result| match method {
        "eth_getLogs" => json!([]),
        _ => result,
    }));
    chain.open(ChannelKind::Payment, LATER, tokens(5)).await;
    chain.mine(DEPTH).await;
    until("the lie is found out", async || {
        trouble(&session)
            .await
            .is_some_and(|text| text.contains("1 events"))
    })
    .await;
    gateway.be(Mood::Honest);
    caught_up(&chain, &session).await;
    assert!(knows(&session, LATER).await, "nothing was passed over");
}

/// W-08: a deployment of somebody else's logs the same events, with our market and our market maker in them.
#[tokio::test]
async fn w_08_what_foreign_contracts_log_changes_nothing() {
    let Some(chain) = Chain::start().await else { return };
    let world = chain.world(DEPTH, |_| {}).await;
    let session = world.session().await;
    let parties = &chain.parties;
    // The same members, the same market and the same market maker, on contracts that are not ours.
    let rogue = Sender::new(chain.node().clone(), parties.organization.clone()).await;
    let theirs = deploy(&chain.artifacts, &rogue.unwrap()).await.unwrap();
    let members = Members::new(chain.dev(), parties, &parties.marketmaker)
        .await
        .unwrap();
    set_up(chain.dev(), &theirs, &members, Chain::MARKET)
        .await
        .unwrap();
    let open = chain.opening(ChannelKind::Payment, LATER, tokens(500)).await;
    let domain = Domain {
        verifying_contract: theirs.network,
        ..chain.domain()
    };
    let signature = parties.buyer.sign(&open.digest(&domain));
    let opened = chain
        .send(&parties.marketmaker, &theirs.open_channel(&open, &signature))
        .await;
    assert!(!opened.logs.is_empty());
    chain.mine(DEPTH).await;
    caught_up(&chain, &session).await;
    assert!(!knows(&session, LATER).await);
}
