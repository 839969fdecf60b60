//! Trials: an uploaded component on what was really decided, without a say in anything.

use super::Answer;
use super::policies::most;
use super::room::Changing;
use super::upload::take;
use crate::backtest::{self, Folder, Params, Source, Trial, page};
use crate::console::failed;
use crate::console::problem::Problem;
use crate::console::query::Query;
use crate::market::Market;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::HeaderMap;
use bourse_market::Nanos;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Hours of decisions that a trial reads where nothing else is said.
const HOURS: u64 = 24;
/// Hours that it may read: 30 days.
const MOST_HOURS: u64 = 720;
/// How long it may take. It runs beside the market, on one thread, and holds a snapshot of the ledger.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most that demand can be said to follow the price.
const ELASTICITY: f64 = 20.0;

/// What is to be tried.
struct Task {
    name: String,
    component: Bytes,
    from: Nanos,
    of: Vec<String>,
    elasticity: Option<f64>,
}

/// Ends a trial that nobody waits for any more.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Tries a component and reports.
pub(super) async fn run(
    Changing(room): Changing,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let query = Query::parse(query.as_deref(), &["hours", "of", "elasticity"])?;
    let hours = query.value::<u64>("hours")?.unwrap_or(HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Problem::bad(format!(
            "`hours` is {hours}: it may be 1 to {MOST_HOURS}"
        )));
    }
    let elasticity = query.value::<f64>("elasticity")?;
    if elasticity.is_some_and(|given| !(0.0..=ELASTICITY).contains(&given)) {
        return Err(Problem::bad(format!("`elasticity` may be 0 to {ELASTICITY}")));
    }
    let work = room.console.work()?;
    let task = Task {
        name: room.named("name")?.to_owned(),
        component: take(&headers, body, most(&room.market)).await?,
        from: Nanos(room.market.now().0.saturating_sub(hours * 3_600_000_000_000)),
        of: query.text("of").map(str::to_owned).into_iter().collect(),
        elasticity,
    };
    let market = Arc::clone(&room.market);
    let enough = GiveUp(Arc::default());
    let given_up = Arc::clone(&enough.0);
    let trial = tokio::task::spawn_blocking(move || {
        let _work = work;
        trial(&market, &task, given_up)
    });
    match tokio::time::timeout(PATIENCE, trial).await {
        Ok(report) => report.map_err(|_| failed())?.map(Json),
        Err(_) => Err(Problem::refused(format!(
            "the trial was not over after {} seconds: read fewer hours, or try it with `bourse policy backtest`, which may take its time",
            PATIENCE.as_secs()
        ))),
    }
}

fn trial(market: &Market, task: &Task, given_up: Arc<AtomicBool>) -> Result<Value, Problem> {
    let refused = |error: &dyn std::fmt::Display| Problem::refused(error.to_string());
    let engine = market.policies.library().engine();
    let new = engine
        .load(&task.name, &task.component)
        .map_err(|error| refused(&error))?;
    let log = market.policies.log();
    if let Some(log) = log {
        log.flush();
    }
    let folder = Folder::of_market(market.store.clone(), log.map(|log| log.folder()), given_up)
        .map_err(|error| refused(&error))?
        .between(task.from, Nanos(u64::MAX));
    let source = Source::Folder(folder);
    let trial = Trial {
        source: &source,
        new: &new,
        old: None,
        of: task.of.clone(),
        params: Params::default(),
        elasticity: task.elasticity,
        workers: 1,
    };
    let report = backtest::run(&trial, &mut |_, _| {}).map_err(|error| refused(&error))?;
    let html = page(&report);
    let report = serde_json::to_value(report).map_err(|_| failed())?;
    Ok(json!({ "report": report, "html": html }))
}
