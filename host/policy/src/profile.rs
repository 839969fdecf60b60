//! Where a call is once it has burned so much fuel: samples of a profile that is the same in every run.
//!
//! An engine with fuel has no profiler of its own. But a call that runs out of fuel traps, the trap knows the stack, and
//! the same call with the same answers always burns its fuel in the same order. So the stack at any moment of a call is
//! had by giving it just so much fuel. Fuel is counted at the entries of functions and the heads of loops: the stack
//! is that of the first such place after the fuel was burned.

use crate::Failure;
use crate::limits::Limits;
use crate::record::{Output, Record};
use crate::revision::Revision;
use wasmtime::WasmBacktrace;

impl Revision {
    /// The functions that `record`'s call is in once it has burned `fuel`, outermost first; none if it is over by then,
    /// or if the engine keeps no [backtraces](crate::EngineOptions::backtraces). The call is made again with the
    /// recorded answers, so this revision must be the one that decided, or the same code with names.
    ///
    /// Functions without names, as all are in a component that was stripped, are called by their numbers; the others as their compiler spells them.
    pub fn stack_after(&self, record: &Record, fuel: u64) -> Option<Vec<String>> {
        let recorded = self.within(&record.input.limits());
        let limits = Limits {
            fuel: fuel.min(recorded.fuel),
            ..recorded
        };
        let asked = self.ask_on_tape(record, &limits);
        let stopped = matches!(asked.output, Output::Failure(Failure::OutOfFuel { .. }));
        (stopped && !asked.trace.stack.is_empty()).then_some(asked.trace.stack)
    }
}

/// The functions that an error comes from, outermost first; empty without backtraces.
pub(crate) fn stack(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let frames = backtrace.frames().iter().rev();
    frames
        .map(|frame| match frame.func_name() {
            Some(name) => name.to_owned(),
            None => format!("function {}", frame.func_index()),
        })
        .collect()
}
