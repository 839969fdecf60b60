//! How operators and scripts learn how a market does: `bourse status`, /readyz, /healthz.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::Host;
use bourse_app::config::{ChainMode, Config, ContractAddresses};
use bourse_tests::{Buyer, Seller, World, get, process, tokens, until};
use serde_json::Value as Json;
use std::net::TcpListener;
use std::process::Output;

fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The answer's first line, and its JSON.
fn asked(http: std::net::SocketAddr, path: &str) -> (String, Json) {
    let answer = get(http, path);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.lines().next().unwrap().to_owned(),
        serde_json::from_str(body).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_scripts_and_people_the_same_of_a_market_that_trades() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(50)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(3))).await;
    buyer.buy(key).await.unwrap();

    let output = process::run(world.data(), &["status", "--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = json(&output);
    assert_eq!(
        (&told["status"], &told["ready"]),
        (&"RUNNING".into(), &true.into())
    );
    assert_eq!(told["realm"], "realm1");
    let payment = &told["payment"];
    assert_eq!(
        (&payment["deposited"], &payment["unsettled"]),
        (&"100000000000000000000".into(), &"3000000000000000000".into())
    );
    assert_eq!(
        (&told["ledger"]["offers"], &told["ledger"]["purchases"]),
        (&1.into(), &1.into())
    );
    assert_eq!(told["trouble"], Json::Array(Vec::new()));
    assert!(told["chain"].is_null());
    let names: Vec<_> = told["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert!(names.contains(&&Json::from("surge")), "{names:?}");

    let output = process::run(world.data(), &["status", "--output", "table"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for said in [
        "RUNNING, ready",
        "local: test tokens, no chain",
        "1 channel: 100 tokens deposited, 97 left, 0 reserved, 3 spent and not settled",
        "trouble       none",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_ends_with_3_where_no_market_runs_and_with_1_where_nobody_reaches_it() {
    let nobody = tempfile::tempdir().unwrap();
    let output = process::run(nobody.path(), &["status"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");

    // Nothing listens where its router should be.
    let world = World::with(|config| config.wamp.connect = Some("ws://127.0.0.1:9/ws".to_owned())).await;
    let output = process::run(world.data(), &["status", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = json(&output);
    assert_eq!(
        (&told["status"], &told["ready"]),
        (&"RUNNING".into(), &false.into())
    );
    let trouble = told["trouble"][0].as_str().unwrap();
    assert!(trouble.starts_with("clients do not reach it: "), "{trouble}");
    let (line, said) = asked(world.http(), "/readyz");
    assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(said["waits_for"], "router");
    assert!(trouble.ends_with(said["degraded"].as_str().unwrap()));
    assert_eq!(asked(world.http(), "/healthz").0, "HTTP/1.1 200 OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_that_starts_says_what_it_waits_for() {
    // A node that takes the question and never answers.
    let node = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = |last: char| format!("0x{}", last.to_string().repeat(40));
    let mut config = Config::default();
    config.store.path = folder.path().join("data");
    config.http.listen = free;
    config.chain.mode = ChainMode::Ethereum;
    config.chain.rpc = Some(format!("http://{}", node.local_addr().unwrap()));
    config.chain.contracts = Some(ContractAddresses {
        token: address('1'),
        network: address('2'),
        catalog: address('3'),
        market: address('4'),
        channel: address('5'),
    });
    let starting = tokio::spawn(async move { Host::start(&config).await.map(drop) });
    until("the page of its health", async || {
        std::net::TcpStream::connect(free).is_ok()
    })
    .await;
    for path in ["/readyz", "/healthz"] {
        let (line, said) = asked(free, path);
        assert_eq!(line, "HTTP/1.1 503 Service Unavailable", "{path}");
        assert_eq!(
            (&said["status"], &said["waits_for"]),
            (&"NONE".into(), &"ledger".into())
        );
    }
    let page = get(free, "/metrics");
    assert!(page.contains("bourse_ready{realm=\"realm1\"} 0"), "{page}");
    starting.abort();
}
