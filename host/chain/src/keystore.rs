//! Encrypted keys: the Web3 Secret Storage definition, version 3, which Ethereum's clients and wallets write.
//!
//! <https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/>
//!
//! A passphrase and a salt are stretched to 32 bytes. The first 16 are the key of AES-128-CTR, which encrypts the private
//! key; the others go into a hash over the ciphertext, by which a wrong passphrase shows before anything is decrypted.

use crate::{KeyError, Passphrase, Signer, checksum, keccak256};
use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher};
use bourse_market::Address;
use ctr::Ctr128BE;
use rand::RngCore;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The version of the definition that is read and written.
const VERSION: u64 = 3;
/// The one cipher that version 3 asks for.
const CIPHER: &str = "aes-128-ctr";
/// The one function under PBKDF2 that version 3 asks for.
const PRF: &str = "hmac-sha256";
/// What we write: geth's own cost, 256 MiB and about a second.
const WRITTEN: Kdf = Kdf::Scrypt {
    n: 1 << 18,
    r: 8,
    p: 1,
};
/// Bytes that scrypt may take, whatever a file asks for: twice what geth's own files take.
const MAX_SCRYPT_BYTES: u64 = 512 << 20;
/// n·r·p that scrypt may work through: four times geth's own.
const MAX_SCRYPT_WORK: u64 = 8 << 20;
/// Rounds of PBKDF2: some 40 times the definition's own, a few seconds.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;
/// Bytes that the definition wants derived at the least. It uses no more, and more would not change the first ones.
const DERIVED: u64 = 32;
/// Characters of a name that is repeated in an error: no key fits in.
const REPEATED: usize = 16;

type Cipher = Ctr128BE<Aes128>;

/// Why a keystore file gives no key. Never repeats more of the file than names and numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// Not JSON at all.
    #[error("it is no JSON at line {line}, column {column}: expected a keystore file of version 3")]
    NoJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A field is missing, or something else than it must be.
    #[error("its field `{field}` is missing or wrong: expected {expected}")]
    Field {
        /// Where in the file.
        field: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// A version, a cipher or a function that we do not know.
    #[error("its field `{field}` is `{found}`: expected {expected}")]
    Unknown {
        /// Where in the file.
        field: &'static str,
        /// The start of what is there.
        found: String,
        /// What we know.
        expected: &'static str,
    },
    /// scrypt would take too much memory or time, or is not defined for these numbers.
    #[error(
        "its scrypt parameters are n = {n}, r = {r}, p = {p}: expected an n that is a power of two, r and p of 1 or more, \
         128·r·(n + p) of at most {MAX_SCRYPT_BYTES} bytes and n·r·p of at most {MAX_SCRYPT_WORK}"
    )]
    Scrypt {
        /// Cost.
        n: u64,
        /// Block size.
        r: u64,
        /// Parallelisation.
        p: u64,
    },
    /// PBKDF2 would take too long, or is not defined.
    #[error("its pbkdf2 parameter c is {c}: expected 1 to {MAX_PBKDF2_ROUNDS} rounds")]
    Pbkdf2 {
        /// Rounds.
        c: u64,
    },
    /// The two cannot be told apart.
    #[error("its MAC does not match: the passphrase is wrong, or the file is damaged")]
    Mac,
    /// It was decrypted, and is the key of another account than the file says.
    #[error("it says that it is the key of {}, but holds that of {}", checksum(*.said), checksum(*.held))]
    Address {
        /// The field `address`.
        said: Address,
        /// The address of the key.
        held: Address,
    },
    /// What was decrypted is no key.
    #[error(transparent)]
    NoKey(#[from] KeyError),
}

/// How a passphrase is stretched.
#[derive(Debug, Clone, Copy)]
enum Kdf {
    Scrypt { n: u64, r: u64, p: u64 },
    Pbkdf2 { c: u64 },
}

/// Two keys out of one passphrase: the first encrypts, the second authenticates.
struct Derived(Zeroizing<[[u8; 16]; 2]>);

/// The key in a keystore file.
///
/// # Errors
///
/// If the file is not of version 3, is too costly to open, or does not open with this passphrase.
pub(crate) fn open(file: &[u8], passphrase: &Passphrase) -> Result<Signer, KeystoreError> {
    let file: Value = serde_json::from_slice(file).map_err(|error| KeystoreError::NoJson {
        line: error.line(),
        column: error.column(),
    })?;
    match number(&file, "/version", "version")? {
        VERSION => {}
        other => return Err(unknown("version", &other.to_string(), "3")),
    }
    // Some wallets write it so.
    let crypto = file.get("crypto").or_else(|| file.get("Crypto"));
    let crypto = crypto.unwrap_or(&Value::Null);
    match text(crypto, "/cipher", "crypto.cipher")? {
        CIPHER => {}
        other => return Err(unknown("crypto.cipher", other, CIPHER)),
    }
    let iv: [u8; 16] = bytes(
        crypto,
        "/cipherparams/iv",
        "crypto.cipherparams.iv",
        "32 hex digits",
    )?;
    let ciphertext: [u8; 32] = bytes(crypto, "/ciphertext", "crypto.ciphertext", "64 hex digits")?;
    let mac: [u8; 32] = bytes(crypto, "/mac", "crypto.mac", "64 hex digits")?;
    let said = said_address(&file)?;
    let salt = hex::decode(text(crypto, "/kdfparams/salt", "crypto.kdfparams.salt")?).map_err(|_| {
        KeystoreError::Field {
            field: "crypto.kdfparams.salt",
            expected: "hex digits",
        }
    })?;

    let derived = Kdf::read(crypto)?.derive(passphrase, &salt)?;
    // Who can measure how long this takes holds the file, and learns nothing from it.
    if derived.mac(&ciphertext) != mac {
        return Err(KeystoreError::Mac);
    }
    let mut key = Zeroizing::new(ciphertext);
    derived.cipher(&iv).apply_keystream(key.as_mut_slice());
    let signer = Signer::from_bytes(&key)?;
    match said {
        Some(said) if said != signer.address() => Err(KeystoreError::Address {
            said,
            held: signer.address(),
        }),
        _ => Ok(signer),
    }
}

/// A keystore file that holds `signer`'s key, encrypted; as costly to open as one of geth's.
///
/// # Errors
///
/// None but for the sake of [`Kdf::derive`], which refuses what we never write.
pub(crate) fn seal(signer: &Signer, passphrase: &Passphrase) -> Result<String, KeystoreError> {
    let (mut salt, mut iv, mut id) = ([0; 32], [0; 16], [0; 16]);
    rand::rng().fill_bytes(&mut salt);
    rand::rng().fill_bytes(&mut iv);
    rand::rng().fill_bytes(&mut id);
    seal_with(WRITTEN, signer, passphrase, (&salt, &iv, id))
}

fn seal_with(
    kdf: Kdf,
    signer: &Signer,
    passphrase: &Passphrase,
    (salt, iv, id): (&[u8; 32], &[u8; 16], [u8; 16]),
) -> Result<String, KeystoreError> {
    let derived = kdf.derive(passphrase, salt)?;
    let mut ciphertext = signer.to_bytes();
    derived.cipher(iv).apply_keystream(ciphertext.as_mut_slice());
    let params = match kdf {
        Kdf::Scrypt { n, r, p } => {
            json!({ "dklen": DERIVED, "n": n, "r": r, "p": p, "salt": hex::encode(salt) })
        }
        Kdf::Pbkdf2 { c } => json!({ "dklen": DERIVED, "c": c, "prf": PRF, "salt": hex::encode(salt) }),
    };
    let file = json!({
        "address": hex::encode(signer.address().as_bytes()),
        "crypto": {
            "cipher": CIPHER,
            "cipherparams": { "iv": hex::encode(iv) },
            "ciphertext": hex::encode(ciphertext.as_slice()),
            "kdf": kdf.name(),
            "kdfparams": params,
            "mac": hex::encode(derived.mac(&ciphertext)),
        },
        "id": uuid::Builder::from_random_bytes(id).into_uuid().to_string(),
        "version": VERSION,
    });
    Ok(format!("{file:#}\n"))
}

impl Kdf {
    fn read(crypto: &Value) -> Result<Self, KeystoreError> {
        if number(crypto, "/kdfparams/dklen", "crypto.kdfparams.dklen")? < DERIVED {
            return Err(KeystoreError::Field {
                field: "crypto.kdfparams.dklen",
                expected: "32 or more",
            });
        }
        match text(crypto, "/kdf", "crypto.kdf")? {
            "scrypt" => Ok(Self::Scrypt {
                n: number(crypto, "/kdfparams/n", "crypto.kdfparams.n")?,
                r: number(crypto, "/kdfparams/r", "crypto.kdfparams.r")?,
                p: number(crypto, "/kdfparams/p", "crypto.kdfparams.p")?,
            }),
            "pbkdf2" => {
                match text(crypto, "/kdfparams/prf", "crypto.kdfparams.prf")? {
                    PRF => {}
                    other => return Err(unknown("crypto.kdfparams.prf", other, PRF)),
                }
                Ok(Self::Pbkdf2 {
                    c: number(crypto, "/kdfparams/c", "crypto.kdfparams.c")?,
                })
            }
            other => Err(unknown("crypto.kdf", other, "scrypt or pbkdf2")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Scrypt { .. } => "scrypt",
            Self::Pbkdf2 { .. } => "pbkdf2",
        }
    }

    /// Stretches a passphrase. The scratch memory of scrypt is not wiped: its library offers no way to.
    fn derive(self, passphrase: &Passphrase, salt: &[u8]) -> Result<Derived, KeystoreError> {
        let mut derived = Zeroizing::new([[0; 16]; 2]);
        let bytes = derived.as_flattened_mut();
        match self {
            Self::Scrypt { n, r, p } => {
                let refused = KeystoreError::Scrypt { n, r, p };
                let params = scrypt_params(n, r, p).ok_or(refused.clone())?;
                scrypt::scrypt(passphrase.as_bytes(), salt, &params, bytes).map_err(|_| refused)?;
            }
            Self::Pbkdf2 { c } => {
                let rounds = u32::try_from(c)
                    .ok()
                    .filter(|rounds| (1..=MAX_PBKDF2_ROUNDS).contains(rounds))
                    .ok_or(KeystoreError::Pbkdf2 { c })?;
                pbkdf2::pbkdf2_hmac::<pbkdf2::sha2::Sha256>(passphrase.as_bytes(), salt, rounds, bytes);
            }
        }
        Ok(Derived(derived))
    }
}

/// The parameters, if they are defined and not too costly.
fn scrypt_params(n: u64, r: u64, p: u64) -> Option<scrypt::Params> {
    let memory = n.checked_add(p)?.checked_mul(r)?.checked_mul(128)?;
    let work = n.checked_mul(r)?.checked_mul(p)?;
    let fits = n > 1 && n.is_power_of_two() && memory <= MAX_SCRYPT_BYTES && work <= MAX_SCRYPT_WORK;
    if !fits {
        return None;
    }
    // Refuses an r or a p of 0.
    scrypt::Params::new(
        u8::try_from(n.trailing_zeros()).ok()?,
        u32::try_from(r).ok()?,
        u32::try_from(p).ok()?,
    )
    .ok()
}

impl Derived {
    fn mac(&self, ciphertext: &[u8; 32]) -> [u8; 32] {
        let [_, authentication] = &*self.0;
        let hashed = Zeroizing::new([authentication.as_slice(), ciphertext].concat());
        keccak256(&hashed)
    }

    fn cipher(&self, iv: &[u8; 16]) -> Cipher {
        let [encryption, _] = &*self.0;
        Cipher::new(encryption.into(), iv.into())
    }
}

/// The address that a file says it is of; it may say none, for the sake of privacy.
fn said_address(file: &Value) -> Result<Option<Address>, KeystoreError> {
    match file.get("address") {
        None | Some(Value::Null) => Ok(None),
        Some(said) => {
            said.as_str()
                .and_then(|text| text.parse().ok())
                .map(Some)
                .ok_or(KeystoreError::Field {
                    field: "address",
                    expected: "40 hex digits, or nothing",
                })
        }
    }
}

fn number(of: &Value, at: &str, field: &'static str) -> Result<u64, KeystoreError> {
    let number = of.pointer(at).and_then(Value::as_u64);
    number.ok_or(KeystoreError::Field {
        field,
        expected: "a whole number",
    })
}

fn text<'a>(of: &'a Value, at: &str, field: &'static str) -> Result<&'a str, KeystoreError> {
    let text = of.pointer(at).and_then(Value::as_str);
    text.ok_or(KeystoreError::Field {
        field,
        expected: "a string",
    })
}

fn bytes<const N: usize>(
    of: &Value,
    at: &str,
    field: &'static str,
    expected: &'static str,
) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    let text = text(of, at, field)?;
    hex::decode_to_slice(text, &mut bytes).map_err(|_| KeystoreError::Field { field, expected })?;
    Ok(bytes)
}

fn unknown(field: &'static str, found: &str, expected: &'static str) -> KeystoreError {
    KeystoreError::Unknown {
        field,
        found: found.chars().take(REPEATED).collect(),
        expected,
    }
}

#[cfg(test)]
mod tests;
