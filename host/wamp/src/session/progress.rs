//! Results in parts: a callee sends some of a result before the whole of it, a caller takes each as it comes.

use std::sync::Arc;

use super::{CallError, CallOptions, CallResult, Handler, Invocation, RegisterOptions, Session, WampError};
use crate::link::Outgoing;
use crate::message::{Message, payload};
use crate::value::{Dict, Value};

/// What takes the parts of a result.
pub(super) type Parts = Arc<dyn Fn(CallResult) + Send + Sync>;

/// With what the handler of a call sends parts of its result, ahead of the result that it returns.
#[derive(Clone)]
pub struct Progress {
    pub(super) out: Outgoing,
    pub(super) request: u64,
    pub(super) wanted: bool,
}

impl Progress {
    /// Whether the caller takes its result in parts.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Sends a part, once there is room for it. False if the caller does not want it, or the session has ended. A part
    /// that is sent after the handler has returned reaches nobody.
    pub async fn send(&self, part: CallResult) -> bool {
        let message = Message::Yield {
            request: self.request,
            options: Dict::from([("progress".to_owned(), true.into())]),
            payload: payload(part.args, part.kwargs),
        };
        self.wanted && self.out.send(message).await
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress")
            .field("request", &self.request)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Serves a procedure whose results may come in parts; else as [`Session::register_with`].
    ///
    /// # Errors
    /// [`CallError::Wamp`] with the router's refusal, or [`CallError::Closed`].
    pub async fn register_progressive<F, Fut>(
        &self,
        uri: &str,
        options: RegisterOptions,
        handler: F,
    ) -> Result<(), CallError>
    where
        F: Fn(Invocation, Progress) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<CallResult, WampError>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |invocation, progress| Box::pin(handler(invocation, progress)));
        self.serve(uri, options, handler, None).await
    }

    /// Calls a procedure and has `part` called, on the reading task, for each part of the result that comes before the
    /// whole of it; else as [`Session::call`]. It must not block.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call_progressive(
        &self,
        uri: &str,
        args: Vec<Value>,
        kwargs: Dict,
        options: CallOptions,
        part: impl Fn(CallResult) + Send + Sync + 'static,
    ) -> Result<CallResult, CallError> {
        self.call_in_parts(uri, args, kwargs, options, Some(Arc::new(part)))
            .await
    }
}
