//! The sessions that share a registration, and which of them gets the next call.

/// How a registration picks its callees, as the WAMP specification names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invoke {
    /// There is one.
    Single,
    /// Whoever came first.
    First,
    /// Whoever came last.
    Last,
    /// One after the other.
    RoundRobin,
    /// Anybody.
    Random,
}

impl Invoke {
    const ALL: [Self; 5] = [
        Self::Single,
        Self::First,
        Self::Last,
        Self::RoundRobin,
        Self::Random,
    ];

    /// The policy that a REGISTER asks for; none where that is no policy.
    pub(super) fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("") => Some(Self::Single),
            Some(name) => Self::ALL.into_iter().find(|invoke| invoke.name() == name),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::First => "first",
            Self::Last => "last",
            Self::RoundRobin => "roundrobin",
            Self::Random => "random",
        }
    }
}

/// The callees of one registration, in the order in which they came.
pub(super) struct Callees {
    invoke: Invoke,
    sessions: Vec<u64>,
    /// Whose turn it is.
    turn: usize,
}

impl Callees {
    pub(super) fn new(invoke: Invoke, session: u64) -> Self {
        Self {
            invoke,
            sessions: vec![session],
            turn: 0,
        }
    }

    /// Takes one more in; false if it cannot share the registration in this way.
    pub(super) fn join(&mut self, invoke: Invoke, session: u64) -> bool {
        let shares = invoke == self.invoke && invoke != Invoke::Single && !self.sessions.contains(&session);
        if shares {
            self.sessions.push(session);
        }
        shares
    }

    /// Takes one off; turns begin anew with the first.
    pub(super) fn leave(&mut self, session: u64) {
        self.sessions.retain(|callee| *callee != session);
        self.turn = 0;
    }

    /// Who gets the next call.
    pub(super) fn next(&mut self) -> Option<u64> {
        match self.invoke {
            Invoke::Single | Invoke::First => self.sessions.first(),
            Invoke::Last => self.sessions.last(),
            Invoke::RoundRobin => {
                let callee = self.sessions.get(self.turn);
                self.turn = (self.turn + 1).checked_rem(self.sessions.len())?;
                callee
            }
            Invoke::Random if self.sessions.is_empty() => None,
            Invoke::Random => self.sessions.get(rand::random_range(..self.sessions.len())),
        }
        .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn three(invoke: Invoke) -> Callees {
        let mut callees = Callees::new(invoke, 5);
        assert!(callees.join(invoke, 9));
        assert!(callees.join(invoke, 7));
        callees
    }

    fn calls(callees: &mut Callees, count: usize) -> Vec<u64> {
        (0..count).map(|_| callees.next().unwrap()).collect()
    }

    #[test]
    fn each_policy_picks_in_its_way() {
        assert_eq!(calls(&mut three(Invoke::First), 3), [5, 5, 5]);
        assert_eq!(calls(&mut three(Invoke::Last), 3), [7, 7, 7]);
        assert_eq!(calls(&mut three(Invoke::RoundRobin), 4), [5, 9, 7, 5]);
        // Each is missed with a chance of (2/3)^200.
        let picked: BTreeSet<u64> = calls(&mut three(Invoke::Random), 200).into_iter().collect();
        assert_eq!(picked, BTreeSet::from([5, 7, 9]));
    }

    #[test]
    fn whoever_has_left_is_not_picked() {
        for invoke in [Invoke::First, Invoke::Last, Invoke::RoundRobin, Invoke::Random] {
            let mut callees = three(invoke);
            calls(&mut callees, 2);
            callees.leave(5);
            callees.leave(7);
            assert_eq!(calls(&mut callees, 3), [9, 9, 9], "{invoke:?}");
            callees.leave(9);
            assert_eq!(callees.next(), None, "{invoke:?}");
        }
    }

    #[test]
    fn a_registration_is_shared_in_the_way_it_was_made_and_once_by_each() {
        let mut single = Callees::new(Invoke::Single, 5);
        assert!(!single.join(Invoke::Single, 9));
        let mut first = Callees::new(Invoke::First, 5);
        assert!(!first.join(Invoke::Last, 9));
        assert!(!first.join(Invoke::First, 5));
        assert!(first.join(Invoke::First, 9));
    }

    #[test]
    fn policies_are_read_by_their_names() {
        for invoke in Invoke::ALL {
            assert_eq!(Invoke::parse(Some(invoke.name())), Some(invoke));
        }
        assert_eq!(Invoke::parse(None), Some(Invoke::Single));
        assert_eq!(Invoke::parse(Some("")), Some(Invoke::Single));
        assert_eq!(Invoke::parse(Some("Single")), None);
    }
}
