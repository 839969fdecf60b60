//! The console over HTTP: what it says is what the ledger has, who may ask it, and what a stranger's page comes to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::House;
use bourse_app::config::{Config, Rule};
use bourse_market::{Amount, KeyId};
use bourse_policy::Hook;
use bourse_policy::testing::{Guest, price};
use bourse_tests::{
    Behaviour, Buyer, Seller, TOKEN, Web, World, call, policy_status, tokens, until, with_token,
    write_policy, write_token,
};
use bourse_wamp::Value;
use serde_json::Value as Json;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

const HERE: &str = "/console/api/m/realm1";

/// A market whose console knows an operator.
async fn world() -> World {
    World::prepared(write_token, with_token).await
}

fn web(world: &World) -> Web {
    Web::new(world.host().addresses().http)
}

fn units(amount: Amount) -> Json {
    Json::from(amount.as_u256().to_string())
}

async fn quote(buyer: &Buyer, key: KeyId) {
    let key = vec![Value::from(key.0)];
    call(&buyer.session, "xbr.marketmaker.get_quote", key)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_served_under_a_policy_that_lets_nothing_in_from_elsewhere() {
    let world = World::start().await;
    let web = web(&world);
    let page = web.get("/console/").await;
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("<title>Bourse console</title>"),
        "{}",
        page.body
    );
    for said in [
        "content-security-policy: default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(page.head.contains(said), "{said} is not in {}", page.head);
    }
    for path in ["/", "/console"] {
        let moved = web.get(path).await;
        assert_eq!(moved.status, 308);
        assert!(moved.head.contains("location: /console/"), "{}", moved.head);
    }
    let script = web.get("/console/main.js").await;
    assert!(
        script.head.contains("content-type: text/javascript"),
        "{}",
        script.head
    );
    let tag = script
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap()
        .to_owned();
    let known = web.with("If-None-Match", &tag).get("/console/main.js").await;
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    assert_eq!(web.get("/console/../Cargo.toml").await.status, 404);
    assert_eq!(web.get("/console/api/nothing").await.refused(404), "unknown");
    let answer = web.get(&format!("{HERE}/overview")).await;
    assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
    assert!(answer.head.contains("content-security-policy"), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_console_shows_is_what_the_ledger_has() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let (fixed, dynamic) = (seller.offer(Some(tokens(5))).await, seller.offer(None).await);
    buyer.buy(fixed).await.unwrap();
    let paid = buyer.buy(dynamic).await.unwrap().paid;
    quote(&buyer, dynamic).await;
    let web = web(&world);

    let told = web.json(&format!("{HERE}/overview")).await;
    let counts = world.host().counts().unwrap();
    assert_eq!(told["status"], "RUNNING");
    assert_eq!(
        (&told["ledger"]["sales"], &told["ledger"]["offers"]),
        (&Json::from(2), &Json::from(2))
    );
    assert_eq!(told["ledger"]["channels"], counts.channels);
    assert_eq!(told["ledger"]["decisions"], counts.decisions);
    assert_eq!(told["quotes"], 3);

    let sales = web.json(&format!("{HERE}/sales")).await;
    let sales = sales["sales"].as_array().unwrap().clone();
    assert_eq!(sales.len(), 2);
    assert_eq!(
        (&sales[0]["price"], &sales[0]["key"]),
        (&units(paid), &Json::from(dynamic.to_string()))
    );
    assert_eq!(
        (&sales[0]["policy"], &sales[0]["source"]),
        (&Json::from("surge"), &Json::from("policy"))
    );
    assert_eq!(
        (&sales[1]["price"], &sales[1]["base"]),
        (&units(tokens(5)), &units(tokens(5)))
    );
    assert_eq!(sales[1]["source"], "fixed");

    let prices = web.json(&format!("{HERE}/prices")).await;
    let api = &prices["apis"][0];
    assert_eq!(
        (
            api["sales"].as_array().unwrap().len(),
            api["quotes"].as_array().unwrap().len()
        ),
        (2, 3)
    );
    assert_eq!(api["uri"], "com.example.");

    for (list, channel, left) in [
        ("payment", buyer.channel, buyer.balance),
        ("paying", seller.channel, seller.books().1),
    ] {
        let found = web.json(&format!("{HERE}/channels?list={list}")).await;
        let found = &found["channels"][0];
        assert_eq!(found["id"], channel.to_string());
        assert_eq!(found["remaining"], units(left));
        assert_eq!(found["inflight"], "0");
    }
    let accounts = web.json(&format!("{HERE}/accounts")).await;
    let all: u128 = accounts["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["balance"].as_str().unwrap().parse::<u128>().unwrap())
        .sum();
    let granted: u128 = told["ledger"]["granted"].as_str().unwrap().parse().unwrap();
    let float: u128 = told["ledger"]["float"].as_str().unwrap().parse().unwrap();
    let deposited: u128 = tokens(1100).as_u256().to_string().parse().unwrap();
    assert_eq!(all, granted + float - deposited, "{accounts}");

    let offers = web.json(&format!("{HERE}/offers")).await;
    assert_eq!(offers["offers"][0]["key"], dynamic.to_string());
    assert_eq!(
        (&offers["offers"][1]["price"], &offers["offers"][1]["stands"]),
        (&units(tokens(5)), &Json::from("on sale"))
    );
    let of_api = web.json(&format!("{HERE}/offers?api={}", "07".repeat(16))).await;
    assert_eq!(of_api["offers"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_page_by_page_without_a_gap_or_a_repeat() {
    let world = World::start().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let _others = (
        Buyer::new(&world, tokens(1)).await,
        Buyer::new(&world, tokens(1)).await,
    );
    for _ in 0..5 {
        let key = seller.offer(Some(tokens(1))).await;
        buyer.buy(key).await.unwrap();
    }
    let web = web(&world);
    for (path, list, cursor, id, all) in [
        ("sales", "sales", "before", "id", 5),
        ("offers", "offers", "cursor", "id", 5),
        ("channels?list=payment", "channels", "cursor", "id", 3),
        ("channels?list=all-payment", "channels", "cursor", "id", 3),
        ("accounts", "accounts", "cursor", "address", 4),
    ] {
        let glue = if path.contains('?') { '&' } else { '?' };
        let mut seen = Vec::new();
        let mut at = String::new();
        loop {
            let page = web
                .json(&format!("{HERE}/{path}{glue}limit=2&{cursor}={at}"))
                .await;
            let found = page[list].as_array().unwrap();
            assert!(found.len() <= 2 && !found.is_empty(), "{path}: {page}");
            seen.extend(found.iter().map(|row| row[id].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => at = next.to_owned(),
                None => break,
            }
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!((seen.len(), once.len()), (all, all), "{path}: {seen:?}");
    }
    for bad in [
        "sales?limit=0",
        "sales?limit=201",
        "sales?before=00",
        "sales?before=zz",
        "sales?limits=2",
        "offers?cursor=00",
        "offers?api=1",
        "offers?seller=0x00",
        "channels?list=everything",
        "channels?cursor=%00",
        "accounts?cursor=1",
    ] {
        assert_eq!(
            web.get(&format!("{HERE}/{bad}")).await.refused(400),
            "bad_request",
            "{bad}"
        );
    }
    let long = format!("{HERE}/channels?cursor={}", "00".repeat(100));
    assert_eq!(web.get(&long).await.refused(400), "bad_request");
    assert_eq!(
        web.get("/console/api/m/realm2/sales").await.refused(404),
        "unknown"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_may_look_the_operator_may_change_and_another_sites_page_may_do_neither() {
    let world = world().await;
    let web = web(&world);
    let deploy = format!("{HERE}/policies/surge/disable");
    let session = web.json("/console/api/session").await;
    assert_eq!(
        (&session["read"], &session["change"]),
        (&Json::from(true), &Json::from(false))
    );
    assert_eq!(web.post(&deploy, &[]).await.refused(401), "token");
    for wrong in ["wrong", "", TOKEN.trim_start_matches("a-")] {
        assert_eq!(
            web.with_token(wrong).post(&deploy, &[]).await.refused(401),
            "token"
        );
        assert_eq!(
            web.with_token(wrong)
                .get(&format!("{HERE}/sales"))
                .await
                .refused(401),
            "token"
        );
    }
    // A name that leads here, as a stranger's page would have it.
    let rebound = web.with("Host", "evil.example");
    for path in [
        "overview",
        "sales",
        "live",
        "policies",
        "why/00000000000000000000000000000000",
    ] {
        assert_eq!(
            rebound.get(&format!("{HERE}/{path}")).await.refused(403),
            "foreign_host",
            "{path}"
        );
    }
    // A stranger's page that asks under the right name, and even has the token.
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let page = web.with_token(TOKEN).with(name, value);
        assert_eq!(page.post(&deploy, &[]).await.refused(403), "foreign_page");
        assert_eq!(
            page.get(&format!("{HERE}/sales")).await.refused(403),
            "foreign_page"
        );
        assert_eq!(
            page.get("/console/api/session").await.refused(403),
            "foreign_page"
        );
    }
    let proxied = web.with("X-Forwarded-For", "203.0.113.9");
    assert_eq!(proxied.get(&format!("{HERE}/sales")).await.refused(401), "token");
    assert_eq!(policy_status(&world, "surge").state.as_str(), "active");

    let operator = web
        .with_token(TOKEN)
        .with("Origin", &format!("http://{}", web.address));
    assert_eq!(operator.post(&deploy, &[]).await.json()["done"], true);
    assert_eq!(policy_status(&world, "surge").state.as_str(), "disabled");
    let session = operator.json("/console/api/session").await;
    assert_eq!(session["change"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_file_changes_are_refused_and_it_is_said_how_to_allow_them() {
    let world = World::start().await;
    let web = web(&world);
    for web in [web.clone(), web.with_token(TOKEN)] {
        let said = web.post(&format!("{HERE}/policies/surge/disable"), &[]).await;
        assert_eq!(said.refused(403), "no_token");
        assert!(said.body.contains("http.token_file"), "{}", said.body);
    }
    let session = web.json("/console/api/session").await;
    assert_eq!(
        (&session["token"], &session["read"]),
        (&Json::from(false), &Json::from(true))
    );
    assert_eq!(policy_status(&world, "surge").state.as_str(), "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_is_missing_is_made_and_one_that_others_may_read_keeps_the_host_from_starting() {
    let mut world = World::with(|config| {
        config.http.token_file = Some(config.store.path.join("made.token"));
    })
    .await;
    let file = world.data().join("made.token");
    let token = std::fs::read_to_string(&file).unwrap();
    let operator = web(&world).with_token(token.trim());
    assert_eq!(operator.json("/console/api/session").await["change"], true);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    world.stop().await;
    let Err(error) = bourse_app::Host::start(world.config()).await else {
        panic!("it started");
    };
    assert!(format!("{error:#}").contains("mode 644"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_this_machine_all_but_which_markets_there_are_is_the_operators() {
    let far = |config: &mut Config| config.http.listen = "0.0.0.0:0".parse().unwrap();
    let mut config = Config::default();
    far(&mut config);
    assert!(
        config
            .check()
            .unwrap_err()
            .to_string()
            .contains("http.token_file")
    );

    let world = World::prepared(write_token, |config| {
        far(config);
        with_token(config);
    })
    .await;
    let web = web(&world);
    let session = web.json("/console/api/session").await;
    assert_eq!(
        (&session["read"], &session["local"]),
        (&Json::from(false), &Json::from(false))
    );
    assert_eq!(session["markets"][0]["status"], "RUNNING");
    for path in [
        "overview",
        "sales",
        "prices",
        "offers",
        "channels",
        "accounts",
        "refusals",
        "policies",
        "live",
        "why/00000000000000000000000000000000",
    ] {
        assert_eq!(
            web.get(&format!("{HERE}/{path}")).await.refused(401),
            "token",
            "{path}"
        );
    }
    let replay = format!("{HERE}/replay/00000000000000000000000000000000");
    assert_eq!(web.post(&replay, &[]).await.refused(401), "token");
    assert_eq!(web.get("/console/").await.status, 200);
    web.with_token(TOKEN).json(&format!("{HERE}/overview")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_price_is_explained_by_whatever_names_it_and_made_again_on_the_spot() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(None).await;
    let receipt = buyer.buy(key).await.unwrap();
    let web = web(&world);
    let sales = web.json(&format!("{HERE}/sales")).await;
    let sale = &sales["sales"][0];
    let decision = sale["decision"].as_str().unwrap();

    // By the purchase, and by what the buyer's receipt says: its channel and its position there.
    let by_receipt = format!("{}:{}", buyer.channel, receipt.seq.0);
    for id in [sale["id"].as_str().unwrap(), &by_receipt] {
        let told = web.json(&format!("{HERE}/why/{id}")).await;
        assert_eq!(
            (&told["what"], &told["sale"]["id"]),
            (&Json::from("sale"), &sale["id"])
        );
        assert_eq!(told["sale"]["price"], units(receipt.paid));
        let shown = &told["decisions"][0];
        assert_eq!(
            (shown["id"].as_str(), shown["policy"].as_str()),
            (Some(decision), Some("surge"))
        );
        assert_eq!(
            shown["revision"],
            policy_status(&world, "surge").revision.unwrap()
        );
        let words = shown["words"].to_string();
        assert!(
            words.contains("In get_quote, surge was asked the price of key"),
            "{words}"
        );
        assert!(words.contains("It asked for the demand of API"), "{words}");
        assert!(words.contains(&format!("It said {}", receipt.paid)), "{words}");
        let record: Json = serde_json::from_str(shown["record"].as_str().unwrap()).unwrap();
        assert_eq!(record["output"]["price"]["amount"], units(receipt.paid));
        assert_eq!(record["imports"][0]["name"], "market.demand");
    }
    let again = web.post(&format!("{HERE}/replay/{decision}"), &[]).await;
    assert_eq!(again.json()["result"], "exact", "{}", again.body);

    // A quote that nobody bought at is in the log of decisions alone.
    quote(&buyer, key).await;
    let told = web.json(&format!("{HERE}/why/{key}")).await;
    assert_eq!(
        (&told["what"], told["quotes"].as_array().unwrap().len()),
        (&Json::from("offer"), 2)
    );
    assert_eq!(told["sales"][0]["id"], sale["id"]);
    let unbought = told["quotes"][0]["decision"].as_str().unwrap();
    assert_ne!(unbought, decision);
    let told = web.json(&format!("{HERE}/why/{unbought}")).await;
    assert_eq!(
        (&told["what"], &told["sale"]),
        (&Json::from("decision"), &Json::Null)
    );
    assert_eq!(
        web.post(&format!("{HERE}/replay/{unbought}"), &[]).await.json()["result"],
        "exact"
    );

    // A fixed price has no decision, and says so.
    let fixed = seller.offer(Some(tokens(3))).await;
    let receipt = buyer.buy(fixed).await.unwrap();
    let told = web
        .json(&format!("{HERE}/why/{}:{}", buyer.channel, receipt.seq.0))
        .await;
    assert!(
        told["words"][0]
            .as_str()
            .unwrap()
            .contains("names this price itself"),
        "{told}"
    );
    assert_eq!(told["decisions"].as_array().unwrap().len(), 0);
    let told = web.json(&format!("{HERE}/why/{}", buyer.channel)).await;
    assert_eq!(
        (&told["what"], told["sales"].as_array().unwrap().len()),
        (&Json::from("channel"), 2)
    );

    for (id, status, code) in [
        ("00000000000000000000000000000000", 404, "unknown"),
        ("nonsense", 400, "bad_request"),
        ("0x00", 400, "bad_request"),
        ("..%2f..%2fetc", 400, "bad_request"),
        ("1:2:3", 400, "bad_request"),
    ] {
        assert_eq!(
            web.get(&format!("{HERE}/why/{id}")).await.refused(status),
            code,
            "{id}"
        );
        if !id.contains(':') {
            assert_eq!(
                web.post(&format!("{HERE}/replay/{id}"), &[])
                    .await
                    .refused(status),
                code,
                "{id}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_that_was_undone_says_why_and_the_channel_that_waits_for_it_names_it() {
    let world = world().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(None).await;
    buyer.buy(key).await.unwrap();
    seller.behave(Behaviour::LoseAnswer);
    let error = buyer.buy(key).await.unwrap_err();
    let web = web(&world);
    let refusals = web.json(&format!("{HERE}/refusals")).await;
    let reason = &refusals["reasons"][0];
    assert_eq!(
        (&reason["error"], &reason["count"]),
        (&Json::from(error.uri), &Json::from(1))
    );
    assert_eq!(reason["procedure"], "xbr.marketmaker.buy_key");

    let waits = web.json(&format!("{HERE}/channels?list=suspended")).await;
    let waits = &waits["channels"][0];
    assert_eq!(waits["id"], seller.channel.to_string());
    let purchase = waits["suspended"]["purchase"].as_str().unwrap();
    let told = web.json(&format!("{HERE}/why/{purchase}")).await;
    assert_eq!(
        (&told["what"], &told["offer"]["key"]),
        (&Json::from("purchase"), &Json::from(key.to_string()))
    );
    let words = told["words"][0].as_str().unwrap();
    assert!(words.contains("undone, and its buyer charged nothing"), "{words}");
    // Its price was decided all the same, and that is in the log.
    let decision = told["decisions"][0]["id"].as_str().unwrap();
    let again = web.post(&format!("{HERE}/replay/{decision}"), &[]).await;
    assert_eq!(again.json()["result"], "exact", "{}", again.body);
    assert_eq!(
        web.json(&format!("{HERE}/overview")).await["ledger"]["suspended"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_explained_with_its_filters_and_consents_and_a_bound_that_changed_its_price() {
    let says_yes = |name: &str, hook| Guest::of(name, hook).build();
    let greedy = Guest::named("greedy")
        .quote(price(*tokens(9).limbs(), 30_000))
        .build();
    let fill = |data: &Path| {
        write_policy(data, "greedy", &greedy);
        write_policy(data, "window", &says_yes("window", Hook::Offers));
        write_policy(data, "gate", &says_yes("gate", Hook::Consent));
    };
    let rule = |policy: &str, hook| Rule {
        hook,
        policy: policy.to_owned(),
        grants: Vec::new(),
        ..Rule::default_pricing()
    };
    let world = World::prepared(fill, |config| {
        let mut greedy = rule("greedy", Hook::Pricing);
        greedy.limits.cap = Some("4".to_owned());
        config.policies.rule = vec![greedy, rule("window", Hook::Offers), rule("gate", Hook::Consent)];
    })
    .await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(None).await;
    let receipt = buyer.buy(key).await.unwrap();
    assert_eq!(receipt.paid, tokens(4));
    let web = web(&world);
    let told = web
        .json(&format!("{HERE}/why/{}:{}", buyer.channel, receipt.seq.0))
        .await;
    let decisions = told["decisions"].as_array().unwrap();
    let mut policies: Vec<_> = decisions
        .iter()
        .map(|one| one["policy"].as_str().unwrap())
        .collect();
    assert_eq!(policies[0], "greedy", "the price comes first");
    policies.sort_unstable();
    assert_eq!(policies, ["gate", "greedy", "window"]);
    assert_eq!(told["all_decisions"], true);
    let words = decisions[0]["words"].to_string();
    assert!(words.contains("It said 9; the cap made that 4"), "{words}");
    for decision in decisions {
        let id = decision["id"].as_str().unwrap();
        assert_eq!(
            web.post(&format!("{HERE}/replay/{id}"), &[]).await.json()["result"],
            "exact"
        );
        assert_eq!(decision["purchase"], told["sale"]["id"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_by_reason_and_what_callers_wrote_is_text() {
    let world = world().await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    for _ in 0..3 {
        call(
            &buyer.session,
            "xbr.marketmaker.get_quote",
            vec![Value::from([9_u8; 16])],
        )
        .await
        .unwrap_err();
    }
    let hostile = Value::Str("<script>alert(1)</script>".to_owned());
    call(&buyer.session, "xbr.marketmaker.get_quote", vec![hostile])
        .await
        .unwrap_err();
    let refusals = web(&world).json(&format!("{HERE}/refusals")).await;
    let reasons = refusals["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 2, "{refusals}");
    assert_eq!(
        (&reasons[0]["error"], &reasons[0]["count"]),
        (&Json::from("crossbar.error.no_such_object"), &Json::from(3))
    );
    assert_eq!(
        (&reasons[1]["error"], &reasons[1]["count"]),
        (&Json::from("wamp.error.invalid_argument"), &Json::from(1))
    );
    assert_eq!(refusals["recent"].as_array().unwrap().len(), 4);
}

/// The data of the next event of a stream.
async fn event(stream: &mut tokio::net::TcpStream, seen: &mut String) -> Json {
    let started = Instant::now();
    loop {
        if let Some((_, rest)) = seen.split_once("data: ")
            && let Some((data, rest)) = rest.split_once("\n\n")
        {
            let (data, rest) = (serde_json::from_str(data).unwrap(), rest.to_owned());
            *seen = rest;
            return data;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "no event in {seen}");
        let mut bytes = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut bytes)).await;
        let read = read.unwrap().unwrap();
        assert_ne!(read, 0, "the stream ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn news_come_while_they_happen_to_so_many_pages_and_no_more_and_end_with_the_host() {
    let mut world = world().await;
    let seller = Seller::new(&world, tokens(1000)).await;
    let mut buyer = Buyer::new(&world, tokens(100)).await;
    let key = seller.offer(Some(tokens(5))).await;
    let web = web(&world);
    let live = format!("{HERE}/live");
    let (mut stream, mut seen) = (web.begin("GET", &live, "").await, String::new());
    let before = event(&mut stream, &mut seen).await;
    assert_eq!(
        (&before["sales"], &before["status"]),
        (&Json::from(0), &Json::from("RUNNING"))
    );
    buyer.buy(key).await.unwrap();
    let mut now = event(&mut stream, &mut seen).await;
    while now["sales"] != 1 {
        now = event(&mut stream, &mut seen).await;
    }

    let mut others = Vec::new();
    for _ in 1..16 {
        let (mut stream, mut seen) = (web.begin("GET", &live, "").await, String::new());
        event(&mut stream, &mut seen).await;
        others.push(stream);
    }
    assert_eq!(web.get(&live).await.refused(429), "busy");
    others.pop();
    until("a place is free", async || {
        let mut stream = web.begin("GET", &live, "").await;
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes == *b"HTTP/1.1 200"
    })
    .await;

    let stopping = Instant::now();
    world.stop().await;
    assert!(
        stopping.elapsed() < Duration::from_secs(5),
        "pages keep the host from stopping"
    );
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_markets_each_is_asked_by_its_realm_and_shows_only_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bourse.toml");
    let data = folder.path().display();
    let text = format!(
        r#"
        [wamp]
        listen_ws = "127.0.0.1:0"
        listen_rs = "127.0.0.1:0"
        [http]
        listen = "127.0.0.1:0"
        token_file = "operator.token"
        [store]
        map_size = 268435456
        [[market]]
        realm.name = "corn"
        store.path = "{data}/corn"
        [[market]]
        realm.name = "salt&pepper"
        store.path = "{data}/salt"
        "#
    );
    std::fs::write(&file, text).unwrap();
    let markets = Config::load_all(Some(&file), std::iter::empty()).unwrap();
    let house = House::start(&markets).await.unwrap();
    let token = std::fs::read_to_string(folder.path().join("operator.token")).unwrap();
    let corn = World::of(&house.hosts()[0], &markets[0]);
    let seller = Seller::new(&corn, tokens(100)).await;
    let mut buyer = Buyer::new(&corn, tokens(50)).await;
    let key = seller.offer(Some(tokens(2))).await;
    buyer.buy(key).await.unwrap();

    let web = Web::new(house.hosts()[0].addresses().http);
    let session = web.json("/console/api/session").await;
    let realms: Vec<_> = session["markets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|market| &market["realm"])
        .collect();
    assert_eq!(realms, ["corn", "salt&pepper"]);
    let sales = |realm: &str| format!("/console/api/m/{realm}/sales");
    assert_eq!(
        web.json(&sales("corn")).await["sales"].as_array().unwrap().len(),
        1
    );
    let salt = "salt%26pepper";
    assert_eq!(web.json(&sales(salt)).await["sales"].as_array().unwrap().len(), 0);
    assert_eq!(
        web.get(&format!("/console/api/m/{salt}/why/{key}"))
            .await
            .refused(404),
        "unknown"
    );
    let operator = web.with_token(token.trim());
    let disabled = operator
        .post(&format!("/console/api/m/{salt}/policies/surge/disable"), &[])
        .await;
    assert_eq!(disabled.status, 200, "{}", disabled.body);
    let states: Vec<_> = house
        .hosts()
        .iter()
        .map(|host| {
            host.policies()
                .into_iter()
                .find(|policy| policy.name == "surge")
                .unwrap()
                .state
                .as_str()
        })
        .collect();
    assert_eq!(states, ["active", "disabled"]);
    house.stop().await;
}
