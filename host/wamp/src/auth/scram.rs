//! WAMP-SCRAM: the client proves that it knows the password, of which the router keeps nothing that would do for
//! logging in, and the router proves that it keeps that.
//!
//! Pure functions, in the form of autobahn and Crossbar.io, which the specification's draft was made of: the key of
//! argon2id is used in base64, as text, that of PBKDF2 as it is; names are not escaped.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::hash::{hmac, pbkdf2, sha256, xor};
use super::secret::Secret;
use crate::limits::{MAX_KDF_ITERATIONS, MAX_KDF_MEMORY, MAX_KDF_WORK, MAX_NONCE, MAX_SALT};
use crate::value::{Dict, Value};

/// Where WELCOME's `authextra` has the router's proof, in the specification's word and in autobahn's.
const VERIFIERS: [&str; 2] = ["verifier", "scram_server_signature"];
/// Bytes that each side adds to the nonce.
pub(crate) const NONCE: usize = 16;
/// Rounds of PBKDF2 that a client insists on, as RFC 7677 does, or KiB that Argon2 goes over, which takes about as long.
const MIN_WORK: u64 = 4_096;
/// Bytes of the shortest salt: Argon2 takes none shorter.
const MIN_SALT: usize = 8;

/// How a password becomes a key, and what that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// PBKDF2 with HMAC-SHA256.
    Pbkdf2 {
        /// Rounds.
        iterations: u32,
    },
    /// Argon2id, version 1.3, one lane.
    Argon2id13 {
        /// Passes over the memory.
        iterations: u32,
        /// KiB.
        memory: u32,
    },
}

impl Kdf {
    /// What autobahn's `derive_scram_credential` uses.
    pub const AUTOBAHN: Self = Self::Argon2id13 {
        iterations: 4_096,
        memory: 512,
    };

    /// For new records: what OWASP recommends of Argon2id, some hundredths of a second.
    pub const RECOMMENDED: Self = Self::Argon2id13 {
        iterations: 2,
        memory: 19 << 10,
    };

    /// The name in CHALLENGE.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pbkdf2 { .. } => "pbkdf2",
            Self::Argon2id13 { .. } => "argon2id-13",
        }
    }

    /// The method of this name.
    ///
    /// # Errors
    /// A sentence about what cannot be.
    pub fn new(name: &str, iterations: u32, memory: Option<u32>) -> Result<Self, String> {
        if !(1..=MAX_KDF_ITERATIONS).contains(&iterations) {
            return Err(format!(
                "{iterations} iterations, 1 to {MAX_KDF_ITERATIONS} are taken"
            ));
        }
        match (name, memory) {
            ("pbkdf2", _) => Ok(Self::Pbkdf2 { iterations }),
            ("argon2id-13", None) => Err("argon2id-13 without its memory in KiB".to_owned()),
            ("argon2id-13", Some(memory)) => {
                let work = u64::from(iterations) * u64::from(memory);
                if !(8..=MAX_KDF_MEMORY).contains(&memory) || work > MAX_KDF_WORK {
                    return Err(format!(
                        "{iterations} passes over {memory} KiB: at most {MAX_KDF_MEMORY} KiB, and {MAX_KDF_WORK} KiB in \
                         all passes, are taken"
                    ));
                }
                Ok(Self::Argon2id13 { iterations, memory })
            }
            _ => Err(format!(
                "the key derivation {name:?}: pbkdf2 and argon2id-13 are known"
            )),
        }
    }

    fn iterations(self) -> u32 {
        match self {
            Self::Pbkdf2 { iterations } | Self::Argon2id13 { iterations, .. } => iterations,
        }
    }

    /// Rounds, or KiB in all passes.
    fn work(self) -> u64 {
        match self {
            Self::Pbkdf2 { iterations } => iterations.into(),
            Self::Argon2id13 { iterations, memory } => u64::from(iterations) * u64::from(memory),
        }
    }

    /// The salted password. Slow, as it should be.
    fn derive(self, password: &Secret, salt: &[u8]) -> Result<Secret, String> {
        if !(MIN_SALT..=MAX_SALT).contains(&salt.len()) {
            return Err(format!(
                "a salt of {} bytes, {MIN_SALT} to {MAX_SALT} are taken",
                salt.len()
            ));
        }
        match self {
            Self::Pbkdf2 { iterations } => Ok(pbkdf2(password.expose(), salt, iterations, 32).into()),
            Self::Argon2id13 { iterations, memory } => {
                let failed = |error: argon2::Error| format!("argon2id-13 cannot be computed: {error}");
                let params = argon2::Params::new(memory, iterations, 1, Some(32)).map_err(failed)?;
                let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
                let mut key = zeroize::Zeroizing::new([0; 32]);
                argon
                    .hash_password_into(password.expose(), salt, key.as_mut_slice())
                    .map_err(failed)?;
                Ok(STANDARD_NO_PAD.encode(key.as_slice()).into())
            }
        }
    }
}

/// What a router keeps of a user of WAMP-SCRAM. Whoever reads it can pretend to be the router, and can try
/// passwords, but cannot log in.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramRecord {
    /// How the password becomes a key.
    pub kdf: Kdf,
    /// The salt, as bytes.
    pub salt: Vec<u8>,
    /// The hash of the key by which the client proves itself.
    pub stored_key: [u8; 32],
    /// The key by which the router proves itself.
    pub server_key: [u8; 32],
}

impl ScramRecord {
    /// The record of a password. Slow, as it should be.
    ///
    /// # Errors
    /// A sentence about the parameter that cannot be.
    pub fn derive(password: &Secret, kdf: Kdf, salt: &[u8]) -> Result<Self, String> {
        let salted = kdf.derive(password, salt)?;
        Ok(Self {
            kdf,
            salt: salt.to_vec(),
            stored_key: sha256(&hmac(salted.expose(), &[b"Client Key"])),
            server_key: hmac(salted.expose(), &[b"Server Key"]),
        })
    }
}

impl std::fmt::Debug for ScramRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramRecord")
            .field("kdf", &self.kdf)
            .finish_non_exhaustive()
    }
}

impl Drop for ScramRecord {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.stored_key);
        zeroize::Zeroize::zeroize(&mut self.server_key);
    }
}

/// What is wrong with an authid for this method, if anything: it stands in the text that is signed, unescaped.
pub(crate) fn unfit(authid: &str) -> Option<String> {
    let fits = !authid.is_empty() && authid.chars().all(|c| c.is_ascii_graphic() && c != ',');
    (!fits).then(|| {
        format!("wamp-scram needs an authid of printable ASCII without comma and space, not {authid:?}")
    })
}

/// Router: the client's nonce in HELLO's `authextra`.
pub(crate) fn client_nonce(extra: &Dict) -> Result<Vec<u8>, String> {
    if extra
        .get("channel_binding")
        .is_some_and(|wanted| !wanted.is_null())
    {
        return Err("wamp-scram knows no channel binding here: leave channel_binding out".to_owned());
    }
    let nonce = extra
        .get("nonce")
        .and_then(Value::as_str)
        .ok_or("wamp-scram needs a nonce in base64 in authextra.nonce")?;
    let bytes = STANDARD
        .decode(nonce)
        .map_err(|_| "authextra.nonce is not base64".to_owned())?;
    // Only what is written back exactly as it came is signed the same on both sides.
    if !(8..=MAX_NONCE).contains(&bytes.len()) || STANDARD.encode(&bytes) != nonce {
        return Err(format!(
            "authextra.nonce must be 8 to {MAX_NONCE} bytes in padded base64"
        ));
    }
    Ok(bytes)
}

/// One exchange, as both sides see it after the CHALLENGE.
pub(crate) struct Exchange {
    /// The text that both sides sign.
    signed: String,
}

impl Exchange {
    fn new(authid: &str, client_nonce: &str, nonce: &str, salt: &str, iterations: u32) -> Self {
        Self {
            signed: format!("n={authid},r={client_nonce},r={nonce},s={salt},i={iterations},c=,r={nonce}"),
        }
    }

    /// Router: begins an exchange; the CHALLENGE's details. `ours` is drawn for it.
    pub(crate) fn challenge(
        authid: &str,
        record: &ScramRecord,
        client_nonce: &[u8],
        ours: &[u8; NONCE],
    ) -> (Self, Dict) {
        let nonce = STANDARD.encode([client_nonce, ours].concat());
        let salt = STANDARD.encode(&record.salt);
        let iterations = record.kdf.iterations();
        let exchange = Self::new(authid, &STANDARD.encode(client_nonce), &nonce, &salt, iterations);
        // Nothing else, not even null: autobahn refuses what it does not know.
        let mut details = Dict::from([
            ("nonce".to_owned(), nonce.into()),
            ("kdf".to_owned(), record.kdf.name().into()),
            ("salt".to_owned(), salt.into()),
            ("iterations".to_owned(), iterations.into()),
        ]);
        if let Kdf::Argon2id13 { memory, .. } = record.kdf {
            details.insert("memory".to_owned(), memory.into());
        }
        (exchange, details)
    }

    /// Router: what WELCOME's `authextra` shows, if the client's proof is good.
    pub(crate) fn verify(&self, record: &ScramRecord, proof: &str) -> Option<Dict> {
        let proof: [u8; 32] = STANDARD.decode(proof).ok()?.try_into().ok()?;
        let signature = hmac(&record.stored_key, &[self.signed.as_bytes()]);
        let client_key = xor(&proof, &signature);
        if !Secret::from(record.stored_key).is(&sha256(&client_key)) {
            return None;
        }
        let verifier = STANDARD.encode(hmac(&record.server_key, &[self.signed.as_bytes()]));
        let entry = |name: &&str| ((*name).to_owned(), Value::from(verifier.as_str()));
        Some(VERIFIERS.iter().map(entry).collect())
    }
}

/// Client: what the router's WELCOME must show.
pub(crate) struct Expected([u8; 32]);

/// Client: the AUTHENTICATE's signature, and what to expect of WELCOME. May take long.
pub(crate) fn respond(
    password: &Secret,
    authid: &str,
    client_nonce: &[u8; NONCE],
    details: &Dict,
) -> Result<(String, Expected), String> {
    let text = |name: &str| {
        details
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("the CHALLENGE has no text in `{name}`"))
    };
    let number = |name: &str| {
        let value = details.get(name).filter(|value| !value.is_null());
        let number = value.map(|value| value.as_u64().and_then(|value| u32::try_from(value).ok()));
        match number {
            Some(None) => Err(format!(
                "the CHALLENGE's {name} should be a whole number below 2^32"
            )),
            Some(number) => Ok(number),
            None => Ok(None),
        }
    };
    let nonce = text("nonce")?;
    let joint = STANDARD.decode(nonce).unwrap_or_default();
    if nonce.len() > MAX_NONCE * 4 || !joint.starts_with(client_nonce) || joint.len() <= client_nonce.len() {
        return Err("the CHALLENGE's nonce does not continue ours".to_owned());
    }
    if let Some(wanted) = details
        .get("channel_binding")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
    {
        return Err(format!(
            "the CHALLENGE asks for the channel binding {wanted:?}, none was offered"
        ));
    }
    let iterations = number("iterations")?.ok_or("the CHALLENGE has no iterations")?;
    let asks = |what: String| format!("the CHALLENGE asks for {what}");
    let kdf = Kdf::new(text("kdf")?, iterations, number("memory")?).map_err(asks)?;
    if kdf.work() < MIN_WORK {
        return Err(format!(
            "the CHALLENGE asks for {} with {iterations} iterations: so little work would tell the password to who \
             pretends to be the router",
            kdf.name()
        ));
    }
    let salt = text("salt")?;
    let raw = STANDARD
        .decode(salt)
        .map_err(|_| "the CHALLENGE's salt is not base64")?;
    let salted = kdf.derive(password, &raw).map_err(asks)?;
    let exchange = Exchange::new(authid, &STANDARD.encode(client_nonce), nonce, salt, iterations);
    let signed = exchange.signed.as_bytes();
    let client_key = hmac(salted.expose(), &[b"Client Key"]);
    let proof = xor(&client_key, &hmac(&sha256(&client_key), &[signed]));
    let expected = Expected(hmac(&hmac(salted.expose(), &[b"Server Key"]), &[signed]));
    Ok((STANDARD.encode(proof), expected))
}

impl Expected {
    /// Client: whether the WELCOME's `authextra` proves that the router knows us.
    pub(crate) fn check(&self, extra: &Dict) -> Result<(), String> {
        let shown = VERIFIERS
            .iter()
            .find_map(|name| extra.get(*name))
            .and_then(Value::as_str)
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or("the WELCOME lacks the router's proof (authextra.verifier)")?;
        if Secret::from(self.0).is(&shown) {
            Ok(())
        } else {
            Err("the WELCOME's verifier is wrong: this router does not know the password".to_owned())
        }
    }
}
