//! Kills a real host, on a real disk and under load, again and again, and looks for a lost unit.
//!
//! Usage: `crash [--kills N] [--from SEED] [--plant early-reply]`; `cargo xtask crash` builds what it needs. Each kill has
//! a seed, which decides when and where it falls. A market is killed [`LIFE`] times, then stopped in order and counted
//! for the last time; the first of these kills falls into its very first start. Before them the host dies once at each place
//! on the way to what an unclear seller did ([`unclear`]). Threads and disks have no seed, so a
//! seed that failed is likely, not sure, to fail again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a harness that cannot go on must stop"
)]

mod audit;
mod comeback;
mod death;
mod load;
mod market;
mod plan;
mod tally;
mod unclear;

use market::Market;
use plan::{Dice, Plan};
use std::process::ExitCode;
use tally::Tally;

/// Kills of one market.
const LIFE: u64 = 10;

struct Arguments {
    kills: u64,
    from: u64,
    plant: Option<String>,
}

fn arguments() -> Option<Arguments> {
    let mut parsed = Arguments {
        kills: LIFE,
        from: 0,
        plant: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--kills" => parsed.kills = value.parse().ok()?,
            "--from" => parsed.from = value.parse().ok()?,
            "--plant" if value == "early-reply" => parsed.plant = Some(value),
            _ => return None,
        }
    }
    Some(parsed)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("usage: crash [--kills N] [--from SEED] [--plant early-reply]");
        return ExitCode::from(2);
    };
    if !cfg!(feature = "crash-points") {
        eprintln!("this harness was built without the feature crash-points; run `cargo xtask crash`");
        return ExitCode::from(2);
    }
    let mut tally = Tally::default();
    if arguments.plant.is_none() {
        for place in unclear::PLACES {
            let told = tokio::spawn(unclear::die_at(place)).await.is_ok();
            tally.told(place, told);
        }
    }
    let mut market = None;
    for seed in arguments.from..arguments.from + arguments.kills {
        let (plant, former) = (arguments.plant.clone(), market.take());
        // In a task, so that a panic is one failure and not the end.
        let kill = tokio::spawn(one_kill(seed, former, plant));
        let Ok((survivor, report)) = kill.await else {
            tally.failed(seed, &["it panicked; see above".to_owned()]);
            continue;
        };
        if tally.count(seed, &report) {
            market = Some(survivor);
        } else {
            tally.close(&report.audit);
        }
        let old =
            (seed + 1 - arguments.from).is_multiple_of(LIFE) || seed + 1 == arguments.from + arguments.kills;
        if old && let Some(market) = market.take() {
            tally.end(seed, &tokio::spawn(market.close()).await.unwrap());
        }
    }
    tally.say()
}

/// One kill of this market, or of a new one.
async fn one_kill(seed: u64, market: Option<Market>, plant: Option<String>) -> (Market, tally::Kill) {
    let mut dice = Dice::new(seed);
    let plan = Plan::of(&mut dice);
    let mut market = match market {
        Some(market) => market,
        None => Market::found(&mut dice, plant.as_deref()).await,
    };
    let cycle = market.cycle(plan, &mut dice).await;
    let trades = market.traders.iter().map(|trader| trader.receipts.len()).sum();
    let refusals = market.traders.iter().map(|trader| trader.refusals).sum();
    let report = tally::Kill {
        plan,
        trades,
        refusals,
        ready: cycle.ready,
        unanswered: cycle.unanswered,
        paid: cycle.paid,
        missed: cycle.missed,
        audit: cycle.audit,
    };
    (market, report)
}
