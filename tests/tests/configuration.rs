//! The configuration as an operator meets it: begun, checked, and read again while the market runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::Config;
use bourse_tests::{process, until};
use bourse_wamp::{Auth, CallOptions, JoinError, JoinOptions, Serializer, Session, connect_ws};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, text: &str) -> PathBuf {
        let file = self.path("bourse.toml");
        std::fs::write(&file, text).unwrap();
        file
    }

    fn config(&self, args: &[&str], environment: &[(&str, &str)]) -> Output {
        let file = self.path("bourse.toml");
        let mut all = vec!["--config", file.to_str().unwrap(), "config"];
        all.extend(args);
        process::run_with(&self.path("data"), &all, environment)
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn init_writes_what_check_finds_well_and_never_over_a_file() {
    for full in [false, true] {
        let desk = Desk::new();
        let file = desk.path("bourse.toml");
        let mut args = vec!["init", file.to_str().unwrap()];
        args.extend(full.then_some("--full"));
        let output = desk.config(&args, &[]);
        assert!(output.status.success(), "{output:?}");
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(written.contains("breaker_seconds"), full);
        let output = desk.config(&["check"], &[]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stderr(&output), "", "nothing is wrong, nothing has no effect");
        // What it means is what no file means.
        let shown: Config = toml_of(&stdout(&output));
        assert_eq!(shown.realm.name, "realm1");
        assert_eq!(
            shown.market.sell_deadline_ms,
            Config::default().market.sell_deadline_ms
        );
        let output = desk.config(&args, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("cannot write"), "{output:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    }
}

fn toml_of(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(Some(&file), std::iter::empty()).unwrap()
}

#[test]
fn check_tells_all_that_is_wrong_with_its_line_and_what_was_meant() {
    let desk = Desk::new();
    let file = desk.write(
        "[realm]\nnmae = \"corn\"\n\n[market]\nsell_deadline_ms = 5\n\n[[policies.rule]]\nhook = \"pricing\"\npolicy = 7\n",
    );
    let output = desk.config(&["check"], &[("BOURSE__OFFERS__SIGNATRUE", "require")]);
    assert_eq!(output.status.code(), Some(1));
    let name = file.display();
    let told = stderr(&output);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert!(lines[0].contains("BOURSE__OFFERS__SIGNATRUE") && lines[0].contains("did you mean `signature`?"));
    assert_eq!(
        lines[1],
        format!("{name}:2: realm.nmae: unknown key `nmae`: did you mean `name`?")
    );
    assert!(
        lines[2].starts_with(&format!("{name}:5: market.sell_deadline_ms is 5: ")),
        "{told}"
    );
    assert!(
        lines[3].starts_with(&format!("{name}:9: policies.rule.0.policy: ")),
        "{told}"
    );
    // A market does not start on it either, and says why.
    let output = process::run(&desk.path("data"), &["--config", file.to_str().unwrap(), "serve"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("bourse.toml"), "{output:?}");
}

#[test]
fn check_warns_of_what_has_no_effect_and_shows_no_secret() {
    let desk = Desk::new();
    desk.write("[chain]\nrpc = \"https://node.example.org/v3/a-secret\"\n\n[wamp]\nunix_group = true\n");
    let output = desk.config(
        &["check"],
        &[("BOURSE__CHAIN__IPFS_GATEWAY", "https://a-secret@g.example.org")],
    );
    assert!(output.status.success(), "{output:?}");
    let warned = stderr(&output);
    for said in [
        ":2: warning: chain.rpc has no effect: chain.mode is \"local\"",
        ":5: warning: wamp.unix_group has no effect: wamp.listen_unix is not set",
    ] {
        assert!(warned.contains(said), "{warned}");
    }
    let shown = stdout(&output);
    assert!(
        shown.contains("node.example.org") && shown.contains("g.example.org"),
        "{shown}"
    );
    assert!(!shown.contains("a-secret") && !warned.contains("a-secret"));
}

/// `bourse serve` on a file, its lines on standard error in another.
struct Running {
    child: Child,
    lines: PathBuf,
}

impl Running {
    fn start(desk: &Desk, file: &Path, more: &[&str]) -> Self {
        Self::start_on(desk, file, Some(&desk.path("data")), more)
    }

    /// The same on this folder, or on those that the file names.
    fn start_on(desk: &Desk, file: &Path, data: Option<&Path>, more: &[&str]) -> Self {
        let lines = desk.path("stderr");
        let child = Command::new(bourse_tests::binary())
            .args(["--config", file.to_str().unwrap()])
            .args(
                data.into_iter()
                    .flat_map(|data| ["--data", data.to_str().unwrap()]),
            )
            .arg("serve")
            .args([
                "--listen-ws",
                "127.0.0.1:0",
                "--listen-rs",
                "127.0.0.1:0",
                "--listen-http",
                "127.0.0.1:0",
            ])
            .args(more)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(desk.path("stdout")).unwrap())
            .stderr(std::fs::File::create(&lines).unwrap())
            .spawn()
            .unwrap();
        Self { child, lines }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.lines).unwrap()
    }

    /// Where it says that clients connect, once it does.
    async fn url(&self, desk: &Desk) -> String {
        let shown = || std::fs::read_to_string(desk.path("stdout")).unwrap();
        let url = || {
            let shown = shown();
            let words = shown.split_whitespace();
            words
                .skip_while(|word| *word != "WebSocket")
                .nth(1)
                .map(str::to_owned)
        };
        until("the market", async || shown().contains("next:")).await;
        url().unwrap()
    }

    /// Has it read its configuration again, and waits until it did so for the `times`-th time.
    async fn read_again(&self, times: usize) {
        self.signal("-HUP");
        let done = || {
            self.said()
                .matches("the configuration was read again, and is")
                .count()
        };
        until("the new configuration", async || done() == times).await;
    }

    fn signal(&self, which: &str) {
        let status = Command::new("kill")
            .args([which, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_market_reads_its_configuration_again_and_says_what_it_cannot_change() {
    let desk = Desk::new();
    let file = desk.write("[realm]\nname = \"corn\"\n");
    let market = Running::start(&desk, &file, &[]);
    let listed = || {
        let output = process::run(&desk.path("data"), &["status", "--output", "json"]);
        stdout(&output)
    };
    until("the market", async || listed().contains("\"ready\": true")).await;

    // Rules that can never work show that they are in force.
    desk.write(
        "[realm]\nname = \"corn\"\n[market]\nsell_deadline_ms = 700\n[log]\nfilter = \"debug\"\n[[policies.rule]]\nhook = \
         \"pricing\"\npolicy = \"nosuch\"\n",
    );
    market.signal("-HUP");
    until("what changed", async || market.said().contains("read again")).await;
    let said = market.said();
    assert!(said.contains("changed=\"log.filter, policies.rule\""), "{said}");
    assert!(said.contains("settings=\"market.sell_deadline_ms\""), "{said}");
    until("the rule", async || {
        listed().contains("what the rule for nosuch, hook pricing")
    })
    .await;
    until("lines of the new filter", async || {
        listed();
        market.said().contains("DEBUG")
    })
    .await;

    // What makes no sense changes nothing.
    desk.write("[realm]\nname = \"corn\"\n[market]\nsell_deadline_ms = 1\n");
    market.signal("-HUP");
    until("the refusal", async || {
        market.said().contains("everything stays as it is")
    })
    .await;
    assert!(market.said().contains("market.sell_deadline_ms is 1"));
    assert!(listed().contains("nosuch"));

    desk.write("[realm]\nname = \"corn\"\n");
    market.signal("-HUP");
    until("the rule to go", async || !listed().contains("nosuch")).await;
}

/// Users, each with its ticket's file; what follows in the configuration.
fn users(desk: &Desk, users: &[(&str, &str, &str)], rest: &str) -> PathBuf {
    desk.write(&("[realm]\nname = \"corn\"\n".to_owned() + &logins(desk, users, rest)))
}

/// The section of users, each with its ticket's file, and what follows in it.
fn logins(desk: &Desk, users: &[(&str, &str, &str)], rest: &str) -> String {
    let mut text = "[wamp]\n".to_owned() + rest;
    for (authid, role, ticket) in users {
        let file = desk.path(authid);
        std::fs::write(&file, ticket).unwrap();
        let file = file.display();
        text +=
            &format!("[[wamp.user]]\nauthid = \"{authid}\"\nrole = \"{role}\"\nticket_file = \"{file}\"\n");
    }
    text
}

async fn log_in(url: &str, authid: &str, ticket: &str) -> Result<Session, JoinError> {
    log_into("corn", url, authid, ticket).await
}

async fn log_into(realm: &str, url: &str, authid: &str, ticket: &str) -> Result<Session, JoinError> {
    let options = JoinOptions {
        realm: realm.to_owned(),
        authid: Some(authid.to_owned()),
        auth: Auth::Ticket(ticket.into()),
        ..JoinOptions::default()
    };
    let link = connect_ws(url, Serializer::Cbor).await.unwrap();
    Session::join(link, options).await
}

/// Whether the session is still served.
async fn is_there(session: &Session) -> bool {
    let status = session
        .call(
            "xbr.marketmaker.get_status",
            Vec::new(),
            Default::default(),
            CallOptions::default(),
        )
        .await;
    status.is_ok()
}

#[tokio::test]
async fn who_may_log_in_changes_while_the_market_runs_and_whoever_may_not_any_more_is_shown_out() {
    let desk = Desk::new();
    let (alice, bob) = (("alice", "delegate", "one"), ("bob", "delegate", "two"));
    let file = users(&desk, &[alice, bob, ("carol", "operator", "three")], "");
    let market = Running::start(&desk, &file, &[]);
    let url = market.url(&desk).await;
    let [a, b, c] = [("alice", "one"), ("bob", "two"), ("carol", "three")];
    let [a, b, c] = [a, b, c].map(|(authid, ticket)| log_in(&url, authid, ticket));
    let (a, b, c) = (a.await.unwrap(), b.await.unwrap(), c.await.unwrap());

    // Alice goes, Bob's ticket is another one in the same file, Carol stays, Dave is new.
    let bob = ("bob", "delegate", "another");
    let (carol, dave) = (("carol", "operator", "three"), ("dave", "delegate", "four"));
    users(&desk, &[bob, carol, dave], "");
    market.read_again(1).await;
    for gone in [&a, &b] {
        gone.closed().await;
        assert_eq!(gone.close_reason().as_deref(), Some("wamp.close.killed"));
    }
    assert!(is_there(&c).await, "nothing changed for Carol");
    assert!(log_in(&url, "alice", "one").await.is_err());
    assert!(log_in(&url, "bob", "two").await.is_err());
    let d = log_in(&url, "dave", "four").await.unwrap();
    let b = log_in(&url, "bob", "another").await.unwrap();
    let said = market.said();
    assert!(said.contains("users=\"alice, bob, dave\" ended=2"), "{said}");
    assert!(!said.contains("another") && !said.contains("four"), "{said}");

    // A ticket that leaked is taken back by its file alone.
    std::fs::write(desk.path("bob"), "one more").unwrap();
    market.read_again(2).await;
    b.closed().await;
    assert!(log_in(&url, "bob", "another").await.is_err());
    let b = log_in(&url, "bob", "one more").await.unwrap();
    let said = market.said();
    assert!(said.contains("users=\"bob\" ended=1"), "{said}");
    assert!(said.contains("changed=\"what users log in with\""), "{said}");

    // Another role begins with a new login; other rules for one count at once.
    let (bob, dave) = (("bob", "operator", "one more"), ("dave", "clerk", "four"));
    users(&desk, &[bob, carol, dave], "");
    market.read_again(3).await;
    b.closed().await;
    d.closed().await;
    let d = log_in(&url, "dave", "four").await.unwrap();
    assert!(is_there(&d).await);
    users(
        &desk,
        &[bob, carol, dave],
        "[[wamp.role]]\nname = \"clerk\"\n[[wamp.role.rule]]\nuri = \"xbr.\"\nmatch = \"prefix\"\ncall = false\n",
    );
    market.read_again(4).await;
    assert!(!is_there(&d).await, "clerks may not call it");
    assert!(is_there(&c).await);

    // A file that cannot be read leaves everything as it was.
    let text = std::fs::read_to_string(desk.path("bourse.toml")).unwrap();
    desk.write(&text.replace(desk.path("dave").to_str().unwrap(), "/nowhere/dave"));
    market.signal("-HUP");
    until("the refusal", async || {
        market
            .said()
            .contains("cannot read the ticket of dave in /nowhere/dave")
    })
    .await;
    assert!(is_there(&c).await);
    log_in(&url, "dave", "four").await.unwrap();
}

/// Two markets, of corn and wheat, with the users of `logins`; `wheat` is more of the second.
fn markets(desk: &Desk, logins: &str, wheat: &str) -> PathBuf {
    let [corn, grown] = ["corn", "wheat"].map(|name| {
        let data = desk.path(&format!("{name}.data"));
        format!(
            "[[market]]\nrealm.name = \"{name}\"\nstore.path = \"{}\"\n",
            data.display()
        )
    });
    desk.write(&format!("{logins}{corn}{grown}{wheat}"))
}

#[tokio::test]
async fn several_markets_take_over_a_configuration_together_or_not_at_all() {
    let desk = Desk::new();
    let (alice, bob) = (("alice", "delegate", "one"), ("bob", "delegate", "two"));
    let file = markets(&desk, &logins(&desk, &[alice, bob], ""), "");
    let market = Running::start_on(&desk, &file, None, &[]);
    let url = market.url(&desk).await;
    let everywhere = async |authid: &str, ticket: &str| {
        let corn = log_into("corn", &url, authid, ticket).await;
        let wheat = log_into("wheat", &url, authid, ticket).await;
        [corn, wheat]
    };
    let [a, b] = everywhere("alice", "one").await.map(Result::unwrap);

    // What one of them cannot have, none has.
    markets(&desk, &logins(&desk, &[bob], ""), "sell_deadline_ms = 1\n");
    market.signal("-HUP");
    until("the refusal", async || {
        market.said().contains("everything stays as it is")
    })
    .await;
    assert!(is_there(&a).await && is_there(&b).await, "{}", market.said());

    // One that is not in the configuration any more has the users that the others have.
    let both = markets(&desk, &logins(&desk, &[bob], ""), "");
    let text = std::fs::read_to_string(&both).unwrap();
    let (corn, _) = text.rsplit_once("[[market]]").unwrap();
    desk.write(corn);
    market.signal("-HUP");
    a.closed().await;
    b.closed().await;
    for session in everywhere("alice", "one").await {
        assert!(session.is_err());
    }
    for session in everywhere("bob", "two").await {
        session.unwrap();
    }
    until("what is said of it", async || {
        market.said().contains("not in the configuration any more")
    })
    .await;
}

#[tokio::test]
async fn how_often_clients_may_call_changes_while_the_market_runs() {
    let desk = Desk::new();
    let carol = ("carol", "operator", "three");
    let file = users(&desk, &[carol], "");
    let market = Running::start(&desk, &file, &[]);
    let url = market.url(&desk).await;
    let session = log_in(&url, "carol", "three").await.unwrap();
    let served = async || {
        let mut served = 0;
        for _ in 0..10 {
            served += usize::from(is_there(&session).await);
        }
        served
    };
    assert_eq!(served().await, 10);
    users(&desk, &[carol], "calls_per_second = 1\n");
    market.read_again(1).await;
    // Two at once, and one more if a second passes meanwhile.
    let few = served().await;
    assert!((1..=4).contains(&few), "{few}");
    users(&desk, &[carol], "calls_per_second = 0\n");
    market.read_again(2).await;
    assert_eq!(served().await, 10);
}

#[tokio::test]
async fn lines_are_json_where_that_is_asked_for() {
    let desk = Desk::new();
    let file = desk.write("[log]\nformat = \"pretty\"\nfilter = \"info\"\n");
    let market = Running::start(&desk, &file, &["--log-format", "json"]);
    until("a line", async || market.said().ends_with('\n')).await;
    let said = market.said();
    for line in said.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["fields"].is_object() && line["timestamp"].is_string());
    }
}
