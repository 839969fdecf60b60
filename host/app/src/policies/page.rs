//! A page of offers: consent once for each rule, then the filters over what they cover.
//!
//! A rule about all offers of the API answers for the query: if it says no, or cannot say, the caller is told so, with
//! the reason. One about some of them answers for these: then they are not shown.

use super::ask::declined;
use super::rules::Prepared;
use super::{Inquiry, Policies};
use bourse_market::{ApiId, Offer};
use bourse_policy::{Batch, Decided, Imports, Revision};
use bourse_store::{OfferQuery, Page, Place};
use bourse_wamp::WampError;

/// Times the ledger is asked for more because filters left room on a page.
const ROUNDS: usize = 4;

impl Policies {
    /// At most `limit` offers that this buyer may see, behind `after`, read by `read` in the order of placing. Filters
    /// put in order what was read at once.
    pub(crate) fn page(
        &self,
        query: &OfferQuery,
        after: Option<Place>,
        limit: usize,
        inquiry: &Inquiry,
        read: impl Fn(&OfferQuery, Option<Place>, usize) -> Result<Page<Offer>, WampError>,
    ) -> Result<Page<Offer>, WampError> {
        for rule in &self.rules.load().consent {
            if rule.rule.covers_all_of(&query.api) {
                self.consent_to_page(rule, inquiry)?;
            }
        }
        let mut page = Page {
            found: Vec::new(),
            next: after,
        };
        for _ in 0..ROUNDS {
            let more = read(query, page.next, limit.saturating_sub(page.found.len()))?;
            page.next = more.next;
            let shown = self.shown(&query.api, more.found, inquiry)?;
            page.found.extend(shown);
            if page.next.is_none() || page.found.len() >= limit {
                break;
            }
        }
        Ok(page)
    }

    /// What of `offers` the buyer may see, in the order to show it.
    fn shown(&self, api: &ApiId, offers: Vec<Offer>, inquiry: &Inquiry) -> Result<Vec<Offer>, WampError> {
        let mut offers: Vec<Option<Offer>> = offers.into_iter().map(Some).collect();
        let rules = self.rules.load();
        for rule in &rules.consent {
            let places = covered(rule, &offers);
            let asked_for_all = rule.rule.covers_all_of(api);
            if !asked_for_all && !places.is_empty() && self.consent_to_page(rule, inquiry).is_err() {
                take(&mut offers, &places);
            }
        }
        for rule in &rules.offers {
            let places = covered(rule, &offers);
            if places.is_empty() {
                continue;
            }
            let mut covered = take(&mut offers, &places);
            let batch = Batch::of(&covered.iter().flatten().collect::<Vec<_>>());
            match self.filter_page(rule, inquiry, &batch) {
                Ok(indices) => {
                    for (place, index) in places.into_iter().zip(indices) {
                        if let (Some(place), Some(offer)) =
                            (offers.get_mut(place), covered.get_mut(index as usize))
                        {
                            *place = offer.take();
                        }
                    }
                }
                Err(error) if rule.rule.covers_all_of(api) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(offers.into_iter().flatten().collect())
    }

    fn consent_to_page(&self, rule: &Prepared, inquiry: &Inquiry) -> Result<(), WampError> {
        let recorded = self.recorded(inquiry, None)?;
        self.ask_of_page(rule, inquiry, |revision, imports| {
            let request = self.consent_request(rule, inquiry, None, &recorded);
            revision.authorize(&request, imports, rule.grants, &rule.limits)
        })
    }

    fn filter_page(&self, rule: &Prepared, inquiry: &Inquiry, batch: &Batch) -> Result<Vec<u32>, WampError> {
        let shown = self.ask_of_page(rule, inquiry, |revision, imports| {
            let request = self.filter_request(rule, inquiry, batch);
            revision.filter(&request, imports, rule.grants, &rule.limits)
        })?;
        Ok(shown.indices)
    }

    fn ask_of_page<T>(
        &self,
        rule: &Prepared,
        inquiry: &Inquiry,
        call: impl FnOnce(&Revision, &dyn Imports) -> Decided<T>,
    ) -> Result<T, WampError> {
        let entry = self.entry(&rule.rule.policy, rule.rule.hook)?;
        let asked = self.ask(rule, &entry, inquiry, true, call);
        asked.outcome.map_err(|said| declined(&said, &entry.revision))
    }
}

/// Where the offers stand that a rule is about.
fn covered(rule: &Prepared, offers: &[Option<Offer>]) -> Vec<usize> {
    let about = |offer: &Option<Offer>| offer.as_ref().is_some_and(|offer| rule.rule.covers(offer));
    let places = offers.iter().enumerate();
    places
        .filter_map(|(place, offer)| about(offer).then_some(place))
        .collect()
}

/// Takes the offers at these places off the page.
fn take(offers: &mut [Option<Offer>], places: &[usize]) -> Vec<Option<Offer>> {
    places
        .iter()
        .map(|place| offers.get_mut(*place).and_then(Option::take))
        .collect()
}
