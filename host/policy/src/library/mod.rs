//! The life of revisions: which one answers for a policy now, and how another takes its place.
//!
//! What lives here: the [`Library`], which watches a folder, takes deploys, keeps every revision that was in force
//! in an archive and remembers the good ones; swaps are atomic, and a broken file never replaces a good revision.
//! What never does: calls of hooks, rules, the breaker's decisions about a call (they are the caller's to ask for).
//!
//! The folder is the truth: what lies there as `NAME.wasm` is what runs, and a deploy is a file written there.
//! Looking a policy up takes no lock. Changes of one policy come one after another; of two policies, side by side.

mod archive;
#[cfg(test)]
mod crash;
mod deploy;
mod disk;
mod entry;
mod error;
mod folder;
mod open;
mod scan;
mod table;

pub use entry::{Change, Changed, Deployed, Entry, Origin, PolicyState, PolicyStatus};
pub use error::{DeployError, LibraryError};

use crate::breaker::{Breaker, BreakerOptions};
use crate::cache::CodeCache;
use crate::engine::Engine;
use crate::revision::Revision;
use crate::signature::{VerifyingKey, verify};
use arc_swap::ArcSwap;
use archive::Archive;
use bourse_market::RevisionId;
use core::fmt;
use disk::Disk;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use table::Table;

/// Notices that wait to be taken; older ones make room.
const MAX_NOTICES: usize = 64;

/// Where a library's revisions come from, and what it asks of them.
#[derive(Clone)]
pub struct LibraryOptions {
    /// The watched folder: `NAME.wasm`, with `NAME.wasm.sig` beside it where signed. It may be missing.
    pub folder: PathBuf,
    /// The folder of all revisions that were in force, and of the history. Made if missing.
    pub archive: PathBuf,
    /// The folder of compiled code, made with mode 0700 if missing; without one, each start compiles anew. It holds
    /// native code: if it is not the process's own and closed to everybody else, it is not used, and a notice says so.
    pub cache: Option<PathBuf>,
    /// Components of the host itself, by name. A file in the folder takes the place of one.
    pub shipped: Vec<(&'static str, &'static [u8])>,
    /// Whose signatures count.
    pub keys: Vec<VerifyingKey>,
    /// Whether files and deploys without a signature of one of `keys` are refused. A signature that is there and
    /// wrong is refused in any case, unless there are no keys.
    pub require_signature: bool,
    /// How the breakers of revisions are set.
    pub breaker: BreakerOptions,
}

impl fmt::Debug for LibraryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of what ships the names, not the bytes.
        let shipped: Vec<&str> = self.shipped.iter().map(|(name, _)| *name).collect();
        f.debug_struct("LibraryOptions")
            .field("folder", &self.folder)
            .field("archive", &self.archive)
            .field("cache", &self.cache)
            .field("shipped", &shipped)
            .field("keys", &self.keys)
            .field("require_signature", &self.require_signature)
            .field("breaker", &self.breaker)
            .finish()
    }
}

impl LibraryOptions {
    /// A library over `folder` that keeps its revisions in `archive`: no cache, nothing shipped, no signatures.
    pub fn new(folder: impl Into<PathBuf>, archive: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            archive: archive.into(),
            cache: None,
            shipped: Vec::new(),
            keys: Vec::new(),
            require_signature: false,
            breaker: BreakerOptions::default(),
        }
    }
}

/// The policies of a host. Clones share it.
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("names", &self.names())
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

type Entries = HashMap<String, Arc<Entry>>;

struct Inner {
    engine: Engine,
    options: LibraryOptions,
    disk: Disk,
    archive: Archive,
    cache: Option<CodeCache>,
    entries: ArcSwap<Entries>,
    // Held for moments, and for the write of one small file; never while anything is compiled.
    table: Mutex<Table>,
    // Whose turn it is to change a policy: held through a compilation, and by nobody who only reads.
    turns: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    notices: Mutex<Vec<String>>,
    vet: OnceLock<Vet>,
}

/// What else a revision must satisfy before it comes into force; the error says why it does not.
struct Vet(Box<Check>);

type Check = dyn Fn(&Revision) -> Result<(), String> + Send + Sync;

/// A revision that passed all checks, and what to remember of it.
struct Admitted {
    revision: Revision,
    signature: Option<String>,
    signed_by: Option<VerifyingKey>,
}

impl Library {
    /// The policy `name`, if it can be asked: none if it is unknown, disabled, removed, or broken without a good
    /// revision. Takes no lock and waits for nobody.
    pub fn get(&self, name: &str) -> Option<Arc<Entry>> {
        self.inner.entries.load().get(name).cloned()
    }

    /// The names of the policies that can be asked, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.inner.entries.load().keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// All about every policy that is or was there, in the order of their names.
    pub fn status(&self) -> Vec<PolicyStatus> {
        let now = Instant::now();
        let table = self.table();
        let entries = self.inner.entries.load();
        let mut all: Vec<PolicyStatus> = table
            .slots
            .iter()
            .filter_map(|(name, slot)| status(name, slot, entries.get(name).map(Arc::as_ref), now))
            .collect();
        all.extend(table.strays.iter().map(|(name, reason)| PolicyStatus {
            reason: Some(reason.clone()),
            ..PolicyStatus::bare(name, PolicyState::Broken)
        }));
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// What the operator should read and no call returned, oldest first: each notice is given out once.
    pub fn notices(&self) -> Vec<String> {
        core::mem::take(&mut *lock(&self.inner.notices))
    }

    /// The component of a revision that was in force once, whatever its policy, or that ships.
    pub fn archived(&self, id: RevisionId) -> Option<Vec<u8>> {
        let shipped = || {
            let mut shipped = self.inner.options.shipped.iter();
            shipped.find(|(_, bytes)| Sha256::digest(bytes)[..] == id.0)
        };
        let kept = self.inner.archive.get(id);
        kept.or_else(|| shipped().map(|(_, bytes)| bytes.to_vec()))
    }

    /// A revision that was in force once, to replay its decisions: whoever signed it, whatever is active now.
    ///
    /// # Errors
    ///
    /// [`DeployError::NotArchived`], or [`DeployError::Load`] if it is not of the policy `name`.
    pub fn load_archived(&self, name: &str, id: RevisionId) -> Result<Revision, DeployError> {
        if let Some(entry) = self.get(name)
            && entry.revision.id() == id
        {
            return Ok(entry.revision.clone());
        }
        let bytes = self.archived(id).ok_or(DeployError::NotArchived { id })?;
        Ok(self.load(name, &bytes)?)
    }

    /// From now on a revision must satisfy `vet` too, such as the rules that are bound to it. Counts once.
    pub fn vet(&self, vet: impl Fn(&Revision) -> Result<(), String> + Send + Sync + 'static) {
        let _ = self.inner.vet.set(Vet(Box::new(vet)));
    }

    /// The engine that its revisions run in.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// How it was opened.
    pub fn options(&self) -> &LibraryOptions {
        &self.inner.options
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.inner.table)
    }

    fn notice(&self, text: String) {
        let mut notices = lock(&self.inner.notices);
        if notices.len() >= MAX_NOTICES {
            notices.remove(0);
        }
        notices.push(text);
    }

    /// A notice that is given only if it does not wait already.
    fn notice_once(&self, text: String) {
        if !lock(&self.inner.notices).contains(&text) {
            self.notice(text);
        }
    }

    /// Runs `change` when no other change of the policy `name` is under way.
    fn in_turn<T>(&self, name: &str, change: impl FnOnce() -> T) -> T {
        let turn = self.turn(name);
        let _held = lock(&turn);
        change()
    }

    /// Runs `change` unless another change of the policy `name` is under way.
    fn if_free<T>(&self, name: &str, change: impl FnOnce() -> T) -> Option<T> {
        let turn = self.turn(name);
        let _held = match turn.try_lock() {
            Ok(held) => held,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        Some(change())
    }

    fn turn(&self, name: &str) -> Arc<Mutex<()>> {
        let mut turns = lock(&self.inner.turns);
        // Only the turns that somebody has or waits for are kept.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(name.to_owned()).or_default())
    }

    fn load(&self, name: &str, bytes: &[u8]) -> Result<Revision, crate::LoadError> {
        let cache = self.inner.cache.as_ref();
        let loaded = self.inner.engine.load_with(name, bytes, cache);
        for file in cache.map(CodeCache::take_refused).unwrap_or_default() {
            self.notice(format!(
                "the compiled code in {} is damaged or not this host's own: it was not used, and `{name}` is compiled \
                 anew",
                file.display()
            ));
        }
        loaded
    }

    /// Compiles a component, and checks that it fits those who use it.
    fn fitting(&self, name: &str, bytes: &[u8]) -> Result<Revision, DeployError> {
        let revision = self.load(name, bytes)?;
        if let Some(Vet(vet)) = self.inner.vet.get() {
            vet(&revision).map_err(|reason| DeployError::Unfit {
                name: name.to_owned(),
                reason,
            })?;
        }
        Ok(revision)
    }

    /// All checks of a component: its signature first, for compiling is dear.
    fn admit(&self, name: &str, bytes: &[u8], signature: Option<&[u8]>) -> Result<Admitted, DeployError> {
        let options = &self.inner.options;
        let signed_by = match signature {
            None if options.require_signature => {
                return Err(DeployError::Unsigned {
                    name: name.to_owned(),
                });
            }
            Some(signature) if !options.keys.is_empty() => {
                Some(verify(&options.keys, name, bytes, signature)?)
            }
            _ => None,
        };
        let revision = self.fitting(name, bytes)?;
        Ok(Admitted {
            revision,
            signature: signature.and_then(|signature| String::from_utf8(signature.to_vec()).ok()),
            signed_by,
        })
    }

    /// Puts an entry into force, or takes it out, for all readers at once.
    fn swap(&self, name: &str, entry: Option<Entry>) {
        let entry = entry.map(Arc::new);
        self.inner.entries.rcu(|entries| {
            let mut entries = Entries::clone(entries);
            match &entry {
                Some(entry) => entries.insert(name.to_owned(), Arc::clone(entry)),
                None => entries.remove(name),
            };
            entries
        });
    }

    /// An entry for `revision`, with the shadow that the table says. What stays the same keeps its breaker.
    fn entry(
        &self,
        name: &str,
        revision: Revision,
        origin: Origin,
        signed_by: Option<VerifyingKey>,
    ) -> Entry {
        let old = self.get(name);
        let breaker = old
            .as_ref()
            .filter(|old| old.revision.id() == revision.id())
            .map_or_else(
                || Breaker::new(self.inner.options.breaker),
                |old| old.breaker.clone(),
            );
        Entry {
            revision,
            shadow: self.shadow(name, old.as_deref()),
            breaker,
            origin,
            signed_by,
        }
    }

    /// The shadow that the table says: the one that runs already, or one out of the archive.
    fn shadow(&self, name: &str, old: Option<&Entry>) -> Option<Revision> {
        let kept = self.table().slot(name).kept.shadow.clone()?;
        if let Some(old) = old
            && let Some(shadow) = &old.shadow
            && shadow.id() == kept.id
        {
            return Some(shadow.clone());
        }
        match self.recall(name, &kept) {
            Ok(admitted) => Some(admitted.revision),
            Err(error) => {
                self.notice(format!("`{name}` runs without its shadow {}: {error}", kept.id));
                self.table().slot(name).kept.shadow = None;
                None
            }
        }
    }

    fn shipped(&self, name: &str) -> Option<&'static [u8]> {
        let mut shipped = self.inner.options.shipped.iter();
        shipped
            .find(|(shipped, _)| *shipped == name)
            .map(|(_, bytes)| *bytes)
    }
}

impl PolicyStatus {
    fn bare(name: &str, state: PolicyState) -> Self {
        Self {
            name: name.to_owned(),
            state,
            reason: None,
            revision: None,
            version: None,
            summary: None,
            size: None,
            hooks: Vec::new(),
            imports: Vec::new(),
            origin: None,
            signed_by: None,
            shadow: None,
            previous: Vec::new(),
            breaker: None,
            failures: 0,
        }
    }
}

/// The status of one policy, none if there is nothing to say.
fn status(name: &str, slot: &table::Slot, entry: Option<&Entry>, now: Instant) -> Option<PolicyStatus> {
    let state = match (entry, &slot.trouble) {
        _ if slot.kept.disabled => PolicyState::Disabled,
        (Some(_), None) => PolicyState::Active,
        (Some(_), Some(_)) => PolicyState::LastGood,
        (None, Some(_)) => PolicyState::Broken,
        (None, None) if slot.kept.good.is_empty() => return None,
        (None, None) => PolicyState::Removed,
    };
    let active = entry.map(|entry| entry.revision.id());
    let mut status = PolicyStatus {
        reason: slot.trouble.clone(),
        shadow: slot.kept.shadow.as_ref().map(|shadow| shadow.id.to_string()),
        previous: slot
            .kept
            .before(active)
            .iter()
            .rev()
            .map(|good| good.id.to_string())
            .collect(),
        ..PolicyStatus::bare(name, state)
    };
    if let Some(entry) = entry {
        let description = entry.revision.description();
        status.revision = Some(entry.revision.id().to_string());
        status.version = Some(description.version.clone());
        status.summary = Some(description.summary.clone());
        status.size = Some(entry.revision.size());
        status.hooks = entry.revision.hooks().to_vec();
        status.imports = entry.revision.imports().to_vec();
        status.origin = Some(entry.origin);
        status.signed_by = entry.signed_by;
        status.breaker = Some(entry.breaker.state(now));
        status.failures = entry.breaker.failures();
    }
    Some(status)
}

/// The lock, also after a panic elsewhere: what it guards is whole between any two statements that hold it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
