//! `bourse dev chain`: anvil, the XBR contracts, and a market that can trade on them.

use crate::commands::policy::caches;
use crate::config::{self, Config};
use crate::dev_chain::{Anvil, AnvilOptions, CATALOG, Members, Parties, find_anvil, find_artifacts, set_up};
use crate::keyfile;
use anyhow::{Context, bail, ensure};
use bourse_chain::{Artifacts, Contracts, Deployment, DevNode, Sender, Signer, checksum, deploy, load_key};
use bourse_market::MarketId;
use bourse_store::Store;
use clap::Args;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

/// The chain as it was left, in the data folder.
const STATE: &str = "anvil.state";
/// What a market needs to know of it, in the data folder.
const SETTINGS: &str = "chain.toml";
/// Held by the process that runs the chain, in the data folder.
const LOCK: &str = "chain.lock";
/// Where the chain answers, unless somebody says otherwise.
const PORT: u16 = 8545;
/// Keys of the parties, in the data folder.
const PARTIES: &str = "parties";
/// Blocks that follow on each in which something happens, so that a market takes it for settled.
const DEPTH: u64 = 2;
/// Between two looks whether something happened.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// `bourse dev chain`
#[derive(Debug, Args)]
pub(crate) struct ChainArgs {
    /// The program anvil; by default the one on the PATH, else version 1.7.1, fetched once with npm.
    #[arg(long, value_name = "PATH")]
    anvil: Option<PathBuf>,
    /// Folder of the compiled contracts; by default those of the Python package xbr 26.10.1, fetched once with pip.
    #[arg(long, value_name = "DIR")]
    contracts: Option<PathBuf>,
    /// Port on 127.0.0.1 where the chain answers; 0 picks a free one. By default the one that a market was told of in the data
    /// folder, else 8545.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

/// Runs until interrupted. What happened on the chain is kept in the data folder, and the next run goes on with it.
pub(super) async fn run(config: &Config, args: &ChainArgs) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let data = &config.store.path;
    std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    let _lock = lock(data)?;
    let port = args.port.or_else(|| told_port(data)).unwrap_or(PORT);
    let (program, artifacts) = programs(args).await?;
    let options = AnvilOptions {
        program,
        port,
        // Ctrl-C is for this process: the chain has to be kept before the node ends.
        shielded: true,
    };
    let mut anvil = Anvil::start(&options)
        .await
        .with_context(|| format!("is port {port} taken? --port names another"))?;
    let state = config.store.path.join(STATE);
    let outcome = tokio::select! {
        // What is half made is not kept.
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        outcome = prepare(config, &anvil, &artifacts) => match outcome {
            Ok(quiet) => follow(&mut anvil, quiet, &state, &mut interrupt, &mut terminate).await,
            Err(error) => Err(error),
        }
    };
    anvil.stop().await?;
    outcome?;
    if state.is_file() {
        say!(
            "stopped; the chain is kept in {}, and the next run goes on with it",
            state.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Keeps a second chain out of the folder: each would write over what the other kept.
fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join(LOCK);
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another process runs the chain in {}: stop it first, or name another folder with --data",
            data.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// The port on which a market was told to find this chain.
fn told_port(data: &Path) -> Option<u16> {
    let settings = std::fs::read_to_string(data.join(SETTINGS)).ok()?;
    let settings: toml::Table = settings.parse().ok()?;
    let rpc = settings.get("chain")?.get("rpc")?.as_str()?;
    let port = rpc.strip_prefix("http://127.0.0.1:")?;
    port.trim_end_matches('/').parse().ok()
}

async fn programs(args: &ChainArgs) -> anyhow::Result<(PathBuf, Artifacts)> {
    let cache = || {
        let caches = caches().context("no folder for what is fetched: set XDG_CACHE_HOME or HOME")?;
        anyhow::Ok(caches.join("chain"))
    };
    let program = match &args.anvil {
        Some(program) => {
            ensure!(program.is_file(), "there is no program {}", program.display());
            program.clone()
        }
        None => find_anvil(&cache()?).await?,
    };
    let artifacts = match &args.contracts {
        Some(folder) => folder.clone(),
        None => find_artifacts(&cache()?).await?,
    };
    Ok((program, Artifacts::at(&artifacts)))
}

/// Brings the chain to where it was left, or makes it, and says what there is. Yields the block after which nothing happened
/// yet.
async fn prepare(config: &Config, anvil: &Anvil, artifacts: &Artifacts) -> anyhow::Result<u64> {
    let data = &config.store.path;
    let (parties, node) = (Parties::well_known()?, anvil.node());
    let state = data.join(STATE);
    let former = match std::fs::read(&state) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        other => Some(other.with_context(|| format!("cannot read the chain {}", state.display()))?),
    };
    let stamp = Store::stamp(data)?;
    let marketmaker = keyfile::load_or_create(config, stamp.is_some() || former.is_some())?;
    let contracts = Contracts::first_of(parties.organization.address());
    let resumed = former.is_some();
    match former {
        Some(former) => node.load(former).await.with_context(|| {
            format!(
                "{} holds no chain; move it away to start a new one",
                state.display()
            )
        })?,
        None => {
            let market = match (stamp, config.market_id()?) {
                (_, Some(configured)) => configured,
                (Some(stamp), None) => stamp.market,
                (None, None) => MarketId(Uuid::now_v7().into_bytes()),
            };
            make(node, artifacts, &parties, &marketmaker, market).await?;
            keep(node, &state).await?;
        }
    }
    let found = contracts
        .look_up(node.node(), marketmaker.address(), None)
        .await
        .with_context(|| {
            format!(
                "the chain in {} is not this market maker's; move it away to start a new one",
                state.display()
            )
        })?;
    let quiet = head(node).await?;
    introduce(anvil, &found, &parties, &marketmaker, config, resumed)?;
    save_settings(anvil.url(), &found, config)?;
    Ok(quiet)
}

/// Deploys the contracts and sets the market up.
async fn make(
    node: &DevNode,
    artifacts: &Artifacts,
    parties: &Parties,
    marketmaker: &Signer,
    market: MarketId,
) -> anyhow::Result<()> {
    let organization = Sender::new(node.node().clone(), parties.organization.clone()).await?;
    let contracts = deploy(artifacts, &organization).await?;
    let members = Members::new(node, parties, marketmaker).await?;
    set_up(node, &contracts, &members, market).await
}

/// Writes the chain to a file, whole or not at all.
async fn keep(node: &DevNode, state: &Path) -> anyhow::Result<()> {
    let chain = node.dump().await?;
    let unfinished = state.with_extension("unfinished");
    File::create(&unfinished)
        .and_then(|mut file| file.write_all(&chain).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&unfinished, state))
        .with_context(|| format!("cannot keep the chain in {}", state.display()))
}

/// Lets blocks follow on whatever happens, and keeps the chain each time, until a signal.
async fn follow(
    anvil: &mut Anvil,
    mut quiet: u64,
    state: &Path,
    interrupt: &mut Signal,
    terminate: &mut Signal,
) -> anyhow::Result<()> {
    let node = anvil.node().clone();
    let mut look = interval(LOOK_EVERY);
    // After an answer that took long there is nothing to catch up on.
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            ended = anvil.ended() => return ended,
            _ = look.tick() => {}
        }
        match settle(&node, quiet, state).await {
            Ok(now) => quiet = now,
            // Somebody may have it busy for a while, such as with mining a year.
            Err(error) => tracing::warn!("the chain is not kept for now: {error:#}"),
        }
    }
    settle(&node, quiet, state).await?;
    Ok(())
}

/// If something happened after block `quiet`, mines blocks on it and keeps the chain. Yields the last block now.
async fn settle(node: &DevNode, quiet: u64, state: &Path) -> anyhow::Result<u64> {
    let head = head(node).await?;
    if head == quiet {
        return Ok(quiet);
    }
    node.mine(DEPTH).await?;
    keep(node, state).await?;
    Ok(head.saturating_add(DEPTH))
}

async fn head(node: &DevNode) -> anyhow::Result<u64> {
    Ok(node.node().latest().await?.number.to())
}

/// What a developer wants to know of the chain.
fn introduce(
    anvil: &Anvil,
    found: &Deployment,
    parties: &Parties,
    marketmaker: &Signer,
    config: &Config,
    resumed: bool,
) -> anyhow::Result<()> {
    let market = Uuid::from_bytes(found.market.0);
    let chain = match resumed {
        true => "goes on where it was left",
        false => {
            "is new: contracts deployed, members registered, market and catalog made, tokens handed out and approved"
        }
    };
    say!("The chain {chain}");
    say!("  node             {}  chain id {}", anvil.url(), found.chain_id);
    for (name, address) in found.contracts.named() {
        say!("  {name:<15}  {}", checksum(address));
    }
    say!("  market           {market}");
    say!(
        "  market maker     {}  {}",
        checksum(marketmaker.address()),
        config.key_path().display()
    );
    let folder = config.store.path.join(PARTIES);
    for (name, signer) in [
        ("organization", &parties.organization),
        ("owner", &parties.owner),
        ("buyer", &parties.buyer),
        ("seller", &parties.seller),
        ("buyer-delegate", &parties.buyer_delegate),
        ("seller-delegate", &parties.seller_delegate),
    ] {
        let file = folder.join(name).with_extension("key");
        write_key(&file, signer)?;
        say!("  {name:<15}  {}  {}", checksum(signer.address()), file.display());
    }
    say!("  seller's catalog {}", Uuid::from_bytes(CATALOG.0));
    say!(
        "These parties' keys are known to everybody: nothing that they hold on another chain would be theirs for long"
    );
    Ok(())
}

/// The key of a party in a file, if it is not there yet. No key of another is written over, nor overlooked.
fn write_key(file: &Path, signer: &Signer) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    /// Read and write for the owner, nothing for anybody else: what a key file must have to be read.
    const MODE: u32 = 0o600;
    if file.try_exists()? {
        let there = load_key(file)?.address();
        ensure!(
            there == signer.address(),
            "{} is the key of {}, expected that of {}: move it away",
            file.display(),
            checksum(there),
            checksum(signer.address())
        );
        return Ok(());
    }
    let folder = file.parent().context("a key file has no folder")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true).mode(MODE).open(file)
        })
        .and_then(|mut opened| writeln!(opened, "{}", hex::encode(signer.to_bytes().as_slice())))
        .with_context(|| format!("cannot write the key {}", file.display()))
}

/// The lines of settings that name the market maker's key and its passphrase, where they are not at the usual place: a market
/// on this chain must find the same ones.
fn key_settings(chain: &config::Chain) -> String {
    let files = [
        ("key", &chain.key),
        ("key_passphrase_file", &chain.key_passphrase_file),
    ];
    let line = |(name, file): (&str, &Option<PathBuf>)| {
        let file = toml::Value::from(file.as_ref()?.display().to_string());
        Some(format!("{name} = {file}\n"))
    };
    files.into_iter().filter_map(line).collect()
}

/// Half of what the market maker has.
const PAYING_LIMIT: u64 = 5_000;

/// Writes the settings of a market on this chain, if there are none yet: somebody may have changed them.
fn save_settings(rpc: &str, found: &Deployment, config: &Config) -> anyhow::Result<()> {
    let (contracts, data) = (found.contracts, &config.store.path);
    let key = key_settings(&config.chain);
    let text = format!(
        r#"# A market on the chain of `bourse dev chain`.

[chain]
mode = "ethereum"
rpc = "{rpc}"
depth = {DEPTH}
{key}
[chain.contracts]
token = "{}"
network = "{}"
catalog = "{}"
market = "{}"
channel = "{}"

[market]
id = "{}"

# Whole tokens that the market maker locks for the seller, in paying channels.
[market.paying_limits]
"{}" = {PAYING_LIMIT}
"#,
        checksum(contracts.token),
        checksum(contracts.network),
        checksum(contracts.catalog),
        checksum(contracts.market),
        checksum(contracts.channel),
        Uuid::from_bytes(found.market.0),
        checksum(Parties::well_known()?.seller.address()),
    );
    let file = data.join(SETTINGS);
    let shown = file.display();
    match std::fs::read_to_string(&file) {
        Ok(there) if there == text => {}
        Ok(_) => {
            say!(
                "{shown} says something else, and is left as it is: a market by it may not find this chain. For this chain it \
                 would be:\n\n{text}"
            );
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            std::fs::write(&file, text).with_context(|| format!("cannot write {shown}"))?;
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    }
    say!(
        "next: `bourse serve --config {shown} --data {}` runs the market in another terminal; Ctrl-C stops this chain",
        data.display()
    );
    Ok(())
}
