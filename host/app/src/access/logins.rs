//! By what sessions are logged in: the keys that the market's authenticator was asked about.
//!
//! What it decides counts for a session only once it is settled that the session came in by it, for a router asks before
//! anything is proven. All of it is bounded, and goes with the session. Whether a key still counts is the ledger's to say, at
//! each call.

use bourse_market::login::LoginRequest;
use bourse_market::{Address, ClientKey, Nanos};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Sessions that nobody saw join, of which something is kept; beyond that the oldest are forgotten. At another's router one
/// that calls after all is asked about there.
const PENDING: usize = 16 * 1024;

/// A key that speaks for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Login {
    /// The key.
    pub(crate) key: ClientKey,
    /// For whom it speaks.
    pub(crate) party: Address,
    /// When it counts no more.
    pub(crate) expires: Nanos,
}

/// What the authenticator found of a client that has proven nothing yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    /// What it logs in by, if it holds the key.
    pub(crate) login: Login,
    /// What the ledger is to record then; none if it has that already.
    pub(crate) word: Option<Box<LoginRequest>>,
}

/// How a session was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CameBy {
    /// By what was decided for it, if anything was.
    AsDecided,
    /// By proving to hold this key, about which the market was asked.
    Key(ClientKey),
    /// By something that the market has no part in.
    Otherwise,
    /// The router does not tell.
    Unknown,
}

/// By what a session is in, as far as that is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was ever heard of it.
    Unheard,
    /// By something that the market has no part in.
    Otherwise,
    /// By a login of the market's, about which the ledger is to be asked.
    By(Login),
    /// By nothing that counts.
    Nothing,
}

/// What is kept of one session.
#[derive(Debug, Default)]
struct Held {
    decided: Option<Decided>,
    /// Held by whoever finds out by what it is in, so that one does for all who wait.
    settling: Arc<OnceCell<()>>,
    /// What was found; none within if it is something else than the market's.
    settled: Option<Option<Login>>,
    /// The key was taken back.
    over: bool,
    /// It is there, as far as is known.
    there: bool,
    /// Its turn among those that nobody saw join.
    turn: Option<u64>,
}

impl Held {
    fn login(&self) -> Option<Login> {
        self.settled
            .unwrap_or_else(|| self.decided.as_ref().map(|decided| decided.login))
    }

    fn ends(&self, login: &Login) -> Nanos {
        if self.over { Nanos(0) } else { login.expires }
    }
}

#[derive(Debug, Default)]
struct Inner {
    of: HashMap<u64, Held>,
    /// Those that nobody saw join, by their turns to be forgotten.
    pending: BTreeMap<u64, u64>,
    turns: u64,
    by_key: HashMap<ClientKey, BTreeSet<u64>>,
    /// Of the sessions that are there, when their logins end.
    ends: BTreeSet<(Nanos, u64)>,
}

impl Inner {
    /// Changes what is kept of a session, and what leads to it.
    fn change(&mut self, session: u64, change: impl FnOnce(&mut Held)) {
        let news = !self.of.contains_key(&session);
        self.unlist(session);
        change(self.of.entry(session).or_default());
        self.list(session);
        if news {
            self.wait(session);
        }
    }

    /// Nobody sees a session: it is forgotten in its turn, if there are too many.
    fn wait(&mut self, session: u64) {
        let Some(held) = self.of.get_mut(&session).filter(|held| held.turn.is_none()) else {
            return;
        };
        self.turns += 1;
        held.turn = Some(self.turns);
        self.pending.insert(self.turns, session);
        while self.pending.len() > PENDING {
            let Some((_, oldest)) = self.pending.pop_first() else {
                return;
            };
            self.forget(oldest);
        }
    }

    /// Somebody saw it join.
    fn wait_no_longer(&mut self, session: u64) {
        if let Some(turn) = self.of.get_mut(&session).and_then(|held| held.turn.take()) {
            self.pending.remove(&turn);
        }
    }

    fn list(&mut self, session: u64) {
        let Some((held, login)) = self.of.get(&session).and_then(|held| Some((held, held.login()?))) else {
            return;
        };
        self.by_key.entry(login.key).or_default().insert(session);
        if held.there {
            self.ends.insert((held.ends(&login), session));
        }
    }

    fn unlist(&mut self, session: u64) {
        let Some((held, login)) = self.of.get(&session).and_then(|held| Some((held, held.login()?))) else {
            return;
        };
        self.ends.remove(&(held.ends(&login), session));
        if let Some(sessions) = self.by_key.get_mut(&login.key) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.by_key.remove(&login.key);
            }
        }
    }

    fn forget(&mut self, session: u64) {
        self.unlist(session);
        self.wait_no_longer(session);
        self.of.remove(&session);
    }
}

/// The logins of sessions.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<Inner>);

impl Logins {
    /// A session may be about to join with this, if it proves to hold the key.
    pub(crate) fn expect(&self, session: u64, decided: Decided) {
        self.0.lock().change(session, |held| {
            held.decided = Some(decided);
            held.over = false;
        });
    }

    /// What was decided for a session.
    pub(crate) fn decided(&self, session: u64) -> Option<Decided> {
        self.0.lock().of.get(&session)?.decided.clone()
    }

    /// Held by whoever finds out by what a session is in, which is or is not `there`, as far as is known.
    pub(crate) fn settling(&self, session: u64, there: bool) -> Arc<OnceCell<()>> {
        let mut inner = self.0.lock();
        if let Some(held) = inner.of.get(&session) {
            return Arc::clone(&held.settling);
        }
        let settling = Arc::<OnceCell<()>>::default();
        // It may be gone by now: so it is kept as of one that nobody saw, and cannot stay for ever.
        inner.change(session, |held| {
            held.settling = Arc::clone(&settling);
            held.there = there;
        });
        settling
    }

    /// It was found out by what a session is in: none if the market has no part in it.
    pub(crate) fn settle(&self, session: u64, login: Option<Login>) {
        let mut inner = self.0.lock();
        if inner.of.contains_key(&session) {
            inner.change(session, |held| {
                let decided = held.decided.take();
                held.over &= decided.is_none_or(|decided| login == Some(decided.login));
                held.settled = Some(login);
            });
        }
    }

    /// It has joined.
    pub(crate) fn joined(&self, session: u64) {
        let mut inner = self.0.lock();
        // Most sessions have no login of the market's.
        if inner.of.contains_key(&session) {
            inner.change(session, |held| held.there = true);
            inner.wait_no_longer(session);
        }
    }

    /// By what it is in.
    pub(crate) fn standing(&self, session: u64, now: Nanos) -> Standing {
        let inner = self.0.lock();
        match inner.of.get(&session) {
            None => Standing::Unheard,
            Some(held) => match held.settled {
                Some(None) => Standing::Otherwise,
                Some(Some(login)) if now < held.ends(&login) => Standing::By(login),
                Some(Some(_)) | None => Standing::Nothing,
            },
        }
    }

    /// A key was taken back: whoever is in by it, or about to be, is in by nothing, however long it stays.
    pub(crate) fn end(&self, key: &ClientKey) {
        let mut inner = self.0.lock();
        for session in inner.by_key.get(key).cloned().unwrap_or_default() {
            inner.change(session, |held| held.over = true);
        }
    }

    /// The sessions that are there, and whose logins count no more.
    pub(crate) fn over(&self, now: Nanos) -> Vec<u64> {
        let inner = self.0.lock();
        let ended = inner.ends.range(..=(now, u64::MAX));
        ended.map(|(_, session)| *session).collect()
    }

    /// Nobody sees it any more, though it may still be there and call again: what it is in by is kept as of one that is
    /// yet to join. Were it forgotten, its router would have to be asked once more.
    pub(crate) fn lost(&self, session: u64) {
        let mut inner = self.0.lock();
        if inner.of.contains_key(&session) {
            inner.change(session, |held| held.there = false);
            inner.wait(session);
        }
    }

    /// It is gone.
    pub(crate) fn left(&self, session: u64) {
        self.0.lock().forget(session);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;

    const PARTY: Address = Address([1; 20]);

    fn login(key: u8, expires: u64) -> Login {
        Login {
            key: ClientKey([key; 32]),
            party: PARTY,
            expires: Nanos(expires),
        }
    }

    fn decided(key: u8, expires: u64) -> Decided {
        Decided {
            login: login(key, expires),
            word: None,
        }
    }

    /// A session that came in by a key.
    fn in_by(logins: &Logins, session: u64, key: u8, expires: u64) {
        logins.expect(session, decided(key, expires));
        logins.settle(session, Some(login(key, expires)));
        logins.joined(session);
    }

    fn kept(logins: &Logins) -> [usize; 4] {
        let inner = logins.0.lock();
        [
            inner.of.len(),
            inner.pending.len(),
            inner.by_key.len(),
            inner.ends.len(),
        ]
    }

    #[test]
    fn w_53_what_is_kept_of_logins_is_bounded_and_goes_with_the_session() {
        let logins = Logins::default();
        in_by(&logins, 1, 7, 10);
        for session in 2..2 + 2 * PENDING as u64 {
            logins.expect(session, decided(8, 10));
            logins.settling(session, true);
        }
        assert_eq!(kept(&logins)[..2], [PENDING + 1, PENDING]);
        assert_eq!(
            logins.standing(1, Nanos(5)),
            Standing::By(login(7, 10)),
            "one that joined stays"
        );
        assert_eq!(logins.decided(2), None);
        for session in 0..2 + 2 * PENDING as u64 {
            logins.left(session);
        }
        assert_eq!(kept(&logins), [0; 4]);
    }

    #[test]
    fn what_was_decided_counts_only_once_it_is_settled_that_the_session_came_in_by_it() {
        let logins = Logins::default();
        assert_eq!(logins.standing(1, Nanos(5)), Standing::Unheard);
        logins.expect(1, decided(7, 10));
        logins.joined(1);
        assert_eq!(logins.standing(1, Nanos(5)), Standing::Nothing);
        // Of two keys that were asked about, it proved to hold the other.
        logins.settle(1, Some(login(8, 10)));
        assert_eq!(logins.standing(1, Nanos(5)), Standing::By(login(8, 10)));
        logins.end(&ClientKey([7; 32]));
        assert_eq!(logins.standing(1, Nanos(5)), Standing::By(login(8, 10)));
        logins.expect(2, decided(7, 10));
        logins.settle(2, None);
        assert_eq!(logins.standing(2, Nanos(50)), Standing::Otherwise);
    }

    #[test]
    fn a_key_that_is_taken_back_ends_every_login_by_it_and_no_other() {
        let logins = Logins::default();
        for (session, key) in [(1, 7), (2, 7), (3, 8)] {
            in_by(&logins, session, key, 10);
        }
        logins.expect(4, decided(7, 10));
        logins.end(&ClientKey([7; 32]));
        logins.settle(4, Some(login(7, 10)));
        for (session, expected) in [
            (1, Standing::Nothing),
            (2, Standing::Nothing),
            (3, Standing::By(login(8, 10))),
            (4, Standing::Nothing),
        ] {
            assert_eq!(logins.standing(session, Nanos(5)), expected, "{session}");
        }
        assert_eq!(logins.over(Nanos(5)), [1, 2], "those that are there");
        assert_eq!(logins.over(Nanos(10)), [1, 2, 3]);
    }

    #[test]
    fn a_login_is_over_when_it_has_expired() {
        let logins = Logins::default();
        in_by(&logins, 1, 7, 10);
        assert_eq!(logins.standing(1, Nanos(9)), Standing::By(login(7, 10)));
        assert_eq!(logins.standing(1, Nanos(10)), Standing::Nothing);
    }

    #[test]
    fn a_login_that_is_over_stays_so_while_nobody_sees_its_session() {
        let logins = Logins::default();
        in_by(&logins, 1, 7, 10);
        logins.end(&ClientKey([7; 32]));
        logins.lost(1);
        assert_eq!(logins.standing(1, Nanos(5)), Standing::Nothing);
        assert!(logins.over(Nanos(5)).is_empty(), "nobody sees it");
        logins.joined(1);
        assert_eq!(logins.standing(1, Nanos(5)), Standing::Nothing);
        logins.left(1);
        assert_eq!(kept(&logins), [0; 4]);
    }
}
