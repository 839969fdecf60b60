//! A session with a market on `wamp_async`, and what this client calls there.

use anyhow::{Context, Result, anyhow, bail};
use ethers::signers::{LocalWallet, Signer};
use ethers::types::{Address, H256, U256};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use wamp_async::{Client, ClientConfig, SerializerType, WampArgs, WampError, WampId, WampKwArgs};

use crate::typed::{ChannelOpen, Domain};
use crate::wire::{amount, bytes, read_amount, read_array};

/// The kind of a buyer's channel.
const PAYMENT: u8 = 1;

/// What is published on a topic.
pub type Events = UnboundedReceiver<(WampId, Option<WampArgs>, Option<WampKwArgs>)>;

/// A market, joined.
pub struct Market {
    client: Client<'static>,
    pub domain: Domain,
    pub marketmaker: Address,
    owner: Address,
}

/// A channel and where it stands.
pub struct Channel {
    pub id: [u8; 16],
    pub seq: u32,
    pub balance: U256,
}

impl Market {
    pub async fn join(url: &str, realm: &str) -> Result<Self> {
        // JSON alone: see `wire`.
        let config = ClientConfig::default().set_serializers(vec![SerializerType::Json]);
        let (mut client, (events, _)) = Client::connect(url, Some(config))
            .await
            .map_err(|error| anyhow!("cannot connect to {url}: {error}"))?;
        tokio::spawn(async move {
            // Nothing tells the client that its event loop is gone: without it every call would wait for ever.
            let end = events.await;
            eprintln!("the session has ended: {end:?}");
            std::process::exit(1);
        });
        client
            .join_realm(realm)
            .await
            .map_err(|error| anyhow!("cannot join {realm} at {url}: {error}"))?;
        let config = one(&client, "xbr.marketmaker.get_config", vec![]).await?;
        Ok(Self {
            domain: Domain {
                chain_id: field(&config, "verifying_chain_id")?
                    .as_u64()
                    .context("verifying_chain_id is no number")?
                    .into(),
                contract: Address::from(hex_field(&config, "verifying_contract_adr")?),
                market: hex_field(&config, "market")?,
            },
            marketmaker: Address::from(hex_field(&config, "marketmaker")?),
            owner: Address::from(hex_field(&config, "owner")?),
            client,
        })
    }

    /// Calls a procedure of the market.
    pub async fn call(&self, name: &str, args: WampArgs) -> Result<Value> {
        one(&self.client, &format!("xbr.marketmaker.{name}"), args).await
    }

    /// The encrypted payloads that are published there.
    pub async fn subscribe(&self, uri: &str) -> Result<Events> {
        let subscribed = self.client.subscribe(uri).await;
        let (_, events) = subscribed.map_err(|error| anyhow!("cannot subscribe to {uri}: {error}"))?;
        Ok(events)
    }

    /// Takes test tokens from the faucet, and opens a payment channel with them.
    pub async fn open(&self, wallet: &LocalWallet, deposit: U256) -> Result<()> {
        let me = wallet.address();
        let fund = vec![bytes(me.as_bytes()), amount(deposit)];
        one(&self.client, "bourse.dev.fund", fund).await?;
        let block = field(&self.call("status", vec![]).await?, "current_block_no")?.clone();
        let open = ChannelOpen {
            kind: PAYMENT,
            block: block.as_u64().context("current_block_no is no number")?.into(),
            channel: rand::random(),
            actor: me,
            delegate: me,
            marketmaker: self.marketmaker,
            recipient: self.owner,
            amount: deposit,
        };
        let args = vec![
            bytes(me.as_bytes()),
            bytes(&self.domain.market),
            bytes(&open.channel),
            self.domain.chain_id.as_u64().into(),
            block,
            bytes(self.domain.contract.as_bytes()),
            PAYMENT.into(),
            bytes(me.as_bytes()),
            bytes(self.marketmaker.as_bytes()),
            bytes(self.owner.as_bytes()),
            amount(deposit),
            bytes(&sign(wallet, open.digest(&self.domain))?),
        ];
        self.call("open_channel", args).await.map(drop)
    }

    /// The channel that a delegate pays from.
    pub async fn channel(&self, delegate: Address) -> Result<Channel> {
        let args = vec![bytes(delegate.as_bytes())];
        let found = self.call("get_active_payment_channel", args).await?;
        if found.is_null() {
            bail!("the delegate {delegate:?} has no payment channel; `--open 1000` opens one");
        }
        let id = read_array(field(&found, "channel_oid")?)?;
        let stands = self.call("get_payment_channel_balance", vec![bytes(&id)]).await?;
        Ok(Channel {
            id,
            seq: seq(&stands, "seq")?,
            balance: read_amount(field(&stands, "remaining")?)?,
        })
    }
}

/// r, s, and 27 or 28. `sign_hash` is the one that takes a digest as it is.
pub fn sign(wallet: &LocalWallet, digest: H256) -> Result<Vec<u8>> {
    Ok(wallet.sign_hash(digest)?.to_vec())
}

pub fn field<'a>(answer: &'a Value, name: &str) -> Result<&'a Value> {
    answer
        .get(name)
        .with_context(|| format!("the market's answer has no {name}: {answer}"))
}

pub fn seq(answer: &Value, name: &str) -> Result<u32> {
    let value = field(answer, name)?;
    let number = value.as_u64().and_then(|number| number.try_into().ok());
    number.with_context(|| format!("{name} is {value}, expected a number of 32 bits"))
}

/// An address or a UUID, as people write them.
fn hex_field<const N: usize>(answer: &Value, name: &str) -> Result<[u8; N]> {
    let text = field(answer, name)?.as_str().unwrap_or_default();
    let digits = text.trim_start_matches("0x").replace('-', "");
    let found = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
    found.with_context(|| format!("{name} is {text:?}, expected {N} bytes in hex"))
}

/// The one result of a call.
async fn one(client: &Client<'_>, uri: &str, args: WampArgs) -> Result<Value> {
    match client.call(uri, Some(args), None).await {
        Ok((results, _)) => Ok(results
            .and_then(|results| results.into_iter().next())
            .unwrap_or_default()),
        // The library drops what the market says about it.
        Err(WampError::ServerError(error, _)) => bail!("{uri}: {error}"),
        Err(error) => bail!("{uri}: {error}"),
    }
}
