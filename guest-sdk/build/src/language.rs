//! In which language a project is written.

use crate::error::BuildError;
use std::fmt;
use std::path::Path;

/// A language that policies are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// With the SDK.
    Rust,
    /// With a toolchain from npm, and the ABI by hand.
    AssemblyScript,
    /// With clang, and the ABI by hand.
    C,
    /// With a toolchain from npm; components of 12 MB.
    JavaScript,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 4] = [Self::Rust, Self::AssemblyScript, Self::C, Self::JavaScript];

    /// The word for it on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::AssemblyScript => "assemblyscript",
            Self::C => "c",
            Self::JavaScript => "javascript",
        }
    }

    /// The file whose presence in a folder means a project in this language. An AssemblyScript project has both a
    /// `package.json` and an `asconfig.json`: languages are tried in the order of [`Language::ALL`].
    pub const fn marker(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::AssemblyScript => "asconfig.json",
            Self::C => "policy.c",
            Self::JavaScript => "package.json",
        }
    }

    pub(crate) fn markers() -> String {
        Self::ALL
            .map(|language| format!("{} ({language})", language.marker()))
            .join(", ")
    }

    /// The language of the project in `folder`.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoProject`] if no marker is there.
    pub fn of(folder: &Path) -> Result<Self, BuildError> {
        Self::ALL
            .into_iter()
            .find(|language| folder.join(language.marker()).is_file())
            .ok_or_else(|| BuildError::NoProject {
                folder: folder.to_path_buf(),
            })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_known_by_its_marker_and_its_lack_names_what_would_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = Language::of(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("expected Cargo.toml (rust), asconfig.json (assemblyscript)"),
            "{error}"
        );
        std::fs::write(folder.path().join("package.json"), "{}").unwrap();
        assert_eq!(Language::of(folder.path()).unwrap(), Language::JavaScript);
        std::fs::write(folder.path().join("asconfig.json"), "{}").unwrap();
        assert_eq!(Language::of(folder.path()).unwrap(), Language::AssemblyScript);
    }
}
