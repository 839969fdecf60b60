//! Every vector of every message that XBR's clients sign, whether a market needs it or not, against the library that hashes
//! ours: what holds for each of these types holds for the next one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use alloy_primitives::{Address, B256, FixedBytes, U256};
use alloy_sol_types::{SolStruct, eip712_domain};
use bourse_chain::Signer;
use serde_json::Value;

const FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/vectors/eip712.json"
));

/// A field as the vectors spell it: numbers in decimal, bytes in hex.
trait Field {
    fn read(value: &Value) -> Self;
}

macro_rules! parsed {
    ($($field:ty),*) => {
        $(impl Field for $field {
            fn read(value: &Value) -> Self {
                value.as_str().unwrap().parse().unwrap()
            }
        })*
    };
}

parsed!(U256, u64, u32, u8, Address, FixedBytes<16>, FixedBytes<32>);

/// Python's None is signed as the empty string.
impl Field for String {
    fn read(value: &Value) -> Self {
        value.as_str().unwrap_or_default().to_owned()
    }
}

impl Field for bool {
    fn read(value: &Value) -> Self {
        value.as_bool().unwrap()
    }
}

/// What the library makes of one vector.
struct Hashed {
    type_text: String,
    struct_hash: B256,
    digest: B256,
}

macro_rules! schemas {
    ($($name:ident { $($kind:ident $field:ident),* })*) => {
        alloy_sol_types::sol! {
            $(struct $name { $($kind $field;)* })*
        }

        fn hash(schema: &str, of: &Value) -> Option<Hashed> {
            let domain = eip712_domain! { name: "XBR", version: "1", };
            match schema {
                $(stringify!($name) => {
                    let message = $name { $($field: Field::read(&of[stringify!($field)])),* };
                    Some(Hashed {
                        type_text: $name::eip712_encode_type().into_owned(),
                        struct_hash: message.eip712_hash_struct(),
                        digest: message.eip712_signing_hash(&domain),
                    })
                })*
                _ => None,
            }
        }
    };
}

schemas! {
    EIP712ChannelOpen {
        uint256 chainId, address verifyingContract, uint8 ctype, uint256 openedAt, bytes16 marketId, bytes16 channelId,
        address actor, address delegate, address marketmaker, address recipient, uint256 amount
    }
    EIP712ChannelClose {
        uint256 chainId, address verifyingContract, uint256 closeAt, bytes16 marketId, bytes16 channelId,
        uint32 channelSeq, uint256 balance, bool isFinal
    }
    EIP712Consent {
        uint256 chainId, address verifyingContract, address member, uint256 updated, bytes16 marketId, address delegate,
        uint8 delegateType, bytes16 apiCatalog, bool consent, string servicePrefix
    }
    EIP712MarketMemberLogin { address member, bytes32 client_pubkey }
    EIP712MemberLogin {
        uint256 chainId, address verifyingContract, address member, uint256 loggedIn, uint64 timestamp,
        string member_email, bytes32 client_pubkey
    }
    EIP712MemberRegister {
        uint256 chainId, address verifyingContract, address member, uint256 registered, string eula, string profile
    }
    EIP712MemberUnregister { uint256 chainId, address verifyingContract, address member, uint256 retired }
    EIP712MarketCreate {
        uint256 chainId, address verifyingContract, address member, uint256 created, bytes16 marketId, address coin,
        string terms, string meta, address maker, uint256 marketFee
    }
    EIP712MarketJoin {
        uint256 chainId, address verifyingContract, address member, uint256 joined, bytes16 marketId, uint8 actorType,
        string meta
    }
    EIP712MarketLeave {
        uint256 chainId, address verifyingContract, address member, uint256 left, bytes16 marketId, uint8 actorType
    }
    EIP712CatalogCreate {
        uint256 chainId, address verifyingContract, address member, uint256 created, bytes16 catalogId, string terms,
        string meta
    }
    EIP712ApiPublish {
        uint256 chainId, address verifyingContract, address member, uint256 published, bytes16 catalogId, bytes16 apiId,
        string schema, string meta
    }
    EIP712DomainCreate {
        uint256 chainId, address verifyingContract, address member, uint256 created, bytes16 domainId, bytes32 domainKey,
        string license, string terms, string meta
    }
}

#[test]
fn every_vector_of_every_schema_has_alloys_digest() {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let mut checked = 0;
    for (schema, known) in file["schemas"].as_object().unwrap() {
        for vector in known["vectors"].as_array().unwrap() {
            let hashed = hash(schema, &vector["inputs"])
                .unwrap_or_else(|| panic!("{schema} is not written down here"));
            assert_eq!(hashed.type_text, known["type_string"].as_str().unwrap());
            assert_eq!(hashed.struct_hash, B256::read(&vector["struct_hash"]), "{vector}");
            assert_eq!(hashed.digest, B256::read(&vector["digest"]), "{vector}");

            let signer = Signer::from_bytes(&B256::read(&vector["signer_private_key"]).0).unwrap();
            // Of one message the reference client never gets as far as a signature; this is the one it meant.
            let expected = vector
                .get("signature")
                .unwrap_or(&vector["signature_if_correct_message"]);
            let signature = signer.sign(&hashed.digest.0);
            assert_eq!(
                format!("0x{}", hex::encode(signature.0)),
                expected.as_str().unwrap()
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 40);
}
