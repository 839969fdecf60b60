//! A copy of the ledger while it is in use.

use crate::error::StoreError;
use crate::folder;
use crate::store::Store;
use heed::CompactionOption;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// What the copy is called until it is whole.
const PARTIAL: &str = "data.mdb.partial";

impl Store {
    /// Copies the ledger, as it is now and without the pages that are free, into the folder `target`, which must not
    /// hold a ledger yet and is made if missing. Durable when this returns. The writer goes on meanwhile, but takes no
    /// free pages again until the copy is done, so the file grows with what is written. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the target holds a ledger, or cannot be written; no file that could be taken for a ledger is
    /// left then.
    pub fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| StoreError::File {
                what,
                path,
                why: error.to_string(),
            }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(target)
            .map_err(failed("cannot make", target))?;
        let (partial, data) = (target.join(PARTIAL), target.join(folder::DATA));
        if data.exists() {
            let taken = io::Error::other("a ledger is there already");
            return Err(failed("cannot write a backup to", &data)(taken));
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .map_err(failed("cannot make", &partial))?;
        let copied = self
            .env()
            .copy_to_file(&mut file, CompactionOption::Enabled)
            .map_err(StoreError::from);
        let copied = copied.and_then(|()| file.sync_all().map_err(failed("cannot sync", &partial)));
        if let Err(error) = copied {
            // Nobody takes it for a ledger under that name; removing it is a courtesy.
            let _ = fs::remove_file(&partial);
            return Err(error);
        }
        fs::rename(&partial, &data).map_err(failed("cannot name", &data))?;
        folder::sync(target).map_err(failed("cannot sync", target))
    }
}
