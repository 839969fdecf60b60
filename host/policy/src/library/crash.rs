//! Power cuts: every change of the library, cut off before each of its steps on disk.

use std::sync::atomic::{AtomicI64, Ordering};

/// Power for a number of steps; without a number it never fails.
#[derive(Debug)]
pub(crate) struct Power(AtomicI64);

impl Default for Power {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }
}

impl Power {
    /// Power for `steps` more steps. After that nothing reaches the disk any more.
    pub(crate) fn lasts(&self, steps: i64) {
        self.0.store(steps, Ordering::SeqCst);
    }

    pub(crate) fn step(&self) -> std::io::Result<()> {
        if self.0.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.0.store(0, Ordering::SeqCst);
        Err(std::io::Error::other("the power is gone"))
    }

    /// Whether it failed.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.load(Ordering::SeqCst) <= 0
    }
}
