//! A library in a folder of its own, and components to put into it.

#![allow(dead_code, reason = "each suite uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at its first surprise"
)]

use crate::support::engine;
use bourse_market::RevisionId;
use bourse_policy::testing::Guest;
use bourse_policy::{Library, LibraryOptions, PolicyStatus};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use tempfile::TempDir;

/// Folders, kept until the test ends.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) options: LibraryOptions,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = LibraryOptions {
            // Code is compiled once per test, not once per start.
            cache: Some(dir.path().join("cache")),
            ..LibraryOptions::new(dir.path().join("policies"), dir.path().join("revisions"))
        };
        std::fs::create_dir(&options.folder).unwrap();
        Self { dir, options }
    }

    /// Starts the library, as a host does.
    pub(crate) fn open(&self) -> Library {
        Library::open(engine().clone(), self.options.clone()).unwrap()
    }

    /// With a shipped component.
    pub(crate) fn shipping(mut self, name: &'static str, bytes: &[u8]) -> Self {
        // Shipped components are part of the binary, and these of the test's.
        self.options.shipped.push((name, bytes.to_vec().leak()));
        self
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.options.folder.join(name)
    }

    /// Puts a file into the watched folder, not caring about crashes, as people do.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.file(name), bytes).unwrap();
    }

    pub(crate) fn archived(&self, id: RevisionId) -> PathBuf {
        self.options
            .archive
            .join(format!("{}.wasm", hex::encode(id.as_bytes())))
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.options.archive.join("library.json")
    }
}

/// A policy `name` that differs from its others by its version.
pub(crate) fn component(name: &str, version: &str) -> Vec<u8> {
    Guest::named(name).version(version).build()
}

/// The revision that a component is.
pub(crate) fn id(bytes: &[u8]) -> RevisionId {
    RevisionId(Sha256::digest(bytes).into())
}

/// The version that answers for `name`.
pub(crate) fn version(library: &Library, name: &str) -> Option<String> {
    let entry = library.get(name)?;
    Some(entry.revision.description().version.clone())
}

/// The version in the shadow of `name`.
pub(crate) fn shadow(library: &Library, name: &str) -> Option<String> {
    let entry = library.get(name)?;
    let shadow = entry.shadow.as_ref()?;
    Some(shadow.description().version.clone())
}

pub(crate) fn status(library: &Library, name: &str) -> PolicyStatus {
    let mut all = library.status();
    all.retain(|status| status.name == name);
    all.pop().unwrap()
}
