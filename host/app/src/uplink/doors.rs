//! How sessions came in at another's router, and ending them there, where the market may.

use super::Uplink;
use super::attach::call;
use crate::access::CameBy;
use crate::authenticator::EXTRA_KEY;
use crate::home::LOGGED_OUT;
use crate::market::Doors;
use bourse_wamp::Value;
use futures_util::future::BoxFuture;

/// The ways to prove a key; a router that remembers the proof by a cookie may say so in its place.
const BY_KEY: [&str; 2] = ["cryptosign", "cookie"];

impl Doors for Uplink {
    fn is_own(&self) -> bool {
        false
    }

    fn came_by(&self, session: u64) -> BoxFuture<'_, CameBy> {
        Box::pin(async move {
            let Some(link) = self.session() else {
                return CameBy::Unknown;
            };
            match call(&link, "wamp.session.get", vec![session.into()]).await {
                Ok(result) => result.args.first().map_or(CameBy::Unknown, came_by),
                Err(error) => {
                    tracing::debug!(session, %error, "the router does not tell of a session");
                    CameBy::Unknown
                }
            }
        })
    }

    fn close(&self, session: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Without a link there is nobody to ask; its login counts no more in any case.
            let Some(link) = self.session() else { return };
            let kill = vec![session.into(), LOGGED_OUT.into()];
            if let Err(error) = call(&link, "wamp.session.kill", kill).await {
                tracing::warn!(session, %error, "a session that logged out could not be ended: may the market kill sessions?");
            }
        })
    }
}

/// Reads what the router tells of a session: whoever it let in by the market's word has what the market told it beside. Of
/// another way in, what is beside may be the client's own.
fn came_by(details: &Value) -> CameBy {
    let Value::Map(details) = details else {
        return CameBy::Unknown;
    };
    let by_key = details
        .get("authmethod")
        .and_then(Value::as_str)
        .is_some_and(|method| BY_KEY.contains(&method));
    let key = match details.get("authextra") {
        Some(Value::Map(extra)) if by_key => extra.get(EXTRA_KEY).and_then(Value::as_str),
        _ => None,
    };
    match key.map(str::parse) {
        None => CameBy::Otherwise,
        Some(Ok(key)) => CameBy::Key(key),
        Some(Err(_)) => CameBy::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_market::ClientKey;
    use bourse_wamp::Dict;

    #[test]
    fn only_what_a_router_says_beside_a_proof_of_a_key_tells_by_which_key_a_session_came() {
        let details = |method: &str, key: Option<Value>| {
            let beside = key.map(|key| (EXTRA_KEY.to_owned(), key));
            Value::Map(Dict::from([
                ("authmethod".to_owned(), method.into()),
                ("authextra".to_owned(), Value::Map(beside.into_iter().collect())),
            ]))
        };
        let key: Value = "ab".repeat(32).into();
        let by = CameBy::Key(ClientKey([0xab; 32]));
        assert_eq!(came_by(&details("cryptosign", Some(key.clone()))), by);
        assert_eq!(came_by(&details("cookie", Some(key.clone()))), by);
        assert_eq!(came_by(&details("ticket", Some(key))), CameBy::Otherwise);
        assert_eq!(came_by(&details("cryptosign", None)), CameBy::Otherwise);
        assert_eq!(
            came_by(&details("cryptosign", Some("ab".into()))),
            CameBy::Unknown
        );
        assert_eq!(came_by(&Value::Null), CameBy::Unknown);
    }
}
