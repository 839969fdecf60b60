//! A seller whose market maker misses its answers, asks again and asks several things at once.

use crate::market::FakeMarket;
use crate::{PRICE, open, terms, tokens};
use bourse_chain::Signer;
use bourse_delegates::{Balance, ReceiveKey, Seller, SellerOptions, Series};
use bourse_market::{Address, Amount, BuyerPubkey, ChannelKind, KeyId, SealedKey, Seq};
use bourse_wamp::{CallError, Dict, Session, Value};
use std::task::Poll;

const OTHER_SEQ: &str = "xbr.error.unexpected_channel_seq";

/// A market and a seller with a channel of 500 tokens and one key.
struct Sales {
    market: FakeMarket,
    signer: Signer,
    session: Session,
    seller: Seller,
    series: Series,
    buyer: ReceiveKey,
}

impl Sales {
    async fn start() -> Self {
        let market = FakeMarket::start(PRICE).await;
        let signer = Signer::generate();
        open(&market.client().await, ChannelKind::Paying, &signer).await;
        let (session, seller, series) = begin(&market, &signer).await;
        Self {
            market,
            signer,
            session,
            seller,
            series,
            buyer: ReceiveKey::generate(),
        }
    }

    /// Another process with the same key takes its place.
    async fn restart(&mut self) {
        // The one before must be gone: the market does not let two answer under one name.
        self.session.leave().await;
        (self.session, self.seller, self.series) = begin(&self.market, &self.signer).await;
    }

    fn delegate(&self) -> Address {
        self.signer.address()
    }

    fn question(&self, ask: (u32, Amount, Amount)) -> Vec<Value> {
        self.question_of(self.series.key(), self.buyer.public(), ask)
    }

    fn question_of(&self, key: KeyId, buyer: BuyerPubkey, ask: (u32, Amount, Amount)) -> Vec<Value> {
        self.market.question(self.seller.channel(), key, buyer, ask)
    }

    /// Sends all questions before the first is answered; the answers, which must each cover what was asked.
    async fn ask_at_once(&self, questions: &[Vec<Value>]) -> Vec<Result<Dict, CallError>> {
        let mut answers: Vec<Option<Result<Dict, CallError>>> = questions.iter().map(|_| None).collect();
        let mut calls: Vec<_> = questions
            .iter()
            .map(|question| Box::pin(self.market.ask(self.seller.provider_id(), question.clone())))
            .collect();
        std::future::poll_fn(|context| {
            for (call, answer) in calls.iter_mut().zip(&mut answers) {
                if answer.is_none()
                    && let Poll::Ready(said) = call.as_mut().poll(context)
                {
                    *answer = Some(said);
                }
            }
            if answers.iter().all(Option::is_some) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        answers.into_iter().map(Option::unwrap).collect()
    }

    /// Asks one thing and must get the key for it.
    async fn sold(&self, question: &[Value]) -> Dict {
        let asked = self.market.ask(self.seller.provider_id(), question.to_vec());
        let answer = asked.await.unwrap();
        assert!(self.market.covers(&answer, self.delegate(), question));
        answer
    }

    fn stands_at(&self, seq: u32, remaining: u64) {
        let balance = Balance {
            seq: Seq(seq),
            remaining: tokens(remaining),
        };
        assert_eq!(self.seller.balance(), Some(balance));
    }
}

async fn begin(market: &FakeMarket, signer: &Signer) -> (Session, Seller, Series) {
    let signer = Signer::from_bytes(&signer.to_bytes()).unwrap();
    let client = market.client().await;
    let session = client.session().clone();
    let seller = Seller::start(client, signer, SellerOptions::default())
        .await
        .unwrap();
    let series = seller.series(terms()).await.unwrap();
    (session, seller, series)
}

fn other_seq(answer: Result<Dict, CallError>) {
    match answer {
        Err(CallError::Wamp(error)) if error.uri == OTHER_SEQ => {}
        other => panic!("{other:?}"),
    }
}

/// Whether a key was sealed for this buyer.
fn opens(buyer: &ReceiveKey, answer: &Dict) -> bool {
    let sealed = SealedKey::try_from(answer["sealed_key"].as_bytes().unwrap()).unwrap();
    buyer.unseal(&sealed).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_in_the_order_they_came() {
    const SALES: u32 = 30;
    let sales = Sales::start().await;
    // Each twice: what is asked again has the same answer, and is paid once.
    let questions: Vec<_> = (1..=SALES)
        .flat_map(|sold| {
            let question = sales.question((1 + sold, tokens(10), tokens(500 - 10 * u64::from(sold))));
            [question.clone(), question]
        })
        .collect();
    let answers = sales.ask_at_once(&questions).await;
    for (twice, asked) in answers.chunks(2).zip(questions.chunks(2)) {
        let [first, again] = twice else {
            panic!("{twice:?}")
        };
        let first = first.as_ref().unwrap();
        assert!(sales.market.covers(first, sales.delegate(), &asked[0]));
        assert_eq!(first, again.as_ref().unwrap());
    }
    sales.stands_at(1 + SALES, 500 - 10 * u64::from(SALES));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_maker_that_asks_again_before_it_was_answered_never_overtakes_itself() {
    const SALES: u32 = 10;
    let sales = Sales::start().await;
    for sold in 1..=SALES {
        let (seq, balance) = (3 * sold - 1, tokens(500 - 10 * u64::from(sold)));
        let questions = [
            sales.question((seq, tokens(10), balance)),
            sales.question((seq + 1, Amount::ZERO, balance)),
            sales.question((seq + 2, Amount::ZERO, balance)),
        ];
        for (answer, question) in sales.ask_at_once(&questions).await.into_iter().zip(&questions) {
            let answer = answer.unwrap();
            assert!(sales.market.covers(&answer, sales.delegate(), question));
            assert!(opens(&sales.buyer, &answer));
        }
        sales.stands_at(seq + 2, 500 - 10 * u64::from(sold));
    }
}

#[tokio::test]
async fn what_a_seller_adopted_for_nothing_is_taken_off_its_next_sales() {
    let mut sales = Sales::start().await;
    // All three answers are lost, and the purchase is void for its buyer.
    let void = tokens(465);
    for ask in [(2, tokens(35)), (3, Amount::ZERO), (4, Amount::ZERO)] {
        sales.sold(&sales.question((ask.0, ask.1, void))).await;
    }
    sales.stands_at(4, 465);
    // The market maker starts again where it stands in its own books, and feels its way on.
    let key = sales.series.rotate().await.unwrap();
    let buyer = ReceiveKey::generate();
    for (seq, balance) in [(2, tokens(480)), (3, void), (4, void)] {
        let question = sales.question_of(
            key,
            buyer.public(),
            (seq, tokens(500).checked_sub(balance).unwrap(), balance),
        );
        other_seq(sales.market.ask(sales.seller.provider_id(), question).await);
    }
    sales.stands_at(4, 465);
    // 35 are prepaid: two sales at 20 cost it 5 more.
    for (ask, remaining) in [((5, Amount::ZERO, void), 465), ((6, tokens(5), tokens(460)), 460)] {
        let answer = sales.sold(&sales.question_of(key, buyer.public(), ask)).await;
        assert!(opens(&buyer, &answer));
        sales.stands_at(ask.0, remaining);
    }
}

#[tokio::test]
async fn a_seller_that_starts_anew_goes_on_from_what_its_market_says() {
    let mut sales = Sales::start().await;
    sales.sold(&sales.question((2, tokens(35), tokens(465)))).await;
    sales.stands_at(2, 465);
    // The market maker never got the answer: in its books nothing was sold.
    sales.restart().await;
    sales.stands_at(1, 500);
    let confirm = sales.question((3, Amount::ZERO, tokens(465)));
    other_seq(sales.market.ask(sales.seller.provider_id(), confirm).await);
    sales.sold(&sales.question((2, tokens(20), tokens(480)))).await;
    sales.stands_at(2, 480);
}
