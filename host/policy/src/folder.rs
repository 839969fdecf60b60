//! All policies of a folder.

use crate::engine::Engine;
use crate::load::LoadError;
use crate::revision::Revision;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Loads every `*.wasm` file of `dir`, in the order of their names; a file's stem is its policy's name.
///
/// A bad file is an error of its own and never keeps the others from loading. A folder that cannot be read is one
/// error under its own path.
pub fn load_folder(engine: &Engine, dir: &Path) -> Vec<(PathBuf, Result<Revision, LoadError>)> {
    let unreadable = |source| {
        vec![(
            dir.to_owned(),
            Err(LoadError::Read {
                path: dir.to_owned(),
                source,
            }),
        )]
    };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(source) => return unreadable(source),
    };
    let mut paths = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => paths.push(entry.path()),
            Err(source) => return unreadable(source),
        }
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), load_file(engine, &path)))
        .collect()
}

fn load_file(engine: &Engine, path: &Path) -> Result<Revision, LoadError> {
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .ok_or_else(|| LoadError::Name {
            name: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        })?;
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    // One byte past the cap is enough to know, whatever length the file claims.
    let max = engine.options().component;
    let mut bytes = Vec::new();
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    engine.load(name, &bytes)
}
