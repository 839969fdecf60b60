//! Subscribes to encrypted readings, buys the keys it has not got, and prints what it reads.
//!
//! Needs a market, and a payment channel that names the key file's address as its delegate:
//!
//! ```text
//! cargo run --release -- serve
//! cargo run --release --bin buyer -- --key buyer.key --open 1000
//! ```

use anyhow::{Context, Result};
use bourse_chain::load_or_create_key;
use bourse_delegates::{
    Buyer, BuyerOptions, DataKey, DelegateError, MarketClient, ReceiveKey, Wrapped, connect,
    dev::{ChannelTerms, fund, open_channel},
    output::{say, unless_unread},
    subscribe,
};
use bourse_market::{Amount, ChannelKind, KeyId};
use clap::Parser;
use serde::Deserialize;
use std::collections::VecDeque;
use std::path::PathBuf;

/// Buy the keys to a stream of encrypted readings.
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
    /// First take so many test tokens from the faucet and open a payment channel with them, the delegate being its
    /// own actor.
    #[arg(long, value_parser = tokens)]
    open: Option<Amount>,
    /// Where the readings are published.
    #[arg(long, default_value = "io.example.readings")]
    uri: String,
    /// The most to pay for a key, in tokens.
    #[arg(long, default_value = "35", value_parser = tokens)]
    max_price: Amount,
}

/// Keys that are kept, the newest: for so many sellers at a time.
const KEPT: usize = 64;

#[derive(Debug, Deserialize)]
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
        fund(client.session(), delegate, amount).await?;
        let terms = ChannelTerms {
            kind: ChannelKind::Payment,
            delegate,
            amount,
        };
        let channel = open_channel(&client, &signer, terms).await?;
        say(format_args!("opened payment channel {channel}"))?;
    }

    let session = client.session().clone();
    let mut readings = subscribe(&session, &options.uri).await?;
    let mut buyer = Buyer::start(client, signer, ReceiveKey::generate(), BuyerOptions::default())
        .await
        .context("the buyer cannot start; `--open 1000` opens a payment channel")?;
    say(format_args!(
        "delegate {delegate} buys on channel {}, {} left",
        buyer.channel(),
        buyer.balance().remaining
    ))?;

    // Readings share a key for a while: buy it once, of each seller that publishes here.
    let mut known: VecDeque<(KeyId, DataKey)> = VecDeque::new();
    loop {
        let wrapped = tokio::select! {
            Some(wrapped) = readings.recv() => wrapped,
            () = session.closed() => anyhow::bail!("the market closed the connection"),
            _ = tokio::signal::ctrl_c() => break session.leave().await,
        };
        if !known.iter().any(|(key, _)| *key == wrapped.key) {
            let Some(key) = buy(&mut buyer, &wrapped, options.max_price).await? else {
                continue;
            };
            known.truncate(KEPT - 1);
            known.push_front((wrapped.key, key));
        }
        let Some((_, key)) = known.iter().find(|(key, _)| *key == wrapped.key) else {
            continue;
        };
        // Anybody may publish here what nobody can read.
        match key.decrypt(&wrapped.ciphertext) {
            Ok(Reading { number, value }) => say(format_args!("reading {number}: {value:.2}"))?,
            Err(error) => say(format_args!("not read: {error}"))?,
        }
    }
    Ok(())
}

/// Buys a key; none if it costs too much, or the seller cannot sell it now.
async fn buy(buyer: &mut Buyer, wrapped: &Wrapped, max_price: Amount) -> Result<Option<DataKey>> {
    match buyer.buy(wrapped.key, max_price).await {
        Ok(bought) => {
            say(format_args!(
                "bought {} for {}, {} left",
                bought.key, bought.price, bought.balance.remaining
            ))?;
            Ok(Some(bought.data_key))
        }
        Err(error @ (DelegateError::TooExpensive { .. } | DelegateError::Refused { .. })) => {
            say(format_args!("not bought: {error}"))?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn tokens(text: &str) -> Result<Amount, bourse_market::ParseAmountError> {
    Amount::parse_tokens(text)
}
