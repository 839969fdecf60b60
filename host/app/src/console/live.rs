//! News while they happen: server-sent events that say how much there is of what, so that a page asks for what it shows.
//!
//! A page is told numbers, not records, and is asked whether it can take more before anything is put together: however much a
//! market trades and however slow a page is, nothing waits for it in memory. One that takes nothing for a while loses its
//! place as soon as another page wants it.

use super::problem::Problem;
use crate::market::Market;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Pages that watch at a time.
const PAGES: usize = 16;
/// Between two looks at what is new.
const EVERY: Duration = Duration::from_millis(500);
/// Looks without news after which a page hears that there is nothing: 15 seconds.
const QUIET: u32 = 30;
/// A page that took nothing for so long may lose its place.
const GONE: Duration = Duration::from_secs(45);

/// Who watches.
#[derive(Clone, Default)]
pub(super) struct Pages {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    next: u64,
    /// When each page took something last.
    pages: HashMap<u64, Instant>,
}

/// A page's place, until it goes.
struct Seat {
    pages: Pages,
    number: u64,
}

impl Pages {
    fn enter(&self, now: Instant) -> Result<Seat, Problem> {
        let mut seen = self.seen.lock();
        if seen.pages.len() >= PAGES {
            seen.pages.retain(|_, last| now.duration_since(*last) < GONE);
        }
        if seen.pages.len() >= PAGES {
            return Err(Problem::busy(format!(
                "{PAGES} pages watch this host live, and there may be no more: close one, or load this one anew now and then"
            )));
        }
        let number = seen.next;
        seen.next = number.wrapping_add(1);
        seen.pages.insert(number, now);
        let pages = self.clone();
        Ok(Seat { pages, number })
    }
}

impl Seat {
    /// The page takes something. False if it took nothing for so long that another has its place.
    fn keep(&self, now: Instant) -> bool {
        let mut seen = self.pages.seen.lock();
        seen.pages.get_mut(&self.number).is_some_and(|last| {
            *last = now;
            true
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pages.seen.lock().pages.remove(&self.number);
    }
}

/// What one page was told, and what it is to be told next.
struct Watch {
    seat: Seat,
    market: Weak<Market>,
    stop: CancellationToken,
    told: Option<Value>,
    quiet: u32,
}

/// Tells a page of a market's news until either is gone.
///
/// # Errors
///
/// If there are too many pages.
pub(super) fn watch(
    pages: &Pages,
    market: &Arc<Market>,
    stop: CancellationToken,
) -> Result<Response, Problem> {
    let watch = Watch {
        seat: pages.enter(Instant::now())?,
        market: Arc::downgrade(market),
        stop,
        told: None,
        quiet: 0,
    };
    let events = stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), watch))
    });
    let mut response = Body::from_stream(events).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Watch {
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.told.is_some() {
                tokio::select! {
                    () = self.stop.cancelled() => return None,
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
            if self.stop.is_cancelled() || !self.seat.keep(Instant::now()) {
                return None;
            }
            let news = news(&*self.market.upgrade()?)?;
            if self.told.as_ref() != Some(&news) {
                let event = format!("event: news\ndata: {news}\n\n");
                self.told = Some(news);
                self.quiet = 0;
                return Some(event);
            }
            self.quiet = self.quiet.saturating_add(1);
            if self.quiet >= QUIET {
                self.quiet = 0;
                return Some(": nothing new\n\n".to_owned());
            }
        }
    }
}

/// How much there is of what; each number is one that the ledger and the library have at hand.
fn news(market: &Market) -> Option<Value> {
    let ledger = market.store.read().ok()?;
    let counts = ledger.counts().ok()?;
    let (quotes, refusals) = market.feed.counts();
    Some(json!({
        "status": market.status().name(),
        "sales": counts.posted,
        "offers": counts.offers,
        "channels": counts.channels,
        "suspended": counts.suspended_channels,
        "quarantined": counts.quarantined_channels,
        "quotes": quotes,
        "refusals": refusals,
        "calls": market.policies.pulse().calls(),
        "policies": revisions(market),
        "block": market.course.progress().followed,
        "link": market.reach.trouble().is_none(),
    }))
}

/// The revisions in force, in a form that changes with them.
fn revisions(market: &Market) -> String {
    let library = market.policies.library();
    let names = library.names().into_iter();
    let revisions = names.filter_map(|name| {
        let entry = library.get(&name)?;
        let shadow = entry.shadow.as_ref().map(|shadow| short(&shadow.id().0));
        Some(format!(
            "{}{}",
            short(&entry.revision.id().0),
            shadow.unwrap_or_default()
        ))
    });
    revisions.collect::<Vec<_>>().join(" ")
}

fn short(hash: &[u8; 32]) -> String {
    hex::encode(hash.get(..4).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_takes_nothing_loses_its_place_when_another_wants_it() {
        let pages = Pages::default();
        let start = Instant::now();
        let mut seats: Vec<_> = (0..PAGES).map(|_| pages.enter(start).unwrap()).collect();
        assert!(pages.enter(start).is_err());
        let later = start + GONE + Duration::from_secs(1);
        assert!(seats.iter().skip(1).all(|seat| seat.keep(later)));
        let newcomer = pages.enter(later).unwrap();
        assert!(!seats[0].keep(later) && newcomer.keep(later));
        assert!(pages.enter(later).is_err());
        seats.pop();
        assert!(pages.enter(later).is_ok());
    }
}
