//! The markets of this process, and how one of them does.

use super::room::Reading;
use super::{Answer, at, opt, text, units};
use crate::console::Console;
use crate::console::problem::Problem;
use crate::follow::Gate;
use crate::market::{Market, Status};
use crate::status;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use bourse_chain::checksum;
use bourse_market::{Nanos, View};
use bourse_store::{Counts, Disk, SystemDisk};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

/// What anybody may know who reaches the listener: which markets there are, and what whoever asks may do with them.
pub(super) async fn session(State(console): State<Arc<Console>>, headers: HeaderMap) -> Answer {
    let rights = console.guard.rights(&headers)?;
    let spelled = |(realm, market): (String, Option<Arc<Market>>)| {
        let status = market.map_or(Status::None, |market| market.status());
        json!({ "realm": realm, "status": status.name() })
    };
    let markets: Vec<_> = console.board.all().into_iter().map(spelled).collect();
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "markets": markets,
        "read": rights.read,
        "change": rights.change,
        "token": console.guard.has_operator(),
        "local": console.guard.is_local(),
    })))
}

/// How a market does.
pub(super) async fn overview(Reading(room): Reading) -> Answer {
    let (market, started) = (Arc::clone(&room.market), room.console.started);
    let turned_away = room.console.board.turned_away(&market.terms.realm);
    let look = move || {
        let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        let counts = market.store.read()?.counts()?;
        let (quotes, refusals) = market.feed.counts();
        let link = market.reach.trouble();
        Ok(json!({
            "realm": market.terms.realm,
            "status": market.status().name(),
            "now": at(market.now()),
            "since": at(since),
            "market": text(market.network.market),
            "maker": checksum(market.network.marketmaker),
            "owner": checksum(market.network.owner),
            "settlement": settlement(&market),
            "trouble": status::trouble(&market, &counts),
            "turned_away": turned_away.map(|(asked, connections)| json!({ "asked": asked, "connections": connections })),
            "link": opt(link, |trouble| json!({ "trouble": trouble.why, "since": at(trouble.since) })),
            "ledger": ledger(&market, &counts)?,
            "quotes": quotes,
            "refusals": refusals,
            "unresolved": market.unresolved.load(Ordering::Relaxed),
            "log": log(&market),
        }))
    };
    room.console.look(look).await.map(Json)
}

fn ledger(market: &Market, counts: &Counts) -> Result<Value, Problem> {
    let reader = market.store.read()?;
    let (totals, last) = (reader.totals()?, reader.last_posted()?);
    let stats = market.store.stats();
    let (used, reserved) = market.store.map_use();
    let Counts {
        accounts,
        channels,
        live_channels,
        suspended_channels,
        quarantined_channels,
        offers,
        sent,
        posted,
        escrow_sales,
        decisions,
        ..
    } = counts;
    Ok(json!({
        "accounts": accounts,
        "channels": channels,
        "live": live_channels,
        "suspended": suspended_channels,
        "quarantined": quarantined_channels,
        "offers": offers,
        "sent": sent,
        "sales": posted,
        "escrow_sales": escrow_sales,
        "decisions": decisions,
        "float": units(totals.float),
        "granted": units(totals.granted),
        "last_sale": opt(last, at),
        "commits": stats.commits,
        "failed_commits": stats.failed_commits,
        "commands": stats.commands,
        "used_bytes": used,
        "reserved_bytes": reserved,
        "disk_free_bytes": SystemDisk.free(market.store.path()).unwrap_or_default(),
    }))
}

fn settlement(market: &Market) -> Value {
    let progress = market.course.progress();
    let gate = match market.course.gate() {
        Gate::Open => None,
        Gate::Shut(why) | Gate::Broken(why) => Some(why),
    };
    let contracts = market.network.contracts.as_ref();
    json!({
        "chain": market.network.domain.chain_id,
        "local": contracts.is_none(),
        "channel_contract": opt(contracts, |contracts| Value::String(checksum(contracts.channel))),
        "head": market.settlement.head_block().number,
        "followed": progress.followed,
        "caught_up": progress.caught_up,
        "trouble": gate.or(progress.trouble).or(progress.fallen),
        "sending": progress.sending,
    })
}

fn log(market: &Market) -> Value {
    opt(market.policies.log(), |log| {
        let stats = log.stats();
        json!({
            "written": stats.written,
            "dropped": stats.dropped,
            "bytes": stats.bytes,
            "failing": stats.failing,
        })
    })
}
