//! How policies did since the host started, for those who look at them: calls by revision and hook, how they ended and how
//! long they took. In memory, and counted beside the figures for machines, which know no market.

use bourse_market::RevisionId;
use bourse_policy::{Hook, Output};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Revisions on hooks that are told apart. There are never as many at a time: what is forgotten is of earlier ones.
const REMEMBERED: usize = 256;
/// Nanoseconds of the finest step of time.
const STEP: u64 = 100;
/// Steps that a doubling of time is cut into: a percentile is exact to an eighth of itself.
const PARTS: u64 = 8;
/// Places for times: up to some seconds.
const PLACES: usize = 208;

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    beats: Mutex<HashMap<Of, Arc<Beat>>>,
    calls: AtomicU64,
}

/// Whose calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Of {
    revision: RevisionId,
    hook: Hook,
    shadow: bool,
}

/// What is counted of one revision on one hook.
#[derive(Debug)]
struct Beat {
    good: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    trips: AtomicU64,
    same: AtomicU64,
    different: AtomicU64,
    fuel: AtomicU64,
    times: [AtomicU64; PLACES],
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With an answer that lets things go on.
    Good,
    /// With a no.
    Refused,
    /// With none.
    Failed,
}

impl End {
    /// How a call ended that answered so.
    pub(super) fn of(output: &Output) -> Self {
        match output {
            Output::Refusal { .. } => Self::Refused,
            Output::Failure(_) => Self::Failed,
            Output::Price { .. } | Output::Admitted | Output::Shown { .. } | Output::Allowed => Self::Good,
        }
    }
}

/// What was counted, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// The revision: `0x` and 64 hex digits.
    pub(crate) revision: String,
    /// The hook.
    pub(crate) hook: Hook,
    /// It was asked as a shadow.
    pub(crate) shadow: bool,
    /// Calls.
    pub(crate) calls: u64,
    /// Those that it refused.
    pub(crate) refused: u64,
    /// Those that it failed.
    pub(crate) failed: u64,
    /// How often its breaker opened.
    pub(crate) trips: u64,
    /// Of a shadow: answers that were those of the revision in force.
    pub(crate) same: u64,
    /// Of a shadow: answers that were not.
    pub(crate) different: u64,
    /// Fuel of a call on average.
    pub(crate) fuel: u64,
    /// Microseconds that half of the calls stay within.
    pub(crate) p50_us: f64,
    /// Microseconds that 99 of a hundred stay within.
    pub(crate) p99_us: f64,
}

impl Pulse {
    /// A call of a revision ended.
    pub(super) fn called(&self, revision: RevisionId, hook: Hook, end: End, fuel: u64, took: Duration) {
        self.calls.fetch_add(1, Relaxed);
        self.beat(revision, hook, false).count(end, fuel, took);
    }

    /// The breaker of a revision opened.
    pub(super) fn tripped(&self, revision: RevisionId, hook: Hook) {
        self.beat(revision, hook, false).trips.fetch_add(1, Relaxed);
    }

    /// A shadow answered, like the revision in force or not.
    pub(super) fn shadowed(
        &self,
        revision: RevisionId,
        hook: Hook,
        end: End,
        same: bool,
        took: Duration,
        fuel: u64,
    ) {
        self.calls.fetch_add(1, Relaxed);
        let beat = self.beat(revision, hook, true);
        beat.count(end, fuel, took);
        let answers = if same { &beat.same } else { &beat.different };
        answers.fetch_add(1, Relaxed);
    }

    /// Calls of all policies.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// All that was counted, by revision.
    pub(crate) fn figures(&self) -> Vec<Figures> {
        let beats = self.beats.lock();
        let mut figures: Vec<_> = beats.iter().map(|(of, beat)| beat.figures(of)).collect();
        figures.sort_by(|one, other| {
            (&one.revision, one.hook.as_str(), one.shadow).cmp(&(
                &other.revision,
                other.hook.as_str(),
                other.shadow,
            ))
        });
        figures
    }

    fn beat(&self, revision: RevisionId, hook: Hook, shadow: bool) -> Arc<Beat> {
        let of = Of {
            revision,
            hook,
            shadow,
        };
        let mut beats = self.beats.lock();
        if beats.len() >= REMEMBERED && !beats.contains_key(&of) {
            beats.clear();
        }
        Arc::clone(beats.entry(of).or_default())
    }
}

impl Default for Beat {
    fn default() -> Self {
        Self {
            good: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            same: AtomicU64::new(0),
            different: AtomicU64::new(0),
            fuel: AtomicU64::new(0),
            times: [const { AtomicU64::new(0) }; PLACES],
        }
    }
}

impl Beat {
    fn count(&self, end: End, fuel: u64, took: Duration) {
        let ended = match end {
            End::Good => &self.good,
            End::Refused => &self.refused,
            End::Failed => &self.failed,
        };
        ended.fetch_add(1, Relaxed);
        self.fuel.fetch_add(fuel, Relaxed);
        if let Some(time) = self.times.get(place(took)) {
            time.fetch_add(1, Relaxed);
        }
    }

    fn figures(&self, of: &Of) -> Figures {
        let [good, refused, failed] =
            [&self.good, &self.refused, &self.failed].map(|count| count.load(Relaxed));
        let calls = good.saturating_add(refused).saturating_add(failed);
        let times: Vec<u64> = self.times.iter().map(|time| time.load(Relaxed)).collect();
        Figures {
            revision: of.revision.to_string(),
            hook: of.hook,
            shadow: of.shadow,
            calls,
            refused,
            failed,
            trips: self.trips.load(Relaxed),
            same: self.same.load(Relaxed),
            different: self.different.load(Relaxed),
            fuel: self.fuel.load(Relaxed).checked_div(calls).unwrap_or_default(),
            p50_us: within(&times, 50),
            p99_us: within(&times, 99),
        }
    }
}

/// Where a time is counted: single steps at first, then eight places for each doubling.
fn place(took: Duration) -> usize {
    let steps = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / STEP;
    let Some(above) = steps
        .checked_ilog2()
        .and_then(|power| power.checked_sub(PARTS.ilog2()))
    else {
        return usize::try_from(steps).unwrap_or_default();
    };
    let part = (steps >> above) - PARTS;
    let place = PARTS + u64::from(above) * PARTS + part;
    usize::try_from(place).unwrap_or(PLACES).min(PLACES - 1)
}

/// The time in microseconds that a place ends at.
fn end_of(place: usize) -> f64 {
    let place = place as u64;
    let steps = match place.checked_sub(PARTS) {
        None => place + 1,
        Some(beyond) => (PARTS + beyond % PARTS + 1) << (beyond / PARTS),
    };
    (steps * STEP) as f64 / 1000.0
}

/// The time in microseconds that `percent` of what is counted stay within.
fn within(times: &[u64], percent: u64) -> f64 {
    let all: u64 = times.iter().sum();
    let wanted = (all.saturating_mul(percent)).div_ceil(100);
    let mut seen = 0_u64;
    for (place, count) in times.iter().enumerate() {
        seen = seen.saturating_add(*count);
        if seen >= wanted && *count > 0 {
            return end_of(place);
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const REVISION: RevisionId = RevisionId([7; 32]);

    #[test]
    fn every_time_is_counted_in_a_place_that_ends_within_an_eighth_of_it() {
        let mut last = 0;
        for nanos in (0..200).map(|n| n * 50).chain((1..60).map(|n| n * 40_000_003)) {
            let found = place(Duration::from_nanos(nanos));
            assert!(found >= last, "{nanos}");
            last = found;
            let end = end_of(found) * 1000.0;
            let room = (nanos as f64 / 8.0).max(STEP as f64);
            assert!(
                end > nanos as f64 && end <= nanos as f64 + room + 1.0,
                "{nanos} {end}"
            );
        }
        assert_eq!(place(Duration::MAX), PLACES - 1);
    }

    #[test]
    fn percentiles_are_those_of_what_was_counted() {
        let pulse = Pulse::default();
        for micros in 1..=100 {
            pulse.called(
                REVISION,
                Hook::Pricing,
                End::Good,
                10,
                Duration::from_micros(micros),
            );
        }
        pulse.called(
            REVISION,
            Hook::Pricing,
            End::Failed,
            10,
            Duration::from_micros(50),
        );
        pulse.tripped(REVISION, Hook::Pricing);
        pulse.shadowed(REVISION, Hook::Pricing, End::Good, false, Duration::ZERO, 1);
        let figures = pulse.figures();
        assert_eq!((figures.len(), pulse.calls()), (2, 102));
        let own = &figures[0];
        assert_eq!((own.calls, own.failed, own.trips, own.fuel), (101, 1, 1, 10));
        assert!((50.0..=57.0).contains(&own.p50_us), "{}", own.p50_us);
        assert!((99.0..=113.0).contains(&own.p99_us), "{}", own.p99_us);
        assert_eq!(
            (figures[1].same, figures[1].different, figures[1].shadow),
            (0, 1, true)
        );
    }

    #[test]
    fn what_is_told_apart_is_bounded() {
        let pulse = Pulse::default();
        for number in 0..=REMEMBERED {
            let revision = RevisionId([u8::try_from(number % 256).unwrap(); 32]);
            let hook = if number < 256 { Hook::Pricing } else { Hook::Offers };
            pulse.called(revision, hook, End::Good, 0, Duration::ZERO);
        }
        assert_eq!(pulse.figures().len(), 1);
    }
}
