//! Whether clients reach the market at the router it joined, and since when they do not.

use bourse_market::Nanos;
use parking_lot::Mutex;

/// What keeps clients from the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Since when.
    pub(crate) since: Nanos,
    /// In words.
    pub(crate) why: String,
}

/// Whether the market is reached; always, at its own router.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    trouble: Mutex<Option<Trouble>>,
}

impl Reach {
    /// It is not reached any more. True if that, or the reason, is news.
    pub(crate) fn lost(&self, at: Nanos, why: String) -> bool {
        let mut trouble = self.trouble.lock();
        match &mut *trouble {
            Some(known) if known.why == why => false,
            Some(known) => {
                known.why = why;
                true
            }
            none => {
                *none = Some(Trouble { since: at, why });
                true
            }
        }
    }

    /// It is reached again.
    pub(crate) fn restored(&self) {
        *self.trouble.lock() = None;
    }

    /// What keeps clients from it, if anything does.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_lasts_from_its_beginning_whatever_its_reason_becomes() {
        let reach = Reach::default();
        assert!(reach.lost(Nanos(1), "lost".into()));
        assert!(!reach.lost(Nanos(2), "lost".into()));
        assert!(reach.lost(Nanos(3), "refused".into()));
        let trouble = reach.trouble().unwrap();
        assert_eq!((trouble.since, trouble.why.as_str()), (Nanos(1), "refused"));
        reach.restored();
        assert_eq!(reach.trouble(), None);
    }
}
