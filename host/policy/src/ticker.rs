//! The thread that moves the epoch, at which running guests stop for a look at the clock. It sleeps while none runs.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};

/// Length of an epoch. A tick of 1 ms would cost 1.5 % of a core; this is a backstop behind the fuel.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Ticks without a call after which the ticker sleeps: a second, so that the calls of a market in use find it awake.
const QUIET: u32 = 100;

/// Ticks, while calls run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    calls: Arc<Calls>,
    thread: Option<JoinHandle<()>>,
}

/// A call that needs the ticks, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    calls: Arc<Calls>,
}

/// What the ticker knows of the calls, and they of it.
///
/// A call counts itself and then looks whether the ticker sleeps; the ticker says that it sleeps and then looks at the
/// count. In the one order of all these steps at least one of the two sees the other, so that no call runs unwatched.
#[derive(Debug, Default)]
struct Calls {
    begun: AtomicU64,
    ended: AtomicU64,
    asleep: AtomicBool,
    stopped: AtomicBool,
    /// Set by the ticker before it first sleeps.
    ticker: OnceLock<Thread>,
}

impl Ticker {
    pub(crate) fn start(tick: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let calls = Arc::new(Calls::default());
        let theirs = Arc::clone(&calls);
        let thread = thread::Builder::new()
            .name("policy-ticker".to_owned())
            .spawn(move || theirs.watch(tick))?;
        Ok(Self {
            calls,
            thread: Some(thread),
        })
    }

    /// A call begins.
    pub(crate) fn running(&self) -> Running {
        let calls = Arc::clone(&self.calls);
        calls.begun.fetch_add(1, Ordering::SeqCst);
        if calls.asleep.load(Ordering::SeqCst)
            && let Some(ticker) = calls.ticker.get()
        {
            ticker.unpark();
        }
        Running { calls }
    }
}

#[cfg(test)]
impl Running {
    /// One that nobody ticks for.
    pub(crate) fn alone() -> Self {
        Self {
            calls: Arc::default(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.calls.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Calls {
    /// Ticks until it is stopped.
    fn watch(&self, tick: impl Fn()) {
        self.ticker.get_or_init(thread::current);
        let mut seen = 0;
        let mut quiet = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            // Either wait may end early, by a call that found the ticker about to sleep: a short tick harms nobody.
            if quiet < QUIET {
                thread::park_timeout(TICK);
                tick();
            } else {
                self.asleep.store(true, Ordering::SeqCst);
                if self.none_since(seen) && !self.stopped.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
            }
            if self.none_since(seen) {
                quiet += 1;
            } else {
                quiet = 0;
                seen = self.begun.load(Ordering::SeqCst);
            }
        }
    }

    /// Whether no call is under way, nor has begun since `seen` had.
    fn none_since(&self, seen: u64) -> bool {
        // A call begins before it ends: read in the other order, one that does both in between looks under way.
        let ended = self.ended.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        begun == seen && ended == begun
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.calls.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panicked ticker has nothing left to clean up.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(60);

    struct Counted {
        ticker: Ticker,
        ticks: Arc<AtomicU64>,
    }

    impl Counted {
        fn start() -> Self {
            let ticks = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&ticks);
            let ticker = Ticker::start(move || {
                counter.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
            Self { ticker, ticks }
        }

        fn ticks(&self) -> u64 {
            self.ticks.load(Ordering::SeqCst)
        }

        fn wait_for(&self, what: &str, holds: impl Fn() -> bool) {
            let started = Instant::now();
            while !holds() {
                assert!(
                    started.elapsed() < PATIENCE,
                    "{what}, after {} ticks",
                    self.ticks()
                );
                thread::sleep(TICK);
            }
        }

        fn wait_for_sleep(&self) {
            self.wait_for("it did not sleep", || {
                self.ticker.calls.asleep.load(Ordering::SeqCst)
            });
        }
    }

    #[test]
    fn it_sleeps_without_calls_and_each_call_wakes_it() {
        let counted = Counted::start();
        for _ in 0..2 {
            counted.wait_for_sleep();
            let before = counted.ticks();
            thread::sleep(TICK * 20);
            assert_eq!(counted.ticks(), before, "it ticks in its sleep");
            let running = counted.ticker.running();
            counted.wait_for("no call woke it", || counted.ticks() > before + 1);
            drop(running);
        }
    }

    #[test]
    fn it_ticks_as_long_as_a_call_runs() {
        let counted = Counted::start();
        let running = counted.ticker.running();
        let long = u64::from(QUIET) * 2;
        counted.wait_for("it stopped under a call", || counted.ticks() > long);
        drop(running);
        counted.wait_for_sleep();
    }

    #[test]
    fn it_ends_from_its_sleep() {
        let counted = Counted::start();
        counted.wait_for_sleep();
        drop(counted.ticker);
    }
}
