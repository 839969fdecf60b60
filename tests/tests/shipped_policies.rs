//! Shipped policies on a running market: what they promise across quotes and purchases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Grant, Hook, Rule};
use bourse_market::Amount;
use bourse_tests::{Absent, Buyer, Seller, World, assert_balanced, error_text, place, refused, tokens};
use bourse_wamp::{Dict, Value, WampError};

const REFUSED: &str = "bourse.error.refused";

fn rule(hook: Hook, policy: &str, grants: &[Grant], params: &str) -> Rule {
    Rule {
        hook,
        policy: policy.to_owned(),
        grants: grants.to_vec(),
        params: params.parse().unwrap(),
        ..Rule::default_pricing()
    }
}

async fn market(rules: Vec<Rule>) -> World {
    World::with(|config| config.policies.rule = rules).await
}

/// The code of a policy's refusal.
fn code(error: &WampError) -> &str {
    error.kwargs.get("code").and_then(Value::as_str).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_paid_once_and_a_quota_bounds_what_it_frees() {
    let mut world = market(vec![
        rule(Hook::Pricing, "subscription", &[Grant::State], "price = \"7.5\""),
        rule(Hook::Consent, "quota", &[Grant::State], "keys = 3"),
    ])
    .await;
    let mut seller = Seller::new(&world, tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(50)).await;
    let (first, second) = (seller.offer(None).await, seller.offer(None).await);
    let (third, fourth) = (seller.offer(None).await, seller.offer(None).await);
    let flat = Amount::parse_tokens("7.5").unwrap();

    let unknown = refused(buyer.quote(first).await, REFUSED);
    assert_eq!(code(&unknown), "buyer_unknown");
    // buy_key knows the buyer, and so does get_quote from then on.
    assert_eq!(buyer.buy_at(first, flat).await.unwrap().paid, flat);
    assert_eq!(buyer.buy(second).await.unwrap().paid, Amount::ZERO);
    world.restart().await;
    buyer.reconnect(&world).await;
    seller.restart(&world).await;
    assert_eq!(
        buyer.buy_at(third, Amount::ZERO).await.unwrap().paid,
        Amount::ZERO
    );
    let used_up = refused(buyer.buy_at(fourth, Amount::ZERO).await, REFUSED);
    assert_eq!(code(&used_up), "quota_used_up", "{}", error_text(&used_up));

    let mut other = Buyer::new(&world, tokens(50)).await;
    assert_eq!(other.buy_at(fourth, flat).await.unwrap().paid, flat);
    assert_balanced(&world, &[&buyer, &other], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_discount_of_a_quote_counts_with_the_purchase_that_is_made_at_it() {
    let params = "measure = \"keys\"\ntiers = [{ from = 2, off_bp = 5000 }]";
    let world = market(vec![rule(Hook::Pricing, "tiered", &[Grant::State], params)]).await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(None).await;
    // The first quote is for nobody in particular, and what is bought at it counts for nobody.
    let mut paid = Vec::new();
    for _ in 0..5 {
        paid.push(buyer.buy(key).await.unwrap().paid);
    }
    assert_eq!(paid, [10, 10, 10, 5, 5].map(tokens));
    let stranger = Buyer::new(&world, tokens(1)).await;
    assert_eq!(stranger.quote(key).await.unwrap(), tokens(10));
    assert_balanced(&world, &[&buyer, &stranger], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_raise_the_price_of_an_auction_and_quotes_do_not() {
    let params = "start = \"1\"\nstep_bp = 2000\ntarget_sales = 1\nperiod_ms = 3600000";
    let world = market(vec![rule(
        Hook::Pricing,
        "auction-floor",
        &[Grant::State],
        params,
    )])
    .await;
    let seller = Seller::new(&world, tokens(100)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let mut last = Amount::ZERO;
    for _ in 0..4 {
        // Each of another key: the price is that of the API.
        let key = seller.offer(None).await;
        for _ in 0..3 {
            buyer.quote(key).await.unwrap();
        }
        let paid = buyer.buy(key).await.unwrap().paid;
        assert!(paid > last, "{paid} after {last}");
        last = paid;
    }
    // Three steps of a fifth from 1 are 1.728, less what some seconds of an hour take.
    assert!(last < Amount::parse_tokens("1.73").unwrap(), "{last}");
    assert!(last > Amount::parse_tokens("1.6").unwrap(), "{last}");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_hears_what_its_offer_lacks_and_one_without_consents_sells_nothing() {
    let labels = "labels = [{ name = \"accuracy\", at_least = \"95\" }]";
    let mut fenced = rule(Hook::Consent, "geo-fence", &[], "allow = [\"DE\"]");
    fenced.category = [("accuracy".to_owned(), "99".to_owned())].into();
    let world = market(vec![rule(Hook::Offers, "quality-filter", &[], labels), fenced]).await;
    let seller = Seller::new(&world, tokens(100)).await;
    let labelled = |accuracy: &str| -> Dict {
        let categories: Dict = [("accuracy".to_owned(), Value::from(accuracy))]
            .into_iter()
            .collect();
        [("categories".to_owned(), Value::Map(categories))]
            .into_iter()
            .collect()
    };
    for (labels, expected) in [
        (Dict::default(), "label_missing"),
        (labelled("94"), "label_out_of_range"),
    ] {
        let error = refused(seller.try_offer(Some(tokens(1)), labels).await, REFUSED);
        assert_eq!(code(&error), expected, "{}", error_text(&error));
    }
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let good = seller.try_offer(Some(tokens(1)), labelled("97.5")).await.unwrap();
    assert_eq!(buyer.buy(good).await.unwrap().paid, tokens(1));
    let fenced = seller.try_offer(Some(tokens(1)), labelled("99")).await.unwrap();
    let outside = refused(buyer.quote(fenced).await, REFUSED);
    assert_eq!(code(&outside), "buyer_country_unknown");
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_counts_keys_in_escrow_as_it_counts_any_other() {
    let mut world = market(vec![
        Rule::default_pricing(),
        rule(Hook::Consent, "quota", &[Grant::State], "keys = 2"),
    ])
    .await;
    let seller = Seller::new(&world, tokens(50)).await;
    let live = seller.offer(Some(tokens(1))).await;
    let absent = Absent::new();
    let mut left = Vec::new();
    for _ in 0..3 {
        let key = absent.sign(&world, Some(tokens(2)));
        place(&world.session().await, key.args()).await.unwrap();
        left.push(key.key());
    }
    let mut buyer = Buyer::new(&world, tokens(50)).await;
    buyer.buy_at(left[0], tokens(2)).await.unwrap();
    buyer.buy_at(live, tokens(1)).await.unwrap();
    let used_up = refused(buyer.buy_at(left[1], tokens(2)).await, REFUSED);
    assert_eq!(code(&used_up), "quota_used_up");
    // What was sold before counts after a restart.
    world.restart().await;
    buyer.reconnect(&world).await;
    refused(buyer.buy_at(left[2], tokens(2)).await, REFUSED);
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
    let sums = world.verify().sums;
    assert_eq!((sums.debits, sums.owed), (tokens(3), tokens(2)));
    world.assert_sound();
}
