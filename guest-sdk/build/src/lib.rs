//! From the folder of a policy to a component.
//!
//! What lives here: finding or setting up a compiler with a WebAssembly target ([`Toolchain`]), building a project in
//! any of the languages ([`Builder`]), and making its module a component. `cargo xtask policies` builds the shipped
//! policies with it, `bourse policy build` everybody's.
//!
//! What never does: the check of what was built (`bourse-policy` has the one that hosts run), and printing. The caller
//! is told of each [`Step`] and shows it as it likes; only the compilers that run here write to standard error.

#![forbid(unsafe_code)]

mod assemblyscript;
mod builder;
mod c;
mod command;
mod component;
mod error;
mod handmade;
mod javascript;
mod language;
mod npm;
mod rust;
mod scaffold;
mod toolchain;

pub use builder::{Builder, Built, Project, Step};
pub use component::component;
pub use error::BuildError;
pub use language::Language;
pub use scaffold::scaffold;
pub use toolchain::{TARGET, Toolchain};

use sha2::{Digest, Sha256};
use std::path::Path;

/// The sha256 of a file, in hex.
///
/// # Errors
///
/// [`BuildError::Io`] if it cannot be read.
pub fn sha256(path: &Path) -> Result<String, BuildError> {
    let bytes =
        std::fs::read(path).map_err(|source| BuildError::io(format!("read {}", path.display()), source))?;
    Ok(hex::encode(Sha256::digest(bytes)))
}
