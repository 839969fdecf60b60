//! The few functions that all methods are made of. Nothing here knows a message.

use pbkdf2::hmac::{Hmac, KeyInit, Mac};
use pbkdf2::sha2::{Digest, Sha256};

/// HMAC-SHA256.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // Keys of any length are taken; the error is of the trait, not of HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// PBKDF2 with HMAC-SHA256.
pub(crate) fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32, length: usize) -> Vec<u8> {
    let mut key = vec![0; length];
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key);
    key
}

/// Byte by byte, as far as both reach.
pub(crate) fn xor(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = *left;
    for (byte, other) in both.iter_mut().zip(right) {
        *byte ^= other;
    }
    both
}

/// Bytes of text in hex, if they are as many as `N`.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
