//! WAMP-CRA: the answer to a challenge is its HMAC under a shared secret, or under a key derived of it.
//!
//! Pure functions. The derived key is used in base64, as text, which is what every implementation does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::hash;
use super::secret::Secret;
use crate::limits::{MAX_KDF_ITERATIONS, MAX_SALT};
use crate::value::{Dict, Value};

/// Bytes of a derived key, where the challenge does not say.
const KEY_LENGTH: u32 = 32;
/// Bytes of the longest derived key that a router may ask for.
const MAX_KEY_LENGTH: u32 = 128;
/// Rounds of PBKDF2 where the challenge does not say, as in other implementations.
const ITERATIONS: u32 = 1_000;

/// What a router keeps of a user of WAMP-CRA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CraKey {
    /// The secret, or the key derived of it.
    key: Secret,
    salting: Option<Salting>,
}

/// How the key is derived of the secret; told to whoever claims the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salting {
    /// The salt, as text.
    pub salt: String,
    /// Rounds of PBKDF2 with HMAC-SHA256.
    pub iterations: u32,
    /// Bytes of the key.
    pub key_length: u32,
}

impl Salting {
    fn check(&self) -> Result<(), String> {
        let Self {
            salt,
            iterations,
            key_length,
        } = self;
        if salt.len() > MAX_SALT {
            return Err(format!(
                "a salt of {} bytes, at most {MAX_SALT} are taken",
                salt.len()
            ));
        }
        if !(1..=MAX_KDF_ITERATIONS).contains(iterations) {
            return Err(format!(
                "{iterations} iterations, 1 to {MAX_KDF_ITERATIONS} are taken"
            ));
        }
        if !(16..=MAX_KEY_LENGTH).contains(key_length) {
            return Err(format!(
                "a key of {key_length} bytes, 16 to {MAX_KEY_LENGTH} are taken"
            ));
        }
        Ok(())
    }

    /// The key, in base64.
    fn derive(&self, secret: &Secret) -> Secret {
        let length = usize::try_from(self.key_length).unwrap_or_default();
        let key: Secret = hash::pbkdf2(secret.expose(), self.salt.as_bytes(), self.iterations, length).into();
        STANDARD.encode(key.expose()).into()
    }
}

impl CraKey {
    /// Of a secret that both sides know.
    #[must_use]
    pub fn plain(secret: impl Into<Secret>) -> Self {
        Self {
            key: secret.into(),
            salting: None,
        }
    }

    /// Of a key that was derived before, in base64 as WAMP-CRA uses it.
    ///
    /// # Errors
    /// A sentence about the parameter that cannot be.
    pub fn salted(key: impl Into<Secret>, salting: Salting) -> Result<Self, String> {
        salting.check()?;
        Ok(Self {
            key: key.into(),
            salting: Some(salting),
        })
    }

    /// Of a secret, of which only the derived key is kept. Slow, as it should be.
    ///
    /// # Errors
    /// A sentence about the parameter that cannot be.
    pub fn derive(secret: &Secret, salting: Salting) -> Result<Self, String> {
        salting.check()?;
        Self::salted(salting.derive(secret), salting)
    }

    /// How the key was derived, if it was.
    #[must_use]
    pub fn salting(&self) -> Option<&Salting> {
        self.salting.as_ref()
    }

    /// The key as text, to be written down where only the router reads it.
    #[must_use]
    pub fn key(&self) -> &Secret {
        &self.key
    }
}

/// Router: the text to be signed. Nobody else ever gets it: `nonce` is drawn for it.
pub(crate) fn challenge(nonce: &[u8; 32], session: u64) -> String {
    let nonce = hex::encode(nonce);
    format!(r#"{{"authmethod":"wampcra","authprovider":"bourse","nonce":"{nonce}","session":{session}}}"#)
}

/// Router: the CHALLENGE's details.
pub(crate) fn details(challenge: &str, key: &CraKey) -> Dict {
    let mut details = Dict::from([("challenge".to_owned(), challenge.into())]);
    if let Some(salting) = &key.salting {
        details.insert("salt".to_owned(), salting.salt.as_str().into());
        details.insert("iterations".to_owned(), salting.iterations.into());
        details.insert("keylen".to_owned(), salting.key_length.into());
    }
    details
}

/// Router: whether `signature` proves knowledge of the key.
pub(crate) fn verify(key: &CraKey, challenge: &str, signature: &str) -> bool {
    let right: Secret = hash::hmac(key.key.expose(), &[challenge.as_bytes()]).into();
    STANDARD.decode(signature).is_ok_and(|shown| right.is(&shown))
}

/// Client: the AUTHENTICATE's signature. May take long, if the router wants many rounds.
pub(crate) fn respond(secret: &Secret, details: &Dict) -> Result<String, String> {
    let challenge = details
        .get("challenge")
        .and_then(Value::as_str)
        .ok_or("the CHALLENGE has no text to be signed in `challenge`")?;
    let key = match details.get("salt") {
        None | Some(Value::Null) => secret.clone(),
        Some(Value::Str(salt)) => {
            let salting = Salting {
                salt: salt.clone(),
                iterations: number(details, "iterations", ITERATIONS)?,
                key_length: number(details, "keylen", KEY_LENGTH)?,
            };
            salting
                .check()
                .map_err(|what| format!("the CHALLENGE asks for {what}"))?;
            salting.derive(secret)
        }
        Some(other) => {
            return Err(format!(
                "the CHALLENGE's salt is {}, it should be a string",
                other.kind()
            ));
        }
    };
    Ok(STANDARD.encode(hash::hmac(key.expose(), &[challenge.as_bytes()])))
}

fn number(details: &Dict, name: &str, default: u32) -> Result<u32, String> {
    let Some(value) = details.get(name).filter(|value| !value.is_null()) else {
        return Ok(default);
    };
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| format!("the CHALLENGE's {name} should be a whole number below 2^32"))
}
