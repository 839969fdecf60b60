//! The JavaScript clients: npm packages as their lock files pin them, under the target folder.

use crate::{place, python, step};
use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The folders of the checkout with a package.json and its lock, each with its name under the target folder.
const PACKAGES: [(&str, &str); 2] = [("tests", "tests/js"), ("examples", "examples/js")];
/// The oldest Node.js that the pinned packages run on.
const OLDEST: u32 = 18;

/// What the tests need to know: the variable `BOURSE_NODE` names the program, `NODE_PATH` where it finds packages.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub(crate) fn environment() -> Result<Vec<(&'static str, OsString)>> {
    let program = program()?;
    let folders = PACKAGES
        .iter()
        .map(|(name, source)| modules(name, source))
        .collect::<Result<Vec<_>>>()?;
    let path = env::join_paths(folders).context("the target folder's name does not fit in a path list")?;
    Ok(vec![("BOURSE_NODE", program.into()), ("NODE_PATH", path)])
}

/// The packages that a lock file names, installed where they are missing or the lock has changed.
fn modules(name: &str, source: &str) -> Result<PathBuf> {
    let source = place::root()?.join(source);
    let folder = place::target()?.join("node").join(name);
    let (modules, stamp) = (folder.join("node_modules"), folder.join(".installed"));
    let wanted = python::stamp_of(&source.join("package-lock.json"))?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(modules);
    }
    println!("setting up the JavaScript clients in {}", folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), folder.join(file)).with_context(|| {
            format!(
                "cannot copy {} to {}",
                source.join(file).display(),
                folder.display()
            )
        })?;
    }
    step::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix"])
            .arg(&folder),
    )
    .context("cannot install the JavaScript clients: they come from the npm registry, so this needs npm, and the network once (Debian and Ubuntu: `apt install npm`)")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(modules)
}

/// The Node.js on the path, if it is new enough.
fn program() -> Result<&'static str> {
    const NODE: &str = "node";
    let test = format!("process.exit(Number(process.versions.node.split('.')[0]) < {OLDEST} ? 1 : 0)");
    if !step::works(Command::new(NODE).args(["-e", &test])) {
        bail!(
            "there is no Node.js {OLDEST} or newer: install one (Debian and Ubuntu: `apt install nodejs npm`)"
        );
    }
    Ok(NODE)
}
