//! What the host answers to a policy.

use bourse_market::{Figures, Subject};
use serde::{Deserialize, Serialize};

/// The longest window of `market.demand`: a day. Longer ones are taken as a day.
pub const MAX_WINDOW_MS: u32 = 86_400_000;

/// Import calls one hook call may make. Each is kept in the record, so they must be few.
pub const MAX_CALLS: usize = 64;

/// Bytes of a line that reach the host's log; what is longer is cut.
pub const MAX_LINE: usize = 1024;

/// How much a line of a policy matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For who writes the policy.
    Debug,
    /// For who runs the market.
    Info,
    /// For who runs the market, who should do something.
    Warn,
}

/// The host's side of the imports, called on the caller's thread in the middle of a hook.
///
/// An implementation answers from memory, at once: the time it takes counts against the call's deadline. It is bound
/// to one policy: `state` and `counter` speak of that policy's own space. What the call itself changes is laid over
/// the answers here, in the sandbox, so an implementation only ever tells what is committed. By default there are no
/// sales and no state, and lines go nowhere.
pub trait Imports {
    /// What happened to `subject` over the last `window_ms` milliseconds, at most [`MAX_WINDOW_MS`].
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        let _ = (subject, window_ms);
        Figures::default()
    }

    /// The policy's committed value under `key`.
    fn state(&self, key: &str) -> Option<Vec<u8>> {
        let _ = key;
        None
    }

    /// The policy's committed counter under `key`, 0 where there is none.
    fn counter(&self, key: &str) -> i64 {
        let _ = key;
        0
    }

    /// A line of the policy, of at most [`MAX_LINE`] bytes. Not called in a replay.
    fn log(&self, level: Level, text: &str) {
        let _ = (level, text);
    }
}

/// No sales, no state, no log, for calls that grant nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoImports;

impl Imports for NoImports {}
