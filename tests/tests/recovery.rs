//! A seller may have advanced and its answer is lost, or worth nothing: it is asked again for the next position and for
//! nothing more. Its buyer gets the key it pays for, or keeps its money; and all three sides end at the same pair.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::{Amount, KeyId, Seq};
use bourse_tests::{Behaviour, Buyer, Seller, World, assert_balanced, call, map_of, refused, tokens};
use bourse_wamp::Value;
use std::time::{Duration, Instant};

const NO_SUCH_OBJECT: &str = "crossbar.error.no_such_object";
const SELLER_UNAVAILABLE: &str = "bourse.error.seller_unavailable";
const TRANSACTION_FAILED: &str = "xbr.error.transaction_failed";
const INVALID_SIGNATURE: &str = "xbr.error.invalid_signature";
const OTHER_SEQ: &str = "xbr.error.unexpected_channel_seq";
const RUNTIME: &str = "wamp.error.runtime_error";

/// A seller that has sold one key to one buyer, for one token: its channel stands at (2, 999). Silence is soon over.
async fn proven() -> (World, Seller, Buyer, KeyId) {
    let world = World::with(|config| config.market.sell_deadline_ms = 2500).await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    (world, seller, buyer, key)
}

async fn suspended(seller: &Seller) -> bool {
    let channel = vec![Value::from(seller.channel.0)];
    let channel = call(&seller.session, "xbr.marketmaker.get_paying_channel", channel)
        .await
        .unwrap();
    map_of(&channel)["suspended"] != Value::Null
}

/// Position, amount and balance of each question after the first sale.
fn asked(seller: &Seller) -> Vec<(u32, Amount, Amount)> {
    let sells = seller.sells();
    sells[1..]
        .iter()
        .map(|sell| (sell.seq.0, sell.amount, sell.balance))
        .collect()
}

const FIRST: u32 = 3;

/// What the seller is asked first, and in the `nth` step of recovery.
fn question(nth: u32) -> (u32, Amount, Amount) {
    let amount = if nth == 0 { tokens(1) } else { Amount::ZERO };
    (FIRST + nth, amount, tokens(998))
}

#[tokio::test]
async fn a_seller_that_advanced_and_lost_its_answer_is_asked_again_and_its_buyer_gets_the_key() {
    for lost in [
        Behaviour::LoseAnswer,
        Behaviour::DropAnswer,
        Behaviour::NoKey,
        Behaviour::ShortKey,
        Behaviour::Nonsense,
    ] {
        let (world, seller, mut buyer, key) = proven().await;
        seller.behave(Behaviour::InTurn(vec![lost.clone()]));
        buyer.buy(key).await.unwrap();
        assert_eq!(asked(&seller), [question(0), question(1)], "{lost:?}");
        assert_eq!(
            (seller.books(), buyer.seq),
            ((Seq(4), tokens(998)), Seq(3)),
            "{lost:?}"
        );
        assert!(!suspended(&seller).await, "{lost:?}");
        assert_balanced(&world, &[&buyer], &[&seller]).await;
        // And the next sale goes on from there.
        buyer.buy(key).await.unwrap();
        assert_balanced(&world, &[&buyer], &[&seller]).await;
    }
}

#[tokio::test]
async fn a_seller_that_loses_its_second_answer_too_is_asked_once_more_and_never_again() {
    let (world, seller, mut buyer, key) = proven().await;
    seller.behave(Behaviour::InTurn(vec![
        Behaviour::LoseAnswer,
        Behaviour::DropAnswer,
    ]));
    buyer.buy(key).await.unwrap();
    assert_eq!(asked(&seller), [question(0), question(1), question(2)]);
    assert_eq!(seller.books(), (Seq(5), tokens(998)));
    assert_balanced(&world, &[&buyer], &[&seller]).await;

    let (world, mut seller, mut buyer, key) = proven().await;
    seller.behave(Behaviour::LoseAnswer);
    let error = refused(buyer.buy(key).await, TRANSACTION_FAILED);
    assert_eq!(
        asked(&seller),
        [question(0), question(1), question(2)],
        "{error:?}"
    );
    assert!(suspended(&seller).await);
    assert_ne!(
        seller.books(),
        seller.posted().await,
        "what it adopted is not posted"
    );
    seller.behave(Behaviour::Honest);
    seller.restart(&world).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test]
async fn a_seller_that_had_not_advanced_is_asked_the_first_question_again() {
    // Its network dropped the question, not the answer; or it failed before it moved, or refused to say more.
    for clumsy in [
        Behaviour::Silent,
        Behaviour::Refuse(RUNTIME),
        Behaviour::WrongSigner,
    ] {
        let (world, mut seller, mut buyer, key) = proven().await;
        seller.behave(Behaviour::InTurn(vec![clumsy.clone()]));
        buyer.buy(key).await.unwrap();
        assert_eq!(
            asked(&seller),
            [question(0), question(1), question(0)],
            "{clumsy:?}"
        );
        assert_eq!(seller.books(), (Seq(3), tokens(998)), "{clumsy:?}");
        assert_balanced(&world, &[&buyer], &[&seller]).await;
        if clumsy == Behaviour::WrongSigner {
            seller.register(&world).await;
        }
        buyer.buy(key).await.unwrap();
        assert_balanced(&world, &[&buyer], &[&seller]).await;
    }
}

#[tokio::test]
async fn whatever_a_seller_answers_wherever_it_stands_exactly_one_question_suits_it() {
    use Behaviour::{DropAnswer, LoseAnswer, Refuse, Silent};
    for (turns, seq) in [
        (vec![LoseAnswer, Refuse(OTHER_SEQ)], 4),
        (vec![Refuse(RUNTIME), Refuse(OTHER_SEQ), Refuse(OTHER_SEQ)], 3),
        (vec![Silent, Silent], 3),
        (vec![LoseAnswer, Silent], 4),
        (vec![DropAnswer, LoseAnswer, Refuse(OTHER_SEQ)], 5),
    ] {
        let (world, seller, mut buyer, key) = proven().await;
        seller.behave(Behaviour::InTurn(turns.clone()));
        buyer.buy(key).await.unwrap();
        assert_eq!(seller.books(), (Seq(seq), tokens(998)), "{turns:?}");
        assert_balanced(&world, &[&buyer], &[&seller]).await;
    }
}

#[tokio::test]
async fn a_seller_that_never_answers_costs_its_buyer_the_deadline_and_nothing_more() {
    let (world, mut seller, mut buyer, key) = proven().await;
    for silence in [Behaviour::Silent, Behaviour::DropAnswer] {
        seller.behave(silence.clone());
        let since = Instant::now();
        refused(buyer.buy(key).await, SELLER_UNAVAILABLE);
        let took = since.elapsed();
        assert!(took < Duration::from_millis(3500), "{silence:?} took {took:?}");
        assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance), "{silence:?}");
        assert!(suspended(&seller).await, "{silence:?}");
        seller.behave(Behaviour::Honest);
        seller.restart(&world).await;
        buyer.buy(key).await.unwrap();
        assert_balanced(&world, &[&buyer], &[&seller]).await;
    }
}

#[tokio::test]
async fn w_29a_a_seller_that_forges_a_signature_may_come_round_and_loses_its_registration_all_the_same() {
    let (world, mut seller, mut buyer, key) = proven().await;
    seller.behave(Behaviour::InTurn(vec![Behaviour::Forge]));
    buyer.buy(key).await.unwrap();
    assert_eq!(asked(&seller), [question(0), question(1)]);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
    refused(buyer.buy(key).await, SELLER_UNAVAILABLE);
    assert_eq!(asked(&seller).len(), 2);
    seller.register(&world).await;
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;

    // One that forges on is voided, with the first of its lies.
    seller.behave(Behaviour::Forge);
    refused(buyer.buy(key).await, INVALID_SIGNATURE);
    assert!(suspended(&seller).await);
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
    world.assert_sound();
}

#[tokio::test]
async fn words_in_answer_to_a_recovery_prove_nothing() {
    for word in [
        NO_SUCH_OBJECT,
        "xbr.error.unexpected_channel_balance",
        "xbr.error.unexpected_channel_oid",
        "xbr.error.unexpected_marketmaker_adr",
        "wamp.error.no_such_procedure",
    ] {
        let (world, seller, mut buyer, key) = proven().await;
        seller.behave(Behaviour::InTurn(vec![
            Behaviour::LoseAnswer,
            Behaviour::Refuse(word),
        ]));
        let error = refused(buyer.buy(key).await, TRANSACTION_FAILED);
        assert_eq!(asked(&seller).len(), 2, "{word}: {error:?}");
        assert!(
            suspended(&seller).await,
            "{word}: it advanced, whatever it says now"
        );
        assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance), "{word}");
        world.assert_sound();
    }
}

#[tokio::test]
async fn a_session_that_never_proved_itself_is_not_asked_again() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(Some(tokens(1))).await;
    seller.behave(Behaviour::LoseAnswer);
    refused(buyer.buy(key).await, TRANSACTION_FAILED);
    assert_eq!(seller.sells().len(), 1);
    assert!(!suspended(&seller).await, "a stranger suspends itself alone");
    world.assert_sound();
}

#[tokio::test]
async fn a_seller_that_is_gone_is_not_waited_for() {
    let (world, seller, mut buyer, key) = proven().await;
    seller.behave(Behaviour::DropAnswer);
    let buying = async {
        let since = Instant::now();
        refused(buyer.buy(key).await, TRANSACTION_FAILED);
        since.elapsed()
    };
    let leaving = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        seller.session.leave().await;
    };
    let (took, ()) = tokio::join!(buying, leaving);
    assert!(took < Duration::from_millis(900), "{took:?}");
    assert_eq!(seller.sells().len(), 2, "nobody is left who could be asked");
    world.assert_sound();
}

#[tokio::test]
async fn the_recovered_purchase_sent_again_gets_the_same_receipt() {
    let (world, seller, mut buyer, key) = proven().await;
    seller.behave(Behaviour::InTurn(vec![Behaviour::LoseAnswer]));
    let order = buyer.order(key, tokens(1));
    let receipt = buyer.pay(&order).await.unwrap();
    let sells = seller.sells().len();
    assert_eq!(buyer.send(&order).await.unwrap(), receipt);
    assert_eq!(seller.sells().len(), sells);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_recovery_voids_the_purchase_and_suspends_its_seller() {
    let mut world = World::apart().await;
    let mut seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();

    seller.behave(Behaviour::InTurn(vec![
        Behaviour::LoseAnswer,
        Behaviour::DropAnswer,
    ]));
    let order = buyer.order(key, tokens(1));
    let answer = tokio::time::timeout(Duration::from_millis(500), buyer.send(&order)).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(asked(&seller), [question(0), question(1)]);
    assert_eq!(
        world.verify().checked.sent,
        1,
        "it waits for the answer to its recovery"
    );
    world.kill();
    let left = world.verify();
    assert_eq!((left.checked.sent, left.violations), (1, vec![]));

    world.run_apart();
    buyer.reconnect(&world).await;
    assert_eq!(
        buyer.posted().await,
        (buyer.seq, buyer.balance),
        "the buyer has everything back"
    );
    seller.behave(Behaviour::Honest);
    seller.session = world.session().await;
    assert!(suspended(&seller).await, "nobody knows whether it answered");
    seller.register(&world).await;
    let receipt = buyer.send(&order).await.unwrap();
    buyer.book(&receipt);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}
