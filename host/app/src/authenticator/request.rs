//! What a client says of itself when it logs in.

use crate::wire::{FromValue, describe, unfit};
use bourse_market::login::LoginForm;
use bourse_market::{Address, ClientKey, Nanos, Signature};
use bourse_wamp::{Dict, Value, WampError};
use std::str::FromStr;

/// A client that wants to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Its key; that it holds it is for the router to ask.
    pub(crate) key: ClientKey,
    /// Who vouches for the key, if the client says so.
    pub(crate) vouched: Option<Vouched>,
}

/// A word of a member or delegate for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vouched {
    /// Whose word.
    pub(crate) party: Address,
    /// What was signed.
    pub(crate) form: LoginForm,
    /// The signature.
    pub(crate) signature: Signature,
}

/// Reads the `authextra` of a client.
///
/// # Errors
///
/// `xbr.marketmaker.error.invalid-auth-request`, naming what is missing or wrong.
pub(crate) fn parse(extra: &Dict) -> Result<Request, WampError> {
    let key = bytes(extra, "pubkey")?.ok_or_else(|| missing("pubkey"))?;
    let party = bytes::<Address>(extra, "wallet_address")?;
    let signature = bytes::<Signature>(extra, "signature")?;
    let (party, signature) = match (party, signature) {
        (None, None) => return Ok(Request { key, vouched: None }),
        (Some(party), Some(signature)) => (party, signature),
        (None, _) => return Err(missing("wallet_address")),
        (_, None) => return Err(missing("signature")),
    };
    let form = match (moment(extra, "issued")?, moment(extra, "expires")?) {
        (None, None) => LoginForm::Plain,
        (Some(issued), Some(expires)) => LoginForm::Dated { issued, expires },
        (None, _) => return Err(missing("issued")),
        (_, None) => return Err(missing("expires")),
    };
    Ok(Request {
        key,
        vouched: Some(Vouched {
            party,
            form,
            signature,
        }),
    })
}

fn missing(name: &str) -> WampError {
    unfit(format_args!("authextra has no {name}"))
}

/// Bytes as they are, or as hex digits: clients write both, and JSON has no bytes.
fn bytes<T: FromValue + FromStr>(extra: &Dict, name: &str) -> Result<Option<T>, WampError> {
    let value = match extra.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let read = match value {
        Value::Str(text) => text.parse().ok(),
        value => T::from_value(value.clone()),
    };
    let wrong = || {
        unfit(format_args!(
            "{name}: expected {}, or as many in hex, got {}",
            T::EXPECTED,
            describe(value)
        ))
    };
    read.map(Some).ok_or_else(wrong)
}

fn moment(extra: &Dict, name: &str) -> Result<Option<Nanos>, WampError> {
    let value = match extra.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let wrong = || {
        unfit(format_args!(
            "{name}: expected {}, got {}",
            Nanos::EXPECTED,
            describe(value)
        ))
    };
    Nanos::from_value(value.clone()).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;
    use crate::wire::{bytes as raw, int, text, uri};

    fn extra(entries: &[(&str, Value)]) -> Dict {
        let entries = entries.iter().cloned();
        entries.map(|(key, value)| (key.to_owned(), value)).collect()
    }

    #[test]
    fn a_key_is_read_from_bytes_and_from_hex_and_vouched_for_by_nobody_unless_it_says_so() {
        let key = ClientKey([0xab; 32]);
        for spelled in [raw(key.0), text("ab".repeat(32)), text(key.to_string())] {
            let request = parse(&extra(&[("pubkey", spelled)])).unwrap();
            assert_eq!(request, Request { key, vouched: None });
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let (key, wallet, signature) = (raw([1; 32]), raw([2; 20]), raw([3; 65]));
        let whole = [
            ("pubkey", key),
            ("wallet_address", wallet),
            ("signature", signature),
            ("issued", int(4u8)),
            ("expires", int(5u8)),
        ];
        let all = parse(&extra(&whole)).unwrap().vouched.unwrap();
        let dated = LoginForm::Dated {
            issued: Nanos(4),
            expires: Nanos(5),
        };
        assert_eq!((all.party, all.form), (Address([2; 20]), dated));
        assert_eq!(
            parse(&extra(&whole[..3])).unwrap().vouched.unwrap().form,
            LoginForm::Plain
        );
        for (name, _) in &whole {
            let mut lacking = extra(&whole);
            lacking.remove(*name);
            let mut broken = extra(&whole);
            broken.insert((*name).to_owned(), Value::Bytes(vec![1; 7]));
            for wrong in [lacking, broken] {
                let error = parse(&wrong).unwrap_err();
                assert_eq!(error.uri, uri::INVALID_AUTH_REQUEST);
                let said = format!("{:?}", error.args);
                assert!(said.contains(name), "{name}: {said}");
            }
        }
    }
}
