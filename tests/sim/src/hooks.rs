//! The policies that decide in a run who sees an offer and who buys how much, and what its sales must be like then.
//!
//! A seed's number says which are in force, so that its dice fall as they do without.

use bourse_app::config::{Grant, Hook, Rule, RuleLimits};
use bourse_market::Nanos;
use std::time::Duration;

/// The label that the filter looks at.
pub const LABEL: &str = "grade";
/// The value that it lets in.
pub const GOOD: &str = "good";
/// One that it does not.
pub const POOR: &str = "poor";
/// How long it shows an offer.
pub const SHOWN: Duration = Duration::from_secs(40);
/// Keys that a buyer gets in a period.
pub const QUOTA: usize = 3;
/// The period: the shortest that the policy takes.
pub const PERIOD: Duration = Duration::from_secs(60);
/// From the moment a policy is asked to the purchase's record: as long as a purchase may take.
pub const LAG: Duration = Duration::from_secs(10);

/// What is in force beside the prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InForce {
    /// `quality-filter` hides offers.
    pub filter: bool,
    /// `quota` refuses buyers.
    pub quota: bool,
}

impl InForce {
    /// Of four seeds, one has a filter, one a consent policy, one both and one neither.
    pub fn of(seed: u64) -> Self {
        Self {
            filter: seed & 1 == 1,
            quota: seed & 2 == 2,
        }
    }

    /// The rules that the configuration has for them.
    pub fn rules(self, limits: &RuleLimits) -> impl Iterator<Item = Rule> {
        let filter = || Rule {
            hook: Hook::Offers,
            policy: "quality-filter".to_owned(),
            params: params(&format!(
                "labels = [{{ name = '{LABEL}', any_of = ['{GOOD}'] }}]\nmax_age_ms = {}",
                SHOWN.as_millis()
            )),
            grants: Vec::new(),
            limits: limits.clone(),
            ..Rule::default_pricing()
        };
        let quota = || Rule {
            hook: Hook::Consent,
            policy: "quota".to_owned(),
            params: params(&format!("keys = {QUOTA}\nperiod_ms = {}", PERIOD.as_millis())),
            grants: vec![Grant::State],
            limits: limits.clone(),
            ..Rule::default_pricing()
        };
        let rules = [self.filter.then(filter), self.quota.then(quota)];
        rules.into_iter().flatten()
    }
}

/// So much later.
pub fn after(moment: Nanos, wait: Duration) -> Nanos {
    moment.plus_millis(u64::try_from(wait.as_millis()).unwrap())
}

fn params(text: &str) -> toml::Table {
    text.parse().unwrap()
}
