//! Transactions for setting a chain up: one at a time, each waited for.
//!
//! Not for a market that trades. What is sent here and not seen again, because the process ended or the node was silent,
//! is forgotten.

use crate::address::from_alloy;
use crate::contracts::Call;
use crate::node::{Node, NodeError, TransactionReceipt};
use crate::{Fees, Signer, Transaction};
use bourse_market::{Address, TransactionHash};
use core::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks whether a transaction is in a block. A node for developers has it there at once.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After which nobody waits any longer for a transaction to be in a block.
const WAIT: Duration = Duration::from_secs(60);
/// The tip for whoever mines, in wei for each unit of gas.
const TIP: u128 = 1_000_000_000;

/// Why a transaction did not do what it was sent for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The node gave no answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The contract would revert it, or the sender cannot pay for it: it was not sent.
    #[error("{what} is refused: {reason}")]
    Refused {
        /// The function, and where.
        what: String,
        /// What the node says, with the contract's reason if it gives one.
        reason: String,
    },
    /// It is in a block, and was reverted.
    #[error("{what} was reverted by its contract: {reason} (transaction {hash})")]
    Reverted {
        /// The function, and where.
        what: String,
        /// The contract's reason, if it gives one.
        reason: String,
        /// The transaction.
        hash: TransactionHash,
    },
    /// It is in no block yet. It still may be some day.
    #[error("{what} is in no block after {} s (transaction {hash})", WAIT.as_secs())]
    Late {
        /// The function, and where.
        what: String,
        /// The transaction.
        hash: TransactionHash,
    },
}

/// Sends transactions of one party. Another sender with the same key, at the same time, would take the same nonce.
#[derive(Debug, Clone)]
pub struct Sender {
    node: Node,
    signer: Signer,
    chain_id: u64,
}

impl Sender {
    /// The sender of `signer` on the chain of `node`.
    ///
    /// # Errors
    ///
    /// [`NodeError`], if the node does not say which chain it is on.
    pub async fn new(node: Node, signer: Signer) -> Result<Self, NodeError> {
        Ok(Self {
            chain_id: node.chain_id().await?,
            node,
            signer,
        })
    }

    /// Who sends.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// The key it signs with.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Calls a contract, and waits until the call is in a block.
    ///
    /// # Errors
    ///
    /// [`SendError`]; with the contract's reason if it reverts.
    pub async fn send(&self, call: &Call) -> Result<TransactionReceipt, SendError> {
        let what = format!("{} of {}", call.function, call.to);
        self.submit(Some(call.to), &call.input, what).await
    }

    /// Makes a contract, and waits until it is there. Yields where.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub async fn create(&self, code: Vec<u8>) -> Result<Address, SendError> {
        let what = "the contract's creation";
        let receipt = self.submit(None, &code, what.to_owned()).await?;
        let made = receipt.contract_address.ok_or_else(|| NodeError::Nonsense {
            node: self.node.name().to_owned(),
            method: "eth_getTransactionReceipt".into(),
            reason: "it says of a transaction that makes a contract that it made none".to_owned(),
        })?;
        Ok(from_alloy(made))
    }

    async fn submit(
        &self,
        to: Option<Address>,
        input: &[u8],
        what: String,
    ) -> Result<TransactionReceipt, SendError> {
        let refused = |error: NodeError, what: String| match error {
            NodeError::Refused { message, .. } => SendError::Refused {
                what,
                reason: message,
            },
            other => SendError::Node(other),
        };
        let gas = match self.node.estimate_gas(self.address(), to, input).await {
            Ok(gas) => gas,
            Err(error) => return Err(refused(error, what)),
        };
        let head = self.node.latest().await?;
        let fees = match head.base_fee_per_gas {
            // Twice the base fee: it grows by an eighth in a block at most.
            Some(base) => Fees::Market {
                max_fee: u128::try_from(base)
                    .unwrap_or(u128::MAX)
                    .saturating_mul(2)
                    .saturating_add(TIP),
                max_priority_fee: TIP,
            },
            None => Fees::Legacy {
                gas_price: self.node.gas_price().await?,
            },
        };
        let transaction = Transaction {
            chain_id: self.chain_id,
            nonce: self.node.nonce(self.address()).await?,
            to,
            input: input.to_vec(),
            // A quarter more than now: the state it meets may be another. No block takes more than all of its gas.
            gas_limit: gas.saturating_add(gas / 4).min(head.gas_limit.to()),
            fees,
        };
        let signed = transaction.sign(&self.signer);
        if let Err(error) = self.node.send_raw(&signed.bytes).await {
            return Err(refused(error, what));
        }
        let receipt = self.wait(signed.hash, &what).await?;
        // Before the Byzantium fork a receipt did not say.
        if receipt.status.is_none_or(|status| !status.is_zero()) {
            return Ok(receipt);
        }
        // The reason is in no receipt; it is the same now as then, as a rule.
        let reason = match self.node.estimate_gas(self.address(), to, input).await {
            Err(NodeError::Refused { message, .. }) => message,
            _ => "the reason is not known".to_owned(),
        };
        Err(SendError::Reverted {
            what,
            reason,
            hash: signed.hash,
        })
    }

    async fn wait(&self, hash: TransactionHash, what: &str) -> Result<TransactionReceipt, SendError> {
        let until = Instant::now() + WAIT;
        loop {
            if let Some(receipt) = self.node.receipt(hash).await? {
                return Ok(receipt);
            }
            if Instant::now() >= until {
                return Err(SendError::Late {
                    what: what.to_owned(),
                    hash,
                });
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
