//! The process of the node.

use anyhow::{Context, bail, ensure};
use bourse_chain::{DevNode, Limits, Node};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// The chain's id, as truffle's chains for developers have it.
pub const CHAIN_ID: u64 = 1337;
/// The words that the parties' keys are made of, those of `ganache --wallet.deterministic`.
const MNEMONIC: &str = "myth like bonus scare over problem client lizard pioneer submit female collect";
/// What the contracts were written before; later forks refuse nothing that they do, but this is known to work.
const HARDFORK: &str = "london";
/// Blocks whose state is kept: a market looks back as far as its depth.
const KEPT_STATES: usize = 64;
/// Gas in a block. Making the largest contract takes 5.1 million.
const GAS_LIMIT: u64 = 30_000_000;
/// How long anvil may take to say where it listens. It takes a tenth of a second where nothing else is going on.
const START: Duration = Duration::from_secs(30);
/// How long anvil may take to end.
const END: Duration = Duration::from_secs(5);
/// Runs the rest of its arguments as a program, and ends it when standard input ends: with whoever holds the other end,
/// however that one ends.
const GUARD: &str = r#"
    exec 3<&0
    "$@" </dev/null 3<&- &
    program=$!
    { cat <&3; kill $program; } >/dev/null 2>&1 &
    wait $program
"#;
/// What anvil prints before its address.
const LISTENING: &str = "Listening on ";

/// How to start anvil.
#[derive(Debug, Clone)]
pub struct AnvilOptions {
    /// The program.
    pub program: PathBuf,
    /// Where to listen on 127.0.0.1; 0 picks a free port.
    pub port: u16,
    /// Whether it is beyond the reach of a Ctrl-C at the terminal, so that whoever started it can still talk to it then.
    pub shielded: bool,
}

/// A running anvil, with an empty chain at first. It ends when this is dropped, and when this process ends, however that
/// comes.
#[derive(Debug)]
pub struct Anvil {
    /// The end of the pipe that its guard waits for. Waiting for a child would close one that is still the child's.
    guard: ChildStdin,
    child: Child,
    url: String,
    node: DevNode,
}

impl Anvil {
    /// Starts anvil, and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or ends; with what it said.
    pub async fn start(options: &AnvilOptions) -> anyhow::Result<Self> {
        let program = options.program.display();
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "sh"])
            .arg(&options.program)
            .args([
                "--host",
                "127.0.0.1",
                "--hardfork",
                HARDFORK,
                "--mnemonic",
                MNEMONIC,
            ])
            .args(["--port", &options.port.to_string()])
            .args(["--chain-id", &CHAIN_ID.to_string()])
            // States of the past, which nobody asks about, would cost more than the blocks.
            .args(["--prune-history", &KEPT_STATES.to_string()])
            .args(["--gas-limit", &GAS_LIMIT.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if options.shielded {
            command.process_group(0);
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start anvil, {program}"))?;
        let guard = child.stdin.take().context("anvil has no guard")?;
        let stdout = child.stdout.take().context("anvil has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let Ok(address) = timeout(START, listening(&mut lines)).await else {
            bail!("anvil does not say where it listens after {} s", START.as_secs());
        };
        let Some(address) = address else {
            let output = child.wait_with_output().await?;
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "anvil ended with {} before it listened on port {}: {}",
                output.status,
                options.port,
                said.trim()
            );
        };
        // Somebody must read on, or anvil would wait once the pipes are full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        if let Some(stderr) = child.stderr.take() {
            let mut lines = BufReader::new(stderr).lines();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
        let url = format!("http://{address}");
        let node = Node::at(&url, Limits::default())?;
        let chain = node.chain_id().await?;
        ensure!(
            chain == CHAIN_ID,
            "who listens on {address} is on chain {chain}, not {CHAIN_ID}: it is not the anvil that was started"
        );
        Ok(Self {
            guard,
            child,
            url,
            node: DevNode::new(node),
        })
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The node.
    pub fn node(&self) -> &DevNode {
        &self.node
    }

    /// Waits until it ends by itself, which it does not unless something is wrong.
    ///
    /// # Errors
    ///
    /// How it ended.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await?;
        bail!("anvil ended with {status}")
    }

    /// Ends it, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.guard);
        let ended = timeout(END, self.child.wait()).await;
        ended.context("anvil does not end")?.context("cannot end anvil")?;
        Ok(())
    }
}

/// The address that anvil says it listens on; none if it ended before.
async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = line.trim().strip_prefix(LISTENING) {
            return Some(address.to_owned());
        }
    }
    None
}
