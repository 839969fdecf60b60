//! `[[policies.rule]]`: which policy decides about which offers, with which bounds.

use anyhow::{Context, ensure};
use bourse_market::{Amount, Offer, Price};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One rule. Every selector that is given must match; none given matches all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which decision it is about.
    pub hook: Hook,
    /// The policy's name: the stem of its file.
    pub policy: String,
    /// Parameters for the policy; the seller's own are laid over them.
    #[serde(default)]
    pub params: toml::Table,
    /// Dynamic offers only, or fixed prices too.
    #[serde(default)]
    pub applies_to: AppliesTo,
    /// Only this API: 32 hex digits.
    pub api: Option<String>,
    /// Only this catalog: 32 hex digits.
    pub catalog: Option<String>,
    /// Only offers whose URI starts so.
    pub uri: Option<String>,
    /// Only offers that carry all these categories.
    #[serde(default)]
    pub category: BTreeMap<String, String>,
    /// Only this seller's delegate: `0x` and 40 hex digits.
    pub seller: Option<String>,
    /// What happens when the policy fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Tokens asked when the policy fails and `on_failure = "fallback-price"`; a fixed price needs none.
    pub fallback_price: Option<String>,
    /// What the policy may use up, and how far its prices may go.
    #[serde(default)]
    pub limits: RuleLimits,
    /// Imports the policy may call.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// Which decision a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// The price of a key.
    Pricing,
}

/// Which offers a pricing rule covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppliesTo {
    /// Offers placed without a price.
    #[default]
    Dynamic,
    /// Offers with a fixed price as well: it becomes the base and, unless `limits.floor` says otherwise, the floor.
    All,
}

/// What happens when a policy traps, runs too long or answers nonsense.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// No price: the buyer gets `bourse.error.policy_failed`.
    #[default]
    Refuse,
    /// The fixed price, or `fallback_price`.
    FallbackPrice,
}

/// An import that a rule may grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// Sales and demand in a window, read-only.
    Market,
}

/// Bounds on one call and on its answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleLimits {
    /// Units of fuel for one call.
    pub fuel: Option<u64>,
    /// Milliseconds for one call.
    pub deadline_ms: Option<u64>,
    /// Lowest price in tokens.
    pub floor: Option<String>,
    /// Highest price in tokens.
    pub cap: Option<String>,
    /// Longest validity of a quote in milliseconds; 30 000 at most.
    pub max_valid_ms: Option<u32>,
}

impl Rule {
    /// What holds without any rule: `surge` prices dynamic offers.
    pub fn default_pricing() -> Self {
        Self {
            hook: Hook::Pricing,
            policy: "surge".to_owned(),
            params: toml::Table::new(),
            applies_to: AppliesTo::Dynamic,
            api: None,
            catalog: None,
            uri: None,
            category: BTreeMap::new(),
            seller: None,
            on_failure: OnFailure::Refuse,
            fallback_price: None,
            limits: RuleLimits::default(),
            grants: vec![Grant::Market],
        }
    }

    /// Whether the rule is about `offer`.
    pub fn covers(&self, offer: &Offer) -> bool {
        let selects = |wanted: &Option<String>, hex: &dyn std::fmt::Display| match wanted {
            None => true,
            Some(wanted) => same_hex(wanted, &hex.to_string()),
        };
        (self.applies_to == AppliesTo::All || offer.price == Price::Dynamic)
            && selects(&self.api, &offer.api)
            && selects(&self.seller, &offer.seller)
            && match (&self.catalog, &offer.catalog) {
                (None, _) => true,
                (Some(wanted), Some(catalog)) => same_hex(wanted, &catalog.to_string()),
                (Some(_), None) => false,
            }
            && self
                .uri
                .as_deref()
                .is_none_or(|prefix| offer.uri.starts_with(prefix))
            && self
                .category
                .iter()
                .all(|(key, value)| offer.categories.get(key) == Some(value))
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (name, value, digits) in [
            ("api", &self.api, 32),
            ("catalog", &self.catalog, 32),
            ("seller", &self.seller, 40),
        ] {
            if let Some(value) = value {
                let bare = bare_hex(value);
                ensure!(
                    bare.len() == digits && bare.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{name} is `{value}`: expected {digits} hex digits"
                );
            }
        }
        let floor = self.floor()?;
        let cap = self.cap()?;
        if let (Some(floor), Some(cap)) = (floor, cap) {
            ensure!(
                floor <= cap,
                "limits.floor is {floor}, above limits.cap, which is {cap}"
            );
        }
        self.fallback()?;
        ensure!(
            self.on_failure == OnFailure::Refuse
                || self.fallback_price.is_some()
                || self.applies_to == AppliesTo::All,
            "on_failure = \"fallback-price\" needs a fallback_price in tokens, such as \"0.5\""
        );
        Ok(())
    }

    /// The lowest price of the rule.
    pub(crate) fn floor(&self) -> anyhow::Result<Option<Amount>> {
        tokens("limits.floor", self.limits.floor.as_deref())
    }

    /// The highest price of the rule.
    pub(crate) fn cap(&self) -> anyhow::Result<Option<Amount>> {
        tokens("limits.cap", self.limits.cap.as_deref())
    }

    /// The price that stands in for a failed policy.
    pub(crate) fn fallback(&self) -> anyhow::Result<Option<Amount>> {
        tokens("fallback_price", self.fallback_price.as_deref())
    }
}

fn tokens(name: &'static str, value: Option<&str>) -> anyhow::Result<Option<Amount>> {
    value
        .map(|text| Amount::parse_tokens(text).context(name))
        .transpose()
}

fn bare_hex(text: &str) -> String {
    text.strip_prefix("0x").unwrap_or(text).replace('-', "")
}

fn same_hex(left: &str, right: &str) -> bool {
    bare_hex(left).eq_ignore_ascii_case(&bare_hex(right))
}
