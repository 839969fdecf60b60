//! A rule with everything parsed, and whether a revision can serve it.

use super::Inquiry;
use crate::config::{Hook, OnFailure, PARAMS_BYTES, Rule};
use crate::figures::{Calls, Figures};
use crate::quotes::MAX_VALID_MS;
use crate::wire::invalid;
use anyhow::Context;
use bourse_market::{
    Address, Amount, ApiId, KeyId, MarketId, Nanos, Offer, OfferId, Placer, Price, PricingTerms, SessionId,
    Signature,
};
use bourse_policy::{
    Action, AdmitRequest, Batch, ConsentRequest, Declined, FilterRequest, Grants, Imports, Limits, NoImports,
    PriceRequest, Revision,
};
use bourse_wamp::WampError;
use parking_lot::RwLock;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The highest price any policy may ask, where nobody set a lower one: the supply of the token, 10^9.
pub(super) const MARKET_CAP_TOKENS: u64 = 1_000_000_000;
/// The code under which policies made with the SDK refuse parameters that make no sense.
const BAD_PARAMS: &str = "bad_params";

/// A rule with everything parsed.
pub(super) struct Prepared {
    pub(super) rule: Rule,
    params: serde_json::Map<String, serde_json::Value>,
    pub(super) params_text: String,
    pub(super) floor: Option<Amount>,
    pub(super) cap: Option<Amount>,
    fallback: Option<Amount>,
    pub(super) limits: Limits,
    pub(super) grants: Grants,
    pub(super) max_valid_ms: u32,
    /// What is counted of the calls of the revision that was called last.
    calls: RwLock<Option<Arc<Calls>>>,
}

impl Prepared {
    pub(super) fn new(rule: Rule) -> anyhow::Result<Self> {
        let name = rule.policy.clone();
        Self::parse(rule).with_context(|| format!("in the rule for policy `{name}`"))
    }

    fn parse(rule: Rule) -> anyhow::Result<Self> {
        let (params, params_text) = rule.params()?;
        let default = Limits::default();
        Ok(Self {
            floor: rule.floor()?,
            cap: rule.cap()?,
            fallback: rule.fallback()?,
            limits: Limits {
                fuel: rule.limits.fuel.unwrap_or(default.fuel),
                deadline: rule
                    .limits
                    .deadline_ms
                    .map_or(default.deadline, Duration::from_millis),
                memory: rule.limits.memory.unwrap_or(default.memory),
                instances: rule.instances,
            },
            grants: rule.grants.iter().copied().fold(Grants::NONE, Grants::with),
            max_valid_ms: rule
                .limits
                .max_valid_ms
                .unwrap_or(MAX_VALID_MS)
                .clamp(1, MAX_VALID_MS),
            params,
            params_text,
            calls: RwLock::default(),
            rule,
        })
    }

    /// The bounds in force: max of floors, min of caps. The error says that no price lies between them.
    ///
    /// Those of `market` go as well: the operator's rule for an offer whose seller chose a policy of no rule.
    pub(super) fn bounds(
        &self,
        offer: &Offer,
        base: Option<Amount>,
        market: Option<&Self>,
    ) -> Result<(Amount, Amount), String> {
        // Under a rule for all, the fixed price is the floor unless the operator set one.
        let own = self.floor.or(base);
        let floors = [own, market.and_then(|rule| rule.floor)];
        let caps = [self.cap, market.and_then(|rule| rule.cap)];
        bounds(offer, floors, caps)
    }

    /// Where calls of `revision` under this rule are counted: that of its own policy, or of one that a seller chose and no
    /// rule speaks of.
    pub(super) fn calls(&self, figures: &Figures, revision: &Revision) -> Arc<Calls> {
        let known = self.calls.read().clone();
        if let Some(known) = known.filter(|known| known.are_of(revision)) {
            return known;
        }
        let calls = Arc::new(figures.calls(revision, self.rule.hook));
        *self.calls.write() = Some(Arc::clone(&calls));
        calls
    }

    /// What is asked where the policy failed, if the operator wants to sell all the same.
    pub(super) fn stand_in(&self, base: Option<Amount>) -> Option<Amount> {
        match self.rule.on_failure {
            OnFailure::FallbackPrice => self.fallback.or(base),
            OnFailure::Refuse => None,
        }
    }

    /// The rule's parameters, overlaid by the seller's.
    pub(super) fn params_for(&self, offer: &Offer) -> Result<Cow<'_, str>, WampError> {
        let Some(theirs) = &offer.pricing.params else {
            return Ok(self.params_text.as_str().into());
        };
        let theirs: serde_json::Map<String, serde_json::Value> = serde_json::from_str(theirs)
            .map_err(|error| invalid("pricing", format_args!("params: {error}")))?;
        let mut params = self.params.clone();
        params.extend(theirs);
        let text = serde_json::Value::Object(params).to_string();
        if text.len() > PARAMS_BYTES {
            let got = text.len();
            return Err(invalid(
                "pricing",
                format_args!("params take {got} bytes with the market's own, at most {PARAMS_BYTES}"),
            ));
        }
        Ok(text.into())
    }

    /// Why `revision` cannot serve this rule, if it cannot.
    pub(super) fn problem_with(&self, revision: &Revision) -> Option<String> {
        let hook = self.rule.hook;
        if !revision.has(hook) {
            return Some(format!("it exports no {hook} hook"));
        }
        if let Err(error) = revision.check_grants(self.grants) {
            return Some(error.to_string());
        }
        self.trial(revision)
            .map(|text| format!("it refuses its params: {text}"))
    }

    /// What the policy says of the rule's parameters. Any other answer is its own affair: nothing is known here of the
    /// offers to come.
    fn trial(&self, revision: &Revision) -> Option<String> {
        let inquiry = Inquiry {
            action: match self.rule.hook {
                Hook::Offers => Action::Place,
                Hook::Pricing | Hook::Consent => Action::Quote,
            },
            buyer: None,
            now: Nanos(0),
        };
        match self.specimen(revision, &inquiry, &NoImports) {
            Err(Declined::Refused { code, text }) if code == BAD_PARAMS => Some(text),
            _ => None,
        }
    }

    /// Whether the policy answers as it should where nothing of a question is a stranger's choice, neither an offer nor a
    /// buyer's address: then what it failed at is theirs.
    pub(super) fn works(&self, revision: &Revision, inquiry: &Inquiry, imports: &dyn Imports) -> bool {
        let inquiry = Inquiry {
            buyer: inquiry.buyer.map(|_| Address([0; 20])),
            ..*inquiry
        };
        let said = self.specimen(revision, &inquiry, imports);
        !matches!(said, Err(Declined::Failed(failure)) if failure.trips())
    }

    /// Asks about an offer that nobody placed.
    fn specimen(
        &self,
        revision: &Revision,
        inquiry: &Inquiry,
        imports: &dyn Imports,
    ) -> Result<(), Declined> {
        let Inquiry { action, buyer, now } = *inquiry;
        let (market, params) = (MarketId([0; 16]), self.params_text.as_str());
        let (grants, limits) = (self.grants, &self.limits);
        let offer = &specimen();
        match (self.rule.hook, action) {
            (Hook::Pricing, _) => {
                let request = PriceRequest {
                    now,
                    market,
                    action,
                    buyer,
                    params,
                    offer,
                    base: None,
                    floor: Amount::ZERO,
                    cap: Amount::from_tokens(MARKET_CAP_TOKENS),
                    max_valid_ms: self.max_valid_ms,
                };
                revision
                    .price(&request, imports, grants, limits)
                    .outcome
                    .map(drop)
            }
            (Hook::Offers, Action::Place) => {
                let request = AdmitRequest {
                    now,
                    market,
                    action,
                    buyer,
                    params,
                    offer,
                };
                revision.admit(&request, imports, grants, limits).outcome
            }
            (Hook::Offers, _) => {
                let request = FilterRequest {
                    now,
                    market,
                    action,
                    buyer,
                    params,
                    batch: &Batch::of(&[offer]),
                };
                revision
                    .filter(&request, imports, grants, limits)
                    .outcome
                    .map(drop)
            }
            (Hook::Consent, _) => {
                let request = ConsentRequest {
                    now,
                    market,
                    action,
                    buyer,
                    params,
                    offer: Some(offer),
                    buyer_grants: &[],
                    seller_grants: &[],
                };
                revision.authorize(&request, imports, grants, limits).outcome
            }
        }
    }
}

/// The highest of the floors and the lowest of the caps, the offer's own among them. The error says that no price lies
/// between them.
pub(super) fn bounds(
    offer: &Offer,
    floors: impl IntoIterator<Item = Option<Amount>>,
    caps: impl IntoIterator<Item = Option<Amount>>,
) -> Result<(Amount, Amount), String> {
    let floor = floors
        .into_iter()
        .flatten()
        .chain(offer.pricing.floor)
        .max()
        .unwrap_or(Amount::ZERO);
    let cap = caps
        .into_iter()
        .flatten()
        .chain(offer.pricing.cap)
        .fold(Amount::from_tokens(MARKET_CAP_TOKENS), Amount::min);
    if floor > cap {
        return Err(format!("the floor {floor} lies above the cap {cap}"));
    }
    Ok((floor, cap))
}

/// An offer that nobody placed.
fn specimen() -> Offer {
    Offer {
        id: OfferId([0; 16]),
        key: KeyId([0; 16]),
        api: ApiId([0; 16]),
        catalog: None,
        uri: String::new(),
        seller: Address([0; 20]),
        provider_id: None,
        placer: Placer {
            session: SessionId(0),
            authid: None,
        },
        placed_at: Nanos(0),
        valid_from: None,
        expires: None,
        revoked: None,
        signature: Signature([0; 65]),
        signature_verified: false,
        claimed: false,
        unlisted: false,
        price: Price::Dynamic,
        pricing: PricingTerms::default(),
        copies: None,
        remaining: None,
        categories: BTreeMap::new(),
    }
}
