//! Every metric there is: the page is made by this table, and so is the document.

/// A metric, as Prometheus sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// In what it counts or measures.
    pub unit: &'static str,
    /// The labels of each of its series, in their order.
    pub labels: &'static [&'static str],
    /// Which markets have it.
    pub of: Of,
    /// What it says, for people.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, from nothing at the start of the process.
    Counter,
    /// As it is now.
    Gauge,
    /// Counts by size, with a sum.
    Histogram,
}

impl Kind {
    /// The word for it on the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Which markets have a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Each.
    Every,
    /// Those that settle on a chain.
    OnChain,
    /// Those that are their own router.
    Router,
}

impl Of {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Every => "every market",
            Self::OnChain => "on a chain",
            Self::Router => "with a router of its own",
        }
    }
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $id:ident = $kind:ident $name:literal in $unit:literal of $of:ident by [$($label:literal),*];)*) => {
        $($(#[doc = $help])+ pub(crate) const $id: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            of: Of::$of,
            help: concat!($($help),+).trim_ascii(),
        };)*

        /// All of them, in the order of the document.
        pub const METRICS: &[Metric] = &[$($id),*];
    };
}

metrics! {
    /// The version that runs; always 1.
    INFO = Gauge "bourse_info" in "1" of Every by ["version"];
    /// When the process began to count, in seconds since 1970.
    STARTED = Gauge "bourse_start_time_seconds" in "seconds" of Every by [];
    /// 1 while clients can trade in the market, as /readyz says.
    READY = Gauge "bourse_ready" in "1" of Every by ["realm"];

    /// Calls of a policy. Outcomes are `priced`, `admitted`, `shown`, `allowed`, `refused`, `not_loaded` (its revision is `none`), `breaker_open`, or another failure's code.
    POLICY_CALLS = Counter "bourse_policy_calls_total" in "calls" of Every by ["realm", "policy", "hook", "revision", "outcome"];
    /// What the calls took, from a microsecond on.
    POLICY_SECONDS = Histogram "bourse_policy_call_seconds" in "seconds" of Every by ["realm", "policy", "hook", "revision", "outcome"];
    /// Fuel that the calls burned.
    POLICY_FUEL = Counter "bourse_policy_fuel_total" in "units of fuel" of Every by ["realm", "policy", "hook", "revision"];
    /// Calls of a policy that gave no answer, whatever the reason; those that were not made, because it is not there or left alone, among them.
    POLICY_FAILURES = Counter "bourse_policy_failures_total" in "calls" of Every by ["realm", "policy"];
    /// How often the breaker of a policy opened.
    BREAKER_TRIPS = Counter "bourse_policy_breaker_trips_total" in "trips" of Every by ["realm", "policy"];
    /// 1 while a policy is left alone because it failed again and again.
    BREAKER_OPEN = Gauge "bourse_policy_breaker_open" in "1" of Every by ["realm", "policy"];
    /// 1 if a policy answers; 0 if it is disabled, refused or gone. The revision is the active one, or `none`. One that was disabled or removed, and that no rule names, is left out.
    POLICY_IN_FORCE = Gauge "bourse_policy_in_force" in "1" of Every by ["realm", "policy", "revision"];
    /// What shadows answered beside the policy in force: `same`, `different`, or `left_out` where they were not asked.
    SHADOWS = Counter "bourse_policy_shadow_total" in "answers" of Every by ["realm", "policy", "answer"];
    /// Changes of revisions, `ok` or `refused`. The policy is `unknown` for a refused file that nothing uses.
    REVISIONS = Counter "bourse_policy_revisions_total" in "changes" of Every by ["realm", "policy", "result"];
    /// Purchases whose policy's memory was full: what it wanted to remember of them is lost.
    STATE_DROPPED = Counter "bourse_policy_state_dropped_total" in "purchases" of Every by ["realm", "policy"];

    /// Decisions that the log has written.
    LOG_WRITTEN = Counter "bourse_decision_log_written_total" in "decisions" of Every by ["realm"];
    /// Decisions that the log could not take, or could not write. Those behind purchases are in the ledger all the same.
    LOG_DROPPED = Counter "bourse_decision_log_dropped_total" in "decisions" of Every by ["realm"];
    /// Bytes that the log takes on disk.
    LOG_BYTES = Gauge "bourse_decision_log_bytes" in "bytes" of Every by ["realm"];
    /// 1 while the log cannot be written.
    LOG_FAILING = Gauge "bourse_decision_log_failing" in "1" of Every by ["realm"];

    /// What calls took from their arrival to their answer, by procedure. The count is that of all calls.
    CALL_SECONDS = Histogram "bourse_call_seconds" in "seconds" of Every by ["realm", "procedure"];
    /// Calls that were answered with an error. The reason is the last part of its URI; `other` for one that is not the market's.
    CALL_REFUSALS = Counter "bourse_call_refusals_total" in "calls" of Every by ["realm", "procedure", "reason"];
    /// Quotes given, by where the price came from: `fixed`, `policy` or `seller`.
    QUOTES = Counter "bourse_quotes_total" in "quotes" of Every by ["realm", "source"];
    /// Purchases that ended: `sold` by its seller, `sold_escrow` by the market for it, `voided` with nothing charged, or `unclear`: voided, and its seller suspended.
    PURCHASES = Counter "bourse_purchases_total" in "purchases" of Every by ["realm", "outcome"];
    /// Purchases that are reserved and not resolved.
    UNDER_WAY = Gauge "bourse_purchases_under_way" in "purchases" of Every by ["realm"];
    /// Purchases whose end could not be written: they, and their channels, stand still until the disk takes it.
    UNRESOLVED = Gauge "bourse_purchases_unresolved" in "purchases" of Every by ["realm"];
    /// Jobs that wait for a thread, by their line: `owed` to a purchase under way, `bought` by one before it, `called` by a quote to begin, `asked` by anybody.
    JOBS_WAITING = Gauge "bourse_jobs_waiting" in "jobs" of Every by ["realm", "line"];
    /// Events that were not published, because too many waited.
    EVENTS_DROPPED = Counter "bourse_events_dropped_total" in "events" of Every by ["realm"];

    /// Channels that are not settled, by kind: `payment` or `paying`. So are the following.
    CHANNELS = Gauge "bourse_channels" in "channels" of Every by ["realm", "kind"];
    /// What was deposited into them.
    DEPOSITED = Gauge "bourse_channel_deposited_tokens" in "tokens" of Every by ["realm", "kind"];
    /// What of it is neither spent nor reserved.
    REMAINING = Gauge "bourse_channel_remaining_tokens" in "tokens" of Every by ["realm", "kind"];
    /// What is reserved by purchases under way.
    INFLIGHT = Gauge "bourse_channel_inflight_tokens" in "tokens" of Every by ["realm", "kind"];
    /// What was spent and is not settled yet.
    UNSETTLED = Gauge "bourse_channel_unsettled_tokens" in "tokens" of Every by ["realm", "kind"];
    /// What sellers were paid in advance, and is netted from their next sales.
    PREPAID = Gauge "bourse_channel_prepaid_tokens" in "tokens" of Every by ["realm", "kind"];
    /// What was spent over all channels there ever were, settled or not.
    SPENT = Gauge "bourse_channel_spent_tokens" in "tokens" of Every by ["realm", "kind"];
    /// Paying channels that do not sell, because a seller's answer was unclear.
    SUSPENDED = Gauge "bourse_channels_suspended" in "channels" of Every by ["realm"];
    /// Channels of a restored ledger that wait for their delegates, or the operator.
    QUARANTINED = Gauge "bourse_channels_quarantined" in "channels" of Every by ["realm"];

    /// Commands that the ledger answered.
    COMMANDS = Counter "bourse_ledger_commands_total" in "commands" of Every by ["realm"];
    /// Commands that it did not carry out: against its `rules`, for want of room (`full`), or because too many waited (`overloaded`).
    REFUSED = Counter "bourse_ledger_refusals_total" in "commands" of Every by ["realm", "reason"];
    /// Durable commits.
    COMMITS = Counter "bourse_ledger_commits_total" in "commits" of Every by ["realm"];
    /// Commits that failed: none of their commands happened.
    FAILED_COMMITS = Counter "bourse_ledger_failed_commits_total" in "commits" of Every by ["realm"];
    /// What commits took until the disk had them: most of it is the disk's. LMDB writes and syncs in one call, so that its fsync has no
    /// figure of its own.
    COMMIT_SECONDS = Histogram "bourse_ledger_commit_seconds" in "seconds" of Every by ["realm"];
    /// Commands in one commit.
    BATCHES = Histogram "bourse_ledger_batch_commands" in "commands" of Every by ["realm"];
    /// Commits that had to be done again one command at a time.
    SPLIT = Counter "bourse_ledger_split_batches_total" in "commits" of Every by ["realm"];
    /// Bytes of the ledger's map in use, up to its last page.
    MAP_USED = Gauge "bourse_ledger_map_used_bytes" in "bytes" of Every by ["realm"];
    /// Bytes of the map, as `store.map_size` says.
    MAP_SIZE = Gauge "bourse_ledger_map_size_bytes" in "bytes" of Every by ["realm"];
    /// Bytes that this process may still write to the disk of the data folder.
    DISK_FREE = Gauge "bourse_ledger_disk_free_bytes" in "bytes" of Every by ["realm"];
    /// Records, by table.
    RECORDS = Gauge "bourse_ledger_records" in "records" of Every by ["realm", "table"];

    /// The newest block of the chain, as the node says.
    CHAIN_HEAD = Gauge "bourse_chain_head_block" in "blocks" of OnChain by ["realm"];
    /// The last block that the ledger followed.
    CHAIN_FOLLOWED = Gauge "bourse_chain_followed_block" in "blocks" of OnChain by ["realm"];
    /// Blocks that count, for `chain.depth` others lie above them, and that the ledger did not follow yet.
    CHAIN_LAG = Gauge "bourse_chain_lag_blocks" in "blocks" of OnChain by ["realm"];
    /// 1 while the chain cannot be followed: the node does not answer, or not as it should.
    CHAIN_TROUBLE = Gauge "bourse_chain_trouble" in "1" of OnChain by ["realm"];
    /// 1 once the ledger came to the end of the chain since the start.
    CHAIN_CAUGHT_UP = Gauge "bourse_chain_caught_up" in "1" of OnChain by ["realm"];
    /// What the node would pay for a unit of gas; 0 before it said.
    GAS_PRICE = Gauge "bourse_chain_gas_price_wei" in "wei" of OnChain by ["realm"];
    /// Transactions of the market maker that are neither mined nor failed.
    OUTBOX = Gauge "bourse_outbox_transactions" in "transactions" of OnChain by ["realm"];
    /// How long the oldest of them has been wanted; 0 if there is none.
    OUTBOX_AGE = Gauge "bourse_outbox_oldest_seconds" in "seconds" of OnChain by ["realm"];
    /// 1 while they do not go on.
    OUTBOX_TROUBLE = Gauge "bourse_outbox_trouble" in "1" of OnChain by ["realm"];

    /// 1 while the market is reached by its clients; always at its own router.
    REACHED = Gauge "bourse_router_reached" in "1" of Every by ["realm"];
    /// Sessions joined.
    SESSIONS = Gauge "bourse_wamp_sessions" in "sessions" of Router by ["realm"];
    /// Their registrations.
    REGISTRATIONS = Gauge "bourse_wamp_registrations" in "registrations" of Router by ["realm"];
    /// Their subscriptions.
    SUBSCRIPTIONS = Gauge "bourse_wamp_subscriptions" in "subscriptions" of Router by ["realm"];
    /// Calls that wait for their answer.
    CALLS_WAITING = Gauge "bourse_wamp_calls_waiting" in "calls" of Router by ["realm"];
    /// Calls that the router took.
    WAMP_CALLS = Counter "bourse_wamp_calls_total" in "calls" of Router by ["realm"];
    /// Calls that nobody answered in time.
    WAMP_TIMEOUTS = Counter "bourse_wamp_call_timeouts_total" in "calls" of Router by ["realm"];
    /// Publications that it took.
    PUBLICATIONS = Counter "bourse_wamp_publications_total" in "publications" of Router by ["realm"];
    /// Events that it sent to subscribers.
    WAMP_EVENTS = Counter "bourse_wamp_events_total" in "events" of Router by ["realm"];
    /// What the router turned away: calls and publications that came too fast (`over_rate`), sessions that did not read (`slow`), sessions that broke the protocol (`violation`).
    WAMP_REJECTIONS = Counter "bourse_wamp_rejections_total" in "rejections" of Router by ["realm", "reason"];
    /// Connections, of all realms: in their `handshake`, or `joined`.
    CONNECTIONS = Gauge "bourse_wamp_connections" in "connections" of Router by ["state"];
    /// Connections turned away: for their address (`refused`), or to make room for newer ones (`displaced`).
    CONNECTIONS_REJECTED = Counter "bourse_wamp_connection_rejections_total" in "connections" of Router by ["reason"];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let mut seen = BTreeSet::new();
        for metric in METRICS {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.starts_with("bourse_"), "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            for unit in ["seconds", "bytes", "tokens", "blocks"] {
                let named = name
                    .trim_end_matches("_total")
                    .split('_')
                    .any(|part| part == unit);
                let counted = metric.unit == unit && metric.kind != Kind::Counter;
                assert!(!counted || named || unit == "blocks", "{name} is in {unit}");
            }
            assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{name}");
        }
    }
}
