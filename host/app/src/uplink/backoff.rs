//! How long to wait before the next try to reach a router.

use std::time::Duration;

/// Before the first try after a loss.
const FIRST: Duration = Duration::from_millis(200);
/// The longest: with the time that joining takes, also of the sellers, trading resumes within 5 s of the router's return.
const LONGEST: Duration = Duration::from_secs(2);

/// Doubles from try to try. Of each wait the half is drawn at random, so that not all markets come at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.tries.min(8)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_two_seconds_and_are_never_all_the_same() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        for (tries, wait) in waits.iter().enumerate() {
            let whole = FIRST.saturating_mul(1 << tries.min(8)).min(LONGEST);
            assert!(*wait >= whole / 2 && *wait <= whole, "{tries}: {wait:?}");
        }
        let last: std::collections::HashSet<_> = waits.iter().skip(10).collect();
        assert!(last.len() > 20, "{last:?}");
    }
}
