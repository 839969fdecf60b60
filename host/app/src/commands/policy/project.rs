//! The project an author stands in, and the component that was built from it.

use crate::config::Config;
use anyhow::{Context, bail};
use bourse_build::{BuildError, Project};
use bourse_policy::{CodeCache, Engine, EngineOptions, LoadError, Revision};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

/// Folders that hold no source of a policy.
const NO_SOURCES: [&str; 4] = ["target", "node_modules", "cases", "sdk"];

/// How deep sources lie at most.
const DEPTH: usize = 8;

/// The sandbox of this configuration: what it refuses, hosts refuse.
pub(super) fn engine(config: &Config) -> anyhow::Result<Engine> {
    Ok(Engine::new(EngineOptions {
        component: config.policies.component_max,
        ..EngineOptions::default()
    })?)
}

/// The component named on the command line, else that of the project in `folder`: NAME.wasm where the project's own
/// files say its name, else the only component that lies there.
pub(super) fn component(file: Option<&Path>, folder: &Path) -> anyhow::Result<PathBuf> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    match Project::of(folder) {
        Ok(Project { name, .. }) => {
            let file = plain(&folder.join(format!("{name}.wasm")));
            if !file.is_file() {
                bail!(
                    "no {}: run `bourse policy build` in that folder first",
                    file.display()
                );
            }
            if let Some(source) = newer_than(&file, folder) {
                eprintln!(
                    "note: {} is newer than {}; run `bourse policy build` to include it",
                    plain(&source).display(),
                    file.display()
                );
            }
            Ok(file)
        }
        Err(BuildError::NoProject { .. }) => only_one(folder),
        Err(error) => Err(error.into()),
    }
}

fn only_one(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    found.sort();
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(plain(&one)),
        (None, _) => bail!(
            "no component and no project in {}: name a FILE, or run `bourse policy new NAME`",
            folder.display()
        ),
        (Some(one), Some(other)) => bail!(
            "several components in {}, {} and {} among them: name the FILE",
            folder.display(),
            plain(&other).display(),
            plain(&one).display()
        ),
    }
}

/// The path as one would type it: without the folder one stands in.
pub(super) fn plain(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}

/// A source of the project that was changed after `file` was written.
fn newer_than(file: &Path, folder: &Path) -> Option<PathBuf> {
    let built = modified(file)?;
    newest(folder, DEPTH)
        .filter(|(changed, _)| *changed > built)
        .map(|(_, path)| path)
}

fn newest(folder: &Path, depth: usize) -> Option<(SystemTime, PathBuf)> {
    let depth = depth.checked_sub(1)?;
    let entries = std::fs::read_dir(folder).ok()?;
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let source = path
                .extension()
                .and_then(|extension| extension.to_str())
                .is_some_and(|extension| ["rs", "ts", "js", "c", "h", "toml"].contains(&extension));
            // A link may lead back up.
            if path.is_dir() && !path.is_symlink() {
                let skipped = name.starts_with('.') || NO_SOURCES.contains(&name);
                (!skipped).then(|| newest(&path, depth)).flatten()
            } else if source {
                Some((modified(&path)?, path))
            } else {
                None
            }
        })
        .max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// The bytes of a component, and the name that its file gives it.
pub(super) fn read(file: &Path) -> anyhow::Result<(String, Vec<u8>)> {
    let name = file
        .file_stem()
        .and_then(|stem| stem.to_str())
        .with_context(|| format!("{} names no policy: expected NAME.wasm", file.display()))?;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok((name.to_owned(), bytes))
}

/// Loads a component as hosts do, under the name that its file has.
pub(super) fn load(engine: &Engine, file: &Path) -> anyhow::Result<Revision> {
    let (name, bytes) = read(file)?;
    // A policy in JavaScript takes a quarter of a minute to compile; once is enough. Without a folder, every time.
    let cache = caches().and_then(|folder| CodeCache::open(engine, &folder.join("code")).ok());
    engine
        .load_with(&name, &bytes, cache.as_ref())
        .map_err(|error| refused(file, error))
}

/// As [`load`], compiled anew; with the milliseconds that took.
pub(super) fn compile(engine: &Engine, file: &Path) -> anyhow::Result<(Revision, u64)> {
    let (name, bytes) = read(file)?;
    let start = Instant::now();
    let revision = engine.load(&name, &bytes).map_err(|error| refused(file, error))?;
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok((revision, ms))
}

fn refused(file: &Path, error: LoadError) -> anyhow::Error {
    let hint = match error {
        LoadError::TooLarge { .. } => {
            "; a host whose configuration raises policies.component_max takes it: name that file with --config"
        }
        _ => "",
    };
    anyhow::anyhow!("hosts would refuse {}: {error}{hint}", file.display())
}

/// The folder of the user's caches for all that `bourse` keeps: compilers, compiled code.
pub(in crate::commands) fn caches() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let caches = set("XDG_CACHE_HOME").or_else(|| {
        let home = std::env::home_dir()?;
        Some(home.join(if cfg!(target_os = "macos") {
            "Library/Caches"
        } else {
            ".cache"
        }))
    });
    Some(caches?.join("bourse"))
}
