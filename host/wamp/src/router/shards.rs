//! Splitting wampproto's routing state.
//!
//! Its broker looks through all its subscriptions for every publication. Exact URIs are therefore spread over many small
//! ones by hash, patterns have one of their own, and a session is made known to each when it first matters there. Ids are
//! made unique again by carrying the shard's number.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

/// Shards for exact URIs; a set of shards is a bit mask, so 63 is the most.
const EXACT: u64 = 63;
/// All shards: 0 is the one for patterns.
pub(super) const COUNT: u64 = EXACT + 1;
/// The shard of patterns.
pub(super) const PATTERNS: Shard = Shard(0);

/// The number of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard(u64);

impl Shard {
    /// Where an exact URI belongs.
    pub(super) fn of(uri: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        uri.hash(&mut hasher);
        Self(hasher.finish() % EXACT + 1)
    }

    pub(super) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// The realm-wide id of what this shard calls `inner`.
    pub(super) fn outer(self, inner: u64) -> u64 {
        inner.saturating_mul(COUNT).saturating_add(self.0)
    }

    /// The shard and its own id of a realm-wide id.
    pub(super) fn inner(outer: u64) -> (Self, u64) {
        (Self(outer % COUNT), outer / COUNT)
    }
}

/// The shards that know a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShardSet(u64);

impl ShardSet {
    /// Adds a shard; true if it is new.
    pub(super) fn insert(&mut self, shard: Shard) -> bool {
        let bit = 1_u64 << shard.0;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Shard> {
        (0..COUNT)
            .filter(move |number| self.0 & (1 << number) != 0)
            .map(Shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back_to_their_shard() {
        for uri in ["a", "xbr.marketmaker.on_status", "xbr.provider.x.news"] {
            let shard = Shard::of(uri);
            assert_ne!(shard, PATTERNS);
            assert!((shard.0) < COUNT);
            for inner in [1, 2, 1 << 40] {
                assert_eq!(Shard::inner(shard.outer(inner)), (shard, inner));
            }
        }
    }

    #[test]
    fn a_set_lists_what_was_put_in() {
        let mut set = ShardSet::default();
        assert!(set.insert(Shard(63)));
        assert!(set.insert(PATTERNS));
        assert!(!set.insert(Shard(63)));
        assert_eq!(set.iter().collect::<Vec<_>>(), vec![PATTERNS, Shard(63)]);
    }
}
