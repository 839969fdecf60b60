//! The Python environment with the real XBR clients, under the target folder.

use crate::{place, step};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// What the pinned packages are built for.
const OLDEST: (u32, u32) = (3, 11);

/// The interpreter of an environment that has everything `tests/python/requirements.txt` names; made or
/// brought up to date where it is not.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub(crate) fn environment() -> Result<PathBuf> {
    let requirements = place::root()?.join("tests/python/requirements.txt");
    let wanted =
        fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let wanted = hex::encode(Sha256::digest(&wanted));

    let folder = place::target()?.join("python");
    let interpreter = folder.join("bin/python");
    let stamp = folder.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && runs(&interpreter) {
        return Ok(interpreter);
    }

    let system = system_python()?;
    println!("setting up the XBR clients in {}", folder.display());
    if !runs(&interpreter) {
        step::run(Command::new(&system).args(["-m", "venv", "--clear"]).arg(&folder)).context(
            "cannot make a Python environment; on Debian and Ubuntu the module is in the package python3-venv",
        )?;
    }
    step::run(
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements),
    )
    .context("cannot install the XBR clients: they come from the Python package index, so this needs the network once")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(interpreter)
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
