//! HTTP: whether the markets of this process trade, and their figures.

use crate::console::{self, Console, Operator};
use crate::market::{Market, Status};
use crate::policies;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use tokio_util::sync::CancellationToken;

/// The markets of this process, by their realms.
pub(crate) struct Board {
    markets: Mutex<Vec<Entry>>,
}

struct Entry {
    realm: String,
    /// None before its ledger is open.
    market: Option<Weak<Market>>,
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
    pub(crate) fn new(realms: impl Iterator<Item = String>) -> Arc<Self> {
        let entry = |realm| Entry { realm, market: None };
        let markets = Mutex::new(realms.map(entry).collect());
        Arc::new(Self { markets })
    }

    /// A market's ledger is open.
    pub(crate) fn enter(&self, realm: &str, market: &Arc<Market>) {
        let mut markets = self.markets.lock();
        if let Some(entry) = markets.iter_mut().find(|entry| entry.realm == realm) {
            entry.market = Some(Arc::downgrade(market));
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
        let mut said = json!({ "status": status.name() });
        if let (Some(trouble), Some(said)) = (trouble, said.as_object_mut()) {
            said.insert("degraded".to_owned(), trouble.why.into());
            said.insert("degraded_since".to_owned(), trouble.since.0.into());
        }
        (well, said)
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` until `stop`; returns the address it listens on. The first two say 200 while every
/// market trades, 503 before their ledgers are recovered and from the moment that one stops; `/readyz` also while no client
/// reaches one, for want of a link to the router that it joined. Whatever else is asked is for the console.
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
    let ready = move || async move { board.answer(Asked::Readiness) };
    let figures = policies::serve_figures().map_err(std::io::Error::other)?;
    let metrics = move || async move {
        const PROMETHEUS: &str = "text/plain; version=0.0.4";
        ([(CONTENT_TYPE, PROMETHEUS)], figures.render())
    };
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
