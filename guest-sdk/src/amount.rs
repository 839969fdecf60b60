//! Token amounts: 256 bits, unsigned, every operation either checked or saturating by its name.
//!
//! Four limbs by hand instead of a big-integer crate: a policy adds, compares and scales, and every kilobyte of a
//! component is compiled by the host that loads it.

use core::fmt;
use core::str::FromStr;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// An amount of the market's coin in base units: 10^18 of them are one token.
///
/// As a parameter it is written in whole tokens: `35` or `"0.5"`. A JSON fraction such as `0.5` is refused, because
/// it would pass through floating point on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Amount {
    /// Least significant first.
    limbs: [u64; 4],
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseAmountError {
    /// The text as it came.
    pub text: String,
}

impl fmt::Display for ParseAmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        write!(
            f,
            "`{text}` is not an amount of tokens: expected digits with at most 18 after the point, such as 35 or 0.5"
        )
    }
}

impl core::error::Error for ParseAmountError {}

/// One hundredth of a percent, the unit of every factor here: 10 000 of them are the whole.
pub const WHOLE_BP: u64 = 10_000;

/// Base units of one token.
const TOKEN: u64 = 1_000_000_000_000_000_000;

impl Amount {
    /// Nothing: a free key.
    pub const ZERO: Self = Self { limbs: [0; 4] };
    /// 2^256 − 1 base units: no limit.
    pub const MAX: Self = Self { limbs: [u64::MAX; 4] };
    /// Decimal places of a whole token.
    pub const DECIMALS: usize = 18;

    /// `units` base units.
    pub const fn from_units(units: u128) -> Self {
        Self {
            limbs: [units as u64, (units >> 64) as u64, 0, 0],
        }
    }

    /// `tokens` whole tokens, 10^18 base units each.
    pub const fn from_tokens(tokens: u64) -> Self {
        Self::from_units(tokens as u128 * TOKEN as u128)
    }

    /// From four 64-bit limbs, least significant first: the form of the ABI.
    pub const fn from_limbs(limbs: [u64; 4]) -> Self {
        Self { limbs }
    }

    /// The four 64-bit limbs, least significant first.
    pub const fn limbs(self) -> [u64; 4] {
        self.limbs
    }

    /// From 32 bytes, least significant first, as a policy may keep them in its state.
    pub fn from_le_bytes(bytes: [u8; 32]) -> Self {
        let (limbs, _) = bytes.as_chunks();
        match limbs {
            [a, b, c, d] => Self {
                limbs: [*a, *b, *c, *d].map(u64::from_le_bytes),
            },
            _ => Self::ZERO,
        }
    }

    /// Its 32 bytes, least significant first.
    pub fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (chunks, _) = bytes.as_chunks_mut();
        for (chunk, limb) in chunks.iter_mut().zip(self.limbs) {
            *chunk = limb.to_le_bytes();
        }
        bytes
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        matches!(self.limbs, [0, 0, 0, 0])
    }

    /// The sum, none over 2^256 − 1.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let mut carry = false;
        let limbs = zip(self.limbs, other.limbs, |a, b| {
            let (sum, first) = a.overflowing_add(b);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            sum
        });
        (!carry).then_some(Self { limbs })
    }

    /// The difference, none below zero.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let mut borrow = false;
        let limbs = zip(self.limbs, other.limbs, |a, b| {
            let (rest, first) = a.overflowing_sub(b);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            borrow = first || second;
            rest
        });
        (!borrow).then_some(Self { limbs })
    }

    /// The sum, 2^256 − 1 at most.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or(Self::MAX)
    }

    /// The difference, zero at least.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        self.checked_sub(other).unwrap_or(Self::ZERO)
    }

    /// `self × factor`, none over 2^256 − 1.
    #[must_use]
    pub fn checked_mul(self, factor: u64) -> Option<Self> {
        let (limbs, overflow) = self.widening_mul(factor);
        (overflow == 0).then_some(Self { limbs })
    }

    /// `self × factor`, 2^256 − 1 at most.
    #[must_use]
    pub fn saturating_mul(self, factor: u64) -> Self {
        self.checked_mul(factor).unwrap_or(Self::MAX)
    }

    /// How far apart the two are, whichever is larger.
    #[must_use]
    pub fn abs_diff(self, other: Self) -> Self {
        self.saturating_sub(other).max(other.saturating_sub(self))
    }

    /// `self × numerator ÷ denominator`, rounded down, with the product held exactly. None if the result is over
    /// 2^256 − 1 or the denominator is zero.
    #[must_use]
    pub fn checked_mul_div(self, numerator: u64, denominator: u64) -> Option<Self> {
        let (product, overflow) = self.widening_mul(numerator);
        let (high, rest) = divide(overflow, 0, denominator)?;
        let (quotient, _) = Self { limbs: product }.div_from(rest, denominator)?;
        (high == 0).then_some(quotient)
    }

    /// `self × numerator ÷ denominator`, rounded down; 2^256 − 1 where that is too small to hold it, which includes
    /// any division by zero.
    #[must_use]
    pub fn saturating_mul_div(self, numerator: u64, denominator: u64) -> Self {
        self.checked_mul_div(numerator, denominator).unwrap_or(Self::MAX)
    }

    /// `self × basis_points ÷ 10 000`, rounded down, none over 2^256 − 1.
    #[must_use]
    pub fn checked_mul_bp(self, basis_points: u64) -> Option<Self> {
        self.checked_mul_div(basis_points, WHOLE_BP)
    }

    /// `self × basis_points ÷ 10 000`, rounded down, 2^256 − 1 at most. 10 000 change nothing, 15 000 add half.
    #[must_use]
    pub fn saturating_mul_bp(self, basis_points: u64) -> Self {
        self.saturating_mul_div(basis_points, WHOLE_BP)
    }

    /// `self ÷ divisor`, rounded down; none for a divisor of zero.
    #[must_use]
    pub fn checked_div(self, divisor: u64) -> Option<Self> {
        self.div_from(0, divisor).map(|(quotient, _)| quotient)
    }

    /// Halved `times` times, rounded down; zero after 256.
    #[must_use]
    pub fn halved(self, times: u64) -> Self {
        if times >= 256 {
            return Self::ZERO;
        }
        let whole = (0..times / 64).fold(self, |Self { limbs: [_, b, c, d] }, _| Self {
            limbs: [b, c, d, 0],
        });
        let bits = times % 64;
        if bits == 0 {
            return whole;
        }
        let [a, b, c, d] = whole.limbs;
        let join = |low: u64, high: u64| (low >> bits) | (high << (64 - bits));
        Self {
            limbs: [join(a, b), join(b, c), join(c, d), d >> bits],
        }
    }

    /// Parses whole and fractional tokens: `35`, `0.5`, at most 18 digits after the point.
    ///
    /// # Errors
    ///
    /// [`ParseAmountError`] if the text is anything else, or over 2^256 − 1 base units.
    pub fn parse_tokens(text: &str) -> Result<Self, ParseAmountError> {
        Self::read(text).ok_or_else(|| ParseAmountError {
            text: text.to_owned(),
        })
    }

    /// [`parse_tokens`](Self::parse_tokens) for constants: see [`amount!`](crate::amount).
    const fn read(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        let mut number = Digits::new();
        // Digits after the point, once there is one.
        let (mut whole, mut fraction) = (false, None);
        while let [byte, after @ ..] = rest {
            rest = after;
            match (*byte, fraction) {
                (b'.', None) => fraction = Some(0),
                (digit @ b'0'..=b'9', places) => {
                    number = match number.append(digit - b'0') {
                        Some(number) => number,
                        None => return None,
                    };
                    match places {
                        Some(places) => fraction = Some(places + 1),
                        None => whole = true,
                    }
                }
                _ => return None,
            }
        }
        let mut places = match fraction {
            Some(0) => return None,
            Some(places) => places,
            None => 0,
        };
        if !whole || places > Self::DECIMALS {
            return None;
        }
        let mut missing = 1;
        while places < Self::DECIMALS {
            missing *= 10;
            places += 1;
        }
        match number.amount() {
            Some(amount) => amount.appended(missing, 0),
            None => None,
        }
    }

    /// `self × factor + more`, none over 2^256 − 1.
    const fn appended(self, factor: u64, more: u64) -> Option<Self> {
        let [a, b, c, d] = self.limbs;
        let (a, carry) = multiply(a, factor, more);
        let (b, carry) = multiply(b, factor, carry);
        let (c, carry) = multiply(c, factor, carry);
        let (d, carry) = multiply(d, factor, carry);
        if carry == 0 {
            Some(Self { limbs: [a, b, c, d] })
        } else {
            None
        }
    }

    /// The 320-bit product with a limb: the low 256 bits and what is over them.
    fn widening_mul(self, factor: u64) -> ([u64; 4], u64) {
        let mut carry = 0;
        let limbs = self.limbs.map(|limb| {
            let (low, high) = multiply(limb, factor, carry);
            carry = high;
            low
        });
        (limbs, carry)
    }

    /// Long division that starts with a remainder from a more significant limb.
    fn div_from(self, rest: u64, divisor: u64) -> Option<(Self, u64)> {
        let [a, b, c, d] = self.limbs;
        let (d, rest) = divide(d, rest, divisor)?;
        let (c, rest) = divide(c, rest, divisor)?;
        let (b, rest) = divide(b, rest, divisor)?;
        let (a, rest) = divide(a, rest, divisor)?;
        Some((Self { limbs: [a, b, c, d] }, rest))
    }
}

/// `limb × factor + carry` as its low and its high half.
const fn multiply(limb: u64, factor: u64, carry: u64) -> (u64, u64) {
    // The upper limbs of nearly every amount are empty, and WebAssembly multiplies 128 bits by calling a function.
    if limb == 0 {
        return (carry, 0);
    }
    let wide = limb as u128 * factor as u128 + carry as u128;
    (wide as u64, (wide >> 64) as u64)
}

/// Decimal digits on their way into an amount, 18 at a time: those fit a limb, and a component pays dearly for each
/// multiplication that does not.
#[derive(Clone, Copy)]
struct Digits {
    amount: Amount,
    /// The last digits, as a number.
    last: u64,
    /// Ten to the number of digits in `last`.
    power: u64,
}

impl Digits {
    const fn new() -> Self {
        Self {
            amount: Amount::ZERO,
            last: 0,
            power: 1,
        }
    }

    /// With one more digit; none over 2^256 − 1.
    const fn append(self, digit: u8) -> Option<Self> {
        let Self { amount, last, power } = if self.power < TOKEN {
            self
        } else {
            match self.amount() {
                Some(amount) => Self {
                    amount,
                    ..Self::new()
                },
                None => return None,
            }
        };
        Some(Self {
            amount,
            // Both are below ten times 10^18, which is below 2^64.
            last: last.wrapping_mul(10).wrapping_add(digit as u64),
            power: power.wrapping_mul(10),
        })
    }

    /// All digits; none over 2^256 − 1.
    const fn amount(self) -> Option<Amount> {
        self.amount.appended(self.power, self.last)
    }
}

/// The amount of a constant.
///
/// # Panics
///
/// If the text is no amount: while a policy is compiled, since [`amount!`](crate::amount) asks for it in a constant.
#[allow(clippy::panic, reason = "it stops the compiler, never a component")]
pub const fn constant(text: &str) -> Amount {
    match Amount::read(text) {
        Some(amount) => amount,
        None => {
            panic!("expected an amount in tokens with at most 18 digits after the point, such as \"0.5\"")
        }
    }
}

/// `(rest × 2^64 + limb) ÷ divisor` with its remainder, for a rest below the divisor.
fn divide(limb: u64, rest: u64, divisor: u64) -> Option<(u64, u64)> {
    if limb == 0 && rest == 0 {
        return (divisor != 0).then_some((0, 0));
    }
    if divisor <= u64::from(u32::MAX) {
        // Two native divisions: a 128-bit one is a long routine in WebAssembly, and most divisors are small.
        let high = (rest << 32) | (limb >> 32);
        let upper = high.checked_div(divisor)?;
        let low = (high.wrapping_sub(upper.wrapping_mul(divisor)) << 32) | (limb & u64::from(u32::MAX));
        let lower = low.checked_div(divisor)?;
        return Some((
            (upper << 32) | lower,
            low.wrapping_sub(lower.wrapping_mul(divisor)),
        ));
    }
    let wide = (u128::from(rest) << 64) | u128::from(limb);
    let divisor = u128::from(divisor);
    let quotient = wide.checked_div(divisor)?;
    let rest = wide.wrapping_sub(quotient.wrapping_mul(divisor));
    Some((quotient as u64, rest as u64))
}

fn zip([a, b, c, d]: [u64; 4], [e, f, g, h]: [u64; 4], mut with: impl FnMut(u64, u64) -> u64) -> [u64; 4] {
    [with(a, e), with(b, f), with(c, g), with(d, h)]
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        let ([a, b, c, d], [e, f, g, h]) = (self.limbs, other.limbs);
        // The first limb that differs decides.
        let (mine, theirs) = if d != h {
            (d, h)
        } else if c != g {
            (c, g)
        } else if b != f {
            (b, f)
        } else {
            (a, e)
        };
        mine.cmp(&theirs)
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Whole tokens with the fraction that is there: `35`, `0.5`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Last digit first; 2^256 has 78 of them.
        let mut digits = Vec::with_capacity(80);
        let mut left = *self;
        while !left.is_zero() || digits.len() <= Self::DECIMALS {
            let Some((quotient, digit)) = left.div_from(0, 10) else {
                return Err(fmt::Error);
            };
            if digits.len() == Self::DECIMALS {
                digits.push('.');
            }
            digits.push(char::from(b'0' + digit as u8));
            left = quotient;
        }
        let text: String = digits.into_iter().rev().collect();
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} tokens")
    }
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse_tokens(text)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tokens)
    }
}

/// Reads tokens written as a text or as a whole number.
struct Tokens;

impl Visitor<'_> for Tokens {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an amount of tokens, such as 35 or \"0.5\" (a fraction in quotes, so that it stays exact)",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
        Amount::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, tokens: u64) -> Result<Amount, E> {
        Ok(Amount::from_tokens(tokens))
    }
}

#[cfg(test)]
#[path = "amount_tests.rs"]
mod tests;
