//! What stands behind the question mark of an address. Every value is an identifier, a number or a word, none of which needs
//! to be escaped, so none may be.

use super::problem::Problem;
use std::str::FromStr;

/// Entries on a page where nothing else is said.
const USUAL: usize = 50;
/// Entries on a page at most.
const MOST: usize = 200;
/// Characters of all of it: some cursors are 90.
const LONGEST: usize = 1024;

/// The parts of a query, in their order.
pub(super) struct Query<'q> {
    parts: Vec<(&'q str, &'q str)>,
}

impl<'q> Query<'q> {
    /// Takes a query apart, of which these names are known.
    ///
    /// # Errors
    ///
    /// If it is none, is too long, or names something else.
    pub(super) fn parse(text: Option<&'q str>, known: &[&str]) -> Result<Self, Problem> {
        let text = text.unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "=&._-".contains(c);
        if text.len() > LONGEST || !text.chars().all(plain) {
            return Err(Problem::bad(format!(
                "the query is none: at most {LONGEST} letters, digits, points, dashes and underscores, as NAME=VALUE with & between"
            )));
        }
        let mut parts = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !known.contains(&name) || parts.iter().any(|(there, _)| *there == name) {
                return Err(Problem::bad(format!(
                    "the query names `{name}`: it may name each of {} once",
                    known.join(", ")
                )));
            }
            if !value.is_empty() {
                parts.push((name, value));
            }
        }
        Ok(Self { parts })
    }

    /// A value as it came.
    pub(super) fn text(&self, name: &str) -> Option<&'q str> {
        let found = self.parts.iter().find(|(there, _)| *there == name);
        found.map(|(_, value)| *value)
    }

    /// A value of a kind.
    ///
    /// # Errors
    ///
    /// If it is none of that kind.
    pub(super) fn value<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|error| Problem::bad(format!("`{name}`: {error}")))
            })
            .transpose()
    }

    /// Bytes in hex.
    ///
    /// # Errors
    ///
    /// If they are none.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.text(name)
            .map(|text| hex::decode(text).map_err(|error| Problem::bad(format!("`{name}`: {error}"))))
            .transpose()
    }

    /// How many entries are asked for.
    ///
    /// # Errors
    ///
    /// If it is no number, or not one that there may be.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        match self.value("limit")? {
            None => Ok(USUAL),
            Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
            Some(limit) => Err(Problem::bad(format!("`limit` is {limit}: it may be 1 to {MOST}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_taken_apart_and_anything_else_is_named() {
        let query = Query::parse(Some("limit=7&api=0a0b&state="), &["limit", "api", "state"]).unwrap();
        assert_eq!((query.limit().unwrap(), query.text("state")), (7, None));
        assert_eq!(query.bytes("api").unwrap(), Some(vec![10, 11]));
        assert!(Query::parse(None, &[]).unwrap().limit().is_ok());
        for bad in [
            "limits=1",
            "limit=1&limit=2",
            "limit=%31",
            "limit=a b",
            "limit=é",
            &"l".repeat(2000),
        ] {
            assert!(Query::parse(Some(bad), &["limit"]).is_err(), "{bad}");
        }
        for bad in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=x",
            "limit=99999999999999999999",
        ] {
            let query = Query::parse(Some(bad), &["limit"]).unwrap();
            assert!(query.limit().is_err(), "{bad}");
        }
    }
}
