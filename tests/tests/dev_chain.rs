//! `bourse dev chain` as a developer runs it: the real binary, a real node, twice on the same folder.
//!
//! What it needs is installed by `cargo xtask test`; where `BOURSE_ANVIL` is unset these tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers may stop the test"
)]

use bourse_app::dev_chain::{FIRST_TRADE_BLOCK, Parties};
use bourse_chain::{Contracts, Limits, Node, Sender, create_key, decode, load_key};
use bourse_market::chain::ChainEvent;
use bourse_market::{Address, Amount, MarketId};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// How long something may take that takes no time on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `bourse dev chain`.
struct DevChain {
    child: Child,
    said: String,
}

impl DevChain {
    fn start(data: &Path, port: u16, installed: &[OsString; 2]) -> Self {
        Self::start_with(data, port, installed, &[])
    }

    /// The same with these environment variables.
    fn start_with(
        data: &Path,
        port: u16,
        [anvil, contracts]: &[OsString; 2],
        environment: &[(&str, &Path)],
    ) -> Self {
        let mut child = Command::new(bourse_tests::binary())
            .args(["dev", "chain", "--port", &port.to_string(), "--data"])
            .arg(data)
            .arg("--anvil")
            .arg(anvil)
            .arg("--contracts")
            .arg(contracts)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while lines.read_line(&mut said).unwrap() > 0 {
            if said.lines().last().is_some_and(|line| line.starts_with("next: ")) {
                break;
            }
        }
        std::thread::spawn(move || lines.lines().for_each(drop));
        Self { child, said }
    }

    /// SIGTERM, as from whoever is done with it.
    fn stop(mut self) -> bool {
        self.terminate();
        self.child.wait().unwrap().success()
    }

    /// SIGKILL: it has no time to take its node along.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }
}

impl Drop for DevChain {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn installed() -> Option<[OsString; 2]> {
    let found = std::env::var_os("BOURSE_ANVIL").zip(std::env::var_os("BOURSE_CONTRACTS"));
    if found.is_none() {
        eprintln!("NOT CHECKED: BOURSE_ANVIL or BOURSE_CONTRACTS is unset; `cargo xtask test` sets both");
    }
    found.map(|(anvil, contracts)| [anvil, contracts])
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_for_developers_trades_and_is_there_again_the_next_time() {
    let Some(installed) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let node = Node::at(&url, Limits::default()).unwrap();
    let parties = Parties::well_known().unwrap();
    let contracts = Contracts::first_of(parties.organization.address());

    let chain = DevChain::start(&data, port, &installed);
    let marketmaker = load_key(&data.join("marketmaker.key")).unwrap().address();
    let found = contracts.look_up(&node, marketmaker, None).await.unwrap();
    assert!(node.latest().await.unwrap().number.to::<u64>() >= FIRST_TRADE_BLOCK);
    assert!(chain.said.starts_with("The chain is new"), "{}", chain.said);
    for (who, address) in [("buyer", parties.buyer.address()), ("market maker", marketmaker)] {
        let tokens = Amount::from_tokens(10_000);
        assert_eq!(
            contracts.tokens_of(&node, address).await.unwrap(),
            tokens,
            "{who}"
        );
        assert_eq!(
            contracts.approved_to_channels(&node, address).await.unwrap(),
            tokens
        );
    }
    let settings = std::fs::read_to_string(data.join("chain.toml")).unwrap();
    for line in [
        "mode = \"ethereum\"".to_owned(),
        format!("rpc = \"{url}\""),
        "channel = \"0x9561C133DD8580860B6b7E504bC5Aa500f0f06a7\"".to_owned(),
    ] {
        assert!(settings.lines().any(|other| other == line), "{line}:\n{settings}");
    }
    // A market reads them as they are.
    let file = data.join("chain.toml");
    let checked = bourse_tests::run(&data, &["config", "check", "--config", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{checked:?}");
    let id = settings.lines().find_map(|line| line.strip_prefix("id = "));
    let id: MarketId = id.unwrap().trim_matches('"').parse().unwrap();
    assert_eq!(id, found.market);
    let buyer = load_key(&data.join("parties/buyer.key")).unwrap();
    assert_eq!(buyer.address(), parties.buyer.address());

    // Something happens: blocks follow on it by themselves, so that a market takes it for settled.
    let sender = Sender::new(node.clone(), buyer).await.unwrap();
    let to = Address([7; 20]);
    let receipt = sender
        .send(&contracts.transfer(to, Amount::from_tokens(3)))
        .await
        .unwrap();
    let mined = receipt.block_number.to::<u64>();
    let deadline = Instant::now() + PATIENCE;
    while node.latest().await.unwrap().number.to::<u64>() < mined + 2 {
        assert!(Instant::now() < deadline, "no block follows");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (head, events) = (node.latest().await.unwrap(), events(&node, &contracts).await);
    assert!(events.len() >= 8, "{events:?}");
    assert!(chain.stop());
    let gone = node.chain_id().await.unwrap_err().to_string();
    assert!(gone.contains("cannot be reached"), "{gone}");

    // The next run goes on with the same chain: the same blocks, events and balances.
    let again = DevChain::start(&data, port, &installed);
    assert!(again.said.contains("goes on where it was left"), "{}", again.said);
    assert_eq!(
        node.header(mined).await.unwrap().unwrap().number,
        receipt.block_number
    );
    assert_eq!(node.latest().await.unwrap().hash, head.hash);
    assert_eq!(self::events(&node, &contracts).await, events);
    assert_eq!(
        contracts.tokens_of(&node, to).await.unwrap(),
        Amount::from_tokens(3)
    );
    assert_eq!(contracts.look_up(&node, marketmaker, None).await.unwrap(), found);
    assert_eq!(
        std::fs::read_to_string(data.join("chain.toml")).unwrap(),
        settings
    );
    let before = kept_at(&data);
    sender
        .send(&contracts.transfer(to, Amount::from_tokens(3)))
        .await
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while kept_at(&data) == before {
        assert!(Instant::now() < deadline, "the chain is not kept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    again.kill();

    // Not even a SIGKILL leaves a node behind, nor loses what was there to be seen for a moment.
    let deadline = Instant::now() + PATIENCE;
    while node.chain_id().await.is_ok() {
        assert!(Instant::now() < deadline, "the node outlives whoever started it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let last = DevChain::start(&data, port, &installed);
    assert_eq!(
        contracts.tokens_of(&node, to).await.unwrap(),
        Amount::from_tokens(6)
    );
    assert!(last.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_key_is_the_market_makers_and_a_market_on_the_chain_is_told_of_it() {
    let Some(installed) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, key) = (folder.path().join("data"), folder.path().join("a \"key\""));
    let marketmaker = create_key(&key).unwrap().address();
    let port = free_port();
    let environment = [("BOURSE__CHAIN__KEY", key.as_path())];
    let chain = DevChain::start_with(&data, port, &installed, &environment);
    assert!(chain.said.contains(key.to_str().unwrap()), "{}", chain.said);
    assert!(!data.join("marketmaker.key").exists());
    let node = Node::at(&format!("http://127.0.0.1:{port}"), Limits::default()).unwrap();
    let organization = Parties::well_known().unwrap().organization.address();
    let contracts = Contracts::first_of(organization);
    contracts.look_up(&node, marketmaker, None).await.unwrap();
    // With the settings alone, a market finds it too.
    let settings = data.join("chain.toml");
    let shown = bourse_tests::run(
        &data,
        &["keys", "show-address", "--config", settings.to_str().unwrap()],
    );
    assert!(shown.status.success(), "{shown:?}");
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.trim().parse::<Address>().unwrap(), marketmaker);
    assert!(chain.stop());
}

/// When the chain was last written to its file.
fn kept_at(data: &Path) -> SystemTime {
    std::fs::metadata(data.join("anvil.state"))
        .unwrap()
        .modified()
        .unwrap()
}

async fn events(node: &Node, contracts: &Contracts) -> Vec<ChainEvent> {
    let addresses = contracts.named().map(|(_, address)| address);
    let head = node.latest().await.unwrap().number.to();
    let logs = node.logs(0, head, &addresses).await.unwrap();
    logs.iter()
        .filter_map(|log| decode(contracts, log).ok())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_folder_is_never_written_over() {
    let Some([anvil, contracts]) = installed() else {
        return;
    };
    let run = |data: &Path, port: u16| {
        let port = port.to_string();
        let (anvil, contracts) = (anvil.to_str().unwrap(), contracts.to_str().unwrap());
        let arguments = [
            "dev",
            "chain",
            "--port",
            &port,
            "--anvil",
            anvil,
            "--contracts",
            contracts,
        ];
        let output = bourse_tests::run(data, &arguments);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    // A file that holds no chain.
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("anvil.state");
    std::fs::write(&state, "somebody's notes").unwrap();
    create_key(&folder.path().join("marketmaker.key")).unwrap();
    let said = run(folder.path(), 0);
    assert!(said.contains("anvil.state holds no chain"), "{said}");
    assert_eq!(std::fs::read(&state).unwrap(), b"somebody's notes");

    // A chain whose market maker's key is gone.
    std::fs::remove_file(folder.path().join("marketmaker.key")).unwrap();
    let said = run(folder.path(), 0);
    assert!(said.contains("marketmaker.key is missing"), "{said}");

    // A port that somebody has.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = run(folder.path(), taken.local_addr().unwrap().port());
    assert!(said.contains("--port names another"), "{said}");
}
