//! Refusals since the start: by reason, and the last ones.

use super::room::Reading;
use super::{Answer, at};
use crate::console::feed::{Reason, Refusals};
use axum::Json;
use serde_json::{Value, json};

/// All that is remembered.
pub(super) async fn list(Reading(room): Reading) -> Answer {
    let Refusals {
        reasons,
        others,
        recent,
    } = room.market.feed.refusals();
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count));
    let by_reason = reasons.iter().map(|(reason, tally)| {
        let said = json!({ "count": tally.count, "last": at(tally.last), "text": tally.text });
        with(reason, said)
    });
    let one_by_one = recent.iter().map(|refused| {
        let said = json!({ "at": at(refused.at), "text": refused.text, "session": refused.session.map(|id| id.to_string()) });
        with(&refused.reason, said)
    });
    Ok(Json(json!({
        "reasons": by_reason.collect::<Vec<_>>(),
        "others": others,
        "recent": one_by_one.collect::<Vec<_>>(),
    })))
}

fn with(reason: &Reason, mut said: Value) -> Value {
    if let Some(fields) = said.as_object_mut() {
        fields.insert("procedure".to_owned(), reason.procedure.into());
        fields.insert("error".to_owned(), reason.error.clone().into());
        fields.insert("policy".to_owned(), reason.policy.clone().into());
        fields.insert("code".to_owned(), reason.code.clone().into());
    }
    said
}
