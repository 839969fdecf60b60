//! Keys that sellers left with the market maker: encrypted as they come in, and opened only for the moment in which they
//! are sealed to a buyer.
//!
//! What lives here: the key they are encrypted under, and the two boxes. What never does: whether a key may be left or
//! sold. A plain key is never printed and is wiped wherever it was held; the buffers it came through are not ours.

use crate::environment::Environment;
use crate::wire::FromValue;
use bourse_chain::Signer;
use bourse_market::{BuyerPubkey, EscrowedKey, KeyId, MarketId, SealedKey};
use bourse_wamp::Value;
use crypto_box::aead::rand_core::{CryptoRng, Error, RngCore};
use crypto_secretbox::aead::{Aead, KeyInit};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Sets this use of the market maker's key apart from every other. Another format gets another number.
const CONTEXT: &[u8] = b"bourse escrowed keys 1";
/// Bytes of the nonce in front.
const NONCE: usize = 24;

/// A data key as its seller handed it over: 32 bytes.
pub(crate) struct PlainKey(Zeroizing<[u8; 32]>);

impl PlainKey {
    /// The key of these bytes; none of another number.
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }
}

/// Never the key itself.
impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(..)")
    }
}

impl FromValue for PlainKey {
    const EXPECTED: &'static str = "the 32 bytes of the data key";

    fn from_value(value: Value) -> Option<Self> {
        let Value::Bytes(mut bytes) = value else {
            return None;
        };
        let key = Self::of(&bytes);
        bytes.zeroize();
        key
    }
}

/// Why a box could not be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VaultError {
    /// The cipher refuses; no input is known that makes it.
    #[error("the key cannot be encrypted")]
    Encrypt,
    /// It was made with another market maker's key or for another market, or was damaged.
    #[error(
        "the escrowed key does not open with this market maker's key: it was made with another, or is damaged"
    )]
    Decrypt,
    /// It opens, and holds the key of another offer.
    #[error("the escrowed key is that of another offer: {found}, not {expected}")]
    OtherKey {
        /// Whose it is.
        found: KeyId,
        /// Whose it should be.
        expected: KeyId,
    },
    /// The buyer's public key seals nothing.
    #[error("the key cannot be sealed to {0}")]
    Seal(BuyerPubkey),
}

/// What encrypts the keys of one market, made of its market maker's own key. Wiped when dropped.
pub(crate) struct Vault {
    cipher: XSalsa20Poly1305,
}

impl Vault {
    /// The vault of a market and its market maker. Who changes either opens nothing any more; a data folder refuses both.
    pub(crate) fn new(market: MarketId, marketmaker: &Signer) -> Self {
        let mut hash = Sha256::new();
        hash.update(CONTEXT);
        hash.update(market.as_bytes());
        hash.update(marketmaker.to_bytes().as_slice());
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(hash.finalize().into());
        Self {
            cipher: XSalsa20Poly1305::new((&*key).into()),
        }
    }

    /// Encrypts a key together with its id, so that the box of one offer is never taken for another's.
    pub(crate) fn lock(
        &self,
        id: &KeyId,
        key: &PlainKey,
        environment: &dyn Environment,
    ) -> Result<EscrowedKey, VaultError> {
        let mut nonce = [0; NONCE];
        environment.random(&mut nonce);
        let mut plain = Zeroizing::new([0; KeyId::LEN + 32]);
        let (head, tail) = plain.split_at_mut(KeyId::LEN);
        head.copy_from_slice(id.as_bytes());
        tail.copy_from_slice(key.0.as_slice());
        let boxed = self
            .cipher
            .encrypt(Nonce::from_slice(&nonce), plain.as_slice())
            .map_err(|_| VaultError::Encrypt)?;
        let whole = [nonce.as_slice(), &boxed].concat();
        EscrowedKey::try_from(whole.as_slice()).map_err(|_| VaultError::Encrypt)
    }

    /// The key in a box, if it is that of `id`.
    pub(crate) fn open(&self, id: &KeyId, escrowed: &EscrowedKey) -> Result<PlainKey, VaultError> {
        let (nonce, boxed) = escrowed.0.split_at(NONCE);
        let plain = self
            .cipher
            .decrypt(Nonce::from_slice(nonce), boxed)
            .map(Zeroizing::new)
            .map_err(|_| VaultError::Decrypt)?;
        let (head, tail) = plain.split_at_checked(KeyId::LEN).ok_or(VaultError::Decrypt)?;
        let found = KeyId::try_from(head).map_err(|_| VaultError::Decrypt)?;
        if found != *id {
            return Err(VaultError::OtherKey { found, expected: *id });
        }
        PlainKey::of(tail).ok_or(VaultError::Decrypt)
    }
}

/// Seals a key to its buyer, as a seller does: libsodium's sealed box. Whether the public key keeps a secret at all is
/// asked before anything is bought.
pub(crate) fn seal(
    key: &PlainKey,
    buyer: &BuyerPubkey,
    environment: &dyn Environment,
) -> Result<SealedKey, VaultError> {
    let fault = VaultError::Seal(*buyer);
    let sealed = crypto_box::PublicKey::from_bytes(buyer.0)
        .seal(&mut EnvironmentRng(environment), key.0.as_slice())
        .map_err(|_| fault)?;
    SealedKey::try_from(sealed.as_slice()).map_err(|_| fault)
}

/// The environment as what sealed boxes draw their keys from.
struct EnvironmentRng<'e>(&'e dyn Environment);

impl RngCore for EnvironmentRng<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.random(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for EnvironmentRng<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::System;
    use bourse_market::Nanos;
    use serde_json::Value as Json;

    const MARKET: MarketId = MarketId([1; 16]);
    const KEY: KeyId = KeyId([2; 16]);
    const FILE: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/crypto.json"
    ));

    fn signer(byte: u8) -> Signer {
        Signer::from_bytes(&[byte; 32]).unwrap()
    }

    fn plain(byte: u8) -> PlainKey {
        PlainKey::of(&[byte; 32]).unwrap()
    }

    fn vault() -> Vault {
        Vault::new(MARKET, &signer(7))
    }

    /// Draws the ephemeral key that a vector was made with.
    struct Fixed(Vec<u8>);

    impl Environment for Fixed {
        fn now(&self) -> Nanos {
            Nanos(0)
        }

        fn fresh_id(&self) -> [u8; 16] {
            [0; 16]
        }

        fn random(&self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.0);
        }
    }

    #[test]
    fn every_vector_of_a_sealed_key_is_made_and_opens() {
        let file: Json = serde_json::from_str(FILE).unwrap();
        let vectors = file["sealed"].as_array().unwrap();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let bytes = |name: &str| {
                let text = vector[name].as_str().unwrap();
                hex::decode(text.trim_start_matches("0x")).unwrap()
            };
            let buyer = BuyerPubkey::try_from(bytes("buyer_pubkey").as_slice()).unwrap();
            let key = PlainKey::of(&bytes("data_key")).unwrap();
            let environment = Fixed(bytes("ephemeral_privkey"));
            let sealed = seal(&key, &buyer, &environment).unwrap();
            assert_eq!(sealed.0[..], bytes("sealed_key"));

            let secret: [u8; 32] = bytes("buyer_privkey").try_into().unwrap();
            let opened = crypto_box::SecretKey::from_bytes(secret)
                .unseal(&sealed.0)
                .unwrap();
            assert_eq!(opened, bytes("data_key"));
        }
    }

    #[test]
    fn a_key_comes_back_and_its_box_never_twice_the_same() {
        let vault = vault();
        let one = vault.lock(&KEY, &plain(9), &System).unwrap();
        let two = vault.lock(&KEY, &plain(9), &System).unwrap();
        assert_ne!(one, two);
        assert_eq!(*vault.open(&KEY, &one).unwrap().0, [9; 32]);
        assert!(!one.0.windows(8).any(|part| part == [9; 8]), "it is in the clear");
    }

    #[test]
    fn w_52_a_changed_operator_key_opens_nothing_and_never_a_wrong_key() {
        let escrowed = vault().lock(&KEY, &plain(9), &System).unwrap();
        for other in [
            Vault::new(MARKET, &signer(8)),
            Vault::new(MarketId([9; 16]), &signer(7)),
        ] {
            assert_eq!(other.open(&KEY, &escrowed).unwrap_err(), VaultError::Decrypt);
        }
        assert!(vault().open(&KEY, &escrowed).is_ok());
    }

    #[test]
    fn the_box_of_one_key_is_not_taken_for_anothers() {
        let other = KeyId([3; 16]);
        let escrowed = vault().lock(&other, &plain(9), &System).unwrap();
        assert_eq!(
            vault().open(&KEY, &escrowed).unwrap_err(),
            VaultError::OtherKey {
                found: other,
                expected: KEY
            }
        );
    }

    #[test]
    fn a_box_that_was_tampered_with_does_not_open() {
        let escrowed = vault().lock(&KEY, &plain(9), &System).unwrap();
        for at in 0..EscrowedKey::LEN {
            let mut changed = escrowed;
            changed.0[at] ^= 1;
            assert_eq!(
                vault().open(&KEY, &changed).unwrap_err(),
                VaultError::Decrypt,
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_plain_key_is_32_bytes_and_is_never_printed() {
        for bytes in [31, 33] {
            assert!(PlainKey::from_value(Value::Bytes(vec![9; bytes])).is_none());
        }
        assert!(PlainKey::from_value(Value::Str("9".repeat(32))).is_none());
        let key = PlainKey::from_value(Value::Bytes(vec![9; 32])).unwrap();
        assert_eq!(format!("{key:?}"), "PlainKey(..)");
    }
}
