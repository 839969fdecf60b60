//! Replays and reports as text for a terminal.

use super::exact::Replayed;
use super::report::{Code, Report, Row};
use super::stats::Spread;
use super::time;
use crate::output::columns;
use core::fmt::{Display, Write};

/// Rows of a table of sellers or APIs on a terminal; the JSON and the HTML have more.
const ROWS: usize = 10;

/// Examples on a terminal.
const EXAMPLES: usize = 10;

/// One line of cells.
fn line<const N: usize>(cells: [&dyn Display; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

/// A table under a title, if it has more than its head.
fn section(text: &mut String, title: &str, table: &[Vec<String>]) {
    if table.len() > 1 {
        let _ = write!(text, "\n{title}\n{}", columns(table));
    }
}

/// A replay.
pub(crate) fn replayed(replayed: &Replayed) -> String {
    let mut text = String::new();
    let seconds = replayed.seconds.max(1e-9);
    let _ = writeln!(
        text,
        "{} of {} decisions repeated exactly, in {:.1} s ({:.0} decisions/s)",
        replayed.exact,
        replayed.decisions,
        replayed.seconds,
        replayed.decisions as f64 / seconds
    );
    let mut left = vec![line([&"OUTCOME", &"DECISIONS"])];
    left.extend(
        replayed
            .circumstances
            .iter()
            .map(|(outcome, decisions)| line([outcome, decisions])),
    );
    section(
        &mut text,
        "Left out: decided by the clock or the load of the machine, which no replay repeats",
        &left,
    );
    let mut revisions = vec![line([&"POLICY", &"REVISION", &"DECISIONS"])];
    revisions.extend(
        replayed
            .revisions
            .iter()
            .map(|share| line([&share.policy, &share.revision, &share.decisions])),
    );
    section(&mut text, "Revisions", &revisions);
    if replayed.different > 0 {
        let _ = writeln!(
            text,
            "\nDIFFERENT: {} decisions came out otherwise",
            replayed.different
        );
        for mismatch in &replayed.differences {
            let id = mismatch.id.as_deref().unwrap_or("without an id");
            let _ = writeln!(text, "  {} ({}, {id})", mismatch.place, mismatch.policy);
            for field in &mismatch.fields {
                let _ = writeln!(
                    text,
                    "    {}: recorded {}, now {}",
                    field.field, field.recorded, field.repeated
                );
            }
        }
    }
    if replayed.not_repeated > 0 {
        let _ = writeln!(text, "\nNOT REPEATED: {} decisions", replayed.not_repeated);
        for reason in &replayed.reasons {
            let _ = writeln!(text, "  from {}: {}", reason.place, reason.why);
        }
    }
    if replayed.unreadable > 0 {
        let _ = writeln!(text, "\nUNREADABLE: {} entries", replayed.unreadable);
        for bad in &replayed.bad {
            let _ = writeln!(text, "  {}: {}", bad.place, bad.why);
        }
    }
    if replayed.damaged > 0 {
        let _ = writeln!(text, "\nDAMAGED: {} places of the decision log", replayed.damaged);
    }
    text
}

/// A report.
pub(crate) fn report(report: &Report) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} against {}: {} of {} decisions differ",
        report.new.name, report.old.name, report.changed, report.compared
    );
    if let (Some(from), Some(to)) = (report.log.from_ns, report.log.to_ns) {
        let _ = writeln!(
            text,
            "{}: {} decisions, {} to {} UTC",
            report.log.path,
            report.log.decisions,
            time::show(from),
            time::show(to)
        );
    }
    let _ = writeln!(
        text,
        "decisions of {}; parameters: {}",
        report.log.of.join(", "),
        report.new.params
    );
    let mut changes = vec![line([&"FUNCTION", &"CHANGE", &"DECISIONS", &"SHARE"])];
    changes.extend(report.changes.iter().map(|change| {
        let share = percent(change.decisions as f64, report.compared as f64);
        line([
            &change.function,
            &change.change.as_str(),
            &change.decisions,
            &share,
        ])
    }));
    section(&mut text, "Changes", &changes);
    prices(&mut text, report);
    revenue(&mut text, report);
    codes(&mut text, "Refusals", &report.refusals);
    codes(&mut text, "Failures", &report.failures);
    costs(&mut text, report);
    examples(&mut text, report);
    rest(&mut text, report);
    text
}

fn prices(text: &mut String, report: &Report) {
    let Some(prices) = &report.prices else { return };
    let mut table = vec![line([
        &"", &"PRICED", &"MIN", &"P10", &"P25", &"P50", &"P75", &"P90", &"P99", &"MAX",
    ])];
    table.extend(prices.old.as_ref().map(|spread| spread_line("old", spread)));
    table.extend(prices.new.as_ref().map(|spread| spread_line("new", spread)));
    section(text, "Prices in tokens", &table);
}

fn spread_line<T: Display>(name: &str, spread: &Spread<T>) -> Vec<String> {
    let Spread {
        count,
        min,
        p10,
        p25,
        p50,
        p75,
        p90,
        p99,
        max,
    } = spread;
    line([&name, count, min, p10, p25, p50, p75, p90, p99, max])
}

fn revenue(text: &mut String, report: &Report) {
    let Some(revenue) = &report.revenue else { return };
    let mut head = line([&"", &"SALES", &"OLD", &"NEW", &"CHANGE", &"LOST"]);
    if revenue.elasticity.is_some() {
        head.extend(line([&"EXPECTED SALES", &"EXPECTED"]));
    }
    for (title, rows, more) in [
        (
            "Revenue by seller, in tokens",
            &revenue.sellers,
            revenue.more_sellers,
        ),
        ("Revenue by API, in tokens", &revenue.apis, revenue.more_apis),
    ] {
        let mut table = vec![head.clone()];
        table.extend(rows.iter().take(ROWS).map(money_line));
        table.push(money_line(&revenue.total));
        let hidden = more.saturating_add(rows.len().saturating_sub(ROWS) as u64);
        section(text, title, &table);
        if hidden > 0 {
            let _ = writeln!(text, "and {hidden} more");
        }
    }
}

fn money_line(row: &Row) -> Vec<String> {
    let change = row.change_percent.map_or_else(
        || "-".to_owned(),
        |change| {
            if change.abs() < 0.05 {
                "0.0 %".to_owned()
            } else {
                format!("{change:+.1} %")
            }
        },
    );
    let mut cells = line([&row.id, &row.sales, &row.old, &row.new, &change, &row.lost]);
    if let (Some(sales), Some(expected)) = (row.expected_sales, row.expected) {
        cells.push(format!("{sales:.1}"));
        cells.push(format!("{expected:.2}"));
    }
    cells
}

fn codes(text: &mut String, title: &str, codes: &[Code]) {
    let mut table = vec![line([&"CODE", &"OLD", &"NEW"])];
    table.extend(codes.iter().map(|code| line([&code.code, &code.old, &code.new])));
    section(text, title, &table);
}

fn costs(text: &mut String, report: &Report) {
    let mut table = vec![line([&"", &"P50", &"P90", &"P99", &"MAX"])];
    for (what, both) in [("fuel", &report.fuel), ("µs", &report.microseconds)] {
        let Some(both) = both else { continue };
        for (side, spread) in [("old", &both.old), ("new", &both.new)] {
            let name = format!("{what} {side}");
            table.push(line([&name, &spread.p50, &spread.p90, &spread.p99, &spread.max]));
        }
    }
    section(text, "Costs of a decision", &table);
    if let Some(shown) = &report.shown {
        let _ = writeln!(text, "\nOffers shown: {} before, {} now", shown.old, shown.new);
    }
    if let Some(prevented) = &report.prevented {
        let _ = writeln!(
            text,
            "\nPrevented: {} purchases of {} tokens would not have been allowed",
            prevented.sales, prevented.paid
        );
    }
}

fn examples(text: &mut String, report: &Report) {
    let mut table = vec![line([&"WHERE", &"AT", &"FUNCTION", &"CHANGE", &"OLD", &"NEW"])];
    table.extend(report.examples.iter().take(EXAMPLES).map(|example| {
        line([
            &example.place,
            &time::show(example.at_ns),
            &example.function,
            &example.change.as_str(),
            &example.old,
            &example.new,
        ])
    }));
    section(text, "What differs most", &table);
}

fn rest(text: &mut String, report: &Report) {
    let left = &report.left_out;
    let mut table = vec![line([&"WHY", &"DECISIONS"])];
    for (why, decisions) in left_out(report) {
        table.push(line([&why, &decisions]));
    }
    section(text, "Left out", &table);
    for bad in &left.bad {
        let _ = writeln!(text, "  {}: {}", bad.place, bad.why);
    }
    let _ = writeln!(text, "\nWhat this rests on");
    for assumption in &report.assumptions {
        let _ = writeln!(text, "- {assumption}");
    }
}

/// What was left out, as sentences with numbers.
pub(super) fn left_out(report: &Report) -> Vec<(String, u64)> {
    let left = &report.left_out;
    let mut all = Vec::new();
    for other in &left.others {
        all.push((
            format!("{} of `{}`: not what was tried", other.function, other.policy),
            other.decisions,
        ));
    }
    for (outcome, decisions) in &left.circumstances {
        all.push((
            format!("{outcome}: decided by the clock or the load of the machine"),
            *decisions,
        ));
    }
    if left.unanswerable > 0 {
        let questions: Vec<&str> = left.questions.keys().map(String::as_str).collect();
        all.push((
            format!(
                "the policy asked what the log does not answer ({})",
                questions.join(", ")
            ),
            left.unanswerable,
        ));
    }
    for (why, decisions) in &left.not_asked {
        all.push((why.clone(), *decisions));
    }
    if left.unreadable > 0 {
        all.push(("could not be read".to_owned(), left.unreadable));
    }
    if left.damaged > 0 {
        all.push(("damaged places of the decision log".to_owned(), left.damaged));
    }
    all
}

fn percent(part: f64, all: f64) -> String {
    if all > 0.0 {
        format!("{:.1} %", 100.0 * part / all)
    } else {
        "-".to_owned()
    }
}
