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
    let found = rustix::fs::statfs(path).map_err(|error| OpenError::Folder {
        what: "cannot inspect",
        path: path.to_owned(),
        source: error.into(),
    })?;
    // The width and sign of this field differ between architectures; the numbers have 32 bits.
    match network(found.f_type as u32) {
        Some(kind) => Err(OpenError::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

/// The name of a file system that lies on another machine, or may: behind FUSE anything can be, and what shares folders
/// with a virtual machine maps no file for both. Not 9P: sandboxes that one machine runs have their own disks behind it.
#[cfg(target_os = "linux")]
fn network(magic: u32) -> Option<&'static str> {
    // Magic numbers of linux/magic.h and the file systems' own headers.
    const NETWORK: [(u32, &str); 13] = [
        (0x6969, "NFS"),
        (0x517B, "SMB"),
        (0xFF53_4D42, "CIFS"),
        (0xFE53_4D42, "SMB2"),
        (0x00C3_6400, "Ceph"),
        (0x5346_414F, "AFS"),
        (0x6B41_4653, "AFS"),
        (0x0BD0_0BD0, "Lustre"),
        (0x7375_7245, "Coda"),
        (0x564C, "NCP"),
        (0x6573_5546, "FUSE"),
        (0x786F_4256, "VirtualBox shared folder"),
        (0xBACB_ACBC, "VMware shared folder"),
    ];
    let found = NETWORK.iter().find(|(number, _)| *number == magic);
    found.map(|(_, kind)| *kind)
}

/// Not known how to tell here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn refuse_network(_path: &Path) -> Result<(), OpenError> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_other_machines_are_known_and_those_of_this_one_are_not_refused() {
        for (magic, kind) in [(0x6969, "NFS"), (0xFE53_4D42, "SMB2"), (0x6573_5546, "FUSE")] {
            assert_eq!(network(magic), Some(kind));
        }
        // ext4, xfs, btrfs, zfs, tmpfs, overlay, f2fs.
        for magic in [
            0xEF53,
            0x5846_5342,
            0x9123_683E,
            0x2FC1_2FC1,
            0x0102_1994,
            0x794C_7630,
            0xF2F5_2010,
        ] {
            assert_eq!(network(magic), None, "{magic:#x}");
        }
        let folder = tempfile::tempdir().unwrap();
        refuse_network(folder.path()).unwrap();
        assert!(refuse_network(&folder.path().join("missing")).is_err());
    }
}
