//! What a collector of OpenTelemetry gets of a market, a real process that sends to it: each call as a trace through policy, seller,
//! ledger and chain. And what a market loses by one that is away: spans, and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_market::{Amount, ChannelId, ChannelKind, KeyId, Nanos};
use bourse_tests::{
    Absent, Attributes, Buyer, Chain, Collector, Seller, Span, Takes, World, call, found, open_args, place,
    refused, tokens, until,
};
use bourse_wamp::{CallResult, Dict, Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the market waits for a collector; see `host/app/src/otlp/http.rs`.
const PATIENCE: Duration = Duration::from_secs(5);

const BUY: &str = "xbr.marketmaker.buy_key";
const QUOTE: &str = "xbr.marketmaker.get_quote";

/// A market whose process sends its spans to `url`, and the file of its lines.
async fn sending_to(url: &str, more: &[(&'static str, &str)]) -> (World, PathBuf) {
    let mut world = World::start().await;
    // The first start makes the key and the market; the process finds both.
    world.stop().await;
    let lines = world.folder().join("lines");
    let mut environment = vec![("BOURSE__LOG__OTLP", OsString::from(url))];
    environment.extend(more.iter().map(|(name, value)| (*name, OsString::from(value))));
    world.run_apart_noting(&environment, &lines);
    (world, lines)
}

/// The spans that a collector has by now.
fn spans(collector: &Collector) -> Vec<Span> {
    collector.spans().into_iter().map(|(_, span)| span).collect()
}

/// The one root of this name whose attribute is that.
fn root<'a>(spans: &'a [Span], name: &str, attribute: &str, value: &str) -> &'a Span {
    let mut roots = spans
        .iter()
        .filter(|span| span.name == name && span.parent.is_empty() && span.attribute(attribute) == value);
    let first = roots.next();
    assert!(
        roots.next().is_none(),
        "two traces of {name} with {attribute}={value}"
    );
    first.unwrap_or_else(|| panic!("no trace of {name} with {attribute}={value} among {spans:#?}"))
}

/// What is under a span, with `attribute` of each.
fn under<'a>(spans: &'a [Span], parent: &Span, name: &str, attribute: &str) -> Vec<&'a str> {
    let mut found: Vec<&Span> = spans
        .iter()
        .filter(|span| span.parent == parent.id && span.name == name)
        .collect();
    found.sort_by_key(|span| span.began_ns);
    for span in &found {
        assert_eq!(span.trace, parent.trace, "{span:?}");
        assert!(
            (parent.began_ns..=span.ended_ns).contains(&span.began_ns),
            "{span:?} in {parent:?}"
        );
    }
    found.into_iter().map(|span| span.attribute(attribute)).collect()
}

/// The purchases of a ledger by their keys.
async fn purchases(world: &mut World) -> BTreeMap<KeyId, String> {
    world
        .after_the_end(|ledger| {
            let mut purchases = BTreeMap::new();
            ledger
                .sold_since(Nanos(0), &mut |id, sale| {
                    purchases.insert(sale.key, id.to_string());
                })
                .unwrap();
            purchases
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_a_trace_through_policy_seller_and_ledger_under_its_id() {
    let collector = Collector::start(Takes::All).await;
    let environment = [
        // Lines and spans are told apart.
        ("RUST_LOG", "off"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=corn"),
    ];
    let (mut world, lines) = sending_to(&collector.url(), &environment).await;
    let seller = Seller::new(&world, tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let dynamic = seller.offer(None).await;
    let left = Absent::new().sign(&world, Some(tokens(2)));
    place(&world.session().await, left.args()).await.unwrap();
    for key in [dynamic, left.key()] {
        buyer.buy(key).await.unwrap();
    }
    let order = buyer.order(dynamic, Amount::ZERO);
    refused(buyer.send(&order).await, "xbr.error.insufficient_amount");
    let channel = buyer.channel.to_string();
    drop((buyer, seller));
    // The last spans are sent while it stops.
    let purchases = purchases(&mut world).await;
    let spans = spans(&collector);

    let quote = root(&spans, QUOTE, "key", &dynamic.to_string());
    assert_eq!(quote.kind, SpanKind::Server);
    assert_eq!(under(&spans, quote, "policy", "name"), ["surge"]);
    assert_eq!(
        under(&spans, quote, "policy", "decision"),
        [quote.attribute("decision")]
    );
    assert!(!quote.attribute("decision").is_empty());

    let bought = root(&spans, BUY, "purchase", &purchases[&dynamic]);
    assert_eq!(bought.attribute("key"), dynamic.to_string());
    assert_eq!(bought.attribute("channel"), channel);
    assert_eq!((bought.kind, &bought.error), (SpanKind::Server, &None));
    assert_ne!(bought.trace, quote.trace);
    assert_eq!(under(&spans, bought, "ledger", "command"), ["reserve", "post"]);
    let [sell] = under(&spans, bought, "seller", "procedure")[..] else {
        panic!("{spans:#?}")
    };
    assert!(
        sell.starts_with("xbr.provider.") && sell.ends_with(".sell"),
        "{sell}"
    );

    // No seller is asked for a key that it left.
    let delivered = root(&spans, BUY, "purchase", &purchases[&left.key()]);
    assert_eq!(under(&spans, delivered, "ledger", "command"), ["deliver"]);
    assert!(under(&spans, delivered, "seller", "procedure").is_empty());

    let refusal = "xbr.error.insufficient_amount";
    let refused = root(&spans, BUY, "error", refusal);
    assert_eq!(refused.error.as_deref(), Some(refusal));
    assert!(refused.attribute("purchase").is_empty());

    for (sender, span) in collector.spans() {
        assert_sent_by_bourse(&sender);
        let begins = span.name.starts_with("xbr.") || span.name == "bourse.dev.fund";
        assert_eq!(span.parent.is_empty(), begins, "{span:?}");
        if !begins {
            let parent = spans.iter().find(|other| other.id == span.parent);
            assert_eq!(parent.map(|parent| &parent.trace), Some(&span.trace), "{span:?}");
        }
    }
    for head in collector.heads() {
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("x-tenant: corn\r\n"), "{head}");
    }
    assert_eq!(std::fs::read_to_string(&lines).unwrap(), "");
}

fn assert_sent_by_bourse(sender: &Attributes) {
    for (name, value) in [
        ("service.name", "bourse"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment", "test"),
    ] {
        assert_eq!(sender.get(name).map(String::as_str), Some(value), "{name}");
    }
}

/// A price that a seller names is asked of it within the quote.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_for_a_price_is_part_of_its_quote() {
    let collector = Collector::start(Takes::All).await;
    let without_policy = [("BOURSE__POLICIES__DEFAULT_RULE", "false")];
    let (mut world, _) = sending_to(&collector.url(), &without_policy).await;
    let seller = Seller::new(&world, tokens(50)).await;
    let quote = format!("xbr.provider.{}.quote", seller.provider_id);
    let answer = |_| async {
        let price = ("price".to_owned(), Value::from(tokens(1).to_be_bytes()));
        let valid = ("valid_ms".to_owned(), Value::Int(60_000.into()));
        Ok(CallResult {
            args: vec![Dict::from([price, valid]).into()],
            kwargs: Dict::new(),
        })
    };
    seller.session.register(&quote, answer).await.unwrap();
    let buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(None).await;
    buyer.quote(key).await.unwrap();
    drop((buyer, seller));
    world.stop().await;
    let spans = spans(&collector);
    let quoted = root(&spans, QUOTE, "key", &key.to_string());
    assert_eq!(under(&spans, quoted, "seller", "procedure"), [quote]);
}

/// Settings under which the queue of spans is full after a few sales.
const NARROW: [(&str, &str); 3] = [
    ("OTEL_BSP_MAX_QUEUE_SIZE", "32"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
    ("OTEL_BSP_SCHEDULE_DELAY", "50"),
];

/// Sells so often, and says how long the slowest sale took.
async fn slowest_of(world: &World, sales: u32) -> Duration {
    let seller = Seller::new(world, tokens(200)).await;
    let mut buyer = Buyer::new(world, tokens(200)).await;
    let key = seller.offer(Some(tokens(1))).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..sales {
        let began = Instant::now();
        buyer.buy(key).await.unwrap();
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

/// The lines about what is not taken.
fn complaints(lines: &PathBuf) -> Vec<String> {
    let said = std::fs::read_to_string(lines).unwrap();
    let about = said
        .lines()
        .filter(|line| line.contains("the collector takes no spans"));
    about.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_slows_no_sale_and_no_stop() {
    let collector = Collector::start(Takes::Forever).await;
    let (mut world, lines) = sending_to(&collector.url(), &NARROW).await;
    let slowest = slowest_of(&world, 40).await;
    assert!(!collector.bodies().is_empty(), "nothing was sent");
    // A call that waited for the queue would have waited for the collector.
    assert!(slowest < PATIENCE, "a sale took {slowest:?}");
    let complaint = found("the complaint", async || complaints(&lines).pop()).await;
    assert!(
        complaint.contains(&collector.url()) && complaint.contains("timed out"),
        "{complaint}"
    );
    world.assert_sound();
    let began = Instant::now();
    world.stop().await;
    // It waits two seconds; what is in the queue would take four times the collector's time.
    assert!(began.elapsed() < PATIENCE, "it stopped in {:?}", began.elapsed());
    assert_eq!(complaints(&lines).len(), 1);
    let said = std::fs::read_to_string(&lines).unwrap();
    assert!(said.contains("the last spans were not taken in time"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_one_line_until_it_is() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (mut world, lines) = sending_to(&nobody, &NARROW).await;
    let slowest = slowest_of(&world, 40).await;
    assert!(slowest < PATIENCE, "a sale took {slowest:?}");
    let complaint = found("the complaint", async || complaints(&lines).pop()).await;
    assert!(complaint.contains("refused"), "{complaint}");
    world.assert_sound();
    world.stop().await;
    assert_eq!(complaints(&lines).len(), 1);

    // One that comes back gets spans again.
    let collector = Collector::start(Takes::Nothing).await;
    let (mut world, lines) = sending_to(&collector.url(), &NARROW).await;
    slowest_of(&world, 10).await;
    let complaint = found("the complaint", async || complaints(&lines).pop()).await;
    assert!(complaint.contains("503"), "{complaint}");
    collector.takes(Takes::All);
    slowest_of(&world, 10).await;
    until("the return", async || {
        let said = std::fs::read_to_string(&lines).unwrap();
        said.contains("the collector takes spans again")
    })
    .await;
    world.stop().await;
    assert_eq!(complaints(&lines).len(), 1);
}

/// The call that wanted a transaction is one trace, the transaction another: their channel leads from one to the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_a_trace_that_the_channel_of_its_call_leads_to() {
    const DEPTH: u64 = 2;
    const CHANNEL: ChannelId = ChannelId([0xb2; 16]);
    let Some(chain) = Chain::start().await else { return };
    let collector = Collector::start(Takes::All).await;
    let mut world = chain.world(DEPTH, |_| {}).await;
    world.stop().await;
    let mut environment = chain.variables(chain.url(), DEPTH);
    environment.push(("BOURSE__LOG__OTLP", collector.url().into()));
    world.try_run_apart(&environment).unwrap();
    let session = world.session().await;
    chain.caught_up(&session, DEPTH).await;
    let opening = chain.opening(ChannelKind::Payment, CHANNEL, tokens(5)).await;
    let args = open_args(&world, &opening, &chain.parties.buyer);
    call(&session, "xbr.marketmaker.open_channel", args)
        .await
        .unwrap();
    until("the channel", async || {
        chain.mine(1).await;
        let args = vec![CHANNEL.0.into()];
        call(&session, "xbr.marketmaker.get_payment_channel", args)
            .await
            .is_ok()
    })
    .await;
    drop(session);
    world.stop().await;

    let (spans, channel) = (spans(&collector), CHANNEL.to_string());
    let asked = root(&spans, "xbr.marketmaker.open_channel", "channel", &channel);
    assert_eq!(under(&spans, asked, "ledger", "command"), ["intend"]);
    // Each step of it is one.
    let steps: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "transaction" && span.attribute("channel") == channel)
        .collect();
    assert!(
        steps
            .iter()
            .all(|step| step.parent.is_empty() && step.attribute("what") == "open")
    );
    let all = |name, attribute| -> Vec<&str> {
        let found = steps.iter().map(|step| under(&spans, step, name, attribute));
        found.flatten().collect()
    };
    assert!(
        all("node", "method").contains(&"eth_sendRawTransaction"),
        "{spans:#?}"
    );
    let commands = all("ledger", "command");
    assert!(
        commands.contains(&"attempt") && commands.contains(&"conclude"),
        "{commands:?}"
    );
    // What the market asks of its node unasked, block for block, is no trace.
    let followed = spans
        .iter()
        .filter(|span| span.parent.is_empty() && span.name == "node");
    assert_eq!(followed.count(), 0);
}
