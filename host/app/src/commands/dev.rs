//! `bourse dev …`: keys, test tokens and channels, by the same calls that any client makes; and a chain of one's own.

mod chain;

use super::Unreachable;
use crate::config::Config;
use crate::host::WS_PATH;
use anyhow::Context;
use bourse_chain::{checksum, create_key, load_key};
use bourse_delegates::{DelegateError, MarketClient, connect, dev};
use bourse_market::{Address, Amount, ChannelId, ChannelKind};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse dev`
#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// Make a key file, for an actor or a delegate.
    Key {
        /// Where to write it; nothing is ever written over.
        file: PathBuf,
    },
    /// Hand out test tokens.
    Fund {
        /// Who receives: `0x` and 40 hex digits.
        #[arg(long)]
        to: Address,
        /// How many tokens, such as 100 or 0.5.
        #[arg(long, value_parser = tokens)]
        tokens: Amount,
        #[command(flatten)]
        market: Url,
    },
    /// Open a channel.
    OpenChannel {
        /// Which way its money flows.
        #[arg(long)]
        kind: Kind,
        /// Key file of the actor that opens it: the buyer, whose account pays, or the seller, who will be paid.
        #[arg(long, value_name = "FILE")]
        actor: PathBuf,
        /// Whose signature will move it: `0x` and 40 hex digits.
        #[arg(long)]
        delegate: Address,
        /// The deposit in tokens.
        #[arg(long, value_parser = tokens)]
        tokens: Amount,
        #[command(flatten)]
        market: Url,
    },
    /// Close a channel where it stands, for good.
    CloseChannel {
        /// Which way its money flows.
        #[arg(long)]
        kind: Kind,
        /// The channel.
        #[arg(long)]
        channel: ChannelId,
        /// Key file of its delegate.
        #[arg(long, value_name = "FILE")]
        delegate: PathBuf,
        #[command(flatten)]
        market: Url,
    },
    /// Run a real chain with the real contracts and a market on it, until Ctrl-C.
    Chain(chain::ChainArgs),
}

/// Where the market is.
#[derive(Debug, Args)]
pub(crate) struct Url {
    /// The market's WebSocket; by default where the configuration says it listens.
    #[arg(long)]
    url: Option<String>,
}

/// Which way the money of a channel flows.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// From a buyer to the market.
    Payment,
    /// From the market to a seller.
    Paying,
}

impl From<Kind> for ChannelKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Payment => Self::Payment,
            Kind::Paying => Self::Paying,
        }
    }
}

fn tokens(text: &str) -> Result<Amount, String> {
    Amount::parse_tokens(text).map_err(|error| error.to_string())
}

pub(crate) async fn dev(config: &Config, command: DevCommand) -> anyhow::Result<ExitCode> {
    match command {
        DevCommand::Chain(args) => return chain::run(config, &args).await,
        DevCommand::Key { file } => {
            let signer = create_key(&file)?;
            say!("{}", checksum(signer.address()));
        }
        DevCommand::Fund { to, tokens, market } => {
            let client = reach(config, &market).await?;
            dev::fund(client.session(), to, tokens).await?;
            say!("{} received {tokens} test tokens", checksum(to));
        }
        DevCommand::OpenChannel {
            kind,
            actor,
            delegate,
            tokens,
            market,
        } => {
            let client = reach(config, &market).await?;
            let actor = load_key(&actor)?;
            let terms = dev::ChannelTerms {
                kind: kind.into(),
                delegate,
                amount: tokens,
            };
            let channel = dev::open_channel(&client, &actor, terms)
                .await
                .context("no channel was opened")?;
            say!("{channel}");
        }
        DevCommand::CloseChannel {
            kind,
            channel,
            delegate,
            market,
        } => {
            let client = reach(config, &market).await?;
            let delegate = load_key(&delegate)?;
            let stood = dev::close_channel(&client, &delegate, kind.into(), channel)
                .await
                .with_context(|| format!("channel {channel} was not closed"))?;
            say!(
                "channel {channel} is closed at seq {} with {} left",
                stood.seq,
                stood.remaining
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn reach(config: &Config, market: &Url) -> anyhow::Result<MarketClient> {
    let url = market
        .url
        .clone()
        .unwrap_or_else(|| format!("ws://{}{WS_PATH}", config.wamp.listen_ws));
    let session = connect(&url, &config.realm.name)
        .await
        .map_err(|error| Unreachable {
            at: url,
            why: match error {
                DelegateError::Join { reason, .. } => reason,
                other => other.to_string(),
            },
            instead: "say where it is with --url",
        })?;
    Ok(MarketClient::new(session, None).await?)
}
