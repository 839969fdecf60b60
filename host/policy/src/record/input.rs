//! What a hook was asked, and under which limits.

use super::text::{Bytes, Hex, Units};
use crate::batch::Batch;
use crate::grants::{Grants, Import};
use crate::hook::Hook;
use crate::limits::Limits;
use crate::request::{Action, AdmitRequest, ConsentGrant, ConsentRequest, FilterRequest, PriceRequest};
use bourse_market::{Address, ApiId, CatalogId, KeyId, MarketId, Nanos, Offer, OfferId, Price};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a hook was asked. New kinds come last: the compact form counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// `pricing.quote`.
    Pricing(Box<PriceInput>),
    /// `offers.admit`.
    Admit(Box<AdmitInput>),
    /// `offers.filter`.
    Filter(Box<FilterInput>),
    /// `consent.authorize`.
    Consent(Box<ConsentInput>),
}

/// The same look at each kind of input.
macro_rules! common {
    ($($(#[$doc:meta])* $name:ident: $ty:ty = $input:ident => $value:expr;)*) => {
        impl Input {
            $($(#[$doc])*
            pub fn $name(&self) -> $ty {
                match self {
                    Self::Pricing($input) => $value,
                    Self::Admit($input) => $value,
                    Self::Filter($input) => $value,
                    Self::Consent($input) => $value,
                }
            })*
        }
    };
}

common! {
    /// The host's clock when the request was decoded.
    now: Nanos = input => input.now;
    /// The market.
    market: MarketId = input => input.market.0;
    /// In which procedure.
    action: Action = input => input.action;
    /// The buyer's delegate, where proven.
    buyer: Option<Address> = input => input.buyer.map(|buyer| buyer.0);
    /// The parameters.
    params: &str = input => &input.params;
    /// What the call might use up.
    limits: Limits = input => input.limits.into();
    /// The grants that were recorded.
    grants: Grants = input => grants(&input.grants);
}

impl Input {
    /// The hook it was for.
    pub const fn hook(&self) -> Hook {
        match self {
            Self::Pricing(_) => Hook::Pricing,
            Self::Admit(_) | Self::Filter(_) => Hook::Offers,
            Self::Consent(_) => Hook::Consent,
        }
    }
}

/// What `pricing.quote` was asked, and under which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceInput {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: Hex<MarketId>,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate, where proven.
    pub buyer: Option<Hex<Address>>,
    /// Parameters: a JSON object.
    pub params: String,
    /// The offer.
    pub offer: OfferInput,
    /// The fixed price the policy works over.
    pub base: Option<Units>,
    /// The price is at least this.
    pub floor: Units,
    /// The price is at most this.
    pub cap: Units,
    /// The price holds for at most this long.
    pub max_valid_ms: u32,
    /// What the call might use up.
    pub limits: RecordedLimits,
    /// Words of the imports that were granted.
    pub grants: Vec<Cow<'static, str>>,
}

/// What `offers.admit` was asked, and under which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitInput {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: Hex<MarketId>,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate, where proven.
    pub buyer: Option<Hex<Address>>,
    /// Parameters: a JSON object.
    pub params: String,
    /// The offer.
    pub offer: OfferInput,
    /// What the call might use up.
    pub limits: RecordedLimits,
    /// Words of the imports that were granted.
    pub grants: Vec<Cow<'static, str>>,
}

/// What `offers.filter` was asked, and under which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterInput {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: Hex<MarketId>,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate, where proven.
    pub buyer: Option<Hex<Address>>,
    /// Parameters: a JSON object.
    pub params: String,
    /// Version of the packed batch.
    pub layout: u16,
    /// Offers in the batch.
    pub count: u32,
    /// The packed batch.
    pub batch: Bytes,
    /// What the call might use up.
    pub limits: RecordedLimits,
    /// Words of the imports that were granted.
    pub grants: Vec<Cow<'static, str>>,
}

/// What `consent.authorize` was asked, and under which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentInput {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: Hex<MarketId>,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate, where proven.
    pub buyer: Option<Hex<Address>>,
    /// Parameters: a JSON object.
    pub params: String,
    /// The offer, if the question is about one.
    pub offer: Option<OfferInput>,
    /// What was recorded about the buyer.
    pub buyer_grants: Vec<GrantInput>,
    /// What was recorded about the seller.
    pub seller_grants: Vec<GrantInput>,
    /// What the call might use up.
    pub limits: RecordedLimits,
    /// Words of the imports that were granted.
    pub grants: Vec<Cow<'static, str>>,
}

/// The limits of a recorded call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLimits {
    /// Fuel.
    pub fuel: u64,
    /// Wall-clock backstop in milliseconds.
    pub deadline_ms: u64,
    /// Bytes of linear memory.
    pub memory: u64,
}

impl From<&Limits> for RecordedLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            fuel: limits.fuel,
            deadline_ms: u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX),
            memory: limits.memory as u64,
        }
    }
}

impl From<RecordedLimits> for Limits {
    fn from(limits: RecordedLimits) -> Self {
        Self {
            fuel: limits.fuel,
            deadline: Duration::from_millis(limits.deadline_ms),
            memory: usize::try_from(limits.memory).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }
}

/// The offer as a policy sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferInput {
    /// The host's identifier; policies do not see it.
    pub id: Hex<OfferId>,
    /// The key on offer.
    pub key: Hex<KeyId>,
    /// Its API.
    pub api: Hex<ApiId>,
    /// The API's catalog.
    pub catalog: Option<Hex<CatalogId>>,
    /// Where the data is published.
    pub uri: String,
    /// The seller's delegate.
    pub seller: Hex<Address>,
    /// The seller's provider id.
    pub provider: Option<String>,
    /// When it was placed.
    pub placed_at: Nanos,
    /// Sold from then on.
    pub valid_from: Nanos,
    /// Sold until then.
    pub expires: Option<Nanos>,
    /// Its own price, none if dynamic.
    pub price: Option<Units>,
    /// How often it may be sold.
    pub copies: Option<u32>,
    /// Copies left.
    pub remaining: Option<u32>,
    /// Labels, sorted by key.
    pub categories: Vec<(String, String)>,
}

impl From<&Offer> for OfferInput {
    fn from(offer: &Offer) -> Self {
        Self {
            id: Hex(offer.id),
            key: Hex(offer.key),
            api: Hex(offer.api),
            catalog: offer.catalog.map(Hex),
            uri: offer.uri.clone(),
            seller: Hex(offer.seller),
            provider: offer.provider_id.clone(),
            placed_at: offer.placed_at,
            valid_from: offer.valid_from.unwrap_or(offer.placed_at),
            expires: offer.expires,
            price: match offer.price {
                Price::Fixed(amount) => Some(Units(amount)),
                Price::Dynamic => None,
            },
            copies: offer.copies,
            remaining: offer.remaining,
            categories: offer
                .categories
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        }
    }
}

/// A recorded consent as a policy sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantInput {
    /// Who consents.
    pub member: Hex<Address>,
    /// Who may act for it.
    pub delegate: Hex<Address>,
    /// 1 provider, 2 consumer, 3 both.
    pub delegate_type: u8,
    /// The catalog it covers.
    pub catalog: Hex<CatalogId>,
    /// The APIs of the catalog that it covers, by the start of their name.
    pub api_prefix: String,
    /// Block number of its last change; 0 without a chain.
    pub updated: u64,
    /// Given, or withdrawn.
    pub granted: bool,
    /// What else was recorded with it.
    pub attributes: Vec<(String, String)>,
}

impl From<&ConsentGrant> for GrantInput {
    fn from(grant: &ConsentGrant) -> Self {
        Self {
            member: Hex(grant.member),
            delegate: Hex(grant.delegate),
            delegate_type: grant.delegate_type,
            catalog: Hex(grant.catalog),
            api_prefix: grant.api_prefix.clone(),
            updated: grant.updated,
            granted: grant.granted,
            attributes: grant.attributes.clone(),
        }
    }
}

impl PriceInput {
    pub(crate) fn new(request: &PriceRequest<'_>, grants: Grants, limits: &Limits) -> Self {
        Self {
            now: request.now,
            market: Hex(request.market),
            action: request.action,
            buyer: request.buyer.map(Hex),
            params: request.params.to_owned(),
            offer: request.offer.into(),
            base: request.base.map(Units),
            floor: Units(request.floor),
            cap: Units(request.cap),
            max_valid_ms: request.max_valid_ms,
            limits: limits.into(),
            grants: words(grants),
        }
    }
}

impl AdmitInput {
    pub(crate) fn new(request: &AdmitRequest<'_>, grants: Grants, limits: &Limits) -> Self {
        Self {
            now: request.now,
            market: Hex(request.market),
            action: request.action,
            buyer: request.buyer.map(Hex),
            params: request.params.to_owned(),
            offer: request.offer.into(),
            limits: limits.into(),
            grants: words(grants),
        }
    }
}

impl FilterInput {
    pub(crate) fn new(request: &FilterRequest<'_>, grants: Grants, limits: &Limits) -> Self {
        Self {
            now: request.now,
            market: Hex(request.market),
            action: request.action,
            buyer: request.buyer.map(Hex),
            params: request.params.to_owned(),
            layout: Batch::LAYOUT,
            count: request.batch.count(),
            batch: request.batch.shared(),
            limits: limits.into(),
            grants: words(grants),
        }
    }
}

impl ConsentInput {
    pub(crate) fn new(request: &ConsentRequest<'_>, grants: Grants, limits: &Limits) -> Self {
        Self {
            now: request.now,
            market: Hex(request.market),
            action: request.action,
            buyer: request.buyer.map(Hex),
            params: request.params.to_owned(),
            offer: request.offer.map(Into::into),
            buyer_grants: request.buyer_grants.iter().map(Into::into).collect(),
            seller_grants: request.seller_grants.iter().map(Into::into).collect(),
            limits: limits.into(),
            grants: words(grants),
        }
    }
}

/// The words for `grants`.
fn words(grants: Grants) -> Vec<Cow<'static, str>> {
    grants
        .imports()
        .map(|import| Cow::Borrowed(import.as_str()))
        .collect()
}

/// The grants that the words stand for.
fn grants(words: &[Cow<'static, str>]) -> Grants {
    words
        .iter()
        .filter_map(|word| Import::from_word(word))
        .fold(Grants::NONE, Grants::with)
}
