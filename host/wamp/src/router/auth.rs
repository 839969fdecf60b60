//! The seam of authentication: the router asks, an [`Authenticator`] decides.

use std::collections::HashMap;
use std::net::SocketAddr;

/// The role that registers and publishes for the market: the in-process session's own.
pub const ROLE_MARKETMAKER: &str = "marketmaker";
/// The role of anonymous sessions under [`Tickets`].
pub const ROLE_ANONYMOUS: &str = "anonymous";
/// Characters of the identity that an anonymous session is given, base 32.
const ANONYMOUS_LENGTH: usize = 20;

/// How a session proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Not at all.
    Anonymous,
    /// By a shared secret.
    Ticket,
    /// By being inside this process.
    Trusted,
}

impl AuthMethod {
    /// The name in HELLO and WELCOME.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Ticket => "ticket",
            Self::Trusted => "trusted",
        }
    }
}

/// Over what a session is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// WebSocket.
    WebSocket,
    /// RawSocket.
    RawSocket,
    /// A channel in this process.
    InProcess,
}

/// Who asks to be let in.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthRequest {
    /// The realm, which exists.
    pub realm: String,
    /// The method agreed on.
    pub method: AuthMethod,
    /// The identity claimed.
    pub authid: Option<String>,
    /// The secret shown, with [`AuthMethod::Ticket`].
    pub ticket: Option<String>,
    /// Over what it is connected.
    pub transport: Transport,
    /// From where.
    pub peer: Option<SocketAddr>,
}

impl std::fmt::Debug for AuthRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthRequest")
            .field("realm", &self.realm)
            .field("method", &self.method)
            .field("authid", &self.authid)
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthDecision {
    /// Let in, as this identity and with this role.
    Accept {
        /// The identity, disclosed to those that the session calls.
        authid: String,
        /// The role, by which it is authorised.
        role: String,
    },
    /// Kept out, with a sentence for the client. It should not tell an unknown identity from a wrong secret.
    Deny {
        /// The sentence.
        reason: String,
    },
}

/// Decides who is let in. It is asked while a connection's handshake waits, and must not block.
pub trait Authenticator: Send + Sync {
    /// The methods offered to clients.
    fn methods(&self) -> Vec<AuthMethod> {
        vec![AuthMethod::Anonymous, AuthMethod::Ticket]
    }

    /// Decides one request.
    fn authenticate(&self, request: &AuthRequest) -> AuthDecision;
}

/// An authenticator with a fixed list of tickets, and anonymous sessions if they are allowed.
#[derive(Clone, Default)]
pub struct Tickets {
    allow_anonymous: bool,
    tickets: HashMap<String, Ticket>,
}

#[derive(Clone)]
struct Ticket {
    role: String,
    secret: String,
}

impl Tickets {
    /// Nobody is let in, but for anonymous sessions if `allow_anonymous`.
    #[must_use]
    pub fn new(allow_anonymous: bool) -> Self {
        Self {
            allow_anonymous,
            tickets: HashMap::new(),
        }
    }

    /// Lets `authid` in with `secret`, as `role`.
    #[must_use]
    pub fn with(
        mut self,
        authid: impl Into<String>,
        role: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        self.tickets.insert(
            authid.into(),
            Ticket {
                role: role.into(),
                secret: secret.into(),
            },
        );
        self
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets")
            .field("allow_anonymous", &self.allow_anonymous)
            .field("authids", &self.tickets.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Authenticator for Tickets {
    fn methods(&self) -> Vec<AuthMethod> {
        let mut methods = Vec::new();
        if !self.tickets.is_empty() {
            methods.push(AuthMethod::Ticket);
        }
        if self.allow_anonymous {
            methods.push(AuthMethod::Anonymous);
        }
        methods
    }

    fn authenticate(&self, request: &AuthRequest) -> AuthDecision {
        match request.method {
            AuthMethod::Anonymous if self.allow_anonymous => AuthDecision::Accept {
                authid: anonymous_authid(),
                role: ROLE_ANONYMOUS.to_owned(),
            },
            AuthMethod::Ticket => {
                let known = request
                    .authid
                    .as_ref()
                    .and_then(|authid| Some((authid, self.tickets.get(authid)?)));
                let shown = request.ticket.as_deref().unwrap_or_default();
                match known {
                    Some((authid, ticket)) if same(&ticket.secret, shown) => AuthDecision::Accept {
                        authid: authid.clone(),
                        role: ticket.role.clone(),
                    },
                    _ => AuthDecision::Deny {
                        reason: "the authid or the ticket is wrong".to_owned(),
                    },
                }
            }
            _ => AuthDecision::Deny {
                reason: format!("{} is not allowed here", request.method.name()),
            },
        }
    }
}

/// An identity of its own for an anonymous session: nobody can claim it, and no two share it.
#[must_use]
pub fn anonymous_authid() -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random: [u8; ANONYMOUS_LENGTH] = rand::random();
    let digit = |byte: u8| char::from(DIGITS.get(usize::from(byte % 32)).copied().unwrap_or(b'a'));
    std::iter::once('~')
        .chain(random.into_iter().map(digit))
        .collect()
}

/// Compares without telling by its duration where the two begin to differ.
fn same(secret: &str, shown: &str) -> bool {
    let (secret, shown) = (secret.as_bytes(), shown.as_bytes());
    let difference = secret
        .iter()
        .zip(shown)
        .fold(0_u8, |difference, (a, b)| difference | (a ^ b));
    secret.len() == shown.len() && difference == 0
}
