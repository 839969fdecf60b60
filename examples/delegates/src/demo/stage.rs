//! The demo's two parties: their keys, their channels, and one trade between them.

use super::product::{DEAREST, PRODUCTS, Product, Reading, WINDOW};
use super::{DemoOptions, Sale};
use crate::dev::{ChannelTerms, fund, open_channel};
use crate::{
    Balance, Bought, Buyer, BuyerOptions, DelegateError, MarketClient, ReceiveKey, Seller, SellerOptions,
    Series, Wrapped, connect, subscribe,
};
use bourse_chain::load_or_create_key;
use bourse_market::ChannelKind;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A series goes on to a fresh key after so many sales.
const SALES_OF_A_KEY: u64 = 24;
/// An event takes a millisecond; this is for a machine that is busy.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Before trading again after an error.
const BREATH: Duration = Duration::from_secs(1);

/// A product on sale: the seller's keys for it, and the payloads the buyer hears.
struct Stall {
    product: &'static Product,
    series: Series,
    events: mpsc::Receiver<Wrapped>,
    published: u64,
    /// When it was sold, within the window.
    sales: VecDeque<Instant>,
}

/// Both parties, ready to trade.
pub(super) struct Stage {
    options: DemoOptions,
    selling: MarketClient,
    buying: MarketClient,
    buyer: Buyer,
    stalls: Vec<Stall>,
}

impl Stage {
    /// Connects both, with the keys and channels of the last time where there are any.
    pub(super) async fn set(options: DemoOptions) -> Result<Self, DelegateError> {
        let selling = join(&options).await?;
        let buying = join(&options).await?;
        let seller = start_seller(&options, &selling).await?;
        let buyer = start_buyer(&options, &buying).await?;
        let mut stalls = Vec::with_capacity(PRODUCTS.len());
        for product in &PRODUCTS {
            let events = subscribe(buying.session(), &product.uri()).await?;
            let series = seller.series(product.terms()).await?;
            stalls.push(Stall {
                product,
                series,
                events,
                published: 0,
                sales: VecDeque::new(),
            });
        }
        Ok(Self {
            options,
            selling,
            buying,
            buyer,
            stalls,
        })
    }

    /// Publishes a reading, buys its key, and reads it. None if there is no such product.
    pub(super) async fn trade(&mut self, product: usize) -> Result<Option<Sale>, DelegateError> {
        let Some(stall) = self.stalls.get_mut(product) else {
            return Ok(None);
        };
        if stall.published > 0 && stall.published.is_multiple_of(SALES_OF_A_KEY) {
            stall.series.rotate().await?;
        }
        stall.published += 1;
        let reading = stall.product.reading(stall.published);
        let wrapped = stall.exchange(&reading).await?;
        let demand = stall.demand();
        let Bought {
            key,
            data_key,
            price,
            balance,
        } = self.buyer.buy(wrapped.key, DEAREST).await?;
        stall.sales.push_back(Instant::now());
        let read = data_key.decrypt::<Reading>(&wrapped.ciphertext);
        Ok(Some(Sale {
            product: stall.product.name,
            key,
            base: stall.product.base(),
            price,
            demand,
            balance: balance.remaining,
            seq: balance.seq,
            decrypted: read.is_ok_and(|read| read == reading),
        }))
    }

    /// Puts right what can be: an exhausted channel, a seller the market lost faith in. Gives up when the market is
    /// gone.
    pub(super) async fn recover(&mut self, error: DelegateError) -> Result<(), DelegateError> {
        if error.is_closed()
            || matches!(
                error,
                DelegateError::ForeignState { .. } | DelegateError::Receipt(_)
            )
        {
            return Err(error);
        }
        tracing::warn!(%error, "a trade of the demo failed");
        tokio::time::sleep(BREATH).await;
        if matches!(error, DelegateError::Exhausted { .. })
            || error.is("xbr.error.insufficient_payment_balance")
        {
            self.buyer = start_buyer(&self.options, &self.buying).await?;
        } else if error.is("xbr.error.insufficient_paying_balance")
            || error.is("bourse.error.seller_unavailable")
        {
            self.restart_seller().await?;
        }
        Ok(())
    }

    /// Leaves and joins again: registering anew is what tells the market to trust a seller again, or to pay it on
    /// another channel.
    async fn restart_seller(&mut self) -> Result<(), DelegateError> {
        self.selling.session().leave().await;
        self.selling = join(&self.options).await?;
        let seller = start_seller(&self.options, &self.selling).await?;
        for stall in &mut self.stalls {
            stall.series = seller.series(stall.product.terms()).await?;
        }
        Ok(())
    }

    /// Says goodbye.
    pub(super) async fn leave(&self) {
        self.buying.session().leave().await;
        self.selling.session().leave().await;
    }
}

impl Stall {
    /// From the seller to the buyer, over the router.
    async fn exchange(&mut self, reading: &Reading) -> Result<Wrapped, DelegateError> {
        self.series.publish(reading).await?;
        let heard = async {
            loop {
                match self.events.recv().await {
                    // An older one, from before a trade failed.
                    Some(wrapped) if wrapped.key != self.series.key() || !self.events.is_empty() => {}
                    heard => return heard,
                }
            }
        };
        let heard = tokio::time::timeout(EVENT_TIMEOUT, heard).await.ok().flatten();
        heard.ok_or_else(|| DelegateError::NoAnswer {
            procedure: self.series.uri().to_owned(),
            reason: "the event did not reach the buyer".to_owned(),
            closed: false,
        })
    }

    /// Sales within the window.
    fn demand(&mut self) -> usize {
        while self.sales.front().is_some_and(|sale| sale.elapsed() > WINDOW) {
            self.sales.pop_front();
        }
        self.sales.len()
    }
}

async fn join(options: &DemoOptions) -> Result<MarketClient, DelegateError> {
    MarketClient::new(connect(&options.url, &options.realm).await?, None).await
}

fn key_path(options: &DemoOptions, name: &str) -> PathBuf {
    options.folder.join(format!("{name}.key"))
}

/// The buyer on the newest channel that can pay for the dearest key, or on a new one.
async fn start_buyer(options: &DemoOptions, client: &MarketClient) -> Result<Buyer, DelegateError> {
    let actor = load_or_create_key(&key_path(options, "buyer"))?;
    let delegate = load_or_create_key(&key_path(options, "buyer-delegate"))?;
    let kind = ChannelKind::Payment;
    let newest = client.live_channels(kind, delegate.address()).await?.pop();
    let channel = match newest {
        Some(channel) if covers(client.balance(kind, channel).await?) => channel,
        _ => {
            fund(client.session(), actor.address(), options.payment_deposit).await?;
            let terms = ChannelTerms {
                kind,
                delegate: delegate.address(),
                amount: options.payment_deposit,
            };
            open_channel(client, &actor, terms).await?
        }
    };
    let buying = BuyerOptions {
        channel: Some(channel),
    };
    Buyer::start(client.clone(), delegate, ReceiveKey::generate(), buying).await
}

/// The seller on a channel that can pay for the dearest key.
///
/// A market pays a delegate on its oldest channel until that is empty to the last unit. A channel with too little in
/// it is therefore followed by a new delegate, and not by a second channel of the same.
async fn start_seller(options: &DemoOptions, client: &MarketClient) -> Result<Seller, DelegateError> {
    let actor = load_or_create_key(&key_path(options, "seller"))?;
    let delegate_path = |number: u32| key_path(options, &format!("seller-delegate-{number}"));
    let mut number = 1;
    while delegate_path(number + 1).exists() {
        number += 1;
    }
    let delegate = loop {
        let delegate = load_or_create_key(&delegate_path(number))?;
        match client
            .active_channel(ChannelKind::Paying, delegate.address())
            .await?
        {
            Some(channel) if covers(client.balance(ChannelKind::Paying, channel).await?) => break delegate,
            Some(_) => number += 1,
            None => {
                let kind = ChannelKind::Paying;
                let terms = ChannelTerms {
                    kind,
                    delegate: delegate.address(),
                    amount: options.paying_deposit,
                };
                open_channel(client, &actor, terms).await?;
                break delegate;
            }
        }
    };
    Seller::start(client.clone(), delegate, SellerOptions::default()).await
}

fn covers(balance: Balance) -> bool {
    balance.remaining >= DEAREST
}
