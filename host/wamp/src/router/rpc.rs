//! Calls: from CALL to RESULT or ERROR, with their cancellation and their time-outs.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::auth::ROLE_MARKETMAKER;
use super::callees::{Callees, Invoke};
use super::core::{Core, Peer};
use super::directory::{Directory, Entry};
use super::gate::{self, Denied};
use super::options::Asked;
use super::permissions::{Action, WAMP};
use super::rates::Use;
use crate::codec::EncodeError;
use crate::ids::IdMap;
use crate::message::{CALL, Message, Payload, payload};
use crate::session::{CALLEE, WampError};
use crate::uri::{self, Match, error};
use crate::value::{Dict, Value};
use crate::violation::Violation;

/// The calls and procedures of the realm.
#[derive(Default)]
pub(super) struct Rpc {
    pub(super) directory: Directory,
    /// The sessions of each entry of the directory, in the order in which they came. `enlist` and `dismiss` alone change either.
    callees: IdMap<u64, Callees>,
    /// How many registrations there have been.
    registrations: u64,
    /// By the realm-wide id of the invocation.
    invocations: IdMap<u64, Pending>,
    /// How many invocations there have been.
    invoked: u64,
    /// The invocation of a caller's request.
    calls: IdMap<(u64, u64), u64>,
    deadlines: BTreeSet<(Instant, u64)>,
}

/// A call that its callee has not answered.
struct Pending {
    caller: u64,
    request: u64,
    callee: u64,
    deadline: Option<Instant>,
    /// Whether the caller takes results in parts.
    in_parts: bool,
    /// Cancelled in mode kill: whatever the callee answers, the caller gets the error for being cancelled.
    killed: bool,
}

/// What becomes of a call that its caller cancels, as the WAMP specification names it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CancelMode {
    /// The callee works on for nobody.
    Skip,
    /// The callee is interrupted, and the call ends when it answers.
    Kill,
    /// The callee is interrupted, and the call ends at once.
    KillNoWait,
}

impl CancelMode {
    /// The mode of this name; none where that is no mode.
    fn parse(name: &str) -> Option<Self> {
        match name {
            "" | "killnowait" => Some(Self::KillNoWait),
            "kill" => Some(Self::Kill),
            "skip" => Some(Self::Skip),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Kill => "kill",
            Self::KillNoWait => "killnowait",
        }
    }
}

impl Rpc {
    pub(super) fn pending(&self) -> usize {
        self.invocations.len()
    }

    #[cfg(feature = "testing")]
    pub(super) fn remembered(&self) -> usize {
        let kept = self.invocations.len() + self.calls.len() + self.deadlines.len();
        kept + self.callees.len() + self.directory.remembered()
    }

    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Has a session serve a procedure or a pattern of them. The answer names the registration, and says whether it is new;
    /// there is none where it is another's, who does not share it in this way.
    pub(super) fn enlist(
        &mut self,
        session: u64,
        uri: &Arc<str>,
        matching: Match,
        invoke: Invoke,
    ) -> Option<(u64, bool)> {
        let id = match self.directory.lookup(uri, matching) {
            Some(id) => {
                let joins = self.callees.get_mut(&id)?.join(invoke, session);
                joins.then_some(id)?
            }
            None => {
                self.registrations += 1;
                self.callees
                    .insert(self.registrations, Callees::new(invoke, session));
                self.registrations
            }
        };
        let entry = || Entry::new(Arc::clone(uri), matching, invoke.name());
        Some((id, self.directory.add(id, session, entry)))
    }

    /// Why a session cannot serve what it was not enlisted for.
    pub(super) fn taken(&self, session: u64, uri: &str, matching: Match) -> String {
        let entry = self.directory.lookup(uri, matching);
        let entry = entry.and_then(|id| self.directory.get(id));
        match entry {
            Some(entry) if entry.sessions.contains(&session) => {
                format!("{uri} is registered already, by this session")
            }
            Some(entry) if entry.invoke != Invoke::Single.name() => {
                let invoke = entry.invoke;
                format!(
                    "{uri} is registered already, by others with invoke {invoke}: it is shared with this alone"
                )
            }
            _ => format!("{uri} is registered already, by another session that does not share it"),
        }
    }

    /// Takes a session off a registration. Returns whether it was the last, so that the registration is gone; nothing if it
    /// was not on it.
    pub(super) fn dismiss(&mut self, session: u64, registration: u64) -> Option<bool> {
        let last = self.directory.remove(registration, session)?;
        if last {
            self.callees.remove(&registration);
        } else if let Some(callees) = self.callees.get_mut(&registration) {
            callees.leave(session);
        }
        Some(last)
    }

    /// The registration that calls of a procedure go to, whether it is a pattern, and who gets the next call.
    fn next_callee(&mut self, procedure: &str) -> Option<(u64, bool, u64)> {
        let (registration, matching) = self.directory.best(procedure)?;
        let callee = self.callees.get_mut(&registration)?.next()?;
        Some((registration, matching != Match::Exact, callee))
    }

    /// Removes a call from all that this keeps.
    fn finish(&mut self, invocation: u64) -> Option<Pending> {
        let pending = self.invocations.remove(&invocation)?;
        self.calls.remove(&(pending.caller, pending.request));
        if let Some(deadline) = pending.deadline {
            self.deadlines.remove(&(deadline, invocation));
        }
        Some(pending)
    }
}

impl Core {
    pub(super) fn call(
        &mut self,
        caller: u64,
        request: u64,
        options: &Dict,
        procedure: String,
        payload: Payload,
    ) -> Result<(), Violation> {
        self.stats.calls += 1;
        if self.rpc.calls.contains_key(&(caller, request)) {
            return Err(Violation(format!(
                "CALL {request} while a call of that number is not answered yet"
            )));
        }
        // Also those that are refused count: they cost the realm's time too.
        if !self.has_allowance(caller, Use::Call)? {
            let text =
                "more calls than the session or its authid may make in a second; try again more slowly";
            self.refuse(caller, CALL, request, error::OVERLOADED, text);
            return Ok(());
        }
        if let Some(text) = uri::malformed(&procedure, Match::Exact) {
            self.refuse(caller, CALL, request, error::INVALID_URI, text);
            return Ok(());
        }
        let Asked { in_parts, timeout } = match Asked::of(options, self.limits.call_timeout) {
            Ok(asked) => asked,
            Err((uri, text)) => {
                self.refuse(caller, CALL, request, uri, text);
                return Ok(());
            }
        };
        let peer = self.peer(caller)?;
        if peer.calling.len() >= peer.bounds.calls {
            let text = format!(
                "{} calls are unanswered, the most that a session may have",
                peer.calling.len()
            );
            self.refuse(caller, CALL, request, error::OVERLOADED, text);
            return Ok(());
        }
        let guarded = gate::call(&peer.info, &procedure).and_then(|()| {
            gate::ruled(
                &self.permissions,
                &peer.info,
                Action::Call,
                &procedure,
                Match::Exact,
            )
        });
        if let Err(Denied(text)) = guarded {
            self.refuse(caller, CALL, request, error::NOT_AUTHORIZED, text);
            return Ok(());
        }
        let discloses = gate::discloses_caller(&self.permissions, &peer.info, &procedure);
        // Only the market maker may tie a call to a callee, lest others learn who serves what.
        let wanted = options
            .get(CALLEE)
            .filter(|_| peer.info.role == ROLE_MARKETMAKER)
            .and_then(Value::as_u64);
        if wanted.is_some_and(|wanted| self.callee(&procedure) != Some(wanted)) {
            let text = format!("the session that served {procedure} does not any more");
            self.refuse(caller, CALL, request, error::NO_SUCH_PROCEDURE, text);
            return Ok(());
        }
        if procedure.starts_with(WAMP) {
            let answer = self.answer_meta(caller, &procedure, &payload);
            self.send(caller, at_once(request, answer));
            return Ok(());
        }
        let identity = discloses.then(|| Arc::clone(&peer.info));
        let Some((registration, pattern, callee)) = self.rpc.next_callee(&procedure) else {
            let text = format!("no callee serves {procedure}");
            self.refuse(caller, CALL, request, error::NO_SUCH_PROCEDURE, text);
            return Ok(());
        };
        let mut details = Dict::new();
        if let Some(caller) = identity {
            details.insert("caller".to_owned(), caller.id.into());
            details.insert("caller_authid".to_owned(), caller.authid.as_str().into());
            details.insert("caller_authrole".to_owned(), caller.role.as_str().into());
        }
        // The callee of a pattern must be told which procedure is meant.
        if pattern {
            details.insert("procedure".to_owned(), procedure.into());
        }
        if in_parts {
            details.insert("receive_progress".to_owned(), true.into());
        }
        if let Some(timeout) = timeout {
            let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            details.insert("timeout".to_owned(), milliseconds.into());
        }
        let invocation = self.begin(Pending {
            caller,
            request,
            callee,
            deadline: timeout.map(|timeout| Instant::now() + timeout),
            in_parts,
            killed: false,
        });
        let message = Message::Invocation {
            request: invocation,
            registration,
            details,
            payload,
        };
        self.invoke(callee, invocation, message);
        Ok(())
    }

    /// Notes a call under the id of a new invocation.
    fn begin(&mut self, pending: Pending) -> u64 {
        self.rpc.invoked += 1;
        let invocation = self.rpc.invoked;
        if let Some(deadline) = pending.deadline {
            self.rpc.deadlines.insert((deadline, invocation));
        }
        self.rpc
            .calls
            .insert((pending.caller, pending.request), invocation);
        if let Some(peer) = self.peers.get_mut(&pending.caller) {
            peer.calling.insert(invocation);
        }
        if let Some(peer) = self.peers.get_mut(&pending.callee) {
            peer.serving.insert(invocation);
        }
        self.rpc.invocations.insert(invocation, pending);
        invocation
    }

    /// Hands an invocation to its callee; a callee that cannot keep up gets no more, rather than being dropped for
    /// what others ask of it.
    fn invoke(&mut self, callee: u64, invocation: u64, message: Message) {
        let room = self.peers.get(&callee).is_some_and(|peer| peer.out.has_room());
        if room {
            self.send(callee, message);
            return;
        }
        let text = "the callee has more calls waiting than it can take; try again";
        self.fail(invocation, error::OVERLOADED, text);
    }

    /// Ends a call with an error in place of its callee's answer.
    fn fail(&mut self, invocation: u64, uri: &str, text: &str) {
        if let Some(Pending { caller, request, .. }) = self.finish(invocation) {
            self.refuse(caller, CALL, request, uri, text);
        }
    }

    fn finish(&mut self, invocation: u64) -> Option<Pending> {
        let pending = self.rpc.finish(invocation)?;
        if let Some(peer) = self.peers.get_mut(&pending.caller) {
            peer.calling.remove(&invocation);
        }
        if let Some(peer) = self.peers.get_mut(&pending.callee) {
            peer.serving.remove(&invocation);
        }
        Some(pending)
    }

    /// The call that `callee` is to answer with this invocation; none if it is over, for its answer is no fault then.
    fn expected(&self, callee: u64, invocation: u64) -> Result<Option<&Pending>, Violation> {
        match self.rpc.invocations.get(&invocation) {
            Some(pending) if pending.callee != callee => Err(Violation(format!(
                "an answer to invocation {invocation}, which is another session's"
            ))),
            pending => Ok(pending),
        }
    }

    pub(super) fn answer(
        &mut self,
        callee: u64,
        invocation: u64,
        options: &Dict,
        payload: Payload,
    ) -> Result<(), Violation> {
        let Some(pending) = self.expected(callee, invocation)? else {
            return Ok(());
        };
        let part = options.get("progress").and_then(Value::as_bool) == Some(true);
        if part && !pending.killed {
            if !pending.in_parts {
                let text =
                    format!("a part of a result for invocation {invocation}, whose caller wants it whole");
                return Err(Violation(text));
            }
            let (caller, request) = (pending.caller, pending.request);
            let details = Dict::from([("progress".to_owned(), true.into())]);
            self.send(
                caller,
                Message::Result {
                    request,
                    details,
                    payload,
                },
            );
            return Ok(());
        }
        self.conclude(invocation, |request| Message::Result {
            request,
            details: Dict::new(),
            payload,
        });
        Ok(())
    }

    pub(super) fn answer_error(
        &mut self,
        callee: u64,
        invocation: u64,
        details: Dict,
        uri: String,
        payload: Payload,
    ) -> Result<(), Violation> {
        if self.expected(callee, invocation)?.is_none() {
            return Ok(());
        }
        self.conclude(invocation, |request| Message::Error {
            kind: CALL,
            request,
            details,
            uri,
            payload,
        });
        Ok(())
    }

    /// Ends a call with what its callee answers, unless it was killed.
    fn conclude(&mut self, invocation: u64, answer: impl FnOnce(u64) -> Message) {
        match self.finish(invocation) {
            Some(pending) if pending.killed => {
                self.refuse(pending.caller, CALL, pending.request, error::CANCELED, CANCELLED);
            }
            Some(pending) => self.send(pending.caller, answer(pending.request)),
            None => {}
        }
    }

    pub(super) fn cancel(&mut self, caller: u64, request: u64, options: &Dict) -> Result<(), Violation> {
        let given = options.get("mode");
        let mode = given.map_or(Some(CancelMode::KillNoWait), |mode| {
            CancelMode::parse(mode.as_str()?)
        });
        let Some(mode) = mode else {
            let given = given.and_then(Value::as_str).unwrap_or("that is no text");
            let text = format!("CANCEL with a mode {given}; it is one of skip, kill, killnowait");
            return Err(Violation(text));
        };
        // The answer may have crossed the CANCEL.
        if let Some(invocation) = self.rpc.calls.get(&(caller, request)).copied() {
            self.stop(invocation, mode, error::CANCELED, CANCELLED);
        }
        Ok(())
    }

    /// Ends a call whose time is up.
    fn time_out(&mut self, invocation: u64) {
        self.stats.timeouts += 1;
        if self
            .rpc
            .invocations
            .get(&invocation)
            .is_some_and(|pending| pending.killed)
        {
            let text = "the call was cancelled, and the callee did not stop in time";
            self.fail(invocation, error::TIMEOUT, text);
            return;
        }
        let text = "the callee did not answer in time";
        self.stop(invocation, CancelMode::KillNoWait, error::TIMEOUT, text);
    }

    fn stop(&mut self, invocation: u64, mode: CancelMode, uri: &str, text: &str) {
        let Some(pending) = self.rpc.invocations.get_mut(&invocation) else {
            return;
        };
        if pending.killed {
            // The callee knows. Whoever does not wait for it any longer need not.
            if mode != CancelMode::Kill {
                self.fail(invocation, uri, text);
            }
            return;
        }
        let callee = pending.callee;
        // A callee that cannot be interrupted is left alone.
        let interruptible = self.peers.get(&callee).is_some_and(Peer::takes_interrupts);
        let mode = if interruptible { mode } else { CancelMode::Skip };
        pending.killed = mode == CancelMode::Kill;
        if mode != CancelMode::Skip {
            self.send(callee, interrupt(invocation, mode, uri));
        }
        if mode != CancelMode::Kill {
            self.fail(invocation, uri, text);
        }
    }

    /// Ends the calls whose time is up by `now`.
    pub(super) fn time_out_until(&mut self, now: Instant) {
        while let Some((deadline, invocation)) =
            self.rpc.deadlines.first().copied().filter(|due| due.0 <= now)
        {
            self.rpc.deadlines.remove(&(deadline, invocation));
            self.time_out(invocation);
        }
    }

    /// Ends the calls of a session that left, on both sides.
    pub(super) fn abandon_calls(&mut self, peer: &Peer) {
        for invocation in &peer.calling {
            let Some(pending) = self.finish(*invocation) else {
                continue;
            };
            let callee = self.peers.get(&pending.callee);
            if callee.is_some_and(Peer::takes_interrupts) {
                let message = interrupt(*invocation, CancelMode::KillNoWait, error::CANCELED);
                self.send(pending.callee, message);
            }
        }
        for invocation in &peer.serving {
            self.fail(*invocation, error::CANCELED, "the callee left before it answered");
        }
    }

    /// What goes out instead of a message that the receiver's serializer cannot write.
    pub(super) fn unsendable(&mut self, to: u64, message: Message, why: &EncodeError) -> Option<Message> {
        let uri = match why {
            EncodeError::TooLong { .. } => error::PAYLOAD_SIZE_EXCEEDED,
            _ => error::INVALID_PAYLOAD,
        };
        match message {
            Message::Invocation { request, .. } => {
                let text = format!("the callee cannot be sent these arguments: {why}");
                self.fail(request, uri, &text);
                None
            }
            // With the error the call is over, though this was only a part of its result.
            Message::Result { request, details, .. } if details.contains_key("progress") => {
                if let Some(invocation) = self.rpc.calls.get(&(to, request)).copied() {
                    let text = format!("the caller cannot be sent a part of the result: {why}");
                    self.stop(invocation, CancelMode::KillNoWait, uri, &text);
                }
                None
            }
            Message::Result { request, .. } => Some(Message::error(
                CALL,
                request,
                uri,
                format!("the caller cannot be sent the result: {why}"),
            )),
            Message::Error {
                kind, request, uri, ..
            } => Some(Message::error(
                kind,
                request,
                &uri,
                format!("the error's details cannot be sent: {why}"),
            )),
            other => {
                tracing::warn!(session = to, message = other.name(), %why, "not sent");
                None
            }
        }
    }
}

/// What the caller of a cancelled call is told.
const CANCELLED: &str = "the caller cancelled the call";

/// What tells a callee to stop, and why.
fn interrupt(invocation: u64, mode: CancelMode, reason: &str) -> Message {
    let options = Dict::from([
        ("mode".to_owned(), mode.name().into()),
        ("reason".to_owned(), reason.into()),
    ]);
    Message::Interrupt {
        request: invocation,
        options,
    }
}

/// The answer to a call that the router answers itself.
fn at_once(request: u64, answer: Result<Value, WampError>) -> Message {
    match answer {
        Ok(value) => Message::Result {
            request,
            details: Dict::new(),
            payload: payload(vec![value], Dict::new()),
        },
        Err(WampError { uri, args, kwargs }) => Message::Error {
            kind: CALL,
            request,
            details: Dict::new(),
            uri,
            payload: payload(args, kwargs),
        },
    }
}
