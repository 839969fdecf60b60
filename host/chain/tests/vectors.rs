//! Every vector of the messages this crate knows, as the reference clients and an independent library computed them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use alloy_primitives::U256;
use bourse_chain::{
    ChannelClose, ChannelOpen, Consent, DOMAIN_SEPARATOR, Domain, MarketMemberLogin, SignatureError, Signer,
    keccak256, recover,
};
use bourse_market::{Address, Amount, ChannelKind, Seq, Signature};
use serde_json::Value;

const FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/vectors/eip712.json"
));

fn vectors() -> Value {
    serde_json::from_str(FILE).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn address(value: &Value) -> Address {
    Address(array(value))
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

fn amount(value: &Value) -> Amount {
    Amount::from_limbs(*number::<U256>(value).as_limbs())
}

/// Struct hash and digest of one vector's inputs.
fn hash(schema: &str, of: &Value) -> ([u8; 32], [u8; 32]) {
    let domain = || Domain {
        chain_id: number(&of["chainId"]),
        verifying_contract: address(&of["verifyingContract"]),
    };
    match schema {
        "EIP712ChannelOpen" => {
            let message = ChannelOpen {
                kind: if of["ctype"] == "1" {
                    ChannelKind::Payment
                } else {
                    ChannelKind::Paying
                },
                opened_at: amount(&of["openedAt"]),
                market: bourse_market::MarketId(array(&of["marketId"])),
                channel: bourse_market::ChannelId(array(&of["channelId"])),
                actor: address(&of["actor"]),
                delegate: address(&of["delegate"]),
                marketmaker: address(&of["marketmaker"]),
                recipient: address(&of["recipient"]),
                amount: amount(&of["amount"]),
            };
            (message.struct_hash(&domain()), message.digest(&domain()))
        }
        "EIP712ChannelClose" => {
            let message = ChannelClose {
                close_at: amount(&of["closeAt"]),
                market: bourse_market::MarketId(array(&of["marketId"])),
                channel: bourse_market::ChannelId(array(&of["channelId"])),
                seq: Seq(number(&of["channelSeq"])),
                balance: amount(&of["balance"]),
                is_final: of["isFinal"].as_bool().unwrap(),
            };
            (message.struct_hash(&domain()), message.digest(&domain()))
        }
        "EIP712Consent" => {
            let message = Consent {
                member: address(&of["member"]),
                updated: amount(&of["updated"]),
                market: bourse_market::MarketId(array(&of["marketId"])),
                delegate: address(&of["delegate"]),
                delegate_type: number(&of["delegateType"]),
                catalog: bourse_market::CatalogId(array(&of["apiCatalog"])),
                consent: of["consent"].as_bool().unwrap(),
                service_prefix: of["servicePrefix"].as_str().unwrap().to_owned(),
            };
            (message.struct_hash(&domain()), message.digest(&domain()))
        }
        "EIP712MarketMemberLogin" => {
            let message = MarketMemberLogin {
                member: address(&of["member"]),
                client_pubkey: array(&of["client_pubkey"]),
            };
            (message.struct_hash(), message.digest())
        }
        other => panic!("no message {other}"),
    }
}

fn check(schema: &str, expected: usize) {
    let file = vectors();
    let vectors = file["schemas"][schema]["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), expected, "vectors of {schema}");
    for vector in vectors {
        let (struct_hash, digest) = hash(schema, &vector["inputs"]);
        assert_eq!(
            hex::encode(struct_hash),
            hex::encode(bytes(&vector["struct_hash"])),
            "{vector}"
        );
        assert_eq!(
            hex::encode(digest),
            hex::encode(bytes(&vector["digest"])),
            "{vector}"
        );

        let signer = Signer::from_bytes(&array(&vector["signer_private_key"])).unwrap();
        let signature = Signature(array(&vector["signature"]));
        assert_eq!(signer.address(), address(&vector["signer"]));
        assert_eq!(signer.sign(&digest), signature, "{vector}");
        assert_eq!(u64::from(signature.0[64]), vector["v"].as_u64().unwrap());
        assert_eq!(recover(&digest, &signature), Ok(signer.address()));
    }
}

#[test]
fn every_vector_of_opening_a_channel_holds() {
    check("EIP712ChannelOpen", 3);
}

#[test]
fn every_vector_of_a_channels_state_holds() {
    check("EIP712ChannelClose", 4);
}

#[test]
fn every_vector_of_a_consent_holds() {
    check("EIP712Consent", 3);
}

#[test]
fn every_vector_of_a_login_holds() {
    check("EIP712MarketMemberLogin", 3);
}

#[test]
fn the_domain_is_the_one_of_the_vectors() {
    let file = vectors();
    assert_eq!(DOMAIN_SEPARATOR, array(&file["domain"]["separator"]));
    let text = file["domain"]["type_string"].as_str().unwrap();
    assert_eq!(keccak256(text.as_bytes()), array(&file["domain"]["type_hash"]));
}

#[test]
fn the_keys_of_the_vectors_have_their_addresses() {
    for key in vectors()["keys"].as_array().unwrap() {
        assert_eq!(
            Signer::from_bytes(&array(&key["private"])).unwrap().address(),
            address(&key["address"])
        );
    }
}

/// W-13: the Python library takes the twin of a signature for the signature itself.
#[test]
fn w_13_malleable_signatures_are_refused() {
    let file = vectors();
    let digest = array(&file["schemas"]["EIP712ChannelClose"]["vectors"][0]["digest"]);
    let cases = &file["malleability_behaviour_of_python_lib"];
    let refuse = |case: &str| recover(&digest, &Signature(array(&cases[case]["signature"]))).unwrap_err();
    assert_eq!(refuse("v_minus_27"), SignatureError::WrongV { v: 0 });
    assert_eq!(refuse("high_s"), SignatureError::HighS);
    assert_eq!(refuse("zero_sig"), SignatureError::WrongV { v: 0 });
}
