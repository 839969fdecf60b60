//! Looking at the watched folder: what changed there, once it has stopped changing.

use super::open::Resolved;
use super::table::Look;
use super::{Change, Changed, DeployError, Library, Origin};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A component and the content of its signature file.
type Files = (Vec<u8>, Option<Vec<u8>>);

impl Library {
    /// Looks at the watched folder and puts into force what changed there since the last look; says what it did.
    ///
    /// A file counts when two looks in a row find it the same, so that one that is still being written is left to
    /// the next look. A file that is refused changes nothing but the policy's status. A policy whose deploy is under
    /// way is left to the next look too. Blocks for as long as compiling takes: call it every half second or so from
    /// a thread that may block, one call at a time.
    ///
    /// A folder that is gone or cannot be read changes nothing: every policy stays until the folder is back.
    pub fn scan(&self) -> Vec<Change> {
        if !self.inner.options.folder.is_dir() {
            return Vec::new();
        }
        let files = match self.files() {
            Ok(files) => files,
            Err(reason) => {
                self.notice_once(reason);
                return Vec::new();
            }
        };
        let mut changes = Vec::new();
        let mut names = BTreeSet::new();
        let mut strays = BTreeSet::new();
        for file in files {
            match file {
                Ok(name) => {
                    names.insert(name);
                }
                Err(stray) => {
                    strays.insert(stray.clone());
                    changes.extend(self.stray(stray.clone()).map(|reason| Change {
                        name: stray,
                        what: Changed::Refused { reason, keeps: None },
                    }));
                }
            }
        }
        {
            let mut table = self.table();
            table.strays.retain(|stray, _| strays.contains(stray));
            // And those whose files are gone.
            let known = table
                .slots
                .iter()
                .filter(|(_, slot)| slot.seen != Look::default());
            names.extend(known.map(|(name, _)| name.clone()));
        }
        let mut dealt = false;
        for name in &names {
            if let Some(dealt_with) = self.scan_one(name) {
                changes.extend(dealt_with);
                dealt = true;
            }
        }
        if dealt {
            self.save_or_notice();
        }
        changes
    }

    /// Deals with the files of `name`, if they changed and came to rest; that may still change nothing.
    fn scan_one(&self, name: &str) -> Option<Option<Change>> {
        self.doubt(name);
        if !self.settled(name, self.look(name)) {
            return None;
        }
        self.if_free(name, || {
            // A deploy may have come in between.
            let look = self.look(name);
            self.settled(name, look).then(|| self.take(name, look))
        })
        .flatten()
        .flatten()
    }

    /// Whether the files of `name` differ from those last dealt with, and no longer change.
    fn settled(&self, name: &str, look: Look) -> bool {
        let mut table = self.table();
        let slot = table.slot(name);
        if slot.seen == look {
            slot.pending = None;
            return false;
        }
        slot.pending.replace(look) == Some(look)
    }

    /// Looks once more, by content, at files that a command wrote: where a file system's clock ticks slowly, another
    /// file of the same length that came in the same tick would look the same for ever.
    fn doubt(&self, name: &str) {
        if !std::mem::take(&mut self.table().slot(name).doubtful) {
            return;
        }
        let Some(entry) = self.get(name) else {
            return;
        };
        let same = match self.read(name) {
            Ok((bytes, _)) => Sha256::digest(&bytes)[..] == entry.revision.id().0,
            // A file that is gone looks unlike one that was there: for that no doubt is needed, and what was seen says that
            // there was one.
            Err(_) => self.look(name).wasm.is_none(),
        };
        if !same {
            let mut table = self.table();
            let slot = table.slot(name);
            slot.seen = Look::default();
            slot.pending = None;
        }
    }

    /// Deals with the changed files of `name`, unless they change meanwhile.
    fn take(&self, name: &str, look: Look) -> Option<Option<Change>> {
        let what = if self.table().slot(name).kept.disabled {
            // What lies there counts once it is enabled.
            None
        } else if look.wasm.is_some() {
            let read = self.read(name);
            if self.look(name) != look {
                self.table().slot(name).pending = None;
                return None;
            }
            self.take_file(name, read)
        } else {
            self.take_absence(name, look)
        };
        let trouble = match &what {
            Some(Changed::Refused { reason, .. }) => Some(reason.clone()),
            _ => None,
        };
        self.table().slot(name).dealt_with(look, trouble);
        Some(what.map(|what| Change {
            name: name.to_owned(),
            what,
        }))
    }

    /// A file is there: in force if it is good, and else without any effect.
    fn take_file(&self, name: &str, read: Result<Files, DeployError>) -> Option<Changed> {
        let old = self.get(name);
        let from = old.as_ref().map(|old| old.revision.id());
        let taken = read.and_then(|(bytes, signature)| {
            let admitted = self.admit(name, &bytes, signature.as_deref())?;
            // A revision that cannot be kept could not be gone back to.
            self.archive(admitted.revision.id(), &bytes)?;
            Ok(admitted)
        });
        let admitted = match taken {
            Ok(admitted) => admitted,
            Err(error) => {
                return Some(Changed::Refused {
                    reason: error.to_string(),
                    keeps: from,
                });
            }
        };
        let to = admitted.revision.id();
        let deployed = from == Some(to) && old.is_some_and(|old| old.origin == Origin::Deployed);
        let origin = if deployed { Origin::Deployed } else { Origin::File };
        self.table().slot(name).kept.push(admitted.good(deployed));
        let entry = self.entry(name, admitted.revision, origin, admitted.signed_by);
        self.swap(name, Some(entry));
        match from {
            None => Some(Changed::Added { to }),
            // Touched, or signed anew.
            Some(from) if from == to => None,
            Some(from) => Some(Changed::Replaced { from, to }),
        }
    }

    /// No file is there: the shipped policy is back, or there is none.
    fn take_absence(&self, name: &str, look: Look) -> Option<Changed> {
        let old = self.get(name);
        if self.shipped(name).is_some() {
            if old.as_ref().is_some_and(|old| old.origin == Origin::Shipped) {
                return None;
            }
            let Resolved { entry, trouble } = self.resolve(name, look);
            let keeps = old.map(|old| old.revision.id());
            return match (entry, trouble) {
                (Some(entry), None) => {
                    let to = entry.revision.id();
                    self.swap(name, Some(entry));
                    Some(Changed::Shipped { to })
                }
                (_, trouble) => Some(Changed::Refused {
                    reason: trouble.unwrap_or_default(),
                    keeps,
                }),
            };
        }
        let mut table = self.table();
        let slot = table.slot(name);
        slot.kept.remove();
        let was_there = slot.seen.wasm.is_some();
        drop(table);
        self.swap(name, None);
        was_there.then_some(Changed::Removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::LibraryOptions;
    use crate::testing::Guest;
    use crate::{Engine, EngineOptions};

    #[test]
    fn a_file_that_goes_right_after_a_deploy_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let options = LibraryOptions::new(dir.path().join("policies"), dir.path().join("revisions"));
        let engine = Engine::new(EngineOptions::default()).unwrap();
        let library = Library::open(engine, options).unwrap();
        library
            .deploy("p", &Guest::named("p").build(), None, false)
            .unwrap();
        std::fs::remove_file(library.wasm_path("p")).unwrap();
        let changes: Vec<Change> = (0..3).flat_map(|_| library.scan()).collect();
        assert!(matches!(&changes[..], [change] if change.what == Changed::Removed));
        assert!(library.get("p").is_none());
    }

    #[test]
    fn a_file_of_the_same_length_in_the_same_tick_as_a_deploy_is_still_found() {
        let dir = tempfile::tempdir().unwrap();
        let options = LibraryOptions::new(dir.path().join("policies"), dir.path().join("revisions"));
        let engine = Engine::new(EngineOptions::default()).unwrap();
        let library = Library::open(engine, options).unwrap();
        let component = |version| Guest::named("p").version(version).build();
        let version = || library.get("p").unwrap().revision.description().version.clone();
        for (deployed, written) in [("1", "2"), ("3", "3")] {
            library.deploy("p", &component(deployed), None, false).unwrap();
            std::fs::write(library.wasm_path("p"), component(written)).unwrap();
            // As if the clock had stood still.
            let look = library.look("p");
            library.table().slot("p").seen = look;
            assert!(library.scan().is_empty());
            assert_eq!(library.scan().len(), usize::from(deployed != written));
            assert_eq!(version(), written);
        }
    }
}
