//! Several markets in one process: behind one router, each with its own realm, ledger and books.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::House;
use bourse_market::KeyId;
use bourse_tests::{World, call, corn_and_salt, int_of, page, run, tokens, trade_one};
use std::net::SocketAddr;
use std::path::Path;

/// Free ports.
const LISTEN: &str = "listen_ws = \"127.0.0.1:0\"\nlisten_rs = \"127.0.0.1:0\"";

/// A page in JSON, and its status line.
async fn get(address: SocketAddr, path: &str) -> (String, serde_json::Value) {
    let (status, said) = page(address, path).await;
    (status, serde_json::from_str(&said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_markets_trade_the_same_key_and_one_that_stops_is_no_loss_to_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (file, markets) = corn_and_salt(folder.path(), LISTEN);
    let mut house = House::start(&markets).await.unwrap();
    let (corn, salt) = (
        World::of(&house.hosts()[0], &markets[0]),
        World::of(&house.hosts()[1], &markets[1]),
    );
    assert_eq!(corn.url(), salt.url(), "one router");
    assert_ne!(corn.market(), salt.market());
    assert_ne!(corn.marketmaker(), salt.marketmaker());
    let http = house.hosts()[0].addresses().http;
    let (status, said) = get(http, "/readyz").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(said["markets"]["salt"]["status"], "RUNNING", "{said}");

    let key = KeyId([7; 16]);
    let (corn_seller, mut corn_buyer) = trade_one(&corn, key).await;
    let (salt_seller, mut salt_buyer) = trade_one(&salt, key).await;
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
    let (status, said) = get(http, "/readyz").await;
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

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&source, &target);
        } else {
            std::fs::copy(source, target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_one_markets_folder_is_no_second_market() {
    let folder = tempfile::tempdir().unwrap();
    let (_, markets) = corn_and_salt(folder.path(), LISTEN);
    House::start(&markets[..1]).await.unwrap().stop().await;
    copy(&folder.path().join("corn"), &folder.path().join("salt"));
    let error = House::start(&markets).await.err().unwrap();
    let said = format!("{error:#}");
    assert!(
        said.contains("realms `corn` and `salt` are one and the same"),
        "{said}"
    );
    // Nothing is left open: each can be served without the other.
    for market in &markets {
        House::start(std::slice::from_ref(market))
            .await
            .unwrap()
            .stop()
            .await;
    }
    std::fs::remove_dir_all(folder.path().join("salt")).unwrap();
    House::start(&markets).await.unwrap().stop().await;
}
