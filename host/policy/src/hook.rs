//! The three places where the host asks a policy.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A hook: an interface that a policy may export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Sets a price, or refuses to sell.
    Pricing,
    /// Admits offers and chooses what a buyer may see.
    Offers,
    /// Allows or refuses a buyer.
    Consent,
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 3] = [Self::Pricing, Self::Offers, Self::Consent];

    /// The word for it in configuration, records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pricing => "pricing",
            Self::Offers => "offers",
            Self::Consent => "consent",
        }
    }

    /// The interface a component exports for it.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Pricing => "bourse:policy/pricing@1.0.0",
            Self::Offers => "bourse:policy/offers@1.0.0",
            Self::Consent => "bourse:policy/consent@1.0.0",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
