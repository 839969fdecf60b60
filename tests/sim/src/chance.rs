//! Everything that is left to chance, out of one seed.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::ops::RangeInclusive;

/// The dice of one run. Whoever throws them next gets the next number: the scheduler decides who that is, and decides
/// it the same way each time.
pub struct Chance(Mutex<StdRng>);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    pub fn within(&self, range: RangeInclusive<u64>) -> u64 {
        self.0.lock().random_range(range)
    }

    /// True in `part` of 1000 cases.
    pub fn permille(&self, part: u64) -> bool {
        self.within(0..=999) < part
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.lock().fill(&mut bytes);
        bytes
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill(bytes);
    }

    /// One of `all`, none if there is none.
    pub fn one_of<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(all.len()).unwrap().checked_sub(1)?;
        all.get(usize::try_from(self.within(0..=last)).unwrap())
    }
}
