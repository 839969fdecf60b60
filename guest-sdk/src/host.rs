//! The imports besides the market: the policy's own key-value space, and the host's log.

use crate::Market;

/// Bytes of a key of [`State`].
pub const MAX_KEY: usize = 64;

/// Bytes of a value of [`State`].
pub const MAX_VALUE: usize = 1024;

/// Changes to [`State`] that one call may make.
pub const MAX_CHANGES: usize = 16;

/// A key-value space of the policy's own, by its name and across its revisions. In a component it is the host's; in
/// tests it is [`crate::testing::MockHost`].
///
/// Changes are written together with the purchase that they were made for, once that is posted, and dropped otherwise:
/// what a quote or a query changes is seen by nobody. Within a call, reads see its own changes. A call that exceeds
/// [`MAX_KEY`], [`MAX_VALUE`] or [`MAX_CHANGES`] fails.
///
/// Purchases overlap: two calls may both see a value before either writes it. Then the [`set`](State::set) of the one
/// that is posted last wins and the other is lost, while every [`add`](State::add) counts. Keep what must add up in
/// counters.
///
/// The operator must grant it by the name `state`.
pub trait State {
    /// The value under `key`, as of the last posted purchase and this call's own changes.
    fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Sets or, with none, removes the value under `key`.
    fn set(&self, key: &str, value: Option<&[u8]>);

    /// The counter under `key`, 0 where there is none. Counters and values do not share their keys.
    fn counter(&self, key: &str) -> i64;

    /// Adds `delta` to the counter under `key`.
    fn add(&self, key: &str, delta: i64);
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For who looks for a defect.
    Debug,
    /// For who watches.
    Info,
    /// For who must act.
    Warn,
}

/// Lines in the host's log, and nowhere else. The operator must grant it by the name `log`.
pub trait Log {
    /// Writes a line.
    fn line(&self, level: Level, text: &str);
}

/// All that a host can grant. A hook asks for as little as it needs, such as `host: &(impl Market + State)`, and a
/// component keeps only the imports that its code uses.
pub trait Host: Market + State + Log {}

impl<H: Market + State + Log> Host for H {}
