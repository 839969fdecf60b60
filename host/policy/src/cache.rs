//! Compiled code on disk, so that a restart does not compile what was compiled before.
//!
//! What lies here is native code that the process will run: whoever can write it owns the process. So the folder
//! must belong to the process's user and be closed to everybody else; links are not followed, neither the folder's
//! nor a file's; and a file counts only if its whole content has the hash that it starts with and was made from the
//! same component by the same engine. Whatever is wrong, the component is compiled again and the file replaced.

use crate::engine::Engine;
use bourse_market::RevisionId;
use rustix::fs::{AtFlags, Mode, OFlags};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::Component;

/// What a file starts with; the digit is the version of the format.
const MAGIC: &[u8; 16] = b"bourse aot code1";

/// Magic, the engine's hash, the component's hash, the body's length, and the hash of all that and the body.
const HEADER: usize = 16 + 32 + 32 + 8 + 32;

/// Bytes of native code for a byte of WebAssembly that are believed: 4 are common.
const EXPANSION: u64 = 64;

/// Bytes of code for a component however small.
const SLACK: u64 = 1 << 20;

/// Bytes of all files; the oldest go first. A policy in Rust takes a tenth of a mebibyte, one in JavaScript forty.
const MAX_TOTAL: u64 = 1 << 30;

/// A file that is still under its first name after this time was left by a crash.
const STALE: Duration = Duration::from_secs(3600);

/// Files that are remembered as not believed until somebody asks; more than that is one fault, not many.
const MAX_REFUSED: usize = 64;

/// How file names end.
const SUFFIX: &str = ".aot";

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be made or opened; a link is not followed.
    #[error("the folder {} cannot be opened as a folder of its own: {source}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Somebody else owns it.
    #[error("the folder {} belongs to user {owner}, and the host runs as {user}: native code is only taken from a folder of \
         the host's own",
        path.display())]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The process's user.
        user: u32,
    },
    /// Others may look into it or write to it.
    #[error("the folder {} has mode {mode:o}, and holds native code that the host runs: `chmod 700 {}`",
        path.display(),
        path.display())]
    Mode {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// A folder of compiled code, for one engine. What it does not hold is compiled and added.
#[derive(Debug)]
pub struct CodeCache {
    path: PathBuf,
    folder: OwnedFd,
    engine: [u8; 32],
    count: AtomicU64,
    /// Files that were there and not believed, and whom nobody told yet.
    refused: Mutex<Vec<PathBuf>>,
}

impl CodeCache {
    /// Opens the folder, made with mode 0700 if it is not there, for what `engine` compiles.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if it is not the process's own or not closed to everybody else.
    pub fn open(engine: &Engine, path: &Path) -> Result<Self, CacheError> {
        let failed = |source: std::io::Error| CacheError::Open {
            path: path.to_owned(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let cache = Self {
            path: path.to_owned(),
            folder,
            engine: fingerprint(engine),
            count: AtomicU64::new(0),
            refused: Mutex::new(Vec::new()),
        };
        cache.check()?;
        Ok(cache)
    }

    /// Whether the folder is still fit for native code.
    fn check(&self) -> Result<(), CacheError> {
        let stat = rustix::fs::fstat(&self.folder).map_err(|error| CacheError::Open {
            path: self.path.clone(),
            source: error.into(),
        })?;
        let user = rustix::process::geteuid().as_raw();
        if stat.st_uid != user {
            return Err(CacheError::Owner {
                path: self.path.clone(),
                owner: stat.st_uid,
                user,
            });
        }
        let mode = stat.st_mode & 0o7777;
        if mode & 0o077 != 0 {
            return Err(CacheError::Mode {
                path: self.path.clone(),
                mode,
            });
        }
        Ok(())
    }

    /// The compiled form of the component `bytes`, if it is here and in order.
    pub(crate) fn get(&self, engine: &Engine, id: RevisionId, bytes: &[u8]) -> Option<Component> {
        self.check().ok()?;
        let name = self.name(id);
        let found = match self.read(&name, bytes.len()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            found => found.ok(),
        };
        let component = found.and_then(|file| self.believed(engine, id, &file));
        if component.is_none() {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            if refused.len() < MAX_REFUSED {
                refused.push(self.path.join(name));
            }
        }
        component
    }

    /// The files that were there and not believed since the last time somebody asked: damaged, or another's.
    pub(crate) fn take_refused(&self) -> Vec<PathBuf> {
        core::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The code in `file`, if all of it is what this cache wrote.
    fn believed(&self, engine: &Engine, id: RevisionId, file: &[u8]) -> Option<Component> {
        let body = self.body(id, file)?;
        #[allow(
            unsafe_code,
            reason = "see SAFETY; the alternative is to compile at each start"
        )]
        // SAFETY: `deserialize` runs whatever code it is given, so it must be given what `serialize` made. The
        // header's hash covers the whole body; it was read into memory of our own before it was hashed, so nobody
        // can change it after; and the folder and the file belong to this process's user, with nobody else allowed to
        // write them, so that only code running as this user can have put it there. Wasmtime itself refuses code of
        // another version or with other settings, as does our own hash of them.
        let component = unsafe { Component::deserialize(engine.wasm(), body) };
        component.ok()
    }

    /// Keeps the compiled form of a component. It is a cache: what fails here only costs time later.
    pub(crate) fn put(&self, id: RevisionId, component: &Component) {
        if self.check().is_err() {
            return;
        }
        let Ok(body) = component.serialize() else {
            return;
        };
        let header = self.header(id, &body);
        let name = self.name(id);
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let aside = format!(".{name}.{}-{count}", std::process::id());
        let written = self.write(&aside, &header, &body).and_then(|()| {
            rustix::fs::renameat(&self.folder, &aside, &self.folder, &name).map_err(std::io::Error::from)
        });
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.folder, &aside, AtFlags::empty());
        }
        self.prune(&name);
    }

    fn name(&self, id: RevisionId) -> String {
        let engine = self
            .engine
            .first_chunk::<8>()
            .map_or_else(String::new, hex::encode);
        format!("{}-{engine}{SUFFIX}", hex::encode(id.0))
    }

    fn read(&self, name: &str, component: usize) -> std::io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
        let ours = stat.st_uid == rustix::process::geteuid().as_raw();
        if !regular || !ours || stat.st_mode & 0o022 != 0 {
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        let max = (component as u64).saturating_mul(EXPANSION).saturating_add(SLACK);
        let mut bytes = Vec::new();
        File::from(file).take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, name: &str, header: &[u8], body: &[u8]) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(
            &self.folder,
            name,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?);
        file.write_all(header)?;
        file.write_all(body)?;
        // Without it, a crash could leave the name on a file of zeros, which the hash would find; but each start
        // after that would compile again.
        file.sync_data()
    }

    fn header(&self, id: RevisionId, body: &[u8]) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER);
        header.extend(MAGIC);
        header.extend(self.engine);
        header.extend(id.0);
        header.extend((body.len() as u64).to_le_bytes());
        let hash = Sha256::new().chain_update(&header).chain_update(body).finalize();
        header.extend(hash);
        header
    }

    /// The code in `file`, if the file is what [`CodeCache::header`] says of it.
    fn body<'a>(&self, id: RevisionId, file: &'a [u8]) -> Option<&'a [u8]> {
        let (header, body) = file.split_at_checked(HEADER)?;
        (header == self.header(id, body)).then_some(body)
    }

    /// Removes the oldest files while all are too many bytes, and what crashes left; never the file `keep`.
    fn prune(&self, keep: &str) {
        let Ok(entries) = std::fs::read_dir(&self.path) else {
            return;
        };
        let mut files: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let meta = entry.metadata().ok()?;
                let ours = name.ends_with(SUFFIX) || name.starts_with('.');
                (ours && meta.is_file() && name != keep).then(|| (meta.modified().ok(), name, meta.len()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, _, len)| len).sum();
        for (modified, name, len) in files {
            let age = modified.and_then(|modified| modified.elapsed().ok());
            let abandoned = name.starts_with('.') && age.is_some_and(|age| age > STALE);
            if total > MAX_TOTAL || abandoned {
                total = total.saturating_sub(len);
                let _ = rustix::fs::unlinkat(&self.folder, &name, AtFlags::empty());
            }
        }
    }
}

/// What two engines must have in common for one to run what the other compiled.
fn fingerprint(engine: &Engine) -> [u8; 32] {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.wasm().precompile_compatibility_hash().hash(&mut hasher);
    let options = engine.options();
    // What wasmtime leaves out because it checks it elsewhere or not at all.
    (options.stack, options.memory, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    hasher.0.finalize().into()
}

/// Feeds SHA-256 with what a value hashes.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Nobody asks: the whole digest is taken.
        0
    }
}
