//! Who signed: recovery of an address from a signature, and what is refused before it is tried.

use bourse_market::{Address, Signature};
use k256::ecdsa::{RecoveryId, Signature as EcdsaSignature, VerifyingKey};

/// The order of secp256k1's group, big-endian. Both r and s lie below it.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// Half of it, rounded down: the largest s of a signature that has no twin (BIP 62).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// What is wrong with a signature, whoever is said to have made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The last byte does not say which of two keys is meant.
    #[error("the signature's v is {v}, it must be 27 or 28")]
    WrongV {
        /// As it came.
        v: u8,
    },
    /// The first or the second half is zero.
    #[error("the signature's {part} is 0, it must be at least 1")]
    Zero {
        /// `r` or `s`.
        part: &'static str,
    },
    /// The first or the second half is no scalar of the curve.
    #[error("the signature's {part} is not below the order of secp256k1")]
    TooLarge {
        /// `r` or `s`.
        part: &'static str,
    },
    /// The twin of a valid signature, which anybody can make without the key.
    #[error(
        "the signature's s is in the upper half of the order; its signer must give order - s, with the other v"
    )]
    HighS,
    /// No key can have made it for this digest.
    #[error("the signature recovers to no key: r is not the x coordinate of a usable point")]
    NoKey,
}

/// The address whose key signed `digest`.
///
/// Neither library checks the recovered key against the signature again, which is what makes it fast; hence the rules
/// for s and v are ours to hold. A signature by another key, or over another digest, is no error: it recovers to an
/// address nobody expects.
///
/// # Errors
///
/// [`SignatureError`] for v other than 27 or 28, r or s outside 1 to order − 1, s in the upper half, or an r that
/// is on no point.
pub fn recover(digest: &[u8; 32], signature: &Signature) -> Result<Address, SignatureError> {
    let (rs, y_is_odd) = check(signature)?;
    by::recover(digest, rs, y_is_odd).ok_or(SignatureError::NoKey)
}

/// The two scalars of a signature that may be tried, r before s, and whether the y coordinate of its point is odd.
pub(crate) fn check(signature: &Signature) -> Result<(&[u8; 64], bool), SignatureError> {
    let [rs @ .., v] = signature.as_bytes();
    let y_is_odd = match v {
        27 => false,
        28 => true,
        &v => return Err(SignatureError::WrongV { v }),
    };
    let (r, s) = rs.split_at(32);
    check_scalar("r", r)?;
    check_scalar("s", s)?;
    if s > HALF_ORDER.as_slice() {
        return Err(SignatureError::HighS);
    }
    Ok((rs, y_is_odd))
}

/// The public key whose signature this is, with k256: Rust all the way.
pub(crate) fn recover_key(digest: &[u8; 32], rs: &[u8; 64], y_is_odd: bool) -> Option<VerifyingKey> {
    let signature = EcdsaSignature::from_slice(rs).ok()?;
    VerifyingKey::recover_from_prehash(digest, &signature, RecoveryId::new(y_is_odd, false)).ok()
}

#[cfg(any(not(feature = "c-recovery"), test))]
mod with_k256 {
    use crate::address::address_of_key;
    use bourse_market::Address;

    pub(super) fn recover(digest: &[u8; 32], rs: &[u8; 64], y_is_odd: bool) -> Option<Address> {
        super::recover_key(digest, rs, y_is_odd).map(|key| address_of_key(&key))
    }
}

/// With libsecp256k1, in C: half the time.
#[cfg(feature = "c-recovery")]
mod with_c {
    use crate::address::address_of_point;
    use bourse_market::Address;
    use secp256k1::Message;
    use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

    pub(super) fn recover(digest: &[u8; 32], rs: &[u8; 64], y_is_odd: bool) -> Option<Address> {
        let id = RecoveryId::try_from(i32::from(y_is_odd)).ok()?;
        let signature = RecoverableSignature::from_compact(rs, id).ok()?;
        let key = signature.recover(Message::from_digest(*digest)).ok()?;
        Some(address_of_point(&key.serialize_uncompressed()))
    }
}

#[cfg(feature = "c-recovery")]
use with_c as by;
#[cfg(not(feature = "c-recovery"))]
use with_k256 as by;

/// Big-endian byte strings of one length compare like the numbers they are.
fn check_scalar(part: &'static str, bytes: &[u8]) -> Result<(), SignatureError> {
    if bytes.iter().all(|&byte| byte == 0) {
        return Err(SignatureError::Zero { part });
    }
    if bytes >= ORDER.as_slice() {
        return Err(SignatureError::TooLarge { part });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signer;
    use crate::address::address_of_key;
    use alloy_primitives::U256;

    const DIGEST: [u8; 32] = [7; 32];

    fn signed() -> (Address, [u8; 65]) {
        let signer = Signer::from_bytes(&[0x11; 32]).unwrap();
        (signer.address(), signer.sign(&DIGEST).0)
    }

    fn with(part: usize, bytes: [u8; 32]) -> Signature {
        let (_, mut raw) = signed();
        raw[part * 32..][..32].copy_from_slice(&bytes);
        Signature(raw)
    }

    #[test]
    fn the_half_order_is_half_of_the_order() {
        let order = U256::from_be_bytes(ORDER);
        assert_eq!(order >> 1, U256::from_be_bytes(HALF_ORDER));
    }

    #[test]
    fn a_signature_recovers_to_its_signer() {
        let (address, raw) = signed();
        assert_eq!(recover(&DIGEST, &Signature(raw)), Ok(address));
    }

    #[test]
    fn any_v_but_27_and_28_is_refused_by_its_value() {
        for v in (0..=255).filter(|v| ![27, 28].contains(v)) {
            let (_, mut raw) = signed();
            raw[64] = v;
            assert_eq!(
                recover(&DIGEST, &Signature(raw)),
                Err(SignatureError::WrongV { v })
            );
        }
    }

    #[test]
    fn the_twin_of_a_signature_is_refused() {
        let (address, mut raw) = signed();
        let s = U256::from_be_slice(&raw[32..64]);
        raw[32..64].copy_from_slice(&(U256::from_be_bytes(ORDER) - s).to_be_bytes::<32>());
        raw[64] = 55 - raw[64];
        assert_eq!(recover(&DIGEST, &Signature(raw)), Err(SignatureError::HighS));

        // Not because it would not recover: it is the very same signer.
        let twin = EcdsaSignature::from_slice(&raw[..64]).unwrap();
        let key = VerifyingKey::recover_from_prehash(&DIGEST, &twin, RecoveryId::new(raw[64] == 28, false))
            .unwrap();
        assert_eq!(address_of_key(&key), address);
    }

    #[test]
    fn zeros_and_numbers_of_the_order_and_more_are_refused_by_part() {
        for (index, part) in [(0, "r"), (1, "s")] {
            let refuse = |bytes| recover(&DIGEST, &with(index, bytes)).unwrap_err();
            assert_eq!(refuse([0; 32]), SignatureError::Zero { part });
            assert_eq!(refuse(ORDER), SignatureError::TooLarge { part });
            assert_eq!(refuse([0xff; 32]), SignatureError::TooLarge { part });
        }
    }

    #[test]
    fn an_r_on_no_point_recovers_to_no_key() {
        // x = 5 has no y on secp256k1.
        let mut five = [0; 32];
        five[31] = 5;
        assert_eq!(recover(&DIGEST, &with(0, five)), Err(SignatureError::NoKey));
    }

    #[cfg(feature = "c-recovery")]
    #[test]
    fn whoever_recovers_comes_to_the_same_answer() {
        for number in 0..500_u64 {
            let random: [u8; 32] = crate::keccak256(&number.to_be_bytes());
            let mut raw = Signer::from_bytes(&random).unwrap().sign(&random).0;
            if number % 2 == 1 {
                // Most of these recover to somebody, some to nobody.
                raw[..32].copy_from_slice(&crate::keccak256(&random));
            }
            let [rs @ .., v] = &raw;
            let (c, rust) = (
                with_c::recover(&random, rs, *v == 28),
                with_k256::recover(&random, rs, *v == 28),
            );
            assert_eq!(c, rust, "{number}");
        }
    }

    #[test]
    fn another_digest_recovers_to_somebody_else() {
        let (address, raw) = signed();
        assert_ne!(recover(&[8; 32], &Signature(raw)), Ok(address));
    }
}
