//! Who may have an event, as its publisher says it in the options of PUBLISH. The broker reads them and leaves out what
//! it cannot read; what is meant for few must not go to all for that.

use crate::value::{Dict, Value};

/// Lists of sessions.
const SESSIONS: [&str; 2] = ["eligible", "exclude"];
/// Lists of names.
const NAMES: [&str; 4] = [
    "eligible_authid",
    "eligible_authrole",
    "exclude_authid",
    "exclude_authrole",
];
const FLAGS: [&str; 2] = ["exclude_me", "disclose_me"];

/// What is wrong with the options, if anything is.
pub(super) fn malformed(options: &Dict) -> Option<String> {
    let wrong = |names: &[&'static str], right: fn(&Value) -> bool| {
        names.iter().copied().find(|name| {
            options
                .get(*name)
                .is_some_and(|value| !value.is_null() && !right(value))
        })
    };
    if let Some(name) = wrong(&SESSIONS, |value| {
        value
            .as_list()
            .is_some_and(|list| list.iter().all(|id| id.as_u64().is_some()))
    }) {
        return Some(format!("{name} must be a list of session ids"));
    }
    if let Some(name) = wrong(&NAMES, |value| {
        value
            .as_list()
            .is_some_and(|list| list.iter().all(|name| name.as_str().is_some()))
    }) {
        return Some(format!("{name} must be a list of strings"));
    }
    wrong(&FLAGS, |value| value.as_bool().is_some()).map(|name| format!("{name} must be true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_would_be_left_out_are_refused_by_name() {
        let check = |name: &str, value: Value| malformed(&Dict::from([(name.to_owned(), value)]));
        for name in SESSIONS {
            assert_eq!(check(name, vec![Value::from(7_u64)].into()), None);
            assert_eq!(check(name, Value::List(Vec::new())), None);
            assert_eq!(check(name, Value::Null), None);
            for bad in [Value::from(7_u64), "7".into(), vec![Value::from("7")].into()] {
                assert!(check(name, bad).unwrap().starts_with(name));
            }
        }
        for name in NAMES {
            assert_eq!(check(name, vec![Value::from("alice")].into()), None);
            for bad in [Value::from("alice"), vec![Value::from(7_u64)].into()] {
                assert!(check(name, bad).unwrap().starts_with(name));
            }
        }
        for name in FLAGS {
            assert_eq!(check(name, true.into()), None);
            assert!(check(name, 1_u64.into()).unwrap().starts_with(name));
        }
        assert_eq!(check("x_other", 1_u64.into()), None);
    }
}
