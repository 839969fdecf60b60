//! The market's authenticator: who a client is whose key a member or a delegate vouches for.
//!
//! What lives here: reading what a client says of itself, and the decision. It answers a router that asks by a call
//! (`procedures/authenticate`), and the one in this process. What never does: the proof that the client holds its key,
//! which the router asks for.

mod decide;
mod door;
mod request;

pub(crate) use decide::decide;
pub(crate) use door::Door;
pub(crate) use request::parse;
