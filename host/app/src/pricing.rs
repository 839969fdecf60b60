//! What a key costs: the offer's own price, or what a policy says of it within bounds that no policy can leave.

use crate::config::{Grant, OnFailure, Rule};
use crate::quotes::{MAX_VALID_MS, Quote};
use crate::wire::{dict, fault, invalid, text, uri};
use anyhow::Context;
use bourse_market::{
    Address, Amount, ApiId, Decision, DecisionHeader, DecisionId, Demand, Figures, KeyId, MarketId, Nanos,
    Offer, OfferId, Placer, Price, PriceSource, PricingTerms, SessionId, Signature, Subject,
};
use bourse_policy::{
    Action, Declined, Grants, Hex, Hook, Imports, Limits, NoImports, PriceDecision, PriceRequest, Record,
    Revision,
};
use bourse_wamp::{Value, WampError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The highest price any policy may ask, where nobody set a lower one: the supply of the token, 10^9.
const MARKET_CAP_TOKENS: u64 = 1_000_000_000;
/// The most bytes of parameters a policy is given.
pub(crate) const PARAMS_BYTES: usize = 4096;

/// A rule with everything parsed.
struct Prepared {
    rule: Rule,
    params: serde_json::Map<String, serde_json::Value>,
    params_text: String,
    floor: Option<Amount>,
    cap: Option<Amount>,
    fallback: Option<Amount>,
    limits: Limits,
    grants: Grants,
    max_valid_ms: u32,
}

/// Finds prices. Immutable once made, so that it can be shared by all threads without a lock.
pub(crate) struct Pricing {
    market: MarketId,
    rules: Vec<Prepared>,
    /// For a policy that a seller chose and no rule speaks of.
    unruled: Prepared,
    policies: HashMap<String, Revision>,
    demand: Arc<Mutex<Demand>>,
}

/// Who asks for a price, and when.
pub(crate) struct Inquiry {
    /// What the price is for.
    pub(crate) action: Action,
    /// The buyer's delegate, none until proven.
    pub(crate) buyer: Option<Address>,
    /// When the request was decoded.
    pub(crate) now: Nanos,
    /// A fresh id for the decision.
    pub(crate) decision: DecisionId,
}

/// Where the price of an offer comes from.
enum Source<'a> {
    Fixed(Amount),
    Policy {
        rule: &'a Prepared,
        revision: &'a Revision,
        base: Option<Amount>,
        /// The operator's rule for the offer, where the seller chose a policy that no rule speaks of.
        market: Option<&'a Prepared>,
    },
}

/// Demand as policies may see it, at one moment.
struct Window<'a> {
    demand: &'a Mutex<Demand>,
    now: Nanos,
}

impl Imports for Window<'_> {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        self.demand.lock().figures(subject, self.now, window_ms)
    }
}

impl Prepared {
    fn new(rule: Rule) -> anyhow::Result<Self> {
        let serde_json::Value::Object(params) =
            serde_json::to_value(&rule.params).context("params are no JSON object")?
        else {
            anyhow::bail!("params are no table");
        };
        let params_text = serde_json::Value::Object(params.clone()).to_string();
        anyhow::ensure!(
            params_text.len() <= PARAMS_BYTES,
            "params take {} bytes as JSON, at most {PARAMS_BYTES} are passed to a policy",
            params_text.len()
        );
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
                    .map_or(default.deadline, std::time::Duration::from_millis),
                ..default
            },
            grants: granted(&rule),
            max_valid_ms: rule
                .limits
                .max_valid_ms
                .unwrap_or(MAX_VALID_MS)
                .clamp(1, MAX_VALID_MS),
            params,
            params_text,
            rule,
        })
    }

    /// The bounds in force: max of floors, min of caps. The error says that no price lies between them.
    ///
    /// Those of `market` go as well: the operator's rule for an offer whose seller chose a policy of no rule.
    fn bounds(
        &self,
        offer: &Offer,
        base: Option<Amount>,
        market: Option<&Self>,
    ) -> Result<(Amount, Amount), String> {
        // Under a rule for all, the fixed price is the floor unless the operator set one.
        let own = self.floor.or(base);
        let floors = [own, offer.pricing.floor, market.and_then(|rule| rule.floor)];
        let floor = floors.into_iter().flatten().max().unwrap_or(Amount::ZERO);
        let caps = [self.cap, offer.pricing.cap, market.and_then(|rule| rule.cap)];
        let cap = caps
            .into_iter()
            .flatten()
            .fold(Amount::from_tokens(MARKET_CAP_TOKENS), Amount::min);
        if floor > cap {
            return Err(format!("the floor {floor} lies above the cap {cap}"));
        }
        Ok((floor, cap))
    }

    /// What is asked where the policy failed, if the operator wants to sell all the same.
    fn stand_in(&self, base: Option<Amount>) -> Option<Amount> {
        match self.rule.on_failure {
            OnFailure::FallbackPrice => self.fallback.or(base),
            OnFailure::Refuse => None,
        }
    }

    /// The rule's parameters, overlaid by the seller's.
    fn params_for(&self, offer: &Offer) -> Result<std::borrow::Cow<'_, str>, WampError> {
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
}

impl Pricing {
    /// Prepares the rules over the policies that were loaded. A rule whose policy is missing stays: its offers are
    /// refused by name rather than sold at some other price.
    pub(crate) fn new(
        market: MarketId,
        rules: Vec<Rule>,
        policies: HashMap<String, Revision>,
        demand: Arc<Mutex<Demand>>,
    ) -> anyhow::Result<Self> {
        let rules = rules
            .into_iter()
            .map(|rule| {
                let name = rule.policy.clone();
                Prepared::new(rule).with_context(|| format!("in the rule for policy `{name}`"))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        for prepared in &rules {
            if let Some(problem) = problem(&prepared.rule, &policies) {
                tracing::error!(
                    "the rule for policy `{}` prices nothing: {problem}",
                    prepared.rule.policy
                );
            }
        }
        let unruled = Prepared::new(Rule::default_pricing())?;
        Ok(Self {
            market,
            rules,
            unruled,
            policies,
            demand,
        })
    }

    fn source(&self, offer: &Offer) -> Result<Source<'_>, WampError> {
        let base = match offer.price {
            Price::Fixed(price) => Some(price),
            Price::Dynamic => None,
        };
        // A seller may choose the policy of a dynamic price; over a fixed one only the operator's rules go.
        let chosen = offer.pricing.policy.as_deref().filter(|_| base.is_none());
        let covering = |name: Option<&str>| {
            self.rules.iter().find(|prepared| {
                name.is_none_or(|name| prepared.rule.policy == name) && prepared.rule.covers(offer)
            })
        };
        let market = covering(None);
        let (rule, market) = match chosen.map(|name| covering(Some(name))) {
            None => (market, None),
            Some(Some(own)) => (Some(own), None),
            // The choice is the seller's, the bounds are the operator's all the same.
            Some(None) => (Some(&self.unruled), market),
        };
        let (rule, name) = match (rule, base) {
            (Some(rule), _) => (rule, chosen.unwrap_or(&rule.rule.policy)),
            (None, Some(price)) => return Ok(Source::Fixed(price)),
            (None, None) => return Err(fault(uri::POLICY_FAILED, "no pricing policy covers this offer")),
        };
        match self.policies.get(name) {
            Some(revision) => Ok(Source::Policy {
                rule,
                revision,
                base,
                market,
            }),
            None => Err(fault(
                uri::POLICY_FAILED,
                format!("the pricing policy `{name}` is not loaded"),
            )),
        }
    }

    /// Whether an offer could be priced at all, asked before it is placed.
    pub(crate) fn check(&self, offer: &Offer) -> Result<(), WampError> {
        if let Some(name) = &offer.pricing.policy
            && !self.policies.get(name).is_some_and(Revision::has_pricing)
        {
            let known = self
                .policies
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(invalid(
                "pricing",
                format_args!("unknown policy `{name}`; loaded are: {known}"),
            ));
        }
        match self.source(offer) {
            Err(_) if matches!(offer.price, Price::Fixed(_)) => Ok(()),
            Err(error) => Err(invalid("price", first_text(&error))),
            Ok(Source::Fixed(_)) => Ok(()),
            Ok(Source::Policy {
                rule, base, market, ..
            }) => {
                rule.bounds(offer, base, market)
                    .map_err(|none| invalid("pricing", none))?;
                rule.params_for(offer).map(drop)
            }
        }
    }

    /// Prices an offer. Takes the processor for some microseconds, up to the deadline of a policy: call it on a worker.
    pub(crate) fn price(&self, offer: &Offer, inquiry: &Inquiry) -> Result<Quote, WampError> {
        let (rule, revision, base, market) = match self.source(offer)? {
            Source::Fixed(price) => return Ok(quote(offer, inquiry, price, MAX_VALID_MS, None)),
            Source::Policy {
                rule,
                revision,
                base,
                market,
            } => (rule, revision, base, market),
        };
        let (floor, cap) = rule
            .bounds(offer, base, market)
            .map_err(|none| fault(uri::POLICY_FAILED, none))?;
        let params = rule.params_for(offer)?;
        let request = PriceRequest {
            now: inquiry.now,
            market: self.market,
            action: inquiry.action,
            buyer: inquiry.buyer,
            params: &params,
            offer,
            base,
            floor,
            cap,
            max_valid_ms: rule.max_valid_ms,
        };
        let window = Window {
            demand: &self.demand,
            now: inquiry.now,
        };
        let PriceDecision {
            outcome,
            fuel,
            elapsed,
            record,
            ..
        } = revision.price(&request, &window, rule.grants, &rule.limits);
        let (price, valid_ms) = match outcome {
            Ok(priced) => (priced.amount, priced.valid_ms),
            Err(Declined::Refused { code, text }) => {
                return Err(unpriced(uri::REFUSED, text, revision, &code));
            }
            Err(Declined::Failed(failure)) => {
                tracing::warn!(
                    policy = revision.name(), revision = %revision.id(), code = failure.code(), %failure, fuel,
                    ?elapsed, "a pricing policy failed"
                );
                let Some(price) = rule.stand_in(base) else {
                    let text = format!("the pricing policy `{}` failed: {failure}", revision.name());
                    return Err(unpriced(uri::POLICY_FAILED, text, revision, failure.code()));
                };
                (price.clamp(floor, cap), rule.max_valid_ms)
            }
        };
        let decision = keep(revision, inquiry, record);
        Ok(quote(offer, inquiry, price, valid_ms, Some(decision)))
    }

    /// Whether a policy has a say in this offer's price.
    pub(crate) fn is_decided_by_policy(&self, offer: &Offer) -> bool {
        !matches!(self.source(offer), Ok(Source::Fixed(_)))
    }
}

/// Why a rule cannot work with the policies that are loaded, if it cannot. Its offers are refused then.
pub(crate) fn problem(rule: &Rule, policies: &HashMap<String, Revision>) -> Option<String> {
    let Some(revision) = policies.get(&rule.policy) else {
        let mut loaded: Vec<&str> = policies.keys().map(String::as_str).collect();
        loaded.sort_unstable();
        return Some(format!("no such policy is loaded, only {}", loaded.join(", ")));
    };
    if !revision.has_pricing() {
        return Some("it exports no pricing hook".to_owned());
    }
    if let Err(error) = revision.check_grants(granted(rule)) {
        return Some(error.to_string());
    }
    match Prepared::new(rule.clone()) {
        Ok(prepared) => prepared
            .trial(revision)
            .map(|text| format!("it refuses its params: {text}")),
        Err(error) => Some(format!("{error:#}")),
    }
}

/// The code under which policies made with the SDK refuse parameters that make no sense.
const BAD_PARAMS: &str = "bad_params";

impl Prepared {
    /// Asks for the price of an offer that does not exist, to hear what the policy says of the rule's parameters. Any
    /// other answer is its own affair: nothing is known here of the offers to come.
    fn trial(&self, revision: &Revision) -> Option<String> {
        let specimen = Offer {
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
            price: Price::Dynamic,
            pricing: PricingTerms::default(),
            copies: None,
            remaining: None,
            categories: BTreeMap::new(),
        };
        let request = PriceRequest {
            now: Nanos(0),
            market: MarketId([0; 16]),
            action: Action::Quote,
            buyer: None,
            params: &self.params_text,
            offer: &specimen,
            base: None,
            floor: Amount::ZERO,
            cap: Amount::from_tokens(MARKET_CAP_TOKENS),
            max_valid_ms: self.max_valid_ms,
        };
        match revision
            .price(&request, &NoImports, self.grants, &self.limits)
            .outcome
        {
            Err(Declined::Refused { code, text }) if code == BAD_PARAMS => Some(text),
            _ => None,
        }
    }
}

fn granted(rule: &Rule) -> Grants {
    Grants {
        market: rule.grants.contains(&Grant::Market),
        ..Grants::NONE
    }
}

/// A price as it is promised: for some time, and never longer than its offer.
fn quote(
    offer: &Offer,
    inquiry: &Inquiry,
    price: Amount,
    valid_ms: u32,
    decision: Option<Decision>,
) -> Quote {
    let lapses = inquiry.now.plus_millis(valid_ms.into());
    Quote {
        offer: offer.id,
        price,
        source: decision
            .as_ref()
            .map_or(PriceSource::Fixed, |decision| PriceSource::Policy(decision.id)),
        decision,
        at: inquiry.now,
        until: offer.expires.map_or(lapses, |expires| expires.min(lapses)),
    }
}

/// The decision as the ledger keeps it, with the purchase it comes to.
fn keep(revision: &Revision, inquiry: &Inquiry, mut record: Record) -> Decision {
    record.id = Some(Hex(inquiry.decision));
    Decision {
        id: inquiry.decision,
        header: DecisionHeader {
            at: inquiry.now,
            hook: Hook::Pricing.to_string(),
            policy: revision.name().to_owned(),
            revision: revision.id(),
            purchase: None,
        },
        body: record.encode(),
    }
}

/// What a client is told of a policy that did not price.
fn unpriced(uri: &str, why: String, revision: &Revision, code: &str) -> WampError {
    let mut error = fault(uri, why);
    error.kwargs = dict([
        ("policy", text(revision.name())),
        ("revision", text(revision.id().to_string())),
        ("code", text(code)),
    ]);
    error
}

fn first_text(error: &WampError) -> String {
    match error.args.first() {
        Some(Value::Str(text)) => text.clone(),
        _ => error.uri.clone(),
    }
}
