//! What a member says about a consent of its own, recorded and carried to the chain.
//!
//! Both are one write: what goes to the chain is what stands. The market maker pays for it, so that it is counted.

use super::outbox::{Line, check_place, on_chain};
use super::{Decided, register};
use crate::outbox::{CarryRequest, ConsentWord, Intent, IntentKey, Wanted};
use crate::registry::within;
use crate::{Change, Fault, Nanos, Outcome, Refusal, View};

/// Records what a member says, and the transaction that tells the chain. The very same again changes nothing.
pub(super) fn carry<V: View>(view: &V, request: &CarryRequest) -> Decided<V> {
    on_chain(view)?;
    let said = &request.said.consent;
    let (key, signer) = (said.key, request.signer);
    if signer != key.member {
        return Err(Refusal::WrongSigner {
            signer,
            expected: key.member,
        }
        .into());
    }
    within(
        "service_prefix",
        said.service_prefix.len(),
        CarryRequest::MAX_PREFIX,
        "bytes, to be carried to the chain",
    )?;
    let (mut changes, outcome) = register::say(view, &request.said)?;
    let consent = match outcome {
        Outcome::Consented(consent) => consent,
        other => return Ok((changes, other)),
    };
    let word = IntentKey::Consent(ConsentWord::of(said));
    let wanted = Wanted::consent(said, request.signature);
    if let Some(intent) = view.intent(&word).map_err(Fault::View)? {
        if intent.wanted != wanted {
            return Err(Refusal::CarriedOtherwise {
                member: key.member,
                signed_at: said.signed_at,
            }
            .into());
        }
        let intent = Box::new(intent);
        let outcome = Outcome::Carried {
            consent,
            intent,
            again: true,
        };
        return Ok((changes, outcome));
    }
    check_limits(view, request)?;
    let mut line = Line::of(view, said.at)?;
    let intent = Box::new(line.give(word, wanted, request.gas)?);
    changes.push(Change::Intent(intent.clone()));
    changes.push(Change::NonceLine(line.line));
    let outcome = Outcome::Carried {
        consent,
        intent,
        again: false,
    };
    Ok((changes, outcome))
}

/// What is under way at a time, and what was carried within a day.
fn check_limits<V: View>(view: &V, request: &CarryRequest) -> Result<(), Fault<V::Error>> {
    let unfinished = check_place(view, 1, Intent::MAX_UNFINISHED_ASKED)?;
    let consents = unfinished.iter().filter(|intent| intent.carries().is_some());
    let unfinished = consents.count();
    if unfinished >= Intent::MAX_UNFINISHED_CONSENTS {
        return Err(Refusal::CarriedAtATime {
            unfinished,
            most: Intent::MAX_UNFINISHED_CONSENTS,
        }
        .into());
    }
    let said = &request.said.consent;
    let since = Nanos(said.at.0.saturating_sub(CarryRequest::PERIOD));
    let carried = view.carried_since(since).map_err(Fault::View)?;
    let all = carried.len() as u64;
    let of_member = carried.iter().filter(|member| **member == said.key.member);
    let of_member = of_member.count() as u64;
    for (carried, most, whose) in [
        (of_member, request.limits.member, "of this member"),
        (all, request.limits.all, "of all members"),
    ] {
        if carried >= most {
            return Err(Refusal::CarriedEnough { carried, most, whose }.into());
        }
    }
    Ok(())
}
