//! Figures for Prometheus: what is counted as it happens, and what is looked up when somebody asks.
//!
//! What lives here: the table of all metrics, the recorder, what a market counts, and the page. What never does: a walk
//! through the ledger. Whatever a page shows is kept up as it changes, or one entry of an index.
//!
//! The recorder is the process's own, as the `metrics` facade has it: markets are told apart by their realms.

#[cfg(test)]
mod document;
mod page;
mod policy;
mod sample;
mod table;

pub(crate) use page::Page;
pub(crate) use policy::{Calls, UNKNOWN};
pub(crate) use sample::{sample, sample_connections, sample_process};
pub(crate) use table::READY;
pub use table::{Kind, METRICS, Metric, Of};

use anyhow::Context;
use bourse_market::PriceSource;
use metrics::{Counter, Histogram, SharedString, counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From a microsecond to the longest deadline of a policy.
const POLICY_BUCKETS: [f64; 16] = [
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 1e-1, 5e-1,
];
/// From what reading a record takes to the longest that a seller may.
const CALL_BUCKETS: [f64; 15] = [
    5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 5e-1, 1.0, 5.0, 10.0,
];
/// Between two times that samples of histograms are put into their buckets. They lie in memory until then, whether anybody
/// asks for the page or not.
const UPKEEP: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();

/// What counts in this process.
struct Recorder {
    handle: PrometheusHandle,
    /// Seconds since 1970.
    since: f64,
}

impl Recorder {
    fn install() -> Option<Self> {
        let of = |metric: &Metric| Matcher::Full(metric.name.to_owned());
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(of(&table::POLICY_SECONDS), &POLICY_BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(of(&table::CALL_SECONDS), &CALL_BUCKETS))
            .and_then(PrometheusBuilder::install_recorder)
            .ok()?;
        for metric in METRICS {
            match metric.kind {
                Kind::Histogram => describe_histogram!(metric.name, metric.help),
                _ => describe_counter!(metric.name, metric.help),
            }
        }
        let kept = handle.clone();
        std::thread::Builder::new()
            .name("figures".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(UPKEEP);
                    kept.run_upkeep();
                }
            })
            .ok()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Self {
            handle,
            since: since.as_secs_f64(),
        })
    }

    fn get() -> anyhow::Result<&'static Self> {
        RECORDER
            .get_or_init(Self::install)
            .as_ref()
            .context("another recorder of metrics was installed in this process")
    }
}

/// What was counted so far, as text.
pub(crate) fn counted() -> String {
    Recorder::get()
        .map(|recorder| recorder.handle.render())
        .unwrap_or_default()
}

/// What one market counts.
pub(crate) struct Figures {
    realm: SharedString,
    quotes: [Counter; 3],
    purchases: [Counter; 4],
    events_dropped: Counter,
}

/// How a purchase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its seller sold.
    Sold,
    /// The market sold a key that it keeps.
    SoldEscrow,
    /// Nothing was charged.
    Voided,
    /// The same, and its seller is suspended.
    Unclear,
}

impl Figures {
    /// Starts to count for the market of a realm. To be made before the first call: what is looked up earlier counts nowhere.
    ///
    /// # Errors
    ///
    /// If another recorder is installed in this process.
    pub(crate) fn of(realm: &str) -> anyhow::Result<Arc<Self>> {
        Recorder::get()?;
        let realm = SharedString::from_shared(realm.into());
        let quotes =
            |source: &'static str| counter!(table::QUOTES.name, "realm" => realm.clone(), "source" => source);
        let purchases = |outcome: &'static str| counter!(table::PURCHASES.name, "realm" => realm.clone(), "outcome" => outcome);
        Ok(Arc::new(Self {
            quotes: ["fixed", "policy", "seller"].map(quotes),
            purchases: ["sold", "sold_escrow", "voided", "unclear"].map(purchases),
            events_dropped: counter!(table::EVENTS_DROPPED.name, "realm" => realm.clone()),
            realm,
        }))
    }

    /// A price was told.
    pub(crate) fn quoted(&self, source: &PriceSource) {
        let [fixed, policy, seller] = &self.quotes;
        let counter = match source {
            PriceSource::Fixed => fixed,
            PriceSource::Policy(_) => policy,
            PriceSource::Seller => seller,
        };
        counter.increment(1);
    }

    /// A purchase came to its end.
    pub(crate) fn ended(&self, how: Ended) {
        let [sold, escrow, voided, unclear] = &self.purchases;
        let counter = match how {
            Ended::Sold => sold,
            Ended::SoldEscrow => escrow,
            Ended::Voided => voided,
            Ended::Unclear => unclear,
        };
        counter.increment(1);
    }

    /// An event was not published.
    pub(crate) fn event_dropped(&self) {
        self.events_dropped.increment(1);
    }

    /// What is counted of one procedure.
    pub(crate) fn procedure(&self, procedure: &'static str) -> Procedure {
        let realm = self.realm.clone();
        Procedure {
            seconds: histogram!(table::CALL_SECONDS.name, "realm" => realm.clone(), "procedure" => procedure),
            realm,
            procedure,
        }
    }
}

/// What is counted of the calls of one procedure.
#[derive(Clone)]
pub(crate) struct Procedure {
    realm: SharedString,
    procedure: &'static str,
    seconds: Histogram,
}

impl Procedure {
    /// A call was answered, with an error of this URI if with any.
    pub(crate) fn answered(&self, error: Option<&str>, elapsed: Duration) {
        self.seconds.record(elapsed);
        if let Some(uri) = error {
            let (realm, reason) = (self.realm.clone(), reason(uri));
            counter!(table::CALL_REFUSALS.name, "realm" => realm, "procedure" => self.procedure, "reason" => reason)
                .increment(1);
        }
    }
}

/// The last part of the URI of an error. Sellers and routers name errors of their own: those are all one, for a series is
/// kept for ever.
fn reason(uri: &str) -> &'static str {
    const OTHER: &str = "other";
    let known = crate::wire::uri::ALL.iter().find(|known| **known == uri);
    known.and_then(|known| known.rsplit('.').next()).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_error_of_the_market_has_a_reason_of_its_own_and_those_of_others_share_one() {
        let all: BTreeSet<_> = crate::wire::uri::ALL.iter().map(|uri| reason(uri)).collect();
        assert_eq!(all.len(), crate::wire::uri::ALL.len());
        assert!(!all.contains("other"));
        assert_eq!(reason("com.example.seller.error.whatever"), "other");
        assert_eq!(reason("bourse.error.sold_out"), "sold_out");
    }
}
