//! Transactions: what they do, what they may cost, and their signed form.

use crate::Signer;
use crate::address::to_alloy;
use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bytes, TxKind, U256};
use bourse_market::outbox::GasPrice;
use bourse_market::{Address, TransactionHash};

/// What a transaction may cost for each unit of gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fees {
    /// One price: chains from before the London fork.
    Legacy {
        /// Paid in any case.
        gas_price: u128,
    },
    /// A tip for the miner, and a limit for tip and base fee together (EIP-1559).
    Market {
        /// The limit.
        max_fee: u128,
        /// The tip.
        max_priority_fee: u128,
    },
}

impl From<GasPrice> for Fees {
    fn from(price: GasPrice) -> Self {
        match price {
            GasPrice::Legacy { price } => Self::Legacy {
                gas_price: price.into(),
            },
            GasPrice::Market { most, tip } => Self::Market {
                max_fee: most.into(),
                max_priority_fee: tip.into(),
            },
        }
    }
}

/// A transaction to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The chain it is for (EIP-155).
    pub chain_id: u64,
    /// How many the sender sent before it.
    pub nonce: u64,
    /// The contract it calls; none makes one.
    pub to: Option<Address>,
    /// The call, or the code of the new contract with its arguments.
    pub input: Vec<u8>,
    /// Gas it may take.
    pub gas_limit: u64,
    /// What it may cost.
    pub fees: Fees,
}

/// A signed transaction, as the network takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Its hash, by which it is known from now on.
    pub hash: TransactionHash,
    /// Its bytes (EIP-2718).
    pub bytes: Vec<u8>,
}

impl Transaction {
    /// Signs it. The same transaction and key give the same bytes.
    pub fn sign(&self, signer: &Signer) -> SignedTransaction {
        let to = self.to.map_or(TxKind::Create, |to| TxKind::Call(to_alloy(to)));
        let input = Bytes::copy_from_slice(&self.input);
        match self.fees {
            Fees::Legacy { gas_price } => seal(
                signer,
                TxLegacy {
                    chain_id: Some(self.chain_id),
                    nonce: self.nonce,
                    gas_price,
                    gas_limit: self.gas_limit,
                    to,
                    value: U256::ZERO,
                    input,
                },
            ),
            Fees::Market {
                max_fee,
                max_priority_fee,
            } => seal(
                signer,
                TxEip1559 {
                    chain_id: self.chain_id,
                    nonce: self.nonce,
                    gas_limit: self.gas_limit,
                    max_fee_per_gas: max_fee,
                    max_priority_fee_per_gas: max_priority_fee,
                    to,
                    value: U256::ZERO,
                    access_list: alloy_eips::eip2930::AccessList::default(),
                    input,
                },
            ),
        }
    }
}

fn seal<T>(signer: &Signer, transaction: T) -> SignedTransaction
where
    T: SignableTransaction<alloy_primitives::Signature>,
    alloy_consensus::Signed<T>: Encodable2718,
{
    let signature = signer.sign(&transaction.signature_hash().0);
    let [rs @ .., v] = signature.as_bytes();
    let signature = alloy_primitives::Signature::from_bytes_and_parity(rs, *v == 28);
    let signed = transaction.into_signed(signature);
    SignedTransaction {
        hash: TransactionHash(signed.trie_hash().0),
        bytes: signed.encoded_2718(),
    }
}
