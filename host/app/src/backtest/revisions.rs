//! Revisions by their hash: those that were named, those the market has archived, those that ship with the host.

use crate::policies::SHIPPED;
use anyhow::Context;
use bourse_market::RevisionId;
use bourse_policy::{Engine, Revision};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The largest component that is read. The host's own limit is checked when it is loaded.
const MAX_COMPONENT: u64 = 64 << 20;

/// Finds and compiles the revisions that records name. Shared by all workers: each revision is compiled once.
pub(crate) struct Revisions {
    engine: Engine,
    named: Vec<Revision>,
    archives: Vec<PathBuf>,
    found: Mutex<HashMap<RevisionId, Result<Revision, String>>>,
}

impl Revisions {
    /// Looks among `files` first, then in the folders `archives` (`<sha256>.wasm`), then among what ships.
    ///
    /// # Errors
    ///
    /// If a named file is not a policy.
    pub(crate) fn new(engine: Engine, files: &[PathBuf], archives: Vec<PathBuf>) -> anyhow::Result<Self> {
        let named = files
            .iter()
            .map(|file| load(&engine, file))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            engine,
            named,
            archives,
            found: Mutex::default(),
        })
    }

    /// The revision `id` of the policy `name`.
    ///
    /// # Errors
    ///
    /// In words: it is nowhere, or what lies there cannot be used.
    pub(crate) fn find(&self, name: &str, id: RevisionId) -> Result<Revision, String> {
        // Held while compiling: the other workers want the same revision, and would compile it once more.
        let mut found = self.found.lock();
        if let Some(known) = found.get(&id) {
            return known.clone();
        }
        let revision = self.look(name, id);
        found.insert(id, revision.clone());
        revision
    }

    fn look(&self, name: &str, id: RevisionId) -> Result<Revision, String> {
        if let Some(named) = self.named.iter().find(|revision| revision.id() == id) {
            return Ok(named.clone());
        }
        let file = format!("{}.wasm", hex::encode(id.as_bytes()));
        for archive in &self.archives {
            let path = archive.join(&file);
            match read(&path) {
                Ok(bytes) => return self.compile(name, id, &bytes, &path.display().to_string()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
            }
        }
        let shipped = SHIPPED
            .iter()
            .find(|(shipped, bytes)| *shipped == name && hash(bytes) == id);
        match shipped {
            Some((_, bytes)) => self.compile(name, id, bytes, "the shipped policy"),
            None => Err(format!(
                "revision {id} of `{}` is not among the policies at hand: name its component with --policy FILE, or the data folder that has it with --data",
                super::text::plain(name)
            )),
        }
    }

    fn compile(&self, name: &str, id: RevisionId, bytes: &[u8], origin: &str) -> Result<Revision, String> {
        let got = hash(bytes);
        if got != id {
            return Err(format!(
                "{origin} is damaged: its contents are those of revision {got}"
            ));
        }
        self.engine.load(name, bytes).map_err(|error| {
            format!(
                "{origin} is not usable as `{}`: {error}",
                super::text::plain(name)
            )
        })
    }
}

/// A policy that is named on the command line: a file, or the name of one that ships with the host.
///
/// # Errors
///
/// If it is neither, or not a policy.
pub(crate) fn load(engine: &Engine, file: &Path) -> anyhow::Result<Revision> {
    let shipped = file.to_str().and_then(|name| {
        SHIPPED
            .iter()
            .find(|(shipped, _)| *shipped == name && !file.exists())
    });
    if let Some((name, bytes)) = shipped {
        return Ok(engine.load(name, bytes)?);
    }
    let bytes = read(file).with_context(|| {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        format!(
            "cannot read {}; without a file, the shipped policies are {}",
            file.display(),
            names.join(", ")
        )
    })?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    // A build with names stands beside the one it explains, under a name that no market takes for a policy's.
    let stem = stem.strip_suffix(".names").unwrap_or(&stem);
    // An archived file is named by its hash: there the policy's own word for itself counts.
    let archived = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    let loaded = match engine.load(stem, &bytes) {
        Err(bourse_policy::LoadError::NameMismatch { described, .. }) if archived => {
            engine.load(&described, &bytes)
        }
        loaded => loaded,
    };
    loaded.with_context(|| format!("{} is not a policy", file.display()))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_COMPONENT)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn hash(bytes: &[u8]) -> RevisionId {
    RevisionId(Sha256::digest(bytes).into())
}
