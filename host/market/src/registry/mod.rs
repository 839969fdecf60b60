//! The registry of the network: who its members are, which markets, catalogs and APIs there are, and what members
//! consented to.
//!
//! What lives here: the records, their bounds, and [`Registration`], one of them with the block that says so. With a
//! chain its events are where they come from; without one, members' own signed statements.
//!
//! What never does: money. Nothing here opens, moves or closes a channel.

mod catalog;
mod consent;
mod member;
mod place;

pub use catalog::{Api, Catalog};
pub use consent::{Attributes, Consent, ConsentKey, ConsentRequest};
pub use member::{Actor, ActorKey, ActorType, Member, MemberLevel};
pub use place::Market;

use crate::Refusal;
use crate::ids::{Address, ApiId, BlockNumber, CatalogId, MarketId};
use serde::{Deserialize, Serialize};

/// Bytes of a text that names something elsewhere: terms, a profile, a schema. They are hashes of 46 bytes, or short
/// addresses.
pub const MAX_REFERENCE: usize = 256;

/// One record of the registry, as of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registration {
    /// A member of the network.
    Member(Member),
    /// A market.
    Market(Market),
    /// A member's part in a market.
    Actor(Actor),
    /// A catalog of APIs.
    Catalog(Catalog),
    /// An API of a catalog.
    Api(Api),
    /// What a member consented to.
    Consent(Consent),
}

/// What a record of the registry is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RegistrationKey {
    /// A member's address.
    Member(Address),
    /// A market.
    Market(MarketId),
    /// A member's part in a market.
    Actor(ActorKey),
    /// A catalog.
    Catalog(CatalogId),
    /// An API.
    Api(ApiId),
    /// What a consent is about.
    Consent(ConsentKey),
}

impl Registration {
    /// What it is found by.
    pub fn key(&self) -> RegistrationKey {
        match self {
            Self::Member(member) => RegistrationKey::Member(member.address),
            Self::Market(market) => RegistrationKey::Market(market.id),
            Self::Actor(actor) => RegistrationKey::Actor(actor.key),
            Self::Catalog(catalog) => RegistrationKey::Catalog(catalog.id),
            Self::Api(api) => RegistrationKey::Api(api.id),
            Self::Consent(consent) => RegistrationKey::Consent(consent.key),
        }
    }

    /// The block of its last change.
    pub fn block(&self) -> BlockNumber {
        match self {
            Self::Member(member) => member.updated,
            Self::Market(market) => market.updated,
            Self::Actor(actor) => actor.updated,
            Self::Catalog(catalog) => catalog.updated,
            Self::Api(api) => api.published,
            Self::Consent(consent) => consent.updated,
        }
    }

    /// Checks the length of every text and list.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLong`], naming the text or list.
    pub fn check(&self) -> Result<(), Refusal> {
        let texts: &[(&'static str, &str)] = match self {
            Self::Member(member) => &[("eula", &member.eula), ("profile", &member.profile)],
            Self::Market(market) => &[("terms", &market.terms), ("meta", &market.meta)],
            Self::Actor(actor) => &[("meta", &actor.meta)],
            Self::Catalog(catalog) => &[("terms", &catalog.terms), ("meta", &catalog.meta)],
            Self::Api(api) => &[("schema", &api.schema), ("meta", &api.meta)],
            Self::Consent(consent) => return consent.check(),
        };
        texts
            .iter()
            .try_for_each(|(what, text)| within(what, text.len(), MAX_REFERENCE, "bytes"))
    }
}

/// Refuses what is longer than it may be.
pub(crate) fn within(
    what: &'static str,
    length: usize,
    most: usize,
    unit: &'static str,
) -> Result<(), Refusal> {
    if length <= most {
        return Ok(());
    }
    Err(Refusal::TooLong {
        what,
        length,
        most,
        unit,
    })
}
