//! Policies through the console: by upload, with the operator's token, and whatever else is uploaded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::Rule;
use bourse_market::{Amount, KeyId};
use bourse_policy::testing::{Guest, price};
use bourse_tests::{
    Buyer, Page, Seller, TOKEN, Web, World, call, policy_status, tokens, until, with_token, write_policy,
    write_token,
};
use bourse_wamp::Value;
use serde_json::Value as Json;
use std::path::Path;
use tokio::io::AsyncWriteExt;

const HERE: &str = "/console/api/m/realm1";

fn web(world: &World) -> Web {
    Web::new(world.host().addresses().http)
}

/// A component that always asks for these base units.
fn asking(name: &str, units: u64, version: &str) -> Vec<u8> {
    Guest::named(name)
        .version(version)
        .quote(price([units, 0, 0, 0], 30_000))
        .build()
}

async fn quote(buyer: &Buyer, key: KeyId) {
    let key = vec![Value::from(key.0)];
    call(&buyer.session, "xbr.marketmaker.get_quote", key)
        .await
        .unwrap();
}

/// A market whose dynamic offers are priced by `ladder`, at 1 base unit.
async fn ladder() -> World {
    let fill = |data: &Path| {
        write_token(data);
        write_policy(data, "ladder", &asking("ladder", 1, "1.0.0"));
    };
    World::prepared(fill, |config| {
        with_token(config);
        config.policies.rule = vec![Rule {
            policy: "ladder".to_owned(),
            ..Rule::default_pricing()
        }];
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_upload_is_refused_and_what_is_in_force_stays() {
    let world = ladder().await;
    let operator = web(&world).with_token(TOKEN);
    let before = policy_status(&world, "ladder").revision;
    let deploy = |name: &str| format!("{HERE}/policies/{name}/deploy");
    let good = asking("ladder", 2, "2.0.0");
    let most = world.config().policies.component_max;
    let (cut, wrong_name) = (&good[..good.len() / 2], asking("other", 2, "2.0.0"));
    for (name, body) in [
        ("ladder", &b""[..]),
        ("ladder", b"nonsense"),
        ("ladder", cut),
        ("ladder", &wrong_name),
    ] {
        assert_eq!(operator.post(&deploy(name), body).await.refused(422), "refused");
    }
    for name in [
        "..%2fescape",
        "%2e%2e",
        "ladder%00",
        "ladder%20",
        "LADDER",
        &"x".repeat(300),
    ] {
        assert_eq!(
            operator.post(&deploy(name), &good).await.refused(422),
            "refused",
            "{name}"
        );
    }
    assert_eq!(
        operator
            .post(&deploy("ladder"), &vec![0; most + 1])
            .await
            .refused(413),
        "too_large"
    );
    let signed = operator.with("Bourse-Signature", "zz");
    assert_eq!(
        signed.post(&deploy("ladder"), &good).await.refused(400),
        "bad_request"
    );
    assert_eq!(
        operator
            .post(&format!("{HERE}/policies/ladder/obey"), &[])
            .await
            .refused(404),
        "unknown"
    );
    assert_eq!(
        operator
            .post(&format!("{HERE}/policies/ladder/rollback"), b"x")
            .await
            .refused(413),
        "too_large"
    );

    // A body that never says how long it is, and goes on for ever.
    let mut stream = operator
        .begin("POST", &deploy("ladder"), "Transfer-Encoding: chunked\r\n")
        .await;
    let chunk = [b"10000\r\n".as_slice(), &[7; 0x10000], b"\r\n"].concat();
    for _ in 0..(2 * most / 0x10000) {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    assert_eq!(Page::read(stream).await.refused(413), "too_large");

    // One that says how long it is, and stops in the middle, keeps nobody else out for longer than it stays.
    let length = format!("Content-Length: {}\r\n", good.len());
    let mut stuck = Vec::new();
    until("the place is taken", async || {
        // Whoever comes first has the place: one of these may be turned away for the question after it.
        let mut stream = operator.begin("POST", &deploy("ladder"), &length).await;
        let _ = stream.write_all(cut).await;
        stuck.push(stream);
        operator.post(&deploy("ladder"), b"").await.status == 429
    })
    .await;
    drop(stuck);
    assert_eq!(policy_status(&world, "ladder").revision, before);
    until("the place is free", async || {
        operator.post(&deploy("ladder"), &good).await.status == 200
    })
    .await;
    assert_ne!(policy_status(&world, "ladder").revision, before);
    assert!(!world.folder().join("escape.wasm").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_tried_shadowed_deployed_and_rolled_back_and_every_step_shows() {
    let world = ladder().await;
    let seller = Seller::new(&world, tokens(10)).await;
    let mut buyer = Buyer::new(&world, tokens(10)).await;
    let key = seller.offer(None).await;
    buyer.buy(key).await.unwrap();
    let operator = web(&world).with_token(TOKEN);
    let (first, second) = (
        policy_status(&world, "ladder").revision.unwrap(),
        asking("ladder", 9, "2.0.0"),
    );

    let tried = operator
        .post(&format!("{HERE}/trial/ladder?hours=1"), &second)
        .await;
    assert_eq!(tried.status, 200, "{}", tried.body);
    let tried = tried.json();
    assert_eq!(
        (&tried["report"]["compared"], &tried["report"]["changed"]),
        (&Json::from(1), &Json::from(1))
    );
    assert!(
        tried["html"].as_str().unwrap().starts_with("<!"),
        "a page to keep"
    );
    assert_eq!(
        policy_status(&world, "ladder").revision.as_ref(),
        Some(&first),
        "nothing changed"
    );
    for bad in [
        "hours=0",
        "hours=721",
        "elasticity=21",
        "elasticity=nan",
        "elasticity=-1",
    ] {
        let said = operator
            .post(&format!("{HERE}/trial/ladder?{bad}"), &second)
            .await;
        assert_eq!(said.refused(400), "bad_request", "{bad}");
    }

    let shadowed = operator
        .post(&format!("{HERE}/policies/ladder/shadow"), &second)
        .await
        .json();
    assert_eq!(shadowed["deployed"]["shadow"], true);
    quote(&buyer, key).await;
    until("the shadow answers", async || {
        let told = operator.json(&format!("{HERE}/policies")).await;
        let figures = told["figures"].as_array().unwrap().clone();
        figures
            .iter()
            .any(|one| one["shadow"] == true && one["different"] == 1 && one["same"] == 0)
    })
    .await;

    let deployed = operator
        .post(&format!("{HERE}/policies/ladder/deploy"), &second)
        .await
        .json();
    let revision = deployed["deployed"]["revision"].as_str().unwrap().to_owned();
    assert_eq!(deployed["deployed"]["previous"].as_str(), Some(first.as_str()));
    assert_eq!(deployed["rules"][0], "pricing");
    assert_eq!(buyer.buy(key).await.unwrap().paid, Amount::from_units(9));
    let told = operator.json(&format!("{HERE}/policies")).await;
    let of = |told: &Json, name: &str| {
        let policies = told["policies"].as_array().unwrap().clone();
        policies
            .into_iter()
            .find(|policy| policy["name"] == name)
            .unwrap()
    };
    let ladder = of(&told, "ladder");
    assert_eq!(
        (ladder["version"].as_str(), ladder["state"].as_str()),
        (Some("2.0.0"), Some("active"))
    );
    let figures = told["figures"].as_array().unwrap();
    let own = figures
        .iter()
        .find(|one| one["revision"] == revision.as_str() && one["shadow"] == false)
        .unwrap();
    assert_eq!((&own["calls"], &own["failed"]), (&Json::from(1), &Json::from(0)));
    let (p50, p99) = (own["p50_us"].as_f64().unwrap(), own["p99_us"].as_f64().unwrap());
    assert!(p50 > 0.0 && p99 >= p50, "{own}");

    let back = operator
        .post(&format!("{HERE}/policies/ladder/rollback"), &[])
        .await
        .json();
    assert_eq!(back["deployed"]["revision"].as_str(), Some(first.as_str()));
    assert_eq!(buyer.buy(key).await.unwrap().paid, Amount::from_units(1));
}
