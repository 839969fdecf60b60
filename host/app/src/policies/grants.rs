//! What is on record about the parties of a deal, for the policies that decide about consent.

use super::{Inquiry, Policies};
use crate::wire::{fault, uri};
use bourse_market::registry::Consent;
use bourse_market::{Address, CatalogId, MarketId, Offer, View};
use bourse_policy::ConsentGrant;
use bourse_store::{ConsentQuery, Reader, StoreError};
use bourse_wamp::WampError;

/// Consents about one party that a policy gets. A member says three things about a delegate and a catalog at most.
const MAX_GRANTS: usize = 16;

/// Bytes of their texts: three of any length fit. Each decision records them, and is kept with its purchase.
const MAX_BYTES: usize = 12 * 1024;

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
        let about = |ledger: &Reader<'_>, delegate: Option<Address>| match delegate {
            Some(delegate) => grants(ledger, self.market, delegate, catalog),
            None => Ok(Vec::new()),
        };
        self.ground
            .read(|ledger| {
                Ok(Recorded {
                    buyer: about(ledger, inquiry.buyer)?,
                    seller: about(ledger, offer.map(|offer| offer.seller))?,
                })
            })
            .map_err(|why| {
                tracing::error!(why, "the consents on record could not be read");
                fault(uri::RUNTIME, "the consents on record could not be read")
            })
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
) -> Result<Vec<ConsentGrant>, StoreError> {
    let query = ConsentQuery {
        members: ledger.binding(&delegate)?.map(|binding| vec![binding.actor]),
        delegates: Some(vec![delegate]),
        markets: Some(vec![market]),
        catalogs: catalog.map(|catalog| vec![catalog]),
        ..ConsentQuery::all()
    };
    let found = ledger.query_consents(&query, None, MAX_GRANTS)?.found;
    let mut bytes = 0usize;
    let fitting = found.iter().map(grant).take_while(|grant| {
        bytes = bytes.saturating_add(size(grant));
        bytes <= MAX_BYTES
    });
    Ok(fitting.collect())
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
