//! Lends the caller's [`Imports`] to the host functions of one call.
//!
//! A store's data must be `'static` and `Send`, the caller's imports are borrowed for the length of one call and may
//! be bound to their thread. [`scope`] hands out a token that works on the lending thread while the scope runs, and is
//! dead everywhere else and ever after, wherever a copy of it may have ended up.

#![allow(unsafe_code, reason = "the one lifetime that a store's data cannot express")]

use crate::imports::Imports;
use std::cell::Cell;
use std::sync::Arc;
use std::thread::{self, ThreadId};

/// Access to imports that were lent.
#[derive(Clone)]
pub(crate) struct Lent(Arc<Loan>);

struct Loan {
    lender: ThreadId,
    imports: Cell<Option<&'static dyn Imports>>,
}

// SAFETY: `imports` is only read and written by the thread `lender`: `Lent::call` checks it, and `End` stays in the
// frame of `scope`, which runs on that thread and moves it nowhere. Any other thread at most drops an `Arc`, and by
// then a plain reference, which has nothing to drop.
unsafe impl Send for Loan {}
// SAFETY: as above.
unsafe impl Sync for Loan {}

thread_local! {
    /// Looked up once: asking the standard library counts references of the thread each time.
    static HERE: ThreadId = thread::current().id();
}

/// The calling thread.
fn here() -> ThreadId {
    HERE.with(|here| *here)
}

impl Lent {
    /// Calls `with` on the imports; none once the scope is over. The closure cannot keep the reference.
    pub(crate) fn call<R>(&self, with: impl FnOnce(&dyn Imports) -> R) -> Option<R> {
        if here() != self.0.lender {
            return None;
        }
        self.0.imports.get().map(with)
    }
}

/// Ends a loan, on return and on unwinding alike.
struct End(Lent);

impl Drop for End {
    fn drop(&mut self) {
        self.0.0.imports.set(None);
    }
}

/// Runs `run` with access to `imports`.
pub(crate) fn scope<R>(imports: &dyn Imports, run: impl FnOnce(Lent) -> R) -> R {
    // SAFETY: only the lifetime changes. The reference sits in the cell alone and `End` empties the cell before this
    // function returns or unwinds, that is, while `imports` is still borrowed. `Lent::call` lends it to a closure
    // that must accept any lifetime, so no copy outlives the call; only this thread can call, so calls are nested in
    // this function's frame.
    let imports: &'static dyn Imports =
        unsafe { core::mem::transmute::<&dyn Imports, &'static dyn Imports>(imports) };
    let end = End(Lent(Arc::new(Loan {
        lender: here(),
        imports: Cell::new(Some(imports)),
    })));
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

    fn ask(lent: &Lent) -> bool {
        lent.call(|imports| imports.demand(Subject::Key(KeyId([0; 16])), 7))
            .is_some()
    }

    #[test]
    fn what_is_lent_can_be_called_until_the_scope_ends_and_not_after() {
        let count = Cell::new(0);
        let kept = scope(&Counted(&count), |lent| {
            assert!(ask(&lent));
            lent
        });
        assert!(!ask(&kept));
        assert_eq!(count.get(), 7);
    }

    #[test]
    fn what_is_lent_on_one_thread_cannot_be_called_on_another() {
        let count = Cell::new(0);
        scope(&Counted(&count), |lent| {
            let stolen = lent.clone();
            let called = thread::scope(|scope| scope.spawn(move || ask(&stolen)).join().unwrap());
            assert!(!called);
            assert!(ask(&lent));
        });
        assert_eq!(count.get(), 7);
    }
}
