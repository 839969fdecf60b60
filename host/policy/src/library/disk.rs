//! Changes of files that a power cut leaves either done or not.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How the files end that are not yet whole.
const ASIDE: &str = ".bourse-new";

/// A file under way for longer was left by a crash.
const STALE: Duration = Duration::from_secs(3600);

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Writes files whole. In tests, the power can fail before any of its steps.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) power: super::crash::Power,
}

impl Disk {
    /// One step on the disk, unless the power is gone.
    fn step(&self) -> std::io::Result<()> {
        #[cfg(test)]
        self.power.step()?;
        Ok(())
    }

    /// Gives `path` the content `bytes`, all or nothing, durable on return.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let aside = aside(path);
        let written = self.write_aside(&aside, bytes).and_then(|()| {
            self.step()?;
            std::fs::rename(&aside, path)
        });
        if written.is_err() && self.step().is_ok() {
            let _ = std::fs::remove_file(&aside);
        }
        written?;
        self.sync_folder(path)
    }

    fn write_aside(&self, aside: &Path, bytes: &[u8]) -> std::io::Result<()> {
        self.step()?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(aside)?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        self.step()?;
        file.write_all(second)?;
        self.step()?;
        file.sync_all()
    }

    /// Removes `path`, which may be gone already; durable on return.
    pub(crate) fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.step()?;
        match std::fs::remove_file(path) {
            Ok(()) => self.sync_folder(path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Moves a file to another name in its folder.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.step()?;
        std::fs::rename(from, to)?;
        self.sync_folder(to)
    }

    fn sync_folder(&self, path: &Path) -> std::io::Result<()> {
        self.step()?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }
}

/// Removes what crashes left half written in `folder`. Another host may be writing beside: the young stay.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with('.') && name.ends_with(ASIDE));
        let age = entry
            .metadata()
            .and_then(|meta| meta.modified())
            .ok()
            .and_then(|modified| modified.elapsed().ok());
        if ours && age.is_some_and(|age| age > STALE) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A name of its own beside `path`, hidden, so that no look at the folder takes it for a policy.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{count}{ASIDE}", std::process::id()))
}

/// Reads a regular file of at most `max` bytes, and one byte more of a longer one.
pub(crate) fn read(path: &Path, max: u64) -> std::io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe under a policy's name must not keep the reader waiting for a writer.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of the file at `path`, none if nothing is there. What cannot be looked at has a stamp of its own.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match std::fs::metadata(path) {
            Ok(meta) => Some(Self {
                device: meta.dev(),
                inode: meta.ino(),
                size: meta.size(),
                modified: (meta.mtime(), meta.mtime_nsec()),
                changed: (meta.ctime(), meta.ctime_nsec()),
            }),
            // A link to nowhere is there, for the operator put it there.
            Err(_) => std::fs::symlink_metadata(path).is_ok().then(Self::default),
        }
    }
}
