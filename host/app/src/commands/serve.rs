//! `bourse serve`: starts a host, says what an operator wants to know, and stops it cleanly.

use crate::cli::ServeArgs;
use crate::config::{AppliesTo, Config, Hook, Rule};
use crate::host::{Host, WS_PATH};
use crate::house::House;
use crate::output::many;
use crate::reload::InForce;
use anyhow::Context;
use bourse_delegates::demo::DemoOptions;
use bourse_policy::{Origin, PolicyStatus};
use std::io::Write;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Runs until interrupted, or until the demo has sold what it was asked for. The configuration comes from `load`, at the start
/// and again at each SIGHUP.
pub(crate) async fn serve(
    load: impl Fn() -> anyhow::Result<Vec<Config>>,
    args: &ServeArgs,
) -> anyhow::Result<ExitCode> {
    let markets = load()?;
    anyhow::ensure!(
        !args.demo || markets.iter().all(Config::has_faucet),
        "--demo needs test tokens, which a market hands out on 127.0.0.1 alone: leave --demo, or listen there"
    );
    let [first, others @ ..] = &markets[..] else {
        anyhow::bail!("there is no market to serve");
    };
    anyhow::ensure!(
        !args.demo || others.is_empty(),
        "--demo is of one market: name the data folder of one with --data"
    );
    // Unheard it would end the process, also while that is starting.
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let mut house = House::start(&markets).await?;
    // Whoever reads that it is there may tell it to stop at once.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut in_force = InForce::new(&markets);
    for (config, host) in markets.iter().zip(house.hosts()) {
        introduce(config, host, args.demo)?;
    }

    let mut outcome = Ok(());
    loop {
        let ended = {
            let demo = async {
                match (args.demo, house.hosts().first()) {
                    (true, Some(host)) => demo(first, host, args.sales).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::pin!(demo);
            loop {
                tokio::select! {
                    _ = interrupt.recv() => break Ended::Wanted,
                    _ = terminate.recv() => break Ended::Wanted,
                    _ = hangup.recv() => in_force.change(&house, load()),
                    (realm, why) = house.broken() => break Ended::Broken(realm, why),
                    ended = &mut demo => break Ended::Demo(ended),
                }
            }
        };
        let (realm, why) = match ended {
            Ended::Wanted => break,
            Ended::Demo(ended) => {
                outcome = ended;
                break;
            }
            Ended::Broken(realm, why) => (realm, why),
        };
        outcome = Err(anyhow::anyhow!("{why}"));
        if house.hosts().len() == 1 {
            break;
        }
        // The others are no worse for it.
        say!("stopping the market of realm {realm} alone: {why}");
        house.stop_one(&realm).await;
    }
    say!("stopping: purchases under way are finished first");
    house.stop().await;
    say!("stopped");
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Why a market does not go on.
enum Ended {
    /// Its operator wants it so.
    Wanted,
    /// The demo sold what it was to, or could not.
    Demo(anyhow::Result<()>),
    /// The market of this realm must not go on, and why.
    Broken(String, String),
}

/// What an operator wants to know of a host that just started: where it is, what it holds, who decides prices.
fn introduce(config: &Config, host: &Host, demo: bool) -> anyhow::Result<()> {
    let (addresses, network, counts) = (host.addresses(), host.network(), host.counts()?);
    let market = uuid::Uuid::from_bytes(network.market.0);
    let data = config.store.path.display();
    say!("Bourse {} · market {market}", env!("CARGO_PKG_VERSION"));
    match network.contracts {
        None => say!("  settlement    local: test tokens, no chain"),
        Some(contracts) => say!(
            "  settlement    chain {}: XBRChannel {}{}",
            network.domain.chain_id,
            bourse_chain::checksum(contracts.channel),
            match config.chain.verify.len() {
                0 => ", one node, which is trusted".to_owned(),
                others => format!(", confirmed by {others} more nodes"),
            }
        ),
    }
    if let Some(why) = host.unseen() {
        say!("  node          CANNOT BE USED, what it said before holds until it can: {why}");
    }
    say!("  market maker  {}", bourse_chain::checksum(network.marketmaker));
    match addresses.wamp {
        Some(listeners) => {
            say!(
                "  WebSocket     ws://{}{WS_PATH}  realm {}",
                listeners.ws,
                config.realm.name
            );
            say!("  RawSocket     {}", listeners.rs);
            for listener in host.more_listeners() {
                say!("  {:<13} {}", listener.what, listener.url);
            }
        }
        None => introduce_router(config, host),
    }
    say!("  console       http://{}/", addresses.http);
    say!("  health        http://{}/healthz", addresses.http);
    say!(
        "  data          {data}  {}, {}, {}",
        many(counts.offers, "offer"),
        many(counts.channels, "channel"),
        many(counts.purchases, "purchase")
    );
    if host.recovered() > 0 {
        say!(
            "  recovered     {} unfinished purchases, voided for their buyers",
            host.recovered()
        );
    }
    introduce_policies(&host.policies());
    introduce_rules(&config.rules(), &host.problems());
    if demo {
        say!("next: watch the sales; then stop with Ctrl-C and run `bourse ledger verify --data {data}`");
    } else if network.contracts.is_some() {
        say!(
            "next: when a member opens a channel, `bourse ledger bind DELEGATE ACTOR --data {data}` lets it be used"
        );
    } else {
        say!("next: `bourse dev key buyer.key` makes a first key, or add --demo to watch a market at work");
    }
    Ok(())
}

/// The router that the market joined.
fn introduce_router(config: &Config, host: &Host) {
    let Some((url, trouble)) = host.router() else {
        return;
    };
    say!("  router        {url}  realm {}", config.realm.name);
    if let Some(why) = trouble {
        say!("  router        NOT REACHED, tried again until it is: {why}");
    }
}

fn introduce_policies(policies: &[PolicyStatus]) {
    for policy in policies {
        let (name, state) = (&policy.name, policy.state.as_str());
        let origin = match policy.origin {
            Some(Origin::File) => "file",
            Some(Origin::Deployed) => "deployed",
            Some(Origin::Shipped) => "shipped",
            None => "",
        };
        let version = policy.version.as_deref().unwrap_or_default();
        if let Some(revision) = &policy.revision {
            // Without 0x, as `sha256sum` prints it.
            let revision = revision.trim_start_matches("0x");
            say!("  policy        {name} {version}  sha256 {revision}  {origin}");
        }
        if let Some(reason) = &policy.reason {
            say!("  policy        {name} {}: {reason}", state.to_uppercase());
        }
    }
}

fn introduce_rules(rules: &[Rule], problems: &[(Rule, String)]) {
    for rule in rules {
        let offers = match (rule.hook, rule.applies_to) {
            (Hook::Pricing, AppliesTo::Dynamic) => "prices of dynamic offers",
            (Hook::Pricing, AppliesTo::All) => "prices of all offers",
            (Hook::Offers, _) => "which offers there are",
            (Hook::Consent, _) => "who may deal",
        };
        let policy = &rule.policy;
        let problem = problems.iter().find(|(other, _)| other == rule);
        match problem {
            None => say!("  rule          {offers} -> {policy}"),
            Some((_, problem)) => {
                say!(
                    "  rule          {offers} -> {policy}  DOES NOT WORK, what it covers is refused: {problem}"
                );
            }
        }
    }
}

/// Lets two delegates trade over a real socket and prints a line for each sale.
async fn demo(config: &Config, host: &Host, limit: Option<u64>) -> anyhow::Result<()> {
    /// Sales that may wait to be printed.
    const QUEUE: usize = 16;
    let listeners = host.addresses().wamp;
    let url = match (&config.wamp.connect, listeners) {
        (None, Some(listeners)) => format!("ws://{}{WS_PATH}", listeners.ws),
        (Some(url), _) if url.starts_with("ws://") => url.clone(),
        _ => anyhow::bail!("--demo connects over WebSocket: name the router by ws:// in wamp.connect"),
    };
    let options = DemoOptions::new(url, &config.realm.name, config.store.path.join("demo"));
    let (sender, mut sales) = tokio::sync::mpsc::channel(QUEUE);
    let print = async {
        let mut sold = 0;
        while let Some(sale) = sales.recv().await {
            sold += 1;
            // The demo is for whoever watches it.
            let watched = writeln!(std::io::stdout(), "{sale}").is_ok();
            if !watched || limit.is_some_and(|limit| sold >= limit) {
                break;
            }
        }
    };
    tokio::select! {
        outcome = bourse_delegates::demo::run(options, sender) => outcome.context("the demo's delegates stopped"),
        () = print => Ok(()),
    }
}
