//! The XBR contracts: where they are, what they are asked, and what their events say.

pub(crate) mod abi;
mod artifacts;
mod calls;
mod decode;

pub use artifacts::{ArtifactError, Artifacts};
pub use calls::{Call, NewMarket};
pub use decode::{Foreign, decode};

use crate::address::{from_alloy, to_alloy};
use crate::node::{Node, NodeError};
use crate::settlement::Contracts;
use alloy_sol_types::SolCall;
use bourse_market::{Address, Amount, MarketId};
use serde::{Deserialize, Serialize};

/// Why a deployment is not one that a market can settle on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeploymentError {
    /// The node gave no answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// There is no contract where one should be.
    #[error("there is no contract at {address}, which is configured as {contract}: is this the right chain?")]
    NoCode {
        /// Its name.
        contract: &'static str,
        /// Where it should be.
        address: Address,
    },
    /// What is there is another contract.
    #[error(
        "the contract at {address}, configured as {contract}, does not answer {function} as it should: {reason}"
    )]
    WrongContract {
        /// Its name.
        contract: &'static str,
        /// Where it is.
        address: Address,
        /// What it was asked.
        function: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The node follows another chain than it was meant to.
    #[error("the node is on chain {got}, and XBRNetwork at {network} verifies messages of chain {expected}")]
    WrongChain {
        /// XBRNetwork.
        network: Address,
        /// The chain it was deployed for.
        expected: u64,
        /// The node's.
        got: u64,
    },
    /// Nobody made our address the market maker of a market.
    #[error(
        "XBRMarket at {contract} knows no market whose market maker is {marketmaker}: its owner must create one with \
         this address, or the key is another market's"
    )]
    NoMarket {
        /// XBRMarket.
        contract: Address,
        /// Our address.
        marketmaker: Address,
    },
    /// The market of our address is not the configured one.
    #[error("the market of market maker {marketmaker} is {got}, the configuration says {expected}")]
    WrongMarket {
        /// Our address.
        marketmaker: Address,
        /// As configured.
        expected: MarketId,
        /// What XBRMarket says.
        got: MarketId,
    },
    /// It is not the one that the ledger was made over.
    #[error(
        "{what} is {got} now, and was {expected} when a node was asked before: this is another chain, or a node lies"
    )]
    Another {
        /// What is not as it was.
        what: &'static str,
        /// As it was.
        expected: String,
        /// As it is.
        got: String,
    },
    /// The node is on another chain than the one that the ledger follows.
    #[error("the node {node} is on chain {got}, and this market's is {expected}")]
    AnotherChain {
        /// Which.
        node: String,
        /// The market's.
        expected: u64,
        /// The node's.
        got: u64,
    },
    /// Another node does not say the same.
    #[error(
        "the node {verifier} of chain.verify does not say the same of the deployment as {node}: {theirs:?} and {ours:?}"
    )]
    Disputed {
        /// Who says it.
        node: String,
        /// Who does not.
        verifier: String,
        /// What the first says.
        ours: Box<Deployment>,
        /// What the other says.
        theirs: Box<Deployment>,
    },
    /// The node has not come to where it was before.
    #[error(
        "the node {node} is at block {head}, and the chain had {known} before: it still catches up, or shows another chain"
    )]
    Lags {
        /// Which.
        node: String,
        /// Its newest block.
        head: u64,
        /// A block that was known before.
        known: u64,
    },
}

impl DeploymentError {
    /// Whether it says nothing of the deployment, only of a node that cannot tell.
    pub fn is_of_the_node(&self) -> bool {
        matches!(self, Self::Node(_) | Self::Lags { .. })
    }
}

/// What a deployment says of a market, looked up once at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Where the contracts are.
    pub contracts: Contracts,
    /// The chain's id.
    pub chain_id: u64,
    /// What `net_version` says.
    pub network_id: u64,
    /// The hash of the licence that members accept, an IPFS id.
    pub eula_hash: String,
    /// The market of our address.
    pub market: MarketId,
    /// Its owner.
    pub owner: Address,
    /// The token it trades in.
    pub coin: Address,
    /// Units of that token that exist.
    pub coin_supply: Amount,
    /// The market's part of what is earned, out of that supply.
    pub fee: Amount,
}

impl Deployment {
    /// Holds what was found against what is known. Fee, supply and the licence may change; all else makes the market.
    ///
    /// # Errors
    ///
    /// [`DeploymentError::Another`], with the first that is not as it was.
    pub fn must_match(&self, found: &Self) -> Result<(), DeploymentError> {
        let mut parts = vec![
            (
                "the chain's id",
                self.chain_id.to_string(),
                found.chain_id.to_string(),
            ),
            ("the market", self.market.to_string(), found.market.to_string()),
            (
                "the market's owner",
                self.owner.to_string(),
                found.owner.to_string(),
            ),
            ("the market's coin", self.coin.to_string(), found.coin.to_string()),
        ];
        for ((name, known), (_, found)) in self.contracts.named().into_iter().zip(found.contracts.named()) {
            parts.push((name, known.to_string(), found.to_string()));
        }
        match parts.into_iter().find(|(_, known, found)| known != found) {
            Some((what, expected, got)) => Err(DeploymentError::Another { what, expected, got }),
            None => Ok(()),
        }
    }
}

impl Contracts {
    /// Whether `node` can be asked about a deployment that is known: it is on its chain, and has come to block `known` of it.
    ///
    /// # Errors
    ///
    /// [`DeploymentError::AnotherChain`], [`DeploymentError::Lags`], and whatever keeps the node from answering.
    pub async fn can_tell(node: &Node, chain_id: u64, known: u64) -> Result<(), DeploymentError> {
        let name = || node.name().to_owned();
        let got = node.chain_id().await?;
        if got != chain_id {
            return Err(DeploymentError::AnotherChain {
                node: name(),
                expected: chain_id,
                got,
            });
        }
        let head = node.latest().await?.number.to::<u64>();
        match head < known {
            true => Err(DeploymentError::Lags {
                node: name(),
                head,
                known,
            }),
            false => Ok(()),
        }
    }

    /// Their names and addresses.
    pub fn named(&self) -> [(&'static str, Address); 5] {
        [
            ("XBRToken", self.token),
            ("XBRNetwork", self.network),
            ("XBRCatalog", self.catalog),
            ("XBRMarket", self.market),
            ("XBRChannel", self.channel),
        ]
    }

    /// Those whose events are read.
    pub(crate) fn logging(&self) -> [Address; 4] {
        [self.network, self.catalog, self.market, self.channel]
    }

    /// Looks at the deployment through `node`: that the contracts are there, and that one of its markets is that of
    /// `marketmaker`, and `expected` if it is given.
    ///
    /// # Errors
    ///
    /// [`DeploymentError`], with what was found and what would be right.
    pub async fn look_up(
        &self,
        node: &Node,
        marketmaker: Address,
        expected: Option<MarketId>,
    ) -> Result<Deployment, DeploymentError> {
        for (contract, address) in self.named() {
            if node.code(address).await?.is_empty() {
                return Err(DeploymentError::NoCode { contract, address });
            }
        }
        let [_, (_, network), _, (_, markets), _] = self.named();
        let chain_id = node.chain_id().await?;
        let verified = ask(node, "XBRNetwork", network, abi::network::verifyingChainCall {}).await?;
        let verified = u64::try_from(verified).unwrap_or(u64::MAX);
        if verified != chain_id {
            return Err(DeploymentError::WrongChain {
                network,
                expected: verified,
                got: chain_id,
            });
        }
        let contract = ask(
            node,
            "XBRNetwork",
            network,
            abi::network::verifyingContractCall {},
        )
        .await?;
        if from_alloy(contract) != network {
            return Err(DeploymentError::WrongContract {
                contract: "XBRNetwork",
                address: network,
                function: "verifyingContract",
                reason: format!("it names {contract} instead of itself"),
            });
        }
        let beneath = ask(node, "XBRChannel", self.channel, abi::channel::marketCall {}).await?;
        if from_alloy(beneath) != self.market {
            return Err(DeploymentError::WrongContract {
                contract: "XBRChannel",
                address: self.channel,
                function: "market",
                reason: format!(
                    "it settles for {beneath}, XBRMarket is configured as {}",
                    self.market
                ),
            });
        }
        let maker = to_alloy(marketmaker);
        let market = ask(
            node,
            "XBRMarket",
            markets,
            abi::market::marketsByMakerCall { maker },
        )
        .await?;
        if market.is_zero() {
            return Err(DeploymentError::NoMarket {
                contract: markets,
                marketmaker,
            });
        }
        let id = MarketId(market.0);
        if let Some(expected) = expected.filter(|expected| *expected != id) {
            return Err(DeploymentError::WrongMarket {
                marketmaker,
                expected,
                got: id,
            });
        }
        let owner = ask(
            node,
            "XBRMarket",
            markets,
            abi::market::getMarketOwnerCall { marketId: market },
        )
        .await?;
        let coin = ask(
            node,
            "XBRMarket",
            markets,
            abi::market::getMarketCoinCall { marketId: market },
        )
        .await?;
        let fee = ask(
            node,
            "XBRMarket",
            markets,
            abi::market::getMarketFeeCall { marketId: market },
        )
        .await?;
        let coin = from_alloy(coin);
        let supply = ask(node, "the market's coin", coin, abi::token::totalSupplyCall {}).await?;
        if supply.is_zero() || fee > supply {
            return Err(DeploymentError::WrongContract {
                contract: "XBRMarket",
                address: markets,
                function: "getMarketFee",
                reason: format!("a fee of {fee} out of {supply} units"),
            });
        }
        Ok(Deployment {
            contracts: *self,
            chain_id,
            network_id: node.network_id().await?,
            eula_hash: ask(node, "XBRNetwork", network, abi::network::eulaCall {}).await?,
            market: id,
            owner: from_alloy(owner),
            coin,
            coin_supply: Amount::from_limbs(supply.into_limbs()),
            fee: Amount::from_limbs(fee.into_limbs()),
        })
    }
}

/// Calls a function that changes nothing.
async fn ask<C: SolCall>(
    node: &Node,
    contract: &'static str,
    address: Address,
    call: C,
) -> Result<C::Return, DeploymentError> {
    let wrong = |reason: String| DeploymentError::WrongContract {
        contract,
        address,
        function: C::SIGNATURE,
        reason,
    };
    let output = match node.call(address, call.abi_encode()).await {
        Err(NodeError::Refused { message, .. }) => return Err(wrong(message)),
        other => other?,
    };
    C::abi_decode_returns_validate(&output).map_err(|error| wrong(error.to_string()))
}
