//! Projects whose compiler comes from npm: their name, and the compiler in their own `node_modules`.

use crate::builder::{Builder, Step};
use crate::command::run;
use crate::error::BuildError;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The manifest of such a project.
const MANIFEST: &str = "package.json";

/// What helps where the compiler cannot be had.
const INSTALL_HINT: &str =
    ": the compiler that package.json names could not be had. The first build needs a network";

/// The `name` in `package.json`, which is the policy's.
///
/// # Errors
///
/// [`BuildError::Manifest`] if there is none.
pub(crate) fn name(folder: &Path) -> Result<String, BuildError> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path)
        .map_err(|source| BuildError::io(format!("read {}", path.display()), source))?;
    let wrong = |reason: String| BuildError::Manifest {
        path: path.clone(),
        reason,
    };
    let manifest: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| wrong(format!("not JSON: {error}")))?;
    let name = manifest.get("name").and_then(serde_json::Value::as_str);
    name.map(str::to_owned)
        .ok_or_else(|| wrong("it has no name".to_owned()))
}

impl Builder {
    /// The folder of the package `name` in the project's `node_modules`, after an installation if it was not there.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if npm is missing or fails, or the project does not ask for the package.
    pub(crate) fn npm_package(&self, folder: &Path, name: &str) -> Result<PathBuf, BuildError> {
        let package = folder.join("node_modules").join(name);
        let present = package.join(MANIFEST);
        if present.is_file() {
            return Ok(package);
        }
        (self.tell)(&Step::Fetch);
        // Only what the lock file pins by hash, where there is one; a build adds no file to the sources. Install scripts
        // would run with our rights, and neither compiler has one that it needs.
        let words: &[&str] = if folder.join("package-lock.json").is_file() {
            &["ci"]
        } else {
            &["install", "--no-package-lock"]
        };
        let mut npm = Command::new("npm");
        npm.current_dir(folder)
            .args(words)
            .args(["--ignore-scripts", "--no-audit", "--no-fund"]);
        // Npm prints to standard output, which belongs to whoever asked for the build.
        npm.args(["--loglevel=error", "--progress=false"])
            .stdout(std::io::stderr());
        run(&mut npm, INSTALL_HINT)?;
        if present.is_file() {
            Ok(package)
        } else {
            Err(BuildError::Manifest {
                path: folder.join(MANIFEST),
                reason: format!("its devDependencies lack `{name}`, which builds the project"),
            })
        }
    }
}

/// Where a build in `folder` keeps what it makes; created.
pub(crate) fn output(folder: &Path) -> Result<PathBuf, BuildError> {
    let output = folder.join("target");
    fs::create_dir_all(&output)
        .map_err(|source| BuildError::io(format!("create {}", output.display()), source))?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_name_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join(MANIFEST), text).unwrap();
        write(r#"{"name": "ladder"}"#);
        assert_eq!(name(folder.path()).unwrap(), "ladder");
        write("{}");
        let error = name(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("package.json: it has no name"), "{error}");
        write("{");
        let error = name(folder.path()).unwrap_err().to_string();
        assert!(error.contains("not JSON"), "{error}");
    }

    #[test]
    fn a_compiler_that_is_there_is_not_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("node_modules/assemblyscript");
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join(MANIFEST), "{}").unwrap();
        let builder = Builder::new(folder.path()).tell(|step| panic!("{step:?}"));
        assert_eq!(
            builder.npm_package(folder.path(), "assemblyscript").unwrap(),
            package
        );
    }
}
