//! What ends a session.

/// A message that breaks the protocol, and how: it ends its sender's session.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Violation(pub(crate) String);
