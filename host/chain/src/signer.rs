//! A private key that signs.

use crate::address::address_of_key;
use bourse_market::{Address, Signature};
use core::fmt;
use k256::ecdsa::SigningKey;
use k256::elliptic_curve::zeroize::Zeroizing;
use rand::RngCore;

/// Bytes that are no private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "these 32 bytes are no private key of secp256k1: it must lie between 1 and the order of the curve less 1"
)]
pub struct KeyError;

/// A secp256k1 private key, decoded once, with its address.
///
/// Never prints its key, and wipes it when dropped. Signing takes some 30 µs: call it off the async threads.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    address: Address,
}

impl Signer {
    /// The signer of a raw private key, 32 bytes big-endian.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the bytes are zero or not below the order of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_slice(bytes).map_err(|_| KeyError)?;
        Ok(Self {
            address: address_of_key(key.verifying_key()),
            key,
        })
    }

    /// A fresh key from the operating system's randomness.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            rand::rng().fill_bytes(bytes.as_mut_slice());
            // All but 1 in 2^127 draws are keys.
            if let Ok(signer) = Self::from_bytes(&bytes) {
                return signer;
            }
        }
    }

    /// The address that its signatures recover to.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The raw private key, for writing it to a file; wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// The public key: 64 bytes, uncompressed, without the leading 04.
    ///
    /// XBR sellers print it in hex as their provider id.
    pub fn public_key(&self) -> [u8; 64] {
        let point = self.key.verifying_key().to_sec1_point(false);
        let coordinates = point.as_bytes().get(1..).and_then(|bytes| bytes.try_into().ok());
        coordinates.unwrap_or([0; 64])
    }

    /// Signs a digest: deterministic (RFC 6979), s in the lower half, v 27 or 28.
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        let (signature, recovery) = self.key.sign_prehash_recoverable(digest);
        let mut bytes = [0; 65];
        let [rs @ .., v] = &mut bytes;
        rs.copy_from_slice(&signature.to_bytes());
        // A point whose x exceeds the order needs the ids 2 and 3, which Ethereum does not know. Nobody has ever
        // met one: 1 in 2^127 signatures.
        *v = 27 + u8::from(recovery.is_y_odd());
        Signature(bytes)
    }
}

/// The address alone.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover;

    #[test]
    fn bytes_outside_the_curve_are_no_key() {
        assert_eq!(Signer::from_bytes(&[0; 32]).unwrap_err(), KeyError);
        assert_eq!(Signer::from_bytes(&[0xff; 32]).unwrap_err(), KeyError);
    }

    #[test]
    fn a_fresh_key_signs_for_its_own_address_and_survives_its_bytes() {
        let signer = Signer::generate();
        let again = Signer::from_bytes(&signer.to_bytes()).unwrap();
        let digest = [3; 32];
        assert_eq!(recover(&digest, &again.sign(&digest)), Ok(signer.address()));
        assert_ne!(Signer::generate().address(), signer.address());
    }

    #[test]
    fn debug_output_never_holds_the_key() {
        let signer = Signer::from_bytes(&[0xab; 32]).unwrap();
        let text = format!("{signer:?} {signer:#?}").to_lowercase();
        assert!(!text.contains("abab"), "{text}");
        assert!(!text.contains("171"), "{text}");
    }
}
