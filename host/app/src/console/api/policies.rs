//! Policies: what is in force and how it does; and what an operator does to it, which goes the way of the commands.

use super::Answer;
use super::room::{Changing, Reading};
use super::upload::{signature, take};
use crate::config::Rule;
use crate::console::failed;
use crate::console::problem::Problem;
use crate::market::Market;
use crate::policies::{Manager, Reply, Request};
use axum::Json;
use axum::body::Body;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;

/// Every policy with its revisions, its rules and its figures.
pub(super) async fn list(Reading(room): Reading) -> Answer {
    let market = room.market;
    let look = move || {
        let manager = Manager::new(Arc::clone(&market.policies));
        let reply = manager
            .carry_out(Request::List, &[], None)
            .map_err(Problem::internal)?;
        let Reply::Policies(policies) = reply else {
            return Err(failed());
        };
        let policies = serde_json::to_value(policies).map_err(|_| failed())?;
        let rules: Vec<_> = market.policies.rules().iter().map(rule).collect();
        Ok(json!({
            "policies": policies,
            "rules": rules,
            "figures": market.policies.pulse().figures(),
            "component_max": most(&market),
            "signed_only": market.policies.library().options().require_signature,
        }))
    };
    room.console.look(look).await.map(Json)
}

/// A rule in a few words.
fn rule(rule: &Rule) -> Value {
    json!({
        "policy": rule.policy,
        "hook": rule.hook.as_str(),
        "shadow": rule.shadow,
        "covers": covers(rule),
    })
}

/// What a rule is about.
fn covers(rule: &Rule) -> String {
    let named = |what: &str, value: Option<String>| value.map(|value| format!("{what} {value}"));
    let mut parts: Vec<_> = [
        named("API", rule.api.map(|api| api.to_string())),
        named("catalog", rule.catalog.map(|catalog| catalog.to_string())),
        named("URIs from", rule.uri.clone()),
        named("seller", rule.seller.map(|seller| seller.to_string())),
    ]
    .into_iter()
    .flatten()
    .collect();
    parts.extend(
        rule.category
            .iter()
            .map(|(label, value)| format!("{label} = {value}")),
    );
    match parts.is_empty() {
        true => "all offers".to_owned(),
        false => parts.join(", "),
    }
}

/// Bytes of the largest component.
pub(super) fn most(market: &Market) -> usize {
    market.policies.library().engine().options().component
}

/// Puts an uploaded component in force or in the shadow, or does what needs none.
pub(super) async fn change(Changing(room): Changing, headers: HeaderMap, body: Body) -> Answer {
    let name = room.named("name")?.to_owned();
    let request = match room.named("change")? {
        "deploy" => Request::Deploy { name, shadow: false },
        "shadow" => Request::Deploy { name, shadow: true },
        "promote" => Request::Promote { name },
        "rollback" => Request::Rollback { name },
        "disable" => Request::Disable { name },
        "enable" => Request::Enable { name },
        other => {
            return Err(Problem::unknown(format!(
                "`{other}` is nothing that can be done to a policy: deploy, shadow, promote, rollback, disable and enable are"
            )));
        }
    };
    let work = room.console.work()?;
    let component = match &request {
        Request::Deploy { .. } => take(&headers, body, most(&room.market)).await?,
        _ => take(&headers, body, 0).await?,
    };
    let signature = signature(&headers)?;
    let manager = Manager::new(Arc::clone(&room.market.policies));
    tracing::info!(
        ?request,
        bytes = component.len(),
        "the operator changes a policy through the console"
    );
    // Done to its end, whether or not the page waits for it.
    let done = tokio::task::spawn_blocking(move || {
        let _work = work;
        manager.carry_out(request, &component, signature.as_deref())
    });
    let reply = done.await.map_err(|_| failed())?.map_err(Problem::refused)?;
    Ok(Json(match reply {
        Reply::Deployed { deployed, rules } => json!({ "deployed": deployed, "rules": rules }),
        Reply::Policies(_) | Reply::Done => json!({ "done": true }),
    }))
}
