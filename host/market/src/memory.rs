//! A ledger in memory: the reference that tests and the simulator compare with.

/// Records in ordered maps.
#[derive(Debug, Default, Clone)]
pub struct MemoryLedger {}
