//! The delegates that sessions proved to be by what they signed.
//!
//! All of it is bounded, and goes with the session.

use bourse_market::Address;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};

#[derive(Debug, Default)]
struct Both {
    by_session: HashMap<u64, Option<Address>>,
    by_delegate: HashMap<Address, BTreeSet<u64>>,
}

/// Sessions that proved to be a buyer's delegate by what they signed.
#[derive(Debug, Default)]
pub(crate) struct Proven(Mutex<Both>);

impl Proven {
    /// A session is there. Nothing is kept for any other.
    pub(crate) fn joined(&self, session: u64) {
        self.0.lock().by_session.insert(session, None);
    }

    /// It proved to be this delegate; the last proof counts.
    pub(crate) fn proved(&self, session: u64, delegate: Address) {
        let mut both = self.0.lock();
        let Some(known) = both.by_session.get_mut(&session) else {
            return;
        };
        let former = known.replace(delegate);
        if former == Some(delegate) {
            return;
        }
        if let Some(former) = former {
            both.forget(session, &former);
        }
        both.by_delegate.entry(delegate).or_default().insert(session);
    }

    /// Whether it is there, as far as anybody told.
    pub(crate) fn knows(&self, session: u64) -> bool {
        self.0.lock().by_session.contains_key(&session)
    }

    /// Whom it proved to be.
    pub(crate) fn of(&self, session: u64) -> Option<Address> {
        self.0.lock().by_session.get(&session).copied().flatten()
    }

    /// The sessions of a delegate.
    pub(crate) fn sessions_of(&self, delegate: &Address) -> Vec<u64> {
        let both = self.0.lock();
        let sessions = both.by_delegate.get(delegate);
        sessions.into_iter().flatten().copied().collect()
    }

    /// It is gone.
    pub(crate) fn left(&self, session: u64) {
        let mut both = self.0.lock();
        if let Some(Some(delegate)) = both.by_session.remove(&session) {
            both.forget(session, &delegate);
        }
    }
}

impl Both {
    fn forget(&mut self, session: u64, delegate: &Address) {
        if let Some(sessions) = self.by_delegate.get_mut(delegate) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.by_delegate.remove(delegate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Address = Address([1; 20]);
    const OTHER: Address = Address([2; 20]);

    #[test]
    fn the_last_proof_of_a_session_counts_and_nothing_stays_of_one_that_left() {
        let proven = Proven::default();
        proven.proved(1, ONE);
        assert_eq!(proven.of(1), None, "nothing is kept for a session that is gone");
        proven.joined(1);
        proven.joined(2);
        proven.proved(1, ONE);
        proven.proved(2, ONE);
        proven.proved(1, OTHER);
        assert_eq!((proven.of(1), proven.of(2)), (Some(OTHER), Some(ONE)));
        assert_eq!(
            (proven.sessions_of(&ONE), proven.sessions_of(&OTHER)),
            (vec![2], vec![1])
        );
        proven.left(1);
        proven.left(2);
        let both = proven.0.lock();
        assert_eq!((both.by_session.len(), both.by_delegate.len()), (0, 0));
    }
}
