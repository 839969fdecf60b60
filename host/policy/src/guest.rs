//! One instance, one call, under limits.

use crate::failure::{Budget, Failure, Phase, classify};
use crate::functions::{Function, Typed};
use crate::host::{HostState, Session, Trace};
use crate::limits::{HOSTCALL_FUEL, Limits};
use crate::profile;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

/// What a call came to.
pub(crate) struct Ran<R> {
    pub(crate) answer: Result<R, Failure>,
    pub(crate) fuel: u64,
    pub(crate) trace: Trace,
}

/// An instance with its store.
pub(crate) struct Live {
    store: Store<HostState>,
    instance: Instance,
}

/// Makes an instance of `pre`, calls `function` with `params` and drops the instance.
pub(crate) fn run<F: Function>(
    pre: &InstancePre<HostState>,
    function: &Typed<F>,
    params: F::Params<'_>,
    session: Session,
    limits: &Limits,
) -> Ran<F::Results> {
    run_and_keep(pre, function, params, session, limits).0
}

/// As [`run`], but hands the instance out if nothing went wrong.
pub(crate) fn run_and_keep<F: Function>(
    pre: &InstancePre<HostState>,
    function: &Typed<F>,
    params: F::Params<'_>,
    session: Session,
    limits: &Limits,
) -> (Ran<F::Results>, Option<Live>) {
    let mut store = store(pre, HostState::new(limits.memory, session), limits);
    match pre.instantiate(&mut store) {
        Ok(instance) => {
            let mut live = Live { store, instance };
            let ran = live.call(function, params, limits);
            let kept = ran.answer.is_ok().then_some(live);
            (ran, kept)
        }
        Err(error) => {
            let answer = Err(classify(&error, Phase::Start, budget(limits)));
            (finish(&mut store, limits, answer), None)
        }
    }
}

impl Live {
    /// A further call on an instance that served before.
    pub(crate) fn again<F: Function>(
        &mut self,
        function: &Typed<F>,
        params: F::Params<'_>,
        session: Session,
        limits: &Limits,
    ) -> Ran<F::Results> {
        self.store.data_mut().begin(limits.memory, session);
        refill(&mut self.store, limits);
        self.call(function, params, limits)
    }

    /// Bytes of memory and table elements it has, to see whether it grows from call to call.
    pub(crate) fn size(&self) -> usize {
        self.store.data().cap.size()
    }

    fn call<F: Function>(
        &mut self,
        function: &Typed<F>,
        params: F::Params<'_>,
        limits: &Limits,
    ) -> Ran<F::Results> {
        let Self { store, instance } = self;
        let answer = match function.of(store, *instance) {
            Some(function) => function.call(&mut *store, params).map_err(|error| {
                store.data_mut().stack = profile::stack(&error);
                classify(&error, Phase::Call, budget(limits))
            }),
            None => Err(Failure::Start {
                reason: "its function is of another component".to_owned(),
            }),
        };
        finish(store, limits, answer)
    }
}

fn finish<R>(store: &mut Store<HostState>, limits: &Limits, answer: Result<R, Failure>) -> Ran<R> {
    let left = store.get_fuel().unwrap_or(0);
    Ran {
        answer,
        fuel: limits.fuel.saturating_sub(left),
        trace: store.data_mut().end(),
    }
}

/// What failures say the call had.
pub(crate) fn budget(limits: &Limits) -> Budget {
    let deadline_ms = u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX);
    Budget {
        fuel: limits.fuel,
        deadline_ms,
    }
}

/// A store under `limits`.
pub(crate) fn store(pre: &InstancePre<HostState>, state: HostState, limits: &Limits) -> Store<HostState> {
    let mut store = Store::new(pre.engine(), state);
    store.limiter(|state| &mut state.cap);
    store.epoch_deadline_callback(|mut store| {
        Ok(if store.data_mut().tick() {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(1)
        })
    });
    refill(&mut store, limits);
    store
}

/// Gives a store what the next call may use up.
fn refill(store: &mut Store<HostState>, limits: &Limits) {
    store.set_hostcall_fuel(HOSTCALL_FUEL);
    // At every tick that finds the guest running, the call's watch is asked: most calls never see one.
    store.set_epoch_deadline(1);
    // Fails only on an engine without fuel; a store without fuel stops at its first instruction.
    let _ = store.set_fuel(limits.fuel);
}
