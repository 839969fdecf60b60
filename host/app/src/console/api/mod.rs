//! What the page asks: each question is let in, read off the market, and answered in JSON.
//!
//! Identifiers are `0x` and hex digits, times nanoseconds since 1970 and amounts base units, both as decimal digits in quotes:
//! no number of JavaScript holds them.

mod channels;
mod market;
mod offers;
mod policies;
mod refusals;
mod room;
mod sales;
mod trial;
mod upload;
mod why;
mod words;

use super::problem::Problem;
use super::{Console, assets, live};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use bourse_market::{Amount, Nanos};
use room::Reading;
use serde_json::{Value, json};
use std::sync::Arc;

/// An answer, or why there is none.
type Answer = Result<Json<Value>, Problem>;

/// Where everything is asked.
pub(super) fn routes(console: &Arc<Console>) -> Router {
    let of_market = Router::new()
        .route("/overview", get(market::overview))
        .route("/sales", get(sales::list))
        .route("/prices", get(sales::prices))
        .route("/offers", get(offers::list))
        .route("/channels", get(channels::list))
        .route("/accounts", get(channels::accounts))
        .route("/refusals", get(refusals::list))
        .route("/policies", get(policies::list))
        .route("/policies/{name}/{change}", post(policies::change))
        .route("/trial/{name}", post(trial::run))
        .route("/why/{id}", get(why::explain))
        .route("/replay/{id}", post(why::replay))
        .route("/live", get(news));
    let api = Router::new()
        .route("/session", get(market::session))
        .nest("/m/{realm}", of_market)
        .fallback(nothing)
        .layer(middleware::map_response(closed));
    Router::new()
        .nest("/console/api", api)
        .with_state(Arc::clone(console))
}

async fn news(Reading(room): Reading) -> Result<Response, Problem> {
    live::watch(&room.console.pages, &room.market, room.console.stop.clone())
}

async fn nothing() -> Problem {
    Problem::unknown("the console has no such question")
}

/// No cache keeps an answer, and no other page may use it.
async fn closed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    assets::harden(headers);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A moment, exact to the nanosecond.
fn at(at: Nanos) -> Value {
    Value::String(at.0.to_string())
}

/// Base units.
fn units(amount: Amount) -> Value {
    // Digits in quotes, which nothing can be wrong with.
    json!(amount)
}

/// An identifier, or anything else that is shown as it is written.
fn text(shown: impl std::fmt::Display) -> Value {
    Value::String(shown.to_string())
}

/// A value or null.
fn opt<T>(value: Option<T>, spell: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, spell)
}
