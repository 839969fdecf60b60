//! The digests that a buyer signs, put together by hand.
//!
//! The second work-around: `ethers` pads `bytesN` with N under 32 on the wrong side when it hashes typed data, and every
//! identifier of XBR is a `bytes16`. What it signs, it recovers, so its own round trip shows nothing; a market recovers
//! somebody else. The test below holds both against a vector made by other implementations.

use ethers::types::{Address, H256, U256};
use ethers::utils::keccak256;

use crate::wire::word;

/// Where signatures are valid, as the market's `get_config` says.
pub struct Domain {
    pub chain_id: U256,
    pub contract: Address,
    pub market: [u8; 16],
}

/// A new channel.
pub struct ChannelOpen {
    pub kind: u8,
    pub block: U256,
    pub channel: [u8; 16],
    pub actor: Address,
    pub delegate: Address,
    pub marketmaker: Address,
    pub recipient: Address,
    pub amount: U256,
}

/// A state of a channel: every purchase is one.
pub struct ChannelState {
    pub channel: [u8; 16],
    pub seq: u32,
    pub balance: U256,
}

impl ChannelOpen {
    pub fn digest(&self, domain: &Domain) -> H256 {
        digest(
            "EIP712ChannelOpen(uint256 chainId,address verifyingContract,uint8 ctype,uint256 openedAt,bytes16 marketId,\
             bytes16 channelId,address actor,address delegate,address marketmaker,address recipient,uint256 amount)",
            &[
                word(domain.chain_id),
                address(domain.contract),
                word(self.kind.into()),
                word(self.block),
                id(domain.market),
                id(self.channel),
                address(self.actor),
                address(self.delegate),
                address(self.marketmaker),
                address(self.recipient),
                word(self.amount),
            ],
        )
    }
}

impl ChannelState {
    pub fn digest(&self, domain: &Domain) -> H256 {
        digest(
            "EIP712ChannelClose(uint256 chainId,address verifyingContract,uint256 closeAt,bytes16 marketId,\
             bytes16 channelId,uint32 channelSeq,uint256 balance,bool isFinal)",
            &[
                word(domain.chain_id),
                address(domain.contract),
                // Off the chain it is always 1.
                word(U256::one()),
                id(domain.market),
                id(self.channel),
                word(self.seq.into()),
                word(self.balance),
                word(U256::zero()),
            ],
        )
    }
}

fn digest(schema: &str, words: &[[u8; 32]]) -> H256 {
    let domain = [
        keccak256("EIP712Domain(string name,string version)"),
        keccak256("XBR"),
        keccak256("1"),
    ];
    let domain = keccak256(domain.concat());
    let message = keccak256([&[keccak256(schema)], words].concat().concat());
    H256(keccak256([&[0x19, 0x01], &domain[..], &message].concat()))
}

/// Numbers and addresses are padded on the left.
fn address(address: Address) -> [u8; 32] {
    H256::from(address).0
}

/// Identifiers on the right: this is what `ethers` does not do.
fn id(id: [u8; 16]) -> [u8; 32] {
    let mut word = [0; 32];
    word[..16].copy_from_slice(&id);
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use ethers::types::transaction::eip712::{Eip712, TypedData};
    use serde_json::json;

    const CONTRACT: &str = "254dffcd3277c0b1660f6d42efbb754edababc2b";
    const MARKET: &str = "a1b8d6741ae8492017fafd8d4f8b67a2";
    const CHANNEL: &str = "6cb2ca0bb1f24ba5944e42f2ea46b36c";
    /// As xbr 26.10.1 and eth-account have it.
    const DIGEST: &str = "b52198d010facc8b28e000e6366e370587461dab556e659d33a7b9808f821b6b";

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn a_state_has_the_digest_that_other_implementations_give_it() {
        let domain = Domain {
            chain_id: U256::one(),
            contract: Address::from(bytes::<20>(CONTRACT)),
            market: bytes(MARKET),
        };
        let state = ChannelState {
            channel: bytes(CHANNEL),
            seq: 1,
            balance: crate::wire::tokens("500").unwrap(),
        };
        assert_eq!(hex::encode(state.digest(&domain)), DIGEST);
    }

    #[test]
    fn ethers_gives_it_another_one() {
        let field = |name: &str, kind: &str| json!({"name": name, "type": kind});
        let typed: TypedData = serde_json::from_value(json!({
            "domain": {"name": "XBR", "version": "1"},
            "primaryType": "EIP712ChannelClose",
            "types": {
                "EIP712Domain": [field("name", "string"), field("version", "string")],
                "EIP712ChannelClose": [
                    field("chainId", "uint256"), field("verifyingContract", "address"), field("closeAt", "uint256"),
                    field("marketId", "bytes16"), field("channelId", "bytes16"), field("channelSeq", "uint32"),
                    field("balance", "uint256"), field("isFinal", "bool"),
                ],
            },
            "message": {
                "chainId": 1, "verifyingContract": format!("0x{CONTRACT}"), "closeAt": 1,
                "marketId": format!("0x{MARKET}"), "channelId": format!("0x{CHANNEL}"), "channelSeq": 1,
                "balance": "500000000000000000000", "isFinal": false,
            },
        }))
        .unwrap();
        assert_ne!(
            hex::encode(typed.encode_eip712().unwrap()),
            DIGEST,
            "ethers has been mended: `digest` may go"
        );
    }
}
