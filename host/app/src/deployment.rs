//! The deployment that a market settles on: looked up at every start, and kept, so that a start does not need a node.
//!
//! What lives here: the look, what is remembered of it, and what to go by where a node does not answer. What was kept is
//! looked up again as soon as every node does ([`Look::look`]); until then the chain is not followed and nothing is sent to it.
//!
//! What never does: a first start without a node. What the contracts say of a market must have been seen once.

use crate::config::chain::Plan;
use anyhow::{bail, ensure};
use bourse_chain::{Block, Contracts, Deployment, DeploymentError, EthereumSettlement, Node, Settlement};
use bourse_market::chain::BlockRef;
use bourse_market::{Address, MarketId, View};
use bourse_store::Store;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// How long a start waits for its nodes where it could do without them.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// What is kept of a deployment from one start to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What the contracts said.
    pub(crate) deployment: Deployment,
    /// The gas that fitted in a block.
    pub(crate) gas_limit: u64,
}

impl Kept {
    /// What the data folder keeps; none if it never had a market on a chain.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(bytes) = Store::deployment(folder)? else {
            return Ok(None);
        };
        let kept = serde_json::from_slice(&bytes);
        Ok(kept
            .inspect_err(|error| tracing::warn!(%error, "what is kept of the deployment cannot be read; the nodes are asked"))
            .ok())
    }

    /// What a settlement goes by.
    pub(crate) fn of(settlement: &EthereumSettlement) -> Self {
        Self {
            deployment: settlement.deployment(),
            gas_limit: settlement.head_block().gas_limit,
        }
    }

    /// Keeps it, for the next start. A ledger that has no room left for it trades all the same.
    pub(crate) fn write(&self, store: &Store) {
        let kept = serde_json::to_vec(self)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| Ok(store.keep_deployment(&bytes)?));
        if let Err(error) = kept {
            let error = format!("{error:#}");
            tracing::warn!(
                error,
                "what the contracts say is not kept: the next start needs the nodes"
            );
        }
    }
}

/// What to look at, and through whom.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) node: Node,
    /// Who must say the same.
    pub(crate) verifiers: Vec<Node>,
    pub(crate) contracts: Contracts,
    pub(crate) marketmaker: Address,
    /// The market that it must be; any of the market maker's if it is not known yet.
    pub(crate) market: Option<MarketId>,
    /// The chain, and a block that it had, if that is known.
    pub(crate) chain: Option<(u64, u64)>,
}

impl Look {
    /// Looks at the deployment through every node. Yields the first one's newest block, too.
    ///
    /// # Errors
    ///
    /// What is not as it must be, or who does not answer: see [`DeploymentError::is_of_the_node`].
    pub(crate) async fn look(&self) -> Result<(Deployment, Block), DeploymentError> {
        let deployment = self.through(&self.node).await?;
        for verifier in &self.verifiers {
            let theirs = self.through(verifier).await?;
            if theirs != deployment {
                return Err(DeploymentError::Disputed {
                    node: self.node.name().to_owned(),
                    verifier: verifier.name().to_owned(),
                    ours: Box::new(deployment),
                    theirs: Box::new(theirs),
                });
            }
        }
        let head = Block::from(&self.node.latest().await?);
        Ok((deployment, head))
    }

    async fn through(&self, node: &Node) -> Result<Deployment, DeploymentError> {
        if let Some((chain_id, known)) = self.chain {
            Contracts::can_tell(node, chain_id, known).await?;
        }
        self.contracts.look_up(node, self.marketmaker, self.market).await
    }
}

/// A deployment to start on.
pub(crate) struct Found {
    pub(crate) deployment: Deployment,
    /// The newest block that is known, and was seen to be the chain's.
    pub(crate) head: Block,
    /// Who looks again, and why: none if the nodes have just said so.
    pub(crate) unseen: Option<Unseen>,
}

/// What is kept is not looked up again yet.
#[derive(Debug, Clone)]
pub(crate) struct Unseen {
    pub(crate) look: Look,
    /// Why not.
    pub(crate) why: String,
}

impl Found {
    fn seen((deployment, head): (Deployment, Block)) -> Self {
        Self {
            deployment,
            head,
            unseen: None,
        }
    }
}

/// The last block that the ledger in `folder` followed the chain to; none if there is no ledger that could say.
fn tip(folder: &Path) -> Option<BlockRef> {
    let ledger = Store::open_read_only(folder, 0).ok()?;
    let tip = ledger.read().and_then(|ledger| ledger.chain_tip()).ok()?;
    tip.map(|applied| applied.block)
}

/// Finds the deployment of `plan`: from the nodes or, if they do not answer, from what `folder` keeps.
///
/// # Errors
///
/// Whatever is not as it must be; and a node that does not answer, if nothing is kept.
pub(crate) async fn find(
    plan: &Plan,
    marketmaker: Address,
    market: Option<MarketId>,
    folder: &Path,
) -> anyhow::Result<Found> {
    let (kept, tip) = (Kept::read(folder)?, tip(folder));
    let known = tip.map_or(0, |tip| tip.number.0);
    let look = Look {
        node: plan.node.clone(),
        verifiers: plan.verifiers.clone(),
        contracts: plan.follow.contracts,
        marketmaker,
        market,
        chain: kept.as_ref().map(|kept| (kept.deployment.chain_id, known)),
    };
    let Some(kept) = kept else {
        return match look.look().await {
            Ok(seen) => Ok(Found::seen(seen)),
            Err(error) if error.is_of_the_node() => bail!(
                "{error}. A data folder's first start needs every node: what the contracts say of the market is not known yet"
            ),
            Err(error) => Err(error.into()),
        };
    };
    let why = match tokio::time::timeout(START_PATIENCE, look.look()).await {
        Ok(Ok(seen)) => return Ok(Found::seen(seen)),
        Ok(Err(error)) if error.is_of_the_node() => error.to_string(),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => format!(
            "the nodes did not say within {} s what the contracts say of the market",
            START_PATIENCE.as_secs()
        ),
    };
    let deployment = kept.deployment;
    ensure!(
        deployment.contracts == look.contracts && market.is_none_or(|market| market == deployment.market),
        "{why}. The contracts or the market in the configuration are not those that this data folder was last opened with: \
         then a start needs every node"
    );
    Ok(Found {
        deployment,
        head: Block {
            number: known,
            hash: tip.map_or([0; 32], |tip| tip.hash.0),
            gas_limit: kept.gas_limit,
        },
        unseen: Some(Unseen { look, why }),
    })
}
