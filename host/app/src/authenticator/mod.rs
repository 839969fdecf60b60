//! The market's authenticator: who a client is whose key a member or a delegate vouches for.
//!
//! What lives here: reading what a client says of itself, the decision, and what comes of it once the client is in. It answers
//! a router that asks by a call (`procedures/authenticate`), and the one in this process. What never does: the proof that the
//! client holds its key, which the router asks for. Anybody can show anybody's key: so nothing is recorded before that proof.

mod decide;
mod door;
mod request;
mod settle;

pub(crate) use decide::{EXTRA_KEY, decide};
pub(crate) use door::Door;
pub(crate) use request::parse;
pub(crate) use settle::settle;
