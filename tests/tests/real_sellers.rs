//! The original XBR seller, in Python and unmodified, behind a network that loses, delays and breaks off what it answers.
//!
//! Whatever is lost: the buyer gets the key it pays for, or keeps its money; and in the end buyer, seller and market have
//! the same numbers. The tests need the environment that `cargo xtask test` makes and names in `BOURSE_PYTHON`; where it is
//! unset they say that they checked nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use bourse_tests::{Fate, Network, World, tokens};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
const TRANSACTION_FAILED: &str = "xbr.error.transaction_failed";

/// What each channel holds at the start, in tokens; `puppets.py` opens them.
const DEPOSIT: u64 = 1000;
/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time for a sale and its recovery: three quarters of it pass before a silent seller is asked again, and in the rest one
/// in Python must have answered, on a machine that does much else.
const DEADLINE_MS: u64 = 8000;
/// A delay that is noticed by nobody, and one that outlasts the first wait.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_millis(DEADLINE_MS * 3 / 4 + 200);

/// How often the sales of the first test are made; more in the long gate.
fn rounds() -> usize {
    if std::env::var_os("BOURSE_LONG").is_some() {
        6
    } else {
        1
    }
}

/// A market, the real buyer, and the real seller behind a network. The seller has proved itself by one sale.
struct Stage {
    world: World,
    network: Network,
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    _python: Child,
}

/// How a seller comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Return {
    /// As a new start does it: with what the market says.
    Afresh,
    /// With the books that it had.
    WithItsBooks,
}

impl Stage {
    /// On a market in this process that gives a sale [`DEADLINE_MS`].
    async fn start(serializer: &str) -> Option<Self> {
        let world = World::with(|config| config.market.sell_deadline_ms = DEADLINE_MS).await;
        Self::on(world, serializer).await
    }

    /// None where there is no Python.
    async fn on(world: World, serializer: &str) -> Option<Self> {
        let Some(interpreter) = std::env::var_os("BOURSE_PYTHON") else {
            eprintln!("NOT CHECKED: BOURSE_PYTHON is unset; `cargo xtask test` sets it");
            return None;
        };
        let network = Network::before(&world).await;
        let mut python = Command::new(interpreter)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/puppets.py"))
            .args(["--url", &world.url(), "--seller-url", network.url()])
            .args(["--serializer", serializer])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stage = Self {
            world,
            network,
            stdin: python.stdin.take().unwrap(),
            said: BufReader::new(python.stdout.take().unwrap()).lines(),
            _python: python,
        };
        assert_eq!(stage.hear().await["event"], "ready");
        stage.buy("cheap").await;
        stage.agree(0).await;
        Some(stage)
    }

    async fn hear(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.said.next_line()).await;
        let line = line
            .expect("an answer in time")
            .unwrap()
            .expect("Python is there");
        serde_json::from_str(&line).unwrap()
    }

    async fn say(&mut self, command: &str) {
        self.stdin
            .write_all(format!("{command}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn tell(&mut self, command: &str) -> Value {
        self.say(command).await;
        self.hear().await
    }

    /// Buys a key of this service, which must decrypt what the seller sent.
    async fn buy(&mut self, service: &str) {
        let bought = self.tell(&format!("buy {service}")).await;
        assert_eq!(bought["payload_ok"], true, "{bought:#}");
    }

    /// Wants to buy and must not; the error's URI.
    async fn refused(&mut self, service: &str) -> String {
        let refused = self.tell(&format!("buy {service}")).await;
        refused["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{refused:#}"))
            .to_owned()
    }

    /// The seller comes back on a new connection.
    async fn return_seller(&mut self, how: Return) {
        let command = match how {
            Return::Afresh => "restart",
            Return::WithItsBooks => "resume",
        };
        assert_eq!(self.tell(command).await, serde_json::json!({}));
    }

    /// The numbers of all sides. The buyer's must be the market's at any time.
    async fn numbers(&mut self) -> Numbers {
        let told = self.tell("numbers").await;
        assert_eq!(told["inflight"], serde_json::json!(["0", "0"]), "{told:#}");
        let numbers = Numbers {
            buyer: pair(&told["buyer"]),
            seller: pair(&told["seller"]),
            paying: pair(&told["paying"]),
        };
        assert_eq!(numbers.buyer, pair(&told["payment"]), "{told:#}");
        numbers
    }

    /// Fails the test unless all three have the same numbers, the ledger is sound, and the seller got what the buyer paid
    /// and so many tokens too early.
    async fn agree(&mut self, prepaid: u64) -> Numbers {
        let numbers = self.numbers().await;
        assert_eq!(numbers.seller, numbers.paying, "{numbers:?}");
        assert_eq!(
            numbers.earned(),
            numbers.paid() + u128::from(prepaid) * TOKEN,
            "{numbers:?}"
        );
        let report = self.world.verify();
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
        assert_eq!((report.checked.sent, report.sums.prepaid), (0, tokens(prepaid)));
        numbers
    }
}

const TOKEN: u128 = 1_000_000_000_000_000_000;

/// Position and balance of a channel, as each side has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    buyer: (u64, u128),
    seller: (u64, u128),
    /// What the market says of the seller's channel.
    paying: (u64, u128),
}

impl Numbers {
    fn paid(&self) -> u128 {
        u128::from(DEPOSIT) * TOKEN - self.buyer.1
    }

    fn earned(&self) -> u128 {
        u128::from(DEPOSIT) * TOKEN - self.seller.1
    }
}

fn pair(told: &Value) -> (u64, u128) {
    (
        told[0].as_u64().unwrap(),
        told[1].as_str().unwrap().parse().unwrap(),
    )
}

/// Sales whose questions and answers meet these fates, and how far each moves the seller's channel.
async fn sales(serializer: &str) {
    let Some(mut stage) = Stage::start(serializer).await else {
        return;
    };
    let fates: [(&[Fate], u64); 5] = [
        (&[Fate::LoseAnswer], 2),
        (&[], 1),
        (&[Fate::LoseQuestion], 1),
        (&[Fate::Delay(SHORT)], 1),
        (&[Fate::Delay(LONG)], 2),
    ];
    for round in 0..rounds() {
        for (fates, moves) in fates {
            let before = stage.numbers().await;
            // Told only where the test fails.
            eprintln!("round {round}: {fates:?}");
            stage.network.plan(fates.iter().copied());
            stage.buy(if round % 2 == 0 { "cheap" } else { "dear" }).await;
            assert!(stage.network.is_done(), "{fates:?}");
            let after = stage.agree(0).await;
            assert_eq!(
                (after.buyer.0 - before.buyer.0, after.seller.0 - before.seller.0),
                (1, moves),
                "{fates:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_seller_is_asked_again_for_an_answer_that_was_lost_over_cbor() {
    sales("cbor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_seller_is_asked_again_for_an_answer_that_was_lost_over_json() {
    sales("json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_seller_whose_second_answer_is_lost_too_is_asked_a_third_time() {
    // The last question has a sixteenth of the deadline: the whole 10 s, for a seller in Python.
    let Some(mut stage) = Stage::on(World::start().await, "cbor").await else {
        return;
    };
    let (before, answers) = (stage.numbers().await, stage.network.answers());
    stage.network.plan([Fate::LoseAnswer; 2]);
    stage.buy("dear").await;
    let after = stage.agree(0).await;
    assert_eq!(stage.network.answers(), answers + 3);
    assert_eq!(
        (after.buyer.0, after.seller.0),
        (before.buyer.0 + 1, before.seller.0 + 3)
    );
    stage.buy("cheap").await;
    stage.agree(0).await;
}

/// The seller adopted a sale of 4 tokens that is void for its buyer, and is back: what it sells next is netted against it.
async fn netted(stage: &mut Stage) {
    for prepaid in [3, 2, 1] {
        stage.buy("cheap").await;
        stage.agree(prepaid).await;
    }
    stage.buy("dear").await;
    stage.agree(0).await;
}

/// The seller is back, after a sale of 4 tokens that is void for its buyer and that it adopted or not.
async fn trades_on(stage: &mut Stage, how: Return, adopted: bool) {
    stage.return_seller(how).await;
    if adopted && how == Return::WithItsBooks {
        netted(stage).await;
    }
    for service in ["cheap", "dear"] {
        stage.buy(service).await;
        stage.agree(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w_29a_the_real_seller_whose_answers_are_all_lost_stops_at_no_cost_for_its_buyer_and_goes_on_once_it_is_back()
 {
    for how in [Return::Afresh, Return::WithItsBooks] {
        let Some(mut stage) = Stage::start("cbor").await else {
            return;
        };
        let before = stage.numbers().await;
        stage.network.plan([Fate::LoseAnswer; 3]);
        let since = Instant::now();
        assert_eq!(stage.refused("dear").await, SELLER_UNAVAILABLE);
        assert!(
            since.elapsed() < Duration::from_millis(DEADLINE_MS + 2000),
            "{:?}",
            since.elapsed()
        );
        let after = stage.numbers().await;
        assert_eq!(
            (after.buyer, after.paying),
            (before.buyer, before.paying),
            "nobody has paid"
        );
        assert_eq!(
            after.seller.1,
            before.seller.1 - 4 * TOKEN,
            "it believes that it sold"
        );

        stage.network.plan([]);
        assert_eq!(
            stage.refused("cheap").await,
            SELLER_UNAVAILABLE,
            "its channel is suspended"
        );
        assert_eq!(stage.numbers().await, after);
        trades_on(&mut stage, how, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_seller_whose_connection_breaks_is_not_waited_for_and_goes_on_once_it_is_back() {
    for (fate, adopted) in [(Fate::BreakAtAnswer, true), (Fate::BreakAtQuestion, false)] {
        for how in [Return::Afresh, Return::WithItsBooks] {
            let Some(mut stage) = Stage::start("json").await else {
                return;
            };
            let before = stage.numbers().await;
            stage.network.plan([fate]);
            let since = Instant::now();
            assert_eq!(stage.refused("dear").await, TRANSACTION_FAILED, "{fate:?}");
            assert!(
                since.elapsed() < Duration::from_millis(DEADLINE_MS / 2),
                "{:?}",
                since.elapsed()
            );
            let after = stage.numbers().await;
            assert_eq!(
                (after.buyer, after.paying),
                (before.buyer, before.paying),
                "{fate:?}"
            );
            assert_eq!(after.seller != before.seller, adopted, "{fate:?}: {after:?}");
            trades_on(&mut stage, how, adopted).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_that_is_killed_while_the_real_seller_answers_pays_it_once() {
    for (fate, adopted) in [(Fate::LoseAnswer, true), (Fate::LoseQuestion, false)] {
        for how in [Return::Afresh, Return::WithItsBooks] {
            let Some(mut stage) = Stage::on(World::apart().await, "cbor").await else {
                return;
            };
            let (before, answers) = (stage.numbers().await, stage.network.answers());
            stage.network.plan([fate]);
            stage.say("buy dear").await;
            if adopted {
                stage.network.answered(answers + 1).await;
            } else {
                stage.network.fulfilled().await;
            }
            stage.world.kill();
            let left = stage.hear().await;
            assert!(left["error"].is_string(), "{left:#}");

            stage.world.run_apart();
            stage.network.lead_to(&stage.world);
            let url = stage.world.url();
            assert_eq!(stage.tell(&format!("rejoin {url}")).await, serde_json::json!({}));
            let after = stage.numbers().await;
            assert_eq!(
                (after.buyer, after.paying),
                (before.buyer, before.paying),
                "{fate:?}"
            );
            assert_eq!(after.seller != before.seller, adopted, "{fate:?}: {after:?}");
            trades_on(&mut stage, how, adopted).await;
        }
    }
}
