//! What only a node for developers does: time and blocks as one likes, and back again.

use super::{Node, NodeError};
use crate::address::to_alloy;
use alloy_primitives::{Bytes, U64, U256};
use bourse_market::Address;
use serde_json::Value;

/// A node whose chain is a toy: anvil, or another that understands its methods. Every other node refuses them.
#[derive(Debug, Clone)]
pub struct DevNode(Node);

/// A state of the chain to come back to, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(U256);

impl DevNode {
    /// The toy behind `node`.
    pub fn new(node: Node) -> Self {
        Self(node)
    }

    /// As any other node.
    pub fn node(&self) -> &Node {
        &self.0
    }

    /// Asks anything.
    ///
    /// # Errors
    ///
    /// [`NodeError`], if there is no answer to use; so it is with everything here.
    pub async fn ask(&self, method: &'static str, parameters: Value) -> Result<Value, NodeError> {
        self.0.ask(method, parameters).await
    }

    /// Mines `blocks` blocks with whatever waits to be mined in the first of them.
    ///
    /// # Errors
    ///
    /// As [`DevNode::ask`].
    pub async fn mine(&self, blocks: u64) -> Result<(), NodeError> {
        let _: Value = self.0.ask("anvil_mine", (U64::from(blocks),)).await?;
        Ok(())
    }

    /// Whether a transaction gets a block of its own at once, as it does at first, or waits for [`DevNode::mine`].
    ///
    /// # Errors
    ///
    /// As [`DevNode::ask`].
    pub async fn mine_at_once(&self, at_once: bool) -> Result<(), NodeError> {
        let _: Value = self.0.ask("evm_setAutomine", (at_once,)).await?;
        Ok(())
    }

    /// The next block's time: seconds since the Unix epoch, later than the last one's.
    ///
    /// # Errors
    ///
    /// As [`DevNode::ask`].
    pub async fn set_next_timestamp(&self, seconds: u64) -> Result<(), NodeError> {
        let _: Value = self.0.ask("evm_setNextBlockTimestamp", (seconds,)).await?;
        Ok(())
    }

    /// Remembers the chain as it is.
    ///
    /// # Errors
    ///
    /// As [`DevNode::ask`].
    pub async fn snapshot(&self) -> Result<Snapshot, NodeError> {
        Ok(Snapshot(self.0.ask("evm_snapshot", ()).await?))
    }

    /// Goes back to a state of the chain: all blocks after it are gone, and so is the snapshot.
    ///
    /// # Errors
    ///
    /// As [`DevNode::ask`]; [`NodeError::Nonsense`] if the node does not know the snapshot any more.
    pub async fn revert(&self, to: Snapshot) -> Result<(), NodeError> {
        match self.0.ask("evm_revert", (to.0,)).await? {
            true => Ok(()),
            false => Err(self
                .0
                .nonsense("evm_revert", format!("there is no snapshot {}", to.0))),
        }
    }

    /// What an address holds of the chain's own coin is this many wei from now on.
    ///
    /// # Errors
    ///
    /// As [`DevNode::ask`].
    pub async fn set_balance(&self, of: Address, wei: u128) -> Result<(), NodeError> {
        let _: Value = self
            .0
            .ask("anvil_setBalance", (to_alloy(of), U256::from(wei)))
            .await?;
        Ok(())
    }

    /// The whole chain, for [`DevNode::load`].
    ///
    /// # Errors
    ///
    /// As [`DevNode::ask`].
    pub async fn dump(&self) -> Result<Vec<u8>, NodeError> {
        let state: Bytes = self.0.ask("anvil_dumpState", ()).await?;
        Ok(state.to_vec())
    }

    /// The chain of a [`DevNode::dump`], in the place of a fresh one.
    ///
    /// # Errors
    ///
    /// As [`DevNode::ask`]; [`NodeError::Refused`] if it is none.
    pub async fn load(&self, state: Vec<u8>) -> Result<(), NodeError> {
        match self.0.ask("anvil_loadState", (Bytes::from(state),)).await? {
            true => Ok(()),
            false => Err(self.0.nonsense("anvil_loadState", "it does not take the state")),
        }
    }
}
