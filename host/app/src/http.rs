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

/// Serves `/healthz`, `/readyz` and `/metrics` until `stop`; returns the address it listens on. The first two say the same:
/// 200 while the market trades, 503 before its ledger is recovered and from the moment that it stops.
pub(crate) async fn serve(
    market: Arc<Market>,
    listen: SocketAddr,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let health = move || async move {
        let status = market.status();
        let code = if status == Status::Running {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (code, Json(serde_json::json!({ "status": status.name() })))
    };
    let figures = policies::serve_figures().map_err(std::io::Error::other)?;
    let metrics = move || async move {
        const PROMETHEUS: &str = "text/plain; version=0.0.4";
        ([(CONTENT_TYPE, PROMETHEUS)], figures.render())
    };
    let app = Router::new()
        .route("/healthz", get(health.clone()))
        .route("/readyz", get(health))
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
