//! Sellers behind another router: asked by name, and believed only if the one that was meant still serves.

use super::attach::call;
use super::known::Callee;
use super::watch::exclusive;
use super::{Uplink, attach::ANSWER};
use crate::purchase::Sellers;
use crate::wire::{call_within, fault, uri};
use bourse_market::SessionId;
use bourse_wamp::{CallError, CallResult, Session, Value};
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::time::Instant;

/// What the router gets to say who serves, even where the seller left less of the time.
const WHO: Duration = Duration::from_millis(200);
/// What the router answers with the sessions that serve a registration.
const CALLEES: &str = "wamp.registration.list_callees";

impl Sellers for Uplink {
    fn call(
        &self,
        callee: SessionId,
        procedure: String,
        args: Vec<Value>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<CallResult, CallError>> {
        Box::pin(self.ask(callee.0, procedure, args, timeout))
    }

    fn drop_registration(&self, procedure: &str, session: SessionId) {
        let barred = self.known.lock().bar(procedure, session.0);
        let (Some(registration), Some(link)) = (barred, self.session()) else {
            return;
        };
        tokio::spawn(async move {
            let args = vec![
                registration.into(),
                session.0.into(),
                uri::INVALID_SIGNATURE.into(),
            ];
            // Where the market may not, or the router cannot, it is barred all the same.
            if let Err(error) = call(&link, "wamp.registration.remove_callee", args).await {
                tracing::info!(session = session.0, %error, "a seller that forged a signature keeps its registration, unused");
            }
        });
    }

    fn sees(&self, session: u64) -> bool {
        self.known.lock().see(session, Instant::now())
    }

    fn look_up(&self, procedure: String) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let known = self.known.lock().callee(&procedure).is_some();
            let (Some(market), Some(session), false) = (self.market(), self.session(), known) else {
                return;
            };
            if let Some(callee) = who_serves(&session, &procedure).await {
                self.learn(&market, &procedure, callee);
            }
        })
    }
}

impl Uplink {
    async fn ask(
        &self,
        callee: u64,
        procedure: String,
        args: Vec<Value>,
        timeout: Duration,
    ) -> Result<CallResult, CallError> {
        let end = Instant::now() + timeout;
        let known = self.known.lock().callee(&procedure);
        // Nothing has left yet: the seller has not moved.
        let absent = || fault(uri::NO_SUCH_PROCEDURE, "it is not connected");
        let session = self.session().ok_or_else(absent)?;
        let callee = known.filter(|known| known.session == callee).ok_or_else(absent)?;
        // Other routers do not know of a callee that is meant.
        match call_within(&session, &procedure, args, timeout, None).await {
            Ok(result) => {
                self.still(&session, callee, end).await?;
                Ok(result)
            }
            Err(CallError::Closed) => {
                // Nobody is asked again who is known over a link that is gone.
                self.lost(session.id()).await;
                Err(CallError::Closed)
            }
            refused => refused,
        }
    }

    /// Whether the registration that was known before the question is there after the answer, with the same callee. The
    /// router gives each registration another number, so then no other can have answered.
    async fn still(&self, session: &Session, callee: Callee, end: Instant) -> Result<(), CallError> {
        let within = end.saturating_duration_since(Instant::now()).clamp(WHO, ANSWER);
        let args = vec![callee.registration.into()];
        match call_within(session, CALLEES, args, within, None).await {
            Ok(result) if sessions(&result) == [callee.session] => Ok(()),
            Ok(_) | Err(CallError::Wamp(_)) => Err(fault(
                uri::SELLER_UNAVAILABLE,
                "the registration changed while it was asked, so another may have answered",
            )
            .into()),
            Err(CallError::Closed) => {
                self.lost(session.id()).await;
                Err(CallError::Closed)
            }
            Err(CallError::Timeout) => Err(CallError::Timeout),
        }
    }
}

/// Asks the router who serves a procedure.
async fn who_serves(session: &Session, procedure: &str) -> Option<Callee> {
    let found = call(session, "wamp.registration.lookup", vec![procedure.into()]).await;
    let registration = found.ok()?.args.first()?.as_u64()?;
    let details = call(session, "wamp.registration.get", vec![registration.into()]).await;
    let (uri, id) = exclusive(details.ok()?.args.first()?)?;
    let callees = call(session, CALLEES, vec![registration.into()]).await;
    let [callee] = sessions(&callees.ok()?)[..] else {
        return None;
    };
    (uri == procedure && id == registration).then_some(Callee {
        session: callee,
        registration,
    })
}

/// A list of session ids.
fn sessions(result: &CallResult) -> Vec<u64> {
    match result.args.first() {
        Some(Value::List(sessions)) => sessions.iter().filter_map(Value::as_u64).collect(),
        _ => Vec::new(),
    }
}
