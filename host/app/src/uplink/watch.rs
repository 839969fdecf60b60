//! The router's events of sessions and registrations, and whether it still answers.

use super::attach::{call, refused};
use super::known::Callee;
use super::{Failure, Uplink};
use crate::market::Market;
use crate::providers::{provider_of_quote, provider_of_sell};
use bourse_wamp::uri::error;
use bourse_wamp::{CallError, CallResult, Event, Session, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks whether the router, and sessions of which nothing was heard, are still there.
const LOOK: Duration = Duration::from_secs(10);
/// How long a session may be silent before it is asked about.
const SILENT: Duration = Duration::from_secs(60);
/// Sessions asked about in one look.
const AT_A_LOOK: usize = 64;

impl Uplink {
    /// Subscribes to what the router tells of sessions and registrations. Its events come in the order of what happened.
    pub(super) async fn listen_to(self: &Arc<Self>, session: &Session) -> Result<(), Failure> {
        type Heard = fn(&Uplink, &Market, Event);
        let topics: [(&str, Heard); 4] = [
            ("wamp.session.on_leave", |uplink, market, event| {
                if let Some(session) = number(&event, 0) {
                    uplink.gone(market, session);
                }
            }),
            ("wamp.registration.on_create", |uplink, market, event| {
                if let Some((uri, callee)) = created(&event) {
                    uplink.learn(market, &uri, callee);
                }
            }),
            ("wamp.registration.on_unregister", ended),
            // A router need not tell of each callee whose registration it takes away as a whole.
            ("wamp.registration.on_delete", ended),
        ];
        for (topic, heard) in topics {
            let uplink = Arc::downgrade(self);
            // The session is the uplink's: were it to hold the uplink, neither would ever go.
            let handler = move |event| {
                if let Some(uplink) = uplink.upgrade()
                    && let Some(market) = uplink.market()
                {
                    heard(&uplink, &market, event);
                }
            };
            session
                .subscribe(topic, handler)
                .await
                .map_err(|error| refused(session, "subscribe to", topic, error))?;
        }
        Ok(())
    }

    /// Somebody serves a procedure of a seller.
    pub(super) fn learn(&self, market: &Market, uri: &str, callee: Callee) {
        if provider_of_sell(uri).or(provider_of_quote(uri)).is_none() {
            return;
        }
        let _order = self.order.lock();
        if self.known.lock().serve(uri, callee) {
            market.seen(callee.session);
            market.registered(callee.session, uri);
        }
    }

    /// A session is gone.
    fn gone(&self, market: &Market, session: u64) {
        let _order = self.order.lock();
        if self.known.lock().leave(session) {
            market.left(session);
        }
    }

    /// Everybody is gone, as far as the market can tell.
    pub(super) fn forget_all(&self, market: &Market) {
        let _order = self.order.lock();
        let former = self.known.lock().clear();
        for session in former {
            market.lost(session);
        }
    }

    /// Resolves once the session is lost, with the reason.
    pub(super) async fn watch_over(&self, session: &Session) -> String {
        tokio::select! {
            () = session.closed() => session.close_reason().unwrap_or_else(|| "it ended".to_owned()),
            why = self.look(session) => why,
        }
    }

    async fn look(&self, session: &Session) -> String {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(why) = self.look_once(session).await {
                return why;
            }
        }
    }

    /// Asks whether the router is there, and those of whom nothing was heard.
    ///
    /// # Errors
    ///
    /// If the router does not answer: a link may be dead for long before the operating system says so.
    async fn look_once(&self, session: &Session) -> Result<(), String> {
        is_there(session, session.id()).await?;
        let Some(before) = Instant::now().checked_sub(SILENT) else {
            return Ok(());
        };
        let silent = self.known.lock().silent(before, AT_A_LOOK);
        for other in silent {
            match is_there(session, other).await? {
                true => drop(self.known.lock().see(other, Instant::now())),
                false => {
                    if let Some(market) = self.market() {
                        self.gone(&market, other);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a session is there. It is where the router does not say; a router that says nothing at all tells nothing of it.
async fn is_there(link: &Session, session: u64) -> Result<bool, String> {
    found(call(link, "wamp.session.get", vec![session.into()]).await)
}

fn found(answer: Result<CallResult, CallError>) -> Result<bool, String> {
    match answer {
        Err(CallError::Wamp(error)) if error.uri == error::NO_SUCH_SESSION => Ok(false),
        Ok(_) | Err(CallError::Wamp(_)) => Ok(true),
        Err(CallError::Timeout) => Err("the router does not answer".to_owned()),
        Err(CallError::Closed) => Err("it ended".to_owned()),
    }
}

fn number(event: &Event, index: usize) -> Option<u64> {
    event.args.get(index).and_then(Value::as_u64)
}

fn ended(uplink: &Uplink, market: &Market, event: Event) {
    let Some(registration) = number(&event, 1) else {
        return;
    };
    let _order = uplink.order.lock();
    let ended = uplink.known.lock().end(registration);
    if let Some((uri, session)) = ended {
        market.unregistered(session, &uri);
    }
}

/// A registration that one session alone serves, under one name: no other can be held to its answers.
fn created(event: &Event) -> Option<(String, Callee)> {
    let details = event.args.get(1)?;
    let (uri, registration) = exclusive(details)?;
    let session = number(event, 0)?;
    Some((
        uri,
        Callee {
            session,
            registration,
        },
    ))
}

/// The procedure and number of a registration, if it is for one name and one callee.
pub(super) fn exclusive(details: &Value) -> Option<(String, u64)> {
    let Value::Map(details) = details else { return None };
    let text = |name: &str| details.get(name).and_then(Value::as_str);
    let alone = text("match") == Some("exact") && text("invoke") == Some("single");
    let registration = details.get("id").and_then(Value::as_u64)?;
    alone.then_some((text("uri")?.to_owned(), registration))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_wamp::{Dict, WampError};

    #[test]
    fn a_session_counts_as_there_where_the_router_does_not_say_but_not_where_it_does_not_answer() {
        let said = |uri: &str| Err(CallError::Wamp(WampError::new(uri, "")));
        assert_eq!(found(Ok(CallResult::default())), Ok(true));
        assert_eq!(found(said(error::NOT_AUTHORIZED)), Ok(true));
        assert_eq!(found(said(error::NO_SUCH_SESSION)), Ok(false));
        assert!(found(Err(CallError::Timeout)).is_err());
        assert!(found(Err(CallError::Closed)).is_err());
    }

    #[test]
    fn only_a_registration_of_one_name_and_one_callee_can_sell() {
        let details = |matching: &str, invoke: &str| {
            Value::Map(Dict::from([
                ("id".to_owned(), 5_u64.into()),
                ("uri".to_owned(), "xbr.provider.p.sell".into()),
                ("match".to_owned(), matching.into()),
                ("invoke".to_owned(), invoke.into()),
            ]))
        };
        assert_eq!(
            exclusive(&details("exact", "single")),
            Some(("xbr.provider.p.sell".to_owned(), 5))
        );
        assert_eq!(exclusive(&details("prefix", "single")), None);
        assert_eq!(exclusive(&details("exact", "roundrobin")), None);
        assert_eq!(exclusive(&Value::Null), None);
    }
}
