//! Calls as bytes: what to call, and its arguments in a serializer's own form.
//!
//! | input | is |
//! |---|---|
//! | 0 | bits 0 and 1 the procedure, 2 and 3 the serializer, from 4 on what a target takes them for |
//! | from 1 | a list of arguments and a map of them, as the codec reads them off a wire |

use bourse_market::Amount;
use bourse_wamp::{Dict, Invocation, Serializer, Value, WampError};
use tokio_util::sync::CancellationToken;

/// Characters of the longest error: it names what was wrong and what would be right, and repeats little.
const MAX_SAID: usize = 1500;

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Which of four procedures.
    pub(crate) which: usize,
    /// The upper four bits of the first byte.
    pub(crate) flags: u8,
    pub(crate) args: Vec<Value>,
    pub(crate) kwargs: Dict,
}

/// The serializer that two bits of `first` name.
pub(crate) fn serializer(first: u8) -> Serializer {
    match (first >> 2) & 3 {
        1 => Serializer::MsgPack,
        2 => Serializer::Json,
        _ => Serializer::Cbor,
    }
}

impl Call {
    /// The call in these bytes, if the codec reads any.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&first, frame) = bytes.split_first()?;
        let serializer = serializer(first);
        let (args, kwargs) = serializer.decode_arguments(frame).ok()?;
        // What was read can be written, and reads the same; a map may have said a key twice.
        if let Ok(again) = serializer.encode_arguments(&args, &kwargs) {
            let again = serializer.decode_arguments(&again).expect("its own bytes");
            assert_eq!(format!("{again:?}"), format!("{:?}", (&args, &kwargs)));
        }
        Some(Self {
            which: usize::from(first & 3),
            flags: first >> 4,
            args,
            kwargs,
        })
    }

    /// The bytes of a call, in each serializer that has its values.
    pub(crate) fn seeds(which: u8, flags: u8, args: &[Value], kwargs: &Dict) -> Vec<Vec<u8>> {
        let form = |form: u8| {
            let first = which | form << 2 | flags << 4;
            let frame = serializer(first).encode_arguments(args, kwargs).ok()?;
            Some([vec![first], frame].concat())
        };
        (0..3).filter_map(form).collect()
    }

    /// The argument that stands at `at` by position and is called `name`.
    pub(crate) fn get(&self, at: usize, name: &str) -> Option<&Value> {
        self.args.get(at).or_else(|| self.kwargs.get(name))
    }

    /// The same as bytes of one length.
    pub(crate) fn bytes<const N: usize>(&self, at: usize, name: &str) -> Option<[u8; N]> {
        self.get(at, name)?.as_bytes()?.try_into().ok()
    }

    /// The same as a number.
    pub(crate) fn number(&self, at: usize, name: &str) -> Option<u64> {
        self.get(at, name)?.as_u64()
    }

    /// The same as an amount, in either form.
    pub(crate) fn amount(&self, at: usize, name: &str) -> Option<Amount> {
        let value = self.get(at, name)?;
        match value.as_int() {
            Some(number) => number.to_be_32().map(Amount::from_be_bytes),
            None => self.bytes(at, name).map(Amount::from_be_bytes),
        }
    }

    /// Puts another value in its place.
    pub(crate) fn put(&mut self, at: usize, name: &str, value: Value) {
        match self.args.get_mut(at) {
            Some(slot) => *slot = value,
            None => {
                self.kwargs.insert(name.to_owned(), value);
            }
        }
    }

    /// As a market gets it.
    pub(crate) fn invocation(&self, session: u64, procedure: &str) -> Invocation {
        invocation(session, procedure, self.args.clone(), self.kwargs.clone())
    }
}

/// A call by an anonymous session.
pub(crate) fn invocation(session: u64, procedure: &str, args: Vec<Value>, kwargs: Dict) -> Invocation {
    Invocation {
        procedure: procedure.to_owned(),
        args,
        kwargs,
        caller: Some(session),
        caller_authid: None,
        caller_authrole: None,
        timeout: None,
        cancelled: CancellationToken::new(),
    }
}

/// A refusal has a URI and says in one line why, at no length, and is no fault of the market's own.
pub(crate) fn refused(error: &WampError) {
    let known = ["wamp.error.", "crossbar.error.", "xbr.", "bourse.error."];
    let known = known.iter().any(|begin| error.uri.starts_with(begin));
    assert!(known && error.uri != bourse_app::uri::RUNTIME, "{error:?}");
    let said = error.args.first().and_then(Value::as_str).expect("a reason");
    let chars = said.chars().count();
    assert!((1..MAX_SAID).contains(&chars), "{chars} characters: {said}");
    let spoken = Serializer::Cbor
        .encode_arguments(&error.args, &error.kwargs)
        .expect("an error can be sent");
    assert!(spoken.len() < 4 * MAX_SAID, "{} bytes: {error:?}", spoken.len());
}
