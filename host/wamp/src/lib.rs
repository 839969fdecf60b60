//! WAMP for the market maker: the codec of the three serializers, links (WebSocket, RawSocket, in-process),
//! the client session, and an embedded router with its authentication seam.
//!
//! Architecture invariants. Payloads keep integers of any size and are never converted on their way. No frame, however broken,
//! ends more than its own session. Every queue is bounded, and no lock is held across an `await`. This crate
//! knows the URI namespaces that it guards, but nothing of offers, prices, channels or signatures.

mod auth;
mod codec;
mod ids;
mod integer;
pub mod limits;
mod link;
mod message;
mod router;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
pub mod uri;
mod value;
mod violation;

pub use auth::{Auth, AuthMethod, CraKey, Credential, CryptosignKey, Kdf, Salting, ScramRecord, Secret};
pub use codec::{DecodeError, EncodeError, Serializer};
pub use integer::{Integer, MAX_INTEGER_BYTES};
pub use limits::Limits;
pub use link::{
    ClientTls, ClientTlsFiles, ConnectError, ConnectOptions, Link, RouterUrl, ServerTls, TlsError, UrlError,
    connect, connect_rs, connect_ws,
};
pub use router::{
    AuthDecision, AuthRequest, Authenticator, Confirming, ConnectionStats, Deciding, Grant, Permissions,
    ROLE_ANONYMOUS, ROLE_MARKETMAKER, ROLE_OPERATOR, Realm, RealmConfig, Router, RouterConfig,
    RouterObserver, RouterStats, Rule, RuleError, SessionInfo, SocketMode, Transport, Users,
    anonymous_authid, check_listener, socket_threads,
};
pub use session::{
    CallError, CallOptions, CallResult, Event, Invocation, JoinError, JoinOptions, Progress, PublishOptions,
    RegisterOptions, RestOfCall, Session, WampError, travel,
};
pub use value::{Dict, Value};
