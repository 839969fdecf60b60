//! Which sessions registered or subscribed to what: for routing to know where to look, and for whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::index::Index;
use crate::uri::Match;

/// The registrations, or the subscriptions, of a realm by their realm-wide ids.
#[derive(Default)]
pub(super) struct Directory {
    entries: BTreeMap<u64, Entry>,
    index: Index,
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
        self.index.insert(Arc::clone(&entry.uri), entry.matching, id);
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
            self.index.remove(&entry.uri, entry.matching);
        }
        Some(true)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    #[cfg(feature = "testing")]
    pub(super) fn remembered(&self) -> usize {
        self.entries.len() + self.index.len()
    }

    /// The entry for this URI or pattern itself.
    pub(super) fn lookup(&self, uri: &str, matching: Match) -> Option<u64> {
        self.index.get(uri, matching)
    }

    /// Every entry that matches a URI: the exact one first, then patterns.
    pub(super) fn matching<'a>(&'a self, uri: &'a str) -> impl Iterator<Item = (u64, &'a Entry)> {
        let ids = self.index.matching(uri);
        ids.filter_map(|id| Some((id, self.entries.get(&id)?)))
    }

    /// The entry that a call goes to, and how it matches: the exact one, else the longest prefix, else the oldest wildcard.
    pub(super) fn best(&self, uri: &str) -> Option<(u64, Match)> {
        self.index.best(uri)
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
            assert_eq!(directory.best(uri).map(|(id, _)| id), expected, "{uri}");
        }
        let all: Vec<_> = directory.matching("com.app.get").map(|(id, _)| id).collect();
        assert_eq!(all, [1, 3, 2]);
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
        assert_eq!(directory.matching("com.app").count(), 0);
        assert_eq!(directory.iter().count(), 0);
    }
}
