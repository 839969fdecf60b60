//! The client session: joins a realm over any link, calls, serves calls, publishes and subscribes.
//!
//! One task reads the link; each invocation runs in a task of its own, until it [`travel`]s, or where its procedure's reception has
//! it run, and at most a set number at a time: more are answered at once with an error, never queued. When the link ends, every pending call fails.

mod invoke;
mod join;
mod options;
mod progress;
mod table;
mod travel;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use join::JoinError;
pub(crate) use options::CALLEE;
pub use options::{CallOptions, JoinOptions, PublishOptions, RegisterOptions};
pub use progress::Progress;
pub use travel::{RestOfCall, travel};

use crate::limits::CLOSE_GRACE;
use crate::link::{Link, Outgoing};
use crate::message::{Message, payload};
use crate::uri::error;
use crate::value::{Dict, Value};
use invoke::Handler;
use progress::Parts;
use table::{Table, Waiting};
use travel::Reception;

/// An application error: what a procedure answers instead of a result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{uri}{}", first_text(args))]
pub struct WampError {
    /// The error's URI.
    pub uri: String,
    /// Positional details; by custom the first is a sentence.
    pub args: Vec<Value>,
    /// Named details.
    pub kwargs: Dict,
}

fn first_text(args: &[Value]) -> String {
    args.first()
        .and_then(Value::as_str)
        .map(|text| format!(": {text}"))
        .unwrap_or_default()
}

impl WampError {
    /// An error with one explaining sentence.
    #[must_use]
    pub fn new(uri: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            args: vec![Value::Str(text.into())],
            kwargs: Dict::new(),
        }
    }
}

/// What a call answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallResult {
    /// Positional results; most procedures return one.
    pub args: Vec<Value>,
    /// Named results.
    pub kwargs: Dict,
}

impl CallResult {
    /// One positional result.
    #[must_use]
    pub fn one(value: impl Into<Value>) -> Self {
        Self {
            args: vec![value.into()],
            kwargs: Dict::new(),
        }
    }
}

/// Why a request got no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The peer, or the router in its place, answered with an error.
    #[error(transparent)]
    Wamp(#[from] WampError),
    /// No answer in time. The callee may have done the work all the same.
    #[error("no answer in time")]
    Timeout,
    /// The session ended. The callee may have done the work all the same.
    #[error("the session is closed")]
    Closed,
}

/// A call that this session is to answer.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The procedure called.
    pub procedure: String,
    /// Positional arguments.
    pub args: Vec<Value>,
    /// Keyword arguments.
    pub kwargs: Dict,
    /// The caller's session.
    pub caller: Option<u64>,
    /// The caller's proven identity.
    pub caller_authid: Option<String>,
    /// The caller's role.
    pub caller_authrole: Option<String>,
    /// How long the caller waits, from the moment the router passed the call on.
    pub timeout: Option<Duration>,
    /// Cancelled when nobody waits for the answer any more. The handler runs on: it alone knows whether its
    /// work can be left half done.
    pub cancelled: CancellationToken,
}

/// Something published on a topic.
#[derive(Clone, Debug)]
pub struct Event {
    /// The topic that was published to.
    pub topic: String,
    /// The publication's id.
    pub publication: u64,
    /// Positional arguments.
    pub args: Vec<Value>,
    /// Keyword arguments.
    pub kwargs: Dict,
    /// The publisher's session, where it is disclosed.
    pub publisher: Option<u64>,
}

/// A joined session. Clones are the same session; it ends with [`Session::leave`], when the link ends, or when
/// the last clone is dropped.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
    /// Closes the link when the user's last clone is gone; the session's own tasks hold only `inner`.
    _last: Arc<LastHandle>,
}

struct LastHandle(Outgoing);

impl Drop for LastHandle {
    fn drop(&mut self) {
        self.0.close(None);
    }
}

struct Inner {
    id: u64,
    realm: String,
    authid: String,
    role: String,
    /// All that WELCOME said.
    welcome: Dict,
    out: Outgoing,
    table: Arc<Table>,
    requests: AtomicU64,
    slots: Arc<tokio::sync::Semaphore>,
    max_invocations: usize,
    busy_error: String,
}

impl Session {
    /// Joins a realm.
    ///
    /// # Errors
    /// [`JoinError`]: refused by the router, a broken handshake, or none in time.
    pub async fn join(link: Link, options: JoinOptions) -> Result<Self, JoinError> {
        join::join(link, options).await
    }

    /// The session's id in its realm.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// The realm joined.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.inner.realm
    }

    /// The identity that the router granted.
    #[must_use]
    pub fn authid(&self) -> &str {
        &self.inner.authid
    }

    /// The role that the router granted.
    #[must_use]
    pub fn authrole(&self) -> &str {
        &self.inner.role
    }

    /// Calls a procedure and waits for its answer. Dropping the future cancels the call.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(
        &self,
        uri: &str,
        args: Vec<Value>,
        kwargs: Dict,
        options: CallOptions,
    ) -> Result<CallResult, CallError> {
        self.call_in_parts(uri, args, kwargs, options, None).await
    }

    async fn call_in_parts(
        &self,
        uri: &str,
        args: Vec<Value>,
        kwargs: Dict,
        options: CallOptions,
        parts: Option<Parts>,
    ) -> Result<CallResult, CallError> {
        let (reply, answer) = oneshot::channel();
        let mut wire = options.wire();
        if parts.is_some() {
            wire.insert("receive_progress".to_owned(), true.into());
        }
        let request = self.inner.wait_for(Waiting::Call { reply, parts })?;
        let mut pending = PendingCall {
            inner: &self.inner,
            request,
            answered: false,
        };
        let call = Message::Call {
            request,
            options: wire,
            procedure: uri.to_owned(),
            payload: payload(args, kwargs),
        };
        let ask = async {
            if !self.inner.out.send(call).await {
                return Err(CallError::Closed);
            }
            answer.await.unwrap_or(Err(CallError::Closed))
        };
        let result = match options.timeout {
            None => ask.await,
            // The guard cancels the call.
            Some(limit) => timeout(limit, ask).await.map_err(|_| CallError::Timeout)?,
        };
        pending.answered = true;
        if let Err(CallError::Wamp(error)) = &result
            && options.timeout.is_some()
            && error.uri == error::TIMEOUT
        {
            return Err(CallError::Timeout);
        }
        result
    }

    /// Serves a procedure. `handler` is called on the reading task, in the order of the calls, so it must not block (in the
    /// router's own process that task shares its thread with connections); the
    /// future that it returns runs on a task of its own, beside others, until it [`travel`]s.
    ///
    /// # Errors
    /// [`CallError::Wamp`] with the router's refusal, or [`CallError::Closed`].
    pub async fn register<F, Fut>(&self, uri: &str, handler: F) -> Result<(), CallError>
    where
        F: Fn(Invocation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<CallResult, WampError>> + Send + 'static,
    {
        self.register_with(uri, RegisterOptions::default(), handler).await
    }

    /// Serves a procedure or a pattern of them, as [`Session::register`] does.
    ///
    /// # Errors
    /// [`CallError::Wamp`] with the router's refusal, or [`CallError::Closed`].
    pub async fn register_with<F, Fut>(
        &self,
        uri: &str,
        options: RegisterOptions,
        handler: F,
    ) -> Result<(), CallError>
    where
        F: Fn(Invocation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<CallResult, WampError>> + Send + 'static,
    {
        self.serve(uri, options, without_parts(handler), None).await
    }

    /// Serves a procedure, as [`Session::register`] does, but gives each call to `reception`, on the reading task and so not to
    /// block, instead of making a task of it. From there on all is as after a [`travel`].
    ///
    /// # Errors
    /// [`CallError::Wamp`] with the router's refusal, or [`CallError::Closed`].
    pub async fn register_at<F, Fut>(
        &self,
        uri: &str,
        reception: impl Fn(RestOfCall) + Send + Sync + 'static,
        handler: F,
    ) -> Result<(), CallError>
    where
        F: Fn(Invocation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<CallResult, WampError>> + Send + 'static,
    {
        let (options, handler) = (RegisterOptions::default(), without_parts(handler));
        self.serve(uri, options, handler, Some(Arc::new(reception))).await
    }

    async fn serve(
        &self,
        uri: &str,
        options: RegisterOptions,
        handler: Handler,
        reception: Option<Reception>,
    ) -> Result<(), CallError> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting::Register {
            uri: uri.to_owned(),
            handler,
            reception,
            reply,
        };
        self.ask(waiting, answer, |request| Message::Register {
            request,
            options: options.wire(),
            procedure: uri.to_owned(),
        })
        .await
    }

    /// Stops serving a procedure.
    ///
    /// # Errors
    /// [`CallError::Wamp`] if this session does not serve it, or [`CallError::Closed`].
    pub async fn unregister(&self, uri: &str) -> Result<(), CallError> {
        let registration = self.inner.table.registration(uri).ok_or_else(|| {
            WampError::new(
                error::NO_SUCH_REGISTRATION,
                format!("this session does not serve {uri}"),
            )
        })?;
        let (reply, answer) = oneshot::channel();
        self.ask(Waiting::Unregister { registration, reply }, answer, |request| {
            Message::Unregister {
                request,
                registration,
            }
        })
        .await
    }

    /// Has `handler` called, on the reading task and one event after the other, for what is published on
    /// `topic`. It must not block.
    ///
    /// # Errors
    /// [`CallError::Wamp`] with the router's refusal, or [`CallError::Closed`].
    pub async fn subscribe<F>(&self, topic: &str, handler: F) -> Result<(), CallError>
    where
        F: Fn(Event) + Send + Sync + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting::Subscribe {
            topic: topic.to_owned(),
            handler: Arc::new(handler),
            reply,
        };
        self.ask(waiting, answer, |request| Message::Subscribe {
            request,
            options: Dict::new(),
            topic: topic.to_owned(),
        })
        .await
    }

    /// Publishes an event; waits for the router's word if the options ask for it.
    ///
    /// # Errors
    /// With `acknowledge`, [`CallError::Wamp`] with the router's refusal; [`CallError::Closed`].
    pub async fn publish(
        &self,
        topic: &str,
        args: Vec<Value>,
        kwargs: Dict,
        options: PublishOptions,
    ) -> Result<(), CallError> {
        let publish = |request| Message::Publish {
            request,
            options: options.wire(),
            topic: topic.to_owned(),
            payload: payload(args, kwargs),
        };
        if options.acknowledge {
            let (reply, answer) = oneshot::channel();
            return self.ask(Waiting::Publish(reply), answer, publish).await;
        }
        let request = self.inner.next_request();
        if self.inner.out.send(publish(request)).await {
            Ok(())
        } else {
            Err(CallError::Closed)
        }
    }

    async fn ask(
        &self,
        waiting: Waiting,
        answer: oneshot::Receiver<Result<(), CallError>>,
        message: impl FnOnce(u64) -> Message,
    ) -> Result<(), CallError> {
        let request = self.inner.wait_for(waiting)?;
        if !self.inner.out.send(message(request)).await {
            return Err(CallError::Closed);
        }
        answer.await.unwrap_or(Err(CallError::Closed))
    }

    /// Waits until every invocation taken so far is answered. Those that come meanwhile are turned away as above the
    /// limit.
    pub async fn drained(&self) {
        let all = u32::try_from(self.inner.max_invocations).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.inner.slots.acquire_many(all).await;
    }

    /// Ends the session without waiting: for a router that does not answer, or is not to keep what it has of this one.
    /// What is queued is dropped, and a goodbye is sent if that can still be.
    pub fn abandon(&self) {
        self.inner.table.leaving();
        self.inner.out.abandon(Some(goodbye()));
    }

    /// Says goodbye, waits a little for the router's, and closes.
    pub async fn leave(&self) {
        self.inner.table.leaving();
        if self.inner.out.send(goodbye()).await {
            let _ = timeout(CLOSE_GRACE, self.inner.out.closed()).await;
        }
        self.inner.out.close(None);
        self.closed().await;
    }

    /// Waits until the session has ended.
    pub async fn closed(&self) {
        self.inner.table.closed().await;
    }

    /// Why the session ended, once it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<String> {
        self.inner.table.close_reason()
    }
}

/// A handler that gives its result whole.
fn without_parts<F, Fut>(handler: F) -> Handler
where
    F: Fn(Invocation) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<CallResult, WampError>> + Send + 'static,
{
    Arc::new(move |invocation, _| Box::pin(handler(invocation)))
}

fn goodbye() -> Message {
    Message::Goodbye {
        details: Dict::new(),
        reason: error::CLOSE_REALM.to_owned(),
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.inner.id)
            .field("realm", &self.inner.realm)
            .field("authid", &self.inner.authid)
            .field("role", &self.inner.role)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    fn wait_for(&self, waiting: Waiting) -> Result<u64, CallError> {
        let request = self.next_request();
        if self.table.insert(request, waiting) {
            Ok(request)
        } else {
            Err(CallError::Closed)
        }
    }
}

/// Cancels the call if nobody waits for it any more.
struct PendingCall<'a> {
    inner: &'a Inner,
    request: u64,
    answered: bool,
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        if !self.answered && self.inner.table.forget(self.request) {
            let options = Dict::from([("mode".to_owned(), "killnowait".into())]);
            // With a full queue the call just runs on, unheard.
            let _ = self.inner.out.try_send(Message::Cancel {
                request: self.request,
                options,
            });
        }
    }
}
