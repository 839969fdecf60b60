//! Our own example seller and buyer, behind the same network as the original ones: what is lost costs nobody anything, and
//! what was published decrypts with every key that was paid for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_chain::Signer;
use bourse_delegates::dev::{ChannelTerms, open_channel};
use bourse_delegates::{
    Buyer, BuyerOptions, KeyTerms, MarketClient, ReceiveKey, Seller, SellerOptions, Series, SeriesTerms,
    connect,
};
use bourse_market::{ApiId, ChannelKind};
use bourse_tests::{Fate, Network, World, fund, tokens};
use bourse_wamp::Session;
use std::collections::BTreeMap;
use std::time::Duration;

const DEADLINE_MS: u64 = 5000;
const DEPOSIT: u64 = 1000;
const PRICE: u64 = 3;
/// Outlasts the first wait for an answer.
const LONG: Duration = Duration::from_millis(DEADLINE_MS * 3 / 4 + 200);

struct Stage {
    world: World,
    network: Network,
    signer: Signer,
    session: Session,
    seller: Seller,
    series: Series,
    buyer: Buyer,
}

impl Stage {
    /// On a market that gives a sale [`DEADLINE_MS`].
    async fn start() -> Self {
        Self::on(World::with(|config| config.market.sell_deadline_ms = DEADLINE_MS).await).await
    }

    /// The seller has proved itself by one sale.
    async fn on(world: World) -> Self {
        let network = Network::before(&world).await;
        let client = client(&world.url()).await;
        let (signer, delegate) = (Signer::generate(), Signer::generate());
        for (kind, delegate) in [(ChannelKind::Paying, &signer), (ChannelKind::Payment, &delegate)] {
            let terms = ChannelTerms {
                kind,
                delegate: delegate.address(),
                amount: tokens(DEPOSIT),
            };
            let actor = Signer::generate();
            fund(client.session(), actor.address(), terms.amount).await;
            open_channel(&client, &actor, terms).await.unwrap();
        }
        let (session, seller, series) = begin(&network, &signer).await;
        let buyer = Buyer::start(client, delegate, ReceiveKey::generate(), BuyerOptions::default())
            .await
            .unwrap();
        let mut stage = Self {
            world,
            network,
            signer,
            session,
            seller,
            series,
            buyer,
        };
        stage.buy().await;
        stage
    }

    /// Buys the current key, which must open what was encrypted under it. All sides must agree then.
    async fn buy(&mut self) {
        let payload = self.series.wrap(&"news").unwrap();
        let bought = self.buyer.buy(self.series.key(), tokens(PRICE)).await.unwrap();
        assert_eq!(
            bought.data_key.decrypt::<String>(&payload.ciphertext).unwrap(),
            "news"
        );
        self.agree().await;
        self.series.rotate().await.unwrap();
    }

    /// Wants to buy and does not; the buyer has everything it had.
    async fn fail(&mut self) {
        let before = self.buyer.balance();
        let key = self.series.key();
        assert!(self.buyer.buy(key, tokens(PRICE)).await.is_err());
        let posted = client(&self.world.url()).await;
        let posted = posted
            .balance(ChannelKind::Payment, self.buyer.channel())
            .await
            .unwrap();
        assert_eq!((posted, self.buyer.balance()), (before, before));
    }

    async fn agree(&self) {
        let market = client(&self.world.url()).await;
        let paying = market
            .balance(ChannelKind::Paying, self.seller.channel())
            .await
            .unwrap();
        assert_eq!(self.seller.balance(), Some(paying));
        let payment = market
            .balance(ChannelKind::Payment, self.buyer.channel())
            .await
            .unwrap();
        assert_eq!(self.buyer.balance(), payment);
        assert_eq!(paying.remaining, payment.remaining, "both started with {DEPOSIT}");
        self.world.assert_sound();
    }

    /// The seller starts anew on a new connection, with new keys and what the market says.
    async fn restart(&mut self) {
        self.session.leave().await;
        (self.session, self.seller, self.series) = begin(&self.network, &self.signer).await;
    }
}

async fn client(url: &str) -> MarketClient {
    MarketClient::new(connect(url, "realm1").await.unwrap(), None)
        .await
        .unwrap()
}

async fn begin(network: &Network, signer: &Signer) -> (Session, Seller, Series) {
    let signer = Signer::from_bytes(&signer.to_bytes()).unwrap();
    let client = client(network.url()).await;
    let session = client.session().clone();
    let seller = Seller::start(client, signer, SellerOptions::default())
        .await
        .unwrap();
    let terms = SeriesTerms {
        api: ApiId([1; 16]),
        uri: "io.example.test".to_owned(),
        categories: BTreeMap::new(),
        terms: KeyTerms::Fixed(tokens(PRICE)),
        copies: None,
        lifetime: Duration::from_secs(600),
    };
    let series = seller.series(terms).await.unwrap();
    (session, seller, series)
}

/// Sells once for each of these fates of its questions and answers, which moves its channel so far.
async fn sell(mut stage: Stage, sales: &[(&[Fate], u32)]) {
    for (fates, moves) in sales {
        // Told only where the test fails.
        eprintln!("{fates:?}");
        let before = stage.seller.balance().unwrap().seq.0;
        stage.network.plan(fates.iter().copied());
        stage.buy().await;
        assert!(stage.network.is_done());
        assert_eq!(stage.seller.balance().unwrap().seq.0, before + moves);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_seller_whose_answer_is_lost_or_late_is_asked_again_and_paid_once() {
    let sales: [(&[Fate], u32); 4] = [
        (&[Fate::LoseAnswer], 2),
        (&[], 1),
        (&[Fate::LoseQuestion], 1),
        (&[Fate::Delay(LONG)], 2),
    ];
    sell(Stage::start().await, &sales).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_seller_whose_second_answer_is_lost_too_is_asked_a_third_time() {
    // The last question has a sixteenth of the deadline: the whole 10 s, for a busy machine.
    let stage = Stage::on(World::start().await).await;
    sell(stage, &[(&[Fate::LoseAnswer, Fate::LoseAnswer], 3), (&[], 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_seller_that_lost_a_sale_for_good_goes_on_from_what_the_market_says() {
    for fates in [
        vec![Fate::LoseAnswer; 3],
        vec![Fate::BreakAtAnswer],
        vec![Fate::BreakAtQuestion],
    ] {
        let mut stage = Stage::start().await;
        stage.network.plan(fates);
        stage.fail().await;
        stage.restart().await;
        stage.buy().await;
        stage.buy().await;
    }
}
