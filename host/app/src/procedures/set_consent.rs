//! `set_consent(…)`: a member lets a delegate use a catalog of APIs, or no longer, by its signature.

use super::{Reply, member};
use crate::market::Market;
use crate::outbox::carry::carry;
use crate::wire::{
    Arguments, FromValue, Label, carried_consent_dict, consent_dict, describe, invalid, of_settlement, reply,
    unexpected,
};
use bourse_chain::{SetConsent, SettlementError};
use bourse_market::registry::Attributes;
use bourse_market::{Command, Outcome, Signature, View};
use bourse_wamp::{Dict, Invocation, Value, WampError};
use std::sync::Arc;

const ARGUMENTS: &[&str] = &[
    "member_adr",
    "market_oid",
    "verifying_chain_id",
    "current_block_number",
    "verifying_contract_adr",
    "delegate",
    "delegate_type",
    "catalog_oid",
    "consent",
    "service_prefix",
    "signature",
    "attributes",
    "contract_signature",
];

pub(super) async fn set_consent(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let login = member(&market, &invocation)?;
    let mut arguments = Arguments::of(&mut invocation, ARGUMENTS)?;
    let request = SetConsent {
        member: arguments.required("member_adr")?,
        market: arguments.required("market_oid")?,
        chain_id: arguments.required("verifying_chain_id")?,
        signed_at: arguments.required("current_block_number")?,
        verifying_contract: arguments.required("verifying_contract_adr")?,
        delegate: arguments.required("delegate")?,
        delegate_type: arguments.required("delegate_type")?,
        catalog: arguments.required("catalog_oid")?,
        granted: arguments.required("consent")?,
        service_prefix: arguments.required("service_prefix")?,
        signature: arguments.required("signature")?,
        attributes: parse_attributes(arguments.or("attributes", Dict::new())?)?,
        login,
    };
    // Over the contract's form of the same: with it the consent goes to the chain.
    let to_chain: Option<Signature> = arguments.optional("contract_signature")?;
    let (desk, at) = (Arc::clone(&market), market.now());
    let verify = move || {
        let said = desk.settlement.set_consent(&request, at)?;
        let signed = match to_chain {
            None => None,
            Some(signature) => Some((signature, desk.settlement.carry_consent(&request, &signature)?)),
        };
        Ok::<_, SettlementError>((said, signed))
    };
    let (request, to_chain) = market.workers.run(verify).await?.map_err(of_settlement)?;
    if let (Some(signed), Some(outbox)) = (to_chain, &market.outbox) {
        let (consent, intent) = carry(&market, outbox, request, signed).await?;
        return Ok(reply(carried_consent_dict(&consent, true, &intent)));
    }
    // Ending one that stands is promised even where nothing new has room.
    let consent = &request.consent;
    let ends = !consent.granted
        && market
            .read(|ledger| ledger.consent(&consent.id))?
            .is_some_and(|standing| standing.granted);
    let command = match ends {
        true => Command::Withdraw(Box::new(request)),
        false => Command::Consent(Box::new(request)),
    };
    match market.submit(command).await? {
        Outcome::Consented(consent) => Ok(reply(consent_dict(&consent, true))),
        other => Err(unexpected(&other)),
    }
}

/// `{title, description, tags}`, each optional, and labels of any other name.
fn parse_attributes(mut given: Dict) -> Result<Attributes, WampError> {
    let tags: Vec<Value> = part(&mut given, "tags")?.unwrap_or_default();
    let mut attributes = Attributes {
        title: part(&mut given, "title")?.unwrap_or_default(),
        description: part(&mut given, "description")?.unwrap_or_default(),
        tags: tags.into_iter().map(tag).collect::<Result<_, _>>()?,
        ..Attributes::default()
    };
    attributes.tags.sort();
    attributes.tags.dedup();
    for (name, value) in given {
        let Label(value) = Label::of(value).map_err(|got| {
            invalid(
                "attributes",
                format_args!("{name:.40}: expected a string, an integer or a boolean, got {got}"),
            )
        })?;
        attributes.labels.insert(name, value);
    }
    Ok(attributes)
}

fn part<T: FromValue>(given: &mut Dict, name: &str) -> Result<Option<T>, WampError> {
    match given.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => expect(name, value).map(Some),
    }
}

fn tag(value: Value) -> Result<String, WampError> {
    expect("tags", value)
}

fn expect<T: FromValue>(name: &str, value: Value) -> Result<T, WampError> {
    let got = describe(&value);
    T::from_value(value).ok_or_else(|| {
        invalid(
            "attributes",
            format_args!("{name}: expected {}, got {got}", T::EXPECTED),
        )
    })
}
