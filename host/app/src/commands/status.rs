//! `bourse status`: how running markets do.

use crate::config::Config;
use crate::control::{Attachment, Request, call};
use crate::output::{self, Sheet, many};
use crate::status::Report;
use anyhow::Context;
use bourse_store::Held;
use std::process::ExitCode;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// Asks each market, and shows what it says: one sheet for each, or one JSON document, a list where there are several. Exit code
/// 0 if clients can trade in all of them, 1 if not in one.
///
/// # Errors
///
/// If one of them does not answer.
pub(crate) fn status(markets: &[Config]) -> anyhow::Result<ExitCode> {
    let ask = |config: &Config| {
        let answer = call(&config.store.path, Request::Status, Attachment::default())?;
        serde_json::from_value::<Report>(answer).context("the market's answer makes no sense")
    };
    let reports = markets.iter().map(ask).collect::<anyhow::Result<Vec<_>>>()?;
    match (output::form(), &reports[..]) {
        (_, [only]) => output::sheet(only)?,
        (output::Form::Json, several) => output::json(several)?,
        (output::Form::Table, several) => {
            for report in several {
                output::sheet(report)?;
                output::put("");
            }
        }
    }
    Ok(match reports.iter().all(|report| report.ready) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Sheet for Report {
    fn lines(&self) -> Vec<(String, String)> {
        let ledger = &self.ledger;
        let ready = match self.ready {
            true => output::toned(output::Tone::Good, "ready"),
            false => output::toned(output::Tone::Bad, "NOT READY"),
        };
        let mut lines = vec![
            ("market", format!("{} in realm {}", self.market, self.realm)),
            (
                "status",
                format!("{}, {ready}, for {}", self.status, span(self.uptime)),
            ),
            ("version", self.version.clone()),
            ("market maker", self.marketmaker.clone()),
            ("settlement", self.settlement()),
        ];
        if let Some(chain) = self.chain.as_ref().filter(|chain| chain.transactions > 0) {
            let (count, age) = (chain.transactions, span(chain.oldest));
            lines.push(("transactions", format!("{count} under way, the oldest for {age}")));
        }
        lines.extend([
            ("payment", sums(&self.payment)),
            ("paying", sums(&self.paying)),
            (
                "ledger",
                format!(
                    "{}, {}, {}, {} under way",
                    many(ledger.offers, "offer"),
                    many(ledger.channels, "channel"),
                    many(ledger.purchases.saturating_add(ledger.escrow_sales), "purchase"),
                    ledger.under_way
                ),
            ),
            ("room", room(ledger.map, ledger.disk_free)),
            ("policies", self.active()),
        ]);
        if let Some(log) = &self.decisions {
            let (written, dropped, size) = (log.written, log.dropped, bytes(log.bytes));
            lines.push((
                "decisions",
                format!("{written} logged, {dropped} dropped, {size}"),
            ));
        }
        let trouble = match self.trouble.is_empty() {
            true => "none".to_owned(),
            false => output::toned(output::Tone::Bad, &self.trouble.join("\n")),
        };
        lines.push(("trouble", trouble));
        let named = lines.into_iter().map(|(name, value)| (name.to_owned(), value));
        named.collect()
    }
}

impl Report {
    fn settlement(&self) -> String {
        let Some(chain) = &self.chain else {
            return "local: test tokens, no chain".to_owned();
        };
        let followed = chain
            .followed
            .map_or_else(|| "none".to_owned(), |block| block.to_string());
        let state = match chain.caught_up {
            true => "caught up",
            false => "catching up",
        };
        format!(
            "chain {}: followed block {followed}, the newest is {}, {state}",
            chain.id, chain.head
        )
    }

    /// The policies that answer, and how many do not.
    fn active(&self) -> String {
        let (active, others): (Vec<_>, Vec<_>) = self
            .policies
            .iter()
            .partition(|policy| matches!(&*policy.state, "active" | "last_good"));
        let names: Vec<_> = active.iter().map(|policy| policy.name.as_str()).collect();
        let mut text = format!("{} in force: {}", active.len(), names.join(", "));
        if !others.is_empty() {
            let names: Vec<_> = others.iter().map(|policy| policy.name.as_str()).collect();
            text.push_str(&format!("\n{} not in force: {}", others.len(), names.join(", ")));
        }
        text
    }
}

fn sums(sums: &Held) -> String {
    let mut text = format!(
        "{}: {} tokens deposited, {} left, {} reserved, {} spent and not settled",
        many(sums.channels, "channel"),
        sums.deposited,
        sums.remaining,
        sums.inflight,
        sums.unsettled
    );
    if !sums.prepaid.is_zero() {
        text.push_str(&format!(", {} prepaid", sums.prepaid));
    }
    text
}

fn room((used, size): (u64, u64), free: u64) -> String {
    format!(
        "{} of {} of the map in use, {} of the disk free",
        bytes(used),
        bytes(size),
        bytes(free)
    )
}

/// As people say it: `1.5 GiB`.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut amount = count as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while amount >= 1024.0
        && let Some(larger) = units.next()
    {
        amount /= 1024.0;
        unit = Some(larger);
    }
    let digits = usize::from(amount < 10.0 && count >= 1024);
    format!("{amount:.digits$} {}", unit.unwrap_or(&""))
}

/// As people say it: `3 h 12 min`.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..HOUR => format!("{} min {} s", seconds / 60, seconds % 60),
        HOUR..DAY => format!("{} h {} min", seconds / HOUR, seconds % HOUR / 60),
        _ => format!("{} d {} h", seconds / DAY, seconds % DAY / HOUR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_said_as_people_say_them() {
        for (count, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (64 << 30, "64 GiB"),
        ] {
            assert_eq!(bytes(count), said);
        }
        for (seconds, said) in [
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3 * HOUR + 720, "3 h 12 min"),
            (2 * DAY + HOUR, "2 d 1 h"),
        ] {
            assert_eq!(span(seconds), said);
        }
    }
}
