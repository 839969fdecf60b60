//! The pinned packages: finding them in the cache, downloading what is missing, and never using other bytes.

use super::create;
use crate::builder::Step;
use crate::command::works;
use crate::error::BuildError;
use crate::sha256;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pins, as they stand in the repository.
pub(super) const PINS: &str = include_str!("../../pins/packages.txt");

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
    fn is_in(&self, folder: &Path) -> Result<bool, BuildError> {
        let path = self.path(folder);
        if !path.exists() {
            return Ok(false);
        }
        let found = sha256(&path)?;
        if found == self.sha256 {
            return Ok(true);
        }
        Err(BuildError::WrongBytes {
            path,
            found,
            pinned: self.sha256.to_owned(),
        })
    }
}

/// Reads the pins of the shipped policies' compiler.
///
/// # Errors
///
/// The line that is not four words.
pub(super) fn pinned() -> Result<Vec<Package<'static>>, BuildError> {
    read(PINS)
}

/// Reads pins.
///
/// # Errors
///
/// The line that is not four words.
pub(super) fn read(pins: &str) -> Result<Vec<Package<'_>>, BuildError> {
    let lines = pins
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
                _ => Err(BuildError::Manifest {
                    path: PathBuf::from("pins"),
                    reason: format!("`{line}` is not `sha256 package version architecture`"),
                }),
            },
        )
        .collect()
}

/// Brings all packages into `folder`.
///
/// # Errors
///
/// [`BuildError::Unobtainable`] where this machine cannot have them; any other error if what it got is wrong.
pub(super) fn obtain(
    folder: &Path,
    packages: &[Package<'_>],
    tell: &dyn Fn(&Step),
) -> Result<(), BuildError> {
    create(folder)?;
    let mut missing = Vec::new();
    for package in packages {
        if !package.is_in(folder)? {
            missing.push(package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    download(folder, &missing, tell)?;
    for package in missing {
        if !package.is_in(folder)? {
            return Err(unobtainable(format!(
                "apt-get reported success and left no {}",
                package.path(folder).display()
            )));
        }
    }
    Ok(())
}

/// Asks apt, first with the lists it has, then with fresh ones of our own: updating the machine's takes its root, and
/// is not ours to do.
fn download(folder: &Path, packages: &[&Package<'_>], tell: &dyn Fn(&Step)) -> Result<(), BuildError> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(unobtainable("it is built for Linux on x86-64"));
    }
    if !works(Command::new("apt-get").arg("--version")) {
        return Err(unobtainable("its packages come with apt-get, which is not here"));
    }
    tell(&Step::Download {
        folder: folder.to_path_buf(),
    });
    let wanted: Vec<String> = packages
        .iter()
        .map(|package| format!("{}={}", package.name, package.version))
        .collect();
    if works(apt(folder, None).arg("download").args(&wanted)) {
        return Ok(());
    }
    let state = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        create(&state.join(part))?;
    }
    let updated = works(apt(folder, Some(&state)).arg("update"));
    if updated && works(apt(folder, Some(&state)).arg("download").args(&wanted)) {
        return Ok(());
    }
    let wanted = wanted.join(" ");
    Err(unobtainable(format!("apt-get of this machine finds no {wanted}")))
}

fn unobtainable(reason: impl Into<String>) -> BuildError {
    BuildError::Unobtainable {
        reason: reason.into(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
        let error = obtain(folder.path(), &packages, &|_| {}).unwrap_err();
        assert!(error.to_string().contains("expected"), "{error}");
        assert!(!error.is_unobtainable());
    }
}
