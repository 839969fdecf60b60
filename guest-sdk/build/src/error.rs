//! Why there is no component.

use crate::language::Language;
use std::path::PathBuf;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The pinned packages cannot be had on this machine. No fault of what was to be built.
    #[error("the pinned compiler cannot be had here: {reason}")]
    Unobtainable {
        /// What is missing.
        reason: String,
    },
    /// Rustup's compiler lacks the target and the pinned one cannot be had.
    #[error(
        "no Rust compiler for wasm32-unknown-unknown: run `rustup target add wasm32-unknown-unknown` ({reason})"
    )]
    NoTarget {
        /// Why the pinned compiler does not help.
        reason: String,
    },
    /// A program that the build needs is not installed.
    #[error("`{program}` is not on this machine: {install}")]
    Missing {
        /// The program.
        program: String,
        /// How to get it.
        install: &'static str,
    },
    /// A file or folder that cannot be read or written.
    #[error("cannot {what}")]
    Io {
        /// What was tried, as an infinitive with its object.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder holds no project in any language we know.
    #[error("{} is no policy's project: expected {}", folder.display(), Language::markers())]
    NoProject {
        /// The folder.
        folder: PathBuf,
    },
    /// A name that no new project can have.
    #[error("`{name}` cannot name a policy: {reason}")]
    Name {
        /// The name, cut.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A new project does not go where something else is.
    #[error("{} is not empty: a new project takes a folder of its own", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A manifest that is none, or lacks what a build needs.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A package of other bytes than were pinned.
    #[error("{} has the sha256 {found}, expected {pinned}: delete it, and find out who made it", path.display())]
    WrongBytes {
        /// The file.
        path: PathBuf,
        /// Its sha256.
        found: String,
        /// The one in the pins.
        pinned: String,
    },
    /// A program ended with a failure; what it had to say went to standard error.
    #[error("`{line}` failed ({status}){hint}")]
    Failed {
        /// The program and its arguments.
        line: String,
        /// How it ended.
        status: String,
        /// What may help, with a leading colon; or nothing.
        hint: &'static str,
    },
    /// The build succeeded and left no module.
    #[error("no {}: a policy's library has crate-type = [\"cdylib\", \"lib\"]", path.display())]
    NoModule {
        /// Where it should be.
        path: PathBuf,
    },
    /// The module does not become a component.
    #[error("{} is no component: {reason}", path.display())]
    NoComponent {
        /// The module.
        path: PathBuf,
        /// Why not, and what is usually forgotten.
        reason: String,
    },
}

impl BuildError {
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }

    /// Whether the machine lacks something, so that nothing is known about the policy.
    pub fn is_unobtainable(&self) -> bool {
        matches!(self, Self::Unobtainable { .. })
    }
}
