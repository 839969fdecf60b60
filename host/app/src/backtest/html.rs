//! The report as one HTML file: no script, no network, plots inline, light or dark as the reader has it.
//!
//! Everything that comes from a log is escaped; and the page's own policy lets a browser load nothing at all, whatever
//! it may find in it.

use super::plot::{histogram, over_time, short};
use super::report::{Code, Report, Row};
use super::stats::Spread;
use super::table::left_out;
use super::time;
use core::fmt::{Display, Write};

/// Text that stands for itself in HTML and SVG, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Neither HTML nor XML has a place for these.
            letter if letter.is_control() && letter != '\n' && letter != '\t' => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

const STYLE: &str = include_str!("html/style.css");

/// The page of a report.
pub(crate) fn page(report: &Report) -> String {
    let title = escape(&format!("{} against {}", report.new.name, report.old.name));
    let mut html = format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
"#
    );
    head(&mut html, report, &title);
    cards(&mut html, report);
    changes(&mut html, report);
    plots(&mut html, report);
    revenue(&mut html, report);
    outcomes(&mut html, report);
    costs(&mut html, report);
    examples(&mut html, report);
    rest(&mut html, report);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn head(html: &mut String, report: &Report, title: &str) {
    let _ = writeln!(html, "<h1>{title}</h1>");
    let log = &report.log;
    let span = match (log.from_ns, log.to_ns) {
        (Some(from), Some(to)) => format!(", {} to {} UTC", time::show(from), time::show(to)),
        _ => String::new(),
    };
    let _ = writeln!(
        html,
        r#"<p class="soft small">{} decisions of <span class="mono">{}</span>{span}</p>"#,
        log.decisions,
        escape(&log.path)
    );
    let _ = writeln!(
        html,
        r#"<p class="soft small">Decisions of {}. Parameters: {}</p>"#,
        escape(&report.log.of.join(", ")),
        escape(&report.new.params)
    );
}

/// One figure that matters, with what it was.
fn card(html: &mut String, name: &str, value: &str, was: &str) {
    let _ = write!(
        html,
        r#"<div class="card"><div class="name">{}</div><div class="value">{}</div><div class="was">{}</div></div>"#,
        escape(name),
        escape(value),
        escape(was)
    );
}

fn cards(html: &mut String, report: &Report) {
    html.push_str(r#"<div class="cards">"#);
    let share = 100.0 * report.changed as f64 / (report.compared.max(1)) as f64;
    card(
        html,
        "Answers that differ",
        &format!("{share:.1} %"),
        &format!("{} of {}", report.changed, report.compared),
    );
    if let Some(revenue) = &report.revenue {
        let total = &revenue.total;
        let change = total
            .change_percent
            .map_or_else(|| brief(&total.new), |change| format!("{change:+.1} %"));
        card(
            html,
            "Revenue of the recorded sales",
            &change,
            &format!("{} to {} tokens", brief(&total.old), brief(&total.new)),
        );
        if let (Some(sales), Some(expected)) = (total.expected_sales, total.expected) {
            card(
                html,
                "Expected revenue",
                &short(expected),
                &format!("of {} expected sales", short(sales)),
            );
        }
        card(
            html,
            "Sales without a price",
            &total.lost.to_string(),
            &format!("of {} recorded", total.sales),
        );
    }
    if let Some((old, new)) = report
        .prices
        .as_ref()
        .and_then(|prices| Some((prices.old.as_ref()?, prices.new.as_ref()?)))
    {
        card(
            html,
            "Median price",
            &brief(&new.p50),
            &format!("was {} tokens", brief(&old.p50)),
        );
    }
    let sums = |codes: &[Code]| {
        codes.iter().fold((0u64, 0u64), |(old, new), code| {
            (old.saturating_add(code.old), new.saturating_add(code.new))
        })
    };
    let ((old, new), (old_failed, failed)) = (sums(&report.refusals), sums(&report.failures));
    card(html, "Refusals", &new.to_string(), &format!("was {old}"));
    card(
        html,
        "Failures",
        &failed.to_string(),
        &format!("was {old_failed}"),
    );
    if let Some(fuel) = &report.fuel {
        card(
            html,
            "Fuel, median",
            &short(fuel.new.p50 as f64),
            &format!("was {}", short(fuel.old.p50 as f64)),
        );
    }
    html.push_str("</div>\n");
}

/// A table; the cells are HTML already. Columns whose head begins with `#` hold numbers.
fn table(html: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    html.push_str(r#"<div class="scroll"><table><thead><tr>"#);
    for head in heads {
        let class = if head.starts_with('#') {
            r#" class="n""#
        } else {
            ""
        };
        let _ = write!(html, "<th{class}>{}</th>", escape(head.trim_start_matches('#')));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (cell, head) in row.iter().zip(heads) {
            if cell.starts_with("<td") {
                html.push_str(cell);
                continue;
            }
            let class = if head.starts_with('#') {
                r#" class="n""#
            } else {
                ""
            };
            let _ = write!(html, "<td{class}>{cell}</td>");
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>\n");
}

fn changes(html: &mut String, report: &Report) {
    if report.changes.is_empty() {
        return;
    }
    html.push_str("<h2>What became of the answers</h2>\n");
    let rows: Vec<Vec<String>> = report
        .changes
        .iter()
        .map(|change| {
            let share = 100.0 * change.decisions as f64 / report.compared.max(1) as f64;
            vec![
                escape(change.function),
                escape(change.change.as_str()),
                change.decisions.to_string(),
                format!("{share:.1} %"),
                format!(r#"<td class="barcell"><span class="bar" style="width:{share:.1}%"></span></td>"#),
            ]
        })
        .collect();
    table(html, &["Function", "Change", "#Decisions", "#Share", ""], &rows);
}

const KEY: &str =
    r#"<span class="key"><i class="o"></i>before</span><span class="key"><i class="n"></i>now</span>"#;

fn figure(html: &mut String, caption: &str, unit: &str, key: &str, svg: &str) {
    let _ = write!(
        html,
        r#"<figure><figcaption>{} <span class="soft">{}</span></figcaption>{key}{svg}</figure>"#,
        escape(caption),
        escape(unit)
    );
}

fn plots(html: &mut String, report: &Report) {
    let Some(prices) = &report.prices else { return };
    html.push_str("<h2>Prices</h2>\n<div class=\"plots\">");
    if let Some(counts) = &prices.histogram {
        figure(
            html,
            "Distribution",
            "decisions by price in tokens",
            KEY,
            &histogram(counts),
        );
    }
    if let Some(moves) = &prices.moves {
        figure(
            html,
            "Change of each price",
            "decisions by percent above the price before",
            "",
            &histogram(moves),
        );
    }
    let slots = &report.series;
    if slots.len() > 1 {
        let median = over_time(
            slots,
            "Median price over time, old and new",
            |slot| slot.old_price,
            |slot| slot.new_price,
        );
        figure(html, "Median price", "tokens, over time (UTC)", KEY, &median);
        if report.revenue.is_some() {
            let revenue = over_time(
                slots,
                "Revenue over time, old and new",
                |slot| Some(slot.old_revenue),
                |slot| Some(slot.new_revenue),
            );
            figure(
                html,
                "Revenue",
                "tokens in each stretch of time (UTC)",
                KEY,
                &revenue,
            );
        }
    }
    html.push_str("</div>\n");
    let mut rows = Vec::new();
    for (name, spread) in [("before", &prices.old), ("now", &prices.new)] {
        if let Some(spread) = spread {
            rows.push(quantiles(name, &spread.clone().map(|text| brief(&text))));
        }
    }
    html.push_str("<p class=\"small soft\">Quantiles of the prices, in tokens</p>");
    table(html, &QUANTILES, &rows);
}

const QUANTILES: [&str; 10] = [
    "", "#Count", "#Min", "#10 %", "#25 %", "#Median", "#75 %", "#90 %", "#99 %", "#Max",
];

fn quantiles<T: Display>(name: &str, spread: &Spread<T>) -> Vec<String> {
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
    let mut cells = vec![escape(name), count.to_string()];
    cells.extend([min, p10, p25, p50, p75, p90, p99, max].map(|value| escape(&value.to_string())));
    cells
}

fn revenue(html: &mut String, report: &Report) {
    let Some(revenue) = &report.revenue else { return };
    let mut heads = vec!["", "#Sales", "#Before", "#Now", "#Change", "#Without a price"];
    if revenue.elasticity.is_some() {
        heads.extend(["#Expected sales", "#Expected"]);
    }
    for (title, rows, more) in [
        ("Revenue by seller", &revenue.sellers, revenue.more_sellers),
        ("Revenue by API", &revenue.apis, revenue.more_apis),
    ] {
        let _ = write!(
            html,
            "<h2>{title}</h2>\n<p class=\"small soft\">What buyers pay, in tokens</p>"
        );
        let mut cells: Vec<Vec<String>> = rows.iter().map(money).collect();
        cells.push(money(&revenue.total).into_iter().map(bold).collect());
        table(html, &heads, &cells);
        if more > 0 {
            let _ = write!(html, "<p class=\"small soft\">and {more} more</p>");
        }
    }
}

fn money(row: &Row) -> Vec<String> {
    let change = match row.change_percent {
        Some(change) if change.abs() < 0.05 => "0.0 %".to_owned(),
        Some(change) if change > 0.0 => format!(r#"<span class="up">{change:+.1} %</span>"#),
        Some(change) => format!(r#"<span class="down">{change:+.1} %</span>"#),
        None => "–".to_owned(),
    };
    let full = |text: &str| {
        format!(
            r#"<span title="{}">{}</span>"#,
            escape(text),
            escape(&brief(text))
        )
    };
    let mut cells = vec![
        identifier(&row.id),
        row.sales.to_string(),
        full(&row.old),
        full(&row.new),
        change,
        row.lost.to_string(),
    ];
    if let (Some(sales), Some(expected)) = (row.expected_sales, row.expected) {
        cells.push(short(sales));
        cells.push(short(expected));
    }
    cells
}

fn bold(cell: String) -> String {
    format!("<b>{cell}</b>")
}

/// A long identifier: in full where there is room, its ends alone on a narrow screen.
fn identifier(id: &str) -> String {
    const ENDS: usize = 8;
    let letters = id.chars().count();
    if letters <= 2 * ENDS + 1 {
        return format!(r#"<span class="mono">{}</span>"#, escape(id));
    }
    let start: String = id.chars().take(ENDS).collect();
    let end: String = id.chars().skip(letters.saturating_sub(ENDS)).collect();
    format!(
        r#"<span class="mono wide">{}</span><span class="mono narrow">{}…{}</span>"#,
        escape(id),
        escape(&start),
        escape(&end)
    )
}

fn outcomes(html: &mut String, report: &Report) {
    for (title, codes) in [("Refusals", &report.refusals), ("Failures", &report.failures)] {
        if codes.is_empty() {
            continue;
        }
        let _ = writeln!(html, "<h2>{title}</h2>");
        let rows: Vec<Vec<String>> = codes
            .iter()
            .map(|code| vec![escape(&code.code), code.old.to_string(), code.new.to_string()])
            .collect();
        table(html, &["Code", "#Before", "#Now"], &rows);
    }
    if let Some(shown) = &report.shown {
        let _ = writeln!(
            html,
            "<h2>Offers shown</h2>\n<p>{} before, {} now</p>",
            shown.old, shown.new
        );
    }
    if let Some(prevented) = &report.prevented {
        let _ = writeln!(
            html,
            "<h2>Prevented purchases</h2>\n<p>{} recorded purchases of {} tokens in all would not have been allowed.</p>",
            prevented.sales,
            escape(&prevented.paid)
        );
    }
}

fn costs(html: &mut String, report: &Report) {
    let mut rows = Vec::new();
    for (what, both) in [("fuel", &report.fuel), ("microseconds", &report.microseconds)] {
        if let Some(both) = both {
            rows.push(quantiles(&format!("{what}, before"), &both.old));
            rows.push(quantiles(&format!("{what}, now"), &both.new));
        }
    }
    if !rows.is_empty() {
        html.push_str("<h2>Costs of a decision</h2>\n");
        table(html, &QUANTILES, &rows);
    }
}

fn examples(html: &mut String, report: &Report) {
    if report.examples.is_empty() {
        return;
    }
    html.push_str("<h2>What differs most</h2>\n");
    let rows: Vec<Vec<String>> = report
        .examples
        .iter()
        .map(|example| {
            vec![
                escape(&example.place.to_string()),
                time::show(example.at_ns),
                escape(example.function),
                escape(example.change.as_str()),
                escape(&example.old),
                escape(&example.new),
                identifier(example.key.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    let heads = ["Where", "At (UTC)", "Function", "Change", "Before", "Now", "Key"];
    table(html, &heads, &rows);
}

fn rest(html: &mut String, report: &Report) {
    let left = left_out(report);
    if !left.is_empty() {
        html.push_str("<h2>Left out</h2>\n");
        let rows: Vec<Vec<String>> = left
            .iter()
            .map(|(why, decisions)| {
                vec![
                    format!(r#"<td class="wrap">{}</td>"#, escape(why)),
                    decisions.to_string(),
                ]
            })
            .collect();
        table(html, &["Why", "#Decisions"], &rows);
        for bad in &report.left_out.bad {
            let _ = write!(
                html,
                r#"<p class="small mono">{}: {}</p>"#,
                escape(&bad.place.to_string()),
                escape(&bad.why)
            );
        }
    }
    html.push_str("<h2>What this rests on</h2>\n<ul class=\"small\">");
    for assumption in &report.assumptions {
        let _ = write!(html, "<li>{}</li>", escape(assumption));
    }
    html.push_str("</ul>\n<h2>Revisions</h2>\n");
    let mut rows = Vec::new();
    for (side, subject) in [("before", &report.old), ("now", &report.new)] {
        for share in &subject.revisions {
            rows.push(vec![
                side.to_owned(),
                escape(&share.policy),
                identifier(&share.revision),
                share.decisions.to_string(),
            ]);
        }
    }
    table(html, &["", "Policy", "Revision", "#Decisions"], &rows);
}

/// An amount in tokens with four decimals at most.
fn brief(text: &str) -> String {
    match text.split_once('.') {
        None => text.to_owned(),
        Some((whole, decimals)) => {
            let kept: String = decimals.chars().take(4).collect();
            let kept = kept.trim_end_matches('0');
            match (whole, kept) {
                ("0", "") => "<0.0001".to_owned(),
                (whole, "") => whole.to_owned(),
                (whole, kept) => format!("{whole}.{kept}"),
            }
        }
    }
}
