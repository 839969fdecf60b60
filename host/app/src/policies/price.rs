//! What a key costs: the offer's own price, or what a policy says of it within bounds that no policy can leave.

use super::ask::declined;
use super::clearance::Step;
use super::sources::{Priced, Source};
use super::{Inquiry, Policies};
use crate::quotes::{MAX_VALID_MS, Quote};
use crate::wire::{fault, invalid, uri};
use bourse_market::{Amount, Decision, Offer, Price, PriceSource, StateWrite};
use bourse_policy::{Declined, PriceRequest};
use bourse_wamp::{Value, WampError};
use std::sync::Arc;

impl Policies {
    /// Finds the price of an offer, or that its seller must be asked.
    pub(super) fn price(&self, offer: &Offer, inquiry: &Inquiry) -> Result<Step, WampError> {
        match self.source(offer)? {
            Source::Fixed(price) => {
                let quote = quote(offer, inquiry, price, MAX_VALID_MS, None, Vec::new());
                Ok(Step::Quoted(Arc::new(quote)))
            }
            Source::Policy(priced) => {
                let quote = self.priced(offer, inquiry, &priced)?;
                Ok(Step::Quoted(Arc::new(quote)))
            }
            Source::Seller(bounds) => Ok(Step::AskSeller(bounds)),
        }
    }

    fn priced(&self, offer: &Offer, inquiry: &Inquiry, priced: &Priced) -> Result<Quote, WampError> {
        let Priced {
            rule, entry, base, ..
        } = priced;
        let (floor, cap) = priced
            .bounds(offer)
            .map_err(|none| fault(uri::POLICY_FAILED, none))?;
        let params = rule.params_for(offer)?;
        let request = PriceRequest {
            now: inquiry.now,
            market: self.market,
            action: inquiry.action,
            buyer: inquiry.buyer,
            params: &params,
            offer,
            base: *base,
            floor,
            cap,
            max_valid_ms: rule.max_valid_ms,
        };
        let own = offer.pricing.params.is_none();
        let asked = self.ask(rule, entry, inquiry, own, |revision, imports| {
            revision.price(&request, imports, rule.grants, &rule.limits)
        });
        let (price, valid_ms) = match asked.outcome {
            Ok(priced) => (priced.amount, priced.valid_ms),
            Err(refused @ Declined::Refused { .. }) => return Err(declined(&refused, &entry.revision)),
            Err(failed @ Declined::Failed(_)) => {
                let Some(price) = rule.stand_in(*base) else {
                    return Err(declined(&failed, &entry.revision));
                };
                // The stand-in is the operator's: nothing a failed call wanted to remember counts. Where the breaker
                // left the policy alone, that is the decision behind the price.
                let decision = match (asked.decision, failed) {
                    (None, Declined::Failed(failure)) => {
                        let revision = &entry.revision;
                        let decided = revision.unpriced(&request, rule.grants, &rule.limits, failure);
                        Some(self.keep(decided.record))
                    }
                    (decision, _) => decision,
                };
                let price = price.clamp(floor, cap);
                return Ok(quote(
                    offer,
                    inquiry,
                    price,
                    rule.max_valid_ms,
                    decision,
                    Vec::new(),
                ));
            }
        };
        Ok(quote(
            offer,
            inquiry,
            price,
            valid_ms,
            asked.decision,
            asked.writes,
        ))
    }

    /// Whether an offer could be priced at all, asked before it is placed; and whether its seller is to price it.
    pub(crate) fn check_price(&self, offer: &Offer) -> Result<bool, WampError> {
        if let Some(name) = &offer.pricing.policy {
            let prices = self
                .library
                .get(name)
                .is_some_and(|entry| entry.revision.has_pricing());
            if !prices {
                let known = self.library.names().join(", ");
                return Err(invalid(
                    "pricing",
                    format_args!("unknown policy `{name}`; loaded are: {known}"),
                ));
            }
        }
        match self.source(offer) {
            // A policy that is missing for now refuses its quotes; the offer itself makes sense.
            Err(_) if matches!(offer.price, Price::Fixed(_)) => Ok(false),
            Err(error) => Err(invalid("price", first_text(&error))),
            Ok(Source::Fixed(_)) => Ok(false),
            Ok(Source::Seller(_)) => Ok(true),
            Ok(Source::Policy(priced)) => {
                priced.bounds(offer).map_err(|none| invalid("pricing", none))?;
                if offer.pricing.policy.is_some() {
                    let revision = &priced.entry.revision;
                    revision
                        .check_grants(priced.rule.grants)
                        .map_err(|error| invalid("pricing", error))?;
                }
                priced.rule.params_for(offer).map(|_| false)
            }
        }
    }
}

/// A price as it is promised: for some time, and never longer than its offer.
fn quote(
    offer: &Offer,
    inquiry: &Inquiry,
    price: Amount,
    valid_ms: u32,
    decision: Option<Decision>,
    state_writes: Vec<StateWrite>,
) -> Quote {
    let lapses = inquiry.now.plus_millis(valid_ms.into());
    Quote {
        offer: offer.id,
        // A price that nobody had to find is the same for all.
        buyer: inquiry.buyer.filter(|_| decision.is_some()),
        price,
        source: decision
            .as_ref()
            .map_or(PriceSource::Fixed, |decision| PriceSource::Policy(decision.id)),
        decision,
        state_writes,
        at: inquiry.now,
        until: offer.expires.map_or(lapses, |expires| expires.min(lapses)),
    }
}

fn first_text(error: &WampError) -> String {
    match error.args.first() {
        Some(Value::Str(text)) => text.clone(),
        _ => error.uri.clone(),
    }
}
