//! What a policy sees of an offer.

use crate::{Address, Amount, ApiId, CatalogId, KeyId, Nanos};

/// A key for sale.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// The key that is sold.
    pub key: KeyId,
    /// What its data is about.
    pub api: ApiId,
    /// The catalog that lists the API, if the seller named one.
    pub catalog: Option<CatalogId>,
    /// The topic or procedure whose payloads the key decrypts.
    pub uri: String,
    /// The seller's delegate.
    pub seller: Address,
    /// The name under which the seller serves `sell` calls.
    pub provider: Option<String>,
    /// When the market maker accepted it.
    pub placed_at: Nanos,
    /// From when on it is for sale.
    pub valid_from: Nanos,
    /// Until when it is for sale; none for no end.
    pub expires: Option<Nanos>,
    /// The seller's fixed price; none for a price that a policy sets, zero for a free key.
    pub price: Option<Amount>,
    /// How often it may be sold; none for no limit.
    pub copies: Option<u32>,
    /// How often it may still be sold, with `copies`.
    pub remaining: Option<u32>,
    /// Labels, sorted by their names, at most 32.
    pub categories: Vec<(String, String)>,
}

impl Offer {
    /// The label under `name`.
    pub fn category(&self, name: &str) -> Option<&str> {
        self.categories
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// When it could first be bought: placed, and valid.
    pub fn for_sale_since(&self) -> Nanos {
        self.placed_at.max(self.valid_from)
    }
}
