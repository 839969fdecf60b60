//! Catalogs and the APIs in them.

use crate::ids::{Address, ApiId, BlockNumber, CatalogId, Nanos, Signature, TransactionHash};
use serde::{Deserialize, Serialize};

/// A catalog of APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Its identifier.
    pub id: CatalogId,
    /// Block of its creation.
    pub created: BlockNumber,
    /// Block of the last change.
    pub updated: BlockNumber,
    /// When the ledger recorded it.
    pub at: Nanos,
    /// Its number among all catalogs.
    pub seq: u32,
    /// Who owns it.
    pub owner: Address,
    /// Its terms: an IPFS id, or empty.
    pub terms: String,
    /// What is in it: an IPFS id, or empty.
    pub meta: String,
    /// The transaction of the last change.
    pub transaction: Option<TransactionHash>,
    /// The owner's signature, where somebody else created it.
    pub signature: Option<Signature>,
}

/// An API of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// Its identifier.
    pub id: ApiId,
    /// The catalog it is in.
    pub catalog: CatalogId,
    /// Block of its publication, the last one if there were several.
    pub published: BlockNumber,
    /// When the ledger recorded it.
    pub at: Nanos,
    /// Its schema: an IPFS id, or empty.
    pub schema: String,
    /// More about it: an IPFS id, or empty.
    pub meta: String,
    /// The transaction that published it.
    pub transaction: Option<TransactionHash>,
    /// The owner's signature, where somebody else published it.
    pub signature: Option<Signature>,
}
