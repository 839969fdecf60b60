//! What is known of the other sessions at the router: who calls the market, and who answers for which seller.
//!
//! Notes, not truth: they come from the router's events and from questions, and either may be late.

use std::collections::{HashMap, VecDeque};
use tokio::time::Instant;

/// Registrations of sellers that are remembered. More are not looked at.
const REGISTRATIONS: usize = 1 << 16;
/// Sessions that something is kept for. Those beyond it have no quotes and register nothing.
const SESSIONS: usize = 1 << 16;
/// What ended a moment ago, so that an answer that was under way meanwhile does not revive it.
const ENDED: usize = 4096;

/// Who serves a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Callee {
    pub(super) session: u64,
    /// The router's number of the registration: a later one has another.
    pub(super) registration: u64,
}

/// The notes.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_uri: HashMap<String, Callee>,
    by_registration: HashMap<u64, String>,
    /// When each session was last known to be there.
    sessions: HashMap<u64, Instant>,
    ended_registrations: Ended<u64>,
    ended_sessions: Ended<u64>,
    /// What the market does not use any more, though it lasts. A router that was started anew may give the number of a
    /// registration to another session, which has done nothing.
    barred: Ended<Callee>,
}

#[derive(Debug)]
struct Ended<T>(VecDeque<T>);

impl<T> Default for Ended<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: PartialEq> Ended<T> {
    fn push(&mut self, ended: T) {
        if self.0.len() >= ENDED {
            self.0.pop_front();
        }
        self.0.push_back(ended);
    }

    fn contains(&self, ended: &T) -> bool {
        self.0.contains(ended)
    }
}

impl Known {
    /// Who serves a procedure.
    pub(super) fn callee(&self, uri: &str) -> Option<Callee> {
        self.by_uri.get(uri).copied()
    }

    /// Notes a session. True if it is there, as far as is known, and something may be kept for it.
    pub(super) fn see(&mut self, session: u64, at: Instant) -> bool {
        if self.ended_sessions.contains(&session) {
            return false;
        }
        let room = self.sessions.len() < SESSIONS;
        if room || self.sessions.contains_key(&session) {
            self.sessions.insert(session, at);
            return true;
        }
        false
    }

    /// Notes who serves a procedure. True if that is news.
    pub(super) fn serve(&mut self, uri: &str, callee: Callee) -> bool {
        let Callee {
            session,
            registration,
        } = callee;
        if self.ended_registrations.contains(&registration)
            || self.barred.contains(&callee)
            || self.ended_sessions.contains(&session)
            || self.callee(uri) == Some(callee)
        {
            return false;
        }
        match self.by_uri.insert(uri.to_owned(), callee) {
            Some(former) => drop(self.by_registration.remove(&former.registration)),
            None if self.by_uri.len() > REGISTRATIONS => {
                self.by_uri.remove(uri);
                return false;
            }
            None => {}
        }
        self.by_registration.insert(registration, uri.to_owned());
        true
    }

    /// A registration ended. Yields its procedure and who served it.
    pub(super) fn end(&mut self, registration: u64) -> Option<(String, u64)> {
        self.ended_registrations.push(registration);
        let uri = self.by_registration.remove(&registration)?;
        let callee = self.by_uri.remove(&uri)?;
        Some((uri, callee.session))
    }

    /// The market has no use any more for who serves a procedure, if it is `session`. Yields the registration.
    pub(super) fn bar(&mut self, uri: &str, session: u64) -> Option<u64> {
        let callee = self.callee(uri).filter(|callee| callee.session == session)?;
        self.by_uri.remove(uri);
        self.by_registration.remove(&callee.registration);
        self.barred.push(callee);
        Some(callee.registration)
    }

    /// A session ended. True if something was kept for it.
    pub(super) fn leave(&mut self, session: u64) -> bool {
        self.ended_sessions.push(session);
        self.by_uri.retain(|_, callee| callee.session != session);
        let Self {
            by_uri,
            by_registration,
            ..
        } = self;
        by_registration.retain(|_, uri| by_uri.contains_key(uri));
        self.sessions.remove(&session).is_some()
    }

    /// Up to `most` sessions of which nothing was heard since `before`.
    pub(super) fn silent(&self, before: Instant, most: usize) -> Vec<u64> {
        let silent = self.sessions.iter().filter(|(_, heard)| **heard < before);
        silent.map(|(session, _)| *session).take(most).collect()
    }

    /// Forgets everything but what is barred, and yields all sessions that something was kept for. The router may be the
    /// same as before.
    pub(super) fn clear(&mut self) -> Vec<u64> {
        let former = std::mem::take(self);
        self.barred = former.barred;
        former.sessions.into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "xbr.provider.p.sell";

    fn callee(session: u64, registration: u64) -> Callee {
        Callee {
            session,
            registration,
        }
    }

    #[test]
    fn what_ended_is_not_revived_by_an_answer_that_comes_late() {
        let mut known = Known::default();
        assert_eq!(known.end(1), None);
        assert!(!known.serve(URI, callee(7, 1)), "the registration is gone");
        assert!(!known.leave(8));
        assert!(!known.serve(URI, callee(8, 2)), "the session is gone");
        assert!(!known.see(8, Instant::now()));
        assert!(known.serve(URI, callee(9, 3)));
        assert!(!known.serve(URI, callee(9, 3)), "no news");
    }

    #[test]
    fn a_procedure_that_passes_on_belongs_to_the_last_who_registered_it() {
        let mut known = Known::default();
        assert!(known.serve(URI, callee(7, 1)));
        // A router need not tell of the end of what it replaced.
        assert!(known.serve(URI, callee(8, 2)));
        assert_eq!(known.end(1), None);
        assert_eq!(known.callee(URI), Some(callee(8, 2)));
        assert_eq!(known.end(2), Some((URI.to_owned(), 8)));
        assert_eq!(known.callee(URI), None);
    }

    #[test]
    fn who_lost_its_registration_must_register_anew() {
        let mut known = Known::default();
        assert!(known.serve(URI, callee(7, 1)));
        assert_eq!(known.bar(URI, 8), None, "it is another's");
        assert_eq!(known.bar(URI, 7), Some(1));
        assert!(!known.serve(URI, callee(7, 1)));
        assert!(known.serve(URI, callee(7, 2)));
    }

    #[test]
    fn a_registration_that_is_barred_bars_no_other_session_of_a_router_that_counts_anew() {
        let mut known = Known::default();
        assert!(known.serve(URI, callee(7, 1)));
        assert_eq!(known.bar(URI, 7), Some(1));
        known.clear();
        assert!(
            !known.serve(URI, callee(7, 1)),
            "the router may be the same as before"
        );
        assert!(known.serve(URI, callee(8, 1)));
    }

    #[test]
    fn a_session_takes_its_registrations_along() {
        let mut known = Known::default();
        let now = Instant::now();
        assert!(known.see(7, now));
        assert!(known.serve(URI, callee(7, 1)));
        assert!(known.silent(now, 9).is_empty());
        assert_eq!(known.silent(now + std::time::Duration::from_secs(1), 9), [7]);
        assert!(known.leave(7));
        assert!(known.by_uri.is_empty() && known.by_registration.is_empty() && known.sessions.is_empty());
    }
}
