//! What clients of a role may do with the router: `[[wamp.role]]`. The router decides; this says it in its terms.

use super::check::Faults;
use anyhow::{Context, ensure};
use bourse_wamp::{Permissions, uri};
use serde::{Deserialize, Serialize};

/// Rules of one role at most: each call is held against them.
const MAX_RULES: usize = 1_000;

/// `[[wamp.role]]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name, as logins give it; `anonymous` for those without one. Never `marketmaker`.
    pub name: String,
    /// What it may do where; the most specific rule that says something decides.
    #[serde(default)]
    pub rule: Vec<RoleRule>,
}

/// `[[wamp.role.rule]]`: what is not given is left to less specific rules, and in the end to what everybody may.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// The URI, or the pattern of them.
    pub uri: String,
    /// How it is matched.
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// Whether the role may call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<bool>,
    /// Whether the role may register it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<bool>,
    /// Whether the role may publish to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<bool>,
    /// Whether the role may subscribe to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<bool>,
    /// Who is told of the role's sessions.
    #[serde(default)]
    pub disclose: Disclose,
}

/// How a URI is matched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// Whole.
    #[default]
    Exact,
    /// By what it begins with.
    Prefix,
    /// By its components; those left empty may be anything.
    Wildcard,
}

/// `disclose = { caller = …, publisher = … }`
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disclose {
    /// Whether callees are told who calls; they are, unless this is false. The market always is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<bool>,
    /// Whether subscribers are told who publishes; if nothing is said, where the publisher asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<bool>,
}

impl From<Match> for uri::Match {
    fn from(matching: Match) -> Self {
        match matching {
            Match::Exact => Self::Exact,
            Match::Prefix => Self::Prefix,
            Match::Wildcard => Self::Wildcard,
        }
    }
}

impl From<RoleRule> for bourse_wamp::Rule {
    fn from(rule: RoleRule) -> Self {
        Self {
            uri: rule.uri,
            matching: rule.matching.into(),
            call: rule.call,
            register: rule.register,
            publish: rule.publish,
            subscribe: rule.subscribe,
            disclose_caller: rule.disclose.caller,
            disclose_publisher: rule.disclose.publisher,
        }
    }
}

/// The permissions that the router is to hold clients to.
///
/// # Errors
///
/// Which role or rule cannot be, and why.
pub(crate) fn permissions(roles: &[Role]) -> anyhow::Result<Permissions> {
    let mut permissions = Permissions::default();
    let mut names = std::collections::BTreeSet::new();
    for Role { name, rule } in roles {
        ensure!(!name.is_empty(), "a [[wamp.role]] has no name");
        ensure!(names.insert(name), twice(name));
        ensure!(
            rule.len() <= MAX_RULES,
            "[[wamp.role]] {name} has {} rules: at most {MAX_RULES} are held against each call",
            rule.len()
        );
        for rule in rule {
            let about = format!("[[wamp.role.rule]] of {name} for {:?}", rule.uri);
            permissions
                .add(name, rule.clone().into())
                .with_context(|| about)?;
        }
    }
    Ok(permissions)
}

/// Notes which roles cannot be.
pub(super) fn check(roles: &[Role], faults: &mut Faults) {
    let mut known = std::collections::BTreeSet::new();
    for (index, role) in roles.iter().enumerate() {
        let key = format!("wamp.role.{index}");
        faults.check(key.as_str(), permissions(std::slice::from_ref(role)).map(drop));
        faults.unless(known.insert(&role.name), &key, || twice(&role.name));
    }
}

fn twice(name: &str) -> String {
    format!("[[wamp.role]] {name} is there twice: put its rules together")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(toml: &str) -> anyhow::Result<Permissions> {
        let config: Config = toml::from_str(toml)?;
        permissions(&config.wamp.role)
    }

    #[test]
    fn rules_are_read_as_they_are_documented() {
        let text = r#"
            [[wamp.role]]
            name = "viewer"

            [[wamp.role.rule]]
            uri = ""
            match = "prefix"
            register = false
            publish = false

            [[wamp.role.rule]]
            uri = "xbr.marketmaker.buy_key"
            call = false
            disclose = { publisher = false }

            [[wamp.role]]
            name = "auditor"
        "#;
        read(text).unwrap();
        let config: Config = toml::from_str(text).unwrap();
        let again: Config = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(
            format!("{:?}", config.wamp.role),
            format!("{:?}", again.wamp.role)
        );
    }

    #[test]
    fn a_rule_that_cannot_be_is_named() {
        for (rule, said) in [
            ("uri = \"a..b\"", "must not have an empty component"),
            ("uri = \"a\"\nmatch = \"some\"", "some"),
            ("uri = \"a\"\nallow = true", "allow"),
            ("match = \"prefix\"", "uri"),
        ] {
            let text = format!("[[wamp.role]]\nname = \"viewer\"\n[[wamp.role.rule]]\n{rule}");
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
        let twice = "[[wamp.role]]\nname = \"a\"\n[[wamp.role]]\nname = \"a\"";
        assert!(format!("{:#}", read(twice).unwrap_err()).contains("a is there twice"));
        let own = "[[wamp.role]]\nname = \"marketmaker\"\n[[wamp.role.rule]]\nuri = \"a\"";
        assert!(format!("{:#}", read(own).unwrap_err()).contains("takes no rules"));
    }
}
