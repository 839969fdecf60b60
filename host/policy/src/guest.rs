//! One fresh instance, one call, under limits.

use crate::failure::{Budget, Failure, Phase, classify};
use crate::host::HostState;
use crate::limits::{HOSTCALL_FUEL, Limits};
use crate::record::ImportCall;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower};
use wasmtime::{Store, UpdateDeadline};

/// What a call came to.
pub(crate) struct Ran<R> {
    pub(crate) answer: Result<R, Failure>,
    pub(crate) fuel: u64,
    pub(crate) calls: Vec<ImportCall>,
}

/// Makes an instance of `pre`, calls `function` with `params` and drops the instance.
pub(crate) fn run<P, R>(
    pre: &InstancePre<HostState>,
    function: &ComponentExportIndex,
    params: P,
    state: HostState,
    limits: &Limits,
) -> Ran<R>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift + 'static,
{
    let budget = budget(limits);
    let mut store = store(pre, state, limits);
    let answer =
        call(&mut store, pre, function, params).map_err(|(error, phase)| classify(&error, phase, budget));
    let left = store.get_fuel().unwrap_or(0);
    Ran {
        answer,
        fuel: limits.fuel.saturating_sub(left),
        calls: store.data_mut().take_calls(),
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
    store.set_hostcall_fuel(HOSTCALL_FUEL);
    // At every tick that finds the guest running, the call's watch is asked: most calls never see one.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        Ok(if store.data_mut().tick() {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(1)
        })
    });
    // Fails only on an engine without fuel; a store without fuel stops at its first instruction.
    let _ = store.set_fuel(limits.fuel);
    store
}

fn call<P, R>(
    store: &mut Store<HostState>,
    pre: &InstancePre<HostState>,
    function: &ComponentExportIndex,
    params: P,
) -> Result<R, (wasmtime::Error, Phase)>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift + 'static,
{
    let instance = pre
        .instantiate(&mut *store)
        .map_err(|error| (error, Phase::Start))?;
    let function = instance
        .get_typed_func::<P, R>(&mut *store, function)
        .map_err(|error| (error, Phase::Start))?;
    function.call(store, params).map_err(|error| (error, Phase::Call))
}
