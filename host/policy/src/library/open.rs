//! Opening a library: what each policy should be, from its file, the history and what ships.

use super::archive::Archive;
use super::disk::{self, Disk};
use super::table::{Good, Kept, Look, Table};
use super::{Admitted, DeployError, Entries, Entry, Inner, Library, LibraryError, LibraryOptions, Origin};
use crate::cache::CodeCache;
use crate::engine::Engine;
use crate::load::LoadError;
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

/// The name of the history's file in the archive.
const HISTORY: &str = "library.json";

/// What a policy's file, history and shipped component come to.
pub(super) struct Resolved {
    /// What is to be in force.
    pub(super) entry: Option<Entry>,
    /// Why the file is refused.
    pub(super) trouble: Option<String>,
}

impl Library {
    /// Opens a library: checks and compiles every policy of the folder, and the shipped ones that nothing there
    /// replaces.
    ///
    /// A file that is refused disables that one policy, unless it had a good revision before: then that one stands in
    /// for it. The shipped policy of its name does not come back, for the operator meant to replace it. With a
    /// filled cache this takes a fraction of a millisecond for each policy, without one tens of milliseconds.
    ///
    /// # Errors
    ///
    /// [`LibraryError`] if the archive cannot be read, or the options contradict each other. No file of a policy
    /// causes an error: see [`Library::status`] and [`Library::notices`].
    pub fn open(engine: Engine, options: LibraryOptions) -> Result<Self, LibraryError> {
        Self::open_on(engine, options, Disk::default())
    }

    pub(super) fn open_on(engine: Engine, options: LibraryOptions, disk: Disk) -> Result<Self, LibraryError> {
        if options.require_signature && options.keys.is_empty() {
            return Err(LibraryError::NoKeys);
        }
        let unusable = |path: PathBuf| move |source| LibraryError::Archive { path, source };
        let archive = Archive::open(&options.archive).map_err(unusable(options.archive.clone()))?;
        let mut notices = Vec::new();
        let history = options.archive.join(HISTORY);
        let table = Table::open(&disk, history.clone(), &mut notices).map_err(unusable(history))?;
        disk::sweep(&options.folder);
        notices.extend(exposed(&options));
        let cache = options.cache.as_ref().and_then(|folder| {
            CodeCache::open(&engine, folder)
                .map_err(|error| notices.push(format!("compiled policies are not cached: {error}")))
                .ok()
        });
        let library = Self {
            inner: std::sync::Arc::new(Inner {
                engine,
                options,
                disk,
                archive,
                cache,
                entries: ArcSwap::from_pointee(Entries::new()),
                table: Mutex::new(table),
                turns: Mutex::new(HashMap::new()),
                notices: Mutex::new(notices),
                vet: OnceLock::new(),
            }),
        };
        library.fill();
        Ok(library)
    }

    /// Brings every policy into force.
    fn fill(&self) {
        let mut names = BTreeSet::new();
        for found in self.files().unwrap_or_else(|reason| {
            self.notice(reason);
            Vec::new()
        }) {
            match found {
                Ok(name) => {
                    names.insert(name);
                }
                Err(stray) => {
                    self.stray(stray);
                }
            }
        }
        names.extend(
            self.inner
                .options
                .shipped
                .iter()
                .map(|(name, _)| (*name).to_owned()),
        );
        names.extend(self.table().slots.keys().cloned());
        for name in names {
            let look = self.look(&name);
            let resolved = self.resolve(&name, look);
            self.swap(&name, resolved.entry);
            self.table().slot(&name).dealt_with(look, resolved.trouble);
        }
        self.save_or_notice();
    }

    /// What `name` should be, with the files of `look`: its file, else the last good revision if that is refused, else
    /// the shipped policy. Remembers what is good and archives it.
    pub(super) fn resolve(&self, name: &str, look: Look) -> Resolved {
        let kept = self.table().slot(name).kept.clone();
        let nothing = |trouble| Resolved { entry: None, trouble };
        if kept.disabled {
            return nothing(None);
        }
        let (tried, shipped) = if look.wasm.is_some() {
            (
                self.read(name).and_then(|(bytes, signature)| {
                    let admitted = self.admit(name, &bytes, signature.as_deref())?;
                    Ok((admitted, bytes))
                }),
                false,
            )
        } else if let Some(bytes) = self.shipped(name) {
            // The host vouches for what it brings.
            let loaded = self.fitting(name, bytes).map(Admitted::unsigned);
            (loaded.map(|admitted| (admitted, bytes.to_vec())), true)
        } else {
            // Gone, also if it went while nobody looked.
            self.table().slot(name).kept.remove();
            return nothing(None);
        };
        match tried {
            Ok((admitted, bytes)) => {
                let id = admitted.revision.id();
                if let Err(error) = self.inner.archive.put(&self.inner.disk, id, &bytes) {
                    self.notice(format!(
                        "`{name}` runs, but its revision could not be archived, so that it cannot be rolled back to \
                         or replayed: {error}"
                    ));
                }
                let deployed = !shipped && kept.good.iter().any(|good| good.id == id && good.deployed);
                let origin = match (shipped, deployed) {
                    (true, _) => Origin::Shipped,
                    (_, true) => Origin::Deployed,
                    _ => Origin::File,
                };
                self.table().slot(name).kept.push(admitted.good(deployed));
                Resolved {
                    entry: Some(self.entry(name, admitted.revision, origin, admitted.signed_by)),
                    trouble: None,
                }
            }
            Err(error) => Resolved {
                entry: self.last_good(name, &kept),
                trouble: Some(error.to_string()),
            },
        }
    }

    /// The most recent good revision that still loads.
    fn last_good(&self, name: &str, kept: &Kept) -> Option<Entry> {
        if kept.removed {
            return None;
        }
        kept.good.iter().rev().find_map(|good| {
            let admitted = self
                .recall(name, good)
                .map_err(|error| {
                    self.notice(format!(
                        "`{name}`: the good revision {} cannot be used: {error}",
                        good.id
                    ));
                })
                .ok()?;
            let origin = self.origin_of(name, good);
            Some(self.entry(name, admitted.revision, origin, admitted.signed_by))
        })
    }

    /// A revision of the history, checked again: keys and limits may have changed since.
    pub(super) fn recall(&self, name: &str, good: &Good) -> Result<Admitted, DeployError> {
        if let Some(shipped) = self.shipped_as(name, good) {
            return Ok(Admitted::unsigned(self.fitting(name, shipped)?));
        }
        let bytes = self
            .archived(good.id)
            .ok_or(DeployError::NotArchived { id: good.id })?;
        self.admit(name, &bytes, good.signature.as_ref().map(String::as_bytes))
    }

    /// The shipped component of `name`, if it is the revision `good`.
    pub(super) fn shipped_as(&self, name: &str, good: &Good) -> Option<&'static [u8]> {
        self.shipped(name)
            .filter(|bytes| Sha256::digest(bytes)[..] == good.id.0)
    }

    pub(super) fn origin_of(&self, name: &str, good: &Good) -> Origin {
        match (self.shipped_as(name, good).is_some(), good.deployed) {
            (_, true) => Origin::Deployed,
            (true, false) => Origin::Shipped,
            (false, false) => Origin::File,
        }
    }

    /// Notes a file that cannot be a policy; answers its reason if it is new.
    pub(super) fn stray(&self, name: String) -> Option<String> {
        let reason = LoadError::Name { name: name.clone() }.to_string();
        let new = self.table().strays.insert(name, reason.clone()).is_none();
        new.then_some(reason)
    }

    /// Writes the history; that it could not be is no reason to stop.
    pub(super) fn save_or_notice(&self) -> Option<String> {
        let mut table = self.table();
        let failed = table.save(&self.inner.disk).err()?;
        let warning = format!(
            "the history of the policies could not be written to {}: {failed}",
            table.path().display()
        );
        drop(table);
        self.notice(warning.clone());
        Some(warning)
    }
}

/// A word about a folder into which everybody may put policies, unless signatures keep theirs out.
fn exposed(options: &LibraryOptions) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&options.folder).ok()?.permissions().mode() & 0o7777;
    (mode & 0o002 != 0 && !options.require_signature).then(|| {
        let folder = options.folder.display();
        format!(
            "everybody on this machine may write to the folder of policies {folder} (mode {mode:o}), and so set the \
             market's prices: `chmod o-w {folder}`, or set [policies] require_signature"
        )
    })
}

impl Admitted {
    fn unsigned(revision: crate::Revision) -> Self {
        Self {
            revision,
            signature: None,
            signed_by: None,
        }
    }

    pub(super) fn good(&self, deployed: bool) -> Good {
        Good {
            id: self.revision.id(),
            signature: self.signature.clone(),
            deployed,
        }
    }
}
