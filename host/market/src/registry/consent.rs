//! What members consented to.

use super::{ActorType, within};
use crate::Refusal;
use crate::ids::{Address, BlockNumber, CatalogId, ConsentId, MarketId, Nanos, Signature, TransactionHash};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a consent is about: one record for each, the last word on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConsentKey {
    /// The catalog of APIs it covers.
    pub catalog: CatalogId,
    /// Who consents.
    pub member: Address,
    /// Who may act for the member.
    pub delegate: Address,
    /// As what.
    pub delegate_type: ActorType,
    /// The market it holds in.
    pub market: MarketId,
}

/// What is recorded with a consent and under no signature: for people to read and for policies to look at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attributes {
    /// A name for it; empty for none.
    pub title: String,
    /// What it is for; empty for none.
    pub description: String,
    /// Words to find it by, sorted.
    pub tags: Vec<String>,
    /// Anything else, by name.
    pub labels: BTreeMap<String, String>,
}

impl Attributes {
    /// Bytes of a title.
    pub const MAX_TITLE: usize = 128;
    /// Bytes of a description.
    pub const MAX_DESCRIPTION: usize = 1024;
    /// Tags of one consent: each is an entry of an index.
    pub const MAX_TAGS: usize = 16;
    /// Bytes of a tag.
    pub const MAX_TAG: usize = 64;
    /// Labels of one consent.
    pub const MAX_LABELS: usize = 8;
    /// Bytes of a label's name.
    pub const MAX_LABEL_NAME: usize = 64;
    /// Bytes of a label's value.
    pub const MAX_LABEL: usize = 128;

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), Refusal> {
        within("title", self.title.len(), Self::MAX_TITLE, "bytes")?;
        within(
            "description",
            self.description.len(),
            Self::MAX_DESCRIPTION,
            "bytes",
        )?;
        within("tags", self.tags.len(), Self::MAX_TAGS, "of them")?;
        within("labels", self.labels.len(), Self::MAX_LABELS, "of them")?;
        for tag in &self.tags {
            within("a tag", tag.len(), Self::MAX_TAG, "bytes")?;
        }
        for (name, value) in &self.labels {
            within("the name of a label", name.len(), Self::MAX_LABEL_NAME, "bytes")?;
            within("a label", value.len(), Self::MAX_LABEL, "bytes")?;
        }
        Ok(())
    }
}

/// A consent as it stands: given or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Its identifier: the first half of the Keccak hash of its key.
    pub id: ConsentId,
    /// What it is about.
    pub key: ConsentKey,
    /// Block of the last change.
    pub updated: BlockNumber,
    /// The block its member signed it at: what was signed earlier never takes its place.
    pub signed_at: BlockNumber,
    /// When the ledger recorded it.
    pub at: Nanos,
    /// Given, or withdrawn. A withdrawn one stays on record.
    pub granted: bool,
    /// The URIs it covers begin so; empty for all.
    pub service_prefix: String,
    /// What was recorded with it.
    pub attributes: Attributes,
    /// The transaction of the last change.
    pub transaction: Option<TransactionHash>,
    /// The member's signature.
    pub signature: Option<Signature>,
    /// Whether the chain says so too. Without a chain always.
    pub synced: bool,
}

impl Consent {
    /// Bytes of a service prefix: as much as the URI of an offer may have.
    pub const MAX_SERVICE_PREFIX: usize = 1024;

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let prefix = self.service_prefix.len();
        within("service_prefix", prefix, Self::MAX_SERVICE_PREFIX, "bytes")?;
        self.attributes.check()
    }
}

/// What a member says about a consent of its own. The signature is already recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRequest {
    /// The consent as it is to stand.
    pub consent: Consent,
    /// Whom its signature recovers to.
    pub signer: Address,
    /// The caller is logged in as this member, if it is logged in as one.
    pub login: Option<Address>,
}
