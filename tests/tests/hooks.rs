//! Filters and consent in a running market: what a policy hides does not exist, who may not deal cannot, and neither can
//! be talked round by failing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Config, Grant, Hook, OnFailure, Rule};
use bourse_market::{Address, Amount, ApiId, CatalogId, KeyId, Signature};
use bourse_policy::testing::hostile::{refusing, willing};
use bourse_policy::testing::{DATA, Guest, field_offset, keep_all, keep_none, no, price, yes};
use bourse_policy::{Action, Hook as PolicyHook, Input};
use bourse_tests::{
    Buyer, Order, Seller, World, assert_balanced, call, decisions, error_text, now, process, refused, tokens,
};
use bourse_wamp::{Dict, Value, WampError};

const POLICY_FAILED: &str = "bourse.error.policy_failed";
const REFUSED: &str = "bourse.error.refused";
const NO_SUCH_OBJECT: &str = "crossbar.error.no_such_object";
const OFFER_EXPIRED: &str = "xbr.error.offer_expired";

/// When a policy says no: numbers of `action` in the interface's order.
const PLACE: u32 = 1;
const QUOTE: u32 = 1 << 2;
const BUY: u32 = 1 << 3;

fn rule(hook: Hook, policy: &str, uri: &str) -> Rule {
    Rule {
        hook,
        policy: policy.to_owned(),
        uri: Some(uri.to_owned()),
        grants: Vec::<Grant>::new(),
        ..Rule::default_pricing()
    }
}

/// Whether `action`, an expression, is one of `actions`.
fn among(actions: u32, action: &str) -> String {
    format!("(i32.and (i32.shr_u (i32.const {actions}) {action}) (i32.const 1))")
}

/// A policy's name as a code.
fn code_of(name: &str) -> String {
    name.replace('-', "_")
}

/// A consent policy that refuses these actions, with its own name for a code.
fn forbidding<'a>(name: &'a str, actions: u32, text: &str) -> (&'a str, Vec<u8>) {
    let at = field_offset("consent", "request", "ctx.action");
    let action = format!("(i32.load8_u (i32.add (local.get $request) (i32.const {at})))");
    let word = code_of(name);
    let code = (DATA, word.len() as u32);
    let said = no(code, (DATA + code.1, text.len() as u32));
    let body = format!(
        "(if (result i32) {} (then {said}) (else {}))",
        among(actions, &action),
        yes()
    );
    let guest = Guest::of(name, PolicyHook::Consent)
        .data(format!("{word}{text}").as_bytes())
        .authorize(body);
    (name, guest.build())
}

/// A filter that admits every offer, and then hides it from these actions.
fn hiding(name: &str, actions: u32) -> (&str, Vec<u8>) {
    let body = format!(
        "(if (result i32) {} (then {}) (else {}))",
        among(actions, "(local.get $action)"),
        keep_none(),
        keep_all()
    );
    (name, Guest::of(name, PolicyHook::Offers).filter(body).build())
}

/// A policy that agrees where an offer is placed, and traps ever after.
fn trapping_later(name: &str, hook: PolicyHook) -> (&str, Vec<u8>) {
    let guest = match hook {
        PolicyHook::Consent => {
            let at = field_offset("consent", "request", "ctx.action");
            let action = format!("(i32.load8_u (i32.add (local.get $request) (i32.const {at})))");
            Guest::of(name, hook).authorize(format!("(if {action} (then unreachable)) {}", yes()))
        }
        _ => Guest::of(name, hook).filter("unreachable"),
    };
    (name, guest.build())
}

/// A price that holds for as long as a price can.
fn asking(name: &str, units: u64) -> Vec<u8> {
    Guest::named(name).quote(price([units, 0, 0, 0], 30_000)).build()
}

/// The keyword arguments that differ from an ordinary offer's.
fn with<const N: usize>(entries: [(&str, Value); N]) -> Dict {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn at(uri: &str) -> Dict {
    with([("uri", Value::from(uri))])
}

fn unit() -> Amount {
    Amount::from_units(1)
}

async fn place(seller: &Seller, uri: &str) -> KeyId {
    seller.try_offer(Some(unit()), at(uri)).await.unwrap()
}

/// What the market says, as if the key it names were another.
fn renamed(error: &WampError, from: KeyId, to: KeyId) -> WampError {
    let text = error_text(error).replace(&from.to_string(), &to.to_string());
    WampError {
        args: vec![Value::from(text)],
        ..error.clone()
    }
}

fn kwargs(error: &WampError, key: &str) -> String {
    match error.kwargs.get(key) {
        Some(Value::Str(text)) => text.clone(),
        other => panic!("{key}: {other:?} in {error:?}"),
    }
}

/// Fails the test unless `error` is the refusal of that policy, complete.
fn assert_refused_by(world: &World, error: &WampError, policy: &str, code: &str, text: &str) {
    let mut all = world.host().policies();
    all.retain(|status| status.name == policy);
    let revision = all.pop().unwrap().revision.unwrap();
    let expected = with([
        ("policy", Value::from(policy)),
        ("revision", Value::from(revision)),
        ("code", Value::from(code)),
    ]);
    assert_eq!(
        (error.uri.as_str(), error_text(error), &error.kwargs),
        (REFUSED, text, &expected)
    );
}

/// Everything that a stranger may try at a key, each an order of its own.
fn attempts(buyer: &Buyer, key: KeyId) -> Vec<(&'static str, Order)> {
    let honest = buyer.order(key, unit());
    let change = |change: fn(&mut Order)| {
        let mut order = honest.clone();
        change(&mut order);
        order
    };
    let signed = |order: Order| Order {
        signature: buyer.sign(order.seq, order.balance),
        ..order
    };
    vec![
        ("an honest order", honest.clone()),
        ("an order for nothing", buyer.order(key, Amount::ZERO)),
        ("too dear an order", buyer.order(key, tokens(5))),
        (
            "an old sequence",
            signed(change(|order| order.seq = bourse_market::Seq(0))),
        ),
        (
            "a wrong balance",
            signed(change(|order| order.balance = tokens(7))),
        ),
        (
            "a bad signature",
            change(|order| order.signature = Signature([7; 65])),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_offer_is_an_unknown_key_whatever_is_tried_and_also_when_it_is_over() {
    let world = World::with_policies(&[hiding("hides", QUOTE | BUY)], |config| {
        config.policies.rule = vec![rule(Hook::Offers, "hides", "com.hidden.")];
    })
    .await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let unknown = KeyId([0xab; 16]);
    let open = place(&seller, "com.open.").await;
    let mut hidden = vec![("on sale", place(&seller, "com.hidden.").await)];
    let more = [
        (
            "not yet on sale",
            [("valid_from", Value::from(now() + 3_600_000_000_000))],
        ),
        ("dear", [("price", Value::from(tokens(100).to_be_bytes()))]),
        ("of nobody there", [("provider_id", Value::from("nobody"))]),
    ];
    for (what, terms) in more {
        let terms = at("com.hidden.x").into_iter().chain(with(terms)).collect();
        let key = seller.try_offer(Some(unit()), terms).await.unwrap();
        hidden.push((what, key));
    }
    let over = place(&seller, "com.hidden.").await;
    let open_over = place(&seller, "com.open.").await;
    for key in [over, open_over] {
        call(
            &seller.session,
            "xbr.marketmaker.revoke_offer",
            vec![Value::from(key.0)],
        )
        .await
        .unwrap();
    }
    hidden.push(("over", over));

    let nothing = refused(buyer.quote(unknown).await, NO_SUCH_OBJECT);
    for (what, key) in &hidden {
        let error = buyer.quote(*key).await.unwrap_err();
        assert_eq!(renamed(&error, *key, unknown), nothing, "get_quote {what}");
        for ((attempt, order), (_, blind)) in attempts(&buyer, *key).iter().zip(attempts(&buyer, unknown)) {
            let error = buyer.send(order).await.expect_err(what);
            let blind = buyer.send(&blind).await.unwrap_err();
            assert_eq!(renamed(&error, *key, unknown), blind, "buy_key {what}, {attempt}");
        }
    }
    // What it shows is what it is.
    refused(buyer.quote(open_over).await, OFFER_EXPIRED);
    buyer.buy(open).await.unwrap();
    assert_eq!(
        seller.sells().len(),
        1,
        "nobody asked the seller for what is hidden"
    );
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_can_be_hidden_from_a_purchase_that_holds_a_live_quote() {
    let policies = [
        hiding("shop-window", BUY),
        forbidding("look", BUY, "only look"),
        ("priced", willing("priced", PolicyHook::Pricing)),
    ];
    let world = World::with_policies(&policies, |config| {
        config.policies.rule = vec![
            rule(Hook::Pricing, "priced", "com."),
            rule(Hook::Offers, "shop-window", "com.hidden."),
            rule(Hook::Consent, "look", "com.forbidden."),
        ];
    })
    .await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let hidden = place(&seller, "com.hidden.").await;
    let promised = buyer.quote(hidden).await.unwrap();
    refused(buyer.buy_at(hidden, promised).await, NO_SUCH_OBJECT);
    // Consent is asked again too, for the live quote of a dynamic price as well.
    for price in [Some(unit()), None] {
        let key = seller.try_offer(price, at("com.forbidden.")).await.unwrap();
        let promised = buyer.quote(key).await.unwrap();
        let error = buyer.buy_at(key, promised).await.unwrap_err();
        assert_refused_by(&world, &error, "look", "look", "only look");
    }
    assert!(seller.sells().is_empty());
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_that_is_withdrawn_ends_the_quotes_that_were_given_under_it() {
    let policies = [
        ("notary", willing("notary", PolicyHook::Consent)),
        ("window", willing("window", PolicyHook::Offers)),
        ("priced", asking("priced", 1)),
    ];
    let world = World::with_policies(&policies, |config| {
        config.policies.rule = vec![
            rule(Hook::Pricing, "priced", "com."),
            rule(Hook::Consent, "notary", "com."),
            rule(Hook::Offers, "window", "com."),
        ];
    })
    .await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let deploy = |name: &str, component: Vec<u8>| {
        let path = world.folder().join(format!("{name}.wasm"));
        std::fs::write(&path, component).unwrap();
        let said = process::run(world.data(), &["policy", "deploy", path.to_str().unwrap()]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    };
    let promised = buyer.quote(key).await.unwrap();
    let refuses = refusing("notary", PolicyHook::Consent, "withdrawn", "not any more");
    deploy("notary", refuses);
    let error = buyer.buy_at(key, promised).await.unwrap_err();
    assert_refused_by(&world, &error, "notary", "withdrawn", "not any more");
    // Given again, the promise is as good as before: the refusal did not use it up.
    deploy("notary", willing("notary", PolicyHook::Consent));
    deploy("priced", asking("priced", 7));
    assert_eq!(buyer.buy_at(key, promised).await.unwrap().paid, promised);
    let dearer = buyer.quote(key).await.unwrap();
    assert_eq!(dearer, Amount::from_units(7));
    deploy("window", hiding("window", QUOTE | BUY).1);
    refused(buyer.buy_at(key, dearer).await, NO_SUCH_OBJECT);
    assert_eq!(seller.sells().len(), 1);
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_exists_for_those_who_may_see_it_and_for_nobody_else() {
    // Whoever has not proved who it is sees nothing, nor does one buyer whose address begins with an even byte.
    let body = format!(
        "(if (result i32) (i32.and (i32.eqz (i32.eqz (local.get $buyer)))
           (i64.ne (i64.and (i64.shr_u (local.get $buyer_a) (i64.const 56)) (i64.const 1)) (i64.const 0)))
           (then {}) (else {}))",
        keep_all(),
        keep_none()
    );
    let guest = Guest::of("members", PolicyHook::Offers).filter(body);
    let world = World::with_policies(&[("members", guest.build())], |config| {
        config.policies.rule = vec![rule(Hook::Offers, "members", "com.club.")];
    })
    .await;
    let seller = Seller::new(&world, tokens(10)).await;
    let (club, open) = (
        place(&seller, "com.club.").await,
        place(&seller, "com.open.").await,
    );
    let (mut members, mut others) = (Vec::new(), Vec::new());
    while members.is_empty() || others.is_empty() {
        let mut buyer = Buyer::new(&world, tokens(1)).await;
        refused(buyer.quote(club).await, NO_SUCH_OBJECT);
        // A purchase proves who it is.
        buyer.buy(open).await.unwrap();
        if buyer.signer.address().0[0] % 2 == 1 {
            assert_eq!(buyer.quote(club).await.unwrap(), unit());
            buyer.buy(club).await.unwrap();
            members.push(buyer);
        } else {
            refused(buyer.quote(club).await, NO_SUCH_OBJECT);
            refused(buyer.buy_at(club, unit()).await, NO_SUCH_OBJECT);
            others.push(buyer);
        }
    }
    let all: Vec<&Buyer> = members.iter().chain(&others).collect();
    assert_balanced(&world, &all, &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_rules_the_first_refusal_wins_and_filters_come_before_consent() {
    let says = |name: &'static str| forbidding(name, QUOTE | BUY, name);
    let world = World::with_policies(
        &[
            ("shows", willing("shows", PolicyHook::Offers)),
            hiding("hides", QUOTE | BUY),
            ("allows", willing("allows", PolicyHook::Consent)),
            says("first"),
            says("second"),
            says("third"),
        ],
        |config| {
            config.policies.rule = vec![
                // The order of the configuration decides, whichever rule says more about the offer.
                rule(Hook::Consent, "allows", "com."),
                rule(Hook::Offers, "shows", "com."),
                rule(Hook::Consent, "first", "com.a."),
                rule(Hook::Consent, "second", "com."),
                rule(Hook::Consent, "third", "com.a.b"),
                rule(Hook::Offers, "shows", "com.a"),
                rule(Hook::Offers, "hides", "com.a.secret"),
            ];
        },
    )
    .await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    for (uri, by) in [("com.a.b", "first"), ("com.a.", "first"), ("com.b.", "second")] {
        let key = place(&seller, uri).await;
        let order = buyer.order(key, unit());
        for error in [
            buyer.quote(key).await.unwrap_err(),
            buyer.send(&order).await.unwrap_err(),
        ] {
            assert_refused_by(&world, &error, by, by, by);
        }
    }
    let secret = place(&seller, "com.a.secret").await;
    refused(buyer.quote(secret).await, NO_SUCH_OBJECT);
    // Nobody after the first refusal was asked.
    world.host().flush_log();
    let asked: Vec<String> = decisions(&world)
        .into_iter()
        .filter(|record| match &record.input {
            Input::Consent(input) => input.action == Action::Buy,
            Input::Filter(input) => input.action == Action::Buy,
            _ => false,
        })
        .map(|record| record.policy)
        .collect();
    let of_a = ["shows", "shows", "allows", "first"];
    let of_b = ["shows", "allows", "second"];
    assert_eq!(asked, [&of_a[..], &of_a, &of_b].concat());
    let elsewhere = place(&seller, "net.example.").await;
    buyer.buy(elsewhere).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_selector_binds_a_rule_to_what_it_names_and_to_nothing_else() {
    let names = [
        "by-catalog",
        "by-api",
        "by-uri",
        "by-category",
        "by-seller",
        "by-both",
    ];
    let policies = names.map(|name| forbidding(name, QUOTE | BUY, "no"));
    let delegate = Address([0x33; 20]);
    let world = World::with_policies(&policies, |config| {
        let only = |policy: &str| Rule {
            uri: None,
            ..rule(Hook::Consent, policy, "")
        };
        let label = |entries: &[(&str, &str)]| {
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        config.policies.rule = vec![
            // No offer names a catalog yet, so this one is never asked.
            Rule {
                catalog: Some(CatalogId([0x44; 16])),
                ..only("by-catalog")
            },
            Rule {
                api: Some(ApiId([0x11; 16])),
                ..only("by-api")
            },
            Rule {
                uri: Some("org.weather".to_owned()),
                ..only("by-uri")
            },
            Rule {
                category: label(&[("purpose", "ads"), ("region", "eu")]),
                ..only("by-category")
            },
            Rule {
                seller: Some(delegate),
                ..only("by-seller")
            },
            Rule {
                api: Some(ApiId([0x22; 16])),
                uri: Some("org.".to_owned()),
                ..only("by-both")
            },
        ];
    })
    .await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let labels = |entries: &[(&str, &str)]| {
        let labels: Dict = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
            .collect();
        ("categories", Value::from(labels))
    };
    let api = |byte: u8| ("api_id", Value::from([byte; 16]));
    let uri = |uri: &str| ("uri", Value::from(uri));
    for (terms, by) in [
        (with([api(0x11)]), Some("by-api")),
        (with([api(0x12)]), None),
        (with([uri("org.weather.today")]), Some("by-uri")),
        (with([uri("org.weatherman")]), Some("by-uri")),
        (with([uri("com.org.weather")]), None),
        (
            with([labels(&[("purpose", "ads"), ("region", "eu"), ("more", "x")])]),
            Some("by-category"),
        ),
        (with([labels(&[("purpose", "ads")])]), None),
        (with([labels(&[("purpose", "ads"), ("region", "us")])]), None),
        (
            with([("delegate_adr", Value::from(delegate.0))]),
            Some("by-seller"),
        ),
        (with([api(0x22)]), None),
        (with([api(0x22), uri("org.")]), Some("by-both")),
        (with([api(0x22), uri("net.")]), None),
        // Of two that match, the first.
        (with([api(0x11), uri("org.weather")]), Some("by-api")),
    ] {
        let key = seller.try_offer(Some(unit()), terms.clone()).await.unwrap();
        match by {
            Some(policy) => {
                let error = buyer.quote(key).await.unwrap_err();
                assert_refused_by(&world, &error, policy, &code_of(policy), "no");
            }
            None => {
                buyer.buy(key).await.unwrap();
            }
        }
    }
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_admitted_is_not_placed_and_consent_is_asked_first() {
    let world = World::with_policies(
        &[
            (
                "guard",
                refusing("guard", PolicyHook::Offers, "no_room", "the market is full"),
            ),
            forbidding("notary", PLACE, "not you"),
        ],
        |config| {
            config.policies.rule = vec![
                rule(Hook::Offers, "guard", "com.guarded."),
                rule(Hook::Consent, "notary", "com.guarded.signed."),
            ];
        },
    )
    .await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(1)).await;
    let key = KeyId([0x5a; 16]);
    let terms = |uri: &str| at(uri).into_iter().chain(with([("key_id", Value::from(key.0))]));
    let offers = world.host().counts().unwrap().offers;

    let error = seller
        .try_offer(Some(unit()), terms("com.guarded.").collect())
        .await
        .unwrap_err();
    assert_refused_by(&world, &error, "guard", "no_room", "the market is full");
    let error = seller
        .try_offer(None, terms("com.guarded.signed.x").collect())
        .await
        .unwrap_err();
    assert_refused_by(&world, &error, "notary", "notary", "not you");
    assert_eq!(
        world.host().counts().unwrap().offers,
        offers,
        "nothing was placed"
    );
    refused(buyer.quote(key).await, NO_SUCH_OBJECT);

    world.host().flush_log();
    let mut asked = decisions(&world);
    asked.retain(|record| matches!(record.input, Input::Consent(_) | Input::Admit(_)));
    for record in &asked {
        match &record.input {
            Input::Consent(input) => {
                assert_eq!((input.action, input.buyer), (Action::Place, None));
                let offer = input.offer.as_ref().unwrap();
                assert_eq!(offer.uri, "com.guarded.signed.x");
            }
            Input::Admit(input) => assert_eq!((input.action, input.buyer), (Action::Place, None)),
            _ => {}
        }
        assert_eq!(record.outcome, "refused");
    }
    assert_eq!(asked.len(), 2, "what consent refused is not asked of the other");

    // The key is free for whoever may place it.
    seller
        .try_offer(Some(unit()), terms("com.free.").collect())
        .await
        .unwrap();
    buyer.buy(key).await.unwrap();
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_or_consent_that_fails_never_lets_anything_through() {
    let world = World::with_policies(
        &[
            trapping_later("blind", PolicyHook::Offers),
            trapping_later("deaf", PolicyHook::Consent),
            ("switched-off", willing("switched-off", PolicyHook::Consent)),
            ("priced", willing("priced", PolicyHook::Pricing)),
        ],
        |config| {
            config.policies.breaker_failures = 3;
            config.policies.breaker_seconds = 600;
            config.policies.rule = vec![
                rule(Hook::Offers, "blind", "com.blind."),
                rule(Hook::Consent, "deaf", "com.deaf."),
                rule(Hook::Consent, "switched-off", "com.off."),
                rule(Hook::Offers, "nobody", "com.nobody."),
                // It is there, and has another trade.
                rule(Hook::Consent, "priced", "com.priced."),
                Rule {
                    // A price of last resort is no consent.
                    on_failure: OnFailure::FallbackPrice,
                    fallback_price: Some("0.5".to_owned()),
                    ..rule(Hook::Pricing, "priced", "com.")
                },
            ];
        },
    )
    .await;
    let seller = Seller::new(&world, tokens(10)).await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    for (uri, policy, codes) in [
        (
            "com.blind.",
            "blind",
            ["trap", "trap", "trap", "breaker_open", "breaker_open"],
        ),
        (
            "com.deaf.",
            "deaf",
            ["trap", "trap", "trap", "breaker_open", "breaker_open"],
        ),
        ("com.off.", "switched-off", ["not_loaded"; 5]),
    ] {
        let dynamic = seller.try_offer(None, at(uri)).await.unwrap();
        let fixed = place(&seller, uri).await;
        if codes[0] == "not_loaded" {
            let said = process::run(world.data(), &["policy", "disable", policy]);
            assert!(said.status.success());
        }
        let mut seen = Vec::new();
        for asked in 0..5 {
            let key = if asked % 2 == 0 { fixed } else { dynamic };
            let answer = match asked {
                0 | 3 => buyer.quote(key).await.map(drop),
                _ => buyer.send(&buyer.order(key, unit())).await.map(drop),
            };
            let error = refused(answer, POLICY_FAILED);
            assert_eq!(kwargs(&error, "policy"), policy);
            seen.push(kwargs(&error, "code"));
        }
        assert_eq!(seen, codes, "{uri}");
        // A policy that is left alone keeps out new offers too.
        let error = refused(seller.try_offer(Some(unit()), at(uri)).await, POLICY_FAILED);
        assert_eq!(kwargs(&error, "code"), codes[4], "{uri}");
    }
    for (uri, policy, code) in [
        ("com.nobody.", "nobody", "not_loaded"),
        ("com.priced.", "priced", "missing_hook"),
    ] {
        let error = refused(seller.try_offer(Some(unit()), at(uri)).await, POLICY_FAILED);
        assert_eq!(
            (kwargs(&error, "policy"), kwargs(&error, "code")),
            (policy.to_owned(), code.to_owned())
        );
    }
    assert!(seller.sells().is_empty());
    assert_balanced(&world, &[&buyer], &[&seller]).await;
}

#[test]
fn a_fallback_for_what_is_no_price_is_refused_by_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for hook in [Hook::Offers, Hook::Consent] {
        for (key, setting) in [
            (
                "on_failure",
                "on_failure = \"fallback-price\"\nfallback_price = \"0.5\"",
            ),
            ("fallback_price", "fallback_price = 1"),
            ("applies_to", "applies_to = \"all\""),
            ("limits.floor", "limits = { floor = 1 }"),
        ] {
            let hook = hook.as_str();
            let file = folder.path().join("bourse.toml");
            let text = format!("[[policies.rule]]\nhook = \"{hook}\"\npolicy = \"x\"\n{setting}\n");
            std::fs::write(&file, text).unwrap();
            let error = Config::load(Some(&file), std::iter::empty())
                .and_then(|config| config.check())
                .unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(key) && error.contains(hook), "{error}");
            let said = process::run(
                folder.path(),
                &["--config", file.to_str().unwrap(), "config", "check"],
            );
            assert_eq!(said.status.code(), Some(1));
            let words = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(words.contains("[[policies.rule]] number 1"), "{words}");
        }
    }
}
