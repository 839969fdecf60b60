//! The client's half: HELLO, the answer to a CHALLENGE, and what to believe of a WELCOME.

use super::scram::{self, Expected};
use super::{AuthMethod, CryptosignKey, Secret, cra, cryptosign};
use crate::message::Message;
use crate::value::{Dict, Value};
use crate::violation::Violation;

/// What a client logs in with.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Nothing.
    #[default]
    Anonymous,
    /// A shared secret, shown to the router as it is.
    Ticket(Secret),
    /// A shared secret, by WAMP-CRA.
    Cra(Secret),
    /// A password, by WAMP-SCRAM, which also proves that the router knows the identity.
    Scram(Secret),
    /// A private key.
    Cryptosign(CryptosignKey),
}

impl Auth {
    /// The method.
    #[must_use]
    pub fn method(&self) -> AuthMethod {
        match self {
            Self::Anonymous => AuthMethod::Anonymous,
            Self::Ticket(_) => AuthMethod::Ticket,
            Self::Cra(_) => AuthMethod::Cra,
            Self::Scram(_) => AuthMethod::Scram,
            Self::Cryptosign(_) => AuthMethod::Cryptosign,
        }
    }
}

/// One handshake of a client.
pub(crate) struct Joiner {
    realm: String,
    authid: Option<String>,
    login: Auth,
    extra: Dict,
    /// The id of the TLS connection, if the proof is to be bound to it.
    channel: Option<[u8; 32]>,
    nonce: [u8; scram::NONCE],
    state: State,
}

enum State {
    Greeted,
    Answered,
    /// The router must prove itself too.
    Expecting(Expected),
}

/// Who the router says that we are.
pub(crate) struct Joined {
    pub(crate) session: u64,
    pub(crate) realm: String,
    pub(crate) authid: String,
    pub(crate) role: String,
    /// All that WELCOME says.
    pub(crate) details: Dict,
}

impl Joiner {
    /// `nonce` is drawn for this handshake alone.
    pub(crate) fn new(
        realm: &str,
        authid: Option<&str>,
        login: Auth,
        extra: Dict,
        channel: Option<[u8; 32]>,
        nonce: [u8; scram::NONCE],
    ) -> Result<Self, Violation> {
        let authid = authid.filter(|authid| !authid.is_empty());
        let method = login.method();
        if authid.is_none() && matches!(method, AuthMethod::Ticket | AuthMethod::Cra | AuthMethod::Scram) {
            return Err(Violation(format!(
                "{} needs an authid in the options",
                method.name()
            )));
        }
        if let (AuthMethod::Scram, Some(why)) = (method, authid.and_then(scram::unfit)) {
            return Err(Violation(why));
        }
        Ok(Self {
            realm: realm.to_owned(),
            authid: authid.map(str::to_owned),
            login,
            extra,
            channel,
            nonce,
            state: State::Greeted,
        })
    }

    /// The HELLO, announcing `roles`.
    pub(crate) fn hello(&self, roles: Dict) -> Message {
        let mut methods = vec![Value::from(self.login.method().name())];
        let mut extra = self.extra.clone();
        match &self.login {
            Auth::Scram(_) => {
                // The short name first: Crossbar.io refuses what it does not know as soon as it gets there.
                methods.insert(0, AuthMethod::SCRAM_SHORT.into());
                use base64::Engine as _;
                let nonce = base64::engine::general_purpose::STANDARD.encode(self.nonce);
                extra.insert("nonce".to_owned(), nonce.into());
            }
            Auth::Cryptosign(key) => {
                extra.insert("pubkey".to_owned(), key.public_hex().into());
                if self.channel.is_some() {
                    extra.insert("channel_binding".to_owned(), cryptosign::TLS_EXPORTER.into());
                }
            }
            _ => {}
        }
        let mut details = Dict::from([
            ("roles".to_owned(), Value::Map(roles)),
            ("authmethods".to_owned(), Value::List(methods)),
        ]);
        if let Some(authid) = &self.authid {
            details.insert("authid".to_owned(), authid.as_str().into());
        }
        if !extra.is_empty() {
            details.insert("authextra".to_owned(), extra.into());
        }
        Message::Hello {
            realm: self.realm.clone(),
            details,
        }
    }

    /// Whether answering a challenge takes so long that it must not be done on a thread of the runtime.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.login, Auth::Cra(_) | Auth::Scram(_))
    }

    /// Answers a CHALLENGE: the first, and of the method that was offered.
    pub(crate) fn challenge(&mut self, method: &str, details: &Dict) -> Result<Message, Violation> {
        let offered = self.login.method();
        if AuthMethod::parse(method) != Some(offered) || offered == AuthMethod::Anonymous {
            return Err(Violation(format!(
                "the router challenges with {method:?}, offered was {:?}",
                offered.name()
            )));
        }
        if !matches!(self.state, State::Greeted) {
            return Err(Violation("a second CHALLENGE".to_owned()));
        }
        let mut state = State::Answered;
        let signature = match &self.login {
            Auth::Anonymous => return Err(Violation("a CHALLENGE for an anonymous session".to_owned())),
            Auth::Ticket(ticket) => String::from_utf8(ticket.expose().to_vec())
                .map_err(|_| Violation("a ticket must be text".to_owned()))?,
            Auth::Cra(secret) => cra::respond(secret, details).map_err(Violation)?,
            Auth::Scram(password) => {
                let authid = self.authid.as_deref().unwrap_or_default();
                let answer = scram::respond(password, authid, &self.nonce, details);
                let (proof, expected) = answer.map_err(Violation)?;
                state = State::Expecting(expected);
                proof
            }
            Auth::Cryptosign(key) => {
                cryptosign::respond(key, details, self.channel.as_ref()).map_err(Violation)?
            }
        };
        self.state = state;
        Ok(Message::Authenticate {
            signature,
            extra: Dict::new(),
        })
    }

    /// Takes the WELCOME.
    pub(crate) fn welcome(self, session: u64, details: Dict) -> Result<Joined, Violation> {
        let none = Dict::new();
        match (&self.state, &self.login) {
            (State::Expecting(expected), _) => {
                let extra = details.get("authextra").and_then(Value::as_map);
                expected.check(extra.unwrap_or(&none)).map_err(Violation)?;
            }
            (_, Auth::Scram(_)) => {
                return Err(Violation(
                    "a WELCOME without a CHALLENGE: the router has not proven that it knows the password"
                        .to_owned(),
                ));
            }
            _ => {}
        }
        let text = |name: &str| details.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Joined {
            session,
            realm: text("realm").unwrap_or(self.realm),
            authid: text("authid").unwrap_or_default(),
            role: text("authrole").unwrap_or_default(),
            details,
        })
    }
}
