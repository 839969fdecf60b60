//! HTTP: whether the market trades, and its figures.

use crate::market::{Market, Status};
use crate::policies;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::{Json, Router};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Serves `/healthz`, `/readyz` and `/metrics` until `stop`; returns the address it listens on. The first two say 200 while the
/// market trades, 503 before its ledger is recovered and from the moment that it stops; `/readyz` also while no client
/// reaches it, for want of a link to the router that it joined.
pub(crate) async fn serve(
    market: Arc<Market>,
    listen: SocketAddr,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let watched = Arc::clone(&market);
    let health = move || async move {
        let status = market.status();
        let code = if status == Status::Running {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (code, Json(serde_json::json!({ "status": status.name() })))
    };
    let ready = move || async move {
        let (status, trouble) = (watched.status(), watched.reach.trouble());
        let code = match (status, &trouble) {
            (Status::Running, None) => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut said = serde_json::json!({ "status": status.name() });
        if let (Some(trouble), Some(said)) = (trouble, said.as_object_mut()) {
            said.insert("degraded".to_owned(), trouble.why.into());
            said.insert("degraded_since".to_owned(), trouble.since.0.into());
        }
        (code, Json(said))
    };
    let figures = policies::serve_figures().map_err(std::io::Error::other)?;
    let metrics = move || async move {
        const PROMETHEUS: &str = "text/plain; version=0.0.4";
        ([(CONTENT_TYPE, PROMETHEUS)], figures.render())
    };
    let app = Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
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
