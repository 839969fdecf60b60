//! The HTML report.

use super::backtest::{Try, over, tried};
use super::history::History;
use crate::backtest::html::page;

/// Writes the page where `BOURSE_REPORT` says, for people to look at.
fn show(page: &str) {
    if let Some(path) = std::env::var_os("BOURSE_REPORT") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn a_page_stands_alone_and_may_load_nothing() {
    let history = History::of(4_000);
    let report = tried(
        &history,
        &history.source(),
        Try {
            params: over(r#"{"step_bp": 450, "window_ms": 45000}"#),
            elasticity: Some(1.2),
            ..Try::default()
        },
    )
    .unwrap();
    let page = page(&report);
    show(&page);
    assert!(page.contains("default-src 'none'"));
    for outside in [
        "http://", "https://", "<script", "@import", "url(", " src=", " href=",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(!page.contains("NaN") && !page.contains(">inf"));
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("width=device-width"));
}

#[test]
fn what_a_log_says_is_text_on_the_page() {
    let history = History::of(60);
    let attack = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
    let lines: Vec<String> = history
        .entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let mut entry = entry.clone();
            if index % 2 == 0 {
                entry.record.policy = attack.to_owned();
                entry.record.outcome = attack.to_owned().into();
            }
            if index % 5 == 1 {
                entry.record.output = bourse_policy::Output::Refusal {
                    code: attack.to_owned(),
                    text: attack.to_owned(),
                };
            }
            entry.to_line()
        })
        .chain([format!("{attack} is no decision")])
        .collect();
    let source = history.written(lines);
    let report = tried(
        &history,
        &source,
        Try {
            of: &["all"],
            ..Try::default()
        },
    )
    .unwrap();
    let page = page(&report);
    assert!(page.contains("&lt;script&gt;"));
    for raw in ["<script", "<img", "onerror=alert(2)>"] {
        assert!(!page.contains(raw), "{raw}");
    }
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains("<script>"), "JSON keeps what was said");
}
