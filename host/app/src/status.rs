//! How a running market does, at a glance: for `bourse status`, people and scripts.
//!
//! What lives here: the answer, and where each part of it comes from. What never does: a walk through the ledger.

use crate::follow::Gate;
use crate::http;
use crate::market::{Market, Status};
use bourse_market::{Nanos, View};
use bourse_policy::{BreakerState, PolicyState};
use bourse_store::{Counts, Disk, Held, StoreError, SystemDisk};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

/// The answer. Amounts are in base units, times in seconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The version that runs.
    pub(crate) version: String,
    /// The realm.
    pub(crate) realm: String,
    /// The market's id.
    pub(crate) market: String,
    /// The market maker's address.
    pub(crate) marketmaker: String,
    /// `RUNNING` and so on.
    pub(crate) status: String,
    /// Whether clients can trade.
    pub(crate) ready: bool,
    /// For how long it has been there.
    pub(crate) uptime: u64,
    /// What is wrong, in words; empty if nothing is.
    pub(crate) trouble: Vec<String>,
    /// Where it settles, if on a chain.
    pub(crate) chain: Option<Chain>,
    /// What it did, and what is in it.
    pub(crate) ledger: Ledger,
    /// What is in the channels of buyers.
    pub(crate) payment: Held,
    /// What is in those of sellers.
    pub(crate) paying: Held,
    /// The policies there are.
    pub(crate) policies: Vec<Policy>,
    /// The log of decisions, if there is one.
    pub(crate) decisions: Option<Decisions>,
}

/// A chain that is followed, and the market maker's transactions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Chain {
    /// The chain's number.
    pub(crate) id: u64,
    /// The newest block.
    pub(crate) head: u64,
    /// The last that the ledger followed.
    pub(crate) followed: Option<u64>,
    /// It came to the end once since the start.
    pub(crate) caught_up: bool,
    /// Transactions under way.
    pub(crate) transactions: usize,
    /// How long the oldest of them has been wanted.
    pub(crate) oldest: u64,
}

/// What the ledger holds, and the room it has.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) offers: u64,
    pub(crate) channels: u64,
    pub(crate) purchases: u64,
    /// Sales of keys in escrow.
    pub(crate) escrow_sales: u64,
    /// Purchases that are reserved and not resolved.
    pub(crate) under_way: u64,
    /// Of these, those whose end the disk did not take.
    pub(crate) unresolved: u64,
    /// Channels that an unclear answer keeps from selling.
    pub(crate) suspended: u64,
    /// Channels that wait to be reconciled.
    pub(crate) quarantined: u64,
    pub(crate) commits: u64,
    pub(crate) failed_commits: u64,
    /// Bytes of the map in use, and of all of it.
    pub(crate) map: (u64, u64),
    /// Bytes of the disk that may still be written.
    pub(crate) disk_free: u64,
}

/// A policy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// `active` and so on.
    pub(crate) state: String,
    pub(crate) revision: Option<String>,
    pub(crate) version: Option<String>,
}

/// The log of decisions since the start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Decisions {
    pub(crate) written: u64,
    pub(crate) dropped: u64,
    pub(crate) bytes: u64,
}

impl Report {
    /// How a market does now. Blocks.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub(crate) fn of(market: &Market) -> Result<Self, StoreError> {
        let counts = market.store.read().and_then(|ledger| ledger.counts())?;
        let money = market.store.money();
        let decisions = market.policies.log_stats().map(|stats| Decisions {
            written: stats.written,
            dropped: stats.dropped,
            bytes: stats.bytes,
        });
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            realm: market.terms.realm.clone(),
            market: uuid::Uuid::from_bytes(market.network.market.0).to_string(),
            marketmaker: bourse_chain::checksum(market.network.marketmaker),
            status: market.status().name().to_owned(),
            ready: http::is_ready(market),
            uptime: seconds_since(market, market.since),
            trouble: trouble(market, &counts),
            chain: chain(market)?,
            ledger: ledger(market, &counts),
            payment: money.payment,
            paying: money.paying,
            policies: policies(market),
            decisions,
        })
    }
}

fn seconds_since(market: &Market, then: Nanos) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    market.now().0.saturating_sub(then.0) / SECOND
}

fn chain(market: &Market) -> Result<Option<Chain>, StoreError> {
    if market.network.contracts.is_none() {
        return Ok(None);
    }
    let progress = market.course.progress();
    let unfinished = market
        .store
        .read()
        .and_then(|ledger| ledger.unfinished_intents())?;
    let oldest = unfinished.iter().map(|intent| intent.at).min();
    Ok(Some(Chain {
        id: market.network.domain.chain_id,
        head: market.settlement.head_block().number,
        followed: progress.followed,
        caught_up: progress.caught_up,
        transactions: unfinished.len(),
        oldest: oldest.map_or(0, |at| seconds_since(market, at)),
    }))
}

fn ledger(market: &Market, counts: &Counts) -> Ledger {
    let stats = market.store.stats();
    Ledger {
        offers: counts.offers,
        channels: counts.channels,
        purchases: counts.purchases,
        escrow_sales: counts.escrow_sales,
        under_way: counts.sent,
        unresolved: market.unresolved.load(Ordering::Relaxed),
        suspended: counts.suspended_channels,
        quarantined: counts.quarantined_channels,
        commits: stats.commits,
        failed_commits: stats.failed_commits,
        map: market.store.map_use(),
        disk_free: SystemDisk.free(market.store.path()).unwrap_or_default(),
    }
}

fn policies(market: &Market) -> Vec<Policy> {
    let all = market.policies.library().status().into_iter();
    let told = all.map(|status| Policy {
        state: status.state.as_str().to_owned(),
        name: status.name,
        revision: status.revision,
        version: status.version,
    });
    told.collect()
}

/// What an operator should look after, in words: `bourse status` and the console say the same.
pub(crate) fn trouble(market: &Market, counts: &Counts) -> Vec<String> {
    let mut all = Vec::new();
    if market.status() != Status::Running {
        all.push(format!("it does not trade: {}", market.status().name()));
    }
    if let Some(lost) = market.reach.trouble() {
        all.push(format!("clients do not reach it: {}", lost.why));
    }
    // A ledger that cannot be read says so elsewhere.
    if let Ok(Some(lack)) = market.store.lack() {
        all.push(format!("new business is refused: {lack}"));
    }
    let progress = market.course.progress();
    let shut = match market.course.gate() {
        Gate::Open => None,
        Gate::Shut(why) | Gate::Broken(why) => Some(why),
    };
    if let Some(why) = progress.trouble.or(shut) {
        all.push(format!("the chain cannot be followed: {why}"));
    }
    if let Some(why) = progress.sending.or(progress.fallen) {
        all.push(format!("transactions do not go on: {why}"));
    }
    for (count, what) in [
        (
            market.unresolved.load(Ordering::Relaxed),
            "purchases wait for the disk",
        ),
        (
            market.store.stats().failed_commits,
            "commits failed since the start",
        ),
        (
            counts.suspended_channels,
            "paying channels are suspended after unclear answers of their sellers",
        ),
        (
            counts.quarantined_channels,
            "channels are in quarantine: `bourse ledger quarantine` lists them",
        ),
    ] {
        if count > 0 {
            all.push(format!("{count} {what}"));
        }
    }
    let log = market.policies.log_stats().unwrap_or_default();
    if log.failing {
        all.push("the log of decisions cannot be written".to_owned());
    }
    if log.dropped > 0 {
        all.push(format!(
            "{} decisions were left out of their log since the start",
            log.dropped
        ));
    }
    for status in market.policies.library().status() {
        let broken = matches!(status.state, PolicyState::LastGood | PolicyState::Broken);
        if let Some(reason) = status.reason.filter(|_| broken) {
            all.push(format!("policy {}: {reason}", status.name));
        }
        if status
            .breaker
            .is_some_and(|breaker| breaker != BreakerState::Closed)
        {
            all.push(format!(
                "policy {} failed again and again and is left alone",
                status.name
            ));
        }
    }
    for (rule, problem) in market.policies.problems() {
        let (policy, hook) = (&rule.policy, rule.hook.as_str());
        all.push(format!(
            "what the rule for {policy}, hook {hook}, covers is refused: {problem}"
        ));
    }
    all
}
