//! Lends the caller's [`Imports`] to the host functions of one call.
//!
//! A store's data must be `'static`, the caller's imports are borrowed for the length of one call. [`scope`] hands
//! out a token that works while the scope runs and is dead ever after, wherever a copy of it may have ended up.

#![allow(unsafe_code, reason = "the one lifetime that a store's data cannot express")]

use crate::imports::Imports;
use std::cell::Cell;
use std::rc::Rc;

/// Access to imports that were lent. Not `Send`, so that a scope cannot end while another thread still calls.
#[derive(Clone)]
pub(crate) struct Lent(Rc<Cell<Option<&'static dyn Imports>>>);

impl Lent {
    /// Calls `with` on the imports; none once the scope is over. The closure cannot keep the reference.
    pub(crate) fn call<R>(&self, with: impl FnOnce(&dyn Imports) -> R) -> Option<R> {
        self.0.get().map(with)
    }
}

/// Ends a loan, on return and on unwinding alike.
struct End(Lent);

impl Drop for End {
    fn drop(&mut self) {
        self.0.0.set(None);
    }
}

/// Runs `run` with access to `imports`.
pub(crate) fn scope<R>(imports: &dyn Imports, run: impl FnOnce(Lent) -> R) -> R {
    // SAFETY: only the lifetime changes. The reference sits in the cell alone and `End` empties the cell before this
    // function returns or unwinds, that is, while `imports` is still borrowed. `Lent::call` lends it to a closure
    // that must accept any lifetime, so no copy outlives the call; the cell is neither `Send` nor `Sync`, so calls
    // are nested in this function's frame.
    let imports: &'static dyn Imports =
        unsafe { core::mem::transmute::<&dyn Imports, &'static dyn Imports>(imports) };
    let end = End(Lent(Rc::new(Cell::new(Some(imports)))));
    run(end.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_market::{Figures, KeyId, Subject};

    struct Counted<'a>(&'a Cell<u32>);

    impl Imports for Counted<'_> {
        fn demand(&self, _: Subject, window_ms: u32) -> Figures {
            self.0.set(self.0.get() + window_ms);
            Figures::default()
        }
    }

    #[test]
    fn what_is_lent_can_be_called_until_the_scope_ends_and_not_after() {
        let count = Cell::new(0);
        let ask = |lent: &Lent| {
            lent.call(|imports| imports.demand(Subject::Key(KeyId([0; 16])), 7))
                .is_some()
        };
        let kept = scope(&Counted(&count), |lent| {
            assert!(ask(&lent));
            lent
        });
        assert!(!ask(&kept));
        assert_eq!(count.get(), 7);
    }
}
