//! The circuit breaker of a revision: after repeated failures it is not asked again for a while.
//!
//! A policy that fails each time costs fuel and patience and answers nothing. Its breaker opens after a number of
//! failures in a row, stays open for a time, then lets a single call through. That call decides: success closes the
//! breaker, failure opens it again. A refusal is an answer, never a failure.
//!
//! The clock is the caller's. While a breaker is closed and nothing fails, asking it costs two atomic reads.

use crate::failure::Failure;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use core::time::Duration;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row that open it; 0 never does.
    pub failures: u32,
    /// How long it stays open before a call may probe again; a day at most.
    pub pause: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Duration::from_secs(10),
        }
    }
}

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Lets them through.
    Closed,
    /// Turns them away.
    Open,
    /// Lets one through, or waits for that one's outcome.
    HalfOpen,
}

/// A call was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy failed {failures} times in a row and is left alone for {} ms more", retry.as_millis())]
pub struct Open {
    /// Failures in a row that opened the breaker.
    pub failures: u32,
    /// Time until a call may probe; zero while a probe is under way.
    pub retry: Duration,
}

impl From<Open> for Failure {
    fn from(open: Open) -> Self {
        Self::BreakerOpen {
            failures: open.failures,
            retry_ms: u64::try_from(open.retry.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A failure opened the breaker: worth a log line and a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tripped {
    /// Failures in a row.
    pub failures: u32,
    /// Milliseconds for which it is open.
    pub pause_ms: u64,
}

/// The breaker of one revision. Clones share it.
#[derive(Debug, Clone)]
pub struct Breaker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: BreakerOptions,
    // Written only under the lock of `slow`; read without it on the way of every call.
    state: AtomicU8,
    // Failures in a row. Calls on several threads interleave, so "in a row" is in the order of their ends.
    failures: AtomicU32,
    slow: Mutex<Slow>,
}

#[derive(Debug, Default)]
struct Slow {
    until: Option<Instant>,
    probing: bool,
}

const CLOSED: u8 = 0;
const OPEN: u8 = 1;

impl Inner {
    // Nothing in here panics while it holds the lock, and each state is whole: a poisoned lock says nothing.
    fn slow(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, slow: &mut Slow, now: Instant) -> Tripped {
        slow.until = Some(now + self.options.pause);
        slow.probing = false;
        self.state.store(OPEN, Ordering::Release);
        Tripped {
            failures: self.failures.load(Ordering::Relaxed),
            pause_ms: u64::try_from(self.options.pause.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Breaker {
    /// A closed breaker.
    pub fn new(options: BreakerOptions) -> Self {
        let options = BreakerOptions {
            // No clock overflows by a day.
            pause: options.pause.min(Duration::from_hours(24)),
            ..options
        };
        Self {
            inner: Arc::new(Inner {
                options,
                state: AtomicU8::new(CLOSED),
                failures: AtomicU32::new(0),
                slow: Mutex::new(Slow::default()),
            }),
        }
    }

    /// Whether a call may be made at `now`. The permit wants to hear how it went; one that is dropped without a word
    /// counts as a call that was never made.
    ///
    /// # Errors
    ///
    /// [`Open`] if the breaker turns the call away.
    pub fn admit(&self, now: Instant) -> Result<Permit, Open> {
        let permit = |probe| Permit {
            inner: Arc::clone(&self.inner),
            probe,
            told: false,
        };
        if self.inner.state.load(Ordering::Acquire) == CLOSED {
            return Ok(permit(false));
        }
        let mut slow = self.inner.slow();
        let Some(until) = slow.until else {
            // Closed between the look and the lock.
            return Ok(permit(false));
        };
        let retry = until.saturating_duration_since(now);
        if slow.probing || !retry.is_zero() {
            return Err(Open {
                failures: self.inner.failures.load(Ordering::Relaxed),
                retry,
            });
        }
        slow.probing = true;
        Ok(permit(true))
    }

    /// What it would do with a call at `now`.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.inner.slow().until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Failures in a row by now.
    pub fn failures(&self) -> u32 {
        self.inner.failures.load(Ordering::Relaxed)
    }
}

/// The right to one call.
#[derive(Debug)]
#[must_use = "tell the permit how the call went"]
pub struct Permit {
    inner: Arc<Inner>,
    probe: bool,
    told: bool,
}

impl Permit {
    /// Says how the call went that ended at `now`; see [`Failure::trips`] for what counts as failed. Answers whether
    /// that opened the breaker.
    pub fn record(mut self, now: Instant, failed: bool) -> Option<Tripped> {
        self.told = true;
        let inner = &self.inner;
        if self.probe {
            let mut slow = inner.slow();
            if failed {
                inner.failures.fetch_add(1, Ordering::Relaxed);
                return Some(inner.open(&mut slow, now));
            }
            *slow = Slow::default();
            inner.failures.store(0, Ordering::Relaxed);
            inner.state.store(CLOSED, Ordering::Release);
            return None;
        }
        // A call that began before the breaker opened says nothing about the policy now: only the probe decides.
        if inner.state.load(Ordering::Acquire) != CLOSED {
            return None;
        }
        if !failed {
            if inner.failures.load(Ordering::Relaxed) != 0 {
                inner.failures.store(0, Ordering::Relaxed);
            }
            return None;
        }
        let failures = inner.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if inner.options.failures == 0 || failures < inner.options.failures {
            return None;
        }
        let mut slow = inner.slow();
        // Several calls may fail at once; the first opens it.
        if slow.until.is_some() {
            return None;
        }
        Some(inner.open(&mut slow, now))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe && !self.told {
            // The probe came to nothing, by a panic or a purchase that ended early: the next call probes.
            self.inner.slow().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn breaker() -> (Breaker, Instant) {
        let options = BreakerOptions {
            failures: 3,
            pause: PAUSE,
        };
        (Breaker::new(options), Instant::now())
    }

    fn call(breaker: &Breaker, now: Instant, failed: bool) -> Option<Tripped> {
        breaker.admit(now).unwrap().record(now, failed)
    }

    fn trip(breaker: &Breaker, now: Instant) {
        assert_eq!(call(breaker, now, true), None);
        assert_eq!(call(breaker, now, true), None);
        let tripped = call(breaker, now, true).unwrap();
        assert_eq!((tripped.failures, tripped.pause_ms), (3, 10_000));
    }

    #[test]
    fn failures_in_a_row_open_it_and_it_says_so_once() {
        let (breaker, now) = breaker();
        let straggler = breaker.admit(now).unwrap();
        trip(&breaker, now);
        assert_eq!(breaker.state(now), BreakerState::Open);
        assert_eq!(straggler.record(now, true), None);
        let open = breaker.admit(now + PAUSE / 2).unwrap_err();
        assert_eq!((open.failures, open.retry), (3, PAUSE / 2));
        let failure = Failure::from(open);
        assert_eq!(failure.code(), "breaker_open");
        assert!(failure.to_string().contains("3 times in a row"), "{failure}");
    }

    #[test]
    fn a_success_starts_the_count_again() {
        let (breaker, now) = breaker();
        for _ in 0..20 {
            assert_eq!(call(&breaker, now, true), None);
            assert_eq!(call(&breaker, now, true), None);
            assert_eq!(call(&breaker, now, false), None);
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
    }

    #[test]
    fn half_open_lets_one_call_probe_and_its_success_closes() {
        let (breaker, now) = breaker();
        trip(&breaker, now);
        let later = now + PAUSE;
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        let probe = breaker.admit(later).unwrap();
        assert_eq!(breaker.admit(later).unwrap_err().retry, Duration::ZERO);
        assert_eq!(probe.record(later, false), None);
        assert_eq!(breaker.state(later), BreakerState::Closed);
        assert_eq!(breaker.failures(), 0);
        trip(&breaker, later);
    }

    #[test]
    fn a_failed_probe_opens_it_for_another_pause() {
        let (breaker, now) = breaker();
        trip(&breaker, now);
        let later = now + PAUSE;
        let tripped = call(&breaker, later, true).unwrap();
        assert_eq!(tripped.failures, 4);
        assert_eq!(breaker.admit(later + PAUSE / 2).unwrap_err().retry, PAUSE / 2);
        assert!(breaker.admit(later + PAUSE).is_ok());
    }

    #[test]
    fn a_probe_without_an_outcome_leaves_the_way_to_the_next() {
        let (breaker, now) = breaker();
        trip(&breaker, now);
        let later = now + PAUSE;
        drop(breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn a_late_success_of_an_earlier_call_does_not_close_it() {
        let (breaker, now) = breaker();
        let early = breaker.admit(now).unwrap();
        trip(&breaker, now);
        assert_eq!(early.record(now, false), None);
        assert_eq!(breaker.state(now), BreakerState::Open);
        assert_eq!(breaker.failures(), 3);
    }

    #[test]
    fn zero_failures_never_open_it() {
        let breaker = Breaker::new(BreakerOptions {
            failures: 0,
            pause: PAUSE,
        });
        let now = Instant::now();
        for _ in 0..1000 {
            assert_eq!(call(&breaker, now, true), None);
        }
    }

    #[test]
    fn of_many_threads_that_fail_at_once_one_opens_it() {
        let (breaker, now) = breaker();
        let permits: Vec<Permit> = (0..16).map(|_| breaker.admit(now).unwrap()).collect();
        let tripped: Vec<Tripped> = std::thread::scope(|scope| {
            let threads: Vec<_> = permits
                .into_iter()
                .map(|permit| scope.spawn(move || permit.record(now, true)))
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(tripped.len(), 1);
    }
}
