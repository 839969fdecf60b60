//! Known bugs that a checker can switch on, to prove that it would find them.
//!
//! What lives here: a name for each, and the switch. Without the feature `plant`, which nothing but the simulator asks
//! for, [`on`] is `false` for ever and the compiler drops what hangs on it.

/// A defect of the old market maker, as `docs/old-defects.md` numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A failed sale leaves the seller's money reserved and gives the buyer too much back.
    W20,
    /// A receipt quotes the balance of the moment instead of its own purchase's.
    W22,
    /// Sales over one paying channel are not put in order.
    W24,
}

#[cfg(feature = "plant")]
thread_local! {
    static PLANTED: core::cell::Cell<Option<Bug>> = const { core::cell::Cell::new(None) };
}

/// Switches a bug on for this thread, or all off.
#[cfg(feature = "plant")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether `bug` is switched on for this thread.
#[cfg(feature = "plant")]
pub fn on(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Never.
#[cfg(not(feature = "plant"))]
pub const fn on(_bug: Bug) -> bool {
    false
}
