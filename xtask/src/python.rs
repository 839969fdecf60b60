//! Python environments under the target folder: that of the real XBR clients, and others made in the same way.

use crate::{place, step};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the pinned packages are built for.
const OLDEST: (u32, u32) = (3, 11);

/// The interpreter of the environment with the real XBR clients.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub(crate) fn clients() -> Result<PathBuf> {
    environment("python", "tests/python/requirements.txt")
}

/// The interpreter of an environment `name` that has everything the file `requirements` names; made or brought up to
/// date where it is not.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub(crate) fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let requirements = place::root()?.join(requirements);
    let wanted = stamp_of(&requirements)?;

    let folder = place::target()?.join(name);
    let interpreter = folder.join("bin/python");
    let stamp = folder.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && runs(&interpreter) {
        return Ok(interpreter);
    }

    let system = system_python()?;
    println!("setting up {} in {}", requirements.display(), folder.display());
    if !runs(&interpreter) {
        step::run(Command::new(&system).args(["-m", "venv", "--clear"]).arg(&folder)).context(
            "cannot make a Python environment; on Debian and Ubuntu the module is in the package python3-venv",
        )?;
    }
    step::run(
        Command::new(&interpreter)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(&requirements),
    )
    .with_context(|| {
        format!(
            "cannot install {}: it comes from the Python package index, so this needs the network once",
            requirements.display()
        )
    })?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(interpreter)
}

/// By what an installation is known to be that of this file.
///
/// # Errors
///
/// If the file cannot be read.
pub(crate) fn stamp_of(file: &Path) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(hex::encode(Sha256::digest(&content)))
}

fn runs(interpreter: &PathBuf) -> bool {
    step::works(Command::new(interpreter).args(["-c", "pass"]))
}

/// The first Python that is new enough: `PYTHON` where it is set, else the usual names.
fn system_python() -> Result<String> {
    let chosen = env::var("PYTHON").ok();
    let names = chosen.map_or_else(
        || vec!["python3".to_owned(), "python3.11".to_owned()],
        |name| vec![name],
    );
    let (major, minor) = OLDEST;
    let test = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    for name in &names {
        if step::works(Command::new(name).args(["-c", &test])) {
            return Ok(name.clone());
        }
    }
    bail!(
        "no Python {major}.{minor} or newer among {}: install one (Debian and Ubuntu: `apt install python3 python3-venv`; \
         macOS: `brew install python`), or name it in the variable PYTHON",
        names.join(", ")
    )
}
