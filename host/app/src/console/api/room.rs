//! Who asks, and about which market: looked at before anything else is.

use crate::console::Console;
use crate::console::problem::Problem;
use crate::market::Market;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use std::sync::Arc;

/// A market that is asked about.
pub(super) struct Room {
    pub(super) console: Arc<Console>,
    pub(super) market: Arc<Market>,
    /// What the address names beside the realm.
    named: Vec<(String, String)>,
}

/// By somebody who may see what is in it.
pub(super) struct Reading(pub(super) Room);

/// By somebody who may change it.
pub(super) struct Changing(pub(super) Room);

impl Room {
    async fn of(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, &())
            .await
            .map_err(|error| Problem::bad(format!("the address is none: {error}")))?;
        let named: Vec<_> = params
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut room = Self {
            console: Arc::clone(console),
            market: console.market(word(&named, "realm")?)?,
            named,
        };
        room.named.retain(|(name, _)| name != "realm");
        Ok(room)
    }

    /// A part of the address.
    ///
    /// # Errors
    ///
    /// If it has no such part.
    pub(super) fn named(&self, name: &str) -> Result<&str, Problem> {
        word(&self.named, name)
    }
}

fn word<'n>(named: &'n [(String, String)], name: &str) -> Result<&'n str, Problem> {
    let found = named.iter().find(|(there, _)| there == name);
    found
        .map(|(_, value)| value.as_str())
        .ok_or_else(|| Problem::bad(format!("the address names no {name}")))
}

impl FromRequestParts<Arc<Console>> for Reading {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        console.guard.may_read(&parts.headers)?;
        Room::of(parts, console).await.map(Self)
    }
}

impl FromRequestParts<Arc<Console>> for Changing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Problem> {
        console.guard.may_change(&parts.headers)?;
        Room::of(parts, console).await.map(Self)
    }
}
