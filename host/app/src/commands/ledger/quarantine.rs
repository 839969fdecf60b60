//! `bourse ledger quarantine`, `reconcile` and `accept-loss`: what follows a restored backup.

use crate::config::Config;
use crate::control::{self, Attachment};
use crate::output::{self, Row};
use crate::quarantine::{Claim, Reply, Request};
use anyhow::{Context, bail};
use bourse_market::{Address, Amount, Channel, ChannelId, ChannelKind, Seq, Signature, View};
use bourse_store::Store;
use clap::Args;
use serde::Serialize;
use std::process::ExitCode;

/// `bourse ledger quarantine`
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Channels at most.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on behind this channel, the last of a former list.
    #[arg(long, value_name = "CHANNEL")]
    after: Option<ChannelId>,
}

/// `bourse ledger reconcile`
#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// The channel: 0x and 32 hex digits.
    #[arg(value_name = "CHANNEL")]
    channel: ChannelId,
    /// The latest position that its delegate signed.
    #[arg(long, value_name = "N")]
    seq: u32,
    /// What is left in the channel there, in tokens.
    #[arg(long, value_name = "TOKENS", value_parser = Amount::parse_tokens)]
    balance: Amount,
    /// The delegate's signature over that state, as it signs every purchase: 0x and 130 hex digits.
    #[arg(long, value_name = "HEX")]
    signature: Signature,
    /// The market maker's signature over the same state, which a seller got when it was asked to sell. A seller's later
    /// state counts with it alone: its own signature proves nothing of what it is owed.
    #[arg(long, value_name = "HEX")]
    marketmaker_signature: Option<Signature>,
    /// Go on from there although the sales in between are not on record.
    #[arg(long)]
    accept_loss: bool,
    /// What of all that its seller was paid you know to be for no purchase, in tokens: its next sales are paid out of that,
    /// and closing gives the rest back. Unless you say so, the seller has earned what the market maker signed for.
    #[arg(long, value_name = "TOKENS", value_parser = Amount::parse_tokens, requires = "accept_loss")]
    prepaid: Option<Amount>,
}

/// `bourse ledger accept-loss`
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AcceptArgs {
    /// The channel: 0x and 32 hex digits.
    #[arg(value_name = "CHANNEL")]
    channel: Option<ChannelId>,
    /// Every channel that is in quarantine.
    #[arg(long)]
    all: bool,
}

/// A channel in quarantine.
#[derive(Debug, Serialize)]
struct Shut {
    channel: ChannelId,
    kind: &'static str,
    delegate: Address,
    seq: Seq,
    /// Base units.
    remaining: Amount,
    since_ns: u64,
}

impl From<Channel> for Shut {
    fn from(channel: Channel) -> Self {
        Self {
            channel: channel.id,
            kind: match channel.kind {
                ChannelKind::Payment => "payment",
                ChannelKind::Paying => "paying",
            },
            delegate: channel.delegate,
            seq: channel.seq,
            remaining: channel.posted_remaining(),
            since_ns: channel.quarantined.unwrap_or_default().0,
        }
    }
}

impl Row for Shut {
    const HEADS: &'static [&'static str] = &["channel", "kind", "delegate", "seq", "left"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.channel.to_string(),
            self.kind.to_owned(),
            self.delegate.to_string(),
            self.seq.to_string(),
            self.remaining.to_string(),
        ]
    }
}

/// Lists the channels that are in quarantine, by delegate, a page of them.
pub(super) fn list(config: &Config, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let store = Store::open_read_only(&config.store.path, config.store.map_size)?;
    let ledger = store.read()?;
    let after = match args.after {
        None => None,
        // Out of quarantine or not by now: its place is known.
        Some(id) => Some(ledger.channel(&id)?.with_context(|| {
            format!("--after: the ledger has no channel {id}, expected the last one of a former list")
        })?),
    };
    let limit = args.limit as usize;
    let mut channels = ledger.quarantined_channels(after.as_ref(), limit.saturating_add(1))?;
    let more = channels.len() > limit;
    channels.truncate(limit);
    let last = channels.last().map(|channel| channel.id);
    let rows: Vec<Shut> = channels.into_iter().map(Shut::from).collect();
    output::rows(&rows)?;
    if let (true, Some(last)) = (more, last) {
        eprintln!("there are more: go on with --after {last}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the running market let a channel out.
pub(super) fn reconcile(config: &Config, args: &ReconcileArgs) -> anyhow::Result<ExitCode> {
    ask(
        config,
        Request::Reconcile(Box::new(Claim {
            channel: args.channel,
            seq: Seq(args.seq),
            balance: args.balance,
            signature: args.signature,
            countersignature: args.marketmaker_signature,
            accept_loss: args.accept_loss,
            prepaid: args.prepaid,
        })),
    )
}

/// Has the running market let one channel out, or all.
pub(super) fn accept_loss(config: &Config, args: &AcceptArgs) -> anyhow::Result<ExitCode> {
    let request = match (args.channel, args.all) {
        (Some(channel), false) => Request::AcceptLoss { channel },
        (None, true) => Request::AcceptAll,
        _ => bail!("name one channel, or --all"),
    };
    ask(config, request)
}

fn ask(config: &Config, request: Request) -> anyhow::Result<ExitCode> {
    let answer = control::call(
        &config.store.path,
        control::Request::Ledger(request),
        Attachment::default(),
    )?;
    let reply: Reply = serde_json::from_value(answer).context("the market's answer makes no sense")?;
    for line in &reply.lines {
        say!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}
