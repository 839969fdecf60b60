//! `quality-filter`: offers must carry the labels that the market asks for, with values that are good enough.
//!
//! A seller whose offer lacks one is told so when it places the offer; an offer that got in earlier, or has become too
//! old, is hidden. Labels are the seller's own word. It asks the host nothing, so its rule needs no grant. README.md
//! beside this crate has the parameters.

mod number;
mod wanted;

pub use number::Number;

use bourse::{AdmitRequest, Batch, FilterRequest, OfferView, Refusal, Verdict};
use std::cmp::Reverse;
use wanted::{Values, Wanted};

/// The policy.
pub struct QualityFilter;

/// What the operator may set.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Params {
    /// Labels that every offer must carry, 8 at most.
    pub labels: Vec<Label>,
    /// Whether every offer must name the catalog that lists its API.
    #[param(default = false)]
    pub catalog: bool,
    /// How long an offer is shown after it was placed, in milliseconds; unset shows it to its end.
    #[param(min = 1)]
    pub max_age_ms: Option<u64>,
    /// The label by whose number the offers are ordered, the greatest first; unset leaves the host's order.
    pub best_by: Option<String>,
}

/// A label that every offer must carry.
#[derive(Debug, Clone, PartialEq, Eq, bourse::Params)]
pub struct Label {
    /// Its name.
    #[param(required)]
    pub name: String,
    /// Values that will do; none named, any will.
    pub any_of: Vec<String>,
    /// The least that its number may be; unset, it need not be a number.
    pub at_least: Option<Number>,
    /// The most that its number may be; unset, it need not be a number.
    pub at_most: Option<Number>,
}

/// Labels that one rule may ask for.
const MAX_LABELS: usize = 8;

/// What is wrong with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault<'a> {
    Catalog,
    Missing(&'a Label),
    NotOneOf(&'a Label),
    NoNumber(&'a Label),
    OutOfRange(&'a Label),
}

impl Label {
    fn fault(&self, value: Option<&[u8]>) -> Option<Fault<'_>> {
        let Some(value) = value else {
            return Some(Fault::Missing(self));
        };
        if !self.any_of.is_empty() && !self.any_of.iter().any(|one| one.as_bytes() == value) {
            return Some(Fault::NotOneOf(self));
        }
        if self.at_least.is_none() && self.at_most.is_none() {
            return None;
        }
        let Some(number) = Number::read(value) else {
            return Some(Fault::NoNumber(self));
        };
        let outside = self.at_least.is_some_and(|least| number < least)
            || self.at_most.is_some_and(|most| number > most);
        outside.then_some(Fault::OutOfRange(self))
    }
}

impl Params {
    fn check(&self) -> Result<(), Refusal> {
        let labels = self.labels.len();
        if labels > MAX_LABELS {
            return Err(Refusal::params(format!(
                "labels has {labels}: expected at most {MAX_LABELS}"
            )));
        }
        match self.labels.iter().find(
            |label| matches!((label.at_least, label.at_most), (Some(least), Some(most)) if least > most),
        ) {
            Some(label) => Err(Refusal::params(format!(
                "the label {} has at_least above at_most: no number is both",
                label.name
            ))),
            None => Ok(()),
        }
    }

    /// The first thing that is wrong with an offer, by its catalog and the values of the labels that are wanted.
    fn fault(&self, catalog: bool, values: &Values<'_>) -> Option<Fault<'_>> {
        if self.catalog && !catalog {
            return Some(Fault::Catalog);
        }
        self.labels
            .iter()
            .zip(values)
            .find_map(|(label, value)| label.fault(*value))
    }
}

impl Fault<'_> {
    fn refusal(self, value: impl Fn(&str) -> Option<String>) -> Refusal {
        let has = |label: &Label| {
            format!(
                "the label {} is `{}`",
                label.name,
                value(&label.name).unwrap_or_default()
            )
        };
        match self {
            Self::Catalog => Refusal::new(
                "no_catalog",
                "the offer names no catalog: this market asks for one",
            ),
            Self::Missing(label) => Refusal::new(
                "label_missing",
                format!("the offer has no label {}: this market asks for it", label.name),
            ),
            Self::NotOneOf(label) => Refusal::new(
                "label_not_accepted",
                format!("{}: expected one of {}", has(label), label.any_of.join(", ")),
            ),
            Self::NoNumber(label) => Refusal::new(
                "label_no_number",
                format!("{}: expected a number such as 97.5", has(label)),
            ),
            Self::OutOfRange(label) => {
                let bounds = match (label.at_least, label.at_most) {
                    (Some(least), Some(most)) => format!("{least} to {most}"),
                    (Some(least), None) => format!("at least {least}"),
                    (None, Some(most)) => format!("at most {most}"),
                    (None, None) => String::new(),
                };
                Refusal::new("label_out_of_range", format!("{}: expected {bounds}", has(label)))
            }
        }
    }
}

/// Offers must carry the labels that the market asks for, with values that are good enough.
#[bourse::policy]
impl QualityFilter {
    /// Refuses an offer that would be hidden, and says why.
    ///
    /// # Errors
    ///
    /// A code for each thing that can be wrong, which README.md lists.
    pub fn admit(request: &AdmitRequest<Params>) -> Result<(), Refusal> {
        let (params, offer) = (&request.params, &request.offer);
        params.check()?;
        let labels = offer
            .categories
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let values = Wanted::of(params).values(labels);
        match params.fault(offer.catalog.is_some(), &values) {
            Some(fault) => Err(fault.refusal(|name| offer.category(name).map(str::to_owned))),
            None => Ok(()),
        }
    }

    /// Hides what is not good enough or too old. A rule that makes no sense shows nothing.
    pub fn filter(request: &FilterRequest<Params>, offers: &Batch<'_>) -> Verdict {
        let params = &request.params;
        if params.check().is_err() {
            return Verdict::none(offers.len());
        }
        let fresh = |offer: &OfferView<'_>| {
            params.max_age_ms.is_none_or(|max| {
                let age = request.now.since(offer.placed_at()).as_millis();
                age <= u128::from(max)
            })
        };
        let wanted = Wanted::of(params);
        let mut best: Vec<(Option<Number>, usize)> = Vec::new();
        let mut verdict = Verdict::none(offers.len());
        for (index, offer) in offers.iter().enumerate().filter(|(_, offer)| fresh(offer)) {
            let values = wanted.values(offer.categories().pairs());
            if params.fault(offer.catalog().is_some(), &values).is_some() {
                continue;
            }
            verdict.keep(index);
            if params.best_by.is_some() {
                best.push((
                    values
                        .get(params.labels.len())
                        .copied()
                        .flatten()
                        .and_then(Number::read),
                    index,
                ));
            }
        }
        // Equal ones, and those without a number at the end, stay in the host's order.
        best.sort_unstable_by_key(|(number, index)| (Reverse(*number), *index));
        verdict.order(best.iter().map(|(_, index)| *index));
        verdict
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
