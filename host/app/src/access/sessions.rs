//! What is known of sessions beyond what the router tells: the key a login was made with, the delegate a session proved to be.
//!
//! All of it is bounded, and goes with the session.

use bourse_market::{Address, ClientKey, Nanos};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Logins of sessions that nobody saw join yet; beyond that the oldest are forgotten. They can trade, and not log out.
const PENDING: usize = 16 * 1024;

/// What a session logged in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Login {
    /// The key.
    pub(crate) key: ClientKey,
    /// When it counts no more.
    pub(crate) expires: Nanos,
}

#[derive(Debug, Default)]
struct Inner {
    of: HashMap<u64, Login>,
    /// Those that have not joined, in the order of their asking.
    pending: VecDeque<u64>,
}

impl Inner {
    fn trim(&mut self) {
        while self.pending.len() > PENDING {
            if let Some(oldest) = self.pending.pop_front() {
                self.of.remove(&oldest);
            }
        }
    }
}

/// The logins of sessions.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<Inner>);

impl Logins {
    /// A session may be about to join with this login.
    pub(crate) fn expect(&self, session: u64, login: Login) {
        let mut inner = self.0.lock();
        if inner.of.insert(session, login).is_none() {
            inner.pending.push_back(session);
        }
        inner.trim();
    }

    /// It has joined.
    pub(crate) fn joined(&self, session: u64) {
        let mut inner = self.0.lock();
        // Most sessions have no login of ours, and the one that joins is among the last that asked.
        if inner.of.contains_key(&session)
            && let Some(at) = inner.pending.iter().rposition(|pending| *pending == session)
        {
            inner.pending.remove(at);
        }
    }

    /// What it logged in by.
    pub(crate) fn of(&self, session: u64) -> Option<Login> {
        self.0.lock().of.get(&session).copied()
    }

    /// Whether it logged in by something that counts no more.
    pub(crate) fn is_over(&self, session: u64, now: Nanos) -> bool {
        self.of(session).is_some_and(|login| login.expires <= now)
    }

    /// Its login counts no more, though the session may still be there for a moment.
    pub(crate) fn end(&self, session: u64) {
        if let Some(login) = self.0.lock().of.get_mut(&session) {
            login.expires = Nanos(0);
        }
    }

    /// Nobody sees it any more, though it may still be there and call again: what it logged in by is kept as of one that is
    /// yet to join. Were it forgotten, a login that is over would count again.
    pub(crate) fn lost(&self, session: u64) {
        let mut inner = self.0.lock();
        if inner.of.contains_key(&session) && !inner.pending.contains(&session) {
            inner.pending.push_back(session);
            inner.trim();
        }
    }

    /// It is gone.
    pub(crate) fn left(&self, session: u64) {
        let mut inner = self.0.lock();
        if inner.of.remove(&session).is_some() {
            inner.pending.retain(|pending| *pending != session);
        }
    }
}

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

    fn login(expires: u64) -> Login {
        Login {
            key: ClientKey([7; 32]),
            expires: Nanos(expires),
        }
    }

    #[test]
    fn w_53_what_is_kept_of_logins_is_bounded_and_goes_with_the_session() {
        let logins = Logins::default();
        logins.expect(1, login(10));
        logins.joined(1);
        for session in 2..2 + 2 * PENDING as u64 {
            logins.expect(session, login(10));
        }
        assert_eq!(logins.0.lock().of.len(), PENDING + 1);
        assert_eq!(logins.of(1), Some(login(10)), "one that joined stays");
        assert_eq!(logins.of(2), None);
        for session in 0..2 + 2 * PENDING as u64 {
            logins.left(session);
        }
        let inner = logins.0.lock();
        assert_eq!((inner.of.len(), inner.pending.len()), (0, 0));
    }

    #[test]
    fn a_login_is_over_when_it_has_expired_or_was_ended() {
        let logins = Logins::default();
        assert!(!logins.is_over(1, Nanos(5)), "there are others than ours");
        logins.expect(1, login(10));
        assert!(!logins.is_over(1, Nanos(9)) && logins.is_over(1, Nanos(10)));
        logins.end(1);
        assert!(logins.is_over(1, Nanos(5)));
    }

    #[test]
    fn a_login_that_is_over_stays_so_while_nobody_sees_its_session() {
        let logins = Logins::default();
        logins.expect(1, login(10));
        logins.joined(1);
        logins.end(1);
        logins.lost(1);
        assert!(logins.is_over(1, Nanos(5)));
        logins.joined(1);
        assert!(logins.is_over(1, Nanos(5)));
        logins.left(1);
        assert_eq!(logins.of(1), None);
    }

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
