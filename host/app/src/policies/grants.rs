//! What is on record about the parties of a deal, for the policies that decide about consent.

use super::{Inquiry, Policies};
use crate::wire::{fault, uri};
use bourse_market::registry::Consent;
use bourse_market::{Address, CatalogId, MarketId, Offer, View};
use bourse_policy::ConsentGrant;
use bourse_store::{ConsentQuery, Reader, StoreError};
use bourse_wamp::WampError;

/// Consents about one party that a policy gets. A member says three things about a delegate and a catalog at most. With
/// more it is not asked: what it cannot be shown it cannot judge, and the one left out may be the one that says no.
const MAX_GRANTS: usize = 16;

/// Bytes of their texts: three of any length fit. Each decision records them, and is kept with its purchase.
const MAX_BYTES: usize = 12 * 1024;

/// So many are counted where there are too many, for the error to tell.
const MAX_COUNTED: usize = 256;

/// Pages of a search: one comes back short where a member said very much about others.
const MAX_PAGES: usize = 8;

/// The consents about both parties, those withdrawn included.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) buyer: Vec<ConsentGrant>,
    pub(super) seller: Vec<ConsentGrant>,
}

impl Policies {
    /// What is on record about the buyer, and about the seller where there is an offer. Where that cannot be read, the
    /// request must not go on: an unread refusal would count as none.
    pub(super) fn recorded(&self, inquiry: &Inquiry, offer: Option<&Offer>) -> Result<Recorded, WampError> {
        let catalog = offer.and_then(|offer| offer.catalog);
        let about = |delegate: Option<Address>| match delegate {
            Some(delegate) => self
                .ground
                .read(|ledger| grants(ledger, self.market, delegate, catalog))
                .map_err(|why| {
                    tracing::error!(why, "the consents on record could not be read");
                    fault(uri::RUNTIME, "the consents on record could not be read")
                })?
                .map_err(|many| fault(uri::POLICY_FAILED, many.to_string())),
            None => Ok(Vec::new()),
        };
        Ok(Recorded {
            buyer: about(inquiry.buyer)?,
            seller: about(offer.map(|offer| offer.seller))?,
        })
    }
}

/// More on record about a delegate than a policy can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum TooMuch {
    #[error(
        "{}{count} consents are on record about delegate {delegate}, withdrawn ones too, and a policy that decides about \
         consent is shown {MAX_GRANTS} at most: it is not asked{}",
        if *.all { "" } else { "at least " },
        remedy(*.bound)
    )]
    Records {
        delegate: Address,
        count: usize,
        /// There are no more.
        all: bool,
        /// The delegate belongs to somebody, whose word alone counts.
        bound: bool,
    },
    #[error(
        "the {count} consents on record about delegate {delegate} have {bytes} bytes of texts, and a policy that decides \
         about consent is shown {MAX_BYTES} at most: it is not asked; say them again with shorter ones"
    )]
    Bytes {
        delegate: Address,
        count: usize,
        bytes: usize,
    },
}

/// What helps the caller.
fn remedy(bound: bool) -> &'static str {
    match bound {
        true => "; an offer of a catalog needs those about that catalog alone",
        false => "; once its actor opens a channel that names it, the word of that actor alone counts",
    }
}

/// The consents for `delegate` in this market, of this catalog where the offer names one, the oldest first.
///
/// A delegate acts for the member it belongs to, so what that one says counts and nobody else's word: else any stranger
/// could say yes for it, or no. Before a delegate belongs to anybody, all are told.
fn grants(
    ledger: &Reader<'_>,
    market: MarketId,
    delegate: Address,
    catalog: Option<CatalogId>,
) -> Result<Result<Vec<ConsentGrant>, TooMuch>, StoreError> {
    let actor = ledger.binding(&delegate)?.map(|binding| binding.actor);
    let query = ConsentQuery {
        members: actor.map(|actor| vec![actor]),
        delegates: Some(vec![delegate]),
        markets: Some(vec![market]),
        catalogs: catalog.map(|catalog| vec![catalog]),
        ..ConsentQuery::all()
    };
    let (found, all) = find(ledger, &query, MAX_GRANTS + 1)?;
    if found.len() > MAX_GRANTS || !all {
        let (found, all) = find(ledger, &query, MAX_COUNTED)?;
        return Ok(Err(TooMuch::Records {
            delegate,
            count: found.len(),
            all,
            bound: actor.is_some(),
        }));
    }
    let told: Vec<ConsentGrant> = found.iter().map(grant).collect();
    let bytes = told.iter().map(size).fold(0, usize::saturating_add);
    match bytes > MAX_BYTES {
        false => Ok(Ok(told)),
        true => Ok(Err(TooMuch::Bytes {
            delegate,
            count: told.len(),
            bytes,
        })),
    }
}

/// The first `most` consents, the oldest first, and whether these are all.
fn find(ledger: &Reader<'_>, query: &ConsentQuery, most: usize) -> Result<(Vec<Consent>, bool), StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let page = ledger.query_consents(query, after, most.saturating_sub(found.len()))?;
        found.extend(page.found);
        after = page.next;
        if after.is_none() || found.len() >= most {
            break;
        }
    }
    Ok((found, after.is_none()))
}

/// A consent as policies see it. Its description is for people.
fn grant(consent: &Consent) -> ConsentGrant {
    let (key, attributes) = (&consent.key, &consent.attributes);
    let mut named = Vec::new();
    if !attributes.title.is_empty() {
        named.push(("title".to_owned(), attributes.title.clone()));
    }
    if !attributes.tags.is_empty() {
        named.push(("tags".to_owned(), attributes.tags.join(",")));
    }
    named.extend(attributes.labels.clone());
    ConsentGrant {
        member: key.member,
        delegate: key.delegate,
        delegate_type: key.delegate_type as u8,
        catalog: key.catalog,
        api_prefix: consent.service_prefix.clone(),
        // No block of a chain says so.
        updated: consent.transaction.map_or(0, |_| consent.updated.0),
        granted: consent.granted,
        attributes: named,
    }
}

fn size(grant: &ConsentGrant) -> usize {
    grant
        .attributes
        .iter()
        .fold(grant.api_prefix.len(), |size, (name, value)| {
            size.saturating_add(name.len()).saturating_add(value.len())
        })
}
