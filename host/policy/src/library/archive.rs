//! Every revision that ever was in force, by its hash: what rollbacks and replays go back to.

use super::disk::{self, Disk};
use bourse_market::RevisionId;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A folder of components, each under the hash of its bytes. Nothing is ever removed: a recorded decision can be
/// replayed as long as its revision is here.
#[derive(Debug)]
pub(crate) struct Archive {
    folder: PathBuf,
}

impl Archive {
    /// Opens the folder, made if it is not there.
    pub(crate) fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        disk::sweep(folder);
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The file of a revision.
    pub(crate) fn path(&self, id: RevisionId) -> PathBuf {
        self.folder.join(format!("{}.wasm", hex::encode(id.0)))
    }

    /// Keeps a revision; durable on return.
    pub(crate) fn put(&self, disk: &Disk, id: RevisionId, bytes: &[u8]) -> std::io::Result<()> {
        if self.get(id).is_some() {
            return Ok(());
        }
        disk.write(&self.path(id), bytes)
    }

    /// A revision's bytes, none if they are not here or no longer the ones that were put.
    pub(crate) fn get(&self, id: RevisionId) -> Option<Vec<u8>> {
        // Whatever was admitted once may come back, also after the cap on new components was lowered.
        let bytes = disk::read(&self.path(id), u64::MAX).ok()?;
        (Sha256::digest(&bytes)[..] == id.0).then_some(bytes)
    }
}
