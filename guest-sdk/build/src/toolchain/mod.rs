//! Compilers for policies: the pinned one, whose bytes decide those of `policies/dist`, and rustup's where it has the
//! WebAssembly target.
//!
//! The pinned one is unpacked into a cache folder, from packages that are checked against their sha256, and builds the
//! WebAssembly standard library from its own sources once. Nothing is installed; neither `PATH` nor rustup changes.

mod clang;
mod packages;

pub(crate) use clang::Clang;

use crate::builder::Step;
use crate::command::{line, run, unstarted};
use crate::error::BuildError;
use sha2::{Digest, Sha256};
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What policies are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The version of the compiler in the packages.
const RELEASE: &str = "1.96.0";

/// Raise it when the steps below change, so that an unpacked compiler of the old steps is not taken for one of these.
const RECIPE: &str = "3";

/// What helps where the standard library cannot be built.
const STD_HINT: &str = ": building the WebAssembly standard library needs a network, once";

/// Tells the wrapper of the pinned compiler what it compiles: `std` or `policy`.
const KIND: &str = "GUEST_TOOLCHAIN_KIND";

/// A compiler with a WebAssembly target.
pub struct Toolchain {
    rustc: PathBuf,
    /// Where the sources of its standard library were or are: inlined code may name their paths.
    sources: PathBuf,
}

impl Toolchain {
    /// The pinned compiler, unpacked into `cache` if it was not.
    pub(crate) fn pinned(cache: &Path, tell: &dyn Fn(&Step)) -> Result<Self, BuildError> {
        let cache = by_its_name(cache)?;
        locked(&cache, || Self::pinned_alone(&cache, tell))
    }

    /// As [`Toolchain::pinned`], with nobody else in `cache`.
    fn pinned_alone(cache: &Path, tell: &dyn Fn(&Step)) -> Result<Self, BuildError> {
        let key = hex::encode(Sha256::digest(format!("{RECIPE}\n{}", packages::PINS)));
        let folder = cache.join(key.get(..16).unwrap_or(&key));
        let ready = folder.join("ready");
        if !ready.exists() {
            let pinned = packages::pinned()?;
            packages::obtain(&cache.join("packages"), &pinned, tell)?;
            tell(&Step::Unpack);
            remove_others(cache)?;
            unpack(&folder, &cache.join("packages"), &pinned)?;
            tell(&Step::BuildStd);
            build_std(&folder)?;
            File::create(&ready)
                .map_err(|source| BuildError::io(format!("create {}", ready.display()), source))?;
        }
        Ok(Self::in_folder(&folder))
    }

    /// Rustup's compiler, if its WebAssembly target is installed. The project in `folder` may choose its version.
    pub(crate) fn installed(folder: &Path) -> Result<Option<Self>, BuildError> {
        let mut rustc = Command::new("rustc");
        rustc.args(["--print", "sysroot"]).current_dir(folder);
        let output = rustc.output().map_err(|source| unstarted(&rustc, source))?;
        let Ok(sysroot) = String::from_utf8(output.stdout) else {
            return Ok(None);
        };
        let sysroot = PathBuf::from(sysroot.trim());
        let std = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let (rustc, sources) = (sysroot.join("bin/rustc"), sysroot.join("lib/rustlib/src/rust"));
        Ok(std.exists().then_some(Self { rustc, sources }))
    }

    fn in_folder(folder: &Path) -> Self {
        Self {
            rustc: folder.join("bin/rustc"),
            sources: folder.join("usr/lib/rustlib/src/rust"),
        }
    }

    /// A cargo command that compiles with this compiler and nothing else of the caller's settings, such that the
    /// result holds no path of this machine: each folder of `places` becomes the name beside it.
    pub(crate) fn cargo(&self, places: &[(&Path, &str)], flags: &[String]) -> Result<Command, BuildError> {
        let mut all: Vec<String> = places.iter().map(|(from, to)| remap(from, to)).collect();
        all.push(remap(&self.sources, &format!("/rustc/{RELEASE}")));
        all.extend(registries()?.iter().map(|registry| remap(registry, "/registry")));
        all.extend(flags.iter().cloned());
        let mut command = bare_cargo();
        command
            .env("RUSTC", &self.rustc)
            .env(KIND, "policy")
            .env("CARGO_ENCODED_RUSTFLAGS", all.join("\u{1f}"));
        Ok(command)
    }
}

/// The folder, which is made if it is not there, by the one name that it has without links: the standard library remembers
/// where it was built, and that is taken out again by name.
fn by_its_name(folder: &Path) -> Result<PathBuf, BuildError> {
    create(folder)?;
    fs::canonicalize(folder).map_err(|source| BuildError::io(format!("find {}", folder.display()), source))
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// The folders of unpacked registry sources. Their names depend on where a machine gets its crates from.
fn registries() -> Result<Vec<PathBuf>, BuildError> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir()
            .ok_or_else(|| BuildError::Unobtainable {
                reason: "there is neither CARGO_HOME nor a home folder".to_owned(),
            })?
            .join(".cargo"),
    };
    let mut folders: Vec<PathBuf> = match fs::read_dir(home.join("registry/src")) {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .collect(),
        Err(_) => Vec::new(),
    };
    folders.sort();
    Ok(folders)
}

/// Cargo without what its caller's environment would change in a build.
fn bare_cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let settings = [
        "CARGO_BUILD_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "CARGO_ENCODED_",
        "RUSTC",
        "RUSTFLAGS",
    ];
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| settings.iter().any(|setting| name.starts_with(setting)))
        {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Does `work` with nobody else at work in `cache`, which it creates: two builds at a time would unpack into one folder.
fn locked<T>(cache: &Path, work: impl FnOnce() -> Result<T, BuildError>) -> Result<T, BuildError> {
    create(cache)?;
    let lock = cache.join("lock");
    File::create(&lock)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|source| BuildError::io(format!("lock {}", lock.display()), source))
        .and_then(|_held| work())
}

/// Removes what lies beside the packages: compilers of other pins, and what an interrupted unpacking left.
fn remove_others(cache: &Path) -> Result<(), BuildError> {
    for path in entries(cache)? {
        if path.is_dir() && !path.ends_with("packages") && !path.ends_with(clang::FOLDER) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// What lies in a folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|source| BuildError::io(format!("list {}", folder.display()), source))
}

fn create(folder: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(folder)
        .map_err(|source| BuildError::io(format!("create {}", folder.display()), source))
}

fn remove(folder: &Path) -> Result<(), BuildError> {
    fs::remove_dir_all(folder)
        .map_err(|source| BuildError::io(format!("remove {}", folder.display()), source))
}

fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    fs::write(path, text).map_err(|source| BuildError::io(format!("write {}", path.display()), source))
}

/// Unpacks compiler, linker and the sources of the standard library, and writes the wrapper that finds their libraries.
fn unpack(folder: &Path, from: &Path, pinned: &[packages::Package<'_>]) -> Result<(), BuildError> {
    create(&folder.join("bin"))?;
    for package in pinned {
        let path = package.path(from);
        if package.name == "rust-web-src" {
            unpack_sources(folder, &path)?;
        } else {
            run(Command::new("dpkg").arg("-x").arg(&path).arg(folder), "")?;
        }
    }
    let tools = folder.join("usr/lib/rustlib/x86_64-unknown-linux-gnu/bin");
    create(&tools)?;
    let linker = tools.join("rust-lld");
    std::os::unix::fs::symlink("../../../llvm-22/bin/lld", &linker)
        .map_err(|source| BuildError::io(format!("link {}", linker.display()), source))?;
    let wrapper = folder.join("bin/rustc");
    let script = WRAPPER
        .replace("@FOLDER@", &folder.display().to_string())
        .replace("@KIND@", KIND);
    write(&wrapper, &script)?;
    run(Command::new("chmod").arg("+x").arg(&wrapper), "")
}

/// Unpacks of the package of sources only the standard library's: the compiler's own are ten times as much.
fn unpack_sources(folder: &Path, package: &Path) -> Result<(), BuildError> {
    let mut tar = Command::new("dpkg");
    tar.arg("--fsys-tarfile").arg(package).stdout(Stdio::piped());
    let mut sources = tar.spawn().map_err(|source| unstarted(&tar, source))?;
    let mut extract = Command::new("tar");
    extract.arg("-x").arg("-C").arg(folder).arg("--wildcards");
    extract
        .arg(format!("./usr/src/rustc-{RELEASE}/library/*"))
        .arg(format!("./usr/src/rustc-{RELEASE}/Cargo.*"))
        .arg("./usr/lib/rustlib/*");
    if let Some(stream) = sources.stdout.take() {
        extract.stdin(stream);
    }
    let extracted = extract.status().map_err(|source| unstarted(&extract, source))?;
    let unpacked = sources.wait().map_err(|source| unstarted(&tar, source))?;
    for (command, status) in [(&tar, unpacked), (&extract, extracted)] {
        if !status.success() {
            return Err(BuildError::Failed {
                line: line(command),
                status: status.to_string(),
                hint: "",
            });
        }
    }
    Ok(())
}

/// Stands before the pinned compiler: finds its libraries, and gives each crate an identity of our own.
const WRAPPER: &str = include_str!("../../pins/rustc.sh");

/// Builds the standard library for [`TARGET`] and puts it where the compiler looks for one that came with it, so that
/// policies need no unstable flag.
fn build_std(folder: &Path) -> Result<(), BuildError> {
    let empty = folder.join("std");
    create(&empty.join("src"))?;
    write(&empty.join("src/lib.rs"), "#![no_std]\n")?;
    write(
        &empty.join("Cargo.toml"),
        "[package]\nname = \"std-for-policies\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [profile.release]\nopt-level = 3\npanic = \"abort\"\ncodegen-units = 1\n",
    )?;
    let toolchain = Toolchain::in_folder(folder);
    let sources = folder.join("usr/lib/rustlib/src/rust");
    // The sources' crates must be unpacked before their folders can be found and their paths taken out.
    run(
        bare_cargo()
            .args(["fetch", "--quiet", "--manifest-path"])
            .arg(sources.join("library/Cargo.toml"))
            .env("RUSTC", &toolchain.rustc)
            .env("RUSTC_BOOTSTRAP", "1"),
        STD_HINT,
    )?;
    let origin = folder.join(format!("usr/src/rustc-{RELEASE}"));
    let flags = [
        "-Cembed-bitcode=yes".to_owned(),
        "-Cforce-unwind-tables=no".to_owned(),
        remap(&origin, &format!("/rustc/{RELEASE}")),
    ];
    let mut build = toolchain.cargo(&[(&empty, "/std")], &flags)?;
    build.args([
        "build",
        "--quiet",
        "--release",
        "--target",
        TARGET,
        "-Zbuild-std=std,panic_abort",
    ]);
    build
        .env(KIND, "std")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", empty.join("target"));
    run(build.current_dir(&empty), STD_HINT)?;

    let libraries = folder.join("usr/lib/rustlib").join(TARGET).join("lib");
    create(&libraries)?;
    for path in entries(&empty.join("target").join(TARGET).join("release/deps"))? {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.ends_with(".rlib") && !name.starts_with("libstd_for_policies") {
            fs::copy(&path, libraries.join(name))
                .map_err(|source| BuildError::io(format!("copy {}", path.display()), source))?;
        }
    }
    // Neither is needed any more, and they are most of the space.
    for done in [empty, folder.join("usr/src"), folder.join("usr/share")] {
        remove(&done)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_behind_a_link_goes_by_the_name_of_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        let name = by_its_name(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(by_its_name(&link).unwrap(), name);
    }
}
