//! What policies decide: which offers exist for whom, who may deal, and at what price.
//!
//! What lives here: the operator's rules, bound to the revisions that the library holds; the calls, with everything that
//! surrounds one: breaker, record, log, figures, shadow; and the bounds that no policy can leave. What never does: money.
//! A policy proposes, and the core disposes.
//!
//! A call takes the processor for some microseconds, up to the deadline of its rule: call from a worker.

mod ask;
mod clearance;
mod grants;
mod imports;
mod manage;
mod page;
mod price;
mod pulse;
mod rules;
mod shadow;
mod shipped;
mod sources;

pub(crate) use clearance::{Cleared, Step};
pub(crate) use manage::{Manager, Reply, Request, watch};
pub(crate) use shipped::SHIPPED;

use crate::config::{Hook, Rule};
use crate::environment::Environment;
use crate::figures::Figures;
use crate::wire::{dict, fault, text};
use arc_swap::ArcSwap;
use bourse_market::{Address, Demand, MarketId, Nanos};
use bourse_policy::{Action, Entry, Library, Revision};
use bourse_store::{DecisionLog, LogStats, Store};
use bourse_wamp::WampError;
use imports::Ground;
use parking_lot::Mutex;
use pulse::Pulse;
use rules::Prepared;
use shadow::Shadows;
use std::sync::Arc;

/// The policies of a market, bound to its rules. Revisions come and go under them, and rules when the configuration is read
/// again: a request may see a filter by the rules before and a price by those after.
pub(crate) struct Policies {
    market: MarketId,
    library: Library,
    rules: ArcSwap<Rules>,
    /// For a policy that a seller chose and no rule speaks of.
    unruled: Arc<Prepared>,
    ground: Arc<Ground>,
    log: Option<DecisionLog>,
    environment: Arc<dyn Environment>,
    figures: Arc<Figures>,
    shadows: Shadows,
    pulse: Arc<Pulse>,
}

/// The rules by hook, in the order of the configuration.
#[derive(Default)]
pub(crate) struct Rules {
    pricing: Vec<Arc<Prepared>>,
    offers: Vec<Arc<Prepared>>,
    consent: Vec<Arc<Prepared>>,
}

/// Who asks, in which procedure, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inquiry {
    /// What for.
    pub(crate) action: Action,
    /// The buyer's delegate, none until proven.
    pub(crate) buyer: Option<Address>,
    /// When the request was decoded.
    pub(crate) now: Nanos,
}

/// What [`Policies::new`] puts together.
pub(crate) struct Parts {
    pub(crate) market: MarketId,
    pub(crate) library: Library,
    pub(crate) rules: Vec<Rule>,
    pub(crate) demand: Arc<Mutex<Demand>>,
    pub(crate) store: Store,
    pub(crate) log: Option<DecisionLog>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) figures: Arc<Figures>,
}

impl Policies {
    /// Binds the rules. One whose policy is missing stays: its offers are refused by name rather than sold at some other
    /// price or shown to whom they should not be.
    pub(crate) fn new(parts: Parts) -> anyhow::Result<Self> {
        let rules = ArcSwap::from_pointee(Rules::prepare(parts.rules)?);
        let ground = Arc::new(Ground::new(parts.demand, parts.store));
        let breaker = parts.library.options().breaker;
        let pulse = Arc::<Pulse>::default();
        let policies = Self {
            market: parts.market,
            library: parts.library,
            rules,
            unruled: Arc::new(Prepared::new(Rule::default_pricing())?),
            shadows: Shadows::start(
                Arc::clone(&ground),
                parts.log.clone(),
                breaker,
                Arc::clone(&pulse),
                Arc::clone(&parts.figures),
            )?,
            ground,
            log: parts.log,
            environment: parts.environment,
            pulse,
            figures: parts.figures,
        };
        let bound = policies.rules.load();
        let bound = bound.all().map(|rule| rule.policy.clone());
        for policy in policies.library.names().into_iter().chain(bound) {
            policies.figures.begin(&policy);
        }
        policies.figures.begin_unknown();
        policies.tell_problems();
        Ok(policies)
    }

    /// Binds other rules from here on.
    pub(crate) fn bind(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
        self.tell_problems();
    }

    /// Tells the operator of rules that do not work as one would think.
    fn tell_problems(&self) {
        let rules = self.rules.load();
        // A rule that keeps something out must not be thought to do so where it never can.
        for rule in rules.all().filter(|rule| rule.catalog.is_some()) {
            tracing::error!(
                policy = rule.policy,
                hook = rule.hook.as_str(),
                "a rule is bound to a catalog, and without a chain no API is on record in one: it is never asked, and keeps nothing out"
            );
        }
        for rule in rules.all() {
            if let Some(shadow) = &rule.shadow
                && self.library.get(shadow).is_none()
            {
                tracing::warn!(
                    policy = rule.policy,
                    shadow,
                    "a rule's shadow is not loaded: nobody is asked beside its policy"
                );
            }
        }
        for (rule, problem) in self.problems() {
            tracing::error!(
                policy = rule.policy,
                hook = rule.hook.as_str(),
                "a rule does not work, and what it covers is refused: {problem}"
            );
        }
    }

    /// Revisions and their life.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// How they did since the start.
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// The log of decisions, unless it is switched off.
    pub(crate) fn log(&self) -> Option<&DecisionLog> {
        self.log.as_ref()
    }

    /// The rules of the configuration, in their order.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.rules.load().all().cloned().collect()
    }

    /// Lets go of the ledger: the market has stopped.
    pub(crate) fn close(&self) {
        self.ground.close();
    }

    /// Has the log forget what is too old.
    fn forget_old_decisions(&self) {
        if let Some(log) = &self.log {
            log.retain(self.environment.now());
        }
    }

    /// What the log has done so far, if there is one.
    pub(crate) fn log_stats(&self) -> Option<LogStats> {
        self.log.as_ref().map(DecisionLog::stats)
    }

    /// The revisions of a policy, if it is in force.
    fn entry(&self, policy: &str, hook: Hook) -> Result<Arc<Entry>, WampError> {
        self.library.get(policy).ok_or_else(|| {
            self.figures.not_loaded(policy, hook);
            let mut error = fault(
                crate::wire::uri::POLICY_FAILED,
                format!("the policy `{policy}` is not in force"),
            );
            error.kwargs = dict([("policy", text(policy)), ("code", text("not_loaded"))]);
            error
        })
    }

    /// Every rule with why it cannot work with the policies as they are loaded, where it cannot.
    pub(crate) fn problems(&self) -> Vec<(Rule, String)> {
        let rules = self.rules.load();
        let all = rules.prepared();
        all.filter_map(|prepared| Some((prepared.rule.clone(), self.problem(prepared)?)))
            .collect()
    }

    /// From now on no revision comes into force that could not serve every rule that names it.
    pub(crate) fn vet_revisions(self: &Arc<Self>) {
        let policies = Arc::downgrade(self);
        self.library.vet(move |revision| match policies.upgrade() {
            Some(policies) => policies.vet(revision),
            None => Ok(()),
        });
    }

    fn vet(&self, revision: &Revision) -> Result<(), String> {
        let rules = self.rules.load();
        let bound = rules
            .prepared()
            .filter(|prepared| prepared.rule.policy == revision.name());
        for prepared in bound {
            if let Some(problem) = prepared.problem_with(revision) {
                let hook = prepared.rule.hook.as_str();
                return Err(format!("a rule binds it to the hook `{hook}`, and {problem}"));
            }
        }
        Ok(())
    }

    fn problem(&self, prepared: &Prepared) -> Option<String> {
        match self.library.get(&prepared.rule.policy) {
            Some(entry) => prepared.problem_with(&entry.revision),
            None => {
                let (wanted, names) = (&prepared.rule.policy, self.library.names().join(", "));
                Some(format!(
                    "no policy `{wanted}` is loaded; `bourse policy deploy {wanted}.wasm` loads one (there are {names})"
                ))
            }
        }
    }

    /// Whether a rule names a policy.
    pub(crate) fn is_bound(&self, policy: &str) -> bool {
        self.rules.load().all().any(|rule| rule.policy == policy)
    }

    /// The hooks to which rules bind a policy, once for each.
    fn hooks_of(&self, policy: &str) -> Vec<&'static str> {
        let rules = self.rules.load();
        let bound = rules.all().filter(|rule| rule.policy == policy);
        bound.map(|rule| rule.hook.as_str()).collect()
    }
}

/// Why a rule could not work with `revision` as its policy, if it could not.
pub(crate) fn problem(rule: Rule, revision: Option<&Revision>) -> Option<String> {
    let prepared = match Prepared::new(rule) {
        Ok(prepared) => prepared,
        Err(error) => return Some(format!("{error:#}")),
    };
    match revision {
        Some(revision) => prepared.problem_with(revision),
        None => Some(format!(
            "there is no such policy yet: `bourse policy deploy {}.wasm` loads it into the running market",
            prepared.rule.policy
        )),
    }
}

impl Rules {
    /// Parses all of them.
    ///
    /// # Errors
    ///
    /// Which rule cannot be.
    pub(crate) fn prepare(rules: Vec<Rule>) -> anyhow::Result<Self> {
        let mut prepared = Self::default();
        for rule in rules {
            let rule = Arc::new(Prepared::new(rule)?);
            prepared.of(rule.rule.hook).push(rule);
        }
        Ok(prepared)
    }

    fn prepared(&self) -> impl Iterator<Item = &Prepared> {
        let Self {
            pricing,
            offers,
            consent,
        } = self;
        pricing.iter().chain(offers).chain(consent).map(Arc::as_ref)
    }

    fn all(&self) -> impl Iterator<Item = &Rule> {
        self.prepared().map(|prepared| &prepared.rule)
    }

    fn of(&mut self, hook: Hook) -> &mut Vec<Arc<Prepared>> {
        match hook {
            Hook::Pricing => &mut self.pricing,
            Hook::Offers => &mut self.offers,
            Hook::Consent => &mut self.consent,
        }
    }
}
