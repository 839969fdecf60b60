//! What the lines of a market never hold, nor what it sends to a collector, whatever is asked of it, even where everything is told:
//! keys, tickets, and signatures that are worth money. And what lines do hold: which call each is about.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::Amount;
use bourse_tests::{Absent, Buyer, Collector, Seller, Takes, World, holds, place, tokens};
use bourse_wamp::Value;
use std::ffi::OsString;

/// A secret, in words and in bytes.
type Secret = (&'static str, Vec<u8>);

#[test]
fn the_test_finds_secrets_in_every_form() {
    let secret: Vec<u8> = (0..32).map(|index| 200 + index).collect();
    for text in [
        format!("{secret:?}"),
        format!("0x{}", hex::encode(&secret[16..])),
        hex::encode_upper(&secret),
        serde_json::to_string(&secret).unwrap(),
        format!("{}", secret.escape_ascii()),
        "yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=".to_owned(),
    ] {
        assert!(holds(&text, &secret), "{text}");
    }
    assert!(!holds("nothing", &secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_and_no_span_holds_a_secret_and_each_line_says_which_call_it_is_about() {
    const TICKET: &str = "a ticket that nobody should ever read";
    const CREDENTIAL: &str = "a-credential-for-the-collector-alone";
    let (mut world, collector) = (World::start().await, Collector::start(Takes::All).await);
    // The first start makes the key; the process finds it.
    world.stop().await;
    let key = std::fs::read_to_string(world.data().join("marketmaker.key")).unwrap();
    let key = hex::decode(key.trim().trim_start_matches("0x")).unwrap();
    let (ticket, lines) = (world.folder().join("ticket"), world.folder().join("lines"));
    std::fs::write(&ticket, TICKET).unwrap();
    let user = format!(
        "[{{ authid = \"seller-1\", role = \"delegate\", file = \"{}\" }}]",
        ticket.display()
    );
    let environment = [
        ("RUST_LOG", OsString::from("trace")),
        ("BOURSE__WAMP__TICKET", OsString::from(user)),
        ("BOURSE__LOG__OTLP", OsString::from(collector.url())),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            OsString::from(format!("authorization={CREDENTIAL}")),
        ),
    ];
    world.run_apart_noting(&environment, &lines);

    let session = world.session_as("seller-1", TICKET).await.unwrap();
    let seller = Seller::on(&world, session, "seller-1", tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let fixed = seller.offer(Some(tokens(3))).await;
    let dynamic = seller.offer(None).await;
    let absent = Absent::new();
    let left = absent.sign(&world, Some(tokens(2)));
    place(&world.session().await, left.args()).await.unwrap();
    let mut secrets: Vec<Secret> = vec![
        ("the market maker's key", key),
        ("a ticket", TICKET.as_bytes().to_vec()),
        ("the collector's credential", CREDENTIAL.as_bytes().to_vec()),
        ("a key in escrow", left.secret.to_vec()),
        ("the signature of an offer", left.signature.0.to_vec()),
    ];
    for key in [fixed, dynamic, left.key()] {
        let price = buyer.quote(key).await.unwrap();
        let order = buyer.order(key, price);
        let receipt = buyer.pay(&order).await.unwrap();
        secrets.push(("a buyer's signature", order.signature.0.to_vec()));
        secrets.push(("the market maker's signature", receipt.signature.0.to_vec()));
        secrets.push(("a sealed key", receipt.sealed_key));
    }
    secrets.push((
        "the market maker's signature for a seller",
        seller.promise().0.to_vec(),
    ));
    // What is refused is told of more than what is not.
    let order = buyer.order(fixed, Amount::ZERO);
    secrets.push((
        "the signature of an order that is refused",
        order.signature.0.to_vec(),
    ));
    buyer.send(&order).await.unwrap_err();
    let mut forged = buyer.order(fixed, tokens(3));
    forged.signature.0[10] ^= 1;
    secrets.push(("a signature that is none", forged.signature.0.to_vec()));
    buyer.send(&forged).await.unwrap_err();
    assert!(
        world
            .session_as("seller-1", "another ticket that nobody should read")
            .await
            .is_err()
    );
    secrets.push((
        "a wrong ticket",
        b"another ticket that nobody should read".to_vec(),
    ));
    let _ = bourse_tests::call(&buyer.session, "xbr.marketmaker.get_offer", vec![Value::from(1)]).await;
    world.stop().await;

    let said = std::fs::read_to_string(&lines).unwrap();
    assert!(said.contains("TRACE"), "not everything is told");
    for (what, secret) in &secrets {
        assert!(
            !said.contains(&*String::from_utf8_lossy(secret)),
            "{what} is in the lines as it is"
        );
        let line = said.lines().find(|line| holds(line, secret));
        assert!(line.is_none(), "{what} is in the lines: {}", line.unwrap());
    }

    assert!(collector.heads().iter().all(|head| head.contains(CREDENTIAL)));
    let sent = collector.bodies().concat();
    let text = String::from_utf8_lossy(&sent);
    assert!(
        text.contains("xbr.marketmaker.place_offer") && text.contains("xbr.error.insufficient_amount"),
        "not everything is sent"
    );
    for (what, secret) in &secrets {
        let whole = sent.windows(secret.len()).any(|sent| sent == secret);
        let part = secret
            .chunks_exact(16)
            .any(|part| sent.windows(16).any(|sent| sent == part));
        assert!(
            !whole && !part && !holds(&text, secret),
            "{what} is in what a collector gets"
        );
    }
    // Of all that is told nothing comes back as a span: neither a library's, nor the sending itself.
    for (_, span) in collector.spans() {
        let ours = ["policy", "ledger", "seller"].contains(&&*span.name)
            || span.name.starts_with("xbr.")
            || span.name == "bourse.dev.fund";
        assert!(ours, "{span:?}");
    }

    // Lines of one call are about it, in every room.
    let of_call = |procedure: &str, word: &str| {
        said.lines()
            .any(|line| line.contains(&format!("procedure=\"{procedure}\"")) && line.contains(word))
    };
    for (procedure, word) in [
        ("xbr.marketmaker.get_quote", "policy{name=\"surge\""),
        ("xbr.marketmaker.buy_key", "the ledger carries a command out"),
        ("xbr.marketmaker.buy_key", "purchase="),
        ("xbr.marketmaker.buy_key", "xbr.error.insufficient_amount"),
    ] {
        assert!(of_call(procedure, word), "no line of {procedure} has {word}");
    }
}

/// Lines and traces have a filter each: what is a span for the one and none for the other comes between no line and its call.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_ledger_in_json_says_which_call_it_is_about_with_or_without_a_collector() {
    const TOLD: &str = "the ledger carries a command out";
    let (mut world, collector) = (World::start().await, Collector::start(Takes::All).await);
    let lines = world.folder().join("lines");
    for (filter, collector) in [
        ("bourse_app=info,bourse_store=debug", None),
        (
            "bourse_app=info,bourse_store::writer=debug",
            Some(collector.url()),
        ),
    ] {
        world.stop().await;
        let mut environment = vec![
            ("RUST_LOG", OsString::from(filter)),
            ("BOURSE__LOG__FORMAT", OsString::from("json")),
        ];
        environment.extend(collector.map(|url| ("BOURSE__LOG__OTLP", OsString::from(url))));
        world.run_apart_noting(&environment, &lines);
        let seller = Seller::new(&world, tokens(50)).await;
        let mut buyer = Buyer::new(&world, tokens(100)).await;
        let key = seller.offer(Some(tokens(3))).await;
        buyer.buy(key).await.unwrap();
        let said = std::fs::read_to_string(&lines).unwrap();
        let told: Vec<serde_json::Value> = said
            .lines()
            .filter(|line| line.contains(TOLD))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of_the_purchase = told
            .iter()
            .filter(|line| line["spans"][0]["procedure"] == "xbr.marketmaker.buy_key");
        // It is reserved, and posted.
        assert!(of_the_purchase.count() >= 2, "{filter}: {told:?}");
    }
}
