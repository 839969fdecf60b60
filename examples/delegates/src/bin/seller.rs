//! Publishes a reading every so often, encrypted, and sells the keys.
//!
//! Needs a market, and a paying channel that names the key file's address as its delegate:
//!
//! ```text
//! cargo run --release -- serve
//! cargo run --release --bin seller -- --key seller.key --open 1000
//! ```

use anyhow::{Context, Result};
use bourse_chain::load_or_create_key;
use bourse_delegates::{
    KeyTerms, MarketClient, Pricing, Seller, SellerOptions, SeriesTerms, Sold, connect,
    dev::{ChannelTerms, open_channel},
    output::{say, unless_unread},
};
use bourse_market::{Amount, ApiId, ChannelKind};
use clap::Parser;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// Sell the keys to a stream of encrypted readings.
#[derive(Parser)]
struct Options {
    /// The router: `ws://…`, `rs://host:port` for RawSocket, `wss://…` and `rss://…` under TLS, or `unix:///path`.
    #[arg(long, default_value = "ws://127.0.0.1:8080/ws")]
    url: String,
    /// Its realm.
    #[arg(long, default_value = "realm1")]
    realm: String,
    /// The delegate's private key; made if there is none.
    #[arg(long)]
    key: PathBuf,
    /// First open a paying channel with so many tokens, the delegate being its own actor.
    #[arg(long, value_parser = tokens)]
    open: Option<Amount>,
    /// Where to publish.
    #[arg(long, default_value = "io.example.readings")]
    uri: String,
    /// Sell at this price in tokens; without it, the market prices the keys.
    #[arg(long, value_parser = tokens)]
    price: Option<Amount>,
    /// Leave the price to this policy of the market.
    #[arg(long, conflicts_with = "price")]
    policy: Option<String>,
    /// Seconds between two readings.
    #[arg(long, default_value_t = 2)]
    every: u64,
    /// Readings under one key.
    #[arg(long, default_value_t = 30)]
    rotate: u64,
}

#[derive(Serialize)]
struct Reading {
    number: u64,
    value: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    unless_unread(run().await)
}

async fn run() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter("warn")
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let signer = load_or_create_key(&options.key)?;
    let delegate = signer.address();
    let client = MarketClient::new(connect(&options.url, &options.realm).await?, None).await?;
    if let Some(amount) = options.open {
        let terms = ChannelTerms {
            kind: ChannelKind::Paying,
            delegate,
            amount,
        };
        let channel = open_channel(&client, &signer, terms).await?;
        say(format_args!("opened paying channel {channel}"))?;
    }

    let (sales, sold) = mpsc::channel(64);
    let session = client.session().clone();
    let seller = Seller::start(
        client,
        signer,
        SellerOptions {
            sales: Some(sales),
            ..SellerOptions::default()
        },
    )
    .await
    .context("the seller cannot start; `--open 1000` opens a paying channel")?;
    say(format_args!(
        "delegate {delegate} sells on channel {}, publishing to {}",
        seller.channel(),
        options.uri
    ))?;

    tokio::select! {
        result = publish(&seller, &options) => result?,
        result = print(sold) => result?,
        () = session.closed() => anyhow::bail!("the market closed the connection"),
        _ = tokio::signal::ctrl_c() => session.leave().await,
    }
    Ok(())
}

/// Publishes for ever, with a fresh key every now and then.
async fn publish(seller: &Seller, options: &Options) -> Result<()> {
    let terms = match options.price {
        Some(price) => KeyTerms::Fixed(price),
        None => KeyTerms::Dynamic(Pricing {
            policy: options.policy.clone(),
            ..Pricing::default()
        }),
    };
    let terms = SeriesTerms {
        api: ApiId(*b"example.readings"),
        uri: options.uri.clone(),
        categories: BTreeMap::new(),
        terms,
        copies: None,
        lifetime: Duration::from_secs(3_600),
    };
    let mut series = seller.series(terms).await?;
    let mut ticks = tokio::time::interval(Duration::from_secs(options.every.max(1)));
    for number in 1.. {
        ticks.tick().await;
        series
            .publish(&Reading {
                number,
                value: rand::random_range(0.0..100.0),
            })
            .await?;
        if number % options.rotate.max(1) == 0 {
            say(format_args!("next key {}", series.rotate().await?))?;
        }
    }
    Ok(())
}

async fn print(mut sales: mpsc::Receiver<Sold>) -> Result<()> {
    while let Some(Sold {
        key, amount, balance, ..
    }) = sales.recv().await
    {
        say(format_args!(
            "sold {key} for {amount}, {} left in the channel at seq {}",
            balance.remaining, balance.seq
        ))?;
    }
    Ok(())
}

fn tokens(text: &str) -> Result<Amount, bourse_market::ParseAmountError> {
    Amount::parse_tokens(text)
}
