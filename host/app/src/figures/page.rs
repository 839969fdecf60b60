//! The text that Prometheus reads, for what is looked up when it asks.

use super::table::{METRICS, Metric};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

/// Series that are collected, under the metrics they belong to.
#[derive(Debug, Default)]
pub(crate) struct Page {
    series: BTreeMap<&'static str, String>,
}

impl Page {
    /// A series, its labels in the order of the table.
    pub(crate) fn put(&mut self, metric: &Metric, labels: &[&str], value: impl Display) {
        self.line(metric, "", labels, None, value);
    }

    /// A flag.
    pub(crate) fn flag(&mut self, metric: &Metric, labels: &[&str], is: bool) {
        self.put(metric, labels, u8::from(is));
    }

    /// A histogram: how many lie within each bound, those beyond the last at the end, and the sum of all.
    pub(crate) fn histogram(
        &mut self,
        metric: &Metric,
        labels: &[&str],
        bounds: impl Iterator<Item = f64>,
        counts: &[u64],
        sum: f64,
    ) {
        let bounds = bounds.map(|bound| bound.to_string());
        let mut all = 0u64;
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
            all = all.saturating_add(*count);
            self.line(metric, "_bucket", labels, Some(&bound), all);
        }
        self.line(metric, "_sum", labels, None, sum);
        self.line(metric, "_count", labels, None, all);
    }

    fn line(
        &mut self,
        metric: &Metric,
        part: &str,
        labels: &[&str],
        bound: Option<&str>,
        value: impl Display,
    ) {
        let text = self.series.entry(metric.name).or_default();
        let named = metric.labels.iter().copied().zip(labels.iter().copied());
        let pairs: Vec<String> = named
            .chain(bound.map(|bound| ("le", bound)))
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let labels = match pairs.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", pairs.join(",")),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}{part}{labels} {value}", metric.name);
    }

    /// The text, in the order of the table.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for Metric { name, kind, help, .. } in METRICS {
            if let Some(series) = self.series.get(name) {
                let _ = writeln!(text, "# HELP {name} {help}");
                let _ = writeln!(text, "# TYPE {name} {}\n{series}", kind.as_str());
            }
        }
        text
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::table::{BATCHES, CHANNELS, READY, STARTED};

    #[test]
    fn a_page_reads_as_prometheus_has_it() {
        let mut page = Page::default();
        page.put(&CHANNELS, &["a", "payment"], 3);
        page.put(&CHANNELS, &["b\"\\\n", "payment"], 4);
        page.flag(&READY, &["a"], true);
        page.put(&STARTED, &[], 1.5);
        page.histogram(&BATCHES, &["a"], [1.0, 2.0].into_iter(), &[5, 0, 2], 20.0);
        let text = page.render();
        let series: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("# HELP") && !line.is_empty())
            .collect();
        assert_eq!(
            series,
            [
                "# TYPE bourse_start_time_seconds gauge",
                "bourse_start_time_seconds 1.5",
                "# TYPE bourse_ready gauge",
                "bourse_ready{realm=\"a\"} 1",
                "# TYPE bourse_channels gauge",
                "bourse_channels{realm=\"a\",kind=\"payment\"} 3",
                "bourse_channels{realm=\"b\\\"\\\\\\n\",kind=\"payment\"} 4",
                "# TYPE bourse_ledger_batch_commands histogram",
                "bourse_ledger_batch_commands_bucket{realm=\"a\",le=\"1\"} 5",
                "bourse_ledger_batch_commands_bucket{realm=\"a\",le=\"2\"} 5",
                "bourse_ledger_batch_commands_bucket{realm=\"a\",le=\"+Inf\"} 7",
                "bourse_ledger_batch_commands_sum{realm=\"a\"} 20",
                "bourse_ledger_batch_commands_count{realm=\"a\"} 7",
            ]
        );
        assert!(
            text.contains("# HELP bourse_ready 1 while clients can trade"),
            "{text}"
        );
    }
}
