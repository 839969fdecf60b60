//! Several markets in one process: behind one router, each with its own realm, ledger and books.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::House;
use bourse_app::config::Config;
use bourse_market::KeyId;
use bourse_tests::{Buyer, Seller, World, call, int_of, run, tokens};
use bourse_wamp::{Dict, Value};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

/// Two markets as an operator writes them down, in `folder`.
fn two_markets(folder: &Path) -> (std::path::PathBuf, Vec<Config>) {
    let file = folder.join("bourse.toml");
    let data = folder.display();
    let text = format!(
        r#"
        [wamp]
        listen_ws = "127.0.0.1:0"
        listen_rs = "127.0.0.1:0"
        [http]
        listen = "127.0.0.1:0"
        [store]
        map_size = 268435456
        [[market]]
        realm.name = "corn"
        store.path = "{data}/corn"
        [[market]]
        realm.name = "salt"
        store.path = "{data}/salt"
        sell_deadline_ms = 5000
        "#
    );
    std::fs::write(&file, text).unwrap();
    let markets = Config::load_all(Some(&file), std::iter::empty()).unwrap();
    (file, markets)
}

fn get(address: SocketAddr, path: &str) -> (String, serde_json::Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    (
        head.lines().next().unwrap().to_owned(),
        serde_json::from_str(body).unwrap(),
    )
}

/// A seller and a buyer who trade `key`, which the seller of the other market offers as well.
async fn trade(world: &World, key: KeyId) -> (Seller, Buyer) {
    let seller = Seller::new(world, tokens(100)).await;
    let own = Dict::from([("key_id".to_owned(), Value::from(key.0))]);
    assert_eq!(seller.try_offer(Some(tokens(2)), own).await.unwrap(), key);
    let mut buyer = Buyer::new(world, tokens(50)).await;
    buyer.buy(key).await.unwrap();
    (seller, buyer)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_markets_trade_the_same_key_and_one_that_stops_is_no_loss_to_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (file, markets) = two_markets(folder.path());
    let mut house = House::start(&markets).await.unwrap();
    let (corn, salt) = (
        World::of(&house.hosts()[0], &markets[0]),
        World::of(&house.hosts()[1], &markets[1]),
    );
    assert_eq!(corn.url(), salt.url(), "one router");
    assert_ne!(corn.market(), salt.market());
    assert_ne!(corn.marketmaker(), salt.marketmaker());
    let http = house.hosts()[0].addresses().http;
    let (status, said) = get(http, "/readyz");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(said["markets"]["salt"]["status"], "RUNNING", "{said}");

    let key = KeyId([7; 16]);
    let (corn_seller, mut corn_buyer) = trade(&corn, key).await;
    let (salt_seller, mut salt_buyer) = trade(&salt, key).await;
    corn_buyer.buy(key).await.unwrap();
    // Neither signature nor channel of one is worth anything in the other.
    let order = corn_buyer.order(key, tokens(2));
    let stray = salt.session().await;
    call(&stray, "xbr.marketmaker.buy_key", order.args())
        .await
        .unwrap_err();
    for (host, sold) in house.hosts().iter().zip([2, 1]) {
        let report = host.verify().unwrap();
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
        assert_eq!(report.checked.posted, sold);
    }
    // The ledger of one is looked at by its folder, beside the running process.
    let ledger = |data: &str| {
        let data = folder.path().join(data);
        run(&data, &["ledger", "verify", "--config", file.to_str().unwrap()])
    };
    assert!(ledger("corn").status.success() && ledger("salt").status.success());

    drop((corn_seller, corn_buyer));
    house.stop_one("corn").await;
    let (status, said) = get(http, "/readyz");
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(said["markets"]["corn"]["status"], "STOPPED", "{said}");
    assert_eq!(said["markets"]["salt"]["status"], "RUNNING", "{said}");
    salt_buyer.buy(key).await.unwrap();
    let status = call(&salt_buyer.session, "xbr.marketmaker.get_status", Vec::new())
        .await
        .unwrap();
    assert_eq!(int_of(&status, "status"), 1);
    assert_eq!(salt_buyer.posted().await, (salt_buyer.seq, salt_buyer.balance));
    assert_eq!(salt_seller.posted().await, salt_seller.books());
    assert!(corn.try_session().await.is_none(), "its realm is gone");
    assert_eq!(house.hosts().len(), 1);
    house.stop().await;
}
