//! The types of `bourse:policy@1.0.0` as they cross the border, borrowed where the host sends them.
//!
//! Written by hand instead of generated from the WIT: a request can then be lowered from borrowed strings, with two
//! copies fewer for each call. That they fit the WIT is checked against every component at load.

#![allow(
    unsafe_code,
    reason = "the derives implement wasmtime's unsafe ABI traits; nothing here is unsafe by hand"
)]

use crate::record::{GrantInput, Hex, OfferInput, PriceInput};
use bourse_market as market;
use wasmtime::component::{ComponentType, Lift, Lower};

/// A 256-bit amount in limbs, least significant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Amount {
    l0: u64,
    l1: u64,
    l2: u64,
    l3: u64,
}

impl From<market::Amount> for Amount {
    fn from(amount: market::Amount) -> Self {
        let [l0, l1, l2, l3] = *amount.limbs();
        Self { l0, l1, l2, l3 }
    }
}

impl From<Amount> for market::Amount {
    fn from(Amount { l0, l1, l2, l3 }: Amount) -> Self {
        Self::from_limbs([l0, l1, l2, l3])
    }
}

/// 16 bytes, as two big-endian halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Id {
    hi: u64,
    lo: u64,
}

impl From<[u8; 16]> for Id {
    fn from(bytes: [u8; 16]) -> Self {
        let whole = u128::from_be_bytes(bytes);
        Self {
            hi: (whole >> 64) as u64,
            lo: whole as u64,
        }
    }
}

impl From<Id> for [u8; 16] {
    fn from(id: Id) -> Self {
        ((u128::from(id.hi) << 64) | u128::from(id.lo)).to_be_bytes()
    }
}

/// 20 bytes, big-endian, 8 + 8 + 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Address {
    a: u64,
    b: u64,
    c: u32,
}

impl From<market::Address> for Address {
    fn from(address: market::Address) -> Self {
        let mut head = [0; 16];
        let mut tail = [0; 4];
        for (to, from) in head.iter_mut().chain(tail.iter_mut()).zip(address.0) {
            *to = from;
        }
        let Id { hi, lo } = Id::from(head);
        Self {
            a: hi,
            b: lo,
            c: u32::from_be_bytes(tail),
        }
    }
}

impl From<Address> for market::Address {
    fn from(Address { a, b, c }: Address) -> Self {
        let mut bytes = [0; 20];
        let parts = a
            .to_be_bytes()
            .into_iter()
            .chain(b.to_be_bytes())
            .chain(c.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        Self(bytes)
    }
}

/// Why a policy says no.
#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) text: String,
}

/// The procedure that asks.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Action {
    #[component(name = "place")]
    Place,
    #[component(name = "query")]
    Query,
    #[component(name = "quote")]
    Quote,
    #[component(name = "buy")]
    Buy,
}

impl From<crate::Action> for Action {
    fn from(action: crate::Action) -> Self {
        match action {
            crate::Action::Place => Self::Place,
            crate::Action::Query => Self::Query,
            crate::Action::Quote => Self::Quote,
            crate::Action::Buy => Self::Buy,
        }
    }
}

/// A key on offer.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Offer<'a> {
    pub(crate) key: Id,
    pub(crate) api: Id,
    pub(crate) catalog: Option<Id>,
    pub(crate) uri: &'a str,
    pub(crate) seller: Address,
    pub(crate) provider: Option<&'a str>,
    #[component(name = "placed-at")]
    pub(crate) placed_at: u64,
    #[component(name = "valid-from")]
    pub(crate) valid_from: u64,
    pub(crate) expires: Option<u64>,
    pub(crate) price: Option<Amount>,
    pub(crate) copies: Option<u32>,
    pub(crate) remaining: Option<u32>,
    pub(crate) categories: &'a [(&'a str, &'a str)],
}

impl<'a> Offer<'a> {
    /// An offer with its [`labels`].
    pub(crate) fn new(offer: &'a OfferInput, labels: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            key: offer.key.0.0.into(),
            api: offer.api.0.0.into(),
            catalog: offer.catalog.map(|catalog| catalog.0.0.into()),
            uri: &offer.uri,
            seller: offer.seller.0.into(),
            provider: offer.provider.as_deref(),
            placed_at: offer.placed_at.0,
            valid_from: offer.valid_from.0,
            expires: offer.expires.map(|expires| expires.0),
            price: offer.price.map(|price| price.0.into()),
            copies: offer.copies,
            remaining: offer.remaining,
            categories: labels,
        }
    }
}

/// The labels of an offer, borrowed: the border takes slices of pairs.
pub(crate) fn labels(offer: &OfferInput) -> Vec<(&str, &str)> {
    borrowed(&offer.categories)
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// What every hook is told.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Context<'a> {
    pub(crate) now: u64,
    pub(crate) market: Id,
    pub(crate) action: Action,
    pub(crate) buyer: Option<Address>,
    pub(crate) params: &'a str,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        now: market::Nanos,
        market: market::MarketId,
        action: crate::Action,
        buyer: Option<Hex<market::Address>>,
        params: &'a str,
    ) -> Self {
        Self {
            now: now.0,
            market: market.0.into(),
            action: action.into(),
            buyer: buyer.map(|buyer| buyer.0.into()),
            params,
        }
    }
}

/// `pricing.request`.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct PriceRequest<'a> {
    pub(crate) ctx: Context<'a>,
    pub(crate) offer: Offer<'a>,
    pub(crate) base: Option<Amount>,
    pub(crate) floor: Amount,
    pub(crate) cap: Amount,
    #[component(name = "max-valid-ms")]
    pub(crate) max_valid_ms: u32,
}

impl<'a> PriceRequest<'a> {
    pub(crate) fn new(input: &'a PriceInput, labels: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            ctx: Context::new(
                input.now,
                input.market.0,
                input.action,
                input.buyer,
                &input.params,
            ),
            offer: Offer::new(&input.offer, labels),
            base: input.base.map(|base| base.0.into()),
            floor: input.floor.0.into(),
            cap: input.cap.0.into(),
            max_valid_ms: input.max_valid_ms,
        }
    }
}

/// `pricing.price`.
#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Price {
    pub(crate) amount: Amount,
    #[component(name = "valid-ms")]
    pub(crate) valid_ms: u32,
}

/// `describe.description`.
#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    #[component(name = "params-schema")]
    pub(crate) params_schema: String,
}

/// `offers.verdict`.
#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Verdict {
    pub(crate) keep: Vec<u8>,
    pub(crate) order: Vec<u32>,
}

/// `consent.grant`.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Grant<'a> {
    pub(crate) member: Address,
    pub(crate) delegate: Address,
    #[component(name = "delegate-type")]
    pub(crate) delegate_type: u8,
    pub(crate) catalog: Id,
    #[component(name = "api-prefix")]
    pub(crate) api_prefix: &'a str,
    pub(crate) updated: u64,
    pub(crate) granted: bool,
    pub(crate) attributes: &'a [(&'a str, &'a str)],
}

/// The attributes of grants, borrowed.
pub(crate) struct Attributes<'a>(Vec<Vec<(&'a str, &'a str)>>);

impl<'a> Attributes<'a> {
    pub(crate) fn of(grants: &'a [GrantInput]) -> Self {
        Self(grants.iter().map(|grant| borrowed(&grant.attributes)).collect())
    }

    /// The grants with these, their own attributes.
    pub(crate) fn grants(&'a self, grants: &'a [GrantInput]) -> Vec<Grant<'a>> {
        grants
            .iter()
            .zip(&self.0)
            .map(|(grant, attributes)| Grant {
                member: grant.member.0.into(),
                delegate: grant.delegate.0.into(),
                delegate_type: grant.delegate_type,
                catalog: grant.catalog.0.0.into(),
                api_prefix: &grant.api_prefix,
                updated: grant.updated,
                granted: grant.granted,
                attributes,
            })
            .collect()
    }
}

/// `consent.request`.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct ConsentRequest<'a> {
    pub(crate) ctx: Context<'a>,
    pub(crate) offer: Option<Offer<'a>>,
    #[component(name = "buyer-grants")]
    pub(crate) buyer_grants: &'a [Grant<'a>],
    #[component(name = "seller-grants")]
    pub(crate) seller_grants: &'a [Grant<'a>],
}

/// `market.subject`.
#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Subject {
    #[component(name = "key")]
    Key(Id),
    #[component(name = "api")]
    Api(Id),
    #[component(name = "seller")]
    Seller(Address),
    #[component(name = "buyer")]
    Buyer(Address),
}

impl From<Subject> for market::Subject {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Key(id) => Self::Key(market::KeyId(id.into())),
            Subject::Api(id) => Self::Api(market::ApiId(id.into())),
            Subject::Seller(address) => Self::Seller(address.into()),
            Subject::Buyer(address) => Self::Buyer(address.into()),
        }
    }
}

/// `market.figures`.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Figures {
    sales: u64,
    volume: Amount,
    quotes: u64,
    #[component(name = "last-price")]
    last_price: Option<Amount>,
    #[component(name = "last-at")]
    last_at: Option<u64>,
}

impl From<market::Figures> for Figures {
    fn from(figures: market::Figures) -> Self {
        Self {
            sales: figures.sales,
            volume: figures.volume.into(),
            quotes: figures.quotes,
            last_price: figures.last_price.map(Into::into),
            last_at: figures.last_at.map(|at| at.0),
        }
    }
}

/// `log.level`.
#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "the derived lift makes a variant from its number")]
pub(crate) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
}

impl From<Level> for crate::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ids_cross_the_border_in_big_endian_order() {
        let bytes: [u8; 20] = core::array::from_fn(|at| at as u8 + 1);
        let wire = Address::from(market::Address(bytes));
        assert_eq!(
            (wire.a, wire.b, wire.c),
            (0x0102_0304_0506_0708, 0x090a_0b0c_0d0e_0f10, 0x1112_1314)
        );
        assert_eq!(market::Address::from(wire).0, bytes);
        let id: [u8; 16] = core::array::from_fn(|at| at as u8 + 1);
        assert_eq!(Id::from(id).hi, 0x0102_0304_0506_0708);
        assert_eq!(<[u8; 16]>::from(Id::from(id)), id);
    }
}
