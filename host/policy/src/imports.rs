//! What the host answers to a policy.

use bourse_market::{Figures, Subject};

/// The longest window of `market.demand`: a day. Longer ones are taken as a day.
pub const MAX_WINDOW_MS: u32 = 86_400_000;

/// Import calls one hook call may make. Each is kept in the record, so they must be few.
pub const MAX_CALLS: usize = 64;

/// The host's side of the imports, called on the caller's thread in the middle of a hook.
///
/// An implementation answers from memory, at once: the time it takes counts against the call's deadline.
pub trait Imports {
    /// What happened to `subject` over the last `window_ms` milliseconds, at most [`MAX_WINDOW_MS`].
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures;
}

/// No sales, no demand, for calls that grant nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoImports;

impl Imports for NoImports {
    fn demand(&self, _subject: Subject, _window_ms: u32) -> Figures {
        Figures::default()
    }
}
