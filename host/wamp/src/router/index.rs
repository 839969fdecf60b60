//! Ids by URIs and patterns. What matches a URI is found in a number of looks that depends on the URI alone, however many
//! patterns there are that do not match it: one for the whole of it, at most one for each of its bytes among prefixes, and one for
//! each shape of wildcards, of which there are 2^[`MAX_WILDCARD`] for as many components.
//!
//! [`MAX_WILDCARD`]: crate::limits::MAX_WILDCARD

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::uri::Match;

/// One id for each URI and each pattern.
#[derive(Default)]
pub(super) struct Index {
    exact: HashMap<Arc<str>, u64>,
    /// In their order, what begins with a prefix comes after it.
    prefixes: BTreeMap<Arc<str>, u64>,
    wildcards: BTreeMap<Shape, HashMap<Arc<str>, u64>>,
}

/// How many components wildcards have, and which of them are given: those of its bits, the first in the lowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    components: u32,
    given: u64,
}

impl Shape {
    /// That of a wildcard; none of one that is too long to be kept.
    fn of(wildcard: &str) -> Option<Self> {
        let mut shape = Self {
            components: 0,
            given: 0,
        };
        for component in wildcard.split('.') {
            let bit = 1_u64.checked_shl(shape.components)?;
            if !component.is_empty() {
                shape.given |= bit;
            }
            shape.components += 1;
        }
        Some(shape)
    }

    /// All those of wildcards with so many components.
    fn all(components: u32) -> std::ops::RangeInclusive<Self> {
        let shape = |given| Self { components, given };
        shape(0)..=shape(u64::MAX)
    }

    /// The one wildcard of this shape that may match a URI, written into `wildcard`.
    fn mark_out(self, uri: &str, wildcard: &mut String) {
        wildcard.clear();
        for (position, component) in (0..).zip(uri.split('.')) {
            if position > 0 {
                wildcard.push('.');
            }
            if self.given & (1 << position) != 0 {
                wildcard.push_str(component);
            }
        }
    }
}

impl Index {
    pub(super) fn insert(&mut self, uri: Arc<str>, matching: Match, id: u64) {
        match matching {
            Match::Exact => drop(self.exact.insert(uri, id)),
            Match::Prefix => drop(self.prefixes.insert(uri, id)),
            Match::Wildcard => {
                if let Some(shape) = Shape::of(&uri) {
                    self.wildcards.entry(shape).or_default().insert(uri, id);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, uri: &str, matching: Match) {
        match matching {
            Match::Exact => drop(self.exact.remove(uri)),
            Match::Prefix => drop(self.prefixes.remove(uri)),
            Match::Wildcard => {
                let shape = Shape::of(uri);
                if let Some((shape, alike)) =
                    shape.and_then(|shape| Some((shape, self.wildcards.get_mut(&shape)?)))
                {
                    alike.remove(uri);
                    if alike.is_empty() {
                        self.wildcards.remove(&shape);
                    }
                }
            }
        }
    }

    /// What this URI or pattern itself has.
    pub(super) fn get(&self, uri: &str, matching: Match) -> Option<u64> {
        match matching {
            Match::Exact => self.exact.get(uri).copied(),
            Match::Prefix => self.prefixes.get(uri).copied(),
            Match::Wildcard => self.wildcards.get(&Shape::of(uri)?)?.get(uri).copied(),
        }
    }

    /// All that match a URI: the exact one first, then prefixes, the longest of them first, then wildcards.
    pub(super) fn matching<'a>(&'a self, uri: &'a str) -> impl Iterator<Item = u64> + 'a {
        let exact = self.exact.get(uri).copied();
        let patterns = self.prefixes_of(uri).chain(self.wildcards_for(uri));
        exact.into_iter().chain(patterns)
    }

    /// The one that a URI goes to: the exact one, else the longest prefix, else the wildcard of the lowest id.
    pub(super) fn best(&self, uri: &str) -> Option<(u64, Match)> {
        if let Some(exact) = self.exact.get(uri) {
            return Some((*exact, Match::Exact));
        }
        if let Some(longest) = self.prefixes_of(uri).next() {
            return Some((longest, Match::Prefix));
        }
        let oldest = self.wildcards_for(uri).into_iter().min();
        oldest.map(|id| (id, Match::Wildcard))
    }

    /// The longest first.
    fn prefixes_of<'a>(&'a self, uri: &'a str) -> impl Iterator<Item = u64> + 'a {
        let mut up_to = Bound::Included(uri);
        std::iter::from_fn(move || {
            loop {
                let before = (Bound::Unbounded, up_to);
                let (found, id) = self.prefixes.range::<str, _>(before).next_back()?;
                let shared = shared(found, uri);
                if shared.len() == found.len() {
                    up_to = Bound::Excluded(shared);
                    return Some(*id);
                }
                // A longer prefix of the URI would come after what was found.
                up_to = Bound::Included(shared);
            }
        })
    }

    fn wildcards_for(&self, uri: &str) -> Vec<u64> {
        let Some(Shape { components, .. }) = Shape::of(uri) else {
            return Vec::new();
        };
        let mut wildcard = String::new();
        let shapes = self.wildcards.range(Shape::all(components));
        let ids = shapes.filter_map(|(shape, alike)| {
            shape.mark_out(uri, &mut wildcard);
            alike.get(wildcard.as_str()).copied()
        });
        ids.collect()
    }

    /// How many ids it keeps, wherever it keeps them.
    #[cfg(feature = "testing")]
    pub(super) fn len(&self) -> usize {
        let wildcards = self.wildcards.values().map(|alike| alike.len().max(1));
        self.exact.len() + self.prefixes.len() + wildcards.sum::<usize>()
    }
}

/// What both begin with.
fn shared<'a>(one: &str, other: &'a str) -> &'a str {
    let bytes = one.bytes().zip(other.bytes());
    let length = bytes.take_while(|(one, other)| one == other).count();
    other.get(..other.floor_char_boundary(length)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::pattern::Pattern;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// URIs and patterns of few components, which share beginnings, also within a character.
    fn uri() -> impl Strategy<Value = String> {
        let component = prop_oneof![
            Just(""),
            Just("a"),
            Just("ab"),
            Just("b"),
            Just("é"),
            Just("è"),
            Just("語"),
            Just("誤")
        ];
        proptest::collection::vec(component, 1..5).prop_map(|components| components.join("."))
    }

    fn pattern() -> impl Strategy<Value = (String, Match)> {
        let matching = prop_oneof![Just(Match::Exact), Just(Match::Prefix), Just(Match::Wildcard)];
        (uri(), matching)
    }

    proptest! {
        #[test]
        fn what_matches_is_found_as_if_each_were_looked_at(
            patterns in proptest::collection::vec(pattern(), 0..40),
            gone in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
            uris in proptest::collection::vec(uri(), 20),
        ) {
            let (mut index, mut kept) = (Index::default(), Vec::new());
            for (id, (text, matching)) in (1..).zip(&patterns) {
                if index.get(text, *matching).is_none() {
                    index.insert(text.as_str().into(), *matching, id);
                    kept.push((id, text.as_str(), *matching));
                }
            }
            for which in gone.iter().filter(|_| !patterns.is_empty()) {
                let (text, matching) = which.get(&patterns);
                index.remove(text, *matching);
                kept.retain(|(_, kept, how)| (*kept, *how) != (text.as_str(), *matching));
            }
            for (id, text, matching) in &kept {
                prop_assert_eq!(index.get(text, *matching), Some(*id));
            }
            for uri in &uris {
                let matching: Vec<_> = kept
                    .iter()
                    .filter(|(_, text, how)| Pattern::new(text, *how).matches(uri))
                    .collect();
                let found: Vec<u64> = index.matching(uri).collect();
                let distinct: BTreeSet<u64> = found.iter().copied().collect();
                prop_assert_eq!(distinct.len(), found.len());
                prop_assert_eq!(&distinct, &matching.iter().map(|(id, ..)| *id).collect());
                let lengths: Vec<usize> = found
                    .iter()
                    .filter_map(|id| matching.iter().find(|(other, ..)| other == id))
                    .filter(|(.., how)| *how == Match::Prefix)
                    .map(|(_, text, _)| text.len())
                    .collect();
                prop_assert!(lengths.is_sorted_by(|longer, shorter| longer > shorter), "{:?}", lengths);
                let kinds = found.iter().filter_map(|id| matching.iter().find(|(other, ..)| other == id));
                let kinds: Vec<u8> = kinds
                    .map(|(.., how)| match how {
                        Match::Exact => 0,
                        Match::Prefix => 1,
                        Match::Wildcard => 2,
                    })
                    .collect();
                prop_assert!(kinds.is_sorted(), "{:?}", kinds);
                let best = matching.iter().max_by_key(|(id, text, how)| match how {
                    Match::Exact => (2, 0, 0),
                    Match::Prefix => (1, text.len(), 0),
                    Match::Wildcard => (0, 0, u64::MAX - id),
                });
                prop_assert_eq!(index.best(uri), best.map(|(id, _, how)| (*id, *how)));
            }
        }
    }

    #[test]
    fn what_is_gone_leaves_nothing() {
        let mut index = Index::default();
        let all = [
            ("a.b", Match::Exact),
            ("a.", Match::Prefix),
            ("a..c", Match::Wildcard),
            ("a.", Match::Wildcard),
        ];
        for (id, (uri, matching)) in (1..).zip(all) {
            index.insert(uri.into(), matching, id);
        }
        for (uri, matching) in all {
            index.remove(uri, matching);
            assert_eq!(index.get(uri, matching), None);
        }
        assert!(index.exact.is_empty() && index.prefixes.is_empty() && index.wildcards.is_empty());
    }
}
