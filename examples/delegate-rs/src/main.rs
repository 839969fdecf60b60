//! Subscribes to encrypted readings, buys the keys it has not got, and prints what it reads: a buyer on libraries that a user
//! of Rust may already have, `wamp_async` 0.3.1 and `ethers` 2.0.14.
//!
//! It shows that they do, and the three things done by hand for it: `Cargo.toml` pins `rmp`, `wire` spells bytes in JSON,
//! `typed` computes digests. For a client of your own take `examples/delegates`: this pair of libraries is not
//! maintained any more, tells no callee who calls, and leaves out the market's words about an error.
//!
//! ```text
//! cargo run --manifest-path examples/delegate-rs/Cargo.toml -- --key buyer.key --open 1000
//! ```

mod market;
mod typed;
mod wire;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use crypto_box::SecretKey;
use crypto_secretbox::aead::{Aead, KeyInit};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use ethers::signers::{LocalWallet, Signer};
use ethers::types::{RecoveryMessage, Signature, U256};
use market::{Channel, Market, field, seq, sign};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use typed::ChannelState;
use wire::{amount, bytes, in_tokens, read_amount, read_array, read_bytes, tokens};

/// Keys that are kept at most.
const KEPT: usize = 64;

/// Buy the keys to a stream of encrypted readings.
#[derive(Parser)]
struct Options {
    /// The router.
    #[arg(long, default_value = "ws://127.0.0.1:8080/ws")]
    url: String,
    /// Its realm.
    #[arg(long, default_value = "realm1")]
    realm: String,
    /// The delegate's private key; made if there is none.
    #[arg(long)]
    key: PathBuf,
    /// First take so many test tokens and open a payment channel with them, the delegate being its own actor.
    #[arg(long, value_parser = tokens)]
    open: Option<U256>,
    /// Where the readings are published.
    #[arg(long, default_value = "io.example.readings")]
    uri: String,
    /// The most to pay for a key, in tokens.
    #[arg(long, default_value = "35", value_parser = tokens)]
    max_price: U256,
}

#[derive(Deserialize)]
struct Reading {
    number: u64,
    value: f64,
}

/// A buyer with its channel.
struct Buyer {
    market: Market,
    wallet: LocalWallet,
    channel: Channel,
    /// Keys are sealed to this one.
    receive: SecretKey,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let wallet = load(&options.key)?;
    let market = Market::join(&options.url, &options.realm).await?;
    if let Some(deposit) = options.open {
        market.open(&wallet, deposit).await?;
    }
    let channel = market.channel(wallet.address()).await?;
    let mut events = market.subscribe(&options.uri).await?;
    println!(
        "delegate {:?} buys, {} left",
        wallet.address(),
        in_tokens(channel.balance)
    );
    let mut buyer = Buyer {
        market,
        wallet,
        channel,
        receive: SecretKey::generate(&mut crypto_box::aead::OsRng),
    };

    let mut keys = HashMap::new();
    while let Some((_, args, _)) = events.recv().await {
        let args = args.unwrap_or_default();
        let [key, serializer, ciphertext] = args.as_slice() else {
            continue;
        };
        if serializer.as_str() != Some("cbor") {
            continue;
        }
        if let Err(error) = read(&mut buyer, &mut keys, key, ciphertext, options.max_price).await {
            println!("not read: {error:#}");
        }
    }
    Ok(())
}

/// Reads one, after its key was bought.
async fn read(
    buyer: &mut Buyer,
    keys: &mut HashMap<[u8; 16], XSalsa20Poly1305>,
    key: &Value,
    ciphertext: &Value,
    max_price: U256,
) -> Result<()> {
    let key = read_array(key)?;
    if !keys.contains_key(&key) {
        // Of each seller one: readings share a key for a while, and then never again.
        if keys.len() == KEPT {
            keys.clear();
        }
        keys.insert(key, buyer.buy(key, max_price).await?);
    }
    let cipher = keys.get(&key).context("it was just bought")?;
    let bytes = read_bytes(ciphertext)?;
    let (nonce, boxed) = bytes.split_at_checked(24).context("the payload is too short")?;
    let plain = cipher
        .decrypt(Nonce::from_slice(nonce), boxed)
        .ok()
        .context("the payload does not decrypt with this key")?;
    let Reading { number, value } = ciborium::from_reader(plain.as_slice())?;
    println!("reading {number}: {value:.2}");
    Ok(())
}

impl Buyer {
    /// Buys a key: the next state of the channel, signed by both sides.
    async fn buy(&mut self, key: [u8; 16], max_price: U256) -> Result<XSalsa20Poly1305> {
        let Self {
            market,
            wallet,
            channel,
            receive,
        } = self;
        let quote = market.call("get_quote", vec![bytes(&key)]).await?;
        let price = read_amount(field(&quote, "price")?)?;
        ensure!(price <= max_price, "the key costs {}", in_tokens(price));
        let left = channel.balance.checked_sub(price);
        let state = ChannelState {
            channel: channel.id,
            seq: channel.seq + 1,
            balance: left.with_context(|| format!("{} is left", in_tokens(channel.balance)))?,
        };
        let digest = state.digest(&market.domain);
        let order = vec![
            bytes(wallet.address().as_bytes()),
            bytes(receive.public_key().as_bytes()),
            bytes(&key),
            bytes(&channel.id),
            state.seq.into(),
            amount(price),
            amount(state.balance),
            bytes(&sign(wallet, digest)?),
        ];
        let receipt = market.call("buy_key", order).await?;
        // Only what the market maker has signed too is settled.
        ensure!(
            seq(&receipt, "channel_seq")? == state.seq
                && read_amount(field(&receipt, "remaining")?)? == state.balance,
            "the receipt is for another state: {receipt}"
        );
        let signature = Signature::try_from(read_bytes(field(&receipt, "signature")?)?.as_slice())?;
        let signer = signature.recover(RecoveryMessage::Hash(digest))?;
        ensure!(
            signer == market.marketmaker,
            "the receipt is signed by {signer:?}"
        );
        (channel.seq, channel.balance) = (state.seq, state.balance);
        println!(
            "bought {} for {}, {} left",
            hex::encode(key),
            in_tokens(price),
            in_tokens(state.balance)
        );
        let opened = receive.unseal(&read_bytes(field(&receipt, "sealed_key")?)?);
        let data_key = opened.ok().context("the sealed key does not open")?;
        XSalsa20Poly1305::new_from_slice(&data_key)
            .ok()
            .context("the key is not 32 bytes long")
    }
}

/// The key in a file, in hex; a fresh one, written there, if there is no file.
fn load(path: &Path) -> Result<LocalWallet> {
    if !path.exists() {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let fresh = LocalWallet::new(&mut rand::thread_rng());
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        writeln!(file, "{}", hex::encode(fresh.signer().to_bytes()))?;
    }
    let text = std::fs::read_to_string(path)?;
    text.trim()
        .parse()
        .with_context(|| format!("{}: expected 64 hex digits of a private key", path.display()))
}
