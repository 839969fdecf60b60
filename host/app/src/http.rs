//! HTTP: whether the markets of this process trade, and their figures.

use crate::console::{self, Console, Operator};
use crate::figures::{self, Page};
use crate::market::{Market, Status};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use bourse_wamp::Router as WampRouter;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use tokio_util::sync::CancellationToken;

/// The markets of this process, by their realms.
pub(crate) struct Board {
    markets: Mutex<Vec<Entry>>,
    /// None where they meet their clients at another's.
    router: Option<WampRouter>,
}

struct Entry {
    realm: String,
    /// None before its ledger is open.
    market: Option<Weak<Market>>,
    /// What its start is at.
    step: Step,
}

/// A step of a market's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its ledger is opened, converted where it is of an earlier schema; on a chain its contracts are looked at.
    Ledger,
    /// Its policies are loaded.
    Policies,
    /// What a former process left under way is resolved.
    Recovery,
    /// Its procedures are registered, at another's router as soon as that is there.
    Procedures,
}

impl Step {
    /// The word for it.
    fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Policies => "policies",
            Self::Recovery => "recovery",
            Self::Procedures => "procedures",
        }
    }
}

/// What is asked of the markets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Whether they trade.
    Health,
    /// Whether clients can have them trade.
    Readiness,
}

impl Board {
    /// One on which no market stands yet.
    pub(crate) fn new(realms: impl Iterator<Item = String>, router: Option<WampRouter>) -> Arc<Self> {
        let entry = |realm| Entry {
            realm,
            market: None,
            step: Step::Ledger,
        };
        let markets = Mutex::new(realms.map(entry).collect());
        Arc::new(Self { markets, router })
    }

    /// A market's ledger is open.
    pub(crate) fn enter(&self, realm: &str, market: &Arc<Market>) {
        self.change(realm, |entry| entry.market = Some(Arc::downgrade(market)));
    }

    /// A market's start is at this step.
    pub(crate) fn reach(&self, realm: &str, step: Step) {
        self.change(realm, |entry| entry.step = step);
    }

    fn change(&self, realm: &str, change: impl FnOnce(&mut Entry)) {
        let mut markets = self.markets.lock();
        if let Some(entry) = markets.iter_mut().find(|entry| entry.realm == realm) {
            change(entry);
        }
    }

    /// The realms in their order, and the market of each that there is by now.
    pub(crate) fn all(&self) -> Vec<(String, Option<Arc<Market>>)> {
        let markets = self.markets.lock();
        let found = markets.iter().map(|entry| (entry.realm.clone(), entry.market()));
        found.collect()
    }

    /// The market of a realm, if it is there by now; none at all if there is no such realm.
    pub(crate) fn market(&self, realm: &str) -> Option<Option<Arc<Market>>> {
        let markets = self.markets.lock();
        let found = markets.iter().find(|entry| entry.realm == realm);
        found.map(Entry::market)
    }

    /// What the market's own router turned away since the start: calls, publications and the like, then connections of all
    /// realms. None where it has no router of its own.
    pub(crate) fn turned_away(&self, realm: &str) -> Option<(u64, u64)> {
        let router = self.router.as_ref()?;
        let (stats, connections) = (router.realm(realm)?.stats(), router.connections());
        let asked = stats
            .over_rate
            .saturating_add(stats.dropped_slow)
            .saturating_add(stats.violations);
        Some((asked, connections.refused.saturating_add(connections.displaced)))
    }

    /// The figures of all of them, as Prometheus reads them. Reads the ledgers: for a thread that may block.
    fn figures(&self) -> String {
        let mut page = Page::default();
        figures::sample_process(&mut page);
        if let Some(router) = &self.router {
            figures::sample_connections(&mut page, &router.connections());
        }
        for (realm, ready, market) in self.listed() {
            page.flag(&figures::READY, &[&realm], ready);
            let Some(market) = market else { continue };
            let router = self.router.as_ref().and_then(|router| router.realm(&realm));
            let stats = router.map(|realm| realm.stats());
            if let Err(error) = figures::sample(&mut page, &realm, &market, stats.as_ref()) {
                tracing::error!(realm, %error, "some figures are missing: the ledger could not be read");
            }
        }
        page.render() + &figures::counted()
    }

    /// Each realm, whether its market is ready, and that if it is there.
    fn listed(&self) -> Vec<(String, bool, Option<Arc<Market>>)> {
        let markets = self.markets.lock();
        let listed = markets.iter().map(|entry| {
            let (ready, _) = entry.answer(Asked::Readiness);
            let market = entry.market.as_ref().and_then(Weak::upgrade);
            (entry.realm.clone(), ready, market)
        });
        listed.collect()
    }

    /// What is so of all of them together: it is well only if it is with each.
    fn answer(&self, asked: Asked) -> (StatusCode, Json<Value>) {
        let markets = self.markets.lock();
        let mut said: Vec<_> = markets
            .iter()
            .map(|entry| (&entry.realm, entry.answer(asked)))
            .collect();
        let well = said.iter().all(|(_, (well, _))| *well);
        let code = match well {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        if said.len() == 1
            && let Some((_, (_, alone))) = said.pop()
        {
            return (code, Json(alone));
        }
        let worst = said.iter().find(|(_, (well, _))| !well).or(said.first());
        let status = worst.and_then(|(_, (_, said))| said.get("status").cloned());
        let markets: Map<_, _> = said
            .into_iter()
            .map(|(realm, (_, said))| (realm.clone(), said))
            .collect();
        (code, Json(json!({ "status": status, "markets": markets })))
    }
}

/// Whether clients can trade in a market.
pub(crate) fn is_ready(market: &Market) -> bool {
    market.status() == Status::Running && market.reach.trouble().is_none()
}

impl Entry {
    fn market(&self) -> Option<Arc<Market>> {
        self.market.as_ref().and_then(Weak::upgrade)
    }

    fn answer(&self, asked: Asked) -> (bool, Value) {
        let market = self.market.as_ref().map(Weak::upgrade);
        let (status, trouble) = match market {
            None => (Status::None, None),
            Some(None) => (Status::Stopped, None),
            Some(Some(market)) => (market.status(), market.reach.trouble()),
        };
        let trouble = trouble.filter(|_| asked == Asked::Readiness);
        let well = status == Status::Running && trouble.is_none();
        let mut said = Map::new();
        said.insert("status".to_owned(), status.name().into());
        if status == Status::None {
            said.insert("waits_for".to_owned(), self.step.name().into());
        }
        if let Some(trouble) = trouble {
            said.insert("waits_for".to_owned(), "router".into());
            said.insert("degraded".to_owned(), trouble.why.into());
            said.insert("degraded_since".to_owned(), trouble.since.0.into());
        }
        (well, Value::Object(said))
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` until `stop`; returns the address it listens on. The first two say 200 while every
/// market trades, 503 before their policies are loaded and their ledgers recovered, with the step that is waited for, and from
/// the moment that one stops; `/readyz` also while no client reaches one, for want of a link to the router that it joined.
/// Whatever else is asked is for the console.
pub(crate) async fn serve(
    board: Arc<Board>,
    listen: SocketAddr,
    operator: Option<Operator>,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let console = Console::new(Arc::clone(&board), operator, address, stop.clone());
    let watched = Arc::clone(&board);
    let health = move || async move { watched.answer(Asked::Health) };
    let asked = Arc::clone(&board);
    let ready = move || async move { asked.answer(Asked::Readiness) };
    let metrics = move || async move { show_figures(board).await };
    let app = Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(console::routes(&console));
    tokio::spawn(async move {
        let served = axum::serve(listener, app)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the HTTP listener ended");
        }
    });
    Ok(address)
}

/// The page of figures.
async fn show_figures(board: Arc<Board>) -> impl IntoResponse {
    const PROMETHEUS: &str = "text/plain; version=0.0.4";
    let page = tokio::task::spawn_blocking(move || board.figures()).await;
    match page {
        Ok(page) => (StatusCode::OK, [(CONTENT_TYPE, PROMETHEUS)], page),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(CONTENT_TYPE, PROMETHEUS)],
            String::new(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_a_start_is_named_until_the_market_trades() {
        let board = Board::new(["corn", "salt"].map(str::to_owned).into_iter(), None);
        for step in [Step::Policies, Step::Recovery, Step::Procedures] {
            board.reach("salt", step);
            for asked in [Asked::Health, Asked::Readiness] {
                let (code, Json(said)) = board.answer(asked);
                assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
                assert_eq!(said["markets"]["corn"]["waits_for"], "ledger");
                assert_eq!(said["markets"]["salt"]["waits_for"], step.name());
            }
        }
    }
}
