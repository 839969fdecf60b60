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

use bourse_tests::World;
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
    let Some(command) = seller.command("seller") else {
        eprintln!("NOT CHECKED: the seller in {seller:?}: `cargo xtask test` sets it up");
        return;
    };
    let terms = ["--price", "3.5", "--every", "1", "--rotate", "1"];
    let mut selling = Example::start(command, format!("seller {seller:?}"), world, &uri, &terms);
    selling.says("delegate").await;
    for buyer in buyers {
        let Some(command) = buyer.command("buyer") else {
            eprintln!("NOT CHECKED: the buyer in {buyer:?}: `cargo xtask test` sets it up");
            continue;
        };
        let name = format!("buyer {buyer:?} of {seller:?}");
        let mut buying = Example::start(command, name, world, &uri, &[]);
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
