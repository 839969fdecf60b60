//! Figures of a lot of numbers: their spread, and how they lie.

use bourse_market::Amount;
use serde::Serialize;

/// The spread of a set of values. Quantiles are values of the set (the nearest rank), never between two of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Spread<T> {
    pub(crate) count: u64,
    pub(crate) min: T,
    pub(crate) p10: T,
    pub(crate) p25: T,
    pub(crate) p50: T,
    pub(crate) p75: T,
    pub(crate) p90: T,
    pub(crate) p99: T,
    pub(crate) max: T,
}

impl<T: Copy + Ord> Spread<T> {
    /// The spread of `values`, none if there are none.
    pub(crate) fn of(mut values: Vec<T>) -> Option<Self> {
        values.sort_unstable();
        let at = |percent: usize| -> Option<T> {
            let rank = values.len().saturating_mul(percent).div_ceil(100);
            values.get(rank.saturating_sub(1)).copied()
        };
        Some(Self {
            count: values.len() as u64,
            min: *values.first()?,
            p10: at(10)?,
            p25: at(25)?,
            p50: at(50)?,
            p75: at(75)?,
            p90: at(90)?,
            p99: at(99)?,
            max: *values.last()?,
        })
    }
}

impl<T> Spread<T> {
    /// The same spread of other values, in the same order.
    pub(crate) fn map<U>(self, mut to: impl FnMut(T) -> U) -> Spread<U> {
        Spread {
            count: self.count,
            min: to(self.min),
            p10: to(self.p10),
            p25: to(self.p25),
            p50: to(self.p50),
            p75: to(self.p75),
            p90: to(self.p90),
            p99: to(self.p99),
            max: to(self.max),
        }
    }
}

/// Whole and fractional tokens as a number, for plots and for sums that no money depends on.
pub(crate) fn tokens(amount: Amount) -> f64 {
    const LIMB: f64 = 18_446_744_073_709_551_616.0;
    let units = amount
        .limbs()
        .iter()
        .rev()
        .fold(0.0, |sum: f64, limb| sum.mul_add(LIMB, *limb as f64));
    units / 1e18
}

/// How two sets of values lie, counted in the same bins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Histogram {
    /// Where the first bin begins and each one ends.
    pub(crate) edges: Vec<f64>,
    /// Values of the first set in each bin.
    pub(crate) old: Vec<u64>,
    /// Values of the second set in each bin.
    pub(crate) new: Vec<u64>,
}

/// Bins of a histogram at most.
const BINS: usize = 40;

impl Histogram {
    /// Counts both sets in bins of one width between the lowest and the highest value of either; none without values.
    pub(crate) fn of(old: &[f64], new: &[f64]) -> Option<Self> {
        let all = || old.iter().chain(new).copied().filter(|value| value.is_finite());
        let low = all().fold(f64::INFINITY, f64::min);
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return None;
        }
        let width = nice((high - low) / BINS as f64);
        let first = (low / width).floor() * width;
        let bins = (((high - first) / width).floor() as usize)
            .saturating_add(1)
            .min(BINS.saturating_mul(3));
        let count = |values: &[f64]| {
            let mut counts = vec![0u64; bins];
            for value in values.iter().filter(|value| value.is_finite()) {
                let bin = (((value - first) / width) as usize).min(bins.saturating_sub(1));
                if let Some(count) = counts.get_mut(bin) {
                    *count = count.saturating_add(1);
                }
            }
            counts
        };
        Some(Self {
            edges: (0..=bins).map(|bin| (bin as f64).mul_add(width, first)).collect(),
            old: count(old),
            new: count(new),
        })
    }
}

/// The next of 1, 2 or 5 times a power of ten from `width` on; 1 where there is no width.
pub(crate) fn nice(width: f64) -> f64 {
    if !width.is_finite() || width <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(width.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= width * 0.999_999)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_nearest_rank() {
        let spread = Spread::of((1..=200u32).rev().collect()).unwrap();
        let Spread {
            count,
            min,
            p10,
            p25,
            p50,
            p75,
            p90,
            p99,
            max,
        } = spread;
        assert_eq!(
            (count, min, p10, p25, p50, p75, p90, p99, max),
            (200, 1, 20, 50, 100, 150, 180, 198, 200)
        );
        let one = Spread::of(vec![7u32]).unwrap();
        assert_eq!((one.min, one.p50, one.p99, one.max), (7, 7, 7, 7));
        assert_eq!(Spread::<u32>::of(Vec::new()), None);
    }

    #[test]
    fn amounts_become_tokens() {
        assert!((tokens(Amount::from_tokens(35)) - 35.0).abs() < 1e-12);
        assert!((tokens(Amount::parse_tokens("0.5").unwrap()) - 0.5).abs() < 1e-12);
        assert!((tokens(Amount::MAX) / 1.157_920_892_373_162e59 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn every_value_lies_in_a_bin_and_bins_have_round_edges() {
        let histogram = Histogram::of(&[1.0, 2.0, 3.0, 3.0], &[9.99, 10.0]).unwrap();
        assert_eq!(histogram.old.iter().sum::<u64>(), 4);
        assert_eq!(histogram.new.iter().sum::<u64>(), 2);
        assert!((histogram.edges[1] - histogram.edges[0] - 0.5).abs() < 1e-9);
        assert_eq!(Histogram::of(&[], &[]), None);
        let flat = Histogram::of(&[4.0, 4.0], &[4.0]).unwrap();
        assert_eq!((flat.old.clone(), flat.new.clone()), (vec![2], vec![1]));
        let huge = Histogram::of(&[0.0, 1e59], &[5.0]).unwrap();
        assert_eq!(huge.old.iter().sum::<u64>(), 2);
    }
}
