//! The sellers and buyers of `examples/`, in Rust, Python and JavaScript, as their own processes: each buyer buys what a
//! seller in another language sells, and reads it. Where `BOURSE_LONG` is set, every buyer buys from every seller, and so
//! does `delegate-rs`, the buyer on `wamp_async` and `ethers`.
//!
//! They need what `cargo xtask test` sets up; for what is missing this says that it was not checked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use bourse_app::config::Serializer;
use bourse_tests::{Behind, World};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Python takes its time to import, on a machine that builds.
const PATIENCE: Duration = Duration::from_secs(90);
/// Keys that each buyer must get.
const KEYS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Rust,
    Python,
    JavaScript,
    /// In Rust too, on libraries of other people.
    DelegateRs,
}

impl Language {
    /// Those with a seller and a buyer.
    const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::JavaScript];

    /// What starts its seller or buyer. None where that is missing.
    fn command(self, what: &str) -> Option<Command> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let script = |variable: &str, script: PathBuf| {
            let mut command = Command::new(std::env::var_os(variable)?);
            command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1");
            Some(command)
        };
        match self {
            Self::Rust => {
                let program = bourse_tests::binary().with_file_name(what);
                program.is_file().then(|| Command::new(program))
            }
            Self::Python => script("BOURSE_PYTHON", examples.join(format!("python/{what}.py"))),
            Self::JavaScript => script("BOURSE_NODE", examples.join(format!("js/{what}.js"))),
            Self::DelegateRs => Some(Command::new(std::env::var_os("BOURSE_DELEGATE_RS")?)),
        }
    }
}

/// A running example.
struct Example {
    name: String,
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Example {
    fn start(mut command: Command, name: String, world: &World, uri: &str, arguments: &[&str]) -> Self {
        let key = world.folder().join(format!("{}.key", name.replace(' ', "-")));
        let mut process = command
            .args(["--url", &world.url(), "--open", "1000", "--uri", uri, "--key"])
            .arg(key)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            name,
            _process: process,
            lines,
        }
    }

    /// Its next line that begins like this.
    async fn says(&mut self, beginning: &str) -> String {
        let mut said = String::new();
        let heard = timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.starts_with(beginning) {
                    return Some(line);
                }
                said.push_str(&line);
                said.push('\n');
            }
            None
        });
        match heard.await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{} ended before it said {beginning:?}:\n{said}", self.name),
            Err(_) => panic!("{} never said {beginning:?}:\n{said}", self.name),
        }
    }
}

/// A seller with a key a second, and these buyers of it, each until it has read what it bought.
async fn trade(world: &World, seller: Language, buyers: &[Language]) {
    let uri = format!("io.example.{seller:?}").to_lowercase();
    trade_at(world, &uri, seller, buyers).await;
}

/// The same, at this place.
async fn trade_at(world: &World, uri: &str, seller: Language, buyers: &[Language]) {
    let Some(command) = seller.command("seller") else {
        eprintln!("NOT CHECKED: the seller in {seller:?}: `cargo xtask test` sets it up");
        return;
    };
    let terms = ["--price", "3.5", "--every", "1", "--rotate", "1"];
    let mut selling = Example::start(command, format!("seller {seller:?}"), world, uri, &terms);
    selling.says("delegate").await;
    for buyer in buyers {
        let Some(command) = buyer.command("buyer") else {
            eprintln!("NOT CHECKED: the buyer in {buyer:?}: `cargo xtask test` sets it up");
            continue;
        };
        let name = format!("buyer {buyer:?} of {seller:?}");
        let mut buying = Example::start(command, name, world, uri, &[]);
        for _ in 0..KEYS {
            let bought = buying.says("bought").await;
            assert!(bought.contains(" for 3.5, "), "{bought}");
            selling.says("sold").await;
            buying.says("reading").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_seller_sells_to_an_example_buyer_in_another_language() {
    let world = World::start().await;
    let long = std::env::var_os("BOURSE_LONG").is_some();
    let next = Language::ALL.iter().cycle().skip(1);
    for (seller, &buyer) in Language::ALL.into_iter().zip(next) {
        let mut buyers = vec![buyer];
        if long {
            buyers = [&Language::ALL[..], &[Language::DelegateRs]].concat();
        }
        trade(&world, seller, &buyers).await;
    }
    world.assert_sound();
}

/// Two sellers that publish to one place, each under one key for as long as the test takes.
async fn two_sellers(world: &World) -> Option<[Example; 2]> {
    let terms = ["--every", "1", "--rotate", "1000"];
    let mut sellers = Vec::new();
    for number in 1..=2 {
        let name = format!("seller {number}");
        let mut seller = Example::start(
            Language::Rust.command("seller")?,
            name,
            world,
            "io.example.both",
            &terms,
        );
        seller.says("delegate").await;
        sellers.push(seller);
    }
    sellers.try_into().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_buyer_buys_the_key_of_each_of_two_sellers_once() {
    /// In which each seller has published more than once.
    const READINGS: usize = 6;
    let world = World::start().await;
    let Some(_sellers) = two_sellers(&world).await else {
        eprintln!("NOT CHECKED: buyers of two sellers: `cargo xtask test` builds them");
        return;
    };
    for buyer in [
        Language::Rust,
        Language::Python,
        Language::JavaScript,
        Language::DelegateRs,
    ] {
        let Some(command) = buyer.command("buyer") else {
            eprintln!("NOT CHECKED: the buyer in {buyer:?}: `cargo xtask test` sets it up");
            continue;
        };
        let mut buying = Example::start(
            command,
            format!("{buyer:?} of two"),
            &world,
            "io.example.both",
            &[],
        );
        let (mut bought, mut read) = (Vec::new(), 0);
        while read < READINGS {
            let line = buying.says("").await;
            bought.extend(line.strip_prefix("bought ").map(str::to_owned));
            read += usize::from(line.starts_with("reading "));
        }
        assert_eq!(bought.len(), 2, "{buyer:?}: {bought:?}");
    }
    world.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_trade_behind_the_example_router_where_they_publish_by_default() {
    let Some(node) = Behind::start() else {
        eprintln!("NOT CHECKED: examples behind Crossbar.io: `cargo xtask test` sets it up");
        return;
    };
    let url = node.url();
    let world = World::with(|config| node.welcome(config, url, Serializer::Cbor)).await;
    trade_at(
        &world,
        "io.example.readings",
        Language::Rust,
        &[Language::Rust, Language::Python],
    )
    .await;
    world.assert_sound();
}

/// What a client says that cannot do its work, and its exit code.
async fn refused(command: Option<Command>, arguments: &[&str]) -> Option<(String, i32)> {
    let mut command = command?;
    // Those who ask for traces get them.
    command
        .env_remove("RUST_BACKTRACE")
        .env_remove("RUST_LIB_BACKTRACE");
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output).await.unwrap().unwrap();
    Some((
        String::from_utf8_lossy(&output.stderr).into_owned(),
        output.status.code().unwrap(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_that_cannot_trade_says_why_in_a_line_and_what_would_help() {
    let world = World::start().await;
    let key = world.folder().join("nobody.key");
    let key = key.to_str().unwrap();
    let url = world.url();
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("ws://{}/ws", listener.local_addr().unwrap())
    };
    for language in Language::ALL {
        for (what, url, expected) in [
            ("seller", &url, "`--open 1000` opens"),
            ("buyer", &url, "`--open 1000` opens"),
            ("buyer", &nowhere, nowhere.as_str()),
        ] {
            let Some((said, code)) = refused(language.command(what), &["--url", url, "--key", key]).await
            else {
                eprintln!("NOT CHECKED: the {what} in {language:?}: `cargo xtask test` sets it up");
                continue;
            };
            let told = said.lines().any(|line| line.contains(expected));
            let traced = ["Traceback", "    at ", "panicked"]
                .iter()
                .any(|trace| said.contains(trace));
            assert!(
                told && !traced && code == 1,
                "{what} in {language:?}, exit code {code}:\n{said}"
            );
        }
    }
}
