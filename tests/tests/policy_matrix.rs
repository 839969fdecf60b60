//! Whatever a policy does, on whatever hook: what its caller is told, what is counted, what the operator reads, what the
//! log of decisions holds, and that nobody pays for it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

use bourse_app::config::{Rule, RuleLimits};
use bourse_market::{Amount, KeyId};
use bourse_policy::testing::hostile::{failing_for, refusing, willing};
use bourse_policy::{Engine, EngineOptions, Hook, PolicyState, ReplayError};
use bourse_tests::{
    Buyer, Seller, World, assert_balanced, call, decisions, error_text, figures, policy_status, process,
    tokens, until,
};
use bourse_wamp::{Dict, Value, WampError};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

const POLICY_FAILED: &str = "bourse.error.policy_failed";
const REFUSED: &str = "bourse.error.refused";
const NO_SUCH_OBJECT: &str = "crossbar.error.no_such_object";

/// What a refusing policy says.
const CODE: &str = "not_today";
const TEXT: &str = "come back tomorrow";

/// What the operator reads, as the binary writes it to standard error.
#[derive(Clone, Default)]
struct Operator(Arc<Mutex<Vec<u8>>>);

impl Write for Operator {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Operator {
    /// Reads from now on, with the filter of the binary.
    fn sits_down() -> Self {
        let operator = Self::default();
        let paper = operator.clone();
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new("warn,bourse_app=info"))
            .with_writer(move || paper.clone())
            .with_ansi(false)
            .with_target(false)
            .init();
        operator
    }

    /// How far the log has come.
    fn mark(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The lines since `mark` that hold all of `words`.
    fn lines(&self, mark: usize, words: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap()[mark..].to_vec()).unwrap();
        text.lines()
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .map(str::to_owned)
            .collect()
    }
}

/// What must become of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Agrees,
    Refuses,
    Fails(&'static str),
}

/// One policy of a column.
struct Row {
    policy: String,
    bytes: Vec<u8>,
    fate: Fate,
}

fn rows(hook: Hook) -> Vec<Row> {
    let row = |policy: &str, bytes, fate| Row {
        policy: policy.to_owned(),
        bytes,
        fate,
    };
    let mut rows = vec![
        row("agrees", willing("agrees", hook), Fate::Agrees),
        row("refuses", refusing("refuses", hook, CODE, TEXT), Fate::Refuses),
    ];
    rows.extend(
        failing_for(hook)
            .into_iter()
            .map(|hostile| row(hostile.name, hostile.bytes, Fate::Fails(hostile.code))),
    );
    let codes: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| match row.fate {
            Fate::Fails(code) => Some(code),
            _ => None,
        })
        .collect();
    for code in [
        "trap",
        "deadline",
        "out_of_fuel",
        "out_of_memory",
        "stack_overflow",
        "bad_output",
        "not_granted",
    ] {
        assert!(codes.contains(code), "{hook}: no guest for {code}");
    }
    for name in ["bad-output", "oversized-output"] {
        assert!(rows.iter().any(|row| row.policy == name), "{hook}: no {name}");
    }
    rows
}

/// Where the offers lie that a policy decides about.
fn uri(policy: &str) -> String {
    format!("com.{}.", policy.replace('-', "_"))
}

/// The rule for one row: it decides about the offers under its [`uri`], with nothing granted.
fn rule(hook: Hook, row: &Row) -> Rule {
    // A busy machine must not turn one outcome into another: what the clock ends has no fuel to run out of, and the
    // rest has time.
    let limits = match row.fate {
        Fate::Fails("deadline") => RuleLimits {
            deadline_ms: Some(10),
            fuel: Some(u64::MAX),
            ..RuleLimits::default()
        },
        _ => RuleLimits {
            deadline_ms: Some(10_000),
            ..RuleLimits::default()
        },
    };
    Rule {
        hook,
        policy: row.policy.clone(),
        uri: Some(uri(&row.policy)),
        grants: Vec::new(),
        limits,
        ..Rule::default_pricing()
    }
}

const CALLS: &str = "bourse_policy_calls_total";
const REVISIONS: &str = "bourse_policy_revisions_total";

/// Calls of one policy on one hook by outcome.
fn calls(world: &World, policy: &str, hook: Hook) -> BTreeMap<String, u64> {
    let own = format!("realm=\"realm1\",policy=\"{policy}\",hook=\"{hook}\",revision=\"");
    let mut calls = BTreeMap::new();
    for (labels, count) in figures(world, CALLS) {
        let named = labels
            .strip_prefix(&own)
            .and_then(|rest| rest.split_once("\",outcome=\""));
        if let Some((_revision, outcome)) = named.filter(|_| count > 0) {
            *calls.entry(outcome.trim_end_matches('"').to_owned()).or_insert(0) += count;
        }
    }
    calls
}

/// How often something was refused to become a policy's revision.
fn refused_revisions(world: &World, policy: &str) -> u64 {
    let own = format!("realm=\"realm1\",policy=\"{policy}\",result=\"refused\"");
    figures(world, REVISIONS).get(&own).copied().unwrap_or(0)
}

/// One base unit: what all keys of these tests cost.
fn unit() -> Amount {
    Amount::from_units(1)
}

/// A market with every policy of a hook, and somebody on each side of it.
struct Column {
    hook: Hook,
    world: World,
    seller: Seller,
    buyer: Buyer,
    operator: Operator,
}

impl Column {
    /// The market of `hook`, each policy with an offer that it decides about: while the offers were placed, all
    /// policies were willing.
    async fn of(hook: Hook, rows: &[Row], operator: &Operator) -> (Self, Vec<KeyId>) {
        let willing: Vec<(&str, Vec<u8>)> = rows
            .iter()
            .map(|row| (row.policy.as_str(), willing(&row.policy, hook)))
            .collect();
        let world = World::with_policies(&willing, |config| {
            config.policies.rule = rows.iter().map(|row| rule(hook, row)).collect();
        })
        .await;
        let seller = Seller::new(&world, tokens(1)).await;
        let buyer = Buyer::new(&world, tokens(1)).await;
        let mut column = Self {
            hook,
            world,
            seller,
            buyer,
            operator: operator.clone(),
        };
        let mut keys = Vec::new();
        for row in rows {
            keys.push(column.place(&row.policy).await.unwrap());
        }
        // A seller that has sold once keeps its offers over a restart.
        column.buy(keys[0]).await.unwrap();
        column.world.stop().await;
        for row in rows {
            std::fs::write(column.file(&row.policy), &row.bytes).unwrap();
        }
        column.restart().await;
        (column, keys)
    }

    fn file(&self, policy: &str) -> PathBuf {
        self.world.data().join("policies").join(format!("{policy}.wasm"))
    }

    async fn restart(&mut self) {
        self.world.restart().await;
        self.seller.reconnect(&self.world).await;
        self.buyer.reconnect(&self.world).await;
    }

    async fn place(&self, policy: &str) -> Result<KeyId, WampError> {
        let fixed = (self.hook != Hook::Pricing).then(unit);
        let uri = Dict::from([("uri".to_owned(), Value::from(uri(policy)))]);
        self.seller.try_offer(fixed, uri).await
    }

    /// The price of a key for somebody who holds no quote of it, and keeps none.
    async fn quote(&self, key: KeyId) -> Result<(), WampError> {
        let stranger = self.world.session().await;
        let asked = call(&stranger, "xbr.marketmaker.get_quote", vec![Value::from(key.0)]);
        let told = asked.await?;
        assert_eq!(bourse_tests::amount_of(&told, "price"), unit());
        Ok(())
    }

    async fn buy(&mut self, key: KeyId) -> Result<(), WampError> {
        let receipt = self.buyer.buy_at(key, unit()).await?;
        assert_eq!(receipt.paid, unit());
        Ok(())
    }

    /// Asks for everything that the policy of `row` has a say in, and looks at all that must come of it.
    async fn check(&mut self, row: &Row, key: KeyId) {
        let (hook, policy) = (self.hook, row.policy.as_str());
        let what = format!("{hook} {policy}");
        let (counted, mark) = (calls(&self.world, policy, hook), self.operator.mark());
        let mut answers = vec![
            ("get_quote", self.quote(key).await),
            ("buy_key", self.buy(key).await),
        ];
        if hook != Hook::Pricing {
            // A price is nothing that the placing of an offer asks for.
            answers.push(("place_offer", self.place(policy).await.map(drop)));
        }
        for (procedure, answer) in &answers {
            self.check_answer(row, procedure, answer);
        }

        let expected = outcomes(hook, row.fate);
        let asked = expected.values().sum::<u64>();
        assert_eq!(asked, answers.len() as u64);
        let mut now = calls(&self.world, policy, hook);
        now.retain(|outcome, count| {
            *count -= counted.get(outcome).copied().unwrap_or(0);
            *count > 0
        });
        assert_eq!(now, expected, "{what}: the figures");

        self.check_lines(row, mark, asked as usize);
        self.check_log(row, &expected);
    }

    fn check_answer(&self, row: &Row, procedure: &str, answer: &Result<(), WampError>) {
        let what = format!("{} {} {procedure}: {answer:?}", self.hook, row.policy);
        let (uri, code) = match row.fate {
            Fate::Agrees => return assert!(answer.is_ok(), "{what}"),
            Fate::Refuses if self.hook == Hook::Offers && procedure != "place_offer" => {
                let error = answer.as_ref().expect_err(&what);
                assert_eq!(error.uri, NO_SUCH_OBJECT, "{what}");
                // Nothing tells that there is something to be hidden.
                return assert!(error.kwargs.is_empty(), "{what}");
            }
            Fate::Refuses => (REFUSED, CODE),
            Fate::Fails(code) => (POLICY_FAILED, code),
        };
        let error = answer.as_ref().expect_err(&what);
        let revision = policy_status(&self.world, &row.policy).revision.unwrap();
        let expected = Dict::from([
            ("policy".to_owned(), Value::from(row.policy.as_str())),
            ("revision".to_owned(), Value::from(revision)),
            ("code".to_owned(), Value::from(code)),
        ]);
        assert_eq!((error.uri.as_str(), &error.kwargs), (uri, &expected), "{what}");
        match row.fate {
            Fate::Refuses => assert_eq!(error_text(error), TEXT, "{what}"),
            _ => assert!(error_text(error).contains(&row.policy), "{what}"),
        }
    }

    /// A failure is a line for each call, with everything an operator needs; an answer is none.
    fn check_lines(&self, row: &Row, mark: usize, asked: usize) {
        let policy = format!("policy=\"{}\"", row.policy);
        let lines = self.operator.lines(mark, &[&policy]);
        let Fate::Fails(code) = row.fate else {
            return assert_eq!(lines, [""; 0]);
        };
        let revision = policy_status(&self.world, &row.policy).revision.unwrap();
        let hook = format!("hook={}", self.hook);
        let (revision, code) = (format!("revision={revision}"), format!("code=\"{code}\""));
        let words = ["WARN", "a policy failed", &policy, &revision, &hook, &code];
        let told = self.operator.lines(mark, &words);
        assert_eq!(told.len(), asked, "{lines:#?}");
        for line in told {
            assert!(line.contains("fuel=") && line.contains("elapsed="), "{line}");
        }
    }

    /// Every call is in the log of decisions, with its outcome, and happens again exactly as it is written there.
    fn check_log(&self, row: &Row, expected: &BTreeMap<String, u64>) {
        self.world.host().flush_log();
        let revision = policy_status(&self.world, &row.policy).revision.unwrap();
        let mut records = decisions(&self.world);
        records.retain(|record| record.policy == row.policy && record.revision.0.to_string() == revision);
        let mut outcomes = BTreeMap::<String, u64>::new();
        let engine = Engine::new(EngineOptions::default()).unwrap();
        let again = engine.load(&row.policy, &row.bytes).unwrap();
        // Of the willing policy, what it decided before this check as well.
        let own = records.len() - expected.values().sum::<u64>() as usize;
        assert!(
            own == 0 || row.fate == Fate::Agrees,
            "{}: {own} too many",
            row.policy
        );
        for record in &records[own..] {
            *outcomes.entry(record.outcome.to_string()).or_default() += 1;
            assert_eq!(record.hook, self.hook);
            match again.replay(record) {
                Ok(replay) => assert!(replay.is_exact(), "{}: {:?}", row.policy, replay.differences),
                Err(ReplayError::Circumstance { outcome }) => assert_eq!(outcome, "deadline"),
                Err(other) => panic!("{}: {other}", row.policy),
            }
        }
        assert_eq!(&outcomes, expected, "{}: the log", row.policy);
    }

    /// A broken file never takes the place of a good one, comes it by command or by itself.
    async fn check_broken_file(&mut self, row: &Row, key: KeyId) {
        let policy = row.policy.as_str();
        let broken = &row.bytes[..row.bytes.len() / 2];
        let (before, mark) = (policy_status(&self.world, policy), self.operator.mark());
        let refused_before = refused_revisions(&self.world, policy);

        let folder = self.world.folder().join("build");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{policy}.wasm"));
        std::fs::write(&path, broken).unwrap();
        let said = process::run(self.world.data(), &["policy", "deploy", path.to_str().unwrap()]);
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(1), "{words}");
        assert!(words.contains("damaged"), "{words}");
        assert_eq!(refused_revisions(&self.world, policy), refused_before + 1);
        let told = self.operator.lines(mark, &["WARN", policy, "was refused"]);
        assert_eq!(told.len(), 1, "{told:?}");
        let after = policy_status(&self.world, policy);
        assert_eq!((after.state, &after.revision), (before.state, &before.revision));
        self.check(row, key).await;

        let mark = self.operator.mark();
        std::fs::write(self.file(policy), broken).unwrap();
        until("the refusal of the file", async || {
            policy_status(&self.world, policy).state == PolicyState::LastGood
        })
        .await;
        until("the line about it", async || {
            let words = [
                "ERROR",
                policy,
                "a policy's file is refused",
                before.revision.as_deref().unwrap(),
                "stays in force",
            ];
            self.operator.lines(mark, &words).len() == 1
        })
        .await;
        assert_eq!(refused_revisions(&self.world, policy), refused_before + 2);
        let after = policy_status(&self.world, policy);
        assert_eq!(after.revision, before.revision);
        self.check(row, key).await;

        std::fs::write(self.file(policy), &row.bytes).unwrap();
        until("the good file again", async || {
            policy_status(&self.world, policy).state == PolicyState::Active
        })
        .await;
    }

    /// Code in the cache that is not what the host wrote is never run: it is compiled again, and the operator told.
    async fn check_corrupt_cache(&mut self, row: &Row, key: KeyId) {
        self.world.stop().await;
        let revision = cached_name(row);
        let cache = self.world.data().join("compiled");
        let entry = std::fs::read_dir(&cache)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name.starts_with(&revision)
            })
            .expect("what is in force lies compiled in the cache");
        let good = std::fs::read(&entry).unwrap();
        let middle = good.len() / 2;
        let mut flipped = good.clone();
        flipped[middle] ^= 1;
        let foreign = [b"\x7fELF".as_slice(), &good[4..]].concat();
        for (what, bad) in [
            ("a flipped bit", flipped),
            ("a torn write", good[..middle].to_vec()),
            ("nothing at all", Vec::new()),
            ("another format", foreign),
        ] {
            std::fs::write(&entry, &bad).unwrap();
            let mark = self.operator.mark();
            self.restart().await;
            let name = entry.file_name().unwrap().to_str().unwrap();
            until(what, async || {
                let words = ["WARN", name, "is damaged or not this host's own", &row.policy];
                self.operator.lines(mark, &words).len() == 1
            })
            .await;
            assert_ne!(std::fs::read(&entry).unwrap(), bad, "{what}: it is written anew");
            self.check(row, key).await;
            self.world.stop().await;
        }
        // And what is good is used, without a word.
        let mark = self.operator.mark();
        self.restart().await;
        self.check(row, key).await;
        assert_eq!(self.operator.lines(mark, &["damaged"]), [""; 0]);
    }
}

/// What the compiled form of a row's component has for the beginning of its name: the component's hash.
fn cached_name(row: &Row) -> String {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let id = engine.load(&row.policy, &row.bytes).unwrap().id().to_string();
    id.trim_start_matches("0x").to_owned()
}

/// What the figures count when everything was asked once.
fn outcomes(hook: Hook, fate: Fate) -> BTreeMap<String, u64> {
    let counts: &[(&str, u64)] = match (hook, fate) {
        (Hook::Pricing, Fate::Agrees) => &[("priced", 2)],
        (Hook::Offers, Fate::Agrees) => &[("shown", 2), ("admitted", 1)],
        (Hook::Consent, Fate::Agrees) => &[("allowed", 3)],
        (Hook::Pricing, Fate::Refuses) => &[("refused", 2)],
        // To show nothing is an answer of a filter; only an offer that is placed can be refused.
        (Hook::Offers, Fate::Refuses) => &[("shown", 2), ("refused", 1)],
        (Hook::Consent, Fate::Refuses) => &[("refused", 3)],
        (Hook::Pricing, Fate::Fails(code)) => &[(code, 2)],
        (_, Fate::Fails(code)) => &[(code, 3)],
    };
    counts
        .iter()
        .map(|(outcome, count)| ((*outcome).to_owned(), *count))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fate_of_a_policy_on_every_hook_is_told_counted_logged_and_charges_nobody() {
    let operator = Operator::sits_down();
    for hook in Hook::ALL {
        let rows = rows(hook);
        let start = operator.mark();
        let (mut column, keys) = Column::of(hook, &rows, &operator).await;
        for (row, key) in rows.iter().zip(&keys) {
            column.check(row, *key).await;
            let told = operator.lines(start, &["ERROR", "a rule does not work", &row.policy]);
            assert_eq!(
                told.len(),
                usize::from(row.fate == Fate::Fails("not_granted")),
                "{hook} {}: {told:?}",
                row.policy
            );
        }
        let agrees = rows.iter().position(|row| row.fate == Fate::Agrees).unwrap();
        let (row, key) = (&rows[agrees], keys[agrees]);
        column.check_broken_file(row, key).await;
        column.check_corrupt_cache(row, key).await;

        assert_balanced(&column.world, &[&column.buyer], &[&column.seller]).await;
        column.world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_fails_again_and_again_is_left_alone_for_a_while() {
    const SHADOWS: &str = "bourse_policy_shadow_total";
    let mut failing = failing_for(Hook::Pricing).into_iter();
    let trap = failing.find(|hostile| hostile.code == "trap").unwrap();
    let world = World::with_policies(&[(trap.name, trap.bytes)], |config| {
        (config.policies.breaker_failures, config.policies.breaker_seconds) = (2, 3600);
        config.policies.rule = vec![Rule {
            shadow: Some(trap.name.to_owned()),
            ..Rule::default_pricing()
        }];
    })
    .await;
    let seller = Seller::new(&world, tokens(1)).await;
    let key = seller.offer(None).await;
    let buyer = Buyer::new(&world, tokens(1)).await;
    for _ in 0..5 {
        buyer.quote(key).await.unwrap();
    }
    let answers = || figures(&world, SHADOWS);
    until("the last shadow", async || answers().values().sum::<u64>() == 5).await;
    let labels = |answer: &str| format!("realm=\"realm1\",policy=\"{}\",answer=\"{answer}\"", trap.name);
    let expected = [(labels("different"), 2), (labels("left_out"), 3)];
    assert_eq!(answers(), BTreeMap::from(expected));
    // Where the same policy is in force, it is asked all the same.
    assert_eq!(policy_status(&world, trap.name).failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_not_loaded_counts_once_each_time_it_is_wanted() {
    const CODE: &str = "not_loaded";
    for hook in Hook::ALL {
        let fate = Fate::Fails(CODE);
        let row = Row {
            policy: "absent".to_owned(),
            bytes: willing("absent", hook),
            fate,
        };
        let (mut column, keys) = Column::of(hook, std::slice::from_ref(&row), &Operator::default()).await;
        let said = process::run(column.world.data(), &["policy", "disable", "absent"]);
        assert!(said.status.success(), "{said:?}");
        assert_eq!(calls(&column.world, "absent", hook).get(CODE), None);
        let mut answers = vec![column.quote(keys[0]).await, column.buy(keys[0]).await];
        if hook != Hook::Pricing {
            answers.push(column.place("absent").await.map(drop));
        }
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(error.uri, POLICY_FAILED, "{hook}");
            assert_eq!(error.kwargs["code"], Value::from(CODE), "{hook}");
        }
        let counted = calls(&column.world, "absent", hook);
        assert_eq!(counted.get(CODE), outcomes(hook, fate).get(CODE), "{hook}");
        column.world.stop().await;
    }
}
