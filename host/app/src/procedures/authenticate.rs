//! `authenticator.authenticate(realm, authid, details)`: a router asks whom it may let in a client as.

use super::Reply;
use crate::authenticator::{decide, parse};
use crate::market::Market;
use crate::wire::{Arguments, describe, dict, reply, text, unfit};
use bourse_wamp::{Dict, Invocation, Value};
use std::sync::Arc;

/// The one method of login that the market answers for.
const METHOD: &str = "cryptosign";

pub(super) async fn authenticate(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["realm", "authid", "details"])?;
    // A client may leave both to its router.
    let realm: Option<String> = arguments.optional("realm")?;
    let _claimed: Option<String> = arguments.optional("authid")?;
    let details: Dict = arguments.required("details")?;

    let ours = &market.terms.realm;
    if let Some(other) = realm.filter(|realm| realm != ours) {
        return Err(unfit(format_args!(
            "this market is in realm {ours}, not in {}",
            describe(&Value::Str(other))
        )));
    }
    match details.get("authmethod") {
        Some(Value::Str(method)) if method == METHOD => {}
        Some(other) => {
            return Err(unfit(format_args!(
                "authmethod: expected {METHOD}, got {}",
                describe(other)
            )));
        }
        None => return Err(unfit("details have no authmethod")),
    }
    let Some(Value::Map(extra)) = details.get("authextra") else {
        return Err(unfit("details have no authextra, or it is no dictionary"));
    };
    let identity = decide(&market, parse(extra)?).await?;
    match details.get("session").and_then(Value::as_u64) {
        Some(session) => identity.expect(&market, session),
        None if identity.is_stranger() => {}
        // Nobody would know whom this was about once the client is in.
        None => return Err(unfit("details have no session, the id of the one that is to be")),
    }
    Ok(reply(Value::Map(dict([
        ("pubkey", text(hex::encode(identity.key.0))),
        ("realm", text(ours)),
        ("authid", text(&identity.authid)),
        ("role", text(identity.role)),
        // Keys expire and are taken back, and strangers become members: every login is to be asked for.
        ("cache", Value::Bool(false)),
        ("extra", Value::Map(identity.extra())),
    ]))))
}
