//! Who may have an event, as its publisher says it in the options of PUBLISH. What is meant for few must not go to all because
//! their list could not be read.

use std::collections::HashSet;
use std::hash::Hash;

use super::observer::SessionInfo;
use super::options::{flag, set};
use crate::value::{Dict, Value};

/// The sessions that an event is for, and what it tells of its publisher.
#[derive(Debug)]
pub(super) struct Audience<'a> {
    /// Whether its publisher is told to those who get it.
    pub(super) discloses: bool,
    /// Whether its publisher may get it too.
    publisher: bool,
    sessions: Choice<u64>,
    authids: Choice<&'a str>,
    roles: Choice<&'a str>,
}

/// Those that are eligible, or all, without those that are excluded.
#[derive(Debug)]
struct Choice<T> {
    eligible: Option<HashSet<T>>,
    excluded: HashSet<T>,
}

impl<T: Eq + Hash> Choice<T> {
    fn has(&self, one: &T) -> bool {
        let eligible = self
            .eligible
            .as_ref()
            .is_none_or(|eligible| eligible.contains(one));
        eligible && !self.excluded.contains(one)
    }
}

impl<'a> Audience<'a> {
    /// Reads it, or says which option is wrong.
    pub(super) fn of(options: &'a Dict) -> Result<Self, String> {
        let sessions = |name| set(options, name, "session ids", Value::as_u64);
        let names = |name| set(options, name, "strings", Value::as_str);
        Ok(Self {
            discloses: flag(options, "disclose_me")? == Some(true),
            publisher: flag(options, "exclude_me")? == Some(false),
            sessions: Choice {
                eligible: sessions("eligible")?,
                excluded: sessions("exclude")?.unwrap_or_default(),
            },
            authids: Choice {
                eligible: names("eligible_authid")?,
                excluded: names("exclude_authid")?.unwrap_or_default(),
            },
            roles: Choice {
                eligible: names("eligible_authrole")?,
                excluded: names("exclude_authrole")?.unwrap_or_default(),
            },
        })
    }

    /// The only sessions that may be in it, where they are named.
    pub(super) fn named(&self) -> Option<&HashSet<u64>> {
        self.sessions.eligible.as_ref()
    }

    /// Whether a session is in the audience of what `publisher` publishes.
    pub(super) fn has(&self, session: &SessionInfo, publisher: u64) -> bool {
        (self.publisher || session.id != publisher)
            && self.sessions.has(&session.id)
            && self.authids.has(&session.authid.as_str())
            && self.roles.has(&session.role.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::auth::{AuthMethod, Transport};

    const PUBLISHER: u64 = 1;
    const NOBODY: [u64; 0] = [];

    fn session(id: u64) -> SessionInfo {
        SessionInfo {
            id,
            authid: format!("authid{id}"),
            role: ["even", "odd"][usize::from(id % 2 == 1)].to_owned(),
            method: AuthMethod::Anonymous,
            transport: Transport::InProcess,
            peer: None,
        }
    }

    /// Who of the sessions 1 to 4 gets what the first publishes.
    fn audience<const N: usize>(options: [(&str, Value); N]) -> Vec<u64> {
        let options = options.map(|(name, value)| (name.to_owned(), value));
        let options = Dict::from(options);
        let audience = Audience::of(&options).unwrap();
        let has = |id: &u64| audience.has(&session(*id), PUBLISHER);
        (1..=4).filter(has).collect()
    }

    fn list<T: Into<Value>, const N: usize>(items: [T; N]) -> Value {
        Value::List(items.map(Into::into).into())
    }

    #[test]
    fn all_but_the_publisher_get_an_event_unless_it_says_otherwise() {
        assert_eq!(audience([]), [2, 3, 4]);
        assert_eq!(audience([("exclude_me", true.into())]), [2, 3, 4]);
        assert_eq!(audience([("exclude_me", false.into())]), [1, 2, 3, 4]);
        assert_eq!(audience([("eligible", list([1_u64, 2, 9]))]), [2]);
        assert_eq!(audience([("eligible", Value::List(Vec::new()))]), NOBODY);
        assert_eq!(
            audience([("eligible", Value::Null), ("exclude", Value::Null)]),
            [2, 3, 4]
        );
        assert_eq!(audience([("exclude", list([2_u64]))]), [3, 4]);
        assert_eq!(audience([("eligible_authid", list(["authid3"]))]), [3]);
        assert_eq!(audience([("exclude_authid", list(["authid3"]))]), [2, 4]);
        assert_eq!(audience([("eligible_authrole", list(["even"]))]), [2, 4]);
        assert_eq!(audience([("exclude_authrole", list(["even"]))]), [3]);
    }

    #[test]
    fn restrictions_add_up() {
        let (two, even) = (list([2_u64]), list(["even"]));
        assert_eq!(
            audience([("exclude", two.clone()), ("eligible_authrole", even.clone())]),
            [4]
        );
        assert_eq!(
            audience([("eligible", two.clone()), ("exclude", two.clone())]),
            NOBODY
        );
        assert_eq!(audience([("eligible", two), ("exclude_authrole", even)]), NOBODY);
    }

    #[test]
    fn options_that_cannot_be_read_are_refused_by_name() {
        let wrong = |name: &str, value: Value| {
            let options = Dict::from([(name.to_owned(), value)]);
            Audience::of(&options).map(drop).unwrap_err()
        };
        for name in ["eligible", "exclude"] {
            for bad in [
                Value::from(7_u64),
                "7".into(),
                list(["7"]),
                list([Value::from(7_u64), Value::Null]),
            ] {
                assert_eq!(wrong(name, bad), format!("{name} must be a list of session ids"));
            }
        }
        for name in [
            "eligible_authid",
            "eligible_authrole",
            "exclude_authid",
            "exclude_authrole",
        ] {
            for bad in ["alice".into(), list([7_u64])] {
                assert_eq!(wrong(name, bad), format!("{name} must be a list of strings"));
            }
        }
        for name in ["exclude_me", "disclose_me"] {
            let text = wrong(name, 1_u64.into());
            assert_eq!(text, format!("{name} must be true or false, not an integer"));
        }
        assert!(Audience::of(&Dict::from([("x_other".to_owned(), 1_u64.into())])).is_ok());
    }
}
