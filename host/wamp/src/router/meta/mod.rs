//! The router's own procedures under `wamp.`, as the WAMP specification and Crossbar.io have them, and its own events.
//! They are answered where the state is, at once; who may call and hear them is `gate`'s to say.

mod args;
mod directory;
mod events;
mod sessions;

pub(super) use events::{PUBSUB, REGISTRY, is_told_of};

use super::core::Core;
use crate::message::Payload;
use crate::session::WampError;
use crate::uri::error;
use crate::value::Value;
use args::Args;

/// Ids in one list of an answer. What is beyond, the filters of the procedures reach.
const MAX_LISTED: usize = 10_000;

type Answer = Result<Value, WampError>;

impl Core {
    /// Answers a call of one of the router's own procedures.
    pub(super) fn answer_meta(&mut self, caller: u64, procedure: &str, payload: &Payload) -> Answer {
        let args = Args(payload.as_deref());
        if let Some(name) = procedure.strip_prefix("wamp.session.") {
            return self.answer_sessions(caller, name, &args);
        }
        if let Some(name) = procedure.strip_prefix("wamp.registration.") {
            return directory::REGISTRATIONS.answer(self, name, &args);
        }
        if let Some(name) = procedure.strip_prefix("wamp.subscription.") {
            return directory::SUBSCRIPTIONS.answer(self, name, &args);
        }
        Err(unknown(procedure))
    }
}

fn unknown(procedure: &str) -> WampError {
    let text = format!("the router has no procedure {procedure}");
    WampError::new(error::NO_SUCH_PROCEDURE, text)
}
