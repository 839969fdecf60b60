//! Drills: trouble is brought about for real, a real Prometheus watches by the rules that operators get, and alert, log,
//! `bourse status`, console and run-book must say the same of it. Afterwards the alert ends, and no unit is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::Serializer;
use bourse_market::KeyId;
use bourse_policy::testing::{Guest, price};
use bourse_tests::{
    Behaviour, Behind, Browser, Buyer, Chain, Prometheus, Seller, Web, World, assert_balanced,
    assert_verified, call, document, figures, found, page, process, refused, send, tokens, until,
};
use bourse_wamp::{CallOptions, Dict, Session, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const CONSOLE: &str = "/console/api/m/realm1";
const POLICY_FAILED: &str = "bourse.error.policy_failed";
/// They tell of slow disks and busy processors, such as a machine has that tests.
const OF_THE_MACHINE: [&str; 3] = ["BourseLedgerSlow", "BourseCallsSlow", "BoursePolicySlow"];

/// A market in a process of its own that something happens to, and who watches it.
struct Drill {
    world: World,
    prometheus: Prometheus,
    /// Its log, a line of JSON each.
    lines: PathBuf,
}

/// The run-book of an alert.
fn run_book(alert: &str) -> String {
    let operating = document("OPERATING.md");
    let (_, rest) = operating.split_once(&format!("### {alert}\n")).unwrap();
    rest.split("\n### ").next().unwrap().to_owned()
}

/// The lines of the log that it quotes.
fn quoted(alert: &str) -> Vec<String> {
    let book = run_book(alert);
    let (_, log) = book.split_once("**Log:**").unwrap();
    let log = log.split("\n\n").next().unwrap();
    log.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

impl Drill {
    /// Has the real binary run on a world's data. Whatever ran on it before has stopped.
    async fn on(program: &OsString, mut world: World, environment: &[(&str, OsString)]) -> Self {
        let lines = world.folder().join("lines");
        run(&mut world, environment, &lines);
        let prometheus = Prometheus::watching(program, world.http()).await;
        let drill = Self {
            world,
            prometheus,
            lines,
        };
        drill.assert_calm(&[]).await;
        drill
    }

    fn web(&self) -> Web {
        Web::new(self.world.http())
    }

    /// Nothing is wrong but what is `known` to be, whoever is asked.
    async fn assert_calm(&self, known: &[&str]) {
        let known: BTreeSet<_> = known.iter().copied().chain(OF_THE_MACHINE).collect();
        let mut firing = self.prometheus.firing().await;
        firing.retain(|alert| !known.contains(alert.as_str()));
        assert!(firing.is_empty(), "{firing:?}");
        assert_eq!(self.troubles().await, Vec::<String>::new());
    }

    /// What `bourse status` says is wrong; the console says the same.
    async fn troubles(&self) -> Vec<String> {
        let texts = |told: &Json| -> Vec<String> {
            let all = told["trouble"].as_array().unwrap().iter();
            all.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let data = self.world.data().to_owned();
        // What changes between two questions, such as the bytes that are free, is asked again.
        found("one word on what is wrong", async || {
            let data = data.clone();
            let asked = move || process::run(&data, &["status", "--output", "json"]);
            let output = tokio::task::spawn_blocking(asked).await.unwrap();
            let status: Json = serde_json::from_slice(&output.stdout).unwrap();
            let console = self.web().json(&format!("{CONSOLE}/overview")).await;
            (texts(&status) == texts(&console)).then(|| texts(&console))
        })
        .await
    }

    async fn is_troubled(&self, words: &str) -> bool {
        self.troubles()
            .await
            .iter()
            .any(|trouble| trouble.contains(words))
    }

    /// The lines of the log whose message has these words.
    fn said(&self, words: &str) -> Vec<Json> {
        let text = std::fs::read_to_string(&self.lines).unwrap();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Json>(line).ok());
        lines
            .filter(|line| {
                line["fields"]["message"]
                    .as_str()
                    .is_some_and(|text| text.contains(words))
            })
            .collect()
    }

    /// An alert comes, and the log has a line that its run-book quotes.
    async fn alarms(&self, alert: &str) -> Json {
        self.prometheus.fires(alert).await;
        let mut said = quoted(alert)
            .into_iter()
            .flat_map(|words| self.said(&words))
            .collect::<Vec<_>>();
        said.pop()
            .unwrap_or_else(|| panic!("{alert}: the log has none of {:?}", quoted(alert)))
    }

    /// The same, and `bourse status` and the console say `words`.
    async fn strikes(&self, alert: &str, words: &str) -> Json {
        let line = self.alarms(alert).await;
        until("a word of it on the console", async || {
            self.is_troubled(words).await
        })
        .await;
        line
    }

    /// The alert ends, and nobody says `words` any more.
    async fn passes(&self, alert: &str, words: &str) {
        self.prometheus.ends(alert).await;
        until("the end of it on the console", async || {
            !self.is_troubled(words).await
        })
        .await;
    }

    /// The first page of the console shows `words`, in a real browser if there is one.
    async fn shows(&self, words: &str) {
        let Some(mut browser) = Browser::start().await else {
            return;
        };
        browser
            .go(&format!(
                "http://{}/console/#/realm1/overview",
                self.web().address
            ))
            .await;
        browser
            .until(&format!(
                "document.querySelector('.page.overview')?.innerText.includes({})",
                Json::from(words)
            ))
            .await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    }

    /// `bourse policy …` on this market.
    async fn policy(&self, args: &[&str]) {
        let data = self.world.data().to_owned();
        let args: Vec<String> = [&["policy"], args]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let ran = tokio::task::spawn_blocking(move || {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            process::run(&data, &args)
        });
        let output = ran.await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    async fn assert_nothing_lost(&self, buyers: &[&Buyer], sellers: &[&Seller]) {
        assert_balanced(&self.world, buyers, sellers).await;
        assert_verified(&self.world);
    }
}

/// Starts the real binary on a world's data; what it says takes the place of what is in `lines`.
fn run(world: &mut World, environment: &[(&str, OsString)], lines: &Path) {
    let mut environment = environment.to_vec();
    environment.push(("BOURSE__LOG__FORMAT", "json".into()));
    world.run_apart_noting(&environment, lines);
}

/// A market that has stopped, with its key and its policies.
async fn ready(policies: &[(&str, Vec<u8>)]) -> World {
    let mut world = World::with_policies(policies, |_| {}).await;
    world.stop().await;
    world
}

/// A component that always asks for one token.
fn asking(name: &str) -> Vec<u8> {
    Guest::named(name)
        .quote(price(*tokens(1).limbs(), 30_000))
        .build()
}

/// `ladder` prices what has no price.
fn ladder() -> (&'static str, OsString) {
    let rule = "[{ hook = \"pricing\", policy = \"ladder\" }]";
    ("BOURSE__POLICIES__RULE", rule.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_every_rule_and_every_question_of_the_dashboard_and_a_quiet_market_alarms_nobody() {
    let Some(program) = Prometheus::program() else {
        return;
    };
    let drill = Drill::on(&program, ready(&[]).await, &[]).await;
    let seller = Seller::new(&drill.world, tokens(50)).await;
    let mut buyer = Buyer::new(&drill.world, tokens(50)).await;
    for price in [Some(tokens(1)), None] {
        let key = seller.offer(price).await;
        buyer.buy(key).await.unwrap();
    }

    let rules = drill.prometheus.rules().await;
    let names = document("alerts.yml").matches("- alert: ").count();
    assert_eq!(rules.len(), names);
    for rule in &rules {
        assert_eq!(
            (rule["health"].as_str(), rule["lastError"].as_str()),
            (Some("ok"), None),
            "{rule}"
        );
    }
    let dashboard: Json = serde_json::from_str(&document("grafana-dashboard.json")).unwrap();
    let mut questions = Vec::new();
    expressions(&dashboard, &mut questions);
    assert!(questions.len() >= 40, "{questions:?}");
    for question in questions {
        let asked = question
            .replace("$__rate_interval", "10s")
            .replace("$realm", ".*");
        let answer = drill.prometheus.query(&asked).await;
        let answer = answer.unwrap_or_else(|error| panic!("{question}: {error}"));
        assert!(answer.is_array(), "{question}: {answer}");
    }
    drill.assert_calm(&[]).await;
    drill.assert_nothing_lost(&[&buyer], &[&seller]).await;
}

/// What a dashboard asks Prometheus.
fn expressions(of: &Json, found: &mut Vec<String>) {
    match of {
        Json::Object(fields) => {
            if let Some(expression) = fields.get("expr").and_then(Json::as_str) {
                found.push(expression.to_owned());
            }
            fields.values().for_each(|value| expressions(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_is_told_of_everywhere_and_trade_goes_on() {
    const DEPTH: u64 = 2;
    const TROUBLE: &str = "the chain cannot be followed";
    let Some(program) = Prometheus::program() else {
        return;
    };
    let Some(chain) = Chain::start().await else { return };
    let mut world = chain.world(DEPTH, |_| {}).await;
    let (mut buyer, mut seller) = chain.traders(&world, DEPTH).await;
    world.stop().await;
    let environment = chain.variables(chain.url(), DEPTH);
    let drill = Drill::on(&program, world, &environment).await;
    buyer.reconnect(&drill.world).await;
    seller.reconnect(&drill.world).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();

    let dead = chain.kill().await;
    let line = drill.strikes("BourseChainTrouble", TROUBLE).await;
    assert!(line["fields"]["trouble"].is_string(), "{line}");
    drill.shows(TROUBLE).await;
    buyer.buy(key).await.unwrap();

    let chain = dead.revive().await;
    drill.passes("BourseChainTrouble", TROUBLE).await;
    assert_eq!(drill.said("the chain is followed again").len(), 1);
    chain.mine(DEPTH + 1).await;
    chain.caught_up(&buyer.session, DEPTH).await;
    buyer.buy(key).await.unwrap();
    drill.assert_calm(&[]).await;
    // Beside buyer and seller the market has its fee here, which the ledger's own rules count.
    assert_eq!(buyer.posted().await, (buyer.seq, buyer.balance));
    assert_eq!(seller.posted().await, seller.books());
    assert_eq!(buyer.paid(), tokens(3));
    assert_verified(&drill.world);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_router_that_is_killed_is_told_of_everywhere_and_trade_resumes() {
    const TROUBLE: &str = "clients do not reach it: ";
    let Some(program) = Prometheus::program() else {
        return;
    };
    let Some(mut router) = Behind::start() else {
        return;
    };
    let mut world = World::with(|config| router.welcome(config, router.url(), Serializer::Cbor)).await;
    world.stop().await;
    let drill = Drill::on(&program, world, &router.environment()).await;
    let mut seller = Seller::new(&drill.world, tokens(50)).await;
    let mut buyer = Buyer::new(&drill.world, tokens(50)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();

    router.kill();
    for alert in ["BourseRouterLost", "BourseNotReady"] {
        drill.strikes(alert, TROUBLE).await;
    }
    drill.shows(TROUBLE).await;
    let (_, ready) = page(drill.world.http(), "/readyz").await;
    let ready: Json = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["waits_for"], "router");
    assert!(
        drill.is_troubled(ready["degraded"].as_str().unwrap()).await,
        "{ready}"
    );

    router.again(&drill.world).await;
    for alert in ["BourseRouterLost", "BourseNotReady"] {
        drill.passes(alert, TROUBLE).await;
    }
    buyer.reconnect(&drill.world).await;
    seller.reconnect(&drill.world).await;
    buyer.buy(key).await.unwrap();
    drill.assert_calm(&[]).await;
    drill.assert_nothing_lost(&[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_that_is_killed_is_told_of_and_starts_again() {
    let Some(program) = Prometheus::program() else {
        return;
    };
    let mut drill = Drill::on(&program, ready(&[]).await, &[]).await;
    let mut seller = Seller::new(&drill.world, tokens(50)).await;
    let mut buyer = Buyer::new(&drill.world, tokens(50)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();

    drill.world.kill();
    drill.prometheus.fires("BourseDown").await;
    let output = process::run(drill.world.data(), &["status"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");

    run(&mut drill.world, &[], &drill.lines);
    drill.prometheus.look_at(drill.world.http());
    drill.prometheus.ends("BourseDown").await;
    buyer.reconnect(&drill.world).await;
    seller.reconnect(&drill.world).await;
    buyer.buy(key).await.unwrap();
    drill.assert_calm(&[]).await;
    drill.assert_nothing_lost(&[&buyer], &[&seller]).await;
}

/// The test whose other process may mount: in a namespace of its own, which takes the file system with it when it ends.
const FILLS: &str = "fills_a_disk_of_its_own";

#[test]
fn a_disk_that_is_filled_is_told_of_everywhere_and_breaks_no_promise() {
    if Prometheus::program().is_none() {
        return;
    }
    let apart = |program: &std::ffi::OsStr, args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount"])
            .arg(program)
            .args(args);
        command.output()
    };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let mounts = apart("mount".as_ref(), &["-t", "tmpfs", "tmpfs", place]);
    if !mounts.is_ok_and(|output| output.status.success()) {
        println!("NOT CHECKED: a full disk: no file system can be mounted here in a namespace of its own");
        return;
    }
    let own = std::env::current_exe().unwrap();
    let output = apart(own.as_os_str(), &["--exact", FILLS, "--ignored", "--nocapture"]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Megabytes of the disk: few enough that it is filled in a moment, and more than the log of decisions leaves alone.
const DISK: u64 = 400;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other process of the test of a disk that is filled"]
async fn fills_a_disk_of_its_own() {
    const TROUBLE: &str = "new business is refused: the disk is nearly full";
    const UNWRITTEN: &str = "the log of decisions cannot be written";
    const FULL: &str = "bourse.error.storage_full";
    let program = Prometheus::program().unwrap();
    let mount = |data: &Path| {
        let size = format!("size={DISK}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(data)
            .status();
        assert!(mounted.unwrap().success());
    };
    let mut world = World::prepared(mount, |_| {}).await;
    world.stop().await;
    let lines = world.folder().join("lines");
    run(&mut world, &[], &lines);
    let prometheus = Prometheus::watching(&program, world.http()).await;
    let drill = Drill {
        world,
        prometheus,
        lines,
    };
    // Such a disk is small from the beginning, and that is told; nothing is refused yet.
    drill.prometheus.fires("BourseRoomShrinks").await;
    drill.assert_calm(&["BourseRoomShrinks"]).await;
    let seller = Seller::new(&drill.world, tokens(50)).await;
    let mut buyer = Buyer::new(&drill.world, tokens(50)).await;
    let mut other = Buyer::new(&drill.world, tokens(50)).await;
    let key = seller.offer(Some(tokens(1))).await;
    let dynamic = seller.offer(None).await;
    buyer.buy(key).await.unwrap();
    other.buy(key).await.unwrap();

    // The disk fills up to its last byte while a purchase is with its seller.
    seller.behave(Behaviour::Slow(Duration::from_secs(2)));
    let order = buyer.order(key, tokens(1));
    let (session, sent) = (buyer.session.clone(), order.clone());
    let under_way = tokio::spawn(async move { send(&session, &sent).await });
    until("a purchase under way", async || {
        figures(&drill.world, "bourse_purchases_under_way")
            .values()
            .sum::<u64>()
            == 1
    })
    .await;
    let ballast = drill.world.data().join("ballast");
    fill(&ballast);
    let answer = under_way.await.unwrap();
    seller.behave(Behaviour::Honest);
    refused(seller.try_offer(Some(tokens(1)), Dict::new()).await, FULL);
    let line = drill.strikes("BourseLedgerFull", TROUBLE).await;
    assert!(
        line["fields"]["full"].as_str().unwrap().contains("disk"),
        "{line}"
    );
    let overview = drill.web().json(&format!("{CONSOLE}/overview")).await;
    assert_eq!(overview["ledger"]["disk_free_bytes"], 0);
    drill.shows(TROUBLE).await;
    // Prices are told still, and how they were found is not kept.
    other.quote(dynamic).await.unwrap();
    drill.strikes("BourseDecisionsDropped", UNWRITTEN).await;
    // What rests on a commit that the disk did not take is told of as such.
    let failed: u64 = figures(&drill.world, "bourse_ledger_failed_commits_total")
        .values()
        .sum();
    println!("{failed} commits failed; sold meanwhile: {}", answer.is_ok());
    if failed > 0 {
        assert!(!drill.said("a commit failed").is_empty());
    }

    std::fs::remove_file(ballast).unwrap();
    drill.passes("BourseLedgerFull", TROUBLE).await;
    until("the log of decisions is written again", async || {
        other.quote(dynamic).await.unwrap();
        !drill.is_troubled(UNWRITTEN).await
    })
    .await;
    drill.prometheus.ends("BourseDecisionsDropped").await;
    until("the end of what waited for the disk", async || {
        figures(&drill.world, "bourse_purchases_under_way")
            .values()
            .sum::<u64>()
            == 0
    })
    .await;
    // Whatever the buyer was told, its order is paid once.
    buyer.pay(&order).await.unwrap();
    other.buy(key).await.unwrap();
    drill.prometheus.ends("BoursePurchasesStuck").await;
    drill.assert_nothing_lost(&[&buyer, &other], &[&seller]).await;
}

/// Writes a file until the disk takes no more.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        let part = vec![7_u8; size];
        while file.write_all(&part).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_hangs_is_told_of_everywhere_and_rolled_back() {
    const TROUBLE: &str = "policy ladder failed again and again and is left alone";
    let Some(program) = Prometheus::program() else {
        return;
    };
    let world = ready(&[("ladder", asking("ladder"))]).await;
    let drill = Drill::on(&program, world, &[ladder()]).await;
    let seller = Seller::new(&drill.world, tokens(50)).await;
    let mut buyer = Buyer::new(&drill.world, tokens(50)).await;
    let key = seller.offer(None).await;
    buyer.buy(key).await.unwrap();

    let hangs = Guest::named("ladder")
        .version("2.0.0")
        .quote("(loop $on (br $on)) unreachable")
        .build();
    let file = drill.world.folder().join("ladder.wasm");
    std::fs::write(&file, hangs).unwrap();
    drill.policy(&["deploy", file.to_str().unwrap()]).await;
    // One failure is enough to be told of.
    refused(buyer.quote(key).await, POLICY_FAILED);
    let line = drill.alarms("BoursePolicyFails").await;
    let code = line["fields"]["code"].as_str().unwrap();
    assert!(["out_of_fuel", "deadline"].contains(&code), "{line}");
    assert!(!drill.is_troubled(TROUBLE).await);

    for _ in 0..5 {
        refused(buyer.quote(key).await, POLICY_FAILED);
    }
    let line = drill.strikes("BoursePolicyLeftAlone", TROUBLE).await;
    assert_eq!(line["fields"]["policy"], "ladder");
    drill.shows(TROUBLE).await;
    let told = drill.web().json(&format!("{CONSOLE}/policies")).await;
    let policies = told["policies"].as_array().unwrap();
    let shown = policies.iter().find(|policy| policy["name"] == "ladder").unwrap();
    assert_ne!(shown["breaker"], "closed", "{shown}");
    let failed = |one: &Json| one["revision"] == shown["revision"] && one["failed"].as_u64() >= Some(5);
    assert!(told["figures"].as_array().unwrap().iter().any(failed), "{told}");
    let refusals = drill.web().json(&format!("{CONSOLE}/refusals")).await;
    assert_eq!(refusals["reasons"][0]["error"], POLICY_FAILED);

    drill.policy(&["rollback", "ladder"]).await;
    buyer.buy(key).await.unwrap();
    drill.passes("BoursePolicyLeftAlone", TROUBLE).await;
    drill.prometheus.ends("BoursePolicyFails").await;
    drill.assert_calm(&[]).await;
    drill.assert_nothing_lost(&[&buyer], &[&seller]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_revoked_while_it_is_asked_is_told_of_everywhere() {
    const TROUBLE: &str = "what the rule for ladder, hook pricing, covers is refused";
    let Some(program) = Prometheus::program() else {
        return;
    };
    let policies = [("ladder", asking("ladder")), ("spare", asking("spare"))];
    let drill = Drill::on(&program, ready(&policies).await, &[ladder()]).await;
    let seller = Seller::new(&drill.world, tokens(50)).await;
    let mut buyer = Buyer::new(&drill.world, tokens(50)).await;
    let key = seller.offer(None).await;
    buyer.buy(key).await.unwrap();

    // Quotes are asked for all the time, and a purchase is with its seller.
    let stop = Arc::new(AtomicBool::new(false));
    let mut asking = JoinSet::new();
    for _ in 0..3 {
        asking.spawn(ask_on(drill.world.session().await, key, Arc::clone(&stop)));
    }
    seller.behave(Behaviour::Slow(Duration::from_secs(3)));
    let order = buyer.order(key, tokens(1));
    let (session, sent) = (buyer.session.clone(), order.clone());
    let under_way = tokio::spawn(async move { send(&session, &sent).await });
    until("a purchase under way", async || seller.sells().len() == 2).await;
    for name in ["ladder.wasm", "spare.wasm"] {
        std::fs::remove_file(drill.world.data().join("policies").join(name)).unwrap();
    }
    let line = drill.strikes("BoursePolicyGone", TROUBLE).await;
    assert!(
        ["ladder", "spare"].contains(&line["fields"]["policy"].as_str().unwrap()),
        "{line}"
    );
    drill.shows(TROUBLE).await;
    refused(buyer.quote(key).await, POLICY_FAILED);
    let receipt = under_way.await.unwrap().unwrap();
    assert_eq!(receipt.paid, tokens(1), "it was priced before");
    buyer.book(&receipt);
    // No rule names this one, and nobody misses it.
    assert_eq!(drill.said("a policy's file is gone").len(), 2);
    let alerts = drill.prometheus.alerts().await;
    let of_spare = |alert: &&Json| alert["labels"]["policy"] == "spare";
    assert_eq!(alerts.iter().find(of_spare), None);

    drill.policy(&["rollback", "ladder"]).await;
    seller.behave(Behaviour::Honest);
    buyer.buy(key).await.unwrap();
    drill.passes("BoursePolicyGone", TROUBLE).await;
    stop.store(true, Ordering::Relaxed);
    let (mut told, mut failed) = (0, 0);
    while let Some(asked) = asking.join_next().await {
        let (quotes, refusals) = asked.unwrap();
        told += quotes;
        failed += refusals;
    }
    assert!(told > 0 && failed > 0, "{told} quotes, {failed} refusals");
    drill.prometheus.ends("BoursePolicyFails").await;
    drill.assert_nothing_lost(&[&buyer], &[&seller]).await;
}

/// Asks for a price again and again: how often there was one, and how often the policy was not there. There is no third.
async fn ask_on(session: Session, key: KeyId, stop: Arc<AtomicBool>) -> (u64, u64) {
    let (mut quotes, mut refusals) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        match call(&session, "xbr.marketmaker.get_quote", vec![Value::from(key.0)]).await {
            Ok(_) => quotes += 1,
            Err(error) => {
                assert_eq!(error.uri, POLICY_FAILED);
                assert_eq!(error.kwargs.get("code"), Some(&Value::from("not_loaded")));
                refusals += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (quotes, refusals)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_told_of_everywhere_and_holds_up_nobody_who_buys() {
    const PLACES: u32 = 24;
    let Some(program) = Prometheus::program() else {
        return;
    };
    let environment = [
        ("BOURSE__WAMP__CALLS_PER_SECOND", "20".into()),
        ("BOURSE__WAMP__CONNECTIONS_PER_ADDRESS", PLACES.to_string().into()),
    ];
    let drill = Drill::on(&program, ready(&[]).await, &environment).await;
    let seller = Seller::new(&drill.world, tokens(50)).await;
    let mut buyer = Buyer::new(&drill.world, tokens(50)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    let turned_away = async || {
        let told = drill.web().json(&format!("{CONSOLE}/overview")).await;
        let count = |what: &str| told["turned_away"][what].as_u64().unwrap();
        (count("asked"), count("connections"))
    };
    assert_eq!(turned_away().await, (0, 0));

    let stop = Arc::new(AtomicBool::new(false));
    let mut flood = JoinSet::new();
    for _ in 0..3 {
        flood.spawn(call_on(drill.world.session().await, Arc::clone(&stop)));
    }
    let (door, ended) = (drill.world.ws(), Arc::clone(&stop));
    flood.spawn(async move {
        // As many as there are places stay, and keep the others out.
        let mut kept = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            if let Ok(stream) = tokio::net::TcpStream::connect(door).await
                && kept.len() < PLACES as usize
            {
                kept.push(stream);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let line = drill.alarms("BourseFlooded").await;
    assert!(line["fields"]["peer"].is_string(), "{line}");
    for words in quoted("BourseFlooded") {
        until("both lines", async || !drill.said(&words).is_empty()).await;
    }
    let (asked, connections) = turned_away().await;
    assert!(asked > 0 && connections > 0, "{asked} {connections}");
    drill.shows("Turned away since the start").await;
    for _ in 0..5 {
        buyer.buy(key).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    flood.join_all().await;
    drill.prometheus.ends("BourseFlooded").await;
    buyer.buy(key).await.unwrap();
    drill.assert_nothing_lost(&[&buyer], &[&seller]).await;
}

/// Calls as fast as it can, fifty at a time.
async fn call_on(session: Session, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let mut calls = JoinSet::new();
        for _ in 0..50 {
            let session = session.clone();
            calls.spawn(async move {
                let status = "xbr.marketmaker.get_status";
                let _ = session
                    .call(status, Vec::new(), Dict::new(), CallOptions::default())
                    .await;
            });
        }
        calls.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_none_a_seller_that_proves_nothing_and_a_channel_that_runs_dry_are_told_of_too() {
    const REFUSED: &str = "policy nonsense: ";
    const SUSPENDED: &str = "paying channels are suspended after unclear answers";
    let Some(program) = Prometheus::program() else {
        return;
    };
    let drill = Drill::on(&program, ready(&[]).await, &[]).await;
    let mut seller = Seller::new(&drill.world, tokens(20)).await;
    let mut buyer = Buyer::new(&drill.world, tokens(50)).await;
    let key = seller.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();

    // Nobody knows of this file, and the first refusal is told of all the same.
    let file = drill.world.data().join("policies/nonsense.wasm");
    std::fs::write(&file, b"nonsense").unwrap();
    drill.strikes("BourseRevisionRefused", REFUSED).await;
    drill.alarms("BoursePolicyGone").await;
    std::fs::remove_file(file).unwrap();
    drill.passes("BourseRevisionRefused", REFUSED).await;
    drill.prometheus.ends("BoursePolicyGone").await;

    seller.behave(Behaviour::LoseAnswer);
    buyer.buy(key).await.unwrap_err();
    drill.strikes("BourseSellersUnclear", SUSPENDED).await;
    seller.behave(Behaviour::Honest);
    seller.restart(&drill.world).await;
    // Its channel is released with the next order, as the run-book says.
    buyer.buy(key).await.unwrap();
    drill.passes("BourseSellersUnclear", SUSPENDED).await;

    let dear = seller.offer(Some(tokens(17))).await;
    buyer.buy(dear).await.unwrap();
    drill.prometheus.fires("BoursePayingRunsDry").await;
    let another = Seller::new(&drill.world, tokens(30)).await;
    drill.prometheus.ends("BoursePayingRunsDry").await;
    let key = another.offer(Some(tokens(1))).await;
    buyer.buy(key).await.unwrap();
    drill.assert_calm(&[]).await;
    drill.assert_nothing_lost(&[&buyer], &[&seller, &another]).await;
}
