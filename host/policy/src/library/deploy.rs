//! What an operator does to a policy by command.
//!
//! Each change has an order of steps on disk such that a crash between any two leaves either the old state or the
//! new one: a deploy counts once its component lies in the folder, a rollback once the history says so and the
//! folder follows.

use super::open::Resolved;
use super::table::{Good, Kept};
use super::{Admitted, DeployError, Deployed, Entry, Library, Origin};
use crate::load::check_name;
use crate::revision::Revision;
use crate::signature::VerifyingKey;
use bourse_market::RevisionId;

impl Library {
    /// Puts a component into force as the policy `name`: checked, compiled, called once, archived, written into the
    /// folder, swapped in. A policy that was disabled is enabled by it. With `as_shadow` it is only asked beside the
    /// active revision, and the folder stays as it is.
    ///
    /// Takes as long as compiling does, without keeping anybody from [`Library::get`].
    ///
    /// # Errors
    ///
    /// [`DeployError`] if the component is refused or a file cannot be written; then all is as it was.
    pub fn deploy(
        &self,
        name: &str,
        bytes: &[u8],
        signature: Option<&[u8]>,
        as_shadow: bool,
    ) -> Result<Deployed, DeployError> {
        check_name(name)?;
        self.in_turn(name, || {
            let admitted = self.admit(name, bytes, signature)?;
            if as_shadow {
                self.set_shadow(name, admitted, bytes)
            } else {
                self.activate(name, admitted, bytes)
            }
        })
    }

    /// Puts the shadow of `name` into force.
    ///
    /// # Errors
    ///
    /// [`DeployError::NoShadow`], [`DeployError::Disabled`], or as [`Library::deploy`].
    pub fn promote(&self, name: &str) -> Result<Deployed, DeployError> {
        check_name(name)?;
        self.in_turn(name, || {
            let kept = self.kept(name)?;
            let shadow = kept.shadow.ok_or_else(|| DeployError::NoShadow {
                name: name.to_owned(),
            })?;
            // What is written to the folder must be what was archived, and what the keys of today accept.
            let bytes = self
                .archived(shadow.id)
                .ok_or(DeployError::NotArchived { id: shadow.id })?;
            let admitted = self.admit(name, &bytes, shadow.signature.as_ref().map(String::as_bytes))?;
            self.activate(name, admitted, &bytes)
        })
    }

    /// Goes back to the good revision before the active one, or to the last good one if none is active. The revision
    /// that is left is no longer a good one; the archive still holds it.
    ///
    /// # Errors
    ///
    /// [`DeployError::NoPrevious`], [`DeployError::Disabled`], or that a file cannot be written; then all is as it
    /// was.
    pub fn rollback(&self, name: &str) -> Result<Deployed, DeployError> {
        check_name(name)?;
        self.in_turn(name, || {
            let kept = self.kept(name)?;
            let previous = self.active(name);
            let mut last = Err(DeployError::NoPrevious {
                name: name.to_owned(),
            });
            // The nearest that still loads: a revision whose key was withdrawn is stepped over.
            for (at, good) in kept.before(previous).iter().enumerate().rev() {
                match self.recall(name, good) {
                    Ok(admitted) => return self.step_back(name, &kept, at, good, admitted),
                    Err(error) => last = last.or(Err(error)),
                }
            }
            last
        })
    }

    /// Takes `name` out of force, at once, and over restarts.
    ///
    /// # Errors
    ///
    /// [`DeployError::Unknown`], or [`DeployError::Write`] if it could not be written down: then it is out of force,
    /// but a restart forgets it.
    pub fn disable(&self, name: &str) -> Result<(), DeployError> {
        check_name(name)?;
        self.in_turn(name, || {
            if !self.is_known(name) {
                return Err(unknown(name));
            }
            self.swap(name, None);
            let mut table = self.table();
            let slot = table.slot(name);
            slot.kept.disabled = true;
            // What is wrong with its file is found again once it is enabled.
            slot.trouble = None;
            let path = table.path().to_owned();
            table
                .save(&self.inner.disk)
                .map_err(|source| DeployError::Write { path, source })
        })
    }

    /// Puts `name` back into force, as its file, the history and what ships say now.
    ///
    /// # Errors
    ///
    /// [`DeployError::Unknown`]; [`DeployError::Write`] if it could not be written down, and then it stays disabled;
    /// or [`DeployError::Broken`] if it is enabled but has nothing that can be used.
    pub fn enable(&self, name: &str) -> Result<Deployed, DeployError> {
        check_name(name)?;
        self.in_turn(name, || {
            if !self.is_known(name) {
                return Err(unknown(name));
            }
            let previous = self.active(name);
            let was = std::mem::replace(&mut self.table().slot(name).kept.disabled, false);
            self.save_or_undo(name, |kept| kept.disabled = was)?;
            let look = self.look(name);
            let Resolved { entry, trouble } = self.resolve(name, look);
            self.table().slot(name).dealt_with(look, trouble.clone());
            let warning = self.save_or_notice();
            let Some(entry) = entry else {
                return Err(match trouble {
                    Some(reason) => DeployError::Broken {
                        name: name.to_owned(),
                        reason,
                    },
                    None => unknown(name),
                });
            };
            let deployed = deployed(&entry.revision, previous, false, entry.signed_by, warning);
            self.swap(name, Some(entry));
            Ok(deployed)
        })
    }

    /// Steps of a deploy, in an order that a crash cannot break: the archive, the folder, the history, the readers.
    fn activate(&self, name: &str, admitted: Admitted, bytes: &[u8]) -> Result<Deployed, DeployError> {
        let previous = self.active(name);
        let id = admitted.revision.id();
        self.archive(id, bytes)?;
        let unsure = self.write_files(name, bytes, admitted.signature.as_deref())?;
        let look = self.look(name);
        {
            let mut table = self.table();
            let slot = table.slot(name);
            slot.kept.push(admitted.good(true));
            slot.kept.disabled = false;
            slot.written(look);
        }
        // The folder says it already: a history that lags behind is caught up with at the next start.
        let warning = unsure.or(self.save_or_notice());
        Ok(self.put(name, admitted, Origin::Deployed, previous, warning))
    }

    fn set_shadow(&self, name: &str, admitted: Admitted, bytes: &[u8]) -> Result<Deployed, DeployError> {
        if self.is_known(name) {
            self.kept(name)?;
        }
        let Some(active) = self.get(name) else {
            return Err(DeployError::NothingToShadow {
                name: name.to_owned(),
            });
        };
        let id = admitted.revision.id();
        if id == active.revision.id() {
            return Err(DeployError::OwnShadow {
                name: name.to_owned(),
                id,
            });
        }
        self.archive(id, bytes)?;
        let before = {
            let mut table = self.table();
            let slot = table.slot(name);
            slot.kept.shadow.replace(admitted.good(true))
        };
        self.save_or_undo(name, |kept| kept.shadow = before)?;
        let deployed = deployed(
            &admitted.revision,
            active.shadow.as_ref().map(Revision::id),
            true,
            admitted.signed_by,
            None,
        );
        self.swap(
            name,
            Some(Entry {
                shadow: Some(admitted.revision),
                ..Entry::clone(&active)
            }),
        );
        Ok(deployed)
    }

    /// Steps of a rollback: the history, the folder, the readers. A crash before the folder follows leaves the newer
    /// file, which the next start finds good again.
    fn step_back(
        &self,
        name: &str,
        kept: &Kept,
        at: usize,
        good: &Good,
        admitted: Admitted,
    ) -> Result<Deployed, DeployError> {
        let previous = self.active(name);
        {
            let mut table = self.table();
            let slot = table.slot(name);
            slot.kept.good.truncate(at);
            slot.kept.push(good.clone());
        }
        self.save_or_undo(name, |now| now.clone_from(kept))?;
        let shipped = self.shipped_as(name, good).is_some() && !good.deployed;
        let written = if shipped {
            self.remove_files(name)
        } else {
            self.archived(good.id)
                .ok_or(DeployError::NotArchived { id: good.id })
                .and_then(|bytes| self.write_files(name, &bytes, admitted.signature.as_deref()))
        };
        let warning = written.inspect_err(|_| {
            self.table().slot(name).kept.clone_from(kept);
            self.save_or_notice();
        })?;
        let look = self.look(name);
        self.table().slot(name).written(look);
        let origin = if shipped {
            Origin::Shipped
        } else {
            Origin::Deployed
        };
        Ok(self.put(name, admitted, origin, previous, warning))
    }

    /// Swaps an admitted revision in and says so.
    fn put(
        &self,
        name: &str,
        admitted: Admitted,
        origin: Origin,
        previous: Option<RevisionId>,
        warning: Option<String>,
    ) -> Deployed {
        let entry = self.entry(name, admitted.revision, origin, admitted.signed_by);
        let deployed = deployed(&entry.revision, previous, false, entry.signed_by, warning);
        self.swap(name, Some(entry));
        deployed
    }

    pub(super) fn archive(&self, id: RevisionId, bytes: &[u8]) -> Result<(), DeployError> {
        let inner = &self.inner;
        inner
            .archive
            .put(&inner.disk, id, bytes)
            .map_err(|source| DeployError::Write {
                path: inner.archive.path(id),
                source,
            })
    }

    /// Writes the history, or takes back what was to be written.
    fn save_or_undo(&self, name: &str, undo: impl FnOnce(&mut Kept)) -> Result<(), DeployError> {
        let mut table = self.table();
        table.save(&self.inner.disk).map_err(|source| {
            undo(&mut table.slot(name).kept);
            // It may have been written all the same, and failed in being flushed.
            let _ = table.save(&self.inner.disk);
            DeployError::Write {
                path: table.path().to_owned(),
                source,
            }
        })
    }

    /// What is kept of a policy that is known and not disabled.
    fn kept(&self, name: &str) -> Result<Kept, DeployError> {
        if !self.is_known(name) {
            return Err(unknown(name));
        }
        let kept = self.table().slot(name).kept.clone();
        if kept.disabled {
            return Err(disabled(name));
        }
        Ok(kept)
    }

    /// Whether there is or was a policy of that name.
    fn is_known(&self, name: &str) -> bool {
        let table = self.table();
        let slot = table.slots.get(name);
        self.shipped(name).is_some()
            || slot.is_some_and(|slot| {
                slot.kept != Kept::default() || slot.seen.wasm.is_some() || slot.trouble.is_some()
            })
    }

    /// The revision in force.
    pub(super) fn active(&self, name: &str) -> Option<RevisionId> {
        self.get(name).map(|entry| entry.revision.id())
    }
}

fn unknown(name: &str) -> DeployError {
    DeployError::Unknown {
        name: name.to_owned(),
    }
}

fn disabled(name: &str) -> DeployError {
    DeployError::Disabled {
        name: name.to_owned(),
    }
}

fn deployed(
    revision: &Revision,
    previous: Option<RevisionId>,
    shadow: bool,
    signed_by: Option<VerifyingKey>,
    warning: Option<String>,
) -> Deployed {
    Deployed {
        name: revision.name().to_owned(),
        revision: revision.id(),
        version: revision.description().version.clone(),
        hooks: revision.hooks().to_vec(),
        previous,
        shadow,
        signed_by,
        warning,
    }
}
