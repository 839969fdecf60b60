//! The original XBR seller and buyer, in Python and unmodified, trade against a real host.
//!
//! They need the environment that `cargo xtask test` makes and names in `BOURSE_PYTHON`; where it is unset these
//! tests say that they checked nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use bourse_app::config::{Access, AppliesTo, Rule, Ticket};
use bourse_tests::{KnownPair, World, python_script, python_trade};
use serde_json::Value;

/// Keys of one trade; all of the demonstration in the long gate.
fn keys() -> usize {
    if std::env::var_os("BOURSE_LONG").is_some() {
        100
    } else {
        20
    }
}

/// What `trade.py` says of a trade of [`keys`] keys, after it was seen to succeed and the ledger to be sound.
async fn trade(world: &World, url: &str, arguments: &str) -> Option<Summary> {
    let keys = keys();
    let (ended_well, summary) = python_trade(url, &format!("--keys {keys} {arguments}")).await?;
    assert!(ended_well, "{summary:#}");
    for count in ["sold", "bought", "decrypted"] {
        assert_eq!(summary[count], keys, "{count}: {summary:#}");
    }
    assert_eq!(summary["agree"], true, "{summary:#}");
    assert_eq!(summary["spent"], summary["earned"]);
    assert_eq!(
        summary["buyer_seq"],
        keys + 1,
        "a channel starts at 1 and moves by one per sale"
    );
    world.assert_sound();
    Some(Summary(summary))
}

struct Summary(Value);

impl Summary {
    /// What each key cost, in base units.
    fn prices(&self) -> Vec<u128> {
        self.0["prices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|price| price.as_str().unwrap().parse().unwrap())
            .collect()
    }

    fn spent(&self) -> u128 {
        self.0["spent"].as_str().unwrap().parse().unwrap()
    }
}

/// A market in which `surge` also prices what sellers offer at a fixed price.
async fn repricing() -> World {
    World::with(|config| {
        config.policies.rule = vec![Rule {
            applies_to: AppliesTo::All,
            ..Rule::default_pricing()
        }];
    })
    .await
}

const TOKEN: u128 = 1_000_000_000_000_000_000;

async fn fixed(arguments: &str) {
    let world = World::start().await;
    if let Some(summary) = trade(&world, &world.url(), &format!("--price 35 {arguments}")).await {
        assert!(
            summary.prices().iter().all(|price| *price == 35 * TOKEN),
            "{:?}",
            summary.prices()
        );
        assert_eq!(summary.spent(), keys() as u128 * 35 * TOKEN);
    }
}

async fn surging(arguments: &str) {
    let world = repricing().await;
    if let Some(summary) = trade(&world, &world.url(), &format!("--price 35 {arguments}")).await {
        let prices = summary.prices();
        assert!(
            prices.iter().all(|price| *price >= 35 * TOKEN),
            "the fixed price is the floor: {prices:?}"
        );
        assert!(prices.last() > prices.first(), "demand moved nothing: {prices:?}");
        assert_eq!(summary.spent(), prices.iter().sum::<u128>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_pair_trades_at_fixed_prices_over_cbor() {
    fixed("--serializer cbor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_pair_trades_at_fixed_prices_over_json() {
    fixed("--serializer json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_pair_is_repriced_by_surge_over_cbor() {
    surging("--serializer cbor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_pair_is_repriced_by_surge_over_json() {
    surging("--serializer json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_chooses_its_own_serializer() {
    fixed("--seller-serializer json --buyer-serializer msgpack").await;
}

/// The real seller answers with plain integers, and MessagePack has none of 2^64 and more: over it, it can sell
/// from a channel of at most 18.4 tokens.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_seller_sells_small_amounts_over_msgpack() {
    let world = World::start().await;
    if let Some(summary) = trade(
        &world,
        &world.url(),
        "--price 0.1 --deposit 18 --serializer msgpack",
    )
    .await
    {
        assert_eq!(summary.spent(), keys() as u128 * TOKEN / 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w_44_the_real_pair_trades_free_keys() {
    let world = World::start().await;
    if let Some(summary) = trade(&world, &world.url(), "--price 0").await {
        assert_eq!(summary.spent(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_pair_trades_over_rawsocket() {
    let world = World::start().await;
    let url = format!("rs://{}", world.host().addresses().wamp.unwrap().rs);
    if let Some(summary) = trade(&world, &url, "--price 35").await {
        assert_eq!(summary.spent(), keys() as u128 * 35 * TOKEN);
    }
}

/// W-10: the original classes know nothing of logins. Their application logs its sessions in.
#[tokio::test(flavor = "multi_thread")]
async fn w_10_the_real_pair_trades_in_a_realm_of_members_by_tickets_and_without_it_sees_nothing() {
    let pair = KnownPair::new();
    let world = World::with(|config| {
        config.realm.access = Access::Members;
        config.wamp.ticket = pair
            .authids()
            .map(|authid| Ticket {
                authid,
                role: "delegate".to_owned(),
                file: pair.ticket_file(),
            })
            .to_vec();
    })
    .await;
    let arguments = format!("--price 35 {}", pair.arguments());
    let Some(summary) = trade(&world, &world.url(), &arguments).await else {
        return;
    };
    assert_eq!(summary.spent(), keys() as u128 * 35 * TOKEN);
    let (ended_well, said) = python_trade(&world.url(), "--price 35").await.unwrap();
    assert!(!ended_well);
    assert_eq!(said["error"], "bourse.error.not_authorized", "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_pair_refuses_a_stranger_as_market_maker() {
    let world = World::start().await;
    let stranger = "--market-maker 0x0101010101010101010101010101010101010101";
    if let Some(output) = python_script("trade.py", &world.url(), stranger).await {
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("the market maker is 0x"));
    }
}

/// W-52: a Python seller leaves its keys and is gone when the original buyer comes for them.
#[tokio::test(flavor = "multi_thread")]
async fn w_52_the_real_buyer_decrypts_with_keys_that_were_left_with_the_market() {
    for serializer in ["cbor", "json", "msgpack"] {
        let world = World::start().await;
        let arguments = format!("--keys 3 --price 35 --serializer {serializer}");
        let Some(output) = python_script("escrow.py", &world.url(), &arguments).await else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let faults = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{faults}");
        let summary: Value = serde_json::from_str(said.trim()).unwrap();
        assert_eq!(summary["decrypted"], 3, "{summary:#}");
        let all = (3 * 35 * TOKEN).to_string();
        assert_eq!(
            (&summary["spent"], &summary["owed"]),
            (&Value::from(all.as_str()), &Value::from(all.as_str()))
        );
        assert_eq!(summary["seq"], 4);
        world.assert_sound();
    }
}
