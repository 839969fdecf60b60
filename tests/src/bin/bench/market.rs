//! A host in a process of its own, with delegates that do what real ones do, signatures included.

use crate::process::{Running, host_binary, start};
use bourse_chain::{ChannelClose, Signer};
use bourse_delegates::dev::{self, ChannelTerms};
use bourse_delegates::{
    KeyTerms, MarketClient, Pricing, Seller, SellerOptions, Series, SeriesTerms, connect,
};
use bourse_market::{Amount, ApiId, ChannelId, ChannelKind, KeyId, Seq};
use bourse_wamp::{CallOptions, CallResult, Dict, Session, Value};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Tokens in each channel: more than a run spends, and little enough that the market maker's float covers every seller's.
const DEPOSIT_TOKENS: u64 = 1_000_000;

/// `bourse serve` on a folder, wherever there is room to listen.
pub(crate) fn serving(data: &Path) -> Command {
    let mut command = Command::new(host_binary());
    command.arg("serve").arg("--data").arg(data);
    for listener in ["--listen-ws", "--listen-rs", "--listen-http"] {
        command.args([listener, "127.0.0.1:0"]);
    }
    command
}

/// A running host and where it is.
pub(crate) struct Host {
    process: Running,
    url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Host {
    /// Starts `bourse serve` on a fresh folder.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Self::start_in(&folder.path().join("data"));
        Self {
            _folder: Some(folder),
            ..host
        }
    }

    /// Starts it on a folder of somebody else's.
    pub(crate) fn start_in(data: &Path) -> Self {
        Self::start_among(data, &[])
    }

    /// The same with these environment variables.
    pub(crate) fn start_among(data: &Path, variables: &[(&str, OsString)]) -> Self {
        let mut command = serving(data);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let (process, url) = start(&mut command, |line| {
            line.split_whitespace()
                .find(|word| word.starts_with("ws://"))
                .map(str::to_owned)
        });
        Self {
            process,
            url,
            _folder: None,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Where WebSocket clients connect.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn session(&self) -> Session {
        connect(&self.url, "realm1").await.unwrap()
    }

    /// A client whose buyer or seller has a channel of its own, with plenty in it.
    async fn delegate(&self, kind: ChannelKind) -> (MarketClient, Signer, ChannelId) {
        let client = MarketClient::new(self.session().await, None).await.unwrap();
        let (actor, delegate) = (Signer::generate(), Signer::generate());
        let deposit = Amount::from_tokens(DEPOSIT_TOKENS);
        if kind == ChannelKind::Payment {
            dev::fund(client.session(), actor.address(), deposit)
                .await
                .unwrap();
        }
        let terms = ChannelTerms {
            kind,
            delegate: delegate.address(),
            amount: deposit,
        };
        let channel = dev::open_channel(&client, &actor, terms).await.unwrap();
        (client, delegate, channel)
    }

    /// A seller with `keys` keys on sale, priced by the market.
    pub(crate) async fn seller(&self, keys: usize) -> (Seller, Vec<Series>) {
        let (client, delegate, _) = self.delegate(ChannelKind::Paying).await;
        let seller = Seller::start(client, delegate, SellerOptions::default())
            .await
            .unwrap();
        let mut series = Vec::with_capacity(keys);
        for _ in 0..keys {
            let terms = SeriesTerms {
                api: ApiId(rand::random()),
                uri: "com.example.bench".to_owned(),
                terms: KeyTerms::Dynamic(Pricing::default()),
                copies: None,
                categories: std::collections::BTreeMap::new(),
                lifetime: Duration::from_secs(3600),
            };
            series.push(seller.series(terms).await.unwrap());
        }
        (seller, series)
    }

    pub(crate) async fn buyer(&self) -> Buyer {
        let (client, signer, channel) = self.delegate(ChannelKind::Payment).await;
        let remaining = Amount::from_tokens(DEPOSIT_TOKENS);
        Buyer {
            client,
            signer,
            channel,
            seq: Seq::FIRST,
            remaining,
        }
    }
}

/// A buyer whose steps are taken one by one, so that each can be timed alone.
pub(crate) struct Buyer {
    client: MarketClient,
    signer: Signer,
    channel: ChannelId,
    seq: Seq,
    remaining: Amount,
}

/// An order, signed and ready.
pub(crate) struct Order(Vec<Value>);

impl Buyer {
    /// Asks for the price of each key and signs for them in this order.
    pub(crate) async fn prepare(&mut self, keys: &[KeyId]) -> Vec<Order> {
        let mut orders = Vec::with_capacity(keys.len());
        for &key in keys {
            let price = self.client.quote(key).await.unwrap().price;
            self.seq = self.seq.next().unwrap();
            self.remaining = self.remaining.checked_sub(price).unwrap();
            let facts = self.client.facts();
            let state = ChannelClose::off_chain(facts.market, self.channel, self.seq, self.remaining);
            let signature = self.signer.sign(&state.digest(&facts.domain));
            orders.push(Order(vec![
                self.signer.address().0.into(),
                [9; 32].into(),
                key.0.into(),
                self.channel.0.into(),
                Value::Int(u64::from(self.seq.0).into()),
                price.to_be_bytes().into(),
                self.remaining.to_be_bytes().into(),
                signature.0.into(),
            ]));
        }
        orders
    }

    /// Buys. Orders are sent as they were prepared: all, and in order.
    pub(crate) async fn send(&self, order: Order) {
        let session = self.client.session();
        call(session, "xbr.marketmaker.buy_key", order.0, Dict::new()).await;
    }
}

/// A call that must succeed.
pub(crate) async fn call(session: &Session, uri: &str, args: Vec<Value>, kwargs: Dict) -> CallResult {
    let options = CallOptions {
        timeout: Some(Duration::from_secs(20)),
        ..CallOptions::default()
    };
    session
        .call(uri, args, kwargs, options)
        .await
        .unwrap_or_else(|error| panic!("{uri}: {error:?}"))
}
