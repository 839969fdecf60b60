//! Places in the order of an index.

use bourse_market::registry::Consent;
use bourse_market::{BlockNumber, ConsentId, Nanos, Offer, OfferId};

/// A place among all offers, in the order of placing, or among all consents, in the order of their last changes: a page
/// ends there, and the next goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Nanoseconds or a block.
    pub(crate) at: u64,
    /// Which of the records of that moment.
    pub(crate) id: [u8; 16],
}

impl Place {
    /// Bytes of a place.
    pub const LEN: usize = 24;

    /// Where the offer `id` stands that was placed at `at`.
    pub fn of_offer(at: Nanos, id: OfferId) -> Self {
        Self { at: at.0, id: id.0 }
    }

    /// Where the consent `id` stands that was changed last in the block `at`.
    pub fn of_consent(at: BlockNumber, id: ConsentId) -> Self {
        Self { at: at.0, id: id.0 }
    }

    /// The first place at `at`.
    pub(crate) fn first_at(at: u64) -> Self {
        Self { at, id: [0; 16] }
    }

    /// As index keys end, and as clients get it.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (at, id) = bytes.split_at_mut(8);
        at.copy_from_slice(&self.at.to_be_bytes());
        id.copy_from_slice(&self.id);
        bytes
    }

    /// Reads what [`Place::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        Self {
            at: u64::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default()),
            id: bytes.last_chunk().copied().unwrap_or_default(),
        }
    }

    /// The next one; none behind the last.
    pub(super) fn successor(self) -> Option<Self> {
        match u128::from_be_bytes(self.id).checked_add(1) {
            Some(number) => Some(Self {
                id: number.to_be_bytes(),
                ..self
            }),
            None => self.at.checked_add(1).map(Self::first_at),
        }
    }

    /// The one that this is behind.
    pub(super) fn predecessor(self) -> Self {
        match u128::from_be_bytes(self.id).checked_sub(1) {
            Some(number) => Self {
                id: number.to_be_bytes(),
                ..self
            },
            None => Self {
                at: self.at.saturating_sub(1),
                id: [0xff; 16],
            },
        }
    }
}

impl From<&Offer> for Place {
    fn from(offer: &Offer) -> Self {
        Self::of_offer(offer.placed_at, offer.id)
    }
}

impl From<&Consent> for Place {
    fn from(consent: &Consent) -> Self {
        Self::of_consent(consent.updated, consent.id)
    }
}
