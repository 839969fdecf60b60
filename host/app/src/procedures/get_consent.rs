//! `get_consent(…)`: what a member said last about a delegate and a catalog.

use super::Reply;
use crate::market::Market;
use crate::wire::{Arguments, carried_consent_dict, consent_dict, fault, invalid, reply, uri};
use bourse_market::View;
use bourse_market::outbox::{ConsentWord, IntentKey};
use bourse_market::registry::{ActorType, ConsentKey};
use bourse_wamp::Invocation;
use std::sync::Arc;

const ARGUMENTS: &[&str] = &[
    "market_oid",
    "member",
    "delegate",
    "delegate_type",
    "catalog_oid",
    "include_attributes",
];

pub(super) async fn get_consent(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, ARGUMENTS)?;
    let (of, member) = (arguments.required("market_oid")?, arguments.required("member")?);
    let delegate = arguments.required("delegate")?;
    let code: u64 = arguments.required("delegate_type")?;
    let key = ConsentKey {
        catalog: arguments.required("catalog_oid")?,
        member,
        delegate,
        delegate_type: ActorType::from_code(code).ok_or_else(|| {
            invalid(
                "delegate_type",
                format_args!("expected 1 (provider), 2 (consumer) or 3 (both), got {code}"),
            )
        })?,
        market: of,
    };
    let with_attributes = arguments.or("include_attributes", false)?;
    let found = market.read(|ledger| {
        let Some(consent) = ledger.consent_about(&key)? else {
            return Ok(None);
        };
        let carried = ledger.intent(&IntentKey::Consent(ConsentWord::of(&consent)))?;
        Ok(Some((consent, carried)))
    })?;
    let (consent, carried) = found.ok_or_else(|| {
        fault(
            uri::NO_SUCH_OBJECT,
            format!(
                "no consent of member {member} for delegate {delegate} and catalog {}",
                key.catalog
            ),
        )
    })?;
    Ok(reply(match carried {
        Some(intent) => carried_consent_dict(&consent, with_attributes, &intent),
        None => consent_dict(&consent, with_attributes),
    }))
}
