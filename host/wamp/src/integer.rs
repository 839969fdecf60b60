//! Integers of any size, as they arrive in messages.

use std::fmt;

use num_bigint::BigInt;

/// Bytes in the magnitude of the largest integer a frame may carry: just below 10^4300, the length at which
/// the JSON parsers of both sides (jiter here, CPython there) stop reading a number. Without a bound, writing
/// one number of a megabyte as decimal text takes seconds.
pub const MAX_INTEGER_BYTES: usize = 1785;

/// A whole number of any size. Amounts of tokens exceed 64 bits, and some clients send them as plain numbers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Integer(Repr);

/// Normalised: `Big` never holds what fits `Small`, so that derived equality is numeric equality.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Small(i64),
    Big(Box<BigInt>),
}

impl Integer {
    /// The value, if it fits an unsigned 64-bit number.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Small(value) => u64::try_from(*value).ok(),
            Repr::Big(value) => u64::try_from(value.as_ref()).ok(),
        }
    }

    /// The value, if it fits a signed 64-bit number.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Small(value) => Some(*value),
            Repr::Big(_) => None,
        }
    }

    /// The value as 32 big-endian bytes, if it is not negative and below 2^256.
    #[must_use]
    pub fn to_be_32(&self) -> Option<[u8; 32]> {
        let mut out = [0_u8; 32];
        match &self.0 {
            Repr::Small(value) => {
                let value = u64::try_from(*value).ok()?;
                out.last_chunk_mut::<8>()?.copy_from_slice(&value.to_be_bytes());
            }
            Repr::Big(value) => {
                let (sign, bytes) = value.to_bytes_be();
                if sign == num_bigint::Sign::Minus {
                    return None;
                }
                let start = 32_usize.checked_sub(bytes.len())?;
                out.get_mut(start..)?.copy_from_slice(&bytes);
            }
        }
        Some(out)
    }

    /// The number that these 32 big-endian bytes spell.
    #[must_use]
    pub fn from_be_32(bytes: &[u8; 32]) -> Self {
        BigInt::from_bytes_be(num_bigint::Sign::Plus, bytes).into()
    }

    /// The value as an arbitrary-precision number.
    #[must_use]
    pub fn to_big(&self) -> BigInt {
        match &self.0 {
            Repr::Small(value) => BigInt::from(*value),
            Repr::Big(value) => value.as_ref().clone(),
        }
    }
}

impl From<BigInt> for Integer {
    fn from(value: BigInt) -> Self {
        match i64::try_from(&value) {
            Ok(small) => Self(Repr::Small(small)),
            Err(_) => Self(Repr::Big(Box::new(value))),
        }
    }
}

macro_rules! from_small {
    ($($int:ty),*) => {$(
        impl From<$int> for Integer {
            fn from(value: $int) -> Self {
                Self(Repr::Small(i64::from(value)))
            }
        }
    )*};
}
from_small!(i64, i32, i16, i8, u32, u16, u8);

macro_rules! from_wide {
    ($($int:ty),*) => {$(
        impl From<$int> for Integer {
            fn from(value: $int) -> Self {
                match i64::try_from(value) {
                    Ok(small) => Self(Repr::Small(small)),
                    Err(_) => Self(Repr::Big(Box::new(BigInt::from(value)))),
                }
            }
        }
    )*};
}
from_wide!(u64, u128, i128, usize);

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Small(value) => value.fmt(f),
            Repr::Big(value) => value.fmt(f),
        }
    }
}

impl fmt::Debug for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_equal_however_they_were_made() {
        assert_eq!(Integer::from(7_u64), Integer::from(BigInt::from(7)));
        assert_eq!(Integer::from(u64::MAX), Integer::from(BigInt::from(u64::MAX)));
        assert_ne!(Integer::from(u64::MAX), Integer::from(-1_i64));
    }

    #[test]
    fn thirty_five_tokens_fit_32_bytes_and_survive_them() {
        let price = Integer::from(35_000_000_000_000_000_000_u128);
        let bytes = price.to_be_32().unwrap();
        assert_eq!(Integer::from_be_32(&bytes), price);
        assert_eq!(price.as_i64(), None);
        assert_eq!(price.as_u64(), None);
    }

    #[test]
    fn negative_numbers_and_numbers_above_256_bits_have_no_32_bytes() {
        assert_eq!(Integer::from(-1_i64).to_be_32(), None);
        assert_eq!(Integer::from(BigInt::from(1) << 256).to_be_32(), None);
        assert_eq!(
            Integer::from((BigInt::from(1) << 256) - 1).to_be_32(),
            Some([0xff; 32])
        );
    }
}
