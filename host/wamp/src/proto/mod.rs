//! wampproto behind our own messages: subscriptions, and who gets an event.
//!
//! Only this folder names wampproto. It sees envelopes, never payloads: its value type holds neither integers
//! beyond 64 bits nor shared data, so arguments are taken off before routing and put on again by the caller.
//! Nothing here authorises anything, keeps time or does I/O.

mod broker;
mod convert;

pub(crate) use broker::Broker;

/// Who a session is, as far as routing discloses and filters by it.
#[derive(Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) session: u64,
    pub(crate) realm: &'a str,
    pub(crate) authid: &'a str,
    pub(crate) role: &'a str,
}

/// A message that breaks the protocol, and how: it ends its sender's session.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Violation(pub(crate) String);

impl From<wampproto::messages::types::Error> for Violation {
    fn from(error: wampproto::messages::types::Error) -> Self {
        // Its Display prefixes "MyError:".
        Self(error.message)
    }
}
