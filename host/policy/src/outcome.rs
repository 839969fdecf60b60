//! What a call leads to, after the host has checked the answer and put it within its bounds.

use crate::failure::{Failure, cut};
use crate::record::{Output, Record, Units};
use crate::state::StateChange;
use crate::wire;
use bourse_market::Amount;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Bytes of a refusal's text that reach a buyer.
pub const MAX_REFUSAL_TEXT: usize = 256;

/// What stands for a refusal's code that is not one.
pub const INVALID_CODE: &str = "invalid_code";

/// Characters of a refusal's code.
const MAX_CODE: usize = 32;

/// The bound that changed a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The policy asked less than the floor.
    Floor,
    /// The policy asked more than the cap.
    Cap,
}

/// A price that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// Within floor and cap.
    pub amount: Amount,
    /// Milliseconds for which it holds, at most what the request allowed.
    pub valid_ms: u32,
    /// The bound that changed the policy's own price.
    pub bounded: Option<Bound>,
}

/// The offers a buyer may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Indices into the batch of the kept offers, in the order to show them: first those that the policy ordered, then
    /// the other kept ones in the host's order.
    pub indices: Vec<u32>,
}

/// Why a hook gave no answer that lets things go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// The policy said no.
    #[error("refused ({code}): {text}")]
    Refused {
        /// `[a-z0-9_]{1,32}`.
        code: String,
        /// At most [`MAX_REFUSAL_TEXT`] bytes.
        text: String,
    },
    /// The policy failed.
    #[error("{0}")]
    Failed(#[from] Failure),
}

/// The outcome of a call, with its cost and its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided<T> {
    /// The answer, or why there is none.
    pub outcome: Result<T, Declined>,
    /// Fuel the call burned.
    pub fuel: u64,
    /// Wall-clock time it took.
    pub elapsed: Duration,
    /// Everything about it; [`Record::encode`] is the body of a `Decision`.
    pub record: Record,
    /// What is to change in the policy's state if a purchase comes of it, in order. Empty unless the outcome is good.
    pub changes: Vec<StateChange>,
}

/// The outcome of a pricing call.
pub type PriceDecision = Decided<Priced>;

/// Puts a policy's answer within the bounds of its request.
pub(crate) fn bounded(
    answer: Result<wire::Price, wire::Refusal>,
    floor: Amount,
    cap: Amount,
    max_valid_ms: u32,
) -> Output {
    let price = match answer {
        Ok(price) => price,
        Err(refusal) => return refusal_output(refusal),
    };
    if price.valid_ms == 0 {
        return Output::Failure(Failure::bad_output(
            "valid-ms is 0: a price must hold for at least one millisecond",
        ));
    }
    let asked = Amount::from(price.amount);
    let (amount, bounded) = if asked > cap {
        (cap, Some(Bound::Cap))
    } else if asked < floor {
        (floor, Some(Bound::Floor))
    } else {
        (asked, None)
    };
    Output::Price {
        asked: Units(asked),
        asked_valid_ms: price.valid_ms,
        amount: Units(amount),
        valid_ms: price.valid_ms.min(max_valid_ms),
        bounded,
    }
}

fn refusal_output(refusal: wire::Refusal) -> Output {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let valid = (1..=MAX_CODE).contains(&refusal.code.len()) && refusal.code.bytes().all(plain);
    Output::Refusal {
        code: if valid {
            refusal.code
        } else {
            INVALID_CODE.to_owned()
        },
        text: cut(refusal.text, MAX_REFUSAL_TEXT),
    }
}

/// Puts a plain yes or no in order.
pub(crate) fn plain(answer: Result<(), wire::Refusal>, yes: Output) -> Output {
    match answer {
        Ok(()) => yes,
        Err(refusal) => refusal_output(refusal),
    }
}

/// Checks a verdict over `count` offers. Bits past the last offer mean nothing.
pub(crate) fn shown(verdict: &wire::Verdict, count: u32) -> Output {
    let wire::Verdict { keep, order } = verdict;
    let expected = (count as usize).div_ceil(8);
    if keep.len() != expected {
        return Output::Failure(Failure::bad_output(format_args!(
            "`keep` has {} bytes: {count} offers need {expected}",
            keep.len()
        )));
    }
    // Offers that are kept and not yet in the answer.
    let mut left = keep.clone();
    let mut indices = Vec::with_capacity(count as usize);
    for index in order.iter().copied() {
        let bit = 1u8 << (index % 8);
        match left.get_mut(index as usize / 8) {
            Some(byte) if index < count && *byte & bit != 0 => *byte &= !bit,
            _ => {
                return Output::Failure(Failure::bad_output(format_args!(
                    "`order` holds {index}, which is {}",
                    if index >= count {
                        format!("not one of {count} offers")
                    } else if indices.contains(&index) {
                        "in it twice".to_owned()
                    } else {
                        "not kept".to_owned()
                    }
                )));
            }
        }
        indices.push(index);
    }
    for (at, byte) in left.into_iter().enumerate() {
        let mut byte = byte;
        while byte != 0 {
            let index = at as u32 * 8 + byte.trailing_zeros();
            if index < count {
                indices.push(index);
            }
            byte &= byte - 1;
        }
    }
    Output::Shown { indices }
}

/// What the host acts on: the good answer as `good` reads it, or why there is none.
pub(crate) fn outcome<T>(output: &Output, good: impl FnOnce(&Output) -> Option<T>) -> Result<T, Declined> {
    match output {
        Output::Refusal { code, text } => Err(Declined::Refused {
            code: code.clone(),
            text: text.clone(),
        }),
        Output::Failure(failure) => Err(Declined::Failed(failure.clone())),
        other => good(other)
            .ok_or_else(|| Declined::Failed(Failure::bad_output("it is the answer of another hook"))),
    }
}

/// The price in an output.
pub(crate) fn priced(output: &Output) -> Option<Priced> {
    match output {
        Output::Price {
            amount,
            valid_ms,
            bounded,
            ..
        } => Some(Priced {
            amount: amount.0,
            valid_ms: *valid_ms,
            bounded: *bounded,
        }),
        _ => None,
    }
}

/// Yes to an offer.
pub(crate) fn admitted(output: &Output) -> Option<()> {
    matches!(output, Output::Admitted).then_some(())
}

/// The offers in an output.
pub(crate) fn visible(output: &Output) -> Option<Shown> {
    match output {
        Output::Shown { indices } => Some(Shown {
            indices: indices.clone(),
        }),
        _ => None,
    }
}

/// Yes to a deal.
pub(crate) fn allowed(output: &Output) -> Option<()> {
    matches!(output, Output::Allowed).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(units: u128, valid_ms: u32) -> Output {
        let price = wire::Price {
            amount: Amount::from_units(units).into(),
            valid_ms,
        };
        bounded(Ok(price), Amount::from_units(10), Amount::from_units(20), 1000)
    }

    #[test]
    fn a_price_stays_between_floor_and_cap_and_says_what_moved_it() {
        for (asked, amount, bound) in [
            (0, 10, Some(Bound::Floor)),
            (9, 10, Some(Bound::Floor)),
            (10, 10, None),
            (15, 15, None),
            (20, 20, None),
            (21, 20, Some(Bound::Cap)),
            (u128::MAX, 20, Some(Bound::Cap)),
        ] {
            let priced = super::priced(&ask(asked, 5)).unwrap();
            assert_eq!(
                (priced.amount, priced.bounded),
                (Amount::from_units(amount), bound),
                "asked {asked}"
            );
        }
    }

    #[test]
    fn a_price_holds_at_most_as_long_as_allowed_and_never_for_no_time() {
        assert_eq!(priced(&ask(15, u32::MAX)).unwrap().valid_ms, 1000);
        assert_eq!(priced(&ask(15, 1)).unwrap().valid_ms, 1);
        assert_eq!(ask(15, 0).outcome(), "bad_output");
    }

    /// What a verdict must come to, told in the plainest way.
    fn expected(keep: &[u8], order: &[u32], count: u32) -> Option<Vec<u32>> {
        let kept = |index: u32| index < count && keep[index as usize / 8] >> (index % 8) & 1 == 1;
        let mut indices: Vec<u32> = Vec::new();
        for index in order.iter().copied() {
            if !kept(index) || indices.contains(&index) {
                return None;
            }
            indices.push(index);
        }
        let rest: Vec<u32> = (0..count)
            .filter(|index| kept(*index) && !indices.contains(index))
            .collect();
        indices.extend(rest);
        Some(indices)
    }

    proptest::proptest! {
        #[test]
        fn a_verdict_shows_what_is_kept_and_nothing_twice(
            keep in proptest::collection::vec(proptest::prelude::any::<u8>(), 3),
            order in proptest::collection::vec(0u32..26, 0..4),
            count in 17u32..=24,
        ) {
            let verdict = wire::Verdict { keep: keep.clone(), order: order.clone() };
            let output = shown(&verdict, count);
            match expected(&keep, &order, count) {
                Some(indices) => proptest::prop_assert_eq!(output, Output::Shown { indices }),
                None => proptest::prop_assert_eq!(output.outcome(), "bad_output"),
            }
        }
    }

    #[test]
    fn a_refusal_keeps_a_good_code_and_loses_a_bad_one() {
        let long = "x".repeat(33);
        let longest = "x".repeat(32);
        for (given, kept) in [
            ("too_hot", "too_hot"),
            ("404", "404"),
            (longest.as_str(), longest.as_str()),
            ("", INVALID_CODE),
            ("Too hot", INVALID_CODE),
            ("caf\u{e9}", INVALID_CODE),
            (long.as_str(), INVALID_CODE),
        ] {
            let refusal = wire::Refusal {
                code: given.to_owned(),
                text: "é".repeat(200),
            };
            let Output::Refusal { code, text } = refusal_output(refusal) else {
                panic!("not a refusal")
            };
            assert_eq!(code, kept);
            assert_eq!(text.len(), 256);
        }
    }
}
