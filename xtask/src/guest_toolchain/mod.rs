//! Compilers for policies: the pinned one, whose bytes decide those of `policies/dist`, and rustup's where it has the
//! WebAssembly target.
//!
//! The pinned one is unpacked into the target folder, from packages that are checked against their sha256, and builds
//! the WebAssembly standard library from its own sources once. Nothing is installed; neither `PATH` nor rustup changes.

mod packages;

use crate::place;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) use packages::sha256;

/// What policies are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The version of the compiler in the packages.
const RELEASE: &str = "1.96.0";

/// Raise it when the steps below change, so that an unpacked compiler of the old steps is not taken for one of these.
const RECIPE: &str = "2";

/// Tells the wrapper of the pinned compiler what it compiles: `std` or `policy`.
const KIND: &str = "GUEST_TOOLCHAIN_KIND";

/// Why the pinned packages cannot be had on this machine. Not a fault of the repository: a check that needs them is
/// reported as not made.
#[derive(Debug)]
pub(crate) struct Unobtainable(String);

impl std::fmt::Display for Unobtainable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unobtainable {}

/// A compiler with a WebAssembly target.
pub(crate) struct Toolchain {
    rustc: PathBuf,
    /// Where the sources of its standard library were or are: inlined code may name their paths.
    sources: PathBuf,
}

impl Toolchain {
    /// The pinned compiler, unpacked if it was not.
    ///
    /// # Errors
    ///
    /// [`Unobtainable`] where its packages cannot be had; any other error if they do not give a compiler.
    pub(crate) fn pinned() -> Result<Self> {
        let cache = place::target()?.join("guest-toolchain");
        fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
        // Held until the end: two tasks at a time would unpack into one folder.
        let lock =
            File::create(cache.join("lock")).context("cannot create the lock of the guest toolchain")?;
        lock.lock().context("cannot lock the guest toolchain")?;

        let key = hex::encode(Sha256::digest(format!("{RECIPE}\n{}", packages::PINS)));
        let folder = cache.join(key.get(..16).unwrap_or(&key));
        let ready = folder.join("ready");
        if !ready.exists() {
            let pinned = packages::pinned()?;
            packages::obtain(&cache.join("packages"), &pinned)?;
            println!("unpacking the pinned compiler of the policies and building its standard library");
            remove_others(&cache)?;
            unpack(&folder, &cache.join("packages"), &pinned)?;
            build_std(&folder)?;
            File::create(&ready).with_context(|| format!("cannot create {}", ready.display()))?;
        }
        Ok(Self::in_folder(&folder))
    }

    /// Rustup's compiler, if its WebAssembly target is installed.
    pub(crate) fn installed() -> Option<Self> {
        let output = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
        let sysroot = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        let std = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let (rustc, sources) = (sysroot.join("bin/rustc"), sysroot.join("lib/rustlib/src/rust"));
        std.exists().then_some(Self { rustc, sources })
    }

    fn in_folder(folder: &Path) -> Self {
        Self {
            rustc: folder.join("bin/rustc"),
            sources: folder.join("usr/lib/rustlib/src/rust"),
        }
    }

    /// A cargo command that compiles with this compiler and nothing else of the caller's settings, such that the
    /// result holds no path of this machine: each folder of `places` becomes the name beside it.
    ///
    /// # Errors
    ///
    /// If cargo's home cannot be found.
    pub(crate) fn cargo(&self, places: &[(&Path, &str)], flags: &[String]) -> Result<Command> {
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

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// The folders of unpacked registry sources. Their names depend on where a machine gets its crates from.
fn registries() -> Result<Vec<PathBuf>> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => env::home_dir()
            .context("neither CARGO_HOME nor a home folder")?
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

/// Removes what lies beside the packages: compilers of other pins, and what an interrupted unpacking left.
fn remove_others(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("packages") {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Unpacks compiler, linker and the sources of the standard library, and writes the wrapper that finds their libraries.
fn unpack(folder: &Path, from: &Path, pinned: &[packages::Package<'_>]) -> Result<()> {
    fs::create_dir_all(folder.join("bin")).with_context(|| format!("cannot create {}", folder.display()))?;
    for package in pinned {
        let path = package.path(from);
        if package.name == "rust-web-src" {
            let mut tar = Command::new("dpkg")
                .arg("--fsys-tarfile")
                .arg(&path)
                .stdout(Stdio::piped())
                .spawn()?;
            let stream = tar.stdout.take().context("dpkg has no output")?;
            let mut extract = Command::new("tar");
            extract
                .arg("-x")
                .arg("-C")
                .arg(folder)
                .arg("--wildcards")
                .stdin(stream);
            extract
                .arg(format!("./usr/src/rustc-{RELEASE}/library/*"))
                .arg(format!("./usr/src/rustc-{RELEASE}/Cargo.*"));
            extract.arg("./usr/lib/rustlib/*");
            run(&mut extract)?;
            let status = tar.wait()?;
            if !status.success() {
                bail!("`dpkg --fsys-tarfile {}` failed ({status})", path.display());
            }
        } else {
            run(Command::new("dpkg").arg("-x").arg(&path).arg(folder))?;
        }
    }
    let tools = folder.join("usr/lib/rustlib/x86_64-unknown-linux-gnu/bin");
    fs::create_dir_all(&tools)?;
    std::os::unix::fs::symlink("../../../llvm-22/bin/lld", tools.join("rust-lld"))?;
    let wrapper = folder.join("bin/rustc");
    let script = WRAPPER
        .replace("@FOLDER@", &folder.display().to_string())
        .replace("@KIND@", KIND);
    fs::write(&wrapper, script).with_context(|| format!("cannot write {}", wrapper.display()))?;
    run(Command::new("chmod").arg("+x").arg(&wrapper))
}

/// Stands before the pinned compiler: finds its libraries, and gives each crate an identity of our own.
const WRAPPER: &str = include_str!("../../guest-toolchain/rustc.sh");

/// Builds the standard library for [`TARGET`] and puts it where the compiler looks for one that came with it, so that
/// policies need no unstable flag.
fn build_std(folder: &Path) -> Result<()> {
    let empty = folder.join("std");
    fs::create_dir_all(empty.join("src"))?;
    fs::write(empty.join("src/lib.rs"), "#![no_std]\n")?;
    fs::write(
        empty.join("Cargo.toml"),
        "[package]\nname = \"std-for-policies\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [profile.release]\nopt-level = 3\npanic = \"abort\"\ncodegen-units = 1\n",
    )?;
    let toolchain = Toolchain::in_folder(folder);
    let sources = folder.join("usr/lib/rustlib/src/rust");
    // The sources' crates must be unpacked before their folders can be found and their paths taken out.
    run(bare_cargo()
        .args(["fetch", "--quiet", "--manifest-path"])
        .arg(sources.join("library/Cargo.toml"))
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1"))?;
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
    run(build.current_dir(&empty))?;

    let libraries = folder.join("usr/lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries)?;
    for entry in fs::read_dir(empty.join("target").join(TARGET).join("release/deps"))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.ends_with(".rlib") && !name.starts_with("libstd_for_policies") {
            fs::copy(&path, libraries.join(name))?;
        }
    }
    // Neither is needed any more, and they are most of the space.
    for done in [empty, folder.join("usr/src"), folder.join("usr/share")] {
        fs::remove_dir_all(&done).with_context(|| format!("cannot remove {}", done.display()))?;
    }
    Ok(())
}

/// Runs a command and waits for it.
///
/// # Errors
///
/// If it does not start, or ends with a failure.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{command:?} did not start"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
