//! Which sessions registered or subscribed to what: for routing to know where to look, and for whoever asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use super::pattern::{Pattern, Specificity};
use crate::uri::Match;

/// The registrations, or the subscriptions, of a realm by their realm-wide ids.
#[derive(Default)]
pub(super) struct Directory {
    entries: BTreeMap<u64, Entry>,
    exact: HashMap<Arc<str>, u64>,
    patterns: BTreeMap<(Arc<str>, &'static str), u64>,
}

/// One registration or subscription, with all who share it.
pub(super) struct Entry {
    pub(super) uri: Arc<str>,
    pub(super) matching: Match,
    /// How a registration picks a callee; nothing for a subscription.
    pub(super) invoke: &'static str,
    pub(super) created: SystemTime,
    pub(super) sessions: BTreeSet<u64>,
}

impl Entry {
    pub(super) fn new(uri: Arc<str>, matching: Match, invoke: &'static str) -> Self {
        Self {
            uri,
            matching,
            invoke,
            created: SystemTime::now(),
            sessions: BTreeSet::new(),
        }
    }

    pub(super) fn pattern(&self) -> Pattern<'_> {
        Pattern::new(&self.uri, self.matching)
    }
}

impl Directory {
    /// Adds a session to an entry, which `entry` makes if it is new. Returns whether it is.
    pub(super) fn add(&mut self, id: u64, session: u64, entry: impl FnOnce() -> Entry) -> bool {
        if let Some(known) = self.entries.get_mut(&id) {
            known.sessions.insert(session);
            return false;
        }
        let mut entry = entry();
        entry.sessions.insert(session);
        if entry.matching == Match::Exact {
            self.exact.insert(entry.uri.clone(), id);
        } else {
            self.patterns
                .insert((entry.uri.clone(), entry.matching.name()), id);
        }
        self.entries.insert(id, entry);
        true
    }

    /// Takes a session off an entry. Returns whether it was the last, so that the entry is gone; nothing if it was not
    /// on it.
    pub(super) fn remove(&mut self, id: u64, session: u64) -> Option<bool> {
        let entry = self.entries.get_mut(&id)?;
        if !entry.sessions.remove(&session) {
            return None;
        }
        if !entry.sessions.is_empty() {
            return Some(false);
        }
        if let Some(entry) = self.entries.remove(&id) {
            if entry.matching == Match::Exact {
                self.exact.remove(&entry.uri);
            } else {
                self.patterns.remove(&(entry.uri, entry.matching.name()));
            }
        }
        Some(true)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// The entry for this URI or pattern itself.
    pub(super) fn lookup(&self, uri: &str, matching: Match) -> Option<u64> {
        if matching == Match::Exact {
            return self.exact.get(uri).copied();
        }
        self.patterns.get(&(uri.into(), matching.name())).copied()
    }

    pub(super) fn has_exact(&self, uri: &str) -> bool {
        self.exact.contains_key(uri)
    }

    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Every entry that matches a URI: the exact one first, then patterns.
    pub(super) fn matching(&self, uri: &str) -> impl Iterator<Item = (u64, &Entry)> {
        let exact = self.exact.get(uri);
        exact
            .into_iter()
            .chain(self.patterns.values())
            .filter_map(|id| Some((*id, self.entries.get(id)?)))
            .filter(move |(_, entry)| entry.pattern().matches(uri))
    }

    /// The entry that a call goes to: the exact one, else the longest prefix, else the oldest wildcard.
    pub(super) fn best(&self, uri: &str) -> Option<u64> {
        if let Some(exact) = self.exact.get(uri) {
            return Some(*exact);
        }
        let rank = |(id, entry): &(u64, &Entry)| match entry.pattern().specificity() {
            Specificity::Prefix(length) => (1, length, *id),
            Specificity::Exact | Specificity::Wildcard(..) => (0, 0, u64::MAX - id),
        };
        self.matching(uri).max_by_key(rank).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(entries: &[(u64, &str, Match)]) -> Directory {
        let mut directory = Directory::default();
        for (id, uri, matching) in entries {
            assert!(directory.add(*id, 1, || Entry::new((*uri).into(), *matching, "single")));
        }
        directory
    }

    #[test]
    fn a_call_goes_to_the_exact_registration_else_the_longest_prefix_else_the_oldest_wildcard() {
        let directory = directory(&[
            (1, "com.app.get", Match::Exact),
            (2, "com.", Match::Prefix),
            (3, "com.app.", Match::Prefix),
            (4, "org..get", Match::Wildcard),
            (5, "org.app.", Match::Wildcard),
        ]);
        for (uri, expected) in [
            ("com.app.get", Some(1)),
            ("com.app.set", Some(3)),
            ("com.x", Some(2)),
            ("org.app.get", Some(4)),
            ("org.app.set", Some(5)),
            ("net", None),
        ] {
            assert_eq!(directory.best(uri), expected, "{uri}");
        }
        let all: Vec<_> = directory.matching("com.app.get").map(|(id, _)| id).collect();
        assert_eq!(all, [1, 2, 3]);
        assert_eq!(directory.lookup("com.", Match::Prefix), Some(2));
        assert_eq!(directory.lookup("com.", Match::Wildcard), None);
    }

    #[test]
    fn an_entry_lives_as_long_as_somebody_shares_it() {
        let mut directory = directory(&[(1, "com.app", Match::Exact), (2, "com.", Match::Prefix)]);
        assert!(!directory.add(1, 2, || unreachable!()));
        assert_eq!(directory.remove(1, 1), Some(false));
        assert_eq!(directory.remove(1, 1), None);
        assert_eq!(directory.remove(1, 2), Some(true));
        assert_eq!(directory.remove(1, 2), None);
        assert_eq!(directory.remove(2, 1), Some(true));
        assert!(!directory.has_exact("com.app") && !directory.has_patterns());
        assert_eq!(directory.iter().count(), 0);
    }
}
