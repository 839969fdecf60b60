//! What the log says of spans that nobody takes: little, for there may be a batch of them each second.

use std::time::{Duration, Instant};

/// Between two warnings.
const AGAIN: Duration = Duration::from_secs(300);

/// Spans that were lost, and what of that was told.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// When it was last warned of.
    warned: Option<Instant>,
    /// Spans lost and not told of yet.
    lost: u64,
    /// That it is over is still to be told.
    stands: bool,
}

impl Trouble {
    /// So many were not taken. Yields how many are to be warned of, if it is time to.
    pub(super) fn lost(&mut self, spans: usize, now: Instant) -> Option<u64> {
        self.lost = self.lost.saturating_add(spans as u64);
        let due = self
            .warned
            .is_none_or(|warned| now.saturating_duration_since(warned) >= AGAIN);
        due.then(|| {
            (self.warned, self.stands) = (Some(now), true);
            std::mem::take(&mut self.lost)
        })
    }

    /// Some were taken. Yields how many more were lost, if a warning stands.
    pub(super) fn over(&mut self) -> Option<u64> {
        let stood = std::mem::take(&mut self.stands);
        stood.then(|| std::mem::take(&mut self.lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_is_away_is_told_of_once_in_a_while_and_its_return_once() {
        let (mut trouble, start) = (Trouble::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(trouble.over(), None, "nothing was wrong");
        assert_eq!(trouble.lost(5, at(0)), Some(5));
        assert_eq!(trouble.lost(6, at(1)), None);
        assert_eq!(trouble.lost(7, at(299)), None);
        assert_eq!(trouble.lost(8, at(300)), Some(21));
        assert_eq!(trouble.lost(9, at(301)), None);
        assert_eq!(trouble.over(), Some(9));
        assert_eq!(trouble.over(), None);
        // One that comes and goes makes no more lines.
        assert_eq!(trouble.lost(1, at(302)), None);
        assert_eq!(trouble.over(), None);
        assert_eq!(trouble.lost(1, at(600)), Some(2));
    }
}
