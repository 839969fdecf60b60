//! Maps and sets by the numbers of sessions, requests and the like, which every message is looked up in.
//!
//! The hash is seeded, but no defence against whoever can see what it makes of a number. Of those that others choose few are kept at
//! a time for each of them. What peers name by texts is hashed as the standard library does.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

pub(crate) type IdMap<K, V> = HashMap<K, V, RandomState>;
pub(crate) type IdSet = HashSet<u64, RandomState>;
