//! What the hooks are asked, and what the pricing hook answers.

use crate::{Address, Amount, CatalogId, MarketId, Nanos, Offer};

/// In which procedure of the market maker a policy is asked.
#[derive(Debug, Clone, PartialEq, Eq, Copy, Hash, Default)]
pub enum Action {
    /// A seller places an offer.
    Place,
    /// A buyer lists offers.
    Query,
    /// A buyer asks for a price.
    #[default]
    Quote,
    /// A buyer pays.
    Buy,
}

/// Everything a price may depend on, besides what the host answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceRequest<P> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// What the price is asked for: [`Action::Quote`], or [`Action::Buy`] for a buyer without a live quote.
    pub action: Action,
    /// The buyer's delegate; none until it has proven who it is.
    pub buyer: Option<Address>,
    /// The rule's parameters, overlaid by the seller's.
    pub params: P,
    /// What is to be priced.
    pub offer: Offer,
    /// The fixed price, where the rule reprices fixed-price offers; none for a dynamic offer.
    pub base: Option<Amount>,
    /// The least the answer can be: the highest of the floors in force.
    pub floor: Amount,
    /// The most the answer can be: the lowest of the caps in force.
    pub cap: Amount,
    /// The longest a price may hold, in milliseconds.
    pub max_valid_ms: u32,
}

impl<P> PriceRequest<P> {
    /// `amount` moved between the floor and the cap, which never cross: the host answers such a request itself.
    pub fn bound(&self, amount: Amount) -> Amount {
        amount.max(self.floor).min(self.cap)
    }

    /// Where a price starts from, within the bounds: the fixed price of the offer; else `param`, what the parameters
    /// say; else `default`.
    ///
    /// A start below the floor is lifted to it, so that the price moves from there at once instead of hiding under it.
    pub fn base_price(&self, param: Option<Amount>, default: Amount) -> Amount {
        self.bound(self.base.or(param).unwrap_or(default))
    }

    /// How long the key has been for sale, in milliseconds.
    pub fn age_ms(&self) -> u64 {
        // A u64 of nanoseconds cannot have more than a u64 of milliseconds.
        u64::try_from(self.now.since(self.offer.for_sale_since()).as_millis()).unwrap_or(u64::MAX)
    }

    /// `amount`, bounded, holding for `valid_ms` milliseconds or as long as the host allows. A price that holds for no
    /// time is none, so it is one millisecond at least.
    pub fn price(&self, amount: Amount, valid_ms: u32) -> Price {
        Price {
            amount: self.bound(amount),
            valid_ms: valid_ms.min(self.max_valid_ms).max(1),
        }
    }
}

/// A price and how long it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// What the key costs.
    pub amount: Amount,
    /// For how many milliseconds the buyer may buy at it.
    pub valid_ms: u32,
}

/// Whether an offer may be placed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdmitRequest<P> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// [`Action::Place`].
    pub action: Action,
    /// None: a seller asks.
    pub buyer: Option<Address>,
    /// The rule's parameters.
    pub params: P,
    /// What the seller wants to place.
    pub offer: Offer,
}

/// Which offers a buyer may see. The offers themselves come beside it, as a [`Batch`](crate::Batch).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterRequest<P> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// [`Action::Query`] for a page; [`Action::Quote`] and [`Action::Buy`] for the one key that is asked for.
    pub action: Action,
    /// The buyer's delegate; none until it has proven who it is.
    pub buyer: Option<Address>,
    /// The rule's parameters.
    pub params: P,
}

/// Whether two parties may deal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentRequest<P> {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: MarketId,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate; none until it has proven who it is, and for [`Action::Place`].
    pub buyer: Option<Address>,
    /// The rule's parameters.
    pub params: P,
    /// The offer in question; none for [`Action::Query`], which asks once per query and not per row.
    pub offer: Option<Offer>,
    /// What was recorded about the buyer.
    pub buyer_grants: Vec<ConsentGrant>,
    /// What was recorded about the seller.
    pub seller_grants: Vec<ConsentGrant>,
}

/// A consent that a member recorded for a delegate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentGrant {
    /// Who consents.
    pub member: Address,
    /// Who may act for it.
    pub delegate: Address,
    /// As what.
    pub delegate_type: DelegateType,
    /// The catalog it covers.
    pub catalog: CatalogId,
    /// The APIs of the catalog that it covers, by the start of their name.
    pub api_prefix: String,
    /// Block number of its last change; 0 without a chain.
    pub updated: u64,
    /// Given, or withdrawn.
    pub granted: bool,
    /// What else was recorded with it, as (name, value).
    pub attributes: Vec<(String, String)>,
}

impl ConsentGrant {
    /// The attribute under `name`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// As what a delegate may act for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DelegateType {
    /// It sells.
    #[default]
    Provider,
    /// It buys.
    Consumer,
    /// It sells and buys.
    Both,
    /// A number that has no meaning yet; it allows nothing.
    Other(u8),
}

impl DelegateType {
    /// From the number that contracts use: 1 provider, 2 consumer, 3 both.
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Provider,
            2 => Self::Consumer,
            3 => Self::Both,
            other => Self::Other(other),
        }
    }

    /// The number that contracts use.
    pub const fn number(self) -> u8 {
        match self {
            Self::Provider => 1,
            Self::Consumer => 2,
            Self::Both => 3,
            Self::Other(other) => other,
        }
    }

    /// Whether the delegate may sell.
    pub const fn sells(self) -> bool {
        matches!(self, Self::Provider | Self::Both)
    }

    /// Whether the delegate may buy.
    pub const fn buys(self) -> bool {
        matches!(self, Self::Consumer | Self::Both)
    }
}
