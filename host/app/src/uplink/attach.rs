//! From a link to a market that trades over it: who is watched, what the market must be allowed, what it serves.

use super::Uplink;
use crate::events::topic;
use crate::market::{Market, Status};
use crate::procedures;
use crate::providers::sell_uri;
use crate::wire::{bytes, call_within, int, uri};
use bourse_wamp::uri::error;
use bourse_wamp::{CallError, CallResult, Dict, PublishOptions, Session, Value};
use std::sync::Arc;
use std::time::Duration;

/// The router must have answered everything by then.
const ATTACH: Duration = Duration::from_secs(10);
/// How long one question to the router waits.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// What the router's own configuration is described in.
const GUIDE: &str = "docs/wamp.md has a configuration that is right";

/// Why the market does not trade at a router.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It may be otherwise in a moment.
    #[error("{0}")]
    Unreached(String),
    /// Somebody must change a configuration.
    #[error("{0}")]
    Refused(String),
}

impl Uplink {
    /// Joins, and has the market trade. Leaves nothing behind where it fails.
    pub(super) async fn attach(self: &Arc<Self>, market: &Arc<Market>) -> Result<(), Failure> {
        let session = self.entry.open().await?;
        let late = || Failure::Unreached(format!("it took more than {} s to answer", ATTACH.as_secs()));
        let attached = tokio::time::timeout(ATTACH, self.settle(market, &session))
            .await
            .unwrap_or_else(|_| Err(late()));
        if attached.is_err() {
            self.forget_all(market);
            self.link.send_replace(None);
            // With all that it registered: questions under way hold it, and the next try must not meet it.
            session.abandon();
        }
        attached
    }

    async fn settle(self: &Arc<Self>, market: &Arc<Market>, session: &Session) -> Result<(), Failure> {
        let former = self.former.lock().next(session.id());
        self.listen_to(session).await?;
        check_rights(session).await?;
        try_to_call_sellers(session);
        self.take_back(session, former).await;
        // Before the first call can come, and not ready before the last procedure is there.
        self.link.send_replace(Some(session.clone()));
        procedures::register_all(market, session)
            .await
            .map_err(|(procedure, error)| unregistered(session, procedure, error))?;
        self.announce(market, session).await?;
        market.reach.restored();
        self.catch_up(session).await;
        Ok(())
    }

    /// A link can be lost long before the router knows: until it does, the sessions before are in the way of this one.
    async fn take_back(&self, session: &Session, former: Vec<u64>) {
        for id in former {
            // A router may only ask whom it is to end to leave, and wait for that: a session that went silent never does, and
            // all that it serves stays.
            unregister_all_of(session, id).await;
            let kill = vec![id.into(), error::CLOSE_REALM.into()];
            match call(session, "wamp.session.kill", kill).await {
                // Mostly it is gone; where it may not be killed, the first procedure that it still serves will say so.
                Ok(_) | Err(CallError::Wamp(_)) => self.former.lock().is_over(id),
                Err(CallError::Timeout | CallError::Closed) => return,
            }
        }
    }

    /// Tells the realm that the market is there, and learns whether it may.
    async fn announce(&self, market: &Market, session: &Session) -> Result<(), Failure> {
        let status = match market.status() {
            Status::None => Status::Running,
            status => status,
        };
        let args = vec![bytes(market.network.market.0), int(status as u8)];
        let options = PublishOptions {
            acknowledge: true,
            ..PublishOptions::default()
        };
        session
            .publish(topic::STATUS, args, Dict::new(), options)
            .await
            .map_err(|error| refused(session, "publish to", topic::STATUS, error))
    }
}

/// Takes from a former session whatever it still serves, where the router tells that and the market may.
async fn unregister_all_of(session: &Session, former: u64) {
    let listed = call(session, "wamp.registration.list", vec![former.into()]).await;
    let registrations = match listed.map(|result| result.args.into_iter().next()) {
        Ok(Some(Value::Map(lists))) => lists,
        _ => return,
    };
    let Some(Value::List(whole)) = registrations.get("exact") else {
        return;
    };
    for registration in whole.iter().filter_map(Value::as_u64) {
        // A router that lists those of others too does not find it among their callees.
        let args = vec![registration.into(), former.into(), error::CLOSE_REALM.into()];
        match call(session, "wamp.registration.remove_callee", args).await {
            Ok(_) | Err(CallError::Wamp(_)) => {}
            Err(CallError::Timeout | CallError::Closed) => return,
        }
    }
}

/// Asks for everything that the market will need, while nothing depends on it.
async fn check_rights(session: &Session) -> Result<(), Failure> {
    // The error that each answers with where the market may ask; no id is 0.
    let questions: [(&str, Vec<Value>, Option<&str>); 4] = [
        ("wamp.registration.lookup", vec![nobody().into()], None),
        (
            "wamp.registration.get",
            vec![0_u64.into()],
            Some(error::NO_SUCH_REGISTRATION),
        ),
        (
            "wamp.registration.list_callees",
            vec![0_u64.into()],
            Some(error::NO_SUCH_REGISTRATION),
        ),
        ("wamp.session.get", vec![session.id().into()], None),
    ];
    for (procedure, args, expected) in questions {
        match call(session, procedure, args).await {
            Ok(_) => {}
            Err(CallError::Wamp(error)) if Some(error.uri.as_str()) == expected => {}
            Err(error) => return Err(refused(session, "call", procedure, error)),
        }
    }
    Ok(())
}

/// Warns where the market may not call sellers. Nothing depends on it: whoever may register there answers in the router's
/// place, and could keep the market away for as long as it likes, were it waited for or believed.
fn try_to_call_sellers(session: &Session) {
    let session = session.clone();
    tokio::spawn(async move {
        match call(&session, &nobody(), Vec::new()).await {
            Err(CallError::Wamp(error)) if error.uri == error::NO_SUCH_PROCEDURE => {}
            Err(error) => {
                let why = refused(&session, "call", &nobody(), error);
                tracing::warn!(%why, "it is doubtful whether the market can reach its sellers");
            }
            Ok(_) => tracing::warn!(procedure = nobody(), "somebody serves what no seller does"),
        }
    });
}

/// What no seller serves.
fn nobody() -> String {
    sell_uri("bourse-asks-whether-it-may-call-sellers")
}

/// Asks the router something.
pub(super) async fn call(
    session: &Session,
    procedure: &str,
    args: Vec<Value>,
) -> Result<CallResult, CallError> {
    call_within(session, procedure, args, ANSWER, None).await
}

/// What it means that the router does not do something for the market.
pub(super) fn refused(session: &Session, action: &str, what: &str, error: CallError) -> Failure {
    match error {
        // It has more to do than it takes on.
        CallError::Wamp(error) if error.uri == error::OVERLOADED => Failure::Unreached(error.to_string()),
        CallError::Wamp(error) if error.uri == error::NO_SUCH_PROCEDURE => Failure::Refused(format!(
            "it has no {what}, without which nobody knows who answers for a seller: its realm `{}` needs the meta API",
            session.realm()
        )),
        CallError::Wamp(error) => Failure::Refused(format!(
            "the role `{}` may not {action} {what} ({error}); {GUIDE}",
            session.authrole()
        )),
        error => Failure::Unreached(format!(
            "it does not answer whether the market may {action} {what}: {error}"
        )),
    }
}

fn unregistered(session: &Session, procedure: &str, error: CallError) -> Failure {
    match error {
        // One that was killed a moment ago may still be there for the router.
        CallError::Wamp(error) if error.uri == uri::PROCEDURE_ALREADY_EXISTS => Failure::Unreached(format!(
            "another session serves {procedure} in the realm `{}`: a realm is of one market, and a former process of this \
             one is gone as soon as the router sees it",
            session.realm()
        )),
        error => refused(session, "register", procedure, error),
    }
}
