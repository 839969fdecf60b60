//! Hashes and addresses.

use bourse_market::Address;
use k256::ecdsa::VerifyingKey;

/// Keccak-256, Ethereum's hash (not the later SHA3-256).
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    alloy_primitives::keccak256(bytes).0
}

/// The last 20 bytes of a hash: how Ethereum makes an address of one.
pub(crate) fn address_of_hash(hash: &[u8; 32]) -> Address {
    let [_, _, _, _, _, _, _, _, _, _, _, _, address @ ..] = *hash;
    Address(address)
}

/// The address of a public key: the hash of its 64 uncompressed bytes, without the leading 04.
pub(crate) fn address_of_key(key: &VerifyingKey) -> Address {
    address_of_point(key.to_sec1_point(false).as_bytes())
}

/// The address of an uncompressed point of 65 bytes.
pub(crate) fn address_of_point(point: &[u8]) -> Address {
    address_of_hash(&keccak256(point.get(1..).unwrap_or_default()))
}

/// An address as alloy has it.
pub(crate) fn to_alloy(address: Address) -> alloy_primitives::Address {
    alloy_primitives::Address::new(address.0)
}

/// An address as the ledger has it.
pub(crate) fn from_alloy(address: alloy_primitives::Address) -> Address {
    Address(address.into_array())
}

/// An address as people exchange it: `0x` and 40 hex digits whose case is a checksum (EIP-55).
pub fn checksum(address: Address) -> String {
    let lower: String = address.to_string().chars().skip(2).collect();
    let hash = keccak256(lower.as_bytes());
    // One nibble of the hash for each digit; 8 and more raises a letter.
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    let digits = lower.chars().zip(nibbles).map(|(digit, nibble)| match nibble {
        8.. => digit.to_ascii_uppercase(),
        _ => digit,
    });
    "0x".chars().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::try_from(hex::decode(text).unwrap().as_slice()).unwrap()
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        // The examples of EIP-55 itself.
        for expected in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
        ] {
            assert_eq!(checksum(address(expected.trim_start_matches("0x"))), expected);
        }
    }

    #[test]
    fn keccak_is_the_one_of_ethereum() {
        let empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        assert_eq!(hex::encode(keccak256(b"")), empty);
    }
}
