//! Where the price of an offer comes from.

use super::Policies;
use super::rules::{Prepared, bounds};
use crate::seller_price::Bounds;
use crate::wire::{fault, uri};
use bourse_market::{Amount, Offer, Price};
use bourse_policy::Entry;
use bourse_wamp::WampError;
use std::sync::Arc;

/// Where the price of an offer comes from.
pub(super) enum Source {
    /// The offer names it.
    Fixed(Amount),
    /// A policy finds it.
    Policy(Priced),
    /// Its seller is asked.
    Seller(Bounds),
}

/// A policy that finds a price.
pub(super) struct Priced {
    pub(super) rule: Arc<Prepared>,
    pub(super) entry: Arc<Entry>,
    /// The fixed price that it works over.
    pub(super) base: Option<Amount>,
    /// The operator's rule for the offer, where the seller chose a policy that no rule speaks of.
    market: Option<Arc<Prepared>>,
}

impl Priced {
    /// The bounds in force, or that no price lies between them.
    pub(super) fn bounds(&self, offer: &Offer) -> Result<(Amount, Amount), String> {
        self.rule.bounds(offer, self.base, self.market.as_deref())
    }
}

/// Which rule prices an offer, if one does.
struct Ruling<'a> {
    rule: Option<Arc<Prepared>>,
    /// The policy that the seller chose.
    chosen: Option<&'a str>,
    /// The offer's own price.
    base: Option<Amount>,
    /// As in [`Priced`].
    market: Option<Arc<Prepared>>,
}

impl Policies {
    /// With a rule for all, its policy over the fixed price; else the fixed price; else the policy that the seller chose,
    /// or the market's; else the seller.
    pub(super) fn source(&self, offer: &Offer) -> Result<Source, WampError> {
        let Ruling {
            rule,
            chosen,
            base,
            market,
        } = self.ruling(offer);
        let rule = match (rule, base) {
            (Some(rule), _) => rule,
            (None, Some(price)) => return Ok(Source::Fixed(price)),
            (None, None) => {
                let (floor, cap) = bounds(offer, [], []).map_err(|none| fault(uri::POLICY_FAILED, none))?;
                return Ok(Source::Seller(Bounds { floor, cap }));
            }
        };
        Ok(Source::Policy(Priced {
            entry: self.entry(chosen.unwrap_or(&rule.rule.policy), rule.rule.hook)?,
            rule,
            base,
            market,
        }))
    }

    /// Whether the offer's own price is the price.
    pub(super) fn is_fixed(&self, offer: &Offer) -> bool {
        let ruling = self.ruling(offer);
        ruling.rule.is_none() && ruling.base.is_some()
    }

    /// Looks no policy up: that one is missing counts where it is to be asked.
    fn ruling<'a>(&self, offer: &'a Offer) -> Ruling<'a> {
        let base = match offer.price {
            Price::Fixed(price) => Some(price),
            Price::Dynamic => None,
        };
        // A seller may choose the policy of a dynamic price; over a fixed one only the operator's rules go.
        let chosen = offer.pricing.policy.as_deref().filter(|_| base.is_none());
        let rules = self.rules.load();
        let covering = |name: Option<&str>| {
            let found = rules.pricing.iter().find(|prepared| {
                name.is_none_or(|name| prepared.rule.policy == name) && prepared.rule.covers(offer)
            });
            found.cloned()
        };
        let market = covering(None);
        let (rule, market) = match chosen.map(|name| covering(Some(name))) {
            None => (market, None),
            Some(Some(own)) => (Some(own), None),
            // The choice is the seller's, the bounds are the operator's all the same.
            Some(None) => (Some(Arc::clone(&self.unruled)), market),
        };
        Ruling {
            rule,
            chosen,
            base,
            market,
        }
    }
}
