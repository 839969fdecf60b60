//! Cryptosign: the answer to a challenge is its Ed25519 signature. With a channel binding, what is signed is the
//! challenge XOR the id of the TLS connection, so that nobody in the middle can pass the signature on.
//!
//! Pure functions, in autobahn's form: the signature and the 32 bytes signed, both in hex.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::hash::{unhex, xor};
use crate::value::{Dict, Value};

/// The binding that both sides of ours can do: exported keying material, RFC 9266. autobahn's `tls-unique` needs
/// what TLS 1.3 does not have.
pub(crate) const TLS_EXPORTER: &str = "tls-exporter";

/// A client's private key.
#[derive(Clone)]
pub struct CryptosignKey(SigningKey);

impl CryptosignKey {
    /// Of the 32 bytes that other implementations call the seed or the private key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Of the seed in hex, as autobahn writes it.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let seed = zeroize::Zeroizing::new(unhex(text.trim())?);
        Some(Self::from_seed(&seed))
    }

    /// The public key, by which the router knows the client.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The public key in hex, as it is written into configurations.
    #[must_use]
    pub fn public_hex(&self) -> String {
        hex::encode(self.public_key())
    }
}

impl std::fmt::Debug for CryptosignKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CryptosignKey({})", self.public_hex())
    }
}

/// Router: the key that HELLO's `authextra` shows, if it shows one.
pub(crate) fn shown_key(extra: &Dict) -> Result<Option<[u8; 32]>, String> {
    match extra.get("pubkey") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Str(text)) => unhex(text.strip_prefix("0x").unwrap_or(text))
            .map(Some)
            .ok_or_else(|| {
                "authextra.pubkey must be the 32 bytes of an Ed25519 public key in hex".to_owned()
            }),
        Some(other) => Err(format!(
            "authextra.pubkey is {}, it must be hex in a string",
            other.kind()
        )),
    }
}

/// Router: the channel id that the client wants its proof bound to, if it wants that.
pub(crate) fn binding(extra: &Dict, channel: Option<[u8; 32]>) -> Result<Option<[u8; 32]>, String> {
    match extra.get("channel_binding") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Str(wanted)) if wanted == TLS_EXPORTER => channel.map(Some).ok_or_else(|| {
            format!(
                "the channel binding {TLS_EXPORTER} needs a connection over TLS 1.3 (wss or rss), this is none"
            )
        }),
        Some(Value::Str(wanted)) => Err(format!(
            "the channel binding {wanted:?} is not known here: {TLS_EXPORTER} is, over TLS; leave channel_binding \
             out to log in without"
        )),
        Some(other) => Err(format!(
            "authextra.channel_binding is {}, it must be a string",
            other.kind()
        )),
    }
}

/// Router: the CHALLENGE's details.
pub(crate) fn details(challenge: &[u8; 32], bound: bool) -> Dict {
    let mut details = Dict::from([("challenge".to_owned(), hex::encode(challenge).into())]);
    if bound {
        details.insert("channel_binding".to_owned(), TLS_EXPORTER.into());
    }
    details
}

/// Router: whether `answer` is the signature of this challenge, over this channel, by this key.
pub(crate) fn verify(key: &[u8; 32], challenge: &[u8; 32], channel: Option<&[u8; 32]>, answer: &str) -> bool {
    let Some(answer) = unhex::<96>(answer) else {
        return false;
    };
    let (signature, signed) = answer.split_at(64);
    let expected = channel.map_or(*challenge, |channel| xor(challenge, channel));
    let (Ok(signature), Ok(key)) = (Signature::from_slice(signature), VerifyingKey::from_bytes(key)) else {
        return false;
    };
    // Strictly: a key of low order would make one signature good for every challenge.
    signed == expected.as_slice() && key.verify_strict(&expected, &signature).is_ok()
}

/// Client: the AUTHENTICATE's signature.
pub(crate) fn respond(
    key: &CryptosignKey,
    details: &Dict,
    channel: Option<&[u8; 32]>,
) -> Result<String, String> {
    let challenge = details
        .get("challenge")
        .and_then(Value::as_str)
        .and_then(unhex::<32>)
        .ok_or("the CHALLENGE has no 32 bytes in hex in `challenge`")?;
    let signed = channel.map_or(challenge, |channel| xor(&challenge, channel));
    let mut answer = key.0.sign(&signed).to_vec();
    answer.extend_from_slice(&signed);
    Ok(hex::encode(answer))
}
