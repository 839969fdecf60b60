//! Options of requests. Absent or null an option is not given; of another type it is refused by its name, rather than left out.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;

use super::callees::Invoke;
use crate::uri::{Match, error};
use crate::value::{Dict, Value};

/// A text option.
pub(super) fn text<'a>(options: &'a Dict, name: &str) -> Result<Option<&'a str>, String> {
    match options.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text)),
        Some(other) => Err(format!("{name} must be a string, not {}", other.kind())),
    }
}

/// A flag.
pub(super) fn flag(options: &Dict, name: &str) -> Result<Option<bool>, String> {
    match options.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(format!("{name} must be true or false, not {}", other.kind())),
    }
}

/// A set, sent as a list of `what`, each of which is read by `read`.
pub(super) fn set<'a, T: Eq + Hash>(
    options: &'a Dict,
    name: &str,
    what: &str,
    read: fn(&'a Value) -> Option<T>,
) -> Result<Option<HashSet<T>>, String> {
    let items = match options.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_list().and_then(|list| list.iter().map(read).collect()),
    };
    items
        .map(Some)
        .ok_or_else(|| format!("{name} must be a list of {what}"))
}

/// How a REGISTER or SUBSCRIBE matches.
pub(super) fn matching(options: &Dict) -> Result<Match, String> {
    let name = text(options, "match")?;
    Match::parse(name).ok_or_else(|| {
        format!(
            "match is one of exact, prefix, wildcard, not {}",
            name.unwrap_or_default()
        )
    })
}

/// How a REGISTER has callees picked.
pub(super) fn invoke(options: &Dict) -> Result<Invoke, String> {
    let name = text(options, "invoke")?;
    Invoke::parse(name).ok_or_else(|| {
        let given = name.unwrap_or_default();
        format!("invoke is one of single, first, last, roundrobin, random, not {given}")
    })
}

/// What a CALL asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Whether its result may come in parts.
    pub(super) in_parts: bool,
    /// The time that its callee has.
    pub(super) timeout: Option<Duration>,
}

impl Asked {
    /// Reads it, with the URI of the error for what cannot be had. A `longest` time is had in place of a longer one.
    pub(super) fn of(options: &Dict, longest: Duration) -> Result<Self, (&'static str, String)> {
        let wrong = |text| (error::INVALID_ARGUMENT, text);
        if flag(options, "progress").map_err(wrong)? == Some(true) {
            let text =
                "calls whose arguments come in parts are not supported: send the call without progress";
            return Err((error::OPTION_NOT_ALLOWED, text.to_owned()));
        }
        Ok(Self {
            in_parts: flag(options, "receive_progress").map_err(wrong)? == Some(true),
            timeout: timeout(options, longest).map_err(wrong)?,
        })
    }
}

/// 0 is none, too.
fn timeout(options: &Dict, longest: Duration) -> Result<Option<Duration>, String> {
    let wrong = |given: String| format!("timeout must be a number of milliseconds, not {given}");
    let timeout = match options.get("timeout") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Int(milliseconds)) => milliseconds
            .as_u64()
            .map(Duration::from_millis)
            .ok_or_else(|| wrong(milliseconds.to_string()))?,
        Some(Value::Float(milliseconds)) => Duration::try_from_secs_f64(*milliseconds / 1000.0)
            .map_err(|_| wrong(milliseconds.to_string()))?,
        Some(other) => return Err(wrong(other.kind().to_owned())),
    };
    Ok((!timeout.is_zero()).then(|| timeout.min(longest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(600);

    fn options(name: &str, value: impl Into<Value>) -> Dict {
        Dict::from([(name.to_owned(), value.into())])
    }

    fn asked(name: &str, value: impl Into<Value>) -> Result<Asked, String> {
        Asked::of(&options(name, value), LONGEST).map_err(|(uri, text)| format!("{uri}: {text}"))
    }

    fn in_time(timeout: Option<Duration>) -> Result<Asked, String> {
        let in_parts = false;
        Ok(Asked { in_parts, timeout })
    }

    #[test]
    fn a_time_is_milliseconds_and_at_most_the_longest() {
        assert_eq!(
            asked("timeout", 250_u64),
            in_time(Some(Duration::from_millis(250)))
        );
        assert_eq!(
            asked("timeout", Value::Float(1.5)),
            in_time(Some(Duration::from_micros(1500)))
        );
        assert_eq!(asked("timeout", u64::MAX), in_time(Some(LONGEST)));
        for none in [Value::Null, 0_u64.into(), Value::Float(0.0)] {
            assert_eq!(asked("timeout", none), in_time(None));
        }
        for (wrong, named) in [
            (Value::Int((-1_i128).into()), "-1"),
            (Value::Float(f64::NAN), "NaN"),
            ("300".into(), "a string"),
        ] {
            assert_eq!(
                asked("timeout", wrong),
                Err(format!(
                    "wamp.error.invalid_argument: timeout must be a number of milliseconds, not {named}"
                ))
            );
        }
    }

    #[test]
    fn what_is_of_another_type_is_refused_by_name() {
        let said = asked("progress", "yes").unwrap_err();
        assert_eq!(
            said,
            "wamp.error.invalid_argument: progress must be true or false, not a string"
        );
        let said = asked("progress", true).unwrap_err();
        assert!(said.starts_with("wamp.error.option_not_allowed"), "{said}");
        let said = asked("receive_progress", 1_u64).unwrap_err();
        assert!(
            said.contains("receive_progress must be true or false, not an integer"),
            "{said}"
        );
        assert!(asked("receive_progress", true).unwrap().in_parts);
        assert_eq!(
            matching(&options("match", 5_u64)).unwrap_err(),
            "match must be a string, not an integer"
        );
        assert_eq!(
            matching(&options("match", "some")).unwrap_err(),
            "match is one of exact, prefix, wildcard, not some"
        );
        assert_eq!(
            invoke(&options("invoke", vec![Value::Null])).unwrap_err(),
            "invoke must be a string, not a list"
        );
        assert!(
            invoke(&options("invoke", "any"))
                .unwrap_err()
                .ends_with("random, not any")
        );
        assert_eq!(matching(&options("match", Value::Null)), Ok(Match::Exact));
        assert_eq!(invoke(&Dict::new()), Ok(Invoke::Single));
    }
}
