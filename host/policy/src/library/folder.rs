//! The watched folder: a policy's two files, found, read, and written such that a crash breaks neither.

use super::disk;
use super::table::Look;
use super::{DeployError, Library};
use crate::load::LoadError;
use crate::signature::MAX_FILE;
use std::path::{Path, PathBuf};

/// Component files of a folder that are looked at; more are a mistake.
const MAX_FILES: usize = 1024;

/// A file of the folder: its policy, or the printable form of a name that cannot be one.
pub(super) type Found = Result<String, String>;

impl Library {
    /// The component's file of a policy whose name was checked.
    pub(super) fn wasm_path(&self, name: &str) -> PathBuf {
        self.inner.options.folder.join(format!("{name}.wasm"))
    }

    /// The file of its signature.
    pub(super) fn signature_path(&self, name: &str) -> PathBuf {
        self.inner.options.folder.join(format!("{name}.wasm.sig"))
    }

    pub(super) fn look(&self, name: &str) -> Look {
        Look {
            wasm: disk::Stamp::of(&self.wasm_path(name)),
            signature: disk::Stamp::of(&self.signature_path(name)),
        }
    }

    /// Reads a policy's two files.
    pub(super) fn read(&self, name: &str) -> Result<(Vec<u8>, Option<Vec<u8>>), DeployError> {
        let unreadable = |path: PathBuf| move |source| LoadError::Read { path, source };
        let path = self.wasm_path(name);
        let max = self.inner.engine.options().component as u64;
        let bytes = disk::read(&path, max).map_err(unreadable(path))?;
        let path = self.signature_path(name);
        let signature = match disk::read(&path, MAX_FILE) {
            Ok(signature) => Some(signature),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(path)(error).into()),
        };
        Ok((bytes, signature))
    }

    /// The component files of the folder; none if there is no folder.
    pub(super) fn files(&self) -> Result<Vec<Found>, String> {
        let folder = &self.inner.options.folder;
        let unreadable = |error: std::io::Error| {
            format!(
                "the folder of policies {} cannot be read: {error}",
                folder.display()
            )
        };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            found.extend(policy_of(&entry.map_err(unreadable)?.path()));
            if found.len() > MAX_FILES {
                return Err(format!(
                    "the folder of policies {} holds more than {MAX_FILES} components: it is not looked at",
                    folder.display()
                ));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Writes a policy's files, the component last: it is what counts. If that fails, both are what they were. A
    /// warning is the answer if they are written, but may not outlast a power cut.
    pub(super) fn write_files(
        &self,
        name: &str,
        bytes: &[u8],
        signature: Option<&str>,
    ) -> Result<Option<String>, DeployError> {
        let disk = &self.inner.disk;
        let folder = &self.inner.options.folder;
        std::fs::create_dir_all(folder).map_err(|source| DeployError::Write {
            path: folder.clone(),
            source,
        })?;
        let (component, path) = (self.wasm_path(name), self.signature_path(name));
        let before = disk::read(&path, MAX_FILE).ok();
        let set = |content: Option<&[u8]>| match content {
            Some(content) => disk.write(&path, content),
            None => disk.remove(&path),
        };
        let signature = signature.map(str::as_bytes);
        let Err(source) = set(signature).and_then(|()| disk.write(&component, bytes)) else {
            return Ok(None);
        };
        // A folder that cannot be flushed fails after its new file is in place: then that one counts.
        let there = self
            .read(name)
            .is_ok_and(|(now, signed)| now == bytes && signed.as_deref() == signature);
        if there {
            return Ok(Some(unflushed(&component, &source)));
        }
        let _ = set(before.as_deref());
        Err(DeployError::Write {
            path: component,
            source,
        })
    }

    /// Removes a policy's files, so that the shipped one is in force: the component first, for it is what counts.
    /// A warning is the answer if it is gone, but may be back after a power cut.
    pub(super) fn remove_files(&self, name: &str) -> Result<Option<String>, DeployError> {
        let (component, signature) = (self.wasm_path(name), self.signature_path(name));
        let disk = &self.inner.disk;
        let Err(source) = disk.remove(&component).and_then(|()| disk.remove(&signature)) else {
            return Ok(None);
        };
        if disk::Stamp::of(&component).is_none() {
            return Ok(Some(unflushed(&component, &source)));
        }
        Err(DeployError::Write {
            path: component,
            source,
        })
    }
}

fn unflushed(path: &Path, error: &std::io::Error) -> String {
    format!(
        "{} is changed, but may not outlast a power cut: {error}",
        path.display()
    )
}

/// The stem of a component's file name, none for other files; an error holds a printable form of a bad one.
fn policy_of(path: &Path) -> Option<Result<String, String>> {
    let file = path.file_name()?;
    if path.extension()? != "wasm" || file.to_string_lossy().starts_with('.') {
        return None;
    }
    let stem = path.file_stem()?;
    let printable = || crate::failure::cut(stem.to_string_lossy().into_owned(), crate::MAX_NAME);
    Some(match stem.to_str() {
        Some(stem) if crate::load::check_name(stem).is_ok() => Ok(stem.to_owned()),
        _ => Err(printable()),
    })
}
