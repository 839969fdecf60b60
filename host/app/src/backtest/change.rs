//! What differs between two answers to the same question.

use bourse_policy::{Input, Output};
use serde::Serialize;

/// What became of an answer. The order is that of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// Nothing.
    Same,
    /// The price is higher.
    Dearer,
    /// The price is lower.
    Cheaper,
    /// The price is the same; it holds longer or shorter, or another bound made it.
    OtherTerms,
    /// Refused where it was not.
    NowRefused,
    /// No longer refused.
    NowAllowed,
    /// Refused as before, with another code or text.
    OtherReason,
    /// Failed where it did not.
    NowFails,
    /// No longer fails.
    NoLongerFails,
    /// Fails as before, in another way.
    OtherFailure,
    /// Other offers are shown.
    OtherOffers,
    /// The same offers are shown in another order.
    OtherOrder,
}

impl Change {
    /// The words for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Dearer => "dearer",
            Self::Cheaper => "cheaper",
            Self::OtherTerms => "same price, other terms",
            Self::NowRefused => "now refused",
            Self::NowAllowed => "no longer refused",
            Self::OtherReason => "refused for another reason",
            Self::NowFails => "now fails",
            Self::NoLongerFails => "no longer fails",
            Self::OtherFailure => "fails in another way",
            Self::OtherOffers => "other offers shown",
            Self::OtherOrder => "shown in another order",
        }
    }

    /// What became of `old`.
    pub(crate) fn between(old: &Output, new: &Output) -> Self {
        if old == new {
            return Self::Same;
        }
        match (old, new) {
            (Output::Failure(_), Output::Failure(_)) => Self::OtherFailure,
            (Output::Failure(_), _) => Self::NoLongerFails,
            (_, Output::Failure(_)) => Self::NowFails,
            (Output::Refusal { .. }, Output::Refusal { .. }) => Self::OtherReason,
            (Output::Refusal { .. }, _) => Self::NowAllowed,
            (_, Output::Refusal { .. }) => Self::NowRefused,
            (Output::Price { amount: old, .. }, Output::Price { amount: new, .. }) => match new.cmp(old) {
                core::cmp::Ordering::Greater => Self::Dearer,
                core::cmp::Ordering::Less => Self::Cheaper,
                core::cmp::Ordering::Equal => Self::OtherTerms,
            },
            (Output::Shown { indices: old }, Output::Shown { indices: new }) => {
                let sorted = |indices: &[u32]| {
                    let mut indices = indices.to_vec();
                    indices.sort_unstable();
                    indices
                };
                if sorted(old) == sorted(new) {
                    Self::OtherOrder
                } else {
                    Self::OtherOffers
                }
            }
            // Answers to different questions, which no record holds.
            _ => Self::OtherTerms,
        }
    }
}

/// The function that was asked.
pub(crate) fn function(input: &Input) -> &'static str {
    match input {
        Input::Pricing(_) => "pricing.quote",
        Input::Admit(_) => "offers.admit",
        Input::Filter(_) => "offers.filter",
        Input::Consent(_) => "consent.authorize",
    }
}

/// An answer in a few words.
pub(crate) fn words(output: &Output) -> String {
    match output {
        Output::Price { amount, bounded, .. } => match bounded {
            None => amount.0.to_string(),
            Some(bourse_policy::Bound::Floor) => format!("{} (floor)", amount.0),
            Some(bourse_policy::Bound::Cap) => format!("{} (cap)", amount.0),
        },
        Output::Refusal { code, .. } => format!("refused: {}", super::text::plain(code)),
        Output::Failure(failure) => format!("failed: {}", failure.code()),
        Output::Admitted => "admitted".to_owned(),
        Output::Allowed => "allowed".to_owned(),
        Output::Shown { indices } => format!("{} shown", indices.len()),
    }
}

/// Whether an answer lets things go on.
pub(crate) fn is_good(output: &Output) -> bool {
    !matches!(output, Output::Refusal { .. } | Output::Failure(_))
}

/// Whether what was decided so still lets a purchase happen: an offer that is hidden cannot be bought.
pub(crate) fn sells(output: &Output) -> bool {
    match output {
        Output::Shown { indices } => !indices.is_empty(),
        output => is_good(output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_market::Amount;
    use bourse_policy::{Failure, Units};

    fn price(units: u128, valid_ms: u32) -> Output {
        Output::Price {
            asked: Units(Amount::from_units(units)),
            asked_valid_ms: valid_ms,
            amount: Units(Amount::from_units(units)),
            valid_ms,
            bounded: None,
        }
    }

    fn refusal(code: &str) -> Output {
        Output::Refusal {
            code: code.to_owned(),
            text: String::new(),
        }
    }

    fn shown(indices: &[u32]) -> Output {
        Output::Shown {
            indices: indices.to_vec(),
        }
    }

    #[test]
    fn every_pair_of_answers_has_a_word_for_what_became_of_it() {
        let busy = Output::Failure(Failure::Busy);
        let overflow = Output::Failure(Failure::StackOverflow);
        for (old, new, change) in [
            (price(5, 1), price(5, 1), Change::Same),
            (price(5, 1), price(6, 1), Change::Dearer),
            (price(5, 1), price(4, 1), Change::Cheaper),
            (price(5, 1), price(5, 2), Change::OtherTerms),
            (price(5, 1), refusal("a"), Change::NowRefused),
            (refusal("a"), Output::Allowed, Change::NowAllowed),
            (refusal("a"), refusal("b"), Change::OtherReason),
            (Output::Admitted, overflow.clone(), Change::NowFails),
            (overflow.clone(), refusal("a"), Change::NoLongerFails),
            (overflow, busy, Change::OtherFailure),
            (shown(&[0, 1]), shown(&[1, 0]), Change::OtherOrder),
            (shown(&[0, 1]), shown(&[0, 2]), Change::OtherOffers),
        ] {
            assert_eq!(Change::between(&old, &new), change, "{old:?} {new:?}");
        }
        assert!(sells(&price(1, 1)) && sells(&shown(&[0])) && !sells(&shown(&[])) && !sells(&refusal("a")));
    }
}
