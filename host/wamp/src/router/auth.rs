//! The seam of authentication: the router asks an [`Authenticator`] who somebody may be and what that takes, makes
//! the challenge, and checks the proof itself.

use std::net::SocketAddr;
use std::pin::Pin;

pub(super) use crate::auth::AuthMethod;
use crate::auth::Credential;
use crate::value::Dict;

/// The role that registers and publishes for the market: the in-process session's own.
pub const ROLE_MARKETMAKER: &str = "marketmaker";
/// The role of anonymous sessions under [`Users`](super::Users).
pub const ROLE_ANONYMOUS: &str = "anonymous";
/// Characters of the identity that an anonymous session is given, base 32.
const ANONYMOUS_LENGTH: usize = 20;

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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthRequest {
    /// The realm, which exists.
    pub realm: String,
    /// The method agreed on.
    pub method: AuthMethod,
    /// The identity claimed. There is one with every method but anonymous and cryptosign.
    pub authid: Option<String>,
    /// The key shown, with [`AuthMethod::Cryptosign`]; not yet proven. There is one if there is no authid.
    pub public_key: Option<[u8; 32]>,
    /// HELLO's `authextra`, as the client wrote it.
    pub extra: Dict,
    /// The id that the session will have, if it is let in.
    pub session: u64,
    /// Over what it is connected.
    pub transport: Transport,
    /// From where.
    pub peer: Option<SocketAddr>,
}

/// Who a session is, once it is let in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// The identity, disclosed to those that the session calls.
    pub authid: String,
    /// The role, by which it is authorised.
    pub role: String,
    /// What WELCOME's `authextra` tells the client.
    pub extra: Dict,
}

impl Grant {
    /// An identity with a role.
    pub fn new(authid: impl Into<String>, role: impl Into<String>) -> Self {
        Self {
            authid: authid.into(),
            role: role.into(),
            extra: Dict::new(),
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum AuthDecision {
    /// Let in without a proof.
    Accept(Grant),
    /// Let in with a proof of this credential, which must be of the request's method.
    Prove {
        /// What is to be proven.
        credential: Credential,
        /// Who it is then.
        grant: Grant,
    },
    /// Nobody of that identity, or of that key: challenged as if it were somebody, then refused as if the proof
    /// were wrong, so that strangers cannot ask who exists.
    Unknown,
    /// Kept out at once, with a sentence for the client. It should not tell an unknown identity from a known one.
    Deny {
        /// The sentence.
        reason: String,
    },
}

/// A decision under way.
pub type Deciding<'a> = Pin<Box<dyn Future<Output = AuthDecision> + Send + 'a>>;

/// What rests on a proof, under way; a sentence for the client if it is kept out after all.
pub type Confirming<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Decides who is let in. It is asked once for each connection, which waits; work that takes long belongs on other
/// threads, and the handshake's time limit goes on.
pub trait Authenticator: Send + Sync {
    /// The methods offered to clients.
    fn methods(&self) -> Vec<AuthMethod>;

    /// Decides one request. Nobody has proven anything yet: a client may show any key and claim any authid, so nothing
    /// that lasts may come of this.
    fn authenticate<'a>(&'a self, request: &'a AuthRequest) -> Deciding<'a>;

    /// Told that the client of this request has proven what [`AuthDecision::Prove`] asked for; WELCOME waits for it. Whoever
    /// is to remember a login does it here.
    ///
    /// # Errors
    /// A sentence for the client, which is not let in then.
    fn proven<'a>(&'a self, request: &'a AuthRequest) -> Confirming<'a> {
        let _ = request;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether only a login has this authid: then no anonymous session holds the provider id of that name, also while
    /// nobody is logged in by it. Asked under the realm's lock, so it must answer at once.
    fn reserves(&self, authid: &str) -> bool {
        let _ = authid;
        false
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
