//! A node for developers and the compiled contracts, for the tests that settle on a real chain.

use crate::{place, step};
use anyhow::{Context, Result, bail};
use std::env::consts::{ARCH, OS};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release of anvil that the tests are written against.
const ANVIL: &str = "1.7.1";

/// What the tests need to know: the variable `BOURSE_ANVIL` names the program, `BOURSE_CONTRACTS` the folder of the
/// contracts' artifacts.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub(crate) fn environment(python: &Path) -> Result<Vec<(&'static str, OsString)>> {
    Ok(vec![
        ("BOURSE_ANVIL", anvil()?.into_os_string()),
        ("BOURSE_CONTRACTS", contracts(python)?.into_os_string()),
    ])
}

/// anvil under the target folder, installed where it is missing. Its npm package holds the program itself.
fn anvil() -> Result<PathBuf> {
    let package = format!("@foundry-rs/anvil-{}", platform()?);
    let folder = place::target()?.join("anvil").join(ANVIL);
    let program = folder.join("node_modules").join(&package).join("bin/anvil");
    if runs(&program) {
        return Ok(program);
    }
    println!("installing anvil {ANVIL} in {}", folder.display());
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    step::run(
        Command::new("npm")
            .args(["install", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--silent", "--prefix"])
            .arg(&folder)
            .arg(format!("{package}@{ANVIL}")),
    )
    .context("cannot install anvil: it comes from the npm registry, so this needs npm, and the network once (Debian and Ubuntu: `apt install npm`)")?;
    if !runs(&program) {
        bail!("{} is there and does not run", program.display());
    }
    Ok(program)
}

fn runs(program: &Path) -> bool {
    step::works(Command::new(program).arg("--version"))
}

/// The name that anvil's packages have for this machine.
fn platform() -> Result<&'static str> {
    Ok(match (OS, ARCH) {
        ("linux", "x86_64") => "linux-amd64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-amd64",
        ("macos", "aarch64") => "darwin-arm64",
        _ => bail!("there is no package of anvil for {OS} on {ARCH}"),
    })
}

/// The artifacts in the package of the XBR clients.
fn contracts(python: &Path) -> Result<PathBuf> {
    let output = Command::new(python)
        .args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    let packages = String::from_utf8(output.stdout).context("the path of Python's packages is no text")?;
    let folder = Path::new(packages.trim()).join("xbr/abi");
    if !folder.join("XBRChannel.json").is_file() {
        bail!(
            "{} holds no contracts: is xbr installed for {}?",
            folder.display(),
            python.display()
        );
    }
    Ok(folder)
}
