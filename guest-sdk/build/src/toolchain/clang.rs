//! The compiler of policies in C: the machine's clang where it makes WebAssembly, else one unpacked beside the other
//! compilers.

use super::{create, locked, packages, remove};
use crate::builder::Step;
use crate::command::{run, works};
use crate::error::BuildError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages of a clang of our own.
const PINS: &str = include_str!("../../pins/clang.txt");

/// The folder of a clang of our own, among the compilers.
pub(super) const FOLDER: &str = "clang";

/// A compiler of C with a WebAssembly target.
pub(crate) struct Clang {
    program: PathBuf,
    /// Its linker and its libraries, where they are not where the system would look.
    unpacked: Option<PathBuf>,
}

impl Clang {
    /// The machine's, else the one in `cache`, which is unpacked if it was not.
    pub(crate) fn find(cache: &Path, tell: &dyn Fn(&Step)) -> Result<Self, BuildError> {
        let installed = Self {
            program: PathBuf::from("clang"),
            unpacked: None,
        };
        if installed.makes_wasm() {
            return Ok(installed);
        }
        locked(cache, || Self::unpacked(cache, tell)).map_err(|error| match error {
            BuildError::Unobtainable { .. } => BuildError::Missing {
                program: "clang".to_owned(),
                install: "install clang and lld, version 14 or newer; Debian and Ubuntu: `apt install clang lld`, \
                          macOS: `brew install llvm lld`",
            },
            other => other,
        })
    }

    /// A command that compiles and links for WebAssembly, without a C library.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--target=wasm32", "-nostdlib", "-ffreestanding", "-mbulk-memory"]);
        if let Some(folder) = &self.unpacked {
            let linker = folder.join("usr/lib/llvm-22/bin/wasm-ld");
            command.arg(format!("-fuse-ld={}", linker.display()));
            let libraries = [
                folder.join("usr/lib/llvm-22/lib"),
                folder.join("usr/lib/x86_64-linux-gnu"),
            ];
            let libraries = libraries.map(|library| library.display().to_string()).join(":");
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// Whether it is there, with the target and the linker for it: an empty program goes through.
    fn makes_wasm(&self) -> bool {
        works(
            self.command()
                .args(["-Wl,--no-entry", "-o", "/dev/null", "-x", "c", "/dev/null"]),
        )
    }

    fn unpacked(cache: &Path, tell: &dyn Fn(&Step)) -> Result<Self, BuildError> {
        let key = hex::encode(Sha256::digest(PINS));
        let all = cache.join(FOLDER);
        let folder = all.join(key.get(..16).unwrap_or(&key));
        let ready = folder.join("ready");
        if !ready.exists() {
            let pinned = packages::read(PINS)?;
            let packages = cache.join("packages");
            packages::obtain(&packages, &pinned, tell)?;
            tell(&Step::Unpack);
            if all.exists() {
                remove(&all)?;
            }
            create(&folder)?;
            for package in &pinned {
                let path = package.path(&packages);
                run(Command::new("dpkg").arg("-x").arg(path).arg(&folder), "")?;
            }
            File::create(&ready)
                .map_err(|source| BuildError::io(format!("create {}", ready.display()), source))?;
        }
        Ok(Self {
            program: folder.join("usr/lib/llvm-22/bin/clang"),
            unpacked: Some(folder),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clang_of_our_own_is_pinned_by_the_bytes_of_its_packages() {
        let names: Vec<&str> = packages::read(PINS)
            .unwrap()
            .iter()
            .map(|package| package.name)
            .collect();
        assert_eq!(
            names,
            [
                "clang-22",
                "libclang-common-22-dev",
                "libclang-cpp22",
                "libllvm22",
                "lld-22"
            ]
        );
    }
}
