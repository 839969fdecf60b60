//! Patterns of URIs compared with each other: which is more specific, which covers which, which have a URI in common.

use crate::uri::Match;

/// A URI, or a pattern of URIs. A prefix covers what begins with its text; a wildcard has as many components as what it
/// matches, the free ones empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern<'a> {
    text: &'a str,
    matching: Match,
}

/// How specific a pattern is, the more the greater: whole URIs, wildcards by how many of their components are given and
/// how far left, prefixes by their length. No two patterns that cover the same URI have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Specificity {
    Prefix(usize),
    Wildcard(usize, Vec<bool>),
    Exact,
}

impl<'a> Pattern<'a> {
    pub(super) fn new(text: &'a str, matching: Match) -> Self {
        Self { text, matching }
    }

    pub(super) fn specificity(self) -> Specificity {
        match self.matching {
            Match::Exact => Specificity::Exact,
            Match::Prefix => Specificity::Prefix(self.text.len()),
            Match::Wildcard => {
                let given: Vec<bool> = self.parts().map(|part| !part.is_empty()).collect();
                Specificity::Wildcard(given.iter().filter(|given| **given).count(), given)
            }
        }
    }

    fn parts(self) -> impl Iterator<Item = &'a str> {
        self.text.split('.')
    }

    /// Whether it matches this URI.
    #[cfg(test)]
    pub(super) fn matches(self, uri: &str) -> bool {
        self.covers(Pattern::new(uri, Match::Exact))
    }

    /// Whether all that it matches begins with `namespace`, which ends with a dot.
    pub(super) fn within(self, namespace: &str) -> bool {
        Pattern::new(namespace, Match::Prefix).covers(self)
    }

    /// Whether it matches every URI that `other` matches.
    pub(super) fn covers(self, other: Pattern<'_>) -> bool {
        match (self.matching, other.matching) {
            (Match::Exact, Match::Exact) => self.text == other.text,
            (Match::Prefix, Match::Exact | Match::Prefix) => other.text.starts_with(self.text),
            (Match::Prefix, Match::Wildcard) => other.fixed().starts_with(self.text),
            (Match::Wildcard, Match::Exact | Match::Wildcard) => {
                self.parts().count() == other.parts().count()
                    && self
                        .parts()
                        .zip(other.parts())
                        .all(|(ours, theirs)| ours.is_empty() || ours == theirs)
            }
            (Match::Exact, Match::Prefix | Match::Wildcard) | (Match::Wildcard, Match::Prefix) => false,
        }
    }

    /// Whether there is a URI that both match.
    pub(super) fn meets(self, other: Pattern<'_>) -> bool {
        match (self.matching, other.matching) {
            (Match::Exact, _) => other.covers(self),
            (_, Match::Exact) => self.covers(other),
            (Match::Prefix, Match::Prefix) => {
                self.text.starts_with(other.text) || other.text.starts_with(self.text)
            }
            (Match::Wildcard, Match::Wildcard) => {
                self.parts().count() == other.parts().count()
                    && self
                        .parts()
                        .zip(other.parts())
                        .all(|(ours, theirs)| ours.is_empty() || theirs.is_empty() || ours == theirs)
            }
            (Match::Prefix, Match::Wildcard) => prefix_meets(self.text, other),
            (Match::Wildcard, Match::Prefix) => prefix_meets(other.text, self),
        }
    }

    /// What every match of a wildcard begins with.
    fn fixed(self) -> &'a str {
        let mut length = 0;
        for part in self.parts().take_while(|part| !part.is_empty()) {
            length += part.len() + 1;
        }
        self.text.get(..length).unwrap_or(self.text)
    }
}

/// Whether a match of `wildcard` begins with `prefix`, whose last component may be the beginning of one.
fn prefix_meets(prefix: &str, wildcard: Pattern<'_>) -> bool {
    let components = prefix.split('.').count();
    components <= wildcard.parts().count()
        && prefix
            .split('.')
            .zip(wildcard.parts())
            .enumerate()
            .all(|(position, (part, given))| {
                given.is_empty()
                    || if position + 1 == components {
                        given.starts_with(part)
                    } else {
                        given == part
                    }
            })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALPHABET: [&str; 3] = ["a", "b", "ab"];

    fn uris() -> Vec<String> {
        let mut all: Vec<String> = ALPHABET.iter().map(ToString::to_string).collect();
        let mut last = all.clone();
        for _ in 0..3 {
            last = last
                .iter()
                .flat_map(|uri| ALPHABET.iter().map(move |part| format!("{uri}.{part}")))
                .collect();
            all.extend(last.clone());
        }
        all
    }

    fn pattern() -> impl Strategy<Value = (String, Match)> {
        let part = prop_oneof![Just(""), Just("a"), Just("b"), Just("ab")];
        let parts = proptest::collection::vec(part, 1..4);
        (parts, 0..3_u8).prop_map(|(parts, matching)| match matching {
            0 => (
                parts
                    .iter()
                    .map(|part| if part.is_empty() { "a" } else { part })
                    .collect::<Vec<_>>()
                    .join("."),
                Match::Exact,
            ),
            1 => (parts.join("."), Match::Prefix),
            _ => (parts.join("."), Match::Wildcard),
        })
    }

    /// As the specification tells it.
    fn matched(pattern: &str, matching: Match, uri: &str) -> bool {
        match matching {
            Match::Exact => pattern == uri,
            Match::Prefix => uri.starts_with(pattern),
            Match::Wildcard => {
                let (given, parts): (Vec<_>, Vec<_>) =
                    (pattern.split('.').collect(), uri.split('.').collect());
                given.len() == parts.len()
                    && given
                        .iter()
                        .zip(parts)
                        .all(|(given, part)| given.is_empty() || *given == part)
            }
        }
    }

    proptest! {
        #[test]
        fn patterns_cover_and_meet_what_their_uris_say((one, how) in pattern(), (two, other) in pattern()) {
            let (first, second) = (Pattern::new(&one, how), Pattern::new(&two, other));
            let uris = uris();
            let by_second: Vec<_> = uris.iter().filter(|uri| matched(&two, other, uri)).collect();
            for uri in &uris {
                prop_assert_eq!(first.matches(uri), matched(&one, how, uri), "{}", uri);
            }
            let all = by_second.iter().all(|uri| matched(&one, how, uri));
            let any = by_second.iter().any(|uri| matched(&one, how, uri));
            // What holds of all URIs holds of these; the other way round these may be too few.
            prop_assert!(!first.covers(second) || all);
            prop_assert!(first.meets(second) || !any);
            prop_assert_eq!(first.meets(second), second.meets(first));
            if any && (one != two || how != other) {
                prop_assert_ne!(first.specificity(), second.specificity());
            }
        }
    }

    #[test]
    fn a_wildcard_is_within_a_namespace_if_its_first_components_are() {
        let within = |text, matching| Pattern::new(text, matching).within("wamp.");
        assert!(within("wamp.session.", Match::Wildcard));
        assert!(within("wamp..x", Match::Wildcard));
        assert!(within("wamp.", Match::Prefix));
        assert!(within("wamp.x", Match::Exact));
        assert!(!within(".session", Match::Wildcard));
        assert!(!within("wamp", Match::Prefix));
        assert!(!within("wampum.x", Match::Exact));
    }
}
