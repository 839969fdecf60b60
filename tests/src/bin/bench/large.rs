//! A market that has grown: what a query and a quote take among many offers, how soon it starts, what it holds in memory.

use crate::market::{Host, call};
use crate::process::{cpu_of, resident};
use crate::report::{Figures, RUN, RUNS, Ratio, Report};
use bourse_market::{
    Address, ApiId, Command, KeyId, Nanos, Offer, OfferId, PlaceRequest, Placer, Price, PricingTerms,
    SessionId, Signature,
};
use bourse_store::{Options, Store};
use bourse_wamp::{CallResult, Dict, Session, Value};
use std::path::Path;
use std::time::Instant;

/// The small market, to which the large one is compared, and the large one.
const SIZES: [u64; 2] = [10_000, 1_000_000];
/// Offers that share a label: what a selective query finds.
const LOT: u64 = 100;
/// Placed at a time when the market is filled.
const AT_ONCE: u64 = 4_096;
/// Quotes after which memory is looked at.
const QUOTES: u64 = 100_000;

const API: ApiId = ApiId([3; 16]);
const PLACED: u64 = 1_700_000_000_000_000_000;

pub(crate) fn measure(report: &mut Report) {
    let wanted = ["wamp.query_offers", "wamp.get_quote", "host.start", "host.memory"]
        .iter()
        .any(|line| SIZES.iter().any(|size| report.wants(&format!("{line}.{size}"))));
    if !wanted {
        return;
    }
    for size in SIZES {
        crate::limits::runtime().block_on(at(report, size));
    }
}

async fn at(report: &mut Report, size: u64) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Made by the host itself, key and all.
    drop(Host::start_in(&data));
    fill(&data, size).await;
    let begun = Instant::now();
    let host = Host::start_in(&data);
    report.value(
        &format!("host.start.{size}"),
        begun.elapsed().as_secs_f64() * 1e3,
        "ms",
    );

    let session = host.session().await;
    let runs = repeat(&host, async |nth| {
        query(&session, nth % (size / LOT)).await;
    });
    let runs = runs.await;
    report.line(
        &format!("wamp.query_offers.{size}"),
        &runs,
        small("wamp.query_offers").as_limit(),
    );
    let runs = repeat(&host, async |nth| {
        quote(&session, nth % size).await;
    });
    let runs = runs.await;
    report.line(
        &format!("wamp.get_quote.{size}"),
        &runs,
        small("wamp.get_quote").as_limit(),
    );

    for nth in 0..QUOTES {
        quote(&session, nth % size).await;
    }
    let mib = resident(host.pid()) as f64 / f64::from(1 << 20);
    report.value(&format!("host.memory.{size}"), mib, "MiB");
}

/// The line of the small market.
struct Small(String);

fn small(line: &str) -> Small {
    Small(format!("{line}.{}", SIZES[0]))
}

impl Small {
    fn as_limit(&self) -> Option<(&str, Ratio)> {
        Some((&self.0, Ratio::P50))
    }
}

async fn repeat(host: &Host, operation: impl AsyncFn(u64)) -> Vec<Figures> {
    let mut runs = Vec::with_capacity(RUNS);
    let mut nth = 0;
    for _ in 0..RUNS {
        let (before, started) = (cpu_of(host.pid()), Instant::now());
        let mut samples = Vec::new();
        while started.elapsed() < RUN {
            let begun = Instant::now();
            operation(nth).await;
            samples.push(begun.elapsed());
            // Far apart, so that no page is asked for twice in a row.
            nth += 7_919;
        }
        runs.push(Figures::of(
            samples,
            started.elapsed(),
            cpu_of(host.pid()) - before,
        ));
    }
    runs
}

/// Places offers straight into the ledger, as many in a commit as there is room for.
async fn fill(data: &Path, size: u64) {
    let stamp = Store::stamp(data).unwrap().expect("the host made it");
    let store = Store::open(Options::at(data), &stamp).unwrap();
    let mut next = 0;
    while next < size {
        let until = size.min(next + AT_ONCE);
        let placed: Vec<_> = (next..until)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.submit(place(number)).await })
            })
            .collect();
        for placed in placed {
            placed.await.unwrap().unwrap();
        }
        next = until;
    }
    store.shutdown();
}

fn key(number: u64) -> KeyId {
    KeyId(u128::from(number + 1).to_be_bytes())
}

fn place(number: u64) -> Command {
    let lot = (number / LOT).to_string();
    let offer = Offer {
        id: OfferId(key(number).0),
        key: key(number),
        api: API,
        catalog: None,
        uri: "com.example.weather.berlin".to_owned(),
        seller: Address([4; 20]),
        provider_id: Some("bench".to_owned()),
        placer: Placer {
            session: SessionId(1),
            authid: None,
        },
        placed_at: Nanos(PLACED + number),
        valid_from: None,
        expires: None,
        revoked: None,
        signature: Signature([1; 65]),
        signature_verified: false,
        claimed: true,
        unlisted: false,
        price: Price::Dynamic,
        pricing: PricingTerms::default(),
        copies: None,
        remaining: None,
        categories: [("lot", lot.as_str()), ("kind", "weather")]
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .into(),
    };
    Command::Place(Box::new(PlaceRequest { offer, escrow: None }))
}

/// The first page of one lot, found by its label among all offers of the API.
async fn query(session: &Session, lot: u64) {
    let categories = Dict::from([("lot".to_owned(), Value::Str(lot.to_string()))]);
    let kwargs = Dict::from([("categories".to_owned(), Value::Map(categories))]);
    let args = vec![API.0.into(), Value::Int(0_u64.into())];
    let page = call(session, "xbr.marketmaker.query_offers", args, kwargs).await;
    assert_eq!(offers_of(&page), 10, "a page is full");
}

fn offers_of(page: &CallResult) -> usize {
    match page.args.first() {
        Some(Value::List(offers)) => offers.len(),
        other => panic!("{other:?}"),
    }
}

async fn quote(session: &Session, number: u64) {
    let args = vec![key(number).0.into()];
    call(session, "xbr.marketmaker.get_quote", args, Dict::new()).await;
}
