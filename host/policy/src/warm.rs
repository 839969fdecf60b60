//! Instances that served a call and wait for the next one, for rules that ask for them.
//!
//! An instance is kept only after a call that went well. It is retired after [`MAX_USES`] calls, when a call fails in
//! any way, and when its memory grew by more than [`MAX_GROWTH`] since its first call: the SDK's allocator, made for
//! instances that live for one call, gives next to nothing back.

use crate::functions::{Function, Typed};
use crate::guest::{Live, Ran, run_and_keep};
use crate::host::{HostState, Session};
use crate::limits::Limits;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wasmtime::component::InstancePre;

/// Calls that one instance serves: enough that making it is a hundredth of a call, few enough that nothing it
/// gathers lasts.
const MAX_USES: u32 = 1_000;

/// Bytes by which an instance may grow after its first call: room for a thousand requests of a kilobyte.
const MAX_GROWTH: usize = 1 << 20;

/// Instances that wait, for each revision. They hold places of the engine's pool, so they must be few.
const MAX_WAITING: usize = 4;

/// An instance between two calls.
pub(crate) struct Waiting {
    live: Live,
    uses: u32,
    /// What it had after its first call.
    size: usize,
}

/// The waiting instances of one revision.
#[derive(Default)]
pub(crate) struct Pool {
    waiting: Mutex<Vec<Waiting>>,
}

impl Pool {
    /// Calls `function` on a waiting instance, or on a new one. The instance comes back if it may serve again, to be
    /// given to [`Pool::keep`] once its answer was found good.
    pub(crate) fn run<F: Function>(
        &self,
        pre: &InstancePre<HostState>,
        function: &Typed<F>,
        params: F::Params<'_>,
        session: Session,
        limits: &Limits,
    ) -> (Ran<F::Results>, Option<Waiting>) {
        // Apart, so that the lock is not held during the call.
        let next = self.lock().pop();
        match next {
            Some(mut next) => {
                let ran = next.live.again(function, params, session, limits);
                next.uses += 1;
                let good = ran.answer.is_ok()
                    && next.uses < MAX_USES
                    && next.live.size() <= next.size.saturating_add(MAX_GROWTH);
                (ran, good.then_some(next))
            }
            None => {
                let (ran, live) = run_and_keep(pre, function, params, session, limits);
                let next = live.map(|live| Waiting {
                    size: live.size(),
                    live,
                    uses: 1,
                });
                (ran, next)
            }
        }
    }

    /// Lets an instance wait for the next call, if there is room.
    pub(crate) fn keep(&self, instance: Waiting) {
        let mut waiting = self.lock();
        if waiting.len() < MAX_WAITING {
            waiting.push(instance);
        }
    }

    /// A poisoned lock means that a thread died between two lines that cannot leave the list half done.
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
