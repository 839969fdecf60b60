//! Compiled code of the shipped policies, handed from one market of these tests to the next.
//!
//! Every market starts in an empty folder and would compile all of them anew, which takes longer than most tests. What
//! is handed on is only copied into the new market's own cache, whose checks decide whether it counts.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The components' hashes, with which the names of their code begin.
const SUMS: &str = include_str!("../../policies/dist/SHA256SUMS");

/// Beside the tests' own binaries.
fn shared() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.push("shipped-code");
    folder
}

/// The files in `folder` that are code of what ships now.
fn code_in(folder: &Path) -> Vec<PathBuf> {
    let ships = |name: &str| {
        SUMS.lines()
            .filter_map(|line| line.get(..64))
            .any(|sum| name.starts_with(sum))
    };
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(ships))
        .collect()
}

/// Copies `file` into `folder`, in one step, since other tests run beside this one.
fn copy(file: &Path, folder: &Path) {
    let aside = folder.join(format!(".{}", rand::random::<u64>()));
    // A mode of 0600 comes along.
    fs::copy(file, &aside).unwrap();
    fs::rename(&aside, folder.join(file.file_name().unwrap())).unwrap();
}

/// Gives a new market what earlier ones compiled.
pub(crate) fn lend(data: &Path) {
    let cache = data.join("compiled");
    if cache.exists() {
        return;
    }
    fs::DirBuilder::new().mode(0o700).create(&cache).unwrap();
    code_in(&shared()).iter().for_each(|file| copy(file, &cache));
}

/// Keeps what a market compiled and nobody had before.
pub(crate) fn keep(data: &Path) {
    let shared = shared();
    fs::create_dir_all(&shared).unwrap();
    for file in code_in(&data.join("compiled")) {
        if !shared.join(file.file_name().unwrap()).exists() {
            copy(&file, &shared);
        }
    }
}
