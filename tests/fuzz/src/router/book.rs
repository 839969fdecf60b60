//! What a client has asked for and not been told: each request is answered, once, and nothing is answered that was not
//! asked.

use std::collections::{BTreeMap, VecDeque};

use bourse_wamp::Value;

const WELCOME: u64 = 2;
const ABORT: u64 = 3;
const CHALLENGE: u64 = 4;
const GOODBYE: u64 = 6;
const ERROR: u64 = 8;
const PUBLISH: u64 = 16;
const PUBLISHED: u64 = 17;
const SUBSCRIBE: u64 = 32;
const SUBSCRIBED: u64 = 33;
const UNSUBSCRIBE: u64 = 34;
const UNSUBSCRIBED: u64 = 35;
const EVENT: u64 = 36;
const CALL: u64 = 48;
const RESULT: u64 = 50;
const REGISTER: u64 = 64;
const REGISTERED: u64 = 65;
const UNREGISTER: u64 = 66;
const UNREGISTERED: u64 = 67;
const INVOCATION: u64 = 68;
const INTERRUPT: u64 = 69;

/// Ids that a client was told.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) session: u64,
    pub(super) registrations: Vec<u64>,
    pub(super) subscriptions: Vec<u64>,
}

/// An invocation that the client has not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) invocation: u64,
    pub(super) wants_progress: bool,
}

/// The book of one connection.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) joined: bool,
    /// The session has ended, or the connection is about to.
    pub(super) over: bool,
    /// Bytes were sent whose meaning nobody knows, so nothing can be said of the answers.
    pub(super) confused: bool,
    pub(super) known: Known,
    pub(super) invocations: Vec<Asked>,
    /// How many requests of a type and number wait.
    waiting: BTreeMap<(u64, u64), usize>,
    /// Calls that wait, by number, and whether they take their results in parts. A number may be used again while its answer
    /// is under way; the answers come in the order of the calls.
    calls: BTreeMap<u64, VecDeque<bool>>,
}

fn number(message: &[Value], position: usize) -> u64 {
    message.get(position).and_then(Value::as_u64).unwrap_or_default()
}

fn flag(message: &[Value], position: usize, name: &str) -> bool {
    let options = message.get(position).and_then(Value::as_map);
    options
        .and_then(|options| options.get(name))
        .and_then(Value::as_bool)
        == Some(true)
}

impl Book {
    /// The client says this, which is a message.
    pub(super) fn said(&mut self, message: &[Value]) {
        if !self.joined || self.over {
            return;
        }
        let (code, request) = (number(message, 0), number(message, 1));
        match code {
            // A number that the router sees twice at a time ends the session.
            CALL => {
                let waiting = self.calls.entry(request).or_default();
                waiting.push_back(flag(message, 2, "receive_progress"));
            }
            PUBLISH if flag(message, 2, "acknowledge") => self.wait(code, request),
            SUBSCRIBE | UNSUBSCRIBE | REGISTER | UNREGISTER => self.wait(code, request),
            GOODBYE => self.over = true,
            _ => {}
        }
    }

    fn wait(&mut self, code: u64, request: u64) {
        *self.waiting.entry((code, request)).or_default() += 1;
    }

    /// The client is told this.
    pub(super) fn heard(&mut self, message: &[Value]) {
        if self.confused || self.over {
            return;
        }
        let (code, request) = (number(message, 0), number(message, 1));
        match code {
            WELCOME => {
                assert!(!self.joined, "welcome twice");
                (self.joined, self.known.session) = (true, request);
            }
            ABORT | GOODBYE => self.over = true,
            CHALLENGE => assert!(!self.joined, "a challenge after WELCOME"),
            ERROR if request == CALL => self.called(number(message, 2), message),
            ERROR => self.answered(request, number(message, 2), message),
            RESULT if flag(message, 2, "progress") => {
                let waiting = self.calls.get(&request).and_then(VecDeque::front);
                assert_eq!(waiting, Some(&true), "{message:?}");
            }
            RESULT => self.called(request, message),
            PUBLISHED => self.answered(PUBLISH, request, message),
            SUBSCRIBED => {
                self.answered(SUBSCRIBE, request, message);
                let id = number(message, 2);
                if !self.known.subscriptions.contains(&id) {
                    self.known.subscriptions.push(id);
                }
            }
            UNSUBSCRIBED => self.answered(UNSUBSCRIBE, request, message),
            REGISTERED => {
                self.answered(REGISTER, request, message);
                self.known.registrations.push(number(message, 2));
            }
            // The router's own decision.
            UNREGISTERED if request == 0 => {}
            UNREGISTERED => self.answered(UNREGISTER, request, message),
            EVENT => assert!(self.known.subscriptions.contains(&request), "{message:?}"),
            INVOCATION => {
                assert!(
                    self.known.registrations.contains(&number(message, 2)),
                    "{message:?}"
                );
                self.invocations.push(Asked {
                    invocation: request,
                    wants_progress: flag(message, 3, "receive_progress"),
                });
            }
            INTERRUPT => {}
            _ => panic!("no router says {message:?}"),
        }
    }

    fn called(&mut self, request: u64, message: &[Value]) {
        let waiting = self.calls.get_mut(&request).map(VecDeque::pop_front);
        assert!(waiting.flatten().is_some(), "nobody asked: {message:?}");
        self.calls.retain(|_, waiting| !waiting.is_empty());
    }

    fn answered(&mut self, code: u64, request: u64, message: &[Value]) {
        let waiting = self.waiting.get_mut(&(code, request)).filter(|count| **count > 0);
        let Some(count) = waiting else {
            panic!("nobody asked: {message:?}");
        };
        *count -= 1;
    }

    /// Every request of a session that goes on has its answer.
    pub(super) fn is_settled(&self) {
        if !self.joined || self.over || self.confused {
            return;
        }
        assert!(self.calls.is_empty(), "calls without an answer: {:?}", self.calls);
        let waiting: Vec<_> = self.waiting.iter().filter(|(_, count)| **count > 0).collect();
        assert!(waiting.is_empty(), "requests without an answer: {waiting:?}");
    }
}
