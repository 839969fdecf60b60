//! The data folder: made for its owner alone, on a local disk, held by one process.

use crate::error::OpenError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file whose lock says that a process writes this folder. It holds that process's id, for messages.
const LOCK: &str = "bourse.lock";

/// The file LMDB keeps the ledger in.
pub(crate) const DATA: &str = "data.mdb";

/// A folder that this process alone writes, until this value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

/// Makes `path` if it is missing, readable by its owner only, and takes its lock.
pub(crate) fn hold(path: &Path) -> Result<Held, OpenError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Folder { what, path, source }
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("cannot make", path))?;
    refuse_network(path)?;
    let name = path.join(LOCK);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(failed("cannot open", &name))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse {
                path: path.to_owned(),
                holder: holder(&mut lock),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed("cannot lock", &name)(source)),
    }
    note_holder(&mut lock).map_err(failed("cannot write", &name))?;
    Ok(Held { _lock: lock })
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.take(20).read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}

fn note_holder(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}

/// Makes the names in `path`, and `path` itself, survive a loss of power: LMDB syncs its file, never the folder.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    let whole: PathBuf = path.canonicalize()?;
    match whole.parent() {
        // A parent that may not be read cannot be synced; it was not made here either.
        Some(parent) => match File::open(parent) {
            Ok(parent) => parent.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
        },
        None => Ok(()),
    }
}

/// LMDB's locks and its shared map work on one machine only.
#[cfg(target_os = "linux")]
pub(crate) fn refuse_network(path: &Path) -> Result<(), OpenError> {
    // Magic numbers of linux/magic.h and the file systems' own headers.
    const NETWORK: [(u32, &str); 7] = [
        (0x6969, "NFS"),
        (0x517B, "SMB"),
        (0xFF53_4D42, "CIFS"),
        (0xFE53_4D42, "SMB2"),
        (0x00C3_6400, "Ceph"),
        (0x5346_414F, "AFS"),
        (0x0BD0_0BD0, "Lustre"),
    ];
    let found = rustix::fs::statfs(path).map_err(|error| OpenError::Folder {
        what: "cannot inspect",
        path: path.to_owned(),
        source: error.into(),
    })?;
    // The width and sign of this field differ between architectures; the numbers have 32 bits.
    let magic = found.f_type as u32;
    match NETWORK.iter().find(|(number, _)| *number == magic) {
        Some((_, kind)) => Err(OpenError::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

/// Not known how to tell here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn refuse_network(_path: &Path) -> Result<(), OpenError> {
    Ok(())
}
