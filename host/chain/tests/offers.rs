//! The messages of ours that clients sign by hand, for which no other library has vectors: hashed here word by word, as EIP-712 says,
//! without the crate that hashes them in the product.

#![allow(clippy::unwrap_used, reason = "tests")]

use bourse_chain::{DOMAIN_SEPARATOR, Domain, KeyOffer, MarketLogin, RevokeOffer, keccak256};
use bourse_market::{Address, Amount, ApiId, ClientKey, KeyId, MarketId, Nanos};

const DOMAIN: Domain = Domain {
    chain_id: 1337,
    verifying_contract: Address([0xc0; 20]),
};

/// Numbers and addresses fill their word from the right.
fn right(bytes: &[u8]) -> [u8; 32] {
    let mut word = [0; 32];
    word.split_at_mut(32 - bytes.len()).1.copy_from_slice(bytes);
    word
}

/// Byte strings fill theirs from the left.
fn left(bytes: &[u8]) -> [u8; 32] {
    let mut word = [0; 32];
    word.split_at_mut(bytes.len()).0.copy_from_slice(bytes);
    word
}

fn digest(type_text: &str, words: &[[u8; 32]]) -> [u8; 32] {
    let type_hash = keccak256(type_text.as_bytes());
    let struct_hash = keccak256(&[type_hash.as_slice(), words.concat().as_slice()].concat());
    keccak256(&[&[0x19, 0x01], DOMAIN_SEPARATOR.as_slice(), &struct_hash].concat())
}

fn key_offer(price: Amount, dynamic: bool) -> KeyOffer {
    KeyOffer {
        market: MarketId([1; 16]),
        key: KeyId([2; 16]),
        api: ApiId([3; 16]),
        uri: "io.example.weather".to_owned(),
        price,
        dynamic,
        valid_from: Nanos(0),
        expires: Nanos(1_700_000_000_000_000_000),
        delegate: Address([4; 20]),
    }
}

#[test]
fn an_offer_hashes_to_its_words() {
    let price = Amount::from_tokens(35);
    for (price, dynamic) in [(price, false), (Amount::ZERO, true)] {
        let words = [
            right(&1337_u64.to_be_bytes()),
            right(&[0xc0; 20]),
            left(&[1; 16]),
            left(&[2; 16]),
            left(&[3; 16]),
            keccak256(b"io.example.weather"),
            price.to_be_bytes(),
            right(&[u8::from(dynamic)]),
            right(&[]),
            right(&1_700_000_000_000_000_000_u64.to_be_bytes()),
            right(&[4; 20]),
        ];
        let expected = digest(
            "EIP712KeyOffer(uint256 chainId,address verifyingContract,bytes16 marketId,bytes16 keyId,bytes16 apiId,\
             string uri,uint256 price,bool dynamic,uint256 validFrom,uint256 expires,address delegate)",
            &words,
        );
        assert_eq!(key_offer(price, dynamic).digest(&DOMAIN), expected);
    }
}

#[test]
fn a_revocation_hashes_to_its_words() {
    let revoke = RevokeOffer {
        market: MarketId([1; 16]),
        key: KeyId([2; 16]),
        delegate: Address([4; 20]),
    };
    let words = [
        right(&1337_u64.to_be_bytes()),
        right(&[0xc0; 20]),
        left(&[1; 16]),
        left(&[2; 16]),
        right(&[4; 20]),
    ];
    let expected = digest(
        "EIP712RevokeOffer(uint256 chainId,address verifyingContract,bytes16 marketId,bytes16 keyId,address delegate)",
        &words,
    );
    assert_eq!(revoke.digest(&DOMAIN), expected);
}

#[test]
fn a_free_key_and_one_without_a_price_are_two_offers() {
    let (free, dynamic) = (key_offer(Amount::ZERO, false), key_offer(Amount::ZERO, true));
    assert_ne!(free.digest(&DOMAIN), dynamic.digest(&DOMAIN));
}

#[test]
fn a_login_hashes_to_its_words() {
    let login = MarketLogin {
        market: MarketId([1; 16]),
        member: Address([4; 20]),
        client_key: ClientKey([5; 32]),
        issued: Nanos(1_700_000_000_000_000_000),
        expires: Nanos(1_700_086_400_000_000_000),
    };
    let words = [
        right(&1337_u64.to_be_bytes()),
        right(&[0xc0; 20]),
        left(&[1; 16]),
        right(&[4; 20]),
        [5; 32],
        right(&login.issued.0.to_be_bytes()),
        right(&login.expires.0.to_be_bytes()),
    ];
    let text = "EIP712MarketLogin(uint256 chainId,address verifyingContract,bytes16 marketId,address member,\
                bytes32 client_pubkey,uint256 issued,uint256 expires)";
    assert_eq!(login.digest(&DOMAIN), digest(text, &words));
}
