//! Axes in whole numbers.

use bourse::Amount;
use std::ops::Range;

/// An axis: what it shows, from where to where, and how its numbers are written.
#[derive(Debug, Clone)]
pub struct Axis {
    pub(crate) label: String,
    pub(crate) range: Range<i64>,
    pub(crate) scale: i64,
}

impl Axis {
    /// An axis of `range` under `label`.
    pub fn new(label: &str, range: Range<i64>) -> Self {
        Self {
            label: label.to_owned(),
            range,
            scale: 1,
        }
    }

    /// The same axis with coordinates that are `scale` to the unit of its numbers: 1000 for thousandths.
    #[must_use]
    pub fn scaled(self, scale: i64) -> Self {
        Self {
            scale: scale.max(1),
            ..self
        }
    }

    /// A coordinate as it is written, without needless zeros.
    pub(crate) fn text(&self, at: i64) -> String {
        let whole = at.checked_div(self.scale).unwrap_or(at);
        let rest = at.checked_rem(self.scale).unwrap_or(0).unsigned_abs();
        if rest == 0 {
            return whole.to_string();
        }
        let digits = self.scale.ilog10() as usize;
        let text = format!("{whole}.{rest:0digits$}");
        text.trim_end_matches('0').to_owned()
    }
}

/// An amount as a coordinate: thousandths of a token, rounded down, for an axis of tokens that is
/// [`scaled`](Axis::scaled) by 1000.
///
/// # Panics
///
/// If there are more of them than a coordinate holds.
#[allow(
    clippy::unwrap_used,
    reason = "this is for tests, which stop at their first surprise"
)]
pub fn milli(amount: Amount) -> i64 {
    let [milli, ..] = amount.checked_div(1_000_000_000_000_000).unwrap().limbs();
    milli.try_into().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_written_in_the_unit_of_the_axis() {
        let plain = Axis::new("sales", 0..10);
        assert_eq!(plain.text(7), "7");
        let tokens = Axis::new("tokens", 0..10).scaled(1_000);
        assert_eq!(
            [0, 5, 1_500, 20_000].map(|at| tokens.text(at)),
            ["0", "0.005", "1.5", "20"]
        );
    }
}
