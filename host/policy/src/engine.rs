//! The sandbox: one configuration of wasmtime, its pool of instances and its clock tick.

use crate::host::{HostState, linker};
use crate::limits::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES};
use crate::ticker::Ticker;
use crate::watch::Watch;
use core::time::Duration;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures};

/// How the sandbox is built. These hold for all policies of the engine; [`Limits`](crate::Limits) hold for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Calls that can run at the same time; one more fails as `busy`. Each reserves 4 GiB of address space (not of
    /// memory), which spares the guest explicit bounds checks.
    pub instances: u32,
    /// Bytes of linear memory that [`Limits::memory`](crate::Limits::memory) may allow at most.
    pub memory: usize,
    /// Bytes of native stack for a guest's calls, besides the stack in its own memory.
    pub stack: usize,
    /// Bytes of the largest component: `[policies] component_max`, 2 MiB if it is not set. Compiling is not metered
    /// and takes about a millisecond of CPU for each KiB, so that the cap bounds what a deploy can cost.
    ///
    /// Policies in Rust, C and AssemblyScript take kilobytes. One in JavaScript brings its interpreter and takes
    /// 12 MB, which compile for about 14 s: raise the cap to 16 MiB (`component_max = 16777216`) and keep the cache of
    /// compiled code ([`LibraryOptions::cache`](crate::LibraryOptions::cache)), so that only the first start pays.
    pub component: usize,
    /// Bytes of linear memory that stay mapped in a recycled slot: cleared by hand instead of by the kernel.
    pub keep_resident: usize,
    /// Whether a call that traps tells where it was: for [`Revision::stack_after`](crate::Revision::stack_after). Each
    /// trap is dearer then, and of a component without names it tells little.
    pub backtraces: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            instances: 256,
            memory: 64 << 20,
            stack: 256 << 10,
            component: 2 << 20,
            keep_resident: 1 << 20,
            backtraces: false,
        }
    }
}

/// The sandbox cannot be built on this machine, or not so.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The options contradict each other, or the machine lacks address space.
    #[error("the policy sandbox cannot be set up ({instances} instances): {reason}")]
    Setup {
        /// How many instances were asked for.
        instances: u32,
        /// What the engine says.
        reason: String,
    },
    /// No thread for the clock tick.
    #[error("no thread for the policies' clock tick: {source}")]
    Ticker {
        /// What the system says.
        source: std::io::Error,
    },
}

/// The sandbox in which policies run. Clones share it; it ends with the last clone and the last
/// [`Revision`](crate::Revision).
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    wasm: wasmtime::Engine,
    linker: Linker<HostState>,
    options: EngineOptions,
    // Revisions hold the engine and so its ticker: without it, their deadlines would never pass.
    ticker: Ticker,
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Builds a sandbox and starts its clock tick.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if the options do not fit each other or the machine.
    pub fn new(options: EngineOptions) -> Result<Self, PolicyError> {
        let setup = |error: wasmtime::Error| PolicyError::Setup {
            instances: options.instances,
            reason: format!("{error:#}"),
        };
        let wasm = wasmtime::Engine::new(&config(&options)).map_err(setup)?;
        let linker = linker(&wasm).map_err(setup)?;
        let epochs = wasm.clone();
        let ticker = Ticker::start(move || epochs.increment_epoch())
            .map_err(|source| PolicyError::Ticker { source })?;
        Ok(Self {
            shared: Arc::new(Shared {
                wasm,
                linker,
                options,
                ticker,
            }),
        })
    }

    /// How it was built.
    pub fn options(&self) -> &EngineOptions {
        &self.shared.options
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.shared.wasm
    }

    /// Watches a call that began at `started`: from here until the watch is dropped, the clock ticks.
    pub(crate) fn watch(&self, started: Instant, deadline: Duration) -> Watch {
        Watch::since(started, deadline, self.shared.ticker.running())
    }

    pub(crate) fn linker(&self) -> &Linker<HostState> {
        &self.shared.linker
    }
}

/// Frames of a backtrace: more than any reader follows.
const MAX_FRAMES: Option<NonZero<usize>> = NonZero::new(96);

/// The configuration. What could make two runs of a call differ is off; so is what no policy needs.
fn config(options: &EngineOptions) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(options.stack)
        .cranelift_nan_canonicalization(true)
        .wasm_component_model(true)
        .wasm_relaxed_simd(false)
        .wasm_features(WasmFeatures::THREADS, false)
        .wasm_features(WasmFeatures::SHARED_EVERYTHING_THREADS, false)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_stack_switching(false)
        .wasm_backtrace_max_frames(if options.backtraces { MAX_FRAMES } else { None })
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options)));
    config
}

/// The pool of instances. To have the kernel say which pages a call wrote to (`pagemap_scan`) would save a sixth of a small call,
/// but wasmtime does not ask for pages that were swapped out, and what is in them would be there for the next call
/// (<https://github.com/bytecodealliance/wasmtime/pull/14357>).
fn pool(options: &EngineOptions) -> PoolingAllocationConfig {
    let instances = options.instances.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(MAX_CORE_INSTANCES))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(4))
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_memory_size(options.memory)
        .table_elements(MAX_TABLE_ELEMENTS)
        .linear_memory_keep_resident(options.keep_resident)
        .table_keep_resident(64 << 10);
    pool
}
