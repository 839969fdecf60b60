//! How often a session, and an authid with all its sessions, may call, publish, and ask for registrations and subscriptions.
//!
//! Each has an allowance that fills again with time; whoever has used it up is refused until some has. What an authid
//! has used is remembered beyond its sessions, so that joining anew gives nothing.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Limits;

/// For how long a rate may be exceeded at full speed: the allowance is what the rate gives in this time.
const BURST: Duration = Duration::from_secs(2);
/// What whoever asks for too many registrations or subscriptions is told.
pub(super) const TOO_MANY_CHANGES: &str = "more registrations and subscriptions than the session or its authid may ask for in a \
                                           second; try again more slowly";
/// Between two lines in the log about sessions that ask for too much: they choose how often.
const TELL: Duration = Duration::from_secs(1);
/// Authids without a session that are remembered before those with a full allowance are forgotten.
const MAX_ABSENT: usize = 1_024;

/// What may be done so many times a second. Without a limit it may be done always.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// The time between two, done evenly.
    interval: Option<Duration>,
}

impl Rate {
    /// So many a second; 0 for no limit.
    pub(super) fn per_second(times: u32) -> Self {
        Self {
            interval: Duration::from_secs(1).checked_div(times),
        }
    }
}

/// An allowance: when it will be full again is all there is to remember.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    full: Option<Instant>,
}

impl Allowance {
    fn has(self, rate: Rate, now: Instant) -> bool {
        let Some(interval) = rate.interval else {
            return true;
        };
        // At least one fits into an allowance, however slow the rate.
        let burst = BURST.max(interval);
        self.full
            .is_none_or(|full| full.saturating_duration_since(now) + interval <= burst)
    }

    fn take(&mut self, rate: Rate, now: Instant) {
        if let Some(interval) = rate.interval {
            self.full = Some(self.full.map_or(now, |full| full.max(now)) + interval);
        }
    }

    fn is_full(self, now: Instant) -> bool {
        self.full.is_none_or(|full| full <= now)
    }
}

/// The allowances of one session or authid.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    calls: Allowance,
    publications: Allowance,
    changes: Allowance,
}

/// What is rated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    Call,
    Publish,
    /// A registration or a subscription.
    Change,
}

impl Spent {
    fn of(&mut self, what: Use) -> &mut Allowance {
        match what {
            Use::Call => &mut self.calls,
            Use::Publish => &mut self.publications,
            Use::Change => &mut self.changes,
        }
    }

    fn is_full(self, now: Instant) -> bool {
        [self.calls, self.publications, self.changes]
            .into_iter()
            .all(|allowance| allowance.is_full(now))
    }
}

/// What the authids of a realm have used.
pub(super) struct Rates {
    calls: Rate,
    publications: Rate,
    changes: Rate,
    authids: HashMap<String, (Spent, usize)>,
    absent: usize,
    told: Option<Instant>,
}

impl Rates {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            calls: Rate::per_second(limits.calls_per_second),
            publications: Rate::per_second(limits.publications_per_second),
            changes: Rate::per_second(limits.changes_per_second),
            authids: HashMap::new(),
            absent: 0,
            told: None,
        }
    }

    /// Has other rates from here on. What was used up under the former ones is forgotten in as long as it would have been.
    pub(super) fn change(&mut self, limits: &Limits) {
        self.calls = Rate::per_second(limits.calls_per_second);
        self.publications = Rate::per_second(limits.publications_per_second);
        self.changes = Rate::per_second(limits.changes_per_second);
    }

    #[cfg(feature = "testing")]
    pub(super) fn remembered(&self) -> usize {
        let now = Instant::now();
        let kept = |(spent, sessions): &&(Spent, usize)| *sessions > 0 || !spent.is_full(now);
        self.authids.values().filter(kept).count()
    }

    /// A session of this authid is there.
    pub(super) fn joined(&mut self, authid: &str) {
        if let Some((_, sessions)) = self.authids.get_mut(authid) {
            self.absent -= usize::from(*sessions == 0);
            *sessions += 1;
        } else {
            self.authids.insert(authid.to_owned(), (Spent::default(), 1));
        }
    }

    /// It is there no more.
    pub(super) fn left(&mut self, authid: &str, now: Instant) {
        let Some((spent, sessions)) = self.authids.get_mut(authid) else {
            return;
        };
        *sessions = sessions.saturating_sub(1);
        if *sessions > 0 {
            return;
        }
        if spent.is_full(now) {
            self.authids.remove(authid);
            return;
        }
        self.absent += 1;
        if self.absent > MAX_ABSENT {
            self.authids
                .retain(|_, (spent, sessions)| *sessions > 0 || !spent.is_full(now));
            self.absent = self
                .authids
                .values()
                .filter(|(_, sessions)| *sessions == 0)
                .count();
            // All of them used something up within the last moments: then nothing is remembered rather than everything.
            if self.absent > MAX_ABSENT {
                self.authids.retain(|_, (_, sessions)| *sessions > 0);
                self.absent = 0;
            }
        }
    }

    /// Whether the log may be told now of a session that is refused.
    pub(super) fn may_tell(&mut self, now: Instant) -> bool {
        let due = self
            .told
            .is_none_or(|at| now.saturating_duration_since(at) >= TELL);
        if due {
            self.told = Some(now);
        }
        due
    }

    /// Takes one off what the session and its authid have. Only if both have one, so that who is refused does not pay.
    pub(super) fn allow(&mut self, what: Use, session: &mut Spent, authid: &str, now: Instant) -> bool {
        let rate = match what {
            Use::Call => self.calls,
            Use::Publish => self.publications,
            Use::Change => self.changes,
        };
        if rate.interval.is_none() {
            return true;
        }
        let Some((spent, _)) = self.authids.get_mut(authid) else {
            return false;
        };
        let (own, shared) = (session.of(what), spent.of(what));
        let allowed = own.has(rate, now) && shared.has(rate, now);
        if allowed {
            own.take(rate, now);
            shared.take(rate, now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(calls_per_second: u32, publications_per_second: u32) -> Rates {
        Rates::new(&Limits {
            calls_per_second,
            publications_per_second,
            ..Limits::default()
        })
    }

    fn spend(rates: &mut Rates, session: &mut Spent, authid: &str, now: Instant) -> usize {
        (0..1_000)
            .take_while(|_| rates.allow(Use::Call, session, authid, now))
            .count()
    }

    #[test]
    fn an_allowance_is_used_up_and_fills_again() {
        let (mut rates, mut session, start) = (rates(10, 0), Spent::default(), Instant::now());
        rates.joined("a");
        assert_eq!(spend(&mut rates, &mut session, "a", start), 20);
        let later = start + Duration::from_millis(500);
        assert_eq!(spend(&mut rates, &mut session, "a", later), 5);
        let much_later = start + Duration::from_secs(60);
        assert_eq!(spend(&mut rates, &mut session, "a", much_later), 20);
        assert!((0..1_000).all(|_| rates.allow(Use::Publish, &mut session, "a", start)));
    }

    #[test]
    fn the_log_is_told_once_a_second_at_most() {
        let (mut rates, start) = (rates(10, 10), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let told = [0, 1, 999, 1_000, 1_500, 2_100].map(|millis| rates.may_tell(at(millis)));
        assert_eq!(told, [true, false, false, true, false, true]);
    }

    #[test]
    fn the_sessions_of_an_authid_share_and_joining_anew_gives_nothing() {
        let (mut rates, start) = (rates(10, 10), Instant::now());
        let (mut one, mut other, mut stranger) = (Spent::default(), Spent::default(), Spent::default());
        rates.joined("a");
        rates.joined("a");
        rates.joined("b");
        assert_eq!(spend(&mut rates, &mut one, "a", start), 20);
        assert_eq!(spend(&mut rates, &mut other, "a", start), 0);
        assert_eq!(spend(&mut rates, &mut stranger, "b", start), 20);
        rates.left("a", start);
        rates.left("a", start);
        rates.joined("a");
        assert_eq!(spend(&mut rates, &mut Spent::default(), "a", start), 0);
        let later = start + Duration::from_secs(3);
        rates.left("a", later);
        assert!(!rates.authids.contains_key("a"), "a full allowance is kept");
    }

    #[test]
    fn however_many_authids_come_and_go_few_are_remembered() {
        let (mut rates, start) = (rates(10, 10), Instant::now());
        for number in 0..10 * MAX_ABSENT {
            let authid = number.to_string();
            rates.joined(&authid);
            assert!(rates.allow(Use::Call, &mut Spent::default(), &authid, start));
            rates.left(&authid, start);
            assert!(rates.authids.len() <= MAX_ABSENT + 1);
        }
    }

    #[test]
    fn another_rate_counts_at_once() {
        let (mut rates, mut session, start) = (rates(10, 0), Spent::default(), Instant::now());
        rates.joined("a");
        assert_eq!(spend(&mut rates, &mut session, "a", start), 20);
        let mut limits = Limits {
            calls_per_second: 100,
            ..Limits::default()
        };
        rates.change(&limits);
        // Two seconds of the former rate are still owed: nothing is given for having been changed.
        assert_eq!(spend(&mut rates, &mut session, "a", start), 0);
        let later = start + Duration::from_secs(2);
        assert_eq!(spend(&mut rates, &mut session, "a", later), 200);
        limits.calls_per_second = 0;
        rates.change(&limits);
        assert_eq!(spend(&mut rates, &mut session, "a", later), 1_000);
    }

    #[test]
    fn a_slow_rate_still_allows_one() {
        let (mut rates, mut session, start) = (rates(1, 1), Spent::default(), Instant::now());
        rates.joined("a");
        assert_eq!(spend(&mut rates, &mut session, "a", start), 2);
    }
}
