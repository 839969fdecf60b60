//! The machine under the ledger, as far as tests and simulators need to replace it.

use std::io;
use std::path::Path;

/// What the store asks of the machine beside LMDB. Injected, so that a test can fill the disk or fail a write.
pub trait Disk: Send + Sync + 'static {
    /// Bytes this process may still write to the file system of `path`.
    ///
    /// # Errors
    ///
    /// Whatever the system says; new business is refused then.
    fn free(&self, path: &Path) -> io::Result<u64>;

    /// Called before each commit. An error fails that commit, as a write error of the disk would.
    ///
    /// # Errors
    ///
    /// Only where a failure is being tested.
    fn before_commit(&self) -> io::Result<()> {
        Ok(())
    }

    /// Called before `bytes` are appended to the decision log. An error fails that write, as the disk would.
    ///
    /// # Errors
    ///
    /// Only where a failure is being tested.
    fn before_append(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

/// The real machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn free(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
