//! What is looked up when the page is asked for: of a market, its router, and the process.

use super::policy::short;
use super::table::*;
use super::{Page, Recorder};
use crate::market::Market;
use bourse_market::View;
use bourse_policy::{BreakerState, PolicyState};
use bourse_store::{BATCH_BOUNDS, COMMIT_BOUNDS_US, Disk, Held, Stats, StoreError, SystemDisk};
use bourse_wamp::{ConnectionStats, RouterStats};
use std::sync::atomic::Ordering;

const NANOS: f64 = 1e9;
const MICROS: f64 = 1e6;

/// What is so of the process.
pub(crate) fn sample_process(page: &mut Page) {
    page.put(&INFO, &[env!("CARGO_PKG_VERSION")], 1);
    if let Ok(recorder) = Recorder::get() {
        page.put(&STARTED, &[], recorder.since);
    }
}

/// What is so of the connections of all realms.
pub(crate) fn sample_connections(page: &mut Page, stats: &ConnectionStats) {
    page.put(&CONNECTIONS, &["handshake"], stats.handshakes);
    page.put(&CONNECTIONS, &["joined"], stats.sessions);
    page.put(&CONNECTIONS_REJECTED, &["refused"], stats.refused);
    page.put(&CONNECTIONS_REJECTED, &["displaced"], stats.displaced);
}

/// What is so of a market, and of its router if that is its own.
///
/// # Errors
///
/// If the ledger cannot be read. What does not need it is on the page all the same.
pub(crate) fn sample(
    page: &mut Page,
    realm: &str,
    market: &Market,
    router: Option<&RouterStats>,
) -> Result<(), StoreError> {
    page.flag(&REACHED, &[realm], market.reach.trouble().is_none());
    policies(page, realm, market);
    money(page, realm, market);
    ledger(page, realm, &market.store.stats());
    let (used, size) = market.store.map_use();
    page.put(&MAP_USED, &[realm], used);
    page.put(&MAP_SIZE, &[realm], size);
    // One that cannot be asked is as good as full.
    let free = SystemDisk.free(market.store.path()).unwrap_or_default();
    page.put(&DISK_FREE, &[realm], free);
    page.put(&UNRESOLVED, &[realm], market.unresolved.load(Ordering::Relaxed));
    for (line, waiting) in market.workers.waiting() {
        page.put(&JOBS_WAITING, &[realm, line], waiting);
    }
    if let Some(stats) = router {
        wamp(page, realm, stats);
    }
    records(page, realm, market)?;
    chain(page, realm, market)
}

fn policies(page: &mut Page, realm: &str, market: &Market) {
    for status in market.policies.library().status() {
        let policy = status.name.as_str();
        let revision = status.revision.as_deref().map_or("none", short);
        let active = matches!(status.state, PolicyState::Active | PolicyState::LastGood);
        // What an operator took out and no rule names is missed by nobody.
        let taken_out = matches!(status.state, PolicyState::Disabled | PolicyState::Removed);
        if !taken_out || market.policies.is_bound(policy) {
            page.flag(&POLICY_IN_FORCE, &[realm, policy, revision], active);
        }
        let open = status
            .breaker
            .is_some_and(|breaker| breaker != BreakerState::Closed);
        page.flag(&BREAKER_OPEN, &[realm, policy], open);
    }
    let stats = market.policies.log_stats().unwrap_or_default();
    page.put(&LOG_WRITTEN, &[realm], stats.written);
    page.put(&LOG_DROPPED, &[realm], stats.dropped);
    page.put(&LOG_BYTES, &[realm], stats.bytes);
    page.flag(&LOG_FAILING, &[realm], stats.failing);
}

fn money(page: &mut Page, realm: &str, market: &Market) {
    let money = market.store.money();
    for (kind, held) in [("payment", money.payment), ("paying", money.paying)] {
        let Held {
            channels,
            deposited,
            remaining,
            inflight,
            unsettled,
            prepaid,
            spent,
        } = held;
        page.put(&CHANNELS, &[realm, kind], channels);
        page.put(&DEPOSITED, &[realm, kind], deposited);
        page.put(&REMAINING, &[realm, kind], remaining);
        page.put(&INFLIGHT, &[realm, kind], inflight);
        page.put(&UNSETTLED, &[realm, kind], unsettled);
        page.put(&PREPAID, &[realm, kind], prepaid);
        page.put(&SPENT, &[realm, kind], spent);
    }
}

fn ledger(page: &mut Page, realm: &str, stats: &Stats) {
    page.put(&COMMANDS, &[realm], stats.commands);
    page.put(&REFUSED, &[realm, "rules"], stats.refused);
    page.put(&REFUSED, &[realm, "full"], stats.full);
    page.put(&REFUSED, &[realm, "overloaded"], stats.overloaded);
    page.put(&COMMITS, &[realm], stats.commits);
    page.put(&FAILED_COMMITS, &[realm], stats.failed_commits);
    page.put(&SPLIT, &[realm], stats.split);
    page.histogram(
        &BATCHES,
        &[realm],
        BATCH_BOUNDS.iter().map(|bound| *bound as f64),
        &stats.batches,
        stats.batched as f64,
    );
    page.histogram(
        &COMMIT_SECONDS,
        &[realm],
        COMMIT_BOUNDS_US.iter().map(|bound| *bound as f64 / MICROS),
        &stats.commit_times,
        stats.commit_ns as f64 / NANOS,
    );
}

fn records(page: &mut Page, realm: &str, market: &Market) -> Result<(), StoreError> {
    let counts = market.store.read().and_then(|ledger| ledger.counts())?;
    for (table, records) in [
        ("offers", counts.offers),
        ("channels", counts.channels),
        ("purchases", counts.purchases),
        ("escrow_sales", counts.escrow_sales),
        ("decisions", counts.decisions),
        ("consents", counts.consents),
        ("registered", counts.registered),
    ] {
        page.put(&RECORDS, &[realm, table], records);
    }
    page.put(&UNDER_WAY, &[realm], counts.sent);
    page.put(&SUSPENDED, &[realm], counts.suspended_channels);
    page.put(&QUARANTINED, &[realm], counts.quarantined_channels);
    Ok(())
}

fn chain(page: &mut Page, realm: &str, market: &Market) -> Result<(), StoreError> {
    if market.network.contracts.is_none() {
        return Ok(());
    }
    let (head, progress) = (market.settlement.head_block().number, market.course.progress());
    let followed = progress.followed.unwrap_or_default();
    page.put(&CHAIN_HEAD, &[realm], head);
    page.put(&CHAIN_FOLLOWED, &[realm], followed);
    let counts = head.saturating_sub(market.terms.depth);
    page.put(&CHAIN_LAG, &[realm], counts.saturating_sub(followed));
    page.flag(&CHAIN_TROUBLE, &[realm], progress.trouble.is_some());
    page.flag(&CHAIN_CAUGHT_UP, &[realm], progress.caught_up);
    page.put(&GAS_PRICE, &[realm], progress.gas_price.unwrap_or_default());
    let stuck = progress.sending.is_some() || progress.fallen.is_some();
    page.flag(&OUTBOX_TROUBLE, &[realm], stuck);
    // There are never many: what is under way is bounded.
    let unfinished = market
        .store
        .read()
        .and_then(|ledger| ledger.unfinished_intents())?;
    page.put(&OUTBOX, &[realm], unfinished.len());
    let oldest = unfinished.iter().map(|intent| intent.at.0).min();
    let age = oldest.map_or(0, |at| market.now().0.saturating_sub(at));
    page.put(&OUTBOX_AGE, &[realm], age as f64 / NANOS);
    Ok(())
}

fn wamp(page: &mut Page, realm: &str, stats: &RouterStats) {
    page.put(&SESSIONS, &[realm], stats.sessions);
    page.put(&REGISTRATIONS, &[realm], stats.registrations);
    page.put(&SUBSCRIPTIONS, &[realm], stats.subscriptions);
    page.put(&CALLS_WAITING, &[realm], stats.pending_calls);
    page.put(&WAMP_CALLS, &[realm], stats.calls);
    page.put(&WAMP_TIMEOUTS, &[realm], stats.timeouts);
    page.put(&PUBLICATIONS, &[realm], stats.publications);
    page.put(&WAMP_EVENTS, &[realm], stats.events);
    page.put(&WAMP_REJECTIONS, &[realm, "over_rate"], stats.over_rate);
    page.put(&WAMP_REJECTIONS, &[realm, "slow"], stats.dropped_slow);
    page.put(&WAMP_REJECTIONS, &[realm, "violation"], stats.violations);
}
