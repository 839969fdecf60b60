//! The handshake: the router's side and the client's side.

use wampproto::acceptor::{Acceptor as AcceptorEngine, AcceptorAction};
use wampproto::authenticators::anonymous::AnonymousAuthenticator;
use wampproto::authenticators::authenticator::ClientAuthenticator;
use wampproto::authenticators::server::{AuthRequest, AuthResponse, ServerAuthenticator};
use wampproto::authenticators::ticket::TicketAuthenticator;
use wampproto::joiner::Joiner as JoinerEngine;
use wampproto::messages as wire;
use wampproto::messages::types::{Error as TheirError, Value as Theirs};
use wampproto::serializers::json::JSONSerializer;

use super::Violation;
use super::convert::{Options, id, our_dict, our_id, their_dict};
use crate::message::Message;
use crate::value::{Dict, Value};

/// Role names that a HELLO may announce; the engine refuses others, we ignore them.
const CLIENT_ROLES: [&str; 4] = ["caller", "callee", "publisher", "subscriber"];

/// The router's side of one handshake.
pub(crate) struct Acceptor(AcceptorEngine);

/// What the router does next.
pub(crate) enum Step {
    /// Send this CHALLENGE and wait for AUTHENTICATE.
    Challenge(Message),
    /// Decide about this.
    Decide(Question),
}

/// Who asks to be let in, and with what proof.
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) authid: String,
    pub(crate) ticket: Option<String>,
}

/// Offers the methods; the decision itself is asked for through [`Step::Decide`].
struct Methods(Vec<String>);

impl ServerAuthenticator for Methods {
    fn methods(&self) -> Vec<String> {
        self.0.clone()
    }

    fn authenticate(&self, _: &AuthRequest) -> Result<AuthResponse, TheirError> {
        Err(TheirError::new("decisions are made outside of the engine"))
    }
}

impl Acceptor {
    pub(crate) fn new(methods: Vec<String>) -> Self {
        // The serializer matters only to the byte-level interface, which is not used.
        Self(AcceptorEngine::new(
            Box::new(JSONSerializer {}),
            Box::new(Methods(methods)),
        ))
    }

    /// Takes the HELLO. A realm or methods that do not fit are the caller's to refuse, before.
    pub(crate) fn hello(&mut self, realm: &str, details: &Dict) -> Result<Step, Violation> {
        let text = |name: &str| {
            details
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let roles = details
            .get("roles")
            .and_then(Value::as_map)
            .ok_or_else(|| Violation("HELLO must announce the client's roles".to_owned()))?
            .keys()
            .filter(|role| CLIENT_ROLES.contains(&role.as_str()))
            .map(|role| (role.clone(), Theirs::Dict(Options::new())))
            .collect();
        let methods = details
            .get("authmethods")
            .and_then(Value::as_list)
            .unwrap_or_default();
        let methods = methods
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let extra = details
            .get("authextra")
            .and_then(Value::as_map)
            .map(their_dict)
            .unwrap_or_default();
        self.step(&wire::hello::Hello::new(
            realm,
            &text("authid"),
            extra,
            roles,
            methods,
        ))
    }

    /// Takes the AUTHENTICATE.
    pub(crate) fn authenticate(&mut self, signature: &str, extra: &Dict) -> Result<Step, Violation> {
        self.step(&wire::authenticate::Authenticate {
            signature: signature.to_owned(),
            extra: their_dict(extra),
        })
    }

    fn step(&mut self, message: &dyn wire::message::Message) -> Result<Step, Violation> {
        match self.0.begin_message(message)? {
            AcceptorAction::Authenticate(request) => Ok(Step::Decide(Question {
                method: request.method,
                authid: request.authid,
                ticket: request.ticket,
            })),
            AcceptorAction::Send(answer) => {
                if let Some(challenge) = answer.as_any().downcast_ref::<wire::challenge::Challenge>() {
                    return Ok(Step::Challenge(Message::Challenge {
                        method: challenge.auth_method.clone(),
                        extra: our_dict(&challenge.extra),
                    }));
                }
                Err(Violation(
                    "no authentication method that both sides know".to_owned(),
                ))
            }
        }
    }

    /// Lets the session in: its id and the WELCOME's details, without roles.
    pub(crate) fn accept(&mut self, authid: &str, role: &str) -> Result<(u64, Dict), Violation> {
        let answer = self
            .0
            .complete_authentication(Ok(AuthResponse::new(authid, role)))?;
        let welcome = answer
            .as_any()
            .downcast_ref::<wire::welcome::Welcome>()
            .ok_or_else(|| Violation("the engine did not make a WELCOME".to_owned()))?;
        let mut details = our_dict(&welcome.details);
        details.remove("roles");
        Ok((our_id(welcome.session_id), details))
    }
}

/// The client's side of one handshake.
pub(crate) struct Joiner {
    engine: JoinerEngine,
    method: &'static str,
}

/// Who the router says that we are.
pub(crate) struct Joined {
    pub(crate) session: u64,
    pub(crate) realm: String,
    pub(crate) authid: String,
    pub(crate) role: String,
}

impl Joiner {
    /// Joins with a ticket, or anonymously without one.
    pub(crate) fn new(realm: &str, authid: &str, ticket: Option<&str>) -> Self {
        let (method, authenticator): (_, Box<dyn ClientAuthenticator>) = match ticket {
            Some(ticket) => (
                "ticket",
                Box::new(TicketAuthenticator::new(authid, ticket, Options::new())),
            ),
            None => (
                "anonymous",
                Box::new(AnonymousAuthenticator::new(authid, Options::new())),
            ),
        };
        Self {
            engine: JoinerEngine::new(realm, Box::new(JSONSerializer {}), authenticator),
            method,
        }
    }

    /// The HELLO, announcing `roles`.
    pub(crate) fn hello(&mut self, roles: Dict) -> Result<Message, Violation> {
        let message = self.engine.send_hello_message(None);
        let hello = message
            .as_any()
            .downcast_ref::<wire::hello::Hello>()
            .ok_or_else(|| Violation("the engine did not make a HELLO".to_owned()))?;
        let methods = hello
            .auth_methods
            .iter()
            .map(|method| Value::from(method.as_str()))
            .collect::<Vec<_>>();
        let mut details = Dict::from([
            ("roles".to_owned(), Value::Map(roles)),
            ("authmethods".to_owned(), Value::List(methods)),
        ]);
        if !hello.authid.is_empty() {
            details.insert("authid".to_owned(), hello.authid.as_str().into());
        }
        Ok(Message::Hello {
            realm: hello.realm.clone(),
            details,
        })
    }

    /// Answers a CHALLENGE, of the method that was offered and no other.
    pub(crate) fn challenge(&mut self, method: String, extra: &Dict) -> Result<Message, Violation> {
        if method != self.method {
            return Err(Violation(format!(
                "the router challenges with {method:?}, offered was {:?}",
                self.method
            )));
        }
        let challenge = wire::challenge::Challenge {
            auth_method: method,
            extra: their_dict(extra),
        };
        let answer = self
            .engine
            .receive_message(Box::new(challenge))?
            .ok_or_else(|| Violation("the engine did not answer the CHALLENGE".to_owned()))?;
        let answer = answer
            .as_any()
            .downcast_ref::<wire::authenticate::Authenticate>()
            .ok_or_else(|| Violation("the engine did not make an AUTHENTICATE".to_owned()))?;
        Ok(Message::Authenticate {
            signature: answer.signature.clone(),
            extra: our_dict(&answer.extra),
        })
    }

    /// Takes the WELCOME.
    pub(crate) fn welcome(&mut self, session: u64, details: &Dict) -> Result<Joined, Violation> {
        let text = |name: &str| {
            details
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let welcome = wire::welcome::Welcome {
            session_id: id(session),
            realm: text("realm"),
            authid: text("authid"),
            auth_role: text("authrole"),
            details: Options::new(),
        };
        self.engine.receive_message(Box::new(welcome))?;
        let details = self
            .engine
            .session_details()?
            .ok_or_else(|| Violation("no session".to_owned()))?;
        Ok(Joined {
            session: our_id(details.id),
            realm: details.realm.clone(),
            authid: details.authid.clone(),
            role: details.auth_role.clone(),
        })
    }
}
