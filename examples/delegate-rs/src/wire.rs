//! Bytes and amounts in the JSON of `wamp_async`.
//!
//! Its values are those of `serde_json`, which has no bytes, and its MessagePack ends the session at the first bytes. So this
//! client speaks JSON, in which WAMP spells bytes as a text of NUL and base64, and here that is done by hand.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ethers::types::U256;
use serde_json::Value;

/// Units of a token.
const DIGITS: usize = 18;

/// Bytes as WAMP spells them in JSON.
pub fn bytes(bytes: &[u8]) -> Value {
    Value::String(format!("\0{}", STANDARD.encode(bytes)))
}

/// An amount: 32 bytes, big-endian.
pub fn amount(amount: U256) -> Value {
    bytes(&word(amount))
}

/// The 32 bytes of a number.
pub fn word(number: U256) -> [u8; 32] {
    let mut word = [0; 32];
    number.to_big_endian(&mut word);
    word
}

/// The bytes that a value spells.
pub fn read_bytes(value: &Value) -> Result<Vec<u8>> {
    let text = value.as_str().and_then(|text| text.strip_prefix('\0'));
    let text = text.with_context(|| format!("{value} spells no bytes: expected a text of NUL and base64"))?;
    STANDARD
        .decode(text)
        .with_context(|| format!("{value} is no base64 behind its NUL"))
}

/// So many bytes that a value spells.
pub fn read_array<const N: usize>(value: &Value) -> Result<[u8; N]> {
    let bytes = read_bytes(value)?;
    let length = bytes.len();
    bytes
        .try_into()
        .ok()
        .with_context(|| format!("expected {N} bytes, got {length}"))
}

/// The amount that a value spells.
pub fn read_amount(value: &Value) -> Result<U256> {
    Ok(U256::from_big_endian(&read_array::<32>(value)?))
}

/// Whole or fractional tokens as units, without a float on the way.
pub fn tokens(text: &str) -> Result<U256, String> {
    let wrong = || format!("`{text}` is not an amount of tokens, such as 35 or 0.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > DIGITS {
        return Err(wrong());
    }
    U256::from_dec_str(&format!("{whole}{fraction:0<DIGITS$}")).map_err(|_| wrong())
}

/// Units as people write tokens.
pub fn in_tokens(units: U256) -> String {
    let digits = format!("{:0>19}", units.to_string());
    let (whole, fraction) = digits.split_at(digits.len() - DIGITS);
    format!("{whole}.{fraction}")
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_and_written_alike() {
        for text in ["35", "0.5", "0", "1000.000000000000000001"] {
            assert_eq!(in_tokens(tokens(text).unwrap()), text);
        }
        assert!(tokens("1.0000000000000000001").is_err() && tokens("x").is_err());
    }

    #[test]
    fn bytes_travel_as_nul_and_base64() {
        assert_eq!(bytes(&[0, 255]), Value::from("\0AP8="));
        assert_eq!(read_bytes(&bytes(&[0, 255])).unwrap(), [0, 255]);
        assert!(read_bytes(&Value::from("AP8=")).is_err());
    }
}
