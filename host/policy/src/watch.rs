//! The wall-clock backstop of a call: what counts as time, and when there was too much of it.
//!
//! A call that was merely preempted has not run long, and failing it would turn a busy machine into refused sales.
//! So what counts is the processor time of the calling thread, which is looked at only when an epoch passes (one
//! call in a thousand sees one), and the wall-clock time that imports took. Far behind both stands the wall clock
//! itself.

use crate::ticker::{Running, TICK};
use core::time::Duration;
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// Deadlines of wall-clock time after which a call ends even if it hardly got to run.
const PATIENCE: u32 = 10;

/// Watches one call.
#[derive(Debug)]
pub(crate) struct Watch {
    deadline: Duration,
    started: Instant,
    /// Processor time of the thread when the call began, known from the first tick on.
    began: Option<Duration>,
    imports: Duration,
    /// Keeps the ticks coming.
    _running: Running,
}

impl Watch {
    /// Watches a call that began a moment ago.
    pub(crate) fn since(started: Instant, deadline: Duration, running: Running) -> Self {
        Self {
            deadline,
            started,
            began: None,
            imports: Duration::ZERO,
            _running: running,
        }
    }

    /// An epoch has passed while the guest ran: whether the call has run too long.
    pub(crate) fn tick(&mut self) -> bool {
        let wall = self.started.elapsed();
        let now = processor_time();
        // At the first tick the start is estimated: never more than a tick ago in processor time.
        let began = *self
            .began
            .get_or_insert_with(|| now.saturating_sub(wall.min(TICK)));
        now.saturating_sub(began) >= self.deadline || wall >= self.deadline.saturating_mul(PATIENCE)
    }

    /// Runs an import: its answer, and whether imports took too long.
    pub(crate) fn import<R>(&mut self, answer: impl FnOnce() -> R) -> (R, bool) {
        let started = Instant::now();
        let answer = answer();
        self.imports = self.imports.saturating_add(started.elapsed());
        (answer, self.imports > self.deadline)
    }
}

/// Processor time that the calling thread has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Watches the thread from now on, without ticks but those of the test.
    fn watch(deadline: Duration) -> Watch {
        Watch::since(Instant::now(), deadline, Running::alone())
    }

    #[test]
    fn a_thread_that_sleeps_does_not_run() {
        let mut watch = watch(Duration::from_millis(100));
        assert!(!watch.tick());
        std::thread::sleep(Duration::from_millis(200));
        assert!(!watch.tick(), "slept past the deadline without running");
    }

    #[test]
    fn a_thread_that_runs_is_over_its_deadline_before_long() {
        let mut watch = watch(Duration::from_millis(20));
        let started = Instant::now();
        while !watch.tick() {
            assert!(started.elapsed() < Duration::from_secs(20));
        }
        assert!(started.elapsed() >= Duration::from_millis(10));
    }

    #[test]
    fn patience_ends_even_for_a_thread_that_does_not_get_to_run() {
        let mut watch = watch(Duration::from_millis(5));
        std::thread::sleep(Duration::from_millis(60));
        assert!(watch.tick());
    }

    #[test]
    fn time_in_imports_adds_up() {
        let mut watch = watch(Duration::from_millis(15));
        let nap = || std::thread::sleep(Duration::from_millis(10));
        assert!(!watch.import(|| 1).1);
        watch.import(nap);
        assert!(watch.import(nap).1);
    }
}
