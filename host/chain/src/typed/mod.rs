//! The typed messages of the protocol (EIP-712) and their digests.
//!
//! What lives here: one type for each message, in the units of `market`, and the hashing. What never does: keys and
//! signatures, which work on digests alone.
//!
//! Unlike most of Ethereum, XBR puts chain id and contract into each message and leaves the EIP-712 domain constant.

mod channel;
mod member;
mod offer;

pub use channel::{ChannelClose, ChannelOpen, DelegateBinding};
pub use member::{Consent, MarketLogin, MarketMemberLogin};
pub use offer::{KeyOffer, RevokeOffer};

use alloy_primitives::{FixedBytes, Keccak256, U256};
use alloy_sol_types::SolStruct;
use bourse_market::{Address, Amount};

/// The hash of the domain that all messages share: name `XBR`, version `1`, nothing else.
pub const DOMAIN_SEPARATOR: [u8; 32] = [
    0x69, 0x29, 0xf6, 0x8f, 0xd2, 0xda, 0x45, 0x3e, 0xfa, 0xe5, 0xe9, 0xc7, 0x0a, 0x5e, 0x5d, 0x2d, 0x4f,
    0x82, 0x86, 0xa9, 0x20, 0x9a, 0x4a, 0x62, 0x64, 0x1f, 0x29, 0x9c, 0xa8, 0xff, 0xb0, 0xe4,
];

/// Where a message is valid: the chain and the contract its first two fields name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Domain {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// The contract that verifies, XBRNetwork.
    pub verifying_contract: Address,
}

impl Domain {
    fn chain(&self) -> U256 {
        U256::from(self.chain_id)
    }

    fn contract(&self) -> alloy_primitives::Address {
        address(self.verifying_contract)
    }
}

fn address(address: Address) -> alloy_primitives::Address {
    alloy_primitives::Address::new(address.0)
}

fn id(bytes: &[u8; 16]) -> FixedBytes<16> {
    FixedBytes::new(*bytes)
}

fn number(amount: Amount) -> U256 {
    U256::from_limbs(*amount.limbs())
}

/// hashStruct of EIP-712. The hash of a type's text never changes, so each message keeps its own ready; alloy would
/// make it anew for each message.
fn hash_struct<T: SolStruct>(type_hash: &[u8; 32], message: &T) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update(type_hash);
    hasher.update(message.eip712_encode_data());
    hasher.finalize().0
}

/// What is signed: the struct's hash, bound to the domain.
fn digest(struct_hash: &[u8; 32]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update([0x19, 0x01]);
    hasher.update(DOMAIN_SEPARATOR);
    hasher.update(struct_hash);
    hasher.finalize().0
}

/// The hash of a type's text, computed once.
macro_rules! type_hash {
    ($message:ty) => {{
        static HASH: std::sync::LazyLock<[u8; 32]> = std::sync::LazyLock::new(|| {
            crate::keccak256(<$message as alloy_sol_types::SolStruct>::eip712_encode_type().as_bytes())
        });
        &*HASH
    }};
}
use type_hash;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_hash_of_the_domain() {
        let domain = alloy_sol_types::eip712_domain! { name: "XBR", version: "1", };
        assert_eq!(domain.encode_type(), "EIP712Domain(string name,string version)");
        assert_eq!(domain.separator().0, DOMAIN_SEPARATOR);
    }
}
