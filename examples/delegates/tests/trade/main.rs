//! A seller and a buyer on a market that misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod market;
mod sales;

use bourse_chain::Signer;
use bourse_delegates::demo::{self, DemoOptions};
use bourse_delegates::dev::{ChannelTerms, open_channel};
use bourse_delegates::{
    Buyer, BuyerOptions, DelegateError, KeyTerms, MarketClient, Pricing, ReceiveKey, Seller, SellerOptions,
    Series, SeriesTerms, Sold, connect, subscribe,
};
use bourse_market::{Address, Amount, ApiId, ChannelKind, KeyId, Seq};
use market::{FakeMarket, Fault};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;

const PRICE: u64 = 35;

fn tokens(tokens: u64) -> Amount {
    Amount::from_tokens(tokens)
}

/// A market with a seller's series and a buyer, each with a channel of 500 tokens.
struct Trade {
    market: FakeMarket,
    series: Series,
    buyer: Buyer,
    sold: mpsc::Receiver<Sold>,
}

impl Trade {
    async fn start() -> Self {
        let market = FakeMarket::start(PRICE).await;
        let (selling, buying) = (market.client().await, market.client().await);

        let delegate = Signer::generate();
        open(&selling, ChannelKind::Paying, &delegate).await;
        let (sales, sold) = mpsc::channel(16);
        let options = SellerOptions {
            sales: Some(sales),
            ..SellerOptions::default()
        };
        let seller = Seller::start(selling, delegate, options).await.unwrap();
        let series = seller.series(terms()).await.unwrap();

        let delegate = Signer::generate();
        open(&buying, ChannelKind::Payment, &delegate).await;
        let buyer = Buyer::start(buying, delegate, ReceiveKey::generate(), BuyerOptions::default())
            .await
            .unwrap();
        Self {
            market,
            series,
            buyer,
            sold,
        }
    }

    async fn buy(&mut self) -> Result<bourse_delegates::Bought, DelegateError> {
        self.buyer.buy(self.series.key(), tokens(100)).await
    }

    fn left(&self) -> (Seq, Amount) {
        (self.buyer.balance().seq, self.buyer.balance().remaining)
    }
}

async fn open(client: &MarketClient, kind: ChannelKind, delegate: &Signer) {
    let terms = ChannelTerms {
        kind,
        delegate: delegate.address(),
        amount: tokens(500),
    };
    open_channel(client, &Signer::generate(), terms).await.unwrap();
}

fn terms() -> SeriesTerms {
    SeriesTerms {
        api: ApiId([1; 16]),
        uri: "io.example.test".to_owned(),
        categories: BTreeMap::new(),
        terms: KeyTerms::Dynamic(Pricing::default()),
        copies: None,
        lifetime: Duration::from_secs(600),
    }
}

#[tokio::test]
async fn a_key_is_bought_and_opens_what_was_published_under_it() {
    let mut trade = Trade::start().await;
    let listener = trade.market.client().await;
    let mut events = subscribe(listener.session(), "io.example.test").await.unwrap();
    trade.series.publish(&"news").await.unwrap();
    let wrapped = events.recv().await.unwrap();
    assert_eq!(wrapped.key, trade.series.key());

    let bought = trade.buy().await.unwrap();
    assert_eq!(
        bought.data_key.decrypt::<String>(&wrapped.ciphertext).unwrap(),
        "news"
    );
    assert_eq!(trade.left(), (Seq(2), tokens(465)));
    let sold = trade.sold.recv().await.unwrap();
    assert_eq!((sold.amount, sold.balance), (tokens(PRICE), bought.balance));

    let before = trade.series.key();
    assert_ne!(trade.series.rotate().await.unwrap(), before);
    assert!(
        trade.buyer.buy(before, tokens(100)).await.is_ok(),
        "old keys stay on sale"
    );
}

#[tokio::test]
async fn a_price_that_moved_is_asked_for_again_and_never_paid_beyond_the_limit() {
    let mut trade = Trade::start().await;
    trade.market.next(Fault::PriceMoves(tokens(40)));
    assert_eq!(trade.buy().await.unwrap().price, tokens(40));

    trade.market.next(Fault::PriceMoves(tokens(101)));
    let error = trade.buy().await.unwrap_err();
    assert!(matches!(error, DelegateError::TooExpensive { .. }), "{error}");
    assert_eq!(trade.market.purchases(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_paid_once() {
    let mut trade = Trade::start().await;
    trade.market.next(Fault::LosesAnswer);
    assert!(trade.buy().await.is_err());
    assert_eq!(trade.buy().await.unwrap().balance.remaining, tokens(465));
    assert_eq!(trade.market.purchases(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_kept_for_a_buyer_that_went_on() {
    let mut trade = Trade::start().await;
    let first = trade.series.key();
    trade.market.next(Fault::LosesAnswer);
    assert!(trade.buy().await.is_err());
    trade.series.rotate().await.unwrap();
    assert_eq!(trade.buy().await.unwrap().key, trade.series.key());
    assert_eq!(trade.buyer.take_late().unwrap().key, first);
    assert_eq!(trade.left(), (Seq(3), tokens(430)));
}

#[tokio::test]
async fn a_market_too_busy_to_answer_again_costs_nothing() {
    let mut trade = Trade::start().await;
    trade.market.next(Fault::LosesAnswer);
    assert!(trade.buy().await.is_err());
    trade.market.next(Fault::Overloaded);
    assert!(trade.buy().await.unwrap_err().is("bourse.error.overloaded"));
    assert_eq!(trade.buy().await.unwrap().balance.seq, Seq(2));
    assert_eq!(trade.market.purchases(), 1);
}

#[tokio::test]
async fn a_buyer_never_signs_away_what_a_market_maker_claims_it_spent() {
    let mut trade = Trade::start().await;
    trade.buy().await.unwrap();
    trade.market.falsify(trade.buyer.channel(), |balance| {
        *balance = bourse_delegates::Balance {
            seq: Seq(3),
            remaining: tokens(100),
        };
    });
    let error = trade.buy().await.unwrap_err();
    assert!(
        matches!(error, DelegateError::ForeignState { claimed, .. } if claimed == tokens(100)),
        "{error}"
    );
    assert_eq!(trade.left(), (Seq(2), tokens(465)));
}

#[tokio::test]
async fn a_market_that_forgot_purchases_is_followed() {
    let mut trade = Trade::start().await;
    trade.buy().await.unwrap();
    trade.market.falsify(trade.buyer.channel(), |balance| {
        *balance = bourse_delegates::Balance {
            seq: Seq(1),
            remaining: tokens(500),
        };
    });
    assert_eq!(trade.buy().await.unwrap().balance.remaining, tokens(465));
}

#[tokio::test]
async fn a_receipt_nobody_signed_is_not_believed() {
    let mut trade = Trade::start().await;
    trade.market.next(Fault::ForgesReceipt);
    let error = trade.buy().await.unwrap_err();
    assert!(matches!(error, DelegateError::Receipt(_)), "{error}");
    assert_eq!(trade.left(), (Seq(1), tokens(500)));
}

#[tokio::test]
async fn what_the_channel_does_not_hold_is_not_ordered() {
    let mut trade = Trade::start().await;
    for _ in 0..500 / PRICE {
        trade.buy().await.unwrap();
    }
    let error = trade.buy().await.unwrap_err();
    assert!(
        matches!(error, DelegateError::Exhausted { remaining, .. } if remaining == tokens(10)),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_key_and_a_missing_channel_are_named() {
    let mut trade = Trade::start().await;
    let error = trade.buyer.buy(KeyId([0; 16]), tokens(100)).await.unwrap_err();
    assert!(error.is("crossbar.error.no_such_object"), "{error}");

    let client = trade.market.client().await;
    let error = Seller::start(client, Signer::generate(), SellerOptions::default())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            DelegateError::NoChannel {
                kind: ChannelKind::Paying,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn another_market_maker_than_the_trusted_one_is_refused() {
    let market = FakeMarket::start(PRICE).await;
    let session = connect(&market.url, "realm1").await.unwrap();
    let error = MarketClient::new(session, Some(Address([0; 20])))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, DelegateError::WrongMarketMaker { got, .. } if got == market.maker()),
        "{error}"
    );
}

async fn sales_of_a_demo(options: &DemoOptions, count: usize) -> Vec<demo::Sale> {
    let (sender, mut receiver) = mpsc::channel(4);
    let run = tokio::spawn(demo::run(options.clone(), sender));
    let mut sales = Vec::new();
    for _ in 0..count {
        let sale = tokio::time::timeout(Duration::from_secs(30), receiver.recv())
            .await
            .unwrap();
        sales.push(sale.unwrap());
    }
    drop(receiver);
    run.await.unwrap().unwrap();
    sales
}

#[tokio::test]
async fn the_demo_goes_on_where_it_stopped() {
    let market = FakeMarket::start(10).await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = DemoOptions::new(&market.url, "realm1", folder.path());
    options.beat = Duration::from_millis(1);

    let first = sales_of_a_demo(&options, 12).await;
    assert!(first.iter().all(|sale| sale.decrypted), "{first:?}");
    assert_eq!(first.last().unwrap().seq, Seq(13));
    let made = market.purchases();

    let second = sales_of_a_demo(&options, 3).await;
    assert_eq!(second.first().unwrap().seq.0 as usize, made + 2);
    assert_eq!(market.channels(), 2, "one for the buyer and one for the seller");
}

#[tokio::test]
async fn the_demo_replaces_channels_that_are_exhausted() {
    let market = FakeMarket::start(50).await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = DemoOptions::new(&market.url, "realm1", folder.path());
    options.beat = Duration::from_millis(1);
    (options.payment_deposit, options.paying_deposit) = (tokens(120), tokens(170));

    let sales = sales_of_a_demo(&options, 6).await;
    assert!(
        sales
            .iter()
            .all(|sale| sale.decrypted && sale.price == tokens(50))
    );
    // It trades on while the last sale waits to be heard, so there may be more by now.
    assert!(
        market.channels() >= 3 + 2,
        "two purchases to a payment channel, three to a paying one"
    );
    assert!(folder.path().join("seller-delegate-2.key").exists());
}
