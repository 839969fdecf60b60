//! What a case asks, with everything it leaves out filled in.
//!
//! The defaults are those of the SDK's `bourse::testing`, so that a native test and a case ask the same.

use crate::case::Function;
use crate::error::CaseError;
use crate::text::{Id, Once, Tokens, When};
use bourse_market::{
    Address, Amount, ApiId, CatalogId, KeyId, MarketId, Nanos, Offer, OfferId, Placer, Price, PricingTerms,
    SessionId, Signature,
};
use bourse_policy::{Action, Batch, ConsentGrant};
use serde::{Deserialize, Deserializer};

/// When a question is asked: 2023-11-14T22:13:21Z.
const NOW: Nanos = Nanos(1_700_000_001_000_000_000);
/// The market, and so on: bytes that are easy to tell apart.
const MARKET: MarketId = MarketId([0x11; 16]);
const KEY: u128 = u128::from_be_bytes([0x22; 16]);
const API: ApiId = ApiId([0x33; 16]);
const SELLER: Address = Address([0x44; 20]);
const URI: &str = "io.crossbar.example";
/// Milliseconds for which a price may hold.
const MAX_VALID_MS: u32 = 30_000;
/// Labels of one offer.
const MAX_CATEGORIES: usize = 32;

/// `request` as a file has it: the fields of all hooks.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RequestFile {
    now: Option<When>,
    market: Option<Id<MarketId>>,
    action: Option<Action>,
    buyer: Option<Id<Address>>,
    // Absent is the default offer, null is none.
    #[serde(deserialize_with = "present")]
    offer: Option<Option<OfferFile>>,
    offers: Option<Vec<OfferFile>>,
    base: Option<Tokens>,
    floor: Option<Tokens>,
    cap: Option<Tokens>,
    max_valid_ms: Option<u32>,
    buyer_grants: Option<Vec<GrantFile>>,
    seller_grants: Option<Vec<GrantFile>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OfferFile {
    key: Option<Id<KeyId>>,
    api: Option<Id<ApiId>>,
    catalog: Option<Id<CatalogId>>,
    uri: Option<String>,
    seller: Option<Id<Address>>,
    provider: Option<String>,
    placed_at: Option<When>,
    valid_from: Option<When>,
    expires: Option<When>,
    price: Option<Tokens>,
    copies: Option<u32>,
    remaining: Option<u32>,
    categories: Once<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GrantFile {
    member: Option<Id<Address>>,
    delegate: Option<Id<Address>>,
    delegate_type: Option<u8>,
    catalog: Option<Id<CatalogId>>,
    api_prefix: String,
    updated: u64,
    granted: Option<bool>,
    attributes: Once<String>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<OfferFile>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What every hook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) now: Nanos,
    pub(crate) market: MarketId,
    pub(crate) action: Action,
    pub(crate) buyer: Option<Address>,
}

/// A question to one of the functions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Question {
    Pricing {
        context: Context,
        offer: Box<Offer>,
        base: Option<Amount>,
        floor: Amount,
        cap: Amount,
        max_valid_ms: u32,
    },
    Admit {
        context: Context,
        offer: Box<Offer>,
    },
    Filter {
        context: Context,
        offers: Vec<Offer>,
    },
    Consent {
        context: Context,
        offer: Option<Box<Offer>>,
        buyer_grants: Vec<ConsentGrant>,
        seller_grants: Vec<ConsentGrant>,
    },
}

impl Question {
    pub(crate) fn function(&self) -> Function {
        match self {
            Self::Pricing { .. } => Function::Pricing,
            Self::Admit { .. } => Function::Admit,
            Self::Filter { .. } => Function::Filter,
            Self::Consent { .. } => Function::Consent,
        }
    }

    pub(crate) fn new(text: &str, file: RequestFile, function: Function) -> Result<Self, CaseError> {
        fits(text, &file, function)?;
        let no_offer = matches!(file.offer, Some(None));
        let action = file.action.unwrap_or(match function {
            Function::Admit => Action::Place,
            Function::Filter => Action::Query,
            Function::Consent if no_offer => Action::Query,
            Function::Pricing | Function::Consent => Action::Quote,
        });
        let context = Context {
            now: file.now.map_or(NOW, |now| now.0),
            market: file.market.map_or(MARKET, |market| market.0),
            action,
            buyer: file.buyer.map(|buyer| buyer.0),
        };
        let one = |offer: Option<OfferFile>| {
            offer
                .unwrap_or_default()
                .offer(text, "request.offer", 0, context.now)
                .map(Box::new)
        };
        Ok(match function {
            Function::Pricing => Self::Pricing {
                offer: one(file.offer.flatten())?,
                base: file.base.map(|base| base.0),
                floor: file.floor.map_or(Amount::ZERO, |floor| floor.0),
                cap: file.cap.map_or(Amount::MAX, |cap| cap.0),
                max_valid_ms: file.max_valid_ms.unwrap_or(MAX_VALID_MS),
                context,
            },
            Function::Admit => Self::Admit {
                offer: one(file.offer.flatten())?,
                context,
            },
            Function::Filter => {
                let files = file.offers.unwrap_or_else(|| vec![OfferFile::default()]);
                let offers = files
                    .into_iter()
                    .enumerate()
                    .map(|(index, offer)| {
                        offer.offer(text, &format!("request.offers[{index}]"), index, context.now)
                    })
                    .collect::<Result<_, _>>()?;
                Self::Filter { context, offers }
            }
            Function::Consent => Self::Consent {
                offer: if no_offer {
                    None
                } else {
                    Some(one(file.offer.flatten())?)
                },
                buyer_grants: grants(file.buyer_grants, context.buyer),
                seller_grants: grants(file.seller_grants, Some(SELLER)),
                context,
            },
        })
    }
}

/// Whether the file has only fields that its function has.
fn fits(text: &str, file: &RequestFile, function: Function) -> Result<(), CaseError> {
    use Function::{Admit, Consent, Filter, Pricing};
    let fields: [(&str, bool, &[Function]); 8] = [
        ("offer", file.offer.is_some(), &[Pricing, Admit, Consent]),
        ("offers", file.offers.is_some(), &[Filter]),
        ("base", file.base.is_some(), &[Pricing]),
        ("floor", file.floor.is_some(), &[Pricing]),
        ("cap", file.cap.is_some(), &[Pricing]),
        ("max_valid_ms", file.max_valid_ms.is_some(), &[Pricing]),
        ("buyer_grants", file.buyer_grants.is_some(), &[Consent]),
        ("seller_grants", file.seller_grants.is_some(), &[Consent]),
    ];
    for (field, there, of) in fields {
        if there && !of.contains(&function) {
            let of: Vec<&str> = of.iter().map(|function| function.as_str()).collect();
            return Err(CaseError::at(
                text,
                &format!("request.{field}"),
                format!("no part of a question to `{function}`, but to {}", of.join(", ")),
            ));
        }
    }
    if matches!(file.offer, Some(None)) && function != Consent {
        return Err(CaseError::at(
            text,
            "request.offer",
            format!("null: `{function}` is always asked about an offer"),
        ));
    }
    let count = file.offers.as_ref().map_or(0, Vec::len);
    if count > Batch::MAX {
        return Err(CaseError::at(
            text,
            "request.offers",
            format!("{count} offers: expected at most {}", Batch::MAX),
        ));
    }
    Ok(())
}

impl OfferFile {
    /// The offer, the one at `index` of a list.
    fn offer(self, text: &str, path: &str, index: usize, now: Nanos) -> Result<Offer, CaseError> {
        let count = self.categories.0.len();
        if count > MAX_CATEGORIES {
            return Err(CaseError::at(
                text,
                &format!("{path}.categories"),
                format!("{count} labels: expected at most {MAX_CATEGORIES}"),
            ));
        }
        let placed_at = self.placed_at.map_or(now, |when| when.0);
        let key = KEY.wrapping_add(index as u128).to_be_bytes();
        Ok(Offer {
            id: OfferId(key),
            key: self.key.map_or(KeyId(key), |key| key.0),
            api: self.api.map_or(API, |api| api.0),
            catalog: self.catalog.map(|catalog| catalog.0),
            uri: self.uri.unwrap_or_else(|| URI.to_owned()),
            seller: self.seller.map_or(SELLER, |seller| seller.0),
            provider_id: self.provider,
            // Policies do not see who placed an offer.
            placer: Placer {
                session: SessionId(0),
                authid: None,
            },
            placed_at,
            valid_from: Some(self.valid_from.map_or(placed_at, |when| when.0)),
            expires: self.expires.map(|when| when.0),
            revoked: None,
            signature: Signature([0; 65]),
            signature_verified: false,
            claimed: false,
            unlisted: false,
            price: self.price.map_or(Price::Dynamic, |price| Price::Fixed(price.0)),
            pricing: PricingTerms::default(),
            copies: self.copies,
            remaining: self.remaining.or(self.copies),
            categories: self.categories.0,
        })
    }
}

/// Recorded consents; those of `party` unless they say another delegate.
fn grants(files: Option<Vec<GrantFile>>, party: Option<Address>) -> Vec<ConsentGrant> {
    let party = party.unwrap_or(Address([0x55; 20]));
    let grant = |file: GrantFile| ConsentGrant {
        member: file.member.map_or(Address([0x66; 20]), |member| member.0),
        delegate: file.delegate.map_or(party, |delegate| delegate.0),
        delegate_type: file.delegate_type.unwrap_or(3),
        catalog: file.catalog.map_or(CatalogId([0x77; 16]), |catalog| catalog.0),
        api_prefix: file.api_prefix,
        updated: file.updated,
        granted: file.granted.unwrap_or(true),
        attributes: file.attributes.0.into_iter().collect(),
    };
    files.unwrap_or_default().into_iter().map(grant).collect()
}
