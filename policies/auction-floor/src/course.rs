//! How a price moves: up with each sale, down with time.
//!
//! What is kept is the price of the last sale, when it was made, and how many sales there had been before it; the
//! number of all sales is a counter. Sales that overlap each write a price that none of the others is in, and each adds
//! to the counter: whichever price stands, the counter says how many steps are missing in it.

use bourse::{Amount, State, WHOLE_BP};

/// Bytes of what is kept: time, counter, and the price in four limbs.
const BYTES: usize = 48;

/// The counter of all prices that are kept.
const KEPT: &str = "kept";

/// Prices that the state has room for: 156 bytes each, with its sales. Past its quota the host fails every call that adds
/// to it, and a seller must not do that to others with APIs that it invents.
pub(crate) const MAX_KEPT: i64 = 6_500;

/// Steps up that are taken at once. So many sales never overlap; it bounds what a call can cost.
const MAX_STEPS: u64 = 512;

/// One, as a fraction of 63 bits.
const ONE: u64 = 1 << 63;

/// Below this part of where it started, about a billionth of a thousandth, a price has come down all the way.
const NOTHING: u64 = 1 << 23;

/// The price that was paid last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    /// Milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// What was paid.
    pub(crate) price: Amount,
}

/// The last price, and how many sales have been made since it was quoted, itself included.
pub(crate) fn read(state: &impl State, key: &str) -> Option<(Last, u64)> {
    let bytes = state.get(key)?;
    let ([at_ms, counter, limbs @ ..], []) = bytes.as_chunks::<8>() else {
        return None;
    };
    let limbs: &[[u8; 8]; 4] = limbs.try_into().ok()?;
    let since = i128::from(state.counter(key)) - i128::from(i64::from_le_bytes(*counter));
    let last = Last {
        at_ms: u64::from_le_bytes(*at_ms),
        price: Amount::from_limbs(limbs.map(u64::from_le_bytes)),
    };
    Some((last, u64::try_from(since.max(0)).unwrap_or(u64::MAX)))
}

/// Keeps the price of a sale, and counts it; the first of its kind only while there is room.
pub(crate) fn write(state: &impl State, key: &str, is_new: bool, price: Amount, now_ms: u64) {
    if is_new {
        if state.counter(KEPT) >= MAX_KEPT {
            return;
        }
        state.add(KEPT, 1);
    }
    let mut bytes = [0; BYTES];
    let [l0, l1, l2, l3] = price.limbs();
    let fields = [now_ms, state.counter(key).cast_unsigned(), l0, l1, l2, l3];
    for (slot, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
        *slot = field.to_le_bytes();
    }
    state.set(key, Some(&bytes));
    state.add(key, 1);
}

/// The floor where none is set: a hundredth of the start, and never nothing.
pub(crate) fn least(start: Amount) -> Amount {
    start.saturating_mul_bp(WHOLE_BP / 100).max(Amount::from_units(1))
}

/// How a price moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Course {
    /// What a sale adds, in hundredths of a percent.
    pub(crate) step_bp: u64,
    /// So many sales…
    pub(crate) target_sales: u64,
    /// …within so many milliseconds cancel out what time takes.
    pub(crate) period_ms: u64,
    /// Time takes no more below this.
    pub(crate) floor: Amount,
    /// Sales add no more above this. Without it demand that nobody lets in would pile up into a price that takes hours
    /// to come down.
    pub(crate) cap: Amount,
}

impl Course {
    /// The price at `now_ms`, `sales` after the `last` one was quoted.
    pub(crate) fn after(&self, last: Last, sales: u64, now_ms: u64) -> Amount {
        self.fallen(self.raised(last.price, sales), now_ms.saturating_sub(last.at_ms))
    }

    /// A price after `sales`.
    pub(crate) fn raised(&self, price: Amount, sales: u64) -> Amount {
        let mut price = price.max(self.floor);
        for _ in 0..sales.min(MAX_STEPS) {
            if price >= self.cap {
                break;
            }
            // A unit at least, so that the smallest price rises too.
            let step = price.saturating_mul_bp(self.step_bp).max(Amount::from_units(1));
            price = price.saturating_add(step);
        }
        price.min(self.cap)
    }

    /// A price after `elapsed_ms` without a sale.
    pub(crate) fn fallen(&self, price: Amount, elapsed_ms: u64) -> Amount {
        // In each of these spans the target has one sale, and time takes the one step that this sale adds.
        let progress = u128::from(elapsed_ms) * u128::from(self.target_sales);
        let period = u128::from(self.period_ms);
        let whole = progress.checked_div(period).unwrap_or(u128::MAX);
        let rest = progress.checked_rem(period).unwrap_or(0);
        let whole = u64::try_from(whole).unwrap_or(u64::MAX);
        let (before, after) = (self.left_after(whole), self.left_after(whole.saturating_add(1)));
        if before < NOTHING {
            return self.floor;
        }
        let upper = price.saturating_mul_div(before, ONE);
        let lower = price.saturating_mul_div(after, ONE);
        let way = upper.saturating_sub(lower);
        let gone = way.saturating_mul_div(u64::try_from(rest).unwrap_or(u64::MAX), self.period_ms);
        upper.saturating_sub(gone).max(self.floor)
    }

    /// What is left of a price after `spans` of the fall, as a fraction of 63 bits.
    fn left_after(&self, mut spans: u64) -> u64 {
        let multiply = |a: u64, b: u64| ((u128::from(a) * u128::from(b)) >> 63) as u64;
        let whole = u128::from(WHOLE_BP);
        let mut square = (u128::from(ONE) * whole)
            .checked_div(whole + u128::from(self.step_bp))
            .unwrap_or(0) as u64;
        let mut left = ONE;
        while spans > 0 && left >= NOTHING {
            if spans & 1 == 1 {
                left = multiply(left, square);
            }
            square = multiply(square, square);
            spans >>= 1;
        }
        left
    }
}
