//! Calls: from CALL to RESULT or ERROR, with their cancellation and their time-outs.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::auth::ROLE_MARKETMAKER;
use super::core::{Core, Peer};
use super::directory::Directory;
use super::gate::{self, Denied};
use super::permissions::{Action, WAMP};
use super::rates::Use;
use super::shards::{self, PATTERNS, Shard};
use crate::codec::EncodeError;
use crate::message::{CALL, Message, Payload, payload, sentence};
use crate::proto::{Dealer, Routed, Violation};
use crate::session::{CALLEE, WampError};
use crate::uri::{self, Match, error};
use crate::value::{Dict, Value};

/// The calls and procedures of the realm.
pub(super) struct Rpc {
    dealers: Vec<Dealer>,
    pub(super) directory: Directory,
    /// By the realm-wide id of the invocation.
    invocations: HashMap<u64, Pending>,
    /// The invocation of a caller's request.
    calls: HashMap<(u64, u64), u64>,
    deadlines: BTreeSet<(Instant, u64)>,
}

/// A call that its callee has not answered.
struct Pending {
    caller: u64,
    request: u64,
    callee: u64,
    deadline: Option<Instant>,
    /// Cancelled in mode kill: whatever the callee answers, the caller gets the error for being cancelled.
    killed: bool,
}

impl Rpc {
    pub(super) fn new() -> Self {
        Self {
            dealers: (0..shards::COUNT).map(|_| Dealer::new()).collect(),
            directory: Directory::default(),
            invocations: HashMap::new(),
            calls: HashMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.invocations.len()
    }

    #[cfg(feature = "testing")]
    pub(super) fn remembered(&self) -> usize {
        let kept = self.invocations.len() + self.calls.len() + self.deadlines.len();
        let dealers = self.dealers.iter().map(Dealer::remembered).sum::<usize>();
        kept + dealers + self.directory.iter().count()
    }

    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn dealer(&mut self, shard: Shard) -> Result<&mut Dealer, Violation> {
        self.dealers
            .get_mut(shard.index())
            .ok_or_else(|| Violation("an id that was never given".to_owned()))
    }

    /// Where calls of a procedure go, if anybody may serve it.
    fn shard(&self, procedure: &str) -> Option<Shard> {
        if self.directory.has_exact(procedure) {
            Some(Shard::of(procedure))
        } else if self.directory.has_patterns() {
            Some(PATTERNS)
        } else {
            None
        }
    }

    /// Removes a call from all that this keeps; the dealer is told by the caller.
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
    /// The dealer of a shard, which knows the session from now on.
    pub(super) fn dealer_for(&mut self, shard: Shard, session: u64) -> Result<&mut Dealer, Violation> {
        let peer = self
            .peers
            .get_mut(&session)
            .ok_or_else(|| Violation("the session has ended".to_owned()))?;
        let dealer = self.rpc.dealer(shard)?;
        if peer.dealers.insert(shard) {
            dealer.add(peer.identity(&self.realm))?;
        }
        Ok(dealer)
    }

    pub(super) fn call(
        &mut self,
        caller: u64,
        request: u64,
        options: Dict,
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
        if options.get("progress").and_then(Value::as_bool) == Some(true) {
            let text =
                "calls whose arguments come in parts are not supported: send the call without progress";
            self.refuse(caller, CALL, request, error::OPTION_NOT_ALLOWED, text);
            return Ok(());
        }
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
        let timeout = call_timeout(&options, self.limits.call_timeout);
        let nobody = format!("no callee serves {procedure}");
        let Some(shard) = self.rpc.shard(&procedure) else {
            self.refuse(caller, CALL, request, error::NO_SUCH_PROCEDURE, nobody);
            return Ok(());
        };
        let message = Message::Call {
            request,
            options,
            procedure,
            payload: None,
        };
        match self.dealer_for(shard, caller)?.on(caller, &message)? {
            Some(Routed {
                to: callee,
                message:
                    Message::Invocation {
                        request: inner,
                        registration,
                        mut details,
                        ..
                    },
            }) => {
                let invocation = shard.outer(inner);
                if !discloses {
                    details.retain(|name, _| !name.starts_with("caller"));
                }
                if let Some(timeout) = timeout {
                    let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                    details.insert("timeout".to_owned(), milliseconds.into());
                }
                self.begin(invocation, caller, request, callee, timeout);
                let registration = shard.outer(registration);
                let message = Message::Invocation {
                    request: invocation,
                    registration,
                    details,
                    payload,
                };
                self.invoke(callee, invocation, message)
            }
            Some(Routed {
                message: Message::Error { uri, .. },
                ..
            }) => {
                self.refuse(caller, CALL, request, &uri, nobody);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, invocation: u64, caller: u64, request: u64, callee: u64, timeout: Option<Duration>) {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        if let Some(deadline) = deadline {
            self.rpc.deadlines.insert((deadline, invocation));
        }
        self.rpc.calls.insert((caller, request), invocation);
        let pending = Pending {
            caller,
            request,
            callee,
            deadline,
            killed: false,
        };
        self.rpc.invocations.insert(invocation, pending);
        if let Some(peer) = self.peers.get_mut(&caller) {
            peer.calling.insert(invocation);
        }
        if let Some(peer) = self.peers.get_mut(&callee) {
            peer.serving.insert(invocation);
        }
    }

    /// Hands an invocation to its callee; a callee that cannot keep up gets no more, rather than being dropped for
    /// what others ask of it.
    fn invoke(&mut self, callee: u64, invocation: u64, message: Message) -> Result<(), Violation> {
        let room = self.peers.get(&callee).is_some_and(|peer| peer.out.has_room());
        if room {
            self.send(callee, message);
            return Ok(());
        }
        let text = "the callee has more calls waiting than it can take; try again";
        self.fail(invocation, error::OVERLOADED, text)
    }

    /// Answers a call in place of its callee.
    fn fail(&mut self, invocation: u64, uri: &str, text: &str) -> Result<(), Violation> {
        let Some(callee) = self
            .rpc
            .invocations
            .get(&invocation)
            .map(|pending| pending.callee)
        else {
            return Ok(());
        };
        self.answer_error(callee, invocation, Dict::new(), uri.to_owned(), sentence(text))
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

    /// Whether `callee` is to answer this invocation; an answer to one that is over is no fault.
    fn expects(&self, callee: u64, invocation: u64) -> Result<bool, Violation> {
        match self.rpc.invocations.get(&invocation) {
            None => Ok(false),
            Some(pending) if pending.callee == callee => Ok(true),
            Some(_) => Err(Violation(format!(
                "an answer to invocation {invocation}, which is another session's"
            ))),
        }
    }

    pub(super) fn answer(
        &mut self,
        callee: u64,
        invocation: u64,
        options: Dict,
        payload: Payload,
    ) -> Result<(), Violation> {
        if !self.expects(callee, invocation)? {
            return Ok(());
        }
        let (shard, inner) = Shard::inner(invocation);
        let progress = options.get("progress").and_then(Value::as_bool) == Some(true);
        let message = Message::Yield {
            request: inner,
            options,
            payload: None,
        };
        let routed = self.rpc.dealer(shard)?.on(callee, &message)?;
        if !progress
            || self
                .rpc
                .invocations
                .get(&invocation)
                .is_some_and(|pending| pending.killed)
        {
            self.finish(invocation);
        }
        match routed {
            Some(Routed {
                to,
                message: Message::Result { request, details, .. },
            }) => {
                self.send(
                    to,
                    Message::Result {
                        request,
                        details,
                        payload,
                    },
                );
            }
            Some(Routed { to, message }) => self.send(to, message),
            None => {}
        }
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
        if !self.expects(callee, invocation)? {
            return Ok(());
        }
        let (shard, inner) = Shard::inner(invocation);
        let message = Message::Error {
            kind: 0,
            request: inner,
            details: Dict::new(),
            uri,
            payload: None,
        };
        let routed = self.rpc.dealer(shard)?.on(callee, &message)?;
        let killed = self.finish(invocation).is_some_and(|pending| pending.killed);
        match routed {
            Some(Routed {
                to,
                message: Message::Error {
                    kind, request, uri, ..
                },
            }) if !killed => {
                self.send(
                    to,
                    Message::Error {
                        kind,
                        request,
                        details,
                        uri,
                        payload,
                    },
                );
            }
            Some(Routed { to, message }) => self.send(to, message),
            None => {}
        }
        Ok(())
    }

    pub(super) fn cancel(&mut self, caller: u64, request: u64, options: &Dict) -> Result<(), Violation> {
        let mode = match options.get("mode").map(Value::as_str) {
            None | Some(Some("" | "killnowait")) => "killnowait",
            Some(Some("kill")) => "kill",
            Some(Some("skip")) => "skip",
            Some(other) => {
                let text = format!("CANCEL with mode {other:?}; it is one of skip, kill, killnowait");
                return Err(Violation(text));
            }
        };
        // The answer may have crossed the CANCEL.
        let Some(invocation) = self.rpc.calls.get(&(caller, request)).copied() else {
            return Ok(());
        };
        self.stop(invocation, mode, error::CANCELED, "the caller cancelled the call")
    }

    /// Ends a call whose time is up.
    fn time_out(&mut self, invocation: u64) -> Result<(), Violation> {
        self.stats.timeouts += 1;
        if let Some(pending) = self.rpc.invocations.get_mut(&invocation)
            && std::mem::take(&mut pending.killed)
        {
            // Cancelled before and still not answered: the dealer answers once the callee seems to.
            let (caller, request) = (pending.caller, pending.request);
            self.close_invocation(invocation)?;
            let text = "the call was cancelled, and the callee did not stop in time";
            self.refuse(caller, CALL, request, error::TIMEOUT, text);
            return Ok(());
        }
        self.stop(
            invocation,
            "killnowait",
            error::TIMEOUT,
            "the callee did not answer in time",
        )
    }

    fn stop(&mut self, invocation: u64, mode: &str, uri: &str, text: &str) -> Result<(), Violation> {
        let Some(pending) = self.rpc.invocations.get_mut(&invocation) else {
            return Ok(());
        };
        if pending.killed {
            return Ok(());
        }
        let (caller, request, callee) = (pending.caller, pending.request, pending.callee);
        // A callee that cannot be interrupted is left alone.
        let interruptible = self
            .peers
            .get(&callee)
            .is_some_and(|peer| peer.features.call_canceling);
        let mode = if interruptible { mode } else { "skip" };
        pending.killed = mode == "kill";
        let (shard, _) = Shard::inner(invocation);
        for Routed { to, message } in self.rpc.dealer(shard)?.cancel(caller, request, mode)? {
            match message {
                Message::Interrupt { mut options, .. } => {
                    options.insert("reason".to_owned(), uri.into());
                    self.send(
                        to,
                        Message::Interrupt {
                            request: invocation,
                            options,
                        },
                    );
                }
                _ => self.refuse(to, CALL, request, uri, text),
            }
        }
        if mode == "kill" {
            Ok(())
        } else {
            self.close_invocation(invocation)
        }
    }

    /// Has the dealer forget an invocation whose caller is answered: it would wait for the callee for ever.
    fn close_invocation(&mut self, invocation: u64) -> Result<(), Violation> {
        if let Some(pending) = self.finish(invocation) {
            let (shard, inner) = Shard::inner(invocation);
            let uri = error::CANCELED.to_owned();
            let message = Message::Error {
                kind: 0,
                request: inner,
                details: Dict::new(),
                uri,
                payload: None,
            };
            self.rpc.dealer(shard)?.on(pending.callee, &message)?;
        }
        Ok(())
    }

    /// Ends the calls whose time is up by `now`.
    pub(super) fn time_out_until(&mut self, now: Instant) {
        while let Some((deadline, invocation)) =
            self.rpc.deadlines.first().copied().filter(|due| due.0 <= now)
        {
            self.rpc.deadlines.remove(&(deadline, invocation));
            if let Err(violation) = self.time_out(invocation) {
                tracing::error!(invocation, %violation, "a call could not be timed out");
            }
        }
    }

    /// Ends the calls of a session that left, on both sides.
    pub(super) fn abandon_calls(&mut self, session: u64, peer: &Peer) {
        for invocation in peer.calling.iter().chain(&peer.serving) {
            self.finish(*invocation);
        }
        for shard in peer.dealers.iter() {
            let affected = match self.rpc.dealer(shard) {
                Ok(dealer) => dealer.remove(session),
                Err(_) => Vec::new(),
            };
            for Routed { to, message } in affected {
                match message {
                    Message::Interrupt { request, options } => {
                        if self
                            .peers
                            .get(&to)
                            .is_some_and(|peer| peer.features.call_canceling)
                        {
                            self.send(
                                to,
                                Message::Interrupt {
                                    request: shard.outer(request),
                                    options,
                                },
                            );
                        }
                    }
                    Message::Error {
                        kind, request, uri, ..
                    } => {
                        self.refuse(to, kind, request, &uri, "the callee left before it answered");
                    }
                    other => self.send(to, other),
                }
            }
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
                if let Err(violation) = self.fail(request, uri, &text) {
                    tracing::error!(session = to, %violation, "a call could not be failed");
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

/// The time that a CALL gives its callee, if it does.
fn call_timeout(options: &Dict, longest: Duration) -> Option<Duration> {
    let timeout = match options.get("timeout")? {
        Value::Int(milliseconds) => Duration::from_millis(milliseconds.as_u64()?),
        Value::Float(milliseconds) => Duration::try_from_secs_f64(*milliseconds / 1000.0).ok()?,
        _ => return None,
    };
    (!timeout.is_zero()).then(|| timeout.min(longest))
}
