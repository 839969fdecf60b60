//! That what people are told of the figures is so: the document, the dashboard, the rules of alerts, and their run-books.

use super::table::{Kind, METRICS};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

const FROM: &str = "<!-- printed from the table in the code -->";
const TO: &str = "<!-- printed until here -->";

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(docs(name)).unwrap()
}

/// The table as the document has it.
fn in_words() -> String {
    let mut text =
        String::from("| metric | type | in | labels | of | what it says |\n|---|---|---|---|---|---|\n");
    for metric in METRICS {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            metric.unit,
            metric.labels.join(", "),
            metric.of.as_str(),
            metric.help
        );
    }
    text
}

/// Every metric that a text names, without what is put behind the name of a histogram.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("bourse_"))
        .map(|word| {
            let parts = ["_bucket", "_sum", "_count"];
            let plain = parts.iter().find_map(|part| word.strip_suffix(part));
            let is_histogram = |name: &&str| {
                METRICS
                    .iter()
                    .any(|known| known.name == *name && known.kind == Kind::Histogram)
            };
            plain.filter(is_histogram).unwrap_or(word).to_owned()
        })
        .collect()
}

/// The `key: value` lines of a file of rules.
fn values<'a>(rules: &'a str, key: &str) -> Vec<&'a str> {
    let value = |line: &'a str| line.trim_start().trim_start_matches("- ").strip_prefix(key);
    rules.lines().filter_map(value).map(str::trim).collect()
}

/// The run-books, one after the other.
fn run_books() -> String {
    let operating = read("OPERATING.md");
    let (_, books) = operating.split_once("## Run-books").unwrap();
    books.split("\n## ").next().unwrap().to_owned()
}

/// The text of every source of the host, without what only tests it.
fn sources() -> String {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")];
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is = |name: &str| path.file_name().is_some_and(|file| file == name);
            if path.is_dir() && !is("tests") && !is("benches") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                all.push_str(text.split("#[cfg(test)]\nmod tests").next().unwrap());
            }
        }
    }
    all
}

/// The names by which the headings of a document are linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn the_document_shows_the_table_as_it_is() {
    let text = read("METRICS.md");
    let (before, rest) = text.split_once(FROM).unwrap();
    let (shown, after) = rest.split_once(TO).unwrap();
    if std::env::var_os("BOURSE_PRINT").is_some() {
        let printed = format!("{before}{FROM}\n{}{TO}{after}", in_words());
        std::fs::write(docs("METRICS.md"), printed).unwrap();
        return;
    }
    assert_eq!(
        shown.trim(),
        in_words().trim(),
        "run this test with BOURSE_PRINT=1 to print it anew"
    );
}

#[test]
fn dashboard_and_alerts_name_metrics_that_are_there() {
    let known: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    let dashboard = read("grafana-dashboard.json");
    serde_json::from_str::<serde_json::Value>(&dashboard).unwrap();
    for (name, text, least) in [
        ("the dashboard", dashboard, 30),
        ("the alerts", read("alerts.yml"), 20),
        ("the run-books", run_books(), 10),
    ] {
        let named = named(&text);
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
        assert!(named.len() >= least, "{name}: {named:?}");
    }
}

#[test]
fn every_alert_has_a_run_book_and_every_run_book_its_alert() {
    let rules = read("alerts.yml");
    let alerts = values(&rules, "alert:");
    let books = values(&rules, "runbook_url:");
    assert_eq!(alerts.len(), books.len());
    assert!(alerts.len() >= 20, "{alerts:?}");
    let operating = read("OPERATING.md");
    let anchors = anchors(&operating);
    for (alert, book) in alerts.iter().zip(&books) {
        let (_, anchor) = book.trim_matches('"').split_once("docs/OPERATING.md#").unwrap();
        assert_eq!(anchor, alert.to_lowercase(), "named as the alert");
        assert!(
            anchors.contains(anchor),
            "{alert}: docs/OPERATING.md has no such heading"
        );
    }
    let told = run_books();
    let told: Vec<_> = told
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(told, alerts, "in the same order");
    for part in told {
        let (_, rest) = operating.split_once(&format!("### {part}\n")).unwrap();
        let book = rest.split("\n#").next().unwrap();
        for word in ["**It means**", "**Log:**", "**Look**", "**Do**"] {
            assert!(book.contains(word), "{part} does not say: {word}");
        }
    }
}

#[test]
fn every_line_of_the_log_that_a_run_book_quotes_is_one_that_the_host_writes() {
    let (books, sources) = (run_books(), sources());
    let mut quoted = 0;
    for book in books.split("\n### ").skip(1) {
        let (alert, text) = book.split_once('\n').unwrap();
        let (_, log) = text.split_once("**Log:**").unwrap();
        let log = log.split("\n\n").next().unwrap();
        let lines: Vec<_> = log.split('`').skip(1).step_by(2).collect();
        assert!(
            !lines.is_empty() || log.contains("nothing"),
            "{alert} quotes a line, or says that there is none"
        );
        for line in lines {
            assert!(sources.contains(line), "{alert}: the host never writes `{line}`");
            quoted += 1;
        }
    }
    assert!(quoted >= 20, "{quoted}");
}
