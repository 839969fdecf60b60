//! Identifiers, addresses and time: a type for each, so that none stands in for another.

use core::fmt;
use core::time::Duration;

/// Declares a 16-byte identifier of its own type.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        /// 32 hex digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(f, &self.0)
            }
        }
    };
}

id! {
    /// The market a policy runs in.
    MarketId
}
id! {
    /// A key: one epoch of encrypted data, the thing that is sold.
    KeyId
}
id! {
    /// An API: what the data behind a key is about.
    ApiId
}
id! {
    /// A catalog of APIs.
    CatalogId
}

/// An Ethereum address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub [u8; 20]);

/// `0x` and 40 lower-case hex digits.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        hex(f, &self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// A point in time: nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Time passed since `earlier`; nothing if that lies in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This time moved on by `by`, to the end of time (the year 2554) at most.
    #[must_use]
    pub const fn after(self, by: Duration) -> Self {
        let nanos = by.as_nanos();
        if nanos > u64::MAX as u128 {
            Self(u64::MAX)
        } else {
            Self(self.0.saturating_add(nanos as u64))
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_print_as_hex() {
        assert_eq!(KeyId([0xa5; 16]).to_string(), "a5".repeat(16));
        assert_eq!(Address([1; 20]).to_string(), format!("0x{}", "01".repeat(20)));
        assert_eq!(
            format!("{:?}", ApiId([0; 16])),
            format!("ApiId({})", "00".repeat(16))
        );
    }

    #[test]
    fn time_never_runs_backwards() {
        let now = Nanos(5_000_000);
        assert_eq!(now.since(Nanos(2_000_000)), Duration::from_millis(3));
        assert_eq!(now.since(Nanos(9_000_000)), Duration::ZERO);
        assert_eq!(now.after(Duration::MAX), Nanos(u64::MAX));
    }
}
