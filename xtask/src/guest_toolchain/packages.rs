//! The pinned packages: finding them in the cache, downloading what is missing, and never using other bytes.

use super::Unobtainable;
use crate::step;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pins, as they stand in the repository.
pub(super) const PINS: &str = include_str!("../../guest-toolchain/packages.txt");

/// One line of the pins.
pub(super) struct Package<'a> {
    sha256: &'a str,
    pub(super) name: &'a str,
    version: &'a str,
    architecture: &'a str,
}

impl Package<'_> {
    /// The name under which apt saves it.
    fn file_name(&self) -> String {
        let Self {
            name,
            version,
            architecture,
            ..
        } = self;
        format!("{name}_{}_{architecture}.deb", version.replace(':', "%3a"))
    }

    /// Where it lies in the folder of packages.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(self.file_name())
    }

    /// Whether the folder has it.
    ///
    /// # Errors
    ///
    /// If it is there and is not what was pinned.
    fn is_in(&self, folder: &Path) -> Result<bool> {
        let path = self.path(folder);
        if !path.exists() {
            return Ok(false);
        }
        let found = sha256(&path)?;
        let Self { sha256: pinned, .. } = self;
        if found != *pinned {
            bail!(
                "{} has the sha256 {found}, expected {pinned}: delete it, and find out who made it",
                path.display()
            );
        }
        Ok(true)
    }
}

/// Reads the pins.
///
/// # Errors
///
/// The line that is not four words.
pub(super) fn pinned() -> Result<Vec<Package<'static>>> {
    let lines = PINS
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(
            |line| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
                [sha256, name, version, architecture] => Ok(Package {
                    sha256,
                    name,
                    version,
                    architecture,
                }),
                _ => bail!("packages.txt: `{line}` is not `sha256 package version architecture`"),
            },
        )
        .collect()
}

/// Brings all packages into `folder`.
///
/// # Errors
///
/// [`Unobtainable`] where this machine cannot have them; any other error if what it got is wrong.
pub(super) fn obtain(folder: &Path, packages: &[Package<'_>]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut missing = Vec::new();
    for package in packages {
        if !package.is_in(folder)? {
            missing.push(package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    download(folder, &missing)?;
    for package in missing {
        if !package.is_in(folder)? {
            bail!(
                "apt-get reported success and left no {}",
                package.path(folder).display()
            );
        }
    }
    Ok(())
}

/// Asks apt, first with the lists it has, then with fresh ones of our own: updating the machine's takes its root, and
/// is not ours to do.
fn download(folder: &Path, packages: &[&Package<'_>]) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Unobtainable("the pinned compiler is built for Linux on x86-64".to_owned()).into());
    }
    if !step::works(Command::new("apt-get").arg("--version")) {
        return Err(
            Unobtainable("the pinned packages come with apt-get, which is not here".to_owned()).into(),
        );
    }
    println!(
        "downloading the pinned compiler of the policies, 140 MB, into {}",
        folder.display()
    );
    let wanted: Vec<String> = packages
        .iter()
        .map(|package| format!("{}={}", package.name, package.version))
        .collect();
    if step::works(apt(folder, None).arg("download").args(&wanted)) {
        return Ok(());
    }
    let state = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(state.join(part))
            .with_context(|| format!("cannot create {part} in {}", state.display()))?;
    }
    let updated = step::works(apt(folder, Some(&state)).arg("update"));
    if updated && step::works(apt(folder, Some(&state)).arg("download").args(&wanted)) {
        return Ok(());
    }
    let wanted = wanted.join(" ");
    Err(Unobtainable(format!("apt-get of this machine finds no {wanted}")).into())
}

/// `apt-get` in `folder`, with lists and cache in `state` where it is given.
fn apt(folder: &Path, state: Option<&Path>) -> Command {
    let mut command = Command::new("apt-get");
    // The sandbox's user cannot write into a folder of ours, and the warning about it would be all one reads.
    command
        .current_dir(folder)
        .args(["-qq", "-o", "APT::Sandbox::User=root"]);
    if let Some(state) = state {
        for (option, part) in [("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")] {
            command
                .arg("-o")
                .arg(format!("{option}={}", state.join(part).display()));
        }
    }
    command
}

/// The sha256 of a file, in hex.
///
/// # Errors
///
/// If it cannot be read.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_packages_are_pinned_by_their_bytes() {
        let packages = pinned().unwrap();
        assert_eq!(packages.len(), 6);
        assert!(packages.iter().all(|package| package.sha256.len() == 64));
        let names: Vec<String> = packages.iter().map(Package::file_name).collect();
        assert!(
            names.contains(&"libllvm22_1%3a22.1.8-1~deb12u1_amd64.deb".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn other_bytes_under_a_pinned_name_are_an_error_and_not_a_reason_to_download() {
        let folder = tempfile::tempdir().unwrap();
        let packages = pinned().unwrap();
        fs::write(packages[0].path(folder.path()), "not a package").unwrap();
        let error = obtain(folder.path(), &packages).unwrap_err();
        assert!(error.to_string().contains("expected"), "{error}");
        assert!(!error.is::<Unobtainable>());
    }
}
