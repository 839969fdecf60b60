//! Arguments of a call: each by position or by keyword, typed, every fault naming the argument.

use super::error::invalid;
use bourse_market::{
    Address, Amount, ApiId, BlockNumber, BuyerPubkey, CatalogId, ChannelId, ClientKey, KeyId, MarketId,
    Nanos, Offer, OfferId, Seq, Signature, TransactionHash,
};
use bourse_store::Place;
use bourse_wamp::{Dict, Invocation, Value, WampError};

/// A type an argument can be parsed into.
pub(crate) trait FromValue: Sized {
    /// What is expected, for the error: `16 bytes`.
    const EXPECTED: &'static str;

    /// The value, none if it is something else.
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! from_bytes {
    ($($type:ty = $expected:literal),* $(,)?) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Bytes(bytes) => Self::try_from(bytes.as_slice()).ok(),
                    _ => None,
                }
            }
        }
    )*};
}

from_bytes!(
    KeyId = "16 bytes",
    ApiId = "16 bytes",
    CatalogId = "16 bytes",
    OfferId = "16 bytes",
    ChannelId = "16 bytes",
    MarketId = "16 bytes",
    Address = "20 bytes",
    BuyerPubkey = "32 bytes",
    Signature = "65 bytes",
    TransactionHash = "32 bytes",
    ClientKey = "32 bytes",
);

impl FromValue for Amount {
    const EXPECTED: &'static str = "a uint256 as 32 big-endian bytes";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes.try_into().ok().map(Self::from_be_bytes),
            _ => None,
        }
    }
}

/// A seller's delegate, as 20 bytes or as `0x` and 40 hex digits.
pub(crate) struct SellerId(pub(crate) Address);

impl FromValue for SellerId {
    const EXPECTED: &'static str = "a delegate's address as 20 bytes, or as 0x and 40 hex digits";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Str(text) => {
                let mut address = [0; Address::LEN];
                hex::decode_to_slice(text.strip_prefix("0x")?, &mut address).ok()?;
                Some(Self(Address(address)))
            }
            value => Address::from_value(value).map(Self),
        }
    }
}

impl FromValue for Place {
    const EXPECTED: &'static str = "the 24 bytes of a former page's cursor";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes
                .first_chunk()
                .filter(|_| bytes.len() == Self::LEN)
                .map(Self::from_bytes),
            _ => None,
        }
    }
}

/// The value of a label to filter by. Offers carry strings; integers and booleans stand for what they are written as.
pub(crate) struct Label(pub(crate) String);

impl Label {
    /// The label, or what came instead.
    pub(crate) fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::Str(text) => Ok(Self(text)),
            Value::Int(int) => Ok(Self(int.to_string())),
            Value::Bool(bool) => Ok(Self(bool.to_string())),
            other => Err(describe(&other)),
        }
    }
}

/// Refuses more labels than an offer may have, to place one or to look for one.
pub(crate) fn check_categories(given: &Dict) -> Result<(), WampError> {
    match given.len() <= Offer::MAX_CATEGORIES {
        true => Ok(()),
        false => Err(invalid(
            "categories",
            format_args!("expected at most {}, got {}", Offer::MAX_CATEGORIES, given.len()),
        )),
    }
}

impl FromValue for u64 {
    const EXPECTED: &'static str = "a non-negative integer of at most 64 bits";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Int(int) => int.as_u64(),
            _ => None,
        }
    }
}

impl FromValue for u32 {
    const EXPECTED: &'static str = "a non-negative integer of at most 32 bits";

    fn from_value(value: Value) -> Option<Self> {
        u64::from_value(value).and_then(|int| int.try_into().ok())
    }
}

impl FromValue for Nanos {
    const EXPECTED: &'static str = "nanoseconds since the Unix epoch";

    fn from_value(value: Value) -> Option<Self> {
        u64::from_value(value).map(Self)
    }
}

impl FromValue for BlockNumber {
    const EXPECTED: &'static str = "a block number of at most 64 bits";

    fn from_value(value: Value) -> Option<Self> {
        u64::from_value(value).map(Self)
    }
}

impl FromValue for Seq {
    const EXPECTED: &'static str = u32::EXPECTED;

    fn from_value(value: Value) -> Option<Self> {
        u32::from_value(value).map(Self)
    }
}

impl FromValue for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Bool(bool) => Some(bool),
            _ => None,
        }
    }
}

impl FromValue for String {
    const EXPECTED: &'static str = "a string";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// Any list.
impl FromValue for Vec<Value> {
    const EXPECTED: &'static str = "a list";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }
}

impl FromValue for Dict {
    const EXPECTED: &'static str = "a dictionary";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }
}

/// The arguments of one call, taken out one by one.
pub(crate) struct Arguments {
    names: &'static [&'static str],
    values: Vec<Option<Value>>,
}

impl Arguments {
    /// Sorts positional and keyword arguments under `names`, which lists them in positional order.
    ///
    /// # Errors
    ///
    /// `wamp.error.invalid_argument` for one too many, an unknown keyword, or one given twice.
    pub(crate) fn of(invocation: &mut Invocation, names: &'static [&'static str]) -> Result<Self, WampError> {
        let args = std::mem::take(&mut invocation.args);
        if args.len() > names.len() {
            return Err(invalid(
                "arguments",
                format_args!(
                    "expected at most {} ({}), got {}",
                    names.len(),
                    names.join(", "),
                    args.len()
                ),
            ));
        }
        let mut values: Vec<Option<Value>> = args.into_iter().map(Some).collect();
        values.resize_with(names.len(), || None);
        for (keyword, value) in std::mem::take(&mut invocation.kwargs) {
            let Some(slot) = names
                .iter()
                .position(|name| *name == keyword)
                .and_then(|at| values.get_mut(at))
            else {
                let known = names.join(", ");
                return Err(invalid(
                    &in_short(&keyword, SHOWN),
                    format_args!("unknown argument; known are {known}"),
                ));
            };
            if slot.is_some() {
                return Err(invalid(&keyword, "given by position and by keyword"));
            }
            *slot = Some(value);
        }
        Ok(Self { names, values })
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.names.iter().position(|known| *known == name)?;
        self.values.get_mut(at)?.take()
    }

    /// An argument that must be there.
    pub(crate) fn required<T: FromValue>(&mut self, name: &str) -> Result<T, WampError> {
        self.optional(name)?
            .ok_or_else(|| invalid(name, format_args!("missing; expected {}", T::EXPECTED)))
    }

    /// An argument that may be missing or null.
    pub(crate) fn optional<T: FromValue>(&mut self, name: &str) -> Result<Option<T>, WampError> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let got = describe(&value);
                T::from_value(value)
                    .map(Some)
                    .ok_or_else(|| invalid(name, format_args!("expected {}, got {got}", T::EXPECTED)))
            }
        }
    }

    /// A list of one thing at least and `most` at most, that may be missing or null.
    pub(crate) fn list<T: FromValue>(
        &mut self,
        name: &str,
        most: usize,
    ) -> Result<Option<Vec<T>>, WampError> {
        let Some(list) = self.optional::<Vec<Value>>(name)? else {
            return Ok(None);
        };
        if !(1..=most).contains(&list.len()) {
            return Err(invalid(
                name,
                format_args!("expected a list of 1 to {most}, or null, got {}", list.len()),
            ));
        }
        let one = |(place, value): (usize, Value)| {
            let got = describe(&value);
            T::from_value(value).ok_or_else(|| {
                invalid(
                    name,
                    format_args!("expected {} at place {place}, got {got}", T::EXPECTED),
                )
            })
        };
        list.into_iter()
            .enumerate()
            .map(one)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// An optional argument with a default.
    pub(crate) fn or<T: FromValue>(&mut self, name: &str, default: T) -> Result<T, WampError> {
        Ok(self.optional(name)?.unwrap_or(default))
    }
}

/// Characters of a text that an error repeats.
const SHOWN: usize = 40;
/// Digits of a number: those of the largest amount, and a sign.
const DIGITS: usize = 79;

/// So many characters of a text, and whether there were more.
fn in_short(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// A value in a few words: enough to find the mistake, never the whole of it.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => format!("the integer {}", in_short(&int.to_string(), DIGITS)),
        Value::Float(float) => format!("the number {float}"),
        Value::Str(text) => {
            let shown: String = text.chars().take(SHOWN).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            format!("the string {shown:?}{more}")
        }
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::List(list) => format!("a list of {}", list.len()),
        Value::Map(map) => format!("a dictionary of {}", map.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_wamp::{Integer, Serializer};
    use tokio_util::sync::CancellationToken;

    #[test]
    fn an_error_repeats_little_of_what_a_client_sent() {
        let mut call = Invocation {
            procedure: String::new(),
            args: Vec::new(),
            kwargs: Dict::from([("ä".repeat(1 << 20), Value::Null)]),
            caller: None,
            caller_authid: None,
            caller_authrole: None,
            timeout: None,
            cancelled: CancellationToken::new(),
        };
        let error = Arguments::of(&mut call, &["key_id"]).err().unwrap();
        let said = format!("{error:?}");
        assert!(
            said.len() < 500 && said.contains("ä…") && said.contains("key_id"),
            "{said}"
        );
        let largest = Integer::from_be_32(&[255; 32]);
        assert_eq!(
            describe(&Value::Int(largest.clone())),
            format!("the integer {largest}")
        );
        let frame = format!("[[{}],{{}}]", "9".repeat(1000));
        let (args, _) = Serializer::Json.decode_arguments(frame.as_bytes()).unwrap();
        let long = describe(&args[0]);
        assert!(long.len() < 100 && long.ends_with('…'), "{long}");
    }
}
