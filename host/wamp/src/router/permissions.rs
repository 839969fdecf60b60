//! What an operator allows each role: rules by URI, of which the most specific one decides.
//!
//! Rules take away what the built-in guard (`gate`) leaves open; they never open what it keeps shut, but for the
//! router's own procedures and topics under `wamp.`, and those only by a rule that is about `wamp.` itself. Nothing
//! here knows sessions or the state of a realm.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::auth::ROLE_MARKETMAKER;
use super::pattern::Pattern;
use crate::uri::{self, Match};

/// The router's own namespace.
pub(super) const WAMP: &str = "wamp.";

/// One rule of a role. What it leaves open (`None`) is decided by the next less specific rule that does not, and in
/// the end by what everybody may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The URI, or the pattern of URIs, that the rule is about.
    pub uri: String,
    /// How `uri` is matched.
    pub matching: Match,
    /// Whether the role may call it.
    pub call: Option<bool>,
    /// Whether the role may register it.
    pub register: Option<bool>,
    /// Whether the role may publish to it.
    pub publish: Option<bool>,
    /// Whether the role may subscribe to it.
    pub subscribe: Option<bool>,
    /// Whether callees are told who calls. They are, unless a rule says otherwise.
    pub disclose_caller: Option<bool>,
    /// Whether subscribers are told who publishes. They are if the publisher asks for it, unless a rule says otherwise.
    pub disclose_publisher: Option<bool>,
}

/// Why a rule cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The pattern is malformed.
    #[error("the role {role}: {why}")]
    Malformed {
        /// The role.
        role: String,
        /// What is wrong.
        why: String,
    },
    /// There is a rule for this pattern.
    #[error("the role {role} has two rules for {uri:?}: make them one")]
    Twice {
        /// The role.
        role: String,
        /// The pattern.
        uri: String,
    },
    /// The market maker is not ruled.
    #[error("the role {ROLE_MARKETMAKER} serves the market and takes no rules")]
    MarketMaker,
}

/// What a session wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Call,
    Register,
    Publish,
    Subscribe,
}

impl Action {
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Register => "register",
            Self::Publish => "publish to",
            Self::Subscribe => "subscribe to",
        }
    }
}

impl Rule {
    fn says(&self, action: Action) -> Option<bool> {
        match action {
            Action::Call => self.call,
            Action::Register => self.register,
            Action::Publish => self.publish,
            Action::Subscribe => self.subscribe,
        }
    }

    fn pattern(&self) -> Pattern<'_> {
        Pattern::new(&self.uri, self.matching)
    }
}

/// The rules of each role, the most specific first: whole URIs, then wildcards, those with more components given
/// before others, then prefixes, longer ones before shorter ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    roles: HashMap<String, Vec<Rule>>,
}

impl Permissions {
    /// Adds a rule for a role.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn add(&mut self, role: impl Into<String>, rule: Rule) -> Result<(), RuleError> {
        let role = role.into();
        if role == ROLE_MARKETMAKER {
            return Err(RuleError::MarketMaker);
        }
        if let Some(why) = uri::malformed(&rule.uri, rule.matching) {
            return Err(RuleError::Malformed { role, why });
        }
        let rules = self.roles.entry(role.clone()).or_default();
        if rules.iter().any(|other| other.pattern() == rule.pattern()) {
            return Err(RuleError::Twice { role, uri: rule.uri });
        }
        rules.push(rule);
        rules.sort_by_cached_key(|rule| Reverse(rule.pattern().specificity()));
        Ok(())
    }

    /// What the rules of a role say of an action on a pattern, or on a whole URI: for a pattern, yes only if it is yes
    /// for every URI that it matches.
    pub(super) fn decide(&self, role: &str, action: Action, pattern: Pattern<'_>) -> Option<bool> {
        let rules = self.roles.get(role)?;
        // Under wamp., where nothing is open, a rule for everything is not meant.
        let about = |rule: &&Rule| !pattern.within(WAMP) || rule.uri.starts_with(WAMP);
        for rule in rules.iter().filter(about) {
            let Some(says) = rule.says(action) else {
                continue;
            };
            if rule.pattern().covers(pattern) {
                return Some(says);
            }
            // It is more specific than whatever covers the pattern whole.
            if !says && rule.pattern().meets(pattern) {
                return Some(false);
            }
        }
        None
    }

    /// Whether a callee is told who calls it, as far as rules say it.
    pub(super) fn discloses_caller(&self, role: &str, procedure: &str) -> Option<bool> {
        self.first(role, procedure, |rule| rule.disclose_caller)
    }

    /// Whether subscribers are told who publishes, as far as rules say it.
    pub(super) fn discloses_publisher(&self, role: &str, topic: &str) -> Option<bool> {
        self.first(role, topic, |rule| rule.disclose_publisher)
    }

    fn first(&self, role: &str, uri: &str, says: impl Fn(&Rule) -> Option<bool>) -> Option<bool> {
        let whole = Pattern::new(uri, Match::Exact);
        self.roles
            .get(role)?
            .iter()
            .filter(|rule| rule.pattern().covers(whole))
            .find_map(says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(uri: &str, matching: Match, call: bool, subscribe: bool) -> Rule {
        Rule {
            uri: uri.into(),
            matching,
            call: Some(call),
            subscribe: Some(subscribe),
            ..Rule::default()
        }
    }

    fn permissions(rules: &[Rule]) -> Permissions {
        let mut permissions = Permissions::default();
        for rule in rules {
            permissions.add("viewer", rule.clone()).unwrap();
        }
        permissions
    }

    fn may_call(permissions: &Permissions, uri: &str) -> Option<bool> {
        permissions.decide("viewer", Action::Call, Pattern::new(uri, Match::Exact))
    }

    fn may_subscribe(permissions: &Permissions, uri: &str, matching: Match) -> Option<bool> {
        permissions.decide("viewer", Action::Subscribe, Pattern::new(uri, matching))
    }

    #[test]
    fn the_most_specific_rule_decides_whatever_the_order_of_the_rules() {
        let mut rules = vec![
            rule("", Match::Prefix, false, false),
            rule("com.app.", Match::Prefix, true, true),
            rule("com.app.secret.", Match::Prefix, false, false),
            rule("com..get", Match::Wildcard, true, true),
            rule("com.app.set", Match::Exact, false, false),
        ];
        for _ in 0..2 {
            let permissions = permissions(&rules);
            for (uri, expected) in [
                ("org.app", false),
                ("com.app.list", true),
                ("com.app.secret.list", false),
                ("com.other.get", true),
                ("com.app.get", true),
                ("com.app.set", false),
                ("com.app.set.all", true),
            ] {
                assert_eq!(may_call(&permissions, uri), Some(expected), "{uri}");
            }
            rules.reverse();
        }
    }

    #[test]
    fn a_rule_decides_only_what_it_speaks_of() {
        let open = Rule {
            uri: "com.app.x".into(),
            register: Some(true),
            ..Rule::default()
        };
        let permissions = permissions(&[rule("com.", Match::Prefix, false, true), open]);
        assert_eq!(may_call(&permissions, "com.app.x"), Some(false));
        assert_eq!(may_call(&permissions, "org.app.x"), None);
        let whole = Pattern::new("com.app.x", Match::Exact);
        assert_eq!(permissions.decide("viewer", Action::Register, whole), Some(true));
        assert_eq!(permissions.decide("viewer", Action::Publish, whole), None);
        assert_eq!(permissions.decide("other", Action::Call, whole), None);
    }

    #[test]
    fn a_pattern_is_allowed_only_where_every_uri_that_it_matches_is() {
        let permissions = permissions(&[
            rule("com.app.", Match::Prefix, true, true),
            rule("com.app.secret", Match::Exact, false, false),
            rule("com.app.vault.", Match::Prefix, false, false),
            rule("org..hidden", Match::Wildcard, false, false),
        ]);
        for (uri, matching, expected) in [
            ("com.app.", Match::Prefix, Some(false)),
            ("com.app.public.", Match::Prefix, Some(true)),
            ("com.app.sec", Match::Prefix, Some(false)),
            ("com.app.vault.x.", Match::Prefix, Some(false)),
            ("com.", Match::Prefix, Some(false)),
            ("com.app.", Match::Wildcard, Some(false)),
            ("com.app.public.", Match::Wildcard, Some(true)),
            ("org.a.", Match::Wildcard, Some(false)),
            ("org.", Match::Prefix, Some(false)),
            ("org.a.b.", Match::Wildcard, None),
            ("net.", Match::Prefix, None),
        ] {
            assert_eq!(
                may_subscribe(&permissions, uri, matching),
                expected,
                "{uri:?} {matching:?}"
            );
        }
    }

    #[test]
    fn under_wamp_only_a_rule_about_wamp_counts() {
        let everything = permissions(&[rule("", Match::Prefix, true, true)]);
        assert_eq!(may_call(&everything, "wamp.session.kill"), None);
        assert_eq!(may_call(&everything, "com.app"), Some(true));
        let meta = permissions(&[
            rule("wamp.session.", Match::Prefix, true, true),
            rule("wamp.session.kill", Match::Exact, false, false),
        ]);
        assert_eq!(may_call(&meta, "wamp.session.list"), Some(true));
        assert_eq!(may_call(&meta, "wamp.session.kill"), Some(false));
        assert_eq!(may_call(&meta, "wamp.registration.list"), None);
    }

    #[test]
    fn rules_say_who_is_told_of_whom() {
        let quiet = Rule {
            uri: "com.".into(),
            matching: Match::Prefix,
            disclose_caller: Some(false),
            disclose_publisher: Some(true),
            ..Rule::default()
        };
        let permissions = permissions(&[quiet]);
        assert_eq!(permissions.discloses_caller("viewer", "com.app"), Some(false));
        assert_eq!(permissions.discloses_publisher("viewer", "com.app"), Some(true));
        assert_eq!(permissions.discloses_caller("viewer", "org.app"), None);
    }

    #[test]
    fn malformed_double_and_presumptuous_rules_are_refused() {
        let mut permissions = permissions(&[rule("com.app", Match::Exact, true, true)]);
        let mut add = |role: &str, uri: &str, matching| {
            permissions
                .add(role, rule(uri, matching, true, true))
                .map_err(|error| error.to_string())
        };
        assert_eq!(add("viewer", "com.app", Match::Prefix), Ok(()));
        for (role, uri, text) in [
            (
                "viewer",
                "com.app",
                "the role viewer has two rules for \"com.app\"",
            ),
            ("viewer", "com..app", "must not have an empty component"),
            ("marketmaker", "com.app", "takes no rules"),
        ] {
            let error = add(role, uri, Match::Exact).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
