//! The name of a text: the hash of its block.

use core::fmt;
use core::str::FromStr;
use sha2::{Digest, Sha256};

/// The digits of Bitcoin's base 58, which IPFS spells its ids with.
const DIGITS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// What the bytes of an id begin with: SHA-256, of 32 bytes.
const MULTIHASH: [u8; 2] = [0x12, 0x20];
/// Bytes of an id.
const LEN: usize = 34;

/// An IPFS id of version 0: the SHA-256 of a block. It is spelled with 46 letters and digits, the first two of which are `Qm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 32]);

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an IPFS id of version 0, `Qm` and 44 letters and digits in base 58")]
pub struct ContentIdError;

impl ContentId {
    /// Letters and digits of an id.
    pub const CHARACTERS: usize = 46;

    /// The id of a block.
    pub fn of_block(block: &[u8]) -> Self {
        Self(Sha256::digest(block).into())
    }

    /// The id of the block of this hash.
    pub fn of_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The hash alone.
    pub fn digest(&self) -> [u8; 32] {
        self.0
    }
}

impl FromStr for ContentId {
    type Err = ContentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != Self::CHARACTERS {
            return Err(ContentIdError);
        }
        let mut number = [0u8; LEN];
        for digit in text.bytes() {
            let value = DIGITS.iter().position(|known| *known == digit);
            let mut carry = value.ok_or(ContentIdError)?;
            for byte in number.iter_mut().rev() {
                carry += usize::from(*byte) * DIGITS.len();
                *byte = (carry & 0xFF) as u8;
                carry >>= 8;
            }
            if carry > 0 {
                return Err(ContentIdError);
            }
        }
        let (multihash, digest) = number.split_at(MULTIHASH.len());
        match <[u8; 32]>::try_from(digest) {
            Ok(digest) if multihash == MULTIHASH => Ok(Self(digest)),
            _ => Err(ContentIdError),
        }
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = [MULTIHASH.as_slice(), &self.0].concat();
        let mut text = [0u8; Self::CHARACTERS];
        for place in text.iter_mut().rev() {
            let mut rest = 0;
            for byte in &mut number {
                rest = rest * 256 + usize::from(*byte);
                // Less than 256, for the rest was less than 58.
                *byte = (rest / DIGITS.len()) as u8;
                rest %= DIGITS.len();
            }
            *place = DIGITS.get(rest).copied().unwrap_or_default();
        }
        f.write_str(core::str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_spelled_in_one_way_alone() {
        for bytes in [[0; 32], [0xFF; 32], [7; 32]] {
            let id = ContentId(bytes);
            let text = id.to_string();
            assert!(
                text.starts_with("Qm") && text.len() == ContentId::CHARACTERS,
                "{text}"
            );
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn w_09_nothing_else_is_an_id() {
        let good = "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3uD94";
        assert_eq!(good.parse::<ContentId>().unwrap().to_string(), good);
        let mut wrong: Vec<String> = [
            "",
            "Qm",
            "../../../../../../../../../../../../etc/passwd",
            "/etc/passwd",
            "..\\..\\marketmaker.key",
            "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
            "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
            "1111111111111111111111111111111111111111111111",
            "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3uD9\0",
            "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3uD9?",
            "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3u../",
            "QmUEM5UuSUMeET2Zo8YQtDMK74Fr2SJGEyTokSYzT3uDé",
        ]
        .map(str::to_owned)
        .to_vec();
        wrong.push(format!("{good}/"));
        wrong.push(format!(" {good}"));
        // 0, O, I and l are no digits.
        wrong.extend(["0", "O", "I", "l"].map(|digit| good.replacen('5', digit, 1)));
        // Another hash, another length of it.
        wrong.push(good.replacen("Qm", "Pm", 1));
        wrong.push(good.replacen("Qm", "Rm", 1));
        for text in wrong {
            assert_eq!(text.parse::<ContentId>(), Err(ContentIdError), "{text:?}");
        }
    }
}
