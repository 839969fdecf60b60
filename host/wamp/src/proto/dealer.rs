//! Registrations and calls.

use wampproto::dealer::Dealer as Engine;
use wampproto::messages as wire;
use wampproto::messages::message::Message as Envelope;
use wampproto::messages::types::Value as Theirs;

use super::convert::{Options, id, pick, routed, session};
use super::{Identity, Routed, Violation};
use crate::message::{INVOCATION, Message};

/// The routing state of one set of procedures.
pub(crate) struct Dealer(Engine);

impl Dealer {
    pub(crate) fn new() -> Self {
        let mut engine = Engine::new();
        engine.auto_disclose_caller(true);
        Self(engine)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn remembered(&self) -> usize {
        self.0.registrations().count() + self.0.pending_invocations().count()
    }

    pub(crate) fn add(&mut self, identity: Identity<'_>) -> Result<(), Violation> {
        Ok(self.0.add_session(session(identity))?)
    }

    /// Errors for the callers of a callee that left, interrupts for the callees of a caller that left.
    pub(crate) fn remove(&mut self, session: u64) -> Vec<Routed> {
        match self.0.remove_session(id(session)) {
            Ok(affected) => affected
                .iter()
                .filter_map(|message| routed(message).ok())
                .collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Routes REGISTER, UNREGISTER, CALL, YIELD, and ERROR of an invocation. `None` is an answer that nobody
    /// waits for any more.
    pub(crate) fn on(&mut self, session: u64, message: &Message) -> Result<Option<Routed>, Violation> {
        let envelope: Box<dyn Envelope> = match message {
            Message::Call {
                request,
                options,
                procedure,
                ..
            } => Box::new(wire::call::Call {
                request_id: id(*request),
                options: pick(options, &["receive_progress"]),
                procedure: procedure.clone(),
                args: None,
                kwargs: None,
            }),
            Message::Yield { request, options, .. } => Box::new(wire::yield_::Yield {
                request_id: id(*request),
                options: pick(options, &["progress"]),
                args: None,
                kwargs: None,
            }),
            Message::Error { request, uri, .. } => Box::new(wire::error::Error {
                message_type: Theirs::Int(id(INVOCATION)),
                request_id: id(*request),
                options: Options::new(),
                uri: uri.clone(),
                args: None,
                kwargs: None,
            }),
            Message::Register {
                request,
                options,
                procedure,
            } => Box::new(wire::register::Register {
                request_id: id(*request),
                options: pick(options, &["match", "invoke"]),
                procedure: procedure.clone(),
            }),
            Message::Unregister {
                request,
                registration,
            } => Box::new(wire::unregister::Unregister {
                request_id: id(*request),
                registration_id: id(*registration),
            }),
            other => return Err(Violation(format!("a dealer does not take {}", other.name()))),
        };
        let answer = self.0.receive_message(id(session), envelope.as_ref())?;
        answer.as_ref().map(routed).transpose()
    }

    /// Cancels a call; `mode` is skip, kill or killnowait.
    pub(crate) fn cancel(
        &mut self,
        session: u64,
        request: u64,
        mode: &str,
    ) -> Result<Vec<Routed>, Violation> {
        let cancel = wire::cancel::Cancel {
            request_id: id(request),
            options: Options::from([("mode".to_owned(), Theirs::Str(mode.to_owned()))]),
        };
        self.0
            .receive_cancel(id(session), &cancel)?
            .iter()
            .map(routed)
            .collect()
    }
}
