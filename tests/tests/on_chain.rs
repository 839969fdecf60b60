//! A market that settles on the real contracts of a real node: channels that open, trade and are paid out, a chain that
//! drops blocks, and nodes that fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::Signer;
use bourse_market::{Amount, ChannelId, ChannelKind, Seq};
use bourse_store::Store;
use bourse_tests::{
    Chain, Gateway, Mood, PAYING, PAYMENT, World, amount_of, bind, bytes_of, call, channel_of, close_args,
    degraded, map_of, refused, run, state_of, tokens, until,
};
use bourse_wamp::{Session, Value};
use std::path::Path;
use std::time::Duration;

/// Blocks above one that counts, in most of these tests.
const DEPTH: u64 = 3;

/// Has the market close a channel over a recent block, and waits until the contract took what it shows.
async fn settle(
    chain: &Chain,
    world: &World,
    session: &Session,
    channel: ChannelId,
    pair: (Seq, Amount),
    delegate: &Signer,
) {
    let state = chain.final_state(session, channel, pair).await;
    let args = close_args(world, &state, delegate);
    let answer = call(session, "xbr.marketmaker.close_channel", args)
        .await
        .unwrap();
    assert_eq!(bytes_of(&answer, "transaction").len(), 32);
    until("the contract pays out", async || {
        chain.payouts(channel).await == 1
    })
    .await;
}

#[tokio::test]
async fn channels_open_trade_close_and_pay_out_to_the_unit() {
    let Some(chain) = Chain::start().await else { return };
    let world = chain.world(DEPTH, |_| {}).await;
    let parties = &chain.parties;
    let before = balances(&chain).await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;

    // No amount here divides by 100, of which one part is the market's fee.
    let prices = [1_234_567_890_123_456_789_u128, 7, 33_000_000_000_000_000_001];
    let (mut spent, mut earned) = (0, 0);
    for price in prices {
        let key = seller.offer(Some(Amount::from_units(price))).await;
        let quoted = buyer.quote(key).await.unwrap();
        assert_eq!(quoted, Amount::from_units(price));
        buyer.buy(key).await.unwrap();
        spent += price;
        // The supply is 10^27 units, and a hundredth of it the fee.
        earned += price * 99 / 100;
    }
    let left = |deposit: u64, part| tokens(deposit).checked_sub(Amount::from_units(part)).unwrap();
    assert_eq!(buyer.balance, left(500, spent));
    assert_eq!(seller.books().1, left(400, earned));

    let (session, pair) = (world.session().await, (buyer.seq, buyer.balance));
    settle(&chain, &world, &session, PAYMENT, pair, &parties.buyer_delegate).await;
    settle(
        &chain,
        &world,
        &session,
        PAYING,
        seller.books(),
        &parties.seller_delegate,
    )
    .await;
    // Signed for good, and not settled before it is deep enough.
    for (kind, channel) in [(ChannelKind::Payment, PAYMENT), (ChannelKind::Paying, PAYING)] {
        assert_eq!(state_of(&session, kind, channel).await, Some(2));
    }
    chain.mine(DEPTH).await;
    chain.caught_up(&session, DEPTH).await;
    for (kind, channel) in [(ChannelKind::Payment, PAYMENT), (ChannelKind::Paying, PAYING)] {
        assert_eq!(state_of(&session, kind, channel).await, Some(3));
    }

    // The contract takes a hundredth of what is earned over a channel, rounded down, on either side of the market.
    let fee = |amount: u128| amount / 100;
    let after = balances(&chain).await;
    let gained = |who: usize| after[who] as i128 - before[who] as i128;
    let (spent, earned) = (spent as i128, earned as i128);
    assert_eq!(gained(0), -spent, "the buyer");
    assert_eq!(gained(1), earned - fee(earned as u128) as i128, "the seller");
    let kept = spent - fee(spent as u128) as i128;
    assert_eq!(gained(2), kept - earned, "the market maker");
    assert_eq!(chain.tokens_of(chain.contracts.channel).await, Amount::ZERO);
    world.assert_sound();
}

/// What buyer, seller and market maker hold, in units.
async fn balances(chain: &Chain) -> [u128; 3] {
    let parties = &chain.parties;
    let mut held = [0; 3];
    for (held, party) in held
        .iter_mut()
        .zip([&parties.buyer, &parties.seller, &parties.marketmaker])
    {
        let [low, high, ..] = *chain.tokens_of(party.address()).await.limbs();
        *held = u128::from(low) | u128::from(high) << 64;
    }
    held
}

/// The original Python seller and buyer, unmodified, over channels of the real contracts, to the payout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_clients_trade_over_channels_of_the_real_contracts() {
    const KEYS: usize = 8;
    let Some(interpreter) = std::env::var_os("BOURSE_PYTHON") else {
        eprintln!("NOT CHECKED: BOURSE_PYTHON is unset; `cargo xtask test` sets it");
        return;
    };
    let Some(chain) = Chain::start().await else { return };
    let world = chain.world(DEPTH, |_| {}).await;
    let parties = &chain.parties;
    chain.open(ChannelKind::Payment, PAYMENT, tokens(500)).await;
    chain.open(ChannelKind::Paying, PAYING, tokens(400)).await;
    chain.mine(DEPTH).await;
    let session = world.session().await;
    chain.caught_up(&session, DEPTH).await;
    bind(&world, parties.buyer_delegate.address(), parties.buyer.address()).await;
    bind(
        &world,
        parties.seller_delegate.address(),
        parties.seller.address(),
    )
    .await;

    let keep = |name: &str, key: &Signer| {
        let path = world.folder().join(name);
        std::fs::write(&path, hex::encode(key.to_bytes())).unwrap();
        path
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/trade.py");
    let output = tokio::process::Command::new(interpreter)
        .arg(script)
        .args([
            "--url",
            &world.url(),
            "--deposit",
            "0",
            "--fee-percent",
            "1",
            "--price",
            "3.5",
        ])
        .args([
            "--keys",
            &KEYS.to_string(),
            "--serializer",
            "cbor",
            "--seller-key-file",
        ])
        .arg(keep("seller.key", &parties.seller_delegate))
        .arg("--buyer-key-file")
        .arg(keep("buyer.key", &parties.buyer_delegate))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    assert_eq!(
        (&summary["decrypted"], &summary["agree"]),
        (&KEYS.into(), &true.into()),
        "{summary:#}"
    );

    // 8 keys at 3.5 tokens, of which a hundredth is the market's fee.
    let before = balances(&chain).await;
    let moves = u32::try_from(KEYS).unwrap();
    let milli = |count: u128| Amount::from_units(count * 1_000_000_000_000_000);
    let (spent, earned) = (milli(28_000), milli(27_720));
    let at = |deposit: u64, part| (Seq(1 + moves), tokens(deposit).checked_sub(part).unwrap());
    settle(
        &chain,
        &world,
        &session,
        PAYMENT,
        at(500, spent),
        &parties.buyer_delegate,
    )
    .await;
    settle(
        &chain,
        &world,
        &session,
        PAYING,
        at(400, earned),
        &parties.seller_delegate,
    )
    .await;
    chain.mine(DEPTH).await;
    chain.caught_up(&session, DEPTH).await;
    for (kind, channel) in [(ChannelKind::Payment, PAYMENT), (ChannelKind::Paying, PAYING)] {
        assert_eq!(state_of(&session, kind, channel).await, Some(3));
    }
    let after = balances(&chain).await;
    let token = 1_000_000_000_000_000_000_u128;
    assert_eq!(after[0] - before[0], 472 * token, "the buyer's rest comes back");
    // The contract takes its hundredth of what the seller earned as well.
    assert_eq!(
        after[1] - before[1],
        27_720 * token / 1000 * 99 / 100,
        "the seller is paid"
    );
    world.assert_sound();
}

#[tokio::test]
async fn a_channel_counts_when_it_is_deep_enough_and_is_used_when_its_delegate_is_known_to_be_its_actors() {
    let Some(chain) = Chain::start().await else { return };
    let world = chain.world(DEPTH, |_| {}).await;
    let session = world.session().await;
    chain.open(ChannelKind::Payment, PAYMENT, tokens(500)).await;
    chain.mine(DEPTH - 1).await;
    chain.caught_up(&session, DEPTH).await;
    assert!(
        channel_of(&session, ChannelKind::Payment, PAYMENT)
            .await
            .is_none()
    );
    chain.mine(1).await;
    chain.caught_up(&session, DEPTH).await;
    let channel = channel_of(&session, ChannelKind::Payment, PAYMENT).await.unwrap();
    assert_eq!(amount_of(&channel, "amount"), tokens(500));

    let delegate = chain.parties.buyer_delegate.address();
    let active = || async {
        let args = vec![Value::from(delegate.0)];
        let getter = "xbr.marketmaker.get_active_payment_channel";
        !matches!(call(&session, getter, args).await, Err(_) | Ok(Value::Null))
    };
    assert!(!active().await, "anybody may name anybody's delegate");
    bind(&world, delegate, chain.parties.buyer.address()).await;
    assert!(active().await);
    // And it is no other's any more.
    let (data, stranger) = (world.data().to_owned(), chain.parties.stranger.address());
    let again = tokio::task::spawn_blocking(move || {
        run(
            &data,
            &["ledger", "bind", &delegate.to_string(), &stranger.to_string()],
        )
    });
    let output = again.await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("a delegate has one actor for good"), "{said}");
}

#[tokio::test]
async fn w_51_a_market_on_a_young_chain_does_not_sell() {
    let Some(chain) = Chain::start().await else { return };
    let world = chain.world(DEPTH, |_| {}).await;
    let (buyer, seller) = chain.traders(&world, DEPTH).await;
    let key = seller.offer(Some(tokens(1))).await;
    // As deep as this, the chain is not yet beyond the blocks up to which the contract takes such states.
    let young = chain.world(1_000, |_| {}).await;
    let order = buyer.order(key, tokens(1));
    let session = young.session().await;
    refused(
        bourse_tests::send(&session, &order).await,
        "bourse.error.not_ready",
    );
    // The same order is good where the chain is old enough.
    buyer.send(&order).await.unwrap();
}

/// W-35: openings that disappear with the last 4 to 15 blocks, and come again elsewhere.
#[tokio::test]
async fn a_chain_that_drops_up_to_twelve_blocks_costs_no_unit() {
    for dropped in [1, 2, 3, 5, 8, 12] {
        let Some(chain) = Chain::start().await else { return };
        let depth = 1;
        let world = chain.world(depth, |_| {}).await;
        let session = world.session().await;
        chain.caught_up(&session, depth).await;
        let before = chain.snapshot().await;
        let (mut buyer, seller) = chain.traders(&world, depth).await;
        chain.mine(dropped).await;
        chain.caught_up(&session, depth).await;
        let first = seller.offer(Some(tokens(3))).await;
        buyer.buy(first).await.unwrap();
        let stood = (buyer.seq, buyer.balance, seller.books());

        // Another chain from before the openings, longer than the one that was.
        chain.revert(before).await;
        chain.mine(dropped + 8).await;
        chain.caught_up(&session, depth).await;
        let second = seller.offer(Some(tokens(4))).await;
        let order = buyer.order(second, tokens(4));
        // No deposit is behind it.
        refused(buyer.send(&order).await, "bourse.error.not_ready");

        // Opened again, in other blocks: everything stands where it stood.
        chain.open(ChannelKind::Paying, PAYING, tokens(400)).await;
        chain.open(ChannelKind::Payment, PAYMENT, tokens(500)).await;
        chain.mine(depth).await;
        chain.caught_up(&session, depth).await;
        assert_eq!((buyer.seq, buyer.balance, seller.books()), stood, "{dropped}");
        buyer.buy(second).await.unwrap();
        assert_eq!(buyer.balance, tokens(493), "{dropped}");
        world.assert_sound();
    }
}

#[tokio::test]
async fn an_orphaned_close_leaves_the_channel_final_and_it_is_paid_out_by_the_same_state() {
    let Some(chain) = Chain::start().await else { return };
    let depth = 1;
    let world = chain.world(depth, |_| {}).await;
    let (mut buyer, seller) = chain.traders(&world, depth).await;
    let key = seller.offer(Some(tokens(5))).await;
    buyer.buy(key).await.unwrap();
    let session = world.session().await;
    let before = chain.snapshot().await;
    let pair = (buyer.seq, buyer.balance);
    let delegate = &chain.parties.buyer_delegate;
    settle(&chain, &world, &session, PAYMENT, pair, delegate).await;
    chain.mine(depth).await;
    chain.caught_up(&session, depth).await;
    assert_eq!(state_of(&session, ChannelKind::Payment, PAYMENT).await, Some(3));

    chain.revert(before).await;
    let next = seller.offer(Some(tokens(5))).await;
    let order = buyer.order(next, tokens(5));
    chain.mine(6).await;
    refused(buyer.send(&order).await, "crossbar.error.no_such_object");
    // The market shows it again, by itself.
    until("the contract pays out again", async || {
        chain.payouts(PAYMENT).await == 1
    })
    .await;
    chain.mine(depth).await;
    chain.caught_up(&session, depth).await;
    assert_eq!(state_of(&session, ChannelKind::Payment, PAYMENT).await, Some(3));
    assert_eq!(degraded(&session).await, None);
    world.assert_sound();
}

/// W-33: nothing that happens while the market is away is missed.
#[tokio::test]
async fn a_channel_that_opens_while_the_market_is_down_is_there_after_its_start() {
    let Some(chain) = Chain::start().await else { return };
    let mut world = chain.world(DEPTH, |_| {}).await;
    let (mut buyer, seller) = chain.traders(&world, DEPTH).await;
    let key = seller.offer(Some(tokens(5))).await;
    buyer.buy(key).await.unwrap();
    world.stop().await;
    let later = ChannelId([0xb3; 16]);
    chain.mine(150).await;
    chain.open(ChannelKind::Payment, later, tokens(7)).await;
    chain.mine(150).await;
    world.restart().await;
    let session = world.session().await;
    chain.caught_up(&session, DEPTH).await;
    let opened = channel_of(&session, ChannelKind::Payment, later).await.unwrap();
    assert_eq!(amount_of(&opened, "amount"), tokens(7));
    // And what was sold before is as it was.
    let getter = "xbr.marketmaker.get_payment_channel_balance";
    let balance = call(&session, getter, vec![Value::from(PAYMENT.0)])
        .await
        .unwrap();
    assert_eq!(amount_of(&balance, "remaining"), tokens(495));
    world.assert_sound();
}

/// A first start cannot tell whether a ledger was lost before it, nor how deep a channel had to lie for that one.
#[tokio::test]
async fn what_was_opened_before_the_first_start_is_in_quarantine_up_to_the_newest_block() {
    let Some(chain) = Chain::start().await else { return };
    let (before, since) = (ChannelId([0xe1; 16]), ChannelId([0xe2; 16]));
    chain.open(ChannelKind::Payment, before, tokens(5)).await;
    let world = chain.world(DEPTH, |_| {}).await;
    let session = world.session().await;
    chain.caught_up(&session, DEPTH).await;
    chain.open(ChannelKind::Payment, since, tokens(5)).await;
    chain.mine(DEPTH).await;
    chain.caught_up(&session, DEPTH).await;
    for (channel, held) in [(before, true), (since, false)] {
        let known = channel_of(&session, ChannelKind::Payment, channel).await;
        let quarantined = map_of(&known.unwrap())["quarantined"] != Value::Null;
        assert_eq!(quarantined, held, "{channel}");
    }
    world.assert_sound();
}

/// W-32: the real process is killed again and again while it reads some hundred blocks, and each block counts once,
/// whenever that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_while_the_ledger_catches_up_loses_no_event_and_counts_none_twice() {
    const CHANNELS: u8 = 40;
    let Some(chain) = Chain::start().await else { return };
    let mut world = chain.world(DEPTH, |_| {}).await;
    world.stop().await;
    for number in 0..CHANNELS {
        chain
            .open(
                ChannelKind::Payment,
                ChannelId([number; 16]),
                tokens(1 + u64::from(number)),
            )
            .await;
        chain.mine(u64::from(number % 7)).await;
    }
    chain.mine(DEPTH).await;
    let gateway = Gateway::to(chain.url()).await;
    gateway.be(Mood::Slow(Duration::from_millis(8)));
    let variables = chain.variables(&gateway.url(), DEPTH);
    let mut cut_short = 0;
    for life in 0..30 {
        world.try_run_apart(&variables).unwrap();
        tokio::time::sleep(Duration::from_millis(20 + 11 * (life % 9))).await;
        world.kill();
        let ledger = Store::open_read_only(world.data(), 1 << 30).unwrap();
        let channels = ledger.read().unwrap().counts().unwrap().channels;
        cut_short += u32::from(channels > 0 && channels < u64::from(CHANNELS));
        if channels == u64::from(CHANNELS) {
            break;
        }
    }
    assert!(cut_short > 0, "no kill fell between the first event and the last");

    gateway.be(Mood::Honest);
    world.try_run_apart(&variables).unwrap();
    let session = world.session().await;
    chain.caught_up(&session, DEPTH).await;
    for number in 0..CHANNELS {
        let channel = channel_of(&session, ChannelKind::Payment, ChannelId([number; 16])).await;
        assert_eq!(
            amount_of(&channel.unwrap(), "amount"),
            tokens(1 + u64::from(number))
        );
    }
    world.assert_sound();
}
