//! Encryption of payloads under data keys, and of data keys for their buyers.
//!
//! Two formats, both NaCl's, so that clients in any language read each other:
//!
//! - a payload is CBOR in a secret box (XSalsa20-Poly1305): nonce (24) ‖ tag (16) ‖ ciphertext;
//! - a data key travels in a sealed box to the buyer's X25519 key: ephemeral key (32) ‖ tag (16) ‖ ciphertext (32).

use bourse_market::{BuyerPubkey, KeyId, SealedKey};
use core::fmt;
use crypto_box::aead::OsRng;
use crypto_box::aead::rand_core::CryptoRngCore;
use crypto_secretbox::aead::{Aead, KeyInit};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use curve25519_dalek::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the nonce in front of an encrypted payload.
const NONCE: usize = 24;

/// Why something could not be encrypted or decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The value has no CBOR form.
    #[error("the payload cannot be written as CBOR: {reason}")]
    Encode {
        /// What the encoder says.
        reason: String,
    },
    /// The box was made with another key, or was damaged.
    #[error("the payload does not decrypt: made with another key, or damaged on its way ({bytes} bytes)")]
    Decrypt {
        /// Its length; 40 is the least.
        bytes: usize,
    },
    /// Decrypted, but not the type that was asked for.
    #[error("the decrypted payload is not what was expected: {reason}")]
    Decode {
        /// What the decoder says.
        reason: String,
    },
    /// The sealed key is meant for another receive key.
    #[error("the sealed key does not open with this receive key")]
    Unseal,
    /// Whatever is sealed to such a key, everybody can read.
    #[error("the buyer's public key {pubkey} is of low order and keeps no secret")]
    LowOrder {
        /// As it came.
        pubkey: BuyerPubkey,
    },
}

/// The secret on sale: 32 bytes that encrypt payloads.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey([u8; 32]);

impl DataKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw key, for leaving it with a market maker.
    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Writes a payload as CBOR and encrypts it under a fresh nonce.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Encode`] if the value has no CBOR form.
    pub fn encrypt<T: Serialize>(&self, payload: &T) -> Result<Vec<u8>, CryptoError> {
        let mut cbor = Vec::new();
        ciborium::into_writer(payload, &mut cbor).map_err(|error| CryptoError::Encode {
            reason: error.to_string(),
        })?;
        self.encrypt_bytes(rand::random(), &cbor)
    }

    fn encrypt_bytes(&self, nonce: [u8; NONCE], plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let boxed = self.cipher().encrypt(Nonce::from_slice(&nonce), plain);
        let boxed = boxed.map_err(|error| CryptoError::Encode {
            reason: error.to_string(),
        })?;
        Ok([nonce.as_slice(), &boxed].concat())
    }

    /// Decrypts a payload and reads its CBOR.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Decrypt`] if it was made with another key, [`CryptoError::Decode`] if it holds something else.
    pub fn decrypt<T: DeserializeOwned>(&self, ciphertext: &[u8]) -> Result<T, CryptoError> {
        let fault = CryptoError::Decrypt {
            bytes: ciphertext.len(),
        };
        let (nonce, boxed) = ciphertext.split_at_checked(NONCE).ok_or_else(|| fault.clone())?;
        let plain = self
            .cipher()
            .decrypt(Nonce::from_slice(nonce), boxed)
            .map_err(|_| fault)?;
        ciborium::from_reader(plain.as_slice()).map_err(|error| CryptoError::Decode {
            reason: error.to_string(),
        })
    }

    fn cipher(&self) -> XSalsa20Poly1305 {
        XSalsa20Poly1305::new((&self.0).into())
    }
}

/// Never the key itself.
impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// An encrypted payload with the key it takes to read it: what a seller publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The key to buy.
    pub key: KeyId,
    /// The payload under that key.
    pub ciphertext: Vec<u8>,
}

/// Seals a data key, so that only the buyer can open it.
///
/// # Errors
///
/// [`CryptoError::LowOrder`] if everybody could.
pub fn seal(key: &DataKey, buyer: &BuyerPubkey) -> Result<SealedKey, CryptoError> {
    seal_with(&mut OsRng, key, buyer)
}

fn seal_with(
    rng: &mut impl CryptoRngCore,
    key: &DataKey,
    buyer: &BuyerPubkey,
) -> Result<SealedKey, CryptoError> {
    let fault = CryptoError::LowOrder { pubkey: *buyer };
    // Clamped scalars are multiples of 8, which sends the handful of low-order points to zero and no other.
    if MontgomeryPoint(buyer.0).mul_clamped([1; 32]).is_identity() {
        return Err(fault);
    }
    let sealed = crypto_box::PublicKey::from_bytes(buyer.0)
        .seal(rng, &key.0)
        .map_err(|_| fault.clone())?;
    SealedKey::try_from(sealed.as_slice()).map_err(|_| fault)
}

/// The X25519 key pair that a buyer has its data keys sealed to.
#[derive(Clone)]
pub struct ReceiveKey(crypto_box::SecretKey);

impl ReceiveKey {
    /// A fresh pair.
    pub fn generate() -> Self {
        Self(crypto_box::SecretKey::generate(&mut OsRng))
    }

    /// The pair of these secret bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(crypto_box::SecretKey::from_bytes(bytes))
    }

    /// The half that sellers seal to.
    pub fn public(&self) -> BuyerPubkey {
        BuyerPubkey(self.0.public_key().to_bytes())
    }

    /// Opens a sealed data key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Unseal`] if it was sealed to somebody else, damaged, or holds no 32-byte key.
    pub fn unseal(&self, sealed: &SealedKey) -> Result<DataKey, CryptoError> {
        let plain = self
            .0
            .unseal(sealed.as_bytes())
            .map_err(|_| CryptoError::Unseal)?;
        plain
            .as_slice()
            .try_into()
            .map(DataKey)
            .map_err(|_| CryptoError::Unseal)
    }
}

/// The public half alone.
impl fmt::Debug for ReceiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReceiveKey").field(&self.public()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_box::aead::rand_core::{CryptoRng, Error, RngCore};
    use serde_json::Value;

    const FILE: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/crypto.json"
    ));

    fn vectors(part: &str) -> Vec<Value> {
        let file: Value = serde_json::from_str(FILE).unwrap();
        let vectors = file[part].as_array().unwrap().clone();
        assert_eq!(vectors.len(), 3);
        vectors
    }

    fn bytes(value: &Value) -> Vec<u8> {
        hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
    }

    fn array<const N: usize>(value: &Value) -> [u8; N] {
        bytes(value).try_into().unwrap()
    }

    /// Draws the ephemeral key that a vector was made with.
    struct Fixed([u8; 32]);

    impl RngCore for Fixed {
        fn next_u32(&mut self) -> u32 {
            unreachable!("keys are drawn as bytes")
        }

        fn next_u64(&mut self) -> u64 {
            unreachable!("keys are drawn as bytes")
        }

        fn fill_bytes(&mut self, dest: &mut [u8]) {
            dest.copy_from_slice(&self.0);
        }

        fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
            self.fill_bytes(dest);
            Ok(())
        }
    }

    impl CryptoRng for Fixed {}

    #[test]
    fn every_vector_of_a_sealed_key_holds_both_ways() {
        for vector in vectors("sealed") {
            let receive = ReceiveKey::from_bytes(array(&vector["buyer_privkey"]));
            assert_eq!(receive.public().0, array::<32>(&vector["buyer_pubkey"]));
            let key = DataKey(array(&vector["data_key"]));
            let sealed = SealedKey(array(&vector["sealed_key"]));
            assert_eq!(receive.unseal(&sealed).unwrap(), key);

            let mut rng = Fixed(array(&vector["ephemeral_privkey"]));
            assert_eq!(seal_with(&mut rng, &key, &receive.public()).unwrap(), sealed);
        }
    }

    #[test]
    fn every_vector_of_a_payload_holds_both_ways() {
        for vector in vectors("secretbox") {
            let key = DataKey(array(&vector["key"]));
            let ciphertext = bytes(&vector["ciphertext"]);
            assert_eq!(key.decrypt::<Value>(&ciphertext).unwrap(), vector["payload_json"]);

            let boxed = key
                .encrypt_bytes(array(&vector["nonce"]), &bytes(&vector["cbor"]))
                .unwrap();
            assert_eq!(boxed, ciphertext);
        }
    }

    #[test]
    fn a_payload_comes_back_and_never_twice_the_same() {
        let key = DataKey::generate();
        let (one, two) = (key.encrypt(&"news").unwrap(), key.encrypt(&"news").unwrap());
        assert_ne!(one, two);
        assert_eq!(key.decrypt::<String>(&one).unwrap(), "news");
    }

    #[test]
    fn what_was_tampered_with_does_not_decrypt() {
        let key = DataKey::generate();
        let ciphertext = key.encrypt(&42).unwrap();
        for at in [0, NONCE, ciphertext.len() - 1] {
            let mut changed = ciphertext.clone();
            changed[at] ^= 1;
            assert_eq!(
                key.decrypt::<u8>(&changed),
                Err(CryptoError::Decrypt { bytes: changed.len() })
            );
        }
        assert_eq!(
            key.decrypt::<u8>(&[0; 23]),
            Err(CryptoError::Decrypt { bytes: 23 })
        );
        assert!(matches!(
            key.decrypt::<String>(&ciphertext),
            Err(CryptoError::Decode { .. })
        ));
    }

    #[test]
    fn nothing_is_sealed_to_a_key_that_keeps_no_secret() {
        let low = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for text in low {
            let pubkey = BuyerPubkey(hex::decode(text).unwrap().try_into().unwrap());
            assert_eq!(
                seal(&DataKey::generate(), &pubkey),
                Err(CryptoError::LowOrder { pubkey })
            );
        }
    }

    #[test]
    fn a_sealed_key_opens_for_its_buyer_alone() {
        let (buyer, other, key) = (
            ReceiveKey::generate(),
            ReceiveKey::generate(),
            DataKey::generate(),
        );
        let sealed = seal(&key, &buyer.public()).unwrap();
        assert_eq!(buyer.unseal(&sealed).unwrap(), key);
        assert_eq!(other.unseal(&sealed), Err(CryptoError::Unseal));
    }
}
