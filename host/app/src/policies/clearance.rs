//! Whether a request may go on: the filters, then consent, then the price. The first refusal wins.

use super::ask::declined;
use super::grants::Recorded;
use super::rules::Prepared;
use super::{Inquiry, Policies};
use crate::quotes::Quote;
use crate::seller_price::Bounds;
use crate::wire::of_refusal;
use bourse_market::{Decision, Offer, Refusal, StateWrite, check_on_sale};
use bourse_policy::{AdmitRequest, Batch, ConsentRequest, Decided, FilterRequest, Imports, Revision, Shown};
use bourse_wamp::WampError;
use std::sync::Arc;

/// A request that may go on, with what was decided on the way.
#[derive(Debug, Default)]
pub(crate) struct Cleared {
    /// Every decision of a filter or of consent, to be kept with the purchase.
    pub(crate) decisions: Vec<Decision>,
    /// What those policies want to remember of the purchase.
    pub(crate) state_writes: Vec<StateWrite>,
}

/// The price, or who names it.
#[derive(Debug)]
pub(crate) enum Step {
    /// Here it is.
    Quoted(Arc<Quote>),
    /// The seller is asked, within these bounds.
    AskSeller(Bounds),
}

impl Policies {
    /// A quote: all of it in one go.
    pub(crate) fn quote(&self, offer: &Offer, inquiry: &Inquiry) -> Result<Step, WampError> {
        // Nothing is bought yet, so nothing is kept.
        let mut cleared = Cleared::default();
        self.show(offer, inquiry, &mut cleared)?;
        check_on_sale(offer, inquiry.now).map_err(|refusal| of_refusal(&refusal))?;
        self.consent(offer, inquiry, &mut cleared)?;
        self.price(offer, inquiry)
    }

    /// A purchase: the price too, unless the buyer holds a live quote.
    pub(crate) fn purchase(
        &self,
        offer: &Offer,
        inquiry: &Inquiry,
        quoted: bool,
    ) -> Result<(Cleared, Option<Step>), WampError> {
        let mut cleared = Cleared::default();
        self.show(offer, inquiry, &mut cleared)?;
        self.consent(offer, inquiry, &mut cleared)?;
        let step = match quoted {
            true => None,
            false => Some(self.price(offer, inquiry)?),
        };
        Ok((cleared, step))
    }

    /// Whether a seller may place the offer: consent first, then whether the market admits it.
    pub(crate) fn place(&self, offer: &Offer, inquiry: &Inquiry) -> Result<(), WampError> {
        let mut cleared = Cleared::default();
        self.consent(offer, inquiry, &mut cleared)?;
        let admit = |rule: &Prepared, revision: &Revision, imports: &dyn Imports| {
            let request = AdmitRequest {
                now: inquiry.now,
                market: self.market,
                action: inquiry.action,
                buyer: inquiry.buyer,
                params: &rule.params_text,
                offer,
            };
            revision.admit(&request, imports, rule.grants, &rule.limits)
        };
        let rules = self.rules.load();
        self.each(&rules.offers, offer, inquiry, &mut cleared, admit, Ok)
    }

    /// Whether any policy is to be asked when this offer is quoted or bought.
    pub(crate) fn have_a_say(&self, offer: &Offer) -> bool {
        !self.is_fixed(offer) || self.guard(offer)
    }

    /// Whether a filter or consent is to be asked about this offer.
    pub(crate) fn guard(&self, offer: &Offer) -> bool {
        let rules = self.rules.load();
        covering(&rules.offers, offer).next().is_some() || covering(&rules.consent, offer).next().is_some()
    }

    /// What a consent policy is asked about `offer`, or about a query at large.
    pub(super) fn consent_request<'a>(
        &self,
        rule: &'a Prepared,
        inquiry: &Inquiry,
        offer: Option<&'a Offer>,
        recorded: &'a Recorded,
    ) -> ConsentRequest<'a> {
        ConsentRequest {
            now: inquiry.now,
            market: self.market,
            action: inquiry.action,
            buyer: inquiry.buyer,
            params: &rule.params_text,
            offer,
            buyer_grants: &recorded.buyer,
            seller_grants: &recorded.seller,
        }
    }

    /// What a filter is asked about the offers of `batch`.
    pub(super) fn filter_request<'a>(
        &self,
        rule: &'a Prepared,
        inquiry: &Inquiry,
        batch: &'a Batch,
    ) -> FilterRequest<'a> {
        FilterRequest {
            now: inquiry.now,
            market: self.market,
            action: inquiry.action,
            buyer: inquiry.buyer,
            params: &rule.params_text,
            batch,
        }
    }

    /// Whether this buyer may see the offer: if not, it does not exist.
    fn show(&self, offer: &Offer, inquiry: &Inquiry, cleared: &mut Cleared) -> Result<(), WampError> {
        let rules = self.rules.load();
        if covering(&rules.offers, offer).next().is_none() {
            return Ok(());
        }
        let batch = Batch::of(&[offer]);
        let filter = |rule: &Prepared, revision: &Revision, imports: &dyn Imports| {
            let request = self.filter_request(rule, inquiry, &batch);
            revision.filter(&request, imports, rule.grants, &rule.limits)
        };
        let seen = |shown: Shown| match shown.indices.is_empty() {
            true => Err(of_refusal(&Refusal::OfferUnknown { key: offer.key })),
            false => Ok(()),
        };
        self.each(&rules.offers, offer, inquiry, cleared, filter, seen)
    }

    /// Whether the two parties may deal.
    fn consent(&self, offer: &Offer, inquiry: &Inquiry, cleared: &mut Cleared) -> Result<(), WampError> {
        let rules = self.rules.load();
        if covering(&rules.consent, offer).next().is_none() {
            return Ok(());
        }
        let recorded = self.recorded(inquiry, Some(offer))?;
        let authorize = |rule: &Prepared, revision: &Revision, imports: &dyn Imports| {
            let request = self.consent_request(rule, inquiry, Some(offer), &recorded);
            revision.authorize(&request, imports, rule.grants, &rule.limits)
        };
        self.each(&rules.consent, offer, inquiry, cleared, authorize, Ok)
    }

    /// Asks every policy whose rule is about the offer, one after another, until one says no.
    fn each<T>(
        &self,
        rules: &[Arc<Prepared>],
        offer: &Offer,
        inquiry: &Inquiry,
        cleared: &mut Cleared,
        call: impl Fn(&Prepared, &Revision, &dyn Imports) -> Decided<T>,
        judge: impl Fn(T) -> Result<(), WampError>,
    ) -> Result<(), WampError> {
        for rule in covering(rules, offer) {
            let entry = self.entry(&rule.rule.policy, rule.rule.hook)?;
            let asked = self.ask(rule, &entry, inquiry, true, |revision, imports| {
                call(rule, revision, imports)
            });
            let answer = asked.outcome.map_err(|said| declined(&said, &entry.revision))?;
            judge(answer)?;
            cleared.decisions.extend(asked.decision);
            cleared.state_writes.extend(asked.writes);
        }
        Ok(())
    }
}

/// The rules that are about the offer, in their order.
fn covering<'a>(rules: &'a [Arc<Prepared>], offer: &'a Offer) -> impl Iterator<Item = &'a Prepared> {
    let all = rules.iter().map(Arc::as_ref);
    all.filter(|prepared| prepared.rule.covers(offer))
}
