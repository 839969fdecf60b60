//! Which URIs are well formed (the loose rules of the WAMP specification), and the error URIs used here.

use crate::limits::{MAX_URI, MAX_WILDCARD};

/// Errors and reasons that the router and the client session use.
pub mod error {
    #![allow(
        missing_docs,
        reason = "the constants are the names in the WAMP specification"
    )]

    pub const CANCELED: &str = "wamp.error.canceled";
    pub const TIMEOUT: &str = "wamp.error.timeout";
    pub const INVALID_URI: &str = "wamp.error.invalid_uri";
    pub const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
    pub const INVALID_PAYLOAD: &str = "wamp.error.invalid_payload";
    pub const RUNTIME_ERROR: &str = "wamp.error.runtime_error";
    pub const NOT_AUTHORIZED: &str = "wamp.error.not_authorized";
    pub const NO_SUCH_PROCEDURE: &str = "wamp.error.no_such_procedure";
    pub const NO_SUCH_REALM: &str = "wamp.error.no_such_realm";
    pub const NO_SUCH_SESSION: &str = "wamp.error.no_such_session";
    pub const NO_SUCH_REGISTRATION: &str = "wamp.error.no_such_registration";
    pub const NO_SUCH_SUBSCRIPTION: &str = "wamp.error.no_such_subscription";
    pub const NO_MATCHING_AUTH_METHOD: &str = "wamp.error.no_matching_auth_method";
    pub const AUTHENTICATION_FAILED: &str = "wamp.error.authentication_failed";
    pub const PROCEDURE_ALREADY_EXISTS: &str = "wamp.error.procedure_already_exists";
    pub const OPTION_NOT_ALLOWED: &str = "wamp.error.option_not_allowed";
    pub const PROTOCOL_VIOLATION: &str = "wamp.error.protocol_violation";
    pub const PAYLOAD_SIZE_EXCEEDED: &str = "wamp.error.payload_size_exceeded";
    pub const RESOURCE_LIMIT: &str = "wamp.error.resource_limit_exceeded";
    pub const UNAVAILABLE: &str = "wamp.error.unavailable";
    /// Ours: more work than the market maker takes on at once.
    pub const OVERLOADED: &str = "bourse.error.overloaded";

    pub const CLOSE_REALM: &str = "wamp.close.close_realm";
    pub const GOODBYE_AND_OUT: &str = "wamp.close.goodbye_and_out";
    pub const SYSTEM_SHUTDOWN: &str = "wamp.close.system_shutdown";
    pub const KILLED: &str = "wamp.close.killed";
}

/// How a registration, a subscription or a rule matches URIs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Match {
    /// The whole URI.
    #[default]
    Exact,
    /// What it begins with.
    Prefix,
    /// Each component that is not left empty.
    Wildcard,
}

impl Match {
    /// The name in options and configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Wildcard => "wildcard",
        }
    }

    /// Reads the name; none is `exact`.
    #[must_use]
    pub fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "exact") => Some(Self::Exact),
            Some("prefix") => Some(Self::Prefix),
            Some("wildcard") => Some(Self::Wildcard),
            Some(_) => None,
        }
    }
}

/// Why `uri` is not well formed, if it is not. Patterns may have empty components, and a prefix may be empty.
pub(crate) fn malformed(uri: &str, matching: Match) -> Option<String> {
    if uri.len() > MAX_URI {
        return Some(format!(
            "a URI of {} bytes, at most {MAX_URI} are accepted",
            uri.len()
        ));
    }
    if let Some(bad) = uri
        .chars()
        .find(|c| *c == '#' || c.is_whitespace() || c.is_control())
    {
        return Some(format!("the URI {uri:?} must not contain {bad:?}"));
    }
    match matching {
        Match::Exact if uri.split('.').any(str::is_empty) => {
            Some(format!("the URI {uri:?} must not have an empty component"))
        }
        // Who writes these means a glob, which would match nothing.
        Match::Wildcard if uri.contains(['*', '?', '[', '\\']) => Some(format!(
            "the wildcard {uri:?} marks free components by leaving them empty"
        )),
        _ => None,
    }
}

/// Why nothing can be registered or subscribed to under `uri`, if nothing can be.
pub(crate) fn unserved(uri: &str, matching: Match) -> Option<String> {
    let components = uri.split('.').count();
    malformed(uri, matching).or_else(|| {
        let long = matching == Match::Wildcard && components > MAX_WILDCARD;
        long.then(|| {
            format!("the wildcard {uri:?} has {components} components, at most {MAX_WILDCARD} are accepted")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_uris_have_no_empty_components_and_patterns_may() {
        for good in ["a", "xbr.marketmaker.get_quote", "delegate.0xaB-1", "münze.ü"] {
            assert_eq!(malformed(good, Match::Exact), None, "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a#b", "a\nb", "a\0"] {
            assert!(malformed(bad, Match::Exact).is_some(), "{bad:?}");
        }
        assert_eq!(malformed("", Match::Prefix), None);
        assert_eq!(malformed("a..b", Match::Wildcard), None);
        assert!(malformed("a.*.b", Match::Wildcard).is_some());
        assert!(malformed(&"a".repeat(MAX_URI + 1), Match::Exact).is_some());
    }

    #[test]
    fn a_wildcard_to_be_looked_for_is_no_longer_than_there_are_shapes_for() {
        let (most, more) = (".".repeat(MAX_WILDCARD - 1), ".".repeat(MAX_WILDCARD));
        assert_eq!(unserved(&most, Match::Wildcard), None);
        assert!(
            unserved(&more, Match::Wildcard)
                .unwrap()
                .contains("has 8 components, at most 7")
        );
        assert_eq!(malformed(&more, Match::Wildcard), None, "a rule may be longer");
        assert_eq!(unserved(&more, Match::Prefix), None);
        assert!(unserved("a.*.b", Match::Wildcard).is_some());
    }
}
