//! Who may take a place: how many connections there are, from where, and how fast new ones come. Nothing here reads a
//! byte; what it costs to refuse is a look into a map.
//!
//! Connections in their handshake and sessions have places of their own. When those of handshakes are all taken the
//! eldest gives way: an honest client needs a moment, one that is silent keeps its place until then, so that silence
//! cannot keep anybody out. Sessions are never displaced.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;

/// Sources remembered beyond those that have connections. Beyond that their rates are forgotten, not their connections.
const REMEMBERED: usize = 1 << 14;
/// How many seconds' worth of new connections may come at once.
const BURST_SECONDS: f64 = 5.0;
/// Between two lines in the log about refused connections.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Whose connections count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4([u8; 4]),
    /// The first 64 bits: whoever has one address of IPv6 has as many.
    V6([u8; 8]),
    /// All peers of unix sockets.
    Unix,
}

impl Source {
    pub(super) fn of(peer: Option<SocketAddr>) -> Self {
        match peer.map(|peer| peer.ip().to_canonical()) {
            None => Self::Unix,
            Some(IpAddr::V4(address)) => Self::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its source has as many as it may.
    TooMany,
    /// New ones come from its source faster than they may.
    TooFast,
}

/// The connections of a router, of all realms and from all listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// In their handshake at the moment.
    pub handshakes: usize,
    /// Joined at the moment.
    pub sessions: usize,
    /// Refused for their address, since the start.
    pub refused: u64,
    /// Ended in their handshake to make room for newer ones, since the start.
    pub displaced: u64,
}

/// The places of a router.
pub(super) struct Admission {
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct Bounds {
    sessions: usize,
    handshakes: usize,
    /// Connections of one source; none for as many as there are places.
    per_source: Option<u32>,
    /// New ones of one source in a second, and how many at once.
    rate: Option<f64>,
}

struct State {
    bounds: Bounds,
    sources: HashMap<Source, Account>,
    /// By the order of their coming, with what ends them.
    handshakes: BTreeMap<u64, CancellationToken>,
    coming: u64,
    sessions: usize,
    refused: u64,
    displaced: u64,
    logged: Option<Instant>,
}

/// What is known of a source.
struct Account {
    open: u32,
    /// Connections that may come at once.
    tokens: f64,
    at: Instant,
}

impl Account {
    fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            open: 0,
            tokens: bounds.burst(),
            at: now,
        }
    }

    fn refill(&mut self, bounds: Bounds, now: Instant) {
        if let Some(rate) = bounds.rate {
            let since = now.saturating_duration_since(self.at).as_secs_f64();
            self.tokens = (self.tokens + since * rate).min(bounds.burst());
        }
        self.at = now;
    }
}

impl Bounds {
    fn of(limits: &Limits) -> Self {
        Self {
            sessions: limits.sessions,
            handshakes: limits.handshakes.max(1),
            per_source: Some(limits.connections_per_address).filter(|most| *most > 0),
            rate: Some(limits.connection_rate)
                .filter(|rate| *rate > 0)
                .map(f64::from),
        }
    }

    /// What a source may open at once after a pause: when a router comes back, so do all the sessions of a machine.
    fn burst(self) -> f64 {
        self.rate.unwrap_or_default() * BURST_SECONDS
    }
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: Mutex::new(State {
                bounds: Bounds::of(limits),
                sources: HashMap::new(),
                handshakes: BTreeMap::new(),
                coming: 0,
                sessions: 0,
                refused: 0,
                displaced: 0,
                logged: None,
            }),
        }
    }

    /// Holds sources to other bounds from here on. Whoever has more than they allow keeps it; the places stay as many.
    pub(super) fn change(&self, limits: &Limits) {
        let mut state = self.state.lock();
        let State { bounds, sources, .. } = &mut *state;
        let unrated = bounds.rate.is_none();
        let Bounds { per_source, rate, .. } = Bounds::of(limits);
        *bounds = Bounds {
            per_source,
            rate,
            ..*bounds
        };
        if unrated {
            // Those that are known begin as everybody does.
            let burst = bounds.burst();
            sources.values_mut().for_each(|account| account.tokens = burst);
        }
    }

    /// Takes a place for a handshake, if the source may have one. To be called at every connection that comes.
    pub(super) fn admit(self: &Arc<Self>, source: Source, now: Instant) -> Result<Place, Refusal> {
        let mut state = self.state.lock();
        if let Err(refusal) = state.charge(source, now) {
            state.refused += 1;
            return Err(refusal);
        }
        if state.handshakes.len() >= state.bounds.handshakes
            && let Some((_, eldest)) = state.handshakes.pop_first()
        {
            eldest.cancel();
            state.displaced += 1;
        }
        let (number, displaced) = (state.coming, CancellationToken::new());
        state.coming += 1;
        state.handshakes.insert(number, displaced.clone());
        Ok(Place {
            admission: self.clone(),
            source,
            number,
            seated: AtomicBool::new(false),
            displaced,
        })
    }

    /// How many refused connections there are to be told of in the log, if it is time for that.
    pub(super) fn refusals_to_log(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let due = state
            .logged
            .is_none_or(|at| now.saturating_duration_since(at) >= LOG_INTERVAL);
        due.then(|| {
            state.logged = Some(now);
            state.refused
        })
    }

    pub(super) fn stats(&self) -> ConnectionStats {
        let state = self.state.lock();
        ConnectionStats {
            handshakes: state.handshakes.len(),
            sessions: state.sessions,
            refused: state.refused,
            displaced: state.displaced,
        }
    }
}

impl State {
    fn charge(&mut self, source: Source, now: Instant) -> Result<(), Refusal> {
        let bounds = self.bounds;
        if self.sources.len() >= REMEMBERED + bounds.sessions + bounds.handshakes
            && !self.sources.contains_key(&source)
        {
            // What costs something happens once in so many sources; that many cannot be held to a rate anyway.
            self.sources.retain(|_, account| account.open > 0);
        }
        let account = self
            .sources
            .entry(source)
            .or_insert_with(|| Account::new(bounds, now));
        if bounds.per_source.is_some_and(|most| account.open >= most) {
            return Err(Refusal::TooMany);
        }
        if bounds.rate.is_some() {
            account.refill(bounds, now);
            if account.tokens < 1.0 {
                return Err(Refusal::TooFast);
            }
            account.tokens -= 1.0;
        }
        account.open += 1;
        Ok(())
    }
}

/// What a connection holds while it lasts.
pub(super) struct Place {
    admission: Arc<Admission>,
    source: Source,
    /// Its number among the handshakes.
    number: u64,
    /// Whether it is one of a session by now.
    seated: AtomicBool,
    displaced: CancellationToken,
}

impl Place {
    /// Waits until a newer handshake takes the place of this one, which a session never sees.
    pub(super) async fn displaced(&self) {
        self.displaced.cancelled().await;
    }

    /// Gives the place of the handshake for one of a session. False if those are all taken, or it is too late.
    pub(super) fn seat(&self) -> bool {
        let mut state = self.admission.state.lock();
        if state.sessions >= state.bounds.sessions || state.handshakes.remove(&self.number).is_none() {
            return false;
        }
        state.sessions += 1;
        self.seated.store(true, Ordering::Relaxed);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        if self.seated.load(Ordering::Relaxed) {
            state.sessions = state.sessions.saturating_sub(1);
        } else {
            state.handshakes.remove(&self.number);
        }
        let unrated = state.bounds.rate.is_none();
        if let Some(account) = state.sources.get_mut(&self.source) {
            account.open = account.open.saturating_sub(1);
            // Without a rate there is nothing to remember.
            if account.open == 0 && unrated {
                state.sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(change: impl FnOnce(&mut Limits)) -> Arc<Admission> {
        let mut limits = Limits {
            connections_per_address: 0,
            connection_rate: 0,
            ..Limits::default()
        };
        change(&mut limits);
        Arc::new(Admission::new(&limits))
    }

    fn source(text: &str) -> Source {
        Source::of(Some(text.parse().unwrap()))
    }

    #[test]
    fn an_address_is_one_of_ipv4_or_64_bits_of_ipv6() {
        assert_eq!(source("10.0.0.1:1"), source("10.0.0.1:2"));
        assert_eq!(source("10.0.0.1:1"), source("[::ffff:10.0.0.1]:1"));
        assert_ne!(source("10.0.0.1:1"), source("10.0.0.2:1"));
        assert_eq!(source("[2001:db8::1]:1"), source("[2001:db8::ffff:1]:1"));
        assert_ne!(source("[2001:db8::1]:1"), source("[2001:db8:0:1::1]:1"));
    }

    #[test]
    fn a_source_has_so_many_connections_and_others_have_theirs() {
        let admission = admission(|limits| limits.connections_per_address = 2);
        let (one, other) = (source("10.0.0.1:1"), source("10.0.0.2:1"));
        let now = Instant::now();
        let first = admission.admit(one, now).unwrap();
        let second = admission.admit(one, now).unwrap();
        assert!(second.seat());
        assert_eq!(admission.admit(one, now).err(), Some(Refusal::TooMany));
        admission.admit(other, now).unwrap();
        drop(first);
        let third = admission.admit(one, now).unwrap();
        assert_eq!(admission.admit(one, now).err(), Some(Refusal::TooMany));
        drop((second, third));
        assert_eq!(admission.stats().refused, 2);
        assert_eq!(admission.stats().handshakes, 0);
        assert!(admission.state.lock().sources.is_empty());
    }

    #[test]
    fn a_source_opens_so_many_in_a_second_however_soon_it_drops_them() {
        let admission = admission(|limits| limits.connection_rate = 10);
        let one = source("10.0.0.1:1");
        let start = Instant::now();
        let opened = |now| std::iter::from_fn(|| admission.admit(one, now).ok()).count();
        assert_eq!(opened(start), 50);
        assert_eq!(admission.admit(one, start).err(), Some(Refusal::TooFast));
        assert_eq!(opened(start + Duration::from_millis(550)), 5);
        assert_eq!(opened(start + Duration::from_secs(60)), 50);
    }

    #[test]
    fn other_bounds_count_at_once_and_nobody_loses_what_it_has() {
        let admission = admission(|limits| limits.connections_per_address = 3);
        let (one, now) = (source("10.0.0.1:1"), Instant::now());
        let held: Vec<_> = (0..3).map(|_| admission.admit(one, now).unwrap()).collect();
        let mut limits = Limits {
            connections_per_address: 2,
            connection_rate: 0,
            ..Limits::default()
        };
        admission.change(&limits);
        assert!(held.iter().all(|place| place.seat()));
        assert_eq!(admission.admit(one, now).err(), Some(Refusal::TooMany));
        (limits.connections_per_address, limits.connection_rate) = (0, 10);
        admission.change(&limits);
        // Nothing was counted of it under no rate: it begins as everybody does.
        let opened = std::iter::from_fn(|| admission.admit(one, now).ok()).count();
        assert_eq!(opened, 50);
        assert_eq!(admission.admit(one, now).err(), Some(Refusal::TooFast));
    }

    #[test]
    fn silence_cannot_take_all_places() {
        let admission = admission(|limits| (limits.sessions, limits.handshakes) = (2, 3));
        let now = Instant::now();
        let admit = || admission.admit(Source::Unix, now).unwrap();
        let (one, two) = (admit(), admit());
        assert!(one.seat() && two.seat());
        let silent: Vec<_> = (0..3).map(|_| admit()).collect();
        let newcomer = admit();
        assert!(silent[0].displaced.is_cancelled());
        assert!(!silent[1].displaced.is_cancelled());
        assert!(!silent[0].seat(), "it is too late");
        assert!(!newcomer.seat(), "sessions are not displaced");
        drop(two);
        assert!(newcomer.seat());
        assert!(!one.displaced.is_cancelled());
        let stats = admission.stats();
        assert_eq!((stats.handshakes, stats.sessions, stats.displaced), (2, 2, 1));
        drop((one, newcomer, silent));
        let stats = admission.stats();
        assert_eq!((stats.handshakes, stats.sessions), (0, 0));
    }

    #[test]
    fn what_is_remembered_of_sources_is_bounded() {
        let admission = admission(|limits| {
            (limits.sessions, limits.handshakes, limits.connection_rate) = (10, 10, 1);
        });
        let now = Instant::now();
        let kept = admission.admit(source("10.0.0.1:1"), now).unwrap();
        for number in 0..200_000_u32 {
            let _ = admission.admit(Source::V4(number.to_be_bytes()), now);
        }
        let known = admission.state.lock().sources.len();
        assert!(known <= REMEMBERED + 20, "{known}");
        assert_eq!(admission.state.lock().sources[&source("10.0.0.1:1")].open, 1);
        drop(kept);
    }

    #[test]
    fn the_log_hears_of_refusals_once_a_second() {
        let admission = admission(|limits| limits.connections_per_address = 1);
        let start = Instant::now();
        let _place = admission.admit(Source::Unix, start).unwrap();
        for _ in 0..3 {
            assert!(admission.admit(Source::Unix, start).is_err());
        }
        assert_eq!(admission.refusals_to_log(start), Some(3));
        assert_eq!(admission.refusals_to_log(start), None);
        assert_eq!(admission.refusals_to_log(start + LOG_INTERVAL), Some(3));
    }
}
