//! Putting the XBR contracts on a chain, as their authors did: for developers and tests.

use crate::address::{from_alloy, to_alloy};
use crate::contracts::{ArtifactError, Artifacts};
use crate::sender::{SendError, Sender};
use crate::settlement::Contracts;
use bourse_market::Address;

/// Why the contracts were not deployed, or not all of them.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// There is no code.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The transaction that makes a contract failed.
    #[error("{contract} could not be deployed: {error}")]
    Send {
        /// Which.
        contract: &'static str,
        /// Why not.
        error: SendError,
    },
}

/// Deploys the contracts in the order in which each knows those before it. All that the token has belongs to `sender`
/// then, and so does the network: it is the organisation that receives the contributions.
///
/// Seven transactions, one after the other: from a sender that never sent any, each contract has the same address on every
/// chain.
///
/// # Errors
///
/// [`DeployError`]. Those deployed before it stay where they are, and nothing refers to them.
pub async fn deploy(artifacts: &Artifacts, sender: &Sender) -> Result<Contracts, DeployError> {
    let types = make(artifacts, sender, "XBRTypes", None, &[]).await?;
    let linked = Some(types);
    let token = make(artifacts, sender, "XBRToken", linked, &[]).await?;
    let network = make(
        artifacts,
        sender,
        "XBRNetwork",
        linked,
        &[token, sender.address()],
    )
    .await?;
    // No market needs it. It keeps its place so that the others get theirs.
    make(artifacts, sender, "XBRDomain", linked, &[network]).await?;
    let catalog = make(artifacts, sender, "XBRCatalog", linked, &[network]).await?;
    let market = make(artifacts, sender, "XBRMarket", linked, &[network, catalog]).await?;
    let channel = make(artifacts, sender, "XBRChannel", linked, &[market]).await?;
    Ok(Contracts {
        token,
        network,
        catalog,
        market,
        channel,
    })
}

impl Contracts {
    /// Where [`deploy`] puts the contracts if `sender` never sent anything before.
    pub fn first_of(sender: Address) -> Self {
        let nth = |nonce: u64| from_alloy(to_alloy(sender).create(nonce));
        // The first is the library, and the fourth the one that no market needs.
        Self {
            token: nth(1),
            network: nth(2),
            catalog: nth(4),
            market: nth(5),
            channel: nth(6),
        }
    }
}

async fn make(
    artifacts: &Artifacts,
    sender: &Sender,
    contract: &'static str,
    library: Option<Address>,
    arguments: &[Address],
) -> Result<Address, DeployError> {
    let code = artifacts.creation(contract, library, arguments)?;
    sender
        .create(code)
        .await
        .map_err(|error| DeployError::Send { contract, error })
}
