//! What one call may use up.

use core::time::Duration;
use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

/// Fuel of a pricing call: one unit is about one WebAssembly instruction. The shipped policies need some thousands;
/// an endless loop burns this much in about 3 ms, cache-hostile loads in 15 ms.
pub(crate) const DEFAULT_FUEL: u64 = 10_000_000;

/// Fuel on top for each offer of a batch: several times what reading all its fields and labels takes.
pub(crate) const FUEL_PER_OFFER: u64 = 5_000;

/// Backstop in time: fuel ends a call long before, unless it was set very high or the host's own imports dawdle.
pub(crate) const DEFAULT_DEADLINE: Duration = Duration::from_millis(50);

/// Linear memory: touching every page of 8 MiB once costs 3 ms while it burns almost no fuel, so this also bounds time.
pub(crate) const DEFAULT_MEMORY: usize = 8 << 20;

/// Elements over all tables of a call: function pointers, of which a 2 MiB component has some thousands.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 16_384;

/// Core instances of one component: its module, and the shims that toolchains put around it.
pub(crate) const MAX_CORE_INSTANCES: u32 = 8;

/// Memories of one component.
pub(crate) const MAX_MEMORIES: u32 = 2;

/// Tables of one component.
pub(crate) const MAX_TABLES: u32 = 8;

/// Bytes that one crossing of the border may make the host allocate: 8192 aliased strings cost 0.5 ms, not 77.
pub(crate) const HOSTCALL_FUEL: usize = 1 << 20;

/// What one call may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fuel: about one unit for each WebAssembly instruction. The same call burns the same fuel everywhere.
    pub fuel: u64,
    /// Time until the call is interrupted, looked at every 10 ms: processor time in the guest, wall-clock time in
    /// imports. Ten times this on the wall clock end a call whose thread hardly gets to run.
    pub deadline: Duration,
    /// Bytes over all linear memories; [`EngineOptions::memory`](crate::EngineOptions::memory) at most. A call of
    /// `offers.filter` may use its batch's size on top, for the host puts that there.
    pub memory: usize,
    /// Which instance serves the call.
    pub instances: Instances,
}

/// Which instance serves a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// One that is made for the call and dropped after it: nothing is left for the next.
    #[default]
    Fresh,
    /// One that served before, if there is one. Ten times faster, but what the policy leaves in its memory or in a
    /// global is there in the next call: only for policies that are trusted to decide from their request alone.
    /// Such a decision replays exactly only if the policy does, and its fuel may differ.
    Warm,
}

impl Limits {
    /// What a call of `offers.filter` with `count` offers may use up by default: fuel grows with the batch.
    pub fn for_batch(count: usize) -> Self {
        Self {
            fuel: DEFAULT_FUEL.saturating_add(FUEL_PER_OFFER.saturating_mul(count as u64)),
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: DEFAULT_FUEL,
            deadline: DEFAULT_DEADLINE,
            memory: DEFAULT_MEMORY,
            instances: Instances::Fresh,
        }
    }
}

/// A guest asked for more memory than its call may have.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the guest asked for {asked} bytes of {what}, more than {limit}")]
pub(crate) struct OverCap {
    pub(crate) asked: usize,
    pub(crate) limit: usize,
    pub(crate) what: &'static str,
}

/// Counts memory and table elements of one store. Growth past the cap ends the call with [`OverCap`] instead of
/// telling the guest, whose allocator would only turn it into a trap that says nothing.
#[derive(Debug)]
pub(crate) struct Cap {
    memory: usize,
    limit: usize,
    elements: usize,
}

impl Cap {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            memory: 0,
            limit,
            elements: 0,
        }
    }

    /// Sets another limit on memory, for the next call.
    pub(crate) fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes of memory and elements of tables in all.
    pub(crate) fn size(&self) -> usize {
        self.memory.saturating_add(self.elements)
    }
}

impl ResourceLimiter for Cap {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let asked = self.memory.saturating_sub(current).saturating_add(desired);
        if asked > self.limit {
            return Err(OverCap {
                asked,
                limit: self.limit,
                what: "memory",
            }
            .into());
        }
        // Past the guest's own maximum the growth fails after this call: count only what it gets.
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.memory = asked;
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let asked = self.elements.saturating_sub(current).saturating_add(desired);
        if asked > MAX_TABLE_ELEMENTS {
            return Err(OverCap {
                asked,
                limit: MAX_TABLE_ELEMENTS,
                what: "table elements",
            }
            .into());
        }
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.elements = asked;
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}
