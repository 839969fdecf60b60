//! The policies of a market: those in its folder, and the shipped ones that nothing in the folder replaces.

use bourse_policy::{Engine, LoadError, Revision, load_folder};
use std::collections::HashMap;
use std::path::Path;

/// The components that ship with the host, by name.
const SHIPPED: [(&str, &[u8]); 2] = [
    ("surge", include_bytes!("../../../policies/dist/surge.wasm")),
    ("dutch", include_bytes!("../../../policies/dist/dutch.wasm")),
];

/// Where a policy came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file of the operator.
    File(std::path::PathBuf),
    /// The host itself.
    Shipped,
}

/// What loading came to: every policy that works, and why each of the others does not.
pub struct Loaded {
    /// Policies by name, with their origins.
    pub policies: Vec<(Revision, Origin)>,
    /// Files that are no policy. The market runs without them.
    pub broken: Vec<(std::path::PathBuf, LoadError)>,
}

impl Loaded {
    /// The revisions by name.
    pub(crate) fn revisions(&self) -> HashMap<String, Revision> {
        self.policies
            .iter()
            .map(|(revision, _)| (revision.name().to_owned(), revision.clone()))
            .collect()
    }
}

/// Loads a folder, which may be missing, and the shipped policies.
///
/// A broken file does not let the shipped policy of its name back in: the operator meant to replace it.
pub(crate) fn load(engine: &Engine, folder: &Path) -> anyhow::Result<Loaded> {
    let mut loaded = Loaded {
        policies: Vec::new(),
        broken: Vec::new(),
    };
    let mut taken = Vec::new();
    if folder.is_dir() {
        for (path, result) in load_folder(engine, folder) {
            if let Some(stem) = path.file_stem().and_then(std::ffi::OsStr::to_str) {
                taken.push(stem.to_owned());
            }
            match result {
                Ok(revision) => loaded.policies.push((revision, Origin::File(path))),
                Err(error) => loaded.broken.push((path, error)),
            }
        }
    }
    for (name, component) in SHIPPED {
        if !taken.iter().any(|taken| taken == name) {
            loaded
                .policies
                .push((engine.load(name, component)?, Origin::Shipped));
        }
    }
    Ok(loaded)
}
