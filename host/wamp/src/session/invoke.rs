//! Serving calls: each on its own, beside others, and an answer whatever happens.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::table::Registration;
use super::travel::{RestOfCall, Travelling};
use super::{CallResult, Inner, Invocation, Progress, WampError};
use crate::message::{self, INVOCATION, Message, Payload, payload};
use crate::uri::error;
use crate::value::{Dict, Value};

/// What a router gets beyond the caller's time-out to interrupt the call itself, before the session does.
const ROUTER_FIRST: Duration = Duration::from_secs(1);

type Answer = Pin<Box<dyn Future<Output = Result<CallResult, WampError>> + Send>>;
pub(super) type Handler = Arc<dyn Fn(Invocation, Progress) -> Answer + Send + Sync>;

impl Inner {
    /// Starts the work for an INVOCATION, or answers that there is too much of it.
    pub(super) async fn invoke(
        self: &Arc<Self>,
        request: u64,
        registration: u64,
        details: &Dict,
        payload: Payload,
    ) {
        let Some(Registration {
            uri,
            handler,
            reception,
        }) = self.table.serving(registration)
        else {
            let text = format!("registration {registration} is not served any more");
            self.out
                .send(Message::error(
                    INVOCATION,
                    request,
                    error::NO_SUCH_PROCEDURE,
                    text,
                ))
                .await;
            return;
        };
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            let text = "too many calls at a time; try again";
            self.out
                .send(Message::error(INVOCATION, request, &self.busy_error, text))
                .await;
            return;
        };
        let invocation = invocation(&uri, details, payload);
        self.table.begin(request, invocation.cancelled.clone());
        let reply = Reply {
            inner: self.clone(),
            request,
            sent: false,
        };
        let progress = Progress {
            out: self.out.clone(),
            request,
            wanted: details.get("receive_progress").and_then(Value::as_bool) == Some(true),
        };
        let working = work(&handler, invocation, progress);
        let answering = async move {
            let answer = working.await;
            reply.send(answer).await;
            drop(slot);
        };
        match reception {
            Some(reception) => reception(RestOfCall::new(answering)),
            None => drop(tokio::spawn(Travelling::new(answering))),
        }
    }
}

fn invocation(uri: &str, details: &Dict, payload: Payload) -> Invocation {
    let text = |name: &str| details.get(name).and_then(Value::as_str).map(str::to_owned);
    let arguments = message::unwrap(payload);
    Invocation {
        procedure: text("procedure").unwrap_or_else(|| uri.to_owned()),
        args: arguments.args,
        kwargs: arguments.kwargs,
        caller: details.get("caller").and_then(Value::as_u64),
        caller_authid: text("caller_authid"),
        caller_authrole: text("caller_authrole"),
        timeout: details
            .get("timeout")
            .and_then(Value::as_u64)
            .filter(|timeout| *timeout > 0)
            .map(Duration::from_millis),
        cancelled: CancellationToken::new(),
    }
}

/// Calls the handler at once, while it is still certain which call came first; its work is done by whoever awaits it.
fn work(
    handler: &Handler,
    invocation: Invocation,
    progress: Progress,
) -> impl Future<Output = Result<CallResult, WampError>> + Send + 'static {
    // It counts from here, whoever does the work and when.
    let end = invocation
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout + ROUTER_FIRST));
    let cancelled = invocation.cancelled.clone();
    let mut working = handler(invocation, progress);
    async move {
        let Some(end) = end else {
            return working.await;
        };
        // Not every router interrupts a call whose time is up.
        tokio::select! {
            answer = &mut working => answer,
            () = tokio::time::sleep_until(end) => {
                cancelled.cancel();
                working.await
            }
        }
    }
}

/// Answers the invocation, also when the handler panics.
struct Reply {
    inner: Arc<Inner>,
    request: u64,
    sent: bool,
}

impl Reply {
    async fn send(mut self, answer: Result<CallResult, WampError>) {
        let request = self.request;
        let message = match answer {
            Ok(CallResult { args, kwargs }) => Message::Yield {
                request,
                options: Dict::new(),
                payload: payload(args, kwargs),
            },
            Err(WampError { uri, args, kwargs }) => Message::Error {
                kind: INVOCATION,
                request,
                details: Dict::new(),
                uri,
                payload: payload(args, kwargs),
            },
        };
        self.sent = true;
        self.inner.table.end(request);
        self.inner.out.send(message).await;
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.sent {
            self.inner.table.end(self.request);
            let text = "the procedure failed unexpectedly";
            let answer = Message::error(INVOCATION, self.request, error::RUNTIME_ERROR, text);
            // With a full queue the caller waits until its own time is up.
            let _ = self.inner.out.try_send(answer);
        }
    }
}
