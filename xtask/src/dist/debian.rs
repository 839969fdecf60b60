//! The Debian package: the tree under `/usr`, settings under `/etc`, and a service that is not started by itself.

use super::binary::Binary;
use super::{SETTINGS, committed, put};
use crate::{place, step};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The settings' place on the machine.
const INSTALLED: &str = "etc/bourse/bourse.toml";

/// Packs the tree; none where there is no `dpkg-deb`.
pub(super) fn pack(folder: &Path, tree: &Path, binary: &Binary) -> Result<Option<PathBuf>> {
    let Some(machine) = machine() else {
        println!("NOT MADE: the Debian package: there is no `dpkg-deb`");
        return Ok(None);
    };
    let root = folder.join("debian");
    fs::create_dir_all(&root)?;
    step::run(
        Command::new("cp")
            .arg("--archive")
            .arg(tree)
            .arg(root.join("usr")),
    )?;
    let settings =
        fs::read(place::root()?.join(SETTINGS)).with_context(|| format!("cannot read {SETTINGS}"))?;
    put(&settings, &root.join(INSTALLED), 0o644)?;
    let about = root.join("DEBIAN");
    put(
        control(binary, &machine, kibibytes(&root)?).as_bytes(),
        &about.join("control"),
        0o644,
    )?;
    // What an operator has changed there is not overwritten by an upgrade.
    put(
        format!("/{INSTALLED}\n").as_bytes(),
        &about.join("conffiles"),
        0o644,
    )?;
    for script in ["postinst", "prerm"] {
        let from = place::root()?.join("xtask/dist").join(script);
        let text = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        put(&text, &about.join(script), 0o755)?;
    }
    let made = folder.join(format!("bourse_{}_{machine}.deb", binary.version));
    let mut command = Command::new("dpkg-deb");
    command
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(&root)
        .arg(&made)
        .env("SOURCE_DATE_EPOCH", committed()?.to_string());
    step::run(&mut command)?;
    fs::remove_dir_all(&root)?;
    Ok(Some(made))
}

/// Debian's name of this machine's kind, as `amd64`.
fn machine() -> Option<String> {
    let output = Command::new("dpkg").arg("--print-architecture").output().ok()?;
    let has = step::works(Command::new("dpkg-deb").arg("--version"));
    let name = String::from_utf8(output.stdout).ok()?;
    has.then(|| name.trim().to_owned())
}

fn control(binary: &Binary, machine: &str, size: u64) -> String {
    let Binary { version, libc, .. } = binary;
    format!(
        "Package: bourse\n\
         Version: {version}\n\
         Architecture: {machine}\n\
         Maintainer: The Bourse project <bourse@localhost>\n\
         Installed-Size: {size}\n\
         Depends: libc6 (>= {libc}), libgcc-s1\n\
         Recommends: ca-certificates\n\
         Section: net\n\
         Priority: optional\n\
         Description: market maker whose prices and rules are WebAssembly programs\n \
         Runs a market for encrypted data: sellers offer data keys, buyers buy them\n \
         through payment channels that settle on Ethereum, clients talk WAMP. Prices,\n \
         filters and consent are sandboxed programs that an operator drops into a folder.\n"
    )
}

/// The size of all files under a folder.
fn kibibytes(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        size += match about.is_dir() {
            true => kibibytes(&entry.path())?,
            false => about.len().div_ceil(1024),
        };
    }
    Ok(size)
}

/// Looks at an unpacked package: whether systemd takes the service, and everything that an operator looks for is there.
pub(super) fn check(root: &Path) -> Result<()> {
    for file in [
        INSTALLED,
        "usr/bin/bourse",
        "usr/lib/systemd/system/bourse.service",
        "usr/lib/sysusers.d/bourse.conf",
        "usr/share/man/man1/bourse.1",
        "usr/share/man/man1/bourse-serve.1",
        "usr/share/bash-completion/completions/bourse",
        "usr/share/doc/bourse/LICENSE-MIT",
    ] {
        let about = fs::metadata(root.join(file)).with_context(|| format!("the package has no {file}"))?;
        if about.len() == 0 {
            bail!("{file} is empty in the package");
        }
    }
    let mut settings = Command::new(root.join("usr/bin/bourse"));
    settings
        .args(["config", "check", "--config"])
        .arg(root.join(INSTALLED));
    step::run(&mut settings)?;
    service(root)
}

/// Has systemd read the service, and judge how much of the machine is left open to it.
fn service(root: &Path) -> Result<()> {
    /// Of a hundred, most of them closed: what no setting of ours opens by mistake.
    const EXPOSED: &str = "--threshold=20";
    if !step::works(Command::new("systemd-analyze").arg("--version")) {
        println!("NOT CHECKED: the service: there is no `systemd-analyze`");
        return Ok(());
    }
    let unit = root.join("usr/lib/systemd/system/bourse.service");
    let text = fs::read_to_string(&unit).with_context(|| format!("cannot read {}", unit.display()))?;
    // It looks for the binary where the package would have put it.
    let binary = root.join("usr/bin/bourse");
    let here = root.join("bourse.service");
    fs::write(&here, text.replace("/usr/bin/bourse", &binary.to_string_lossy()))?;
    step::run(
        Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&here),
    )?;
    let mut judged = Command::new("systemd-analyze");
    judged
        .args(["security", "--no-pager", "--offline=true", EXPOSED])
        .arg(&here);
    if !step::works(&mut judged) {
        bail!(
            "`systemd-analyze security` finds the service too exposed: run it on xtask/dist/bourse.service"
        );
    }
    Ok(())
}
