//! `[[policies.rule]]`: which policy decides about which offers, with which bounds.

use super::check::Faults;
use anyhow::{Context, bail, ensure};
use bourse_market::{Address, Amount, ApiId, CatalogId, Offer, Price};
use bourse_policy::{Hook, Import, Instances};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The most bytes of parameters a policy is given.
pub(crate) const PARAMS_BYTES: usize = 4096;

/// One rule. Every selector that is given must match; none given matches all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which decision it is about. For prices the first rule that covers an offer decides; of the others all are asked.
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
    #[serde(default, with = "text", skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
    /// Only this catalog: 32 hex digits.
    #[serde(default, with = "text", skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogId>,
    /// Only offers whose URI starts so.
    pub uri: Option<String>,
    /// Only offers that carry all these categories.
    #[serde(default)]
    pub category: BTreeMap<String, String>,
    /// Only this seller's delegate: `0x` and 40 hex digits.
    #[serde(default, with = "text", skip_serializing_if = "Option::is_none")]
    pub seller: Option<Address>,
    /// What happens when the policy fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Tokens asked when the policy fails and `on_failure = "fallback-price"`; a fixed price needs none.
    #[serde(default, deserialize_with = "tokens_as_text")]
    pub fallback_price: Option<String>,
    /// What the policy may use up, and how far its prices may go.
    #[serde(default)]
    pub limits: RuleLimits,
    /// Imports the policy may call.
    #[serde(default)]
    pub grants: Vec<Import>,
    /// Another policy that is asked beside this one: its answers are logged and compared, never used.
    pub shadow: Option<String>,
    /// Whether each call gets an instance of its own.
    #[serde(default)]
    pub instances: Instances,
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

/// Bounds on one call and on its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleLimits {
    /// Units of fuel for one call.
    pub fuel: Option<u64>,
    /// Milliseconds for one call.
    pub deadline_ms: Option<u64>,
    /// Bytes of memory for one call; 64 MiB at most. Policies in JavaScript need 16 MiB.
    pub memory: Option<usize>,
    /// Lowest price in tokens.
    #[serde(deserialize_with = "tokens_as_text")]
    pub floor: Option<String>,
    /// Highest price in tokens.
    #[serde(deserialize_with = "tokens_as_text")]
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
            grants: vec![Import::Market],
            shadow: None,
            instances: Instances::Fresh,
        }
    }

    /// Whether the rule is about `offer`.
    pub fn covers(&self, offer: &Offer) -> bool {
        let kind =
            self.hook != Hook::Pricing || self.applies_to == AppliesTo::All || offer.price == Price::Dynamic;
        kind && self.api.is_none_or(|api| api == offer.api)
            && self.seller.is_none_or(|seller| seller == offer.seller)
            && self.catalog.is_none_or(|catalog| Some(catalog) == offer.catalog)
            && self
                .uri
                .as_deref()
                .is_none_or(|prefix| offer.uri.starts_with(prefix))
            && self
                .category
                .iter()
                .all(|(key, value)| offer.categories.get(key) == Some(value))
    }

    /// Whether it is about every offer of an API, whatever else the offers are like.
    pub(crate) fn covers_all_of(&self, api: &ApiId) -> bool {
        let narrower = self.seller.is_some()
            || self.catalog.is_some()
            || self.uri.as_deref().is_some_and(|prefix| !prefix.is_empty())
            || !self.category.is_empty();
        !narrower && self.api.is_none_or(|own| own == *api)
    }

    /// What of it makes no sense, by its keys.
    pub(super) fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        if self.hook != Hook::Pricing {
            let priced = [
                ("applies_to", self.applies_to != AppliesTo::default()),
                (
                    "on_failure = \"fallback-price\"",
                    self.on_failure != OnFailure::Refuse,
                ),
                ("fallback_price", self.fallback_price.is_some()),
                ("limits.floor", self.limits.floor.is_some()),
                ("limits.cap", self.limits.cap.is_some()),
                ("limits.max_valid_ms", self.limits.max_valid_ms.is_some()),
            ];
            for (key, set) in priced {
                let place = key.split(' ').next().unwrap_or(key);
                faults.unless(!set, place, || {
                    let hook = self.hook.as_str();
                    format!("{key} is for prices: leave it out where hook = \"{hook}\", whose failure always refuses")
                });
            }
        }
        let (floor, cap) = (self.floor(), self.cap());
        if let (Ok(Some(floor)), Ok(Some(cap))) = (&floor, &cap) {
            faults.unless(floor <= cap, "limits.floor", || {
                format!("limits.floor is {floor}, above limits.cap, which is {cap}")
            });
        }
        faults.check("params", self.params().map(drop));
        faults.check("limits.floor", floor.map(drop));
        faults.check("limits.cap", cap.map(drop));
        faults.check("fallback_price", self.fallback().map(drop));
        let stands_in = self.on_failure == OnFailure::Refuse
            || self.fallback_price.is_some()
            || self.applies_to == AppliesTo::All;
        faults.unless(
            stands_in,
            "on_failure",
            || "on_failure = \"fallback-price\" needs a fallback_price in tokens, such as \"0.5\"",
        );
        faults
    }

    /// The parameters as a policy is given them: a JSON object, and its text.
    pub(crate) fn params(&self) -> anyhow::Result<(serde_json::Map<String, serde_json::Value>, String)> {
        let value = serde_json::to_value(&self.params).context("params are no JSON object")?;
        let text = value.to_string();
        ensure!(
            text.len() <= PARAMS_BYTES,
            "params take {} bytes as JSON, at most {PARAMS_BYTES} are passed to a policy",
            text.len()
        );
        match value {
            serde_json::Value::Object(params) => Ok((params, text)),
            _ => bail!("params are no table"),
        }
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

/// Tokens as people write them: whole ones plainly or in quotes, fractions in quotes alone, since a float is inexact.
fn tokens_as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected tokens, such as 35, or \"0.5\" with its quotes"
    )]
    enum Tokens {
        Whole(u64),
        Text(String),
    }
    Ok(Some(match Tokens::deserialize(deserializer)? {
        Tokens::Whole(tokens) => tokens.to_string(),
        Tokens::Text(text) => text,
    }))
}

/// An identifier as people write it.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(
        id: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_once_and_written_back() {
        let text = r#"
            hook = "pricing"
            policy = "surge"
            api = "da38afed-caa2-4c45-a165-a6b1ab0b1715"
            seller = "0x6B02FC4582a1CaB3d0B42df4bC001FD7172d71ed"
        "#;
        let rule: Rule = toml::from_str(text).unwrap();
        assert_eq!(rule.catalog, None);
        let again: Rule = toml::from_str(&toml::to_string(&rule).unwrap()).unwrap();
        assert_eq!((again.api, again.seller), (rule.api, rule.seller));
        assert!(rule.api.is_some() && rule.seller.is_some());
    }

    #[test]
    fn tokens_need_quotes_only_where_they_are_fractions() {
        let rule = |limits: &str| {
            toml::from_str::<Rule>(&format!(
                "hook = \"pricing\"\npolicy = \"surge\"\nlimits = {{ {limits} }}"
            ))
        };
        let both = rule("floor = \"0.5\", cap = 100").unwrap();
        assert_eq!(both.floor().unwrap(), Some(Amount::parse_tokens("0.5").unwrap()));
        assert_eq!(both.cap().unwrap(), Some(Amount::from_tokens(100)));
        for wrong in ["cap = 0.5", "cap = -1", "cap = true"] {
            let text = rule(wrong).unwrap_err().to_string();
            assert!(text.contains("such as 35, or \"0.5\" with its quotes"), "{text}");
        }
    }

    #[test]
    fn a_selector_that_is_no_identifier_is_named() {
        let error =
            toml::from_str::<Rule>("hook = \"pricing\"\npolicy = \"surge\"\nseller = \"0x12\"").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("expected an address as 40 hex digits"), "{text}");
    }
}
