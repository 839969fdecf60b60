//! Signatures of whom one has seen before, checked in less than half the time.

use crate::SignatureError;
use crate::signature::{check, recover_key};
use bourse_market::{Address, Signature};
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::{BatchNormalize, PrimeField};
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

/// Signers remembered at most, with some 46 KB each once they have signed often.
const SIGNERS: usize = 256;
/// Signatures of a signer after which a table of its key pays: making one takes as long as it saves on five.
const OFTEN: u32 = 8;

/// The public keys of those who sign again and again, such as the delegates of open channels.
///
/// A recovery finds out who signed. Where it is known who should have, and by an earlier signature with which key, it is
/// enough to check that key, with multiples of it made beforehand: some 25 µs in place of 55. The answer is
/// the same in every case; this is a cache, and may be dropped and made anew at any time.
#[derive(Default)]
pub struct KnownSigners {
    signers: RwLock<HashMap<Address, Arc<Known>>>,
    /// Counts the signatures, to tell who signed last.
    now: AtomicU64,
}

#[derive(Default)]
struct Known {
    signatures: AtomicU32,
    last: AtomicU64,
    multiples: OnceLock<Multiples<4>>,
}

impl KnownSigners {
    /// What [`recover`](crate::recover) answers, sooner when it is `expected`.
    ///
    /// # Errors
    ///
    /// Those of [`recover`](crate::recover).
    pub fn recover(
        &self,
        digest: &[u8; 32],
        signature: &Signature,
        expected: Address,
    ) -> Result<Address, SignatureError> {
        let (rs, y_is_odd) = check(signature)?;
        let known = self.find(expected);
        if let Some(multiples) = known.as_ref().and_then(|known| known.multiples.get())
            && is_signed(digest, rs, y_is_odd, multiples)
        {
            return Ok(expected);
        }
        let signer = crate::recover(digest, signature)?;
        if signer == expected {
            match known {
                Some(known) => known.learn(digest, rs, y_is_odd),
                None => self.add(signer),
            }
        }
        Ok(signer)
    }

    fn find(&self, signer: Address) -> Option<Arc<Known>> {
        let known = Arc::clone(self.signers.read().get(&signer)?);
        known
            .last
            .store(self.now.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(known)
    }

    /// Remembers one more signer, in the place of the one who signed longest ago if there is no room.
    fn add(&self, signer: Address) {
        let known = Known::default();
        known
            .last
            .store(self.now.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let mut signers = self.signers.write();
        if signers.len() >= SIGNERS {
            let oldest = signers
                .iter()
                .min_by_key(|(_, known)| known.last.load(Ordering::Relaxed))
                .map(|(signer, _)| *signer);
            oldest.and_then(|oldest| signers.remove(&oldest));
        }
        signers.insert(signer, Arc::new(known));
    }
}

impl Known {
    /// Counts a signature that is the signer's, and makes the table of its key when there have been enough.
    fn learn(&self, digest: &[u8; 32], rs: &[u8; 64], y_is_odd: bool) {
        // One thread alone meets this number.
        if self.signatures.fetch_add(1, Ordering::Relaxed) == OFTEN
            && let Some(key) = recover_key(digest, rs, y_is_odd)
        {
            let _ = self.multiples.set(Multiples::of(&(*key.as_affine()).into()));
        }
    }
}

/// Whether recovery would come to the key of these multiples: whether the point that the signature names, by its x and
/// the oddness of its y, is the one that the key leads to (SEC 1, 4.1.4).
fn is_signed(digest: &[u8; 32], rs: &[u8; 64], y_is_odd: bool, key: &Multiples<4>) -> bool {
    /// Of the generator, which is in every signature: made once.
    static GENERATOR: LazyLock<Multiples<8>> = LazyLock::new(|| Multiples::of(&ProjectivePoint::GENERATOR));

    let (r_bytes, s_bytes) = rs.split_at(32);
    let scalar = |bytes: &[u8]| -> Option<Scalar> {
        Scalar::from_repr(FieldBytes::try_from(bytes).ok()?).into_option()
    };
    let (Some(r), Some(s)) = (scalar(r_bytes), scalar(s_bytes)) else {
        return false;
    };
    let Some(inverse) = s.invert_vartime().into_option() else {
        return false;
    };
    let hash = <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(*digest));
    let point = GENERATOR.add_to(ProjectivePoint::IDENTITY, &(hash * inverse));
    let point = key.add_to(point, &(r * inverse)).to_affine();
    point.x().as_slice() == r_bytes && bool::from(point.y_is_odd()) == y_is_odd
}

/// Places of the longest number, with the narrowest digits.
const PLACES: usize = 256 / 4 + 1;

/// Multiples of a point by every digit at every place of a number written in base 2^`WIDTH`, where digits run from
/// −2^(`WIDTH` − 1) to 2^(`WIDTH` − 1): to multiply by a number is to add one multiple for each of its digits. A negative digit
/// takes the multiple of its absolute value, negated.
///
/// Takes a time that depends on the number: for what everybody may know, never for a private key.
struct Multiples<const WIDTH: usize> {
    /// Those by 1 to 2^(`WIDTH` − 1) of the lowest place, then those of the next.
    points: Vec<AffinePoint>,
}

impl<const WIDTH: usize> Multiples<WIDTH> {
    /// Digits other than 0, up to their sign.
    const DIGITS: usize = 1 << (WIDTH - 1);
    /// Enough for 256 bits and what the highest digit carries over.
    const PLACES: usize = 256 / WIDTH + 1;

    fn of(point: &ProjectivePoint) -> Self {
        let mut points = Vec::with_capacity(Self::PLACES * Self::DIGITS);
        let mut one = *point;
        for _ in 0..Self::PLACES {
            let mut multiple = one;
            for _ in 0..Self::DIGITS {
                points.push(multiple);
                multiple += one;
            }
            for _ in 0..WIDTH {
                one = one.double();
            }
        }
        Self {
            points: ProjectivePoint::batch_normalize(points.as_slice()),
        }
    }

    /// `sum` and `number` times the point.
    ///
    /// The multiples are picked before they are added: a signer's are seldom in the processor's cache, and so it waits for
    /// many of them at a time, where additions in between would make it wait for each.
    fn add_to(&self, mut sum: ProjectivePoint, number: &Scalar) -> ProjectivePoint {
        let bytes = number.to_repr();
        let mut picked = [AffinePoint::IDENTITY; PLACES];
        let mut carry = 0;
        let places = self.points.chunks_exact(Self::DIGITS).zip(&mut picked);
        for (place, (multiples, picked)) in places.enumerate() {
            let multiple = |by: usize| by.checked_sub(1).and_then(|index| multiples.get(index));
            let digit = digit::<WIDTH>(&bytes, place) + carry;
            // What is above half the base is one more at the next place, and here less than nothing.
            carry = usize::from(digit > Self::DIGITS);
            let found = match carry {
                0 => multiple(digit).copied(),
                _ => multiple(2 * Self::DIGITS - digit).map(|multiple| -*multiple),
            };
            *picked = found.unwrap_or(AffinePoint::IDENTITY);
        }
        for multiple in picked.iter().take(Self::PLACES) {
            sum += multiple;
        }
        sum
    }
}

/// The digit of a big-endian number in base 2^`WIDTH` at a place counted from its end. `WIDTH` is 4 or 8.
fn digit<const WIDTH: usize>(bytes: &[u8], place: usize) -> usize {
    const {
        assert!(
            WIDTH == 4 || WIDTH == 8,
            "a digit lies within a byte, and there are no more than `PLACES`"
        );
    }
    let bit = place * WIDTH;
    let byte = bytes.iter().rev().nth(bit / 8).copied().unwrap_or_default();
    usize::from(byte >> (bit % 8)) & ((1 << WIDTH) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Signer, keccak256, recover};

    /// A digest that is as good as random.
    fn digest(number: u64) -> [u8; 32] {
        keccak256(&number.to_be_bytes())
    }

    /// Knows `signer` well enough to have made its table.
    fn acquainted(signer: &Signer) -> KnownSigners {
        let known = KnownSigners::default();
        for number in 0..u64::from(OFTEN) + 2 {
            let digest = digest(number);
            let signature = signer.sign(&digest);
            assert_eq!(
                known.recover(&digest, &signature, signer.address()),
                Ok(signer.address())
            );
        }
        assert!(known.has_table(signer.address()));
        known
    }

    impl KnownSigners {
        fn has_table(&self, signer: Address) -> bool {
            self.signers
                .read()
                .get(&signer)
                .is_some_and(|known| known.multiples.get().is_some())
        }
    }

    #[test]
    fn the_answer_is_that_of_a_recovery_whatever_the_signature() {
        let signer = Signer::from_bytes(&[0x11; 32]).unwrap();
        let other = Signer::from_bytes(&[0x22; 32]).unwrap();
        let known = acquainted(&signer);
        let mut theirs = 0;
        for number in 0..500 {
            let digest = digest(number);
            let mut signature = if number % 5 == 0 { &other } else { &signer }.sign(&digest);
            match number % 7 {
                // The other key of the two that r and s may stand for.
                0 => signature.0[64] = 55 - signature.0[64],
                1 => signature.0[31] ^= 1,
                2 => signature.0[63] ^= 1,
                3 => signature.0[64] = 0,
                _ => {}
            }
            let expected = recover(&digest, &signature);
            theirs += usize::from(expected == Ok(signer.address()));
            assert_eq!(
                known.recover(&digest, &signature, signer.address()),
                expected,
                "{number}"
            );
        }
        assert!(theirs > 100, "{theirs} signatures were the signer's");
    }

    #[test]
    fn a_check_says_yes_to_what_recovers_to_its_key_and_to_nothing_else() {
        let signer = Signer::from_bytes(&[0x33; 32]).unwrap();
        let signed = signer.sign(&digest(0));
        let (rs, y_is_odd) = check(&signed).unwrap();
        let key = recover_key(&digest(0), rs, y_is_odd).unwrap();
        let multiples = Multiples::of(&(*key.as_affine()).into());

        for number in 0..200 {
            let signature = signer.sign(&digest(number));
            let (rs, y_is_odd) = check(&signature).unwrap();
            assert!(is_signed(&digest(number), rs, y_is_odd, &multiples), "{number}");
            assert!(!is_signed(&digest(number), rs, !y_is_odd, &multiples), "{number}");
            assert!(
                !is_signed(&digest(number + 1), rs, y_is_odd, &multiples),
                "{number}"
            );
        }
    }

    #[test]
    fn multiples_are_those_of_plain_multiplication() {
        let point = ProjectivePoint::GENERATOR * Scalar::from(12345_u32);
        let (narrow, wide) = (Multiples::<4>::of(&point), Multiples::<8>::of(&point));
        let edges = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(0x88_u32)];
        // All digits at the value where one is carried over, and next to it.
        let patterns = [0x77_u8, 0x78, 0x80, 0x81, 0x88, 0x89, 0xf0, 0xfe];
        let patterned = patterns.map(|byte| Scalar::reduce(&FieldBytes::from([byte; 32])));
        let random = (0..50).map(|number| Scalar::reduce(&FieldBytes::from(digest(number))));
        for number in edges.into_iter().chain(patterned).chain(random) {
            let expected = point * number;
            assert_eq!(narrow.add_to(ProjectivePoint::IDENTITY, &number), expected);
            assert_eq!(wide.add_to(ProjectivePoint::IDENTITY, &number), expected);
            assert_eq!(narrow.add_to(point, &number), expected + point);
        }
    }

    #[test]
    fn whoever_signed_longest_ago_is_forgotten_first() {
        let signer = Signer::from_bytes(&[0x44; 32]).unwrap();
        let known = acquainted(&signer);
        for index in 0..u64::try_from(SIGNERS).unwrap() - 1 {
            known.add(Address(std::array::from_fn(|at| {
                index.to_be_bytes().get(at).copied().unwrap_or(0xee)
            })));
        }
        assert!(known.has_table(signer.address()));
        assert_eq!(known.signers.read().len(), SIGNERS);

        // It signs again, so that the next to go is another.
        let signature = signer.sign(&digest(1));
        let _ = known.recover(&digest(1), &signature, signer.address());
        known.add(Address([0xaa; 20]));
        assert!(known.has_table(signer.address()));
        assert_eq!(known.signers.read().len(), SIGNERS);
    }

    #[test]
    fn who_was_expected_but_did_not_sign_is_not_remembered() {
        let signer = Signer::from_bytes(&[0x55; 32]).unwrap();
        let known = KnownSigners::default();
        let signature = signer.sign(&digest(1));
        for _ in 0..2 * OFTEN {
            let found = known.recover(&digest(1), &signature, Address([9; 20]));
            assert_eq!(found, Ok(signer.address()));
        }
        assert!(known.signers.read().is_empty());
    }
}
