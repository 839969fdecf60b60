//! Names of what is counted, within the 64 bytes of a key.

use bourse::Nanos;

/// Bytes of the longest key that [`key`] makes of what policies here name: two addresses and an identifier, shortened.
pub const MAX_KEY: usize = 64;

/// The URL-safe alphabet of base 64.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `kind`, a colon, and the bytes of all `parts` in base 64: 40 bytes come to 54 characters. Parts of one kind must
/// always have the same lengths, as nothing stands between them.
pub fn key(kind: &str, parts: &[&[u8]]) -> String {
    let mut text = String::with_capacity(MAX_KEY);
    text.push_str(kind);
    text.push(':');
    let (mut bits, mut count) = (0u32, 0u32);
    for byte in parts.iter().flat_map(|part| part.iter()) {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 6 {
            count -= 6;
            text.push(digit(bits >> count));
        }
    }
    if count > 0 {
        text.push(digit(bits << (6 - count)));
    }
    text
}

fn digit(bits: u32) -> char {
    DIGITS
        .get((bits & 63) as usize)
        .map_or('-', |digit| char::from(*digit))
}

/// A point in time in milliseconds since the Unix epoch.
pub const fn millis(at: Nanos) -> u64 {
    at.0 / 1_000_000
}
