//! Policies in Rust: cargo, with a compiler of our choice.

use crate::builder::{Builder, Step};
use crate::command::run;
use crate::component::component;
use crate::error::BuildError;
use crate::language::Language;
use crate::toolchain::{TARGET, Toolchain};
use std::fs;
use std::path::Path;

/// Bytes of a guest's stack. Each call starts a fresh instance, whose memory the host clears: the less, the faster.
const STACK: usize = 64 * 1024;

/// What helps where dependencies cannot be had.
const FETCH_HINT: &str =
    ": the crates that the policy depends on could not be had. The first build needs a network";

/// What helps where code does not compile.
const COMPILE_HINT: &str = ": the compiler's messages are above";

/// The name of the package in `folder`.
///
/// # Errors
///
/// [`BuildError::Manifest`] if `Cargo.toml` names none.
pub(crate) fn name(folder: &Path) -> Result<String, BuildError> {
    let path = folder.join("Cargo.toml");
    let wrong = |reason: String| BuildError::Manifest {
        path: path.clone(),
        reason,
    };
    let text = fs::read_to_string(&path)
        .map_err(|source| BuildError::io(format!("read {}", path.display()), source))?;
    let manifest: toml::Table = text
        .parse()
        .map_err(|error| wrong(format!("not TOML: {error}")))?;
    manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| wrong("it has no package.name".to_owned()))
}

impl Builder {
    /// Compiles the package `name` of the workspace or package in `folder`, and makes the module a component.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a dependency cannot be had, the code does not compile, or is not a policy's.
    pub fn rust(&self, toolchain: &Toolchain, folder: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
        // The checkout last, since the last match counts: a policy within it is a part of it.
        let mut places = vec![(folder, "/policy")];
        places.extend(self.checkout.as_deref().map(|root| (root, "/bourse")));
        let target = folder.join("target");
        let locked = self.locked && folder.join("Cargo.lock").exists();
        let options = [(self.quiet, "--quiet"), (locked, "--locked")];
        let options = options.iter().filter_map(|(on, option)| on.then_some(*option));
        // Before the build, so that it knows the folders whose paths it must take out.
        (self.tell)(&Step::Fetch);
        let mut fetch = toolchain.cargo(&places, &[])?;
        run(
            fetch.current_dir(folder).arg("fetch").args(options.clone()),
            FETCH_HINT,
        )?;

        (self.tell)(&Step::Compile {
            name: name.to_owned(),
            language: Language::Rust,
        });
        let mut build = toolchain.cargo(&places, &[format!("-Clink-arg=-zstack-size={STACK}")])?;
        build.current_dir(folder).env("CARGO_TARGET_DIR", &target);
        if self.names {
            build.env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
        }
        build
            .args([
                "build",
                "--release",
                "--lib",
                "--package",
                name,
                "--target",
                TARGET,
            ])
            .args(options);
        run(&mut build, COMPILE_HINT)?;

        let module = target
            .join(TARGET)
            .join("release")
            .join(format!("{}.wasm", name.replace('-', "_")));
        let bytes = fs::read(&module).map_err(|_| BuildError::NoModule { path: module.clone() })?;
        component(&module, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_without_a_name_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join("Cargo.toml"), text).unwrap();
        write("[package]\nname = \"ladder\"\n");
        assert_eq!(name(folder.path()).unwrap(), "ladder");
        write("[workspace]\n");
        let error = name(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("Cargo.toml: it has no package.name"), "{error}");
        write("[package");
        let error = name(folder.path()).unwrap_err().to_string();
        assert!(error.contains("not TOML"), "{error}");
    }
}
