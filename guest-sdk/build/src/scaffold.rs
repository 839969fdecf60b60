//! New projects, from what is embedded in this crate: an installed binary writes them without a checkout.

use crate::error::BuildError;
use crate::language::Language;
use std::fs;
use std::path::Path;

/// The files of the SDK and of a project in each language, by name and text.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/files.rs"));
}

/// Where the template of a project in Rust says its name.
const NAME: &str = "@NAME@";

/// The name of the policy that the examples in other languages are.
const EXAMPLE: &str = "rising";

/// Characters of a policy's name, as hosts have it.
const MAX_NAME: usize = 64;

/// Words that cargo takes for no package, since they mean something to Rust; and the names of what the project uses.
const TAKEN: [&str; 55] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in",
    "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "self", "static", "std", "struct", "super", "test", "trait", "true", "try", "type", "typeof", "unsafe",
    "unsized", "use", "virtual", "where", "while", "yield",
];

/// Writes a project for the policy `name` into `folder`, which must not exist or be empty, and says how many files it
/// has. In Rust, a copy of the SDK is a part of it.
///
/// # Errors
///
/// [`BuildError::Name`] if no policy can have the name, [`BuildError::Occupied`] if the folder holds something,
/// [`BuildError::Io`] if a file cannot be written.
pub fn scaffold(folder: &Path, name: &str, language: Language) -> Result<usize, BuildError> {
    check_name(name)?;
    let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || folder.is_file() {
        return Err(BuildError::Occupied {
            folder: folder.to_path_buf(),
        });
    }
    let (project, placeholder) = match language {
        Language::Rust => (embedded::RUST, NAME),
        Language::AssemblyScript => (embedded::ASSEMBLYSCRIPT, EXAMPLE),
        Language::C => (embedded::C, EXAMPLE),
        Language::JavaScript => (embedded::JAVASCRIPT, EXAMPLE),
    };
    for (file, text) in project {
        // The template's own would keep git from the template.
        let file = if *file == "gitignore" { ".gitignore" } else { file };
        write(&folder.join(file), &text.replace(placeholder, name))?;
    }
    if language != Language::Rust {
        return Ok(project.len());
    }
    for (file, text) in embedded::SDK {
        write(&folder.join("sdk").join(file), text)?;
    }
    Ok(project.len().saturating_add(embedded::SDK.len()))
}

fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .map_err(|source| BuildError::io(format!("create {}", parent.display()), source))?;
    fs::write(path, text).map_err(|source| BuildError::io(format!("write {}", path.display()), source))
}

/// Whether a policy and its package can have the name.
fn check_name(name: &str) -> Result<(), BuildError> {
    let wrong = |reason| {
        Err(BuildError::Name {
            name: name.chars().take(MAX_NAME).collect(),
            reason,
        })
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if name.len() > MAX_NAME
        || !name.bytes().all(plain)
        || !name.starts_with(|first: char| first.is_ascii_lowercase())
    {
        return wrong("expected a letter, then up to 63 of the characters a-z, 0-9, _ and -");
    }
    if TAKEN.contains(&name) || ["bourse", "bourse-sdk", "bourse-sdk-macro", "serde"].contains(&name) {
        return wrong("it means something else to Rust or in the project");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_hosts_and_cargo_take() {
        let longest = "a".repeat(64);
        for name in ["ladder", "a", "fair-share", "x_2", longest.as_str()] {
            check_name(name).unwrap();
        }
        let long = "a".repeat(65);
        for name in [
            "",
            "Ladder",
            "2x",
            "-x",
            "a b",
            "../x",
            "é",
            "match",
            "test",
            "serde",
            long.as_str(),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_project_bears_its_name_and_nothing_of_ours_is_lost() {
        for language in Language::ALL {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("ladder");
            scaffold(&folder, "ladder", language).unwrap();
            assert_eq!(Language::of(&folder).unwrap(), language);
            for file in ["README.md", ".gitignore", language.marker()] {
                let text = fs::read_to_string(folder.join(file)).unwrap();
                assert!(
                    !text.contains(NAME) && !text.contains(EXAMPLE),
                    "{language}: {file}"
                );
            }
            assert!(
                fs::read_dir(folder.join("cases")).unwrap().count() >= 3,
                "{language}"
            );
            assert!(matches!(
                scaffold(&folder, "ladder", language),
                Err(BuildError::Occupied { .. })
            ));
        }
    }

    #[test]
    fn the_copy_of_the_sdk_depends_on_no_workspace() {
        let manifests: Vec<_> = embedded::SDK
            .iter()
            .filter(|(file, _)| file.ends_with("Cargo.toml"))
            .collect();
        assert_eq!(manifests.len(), 2);
        for (file, text) in manifests {
            let manifest: toml::Table = text.parse().unwrap();
            assert!(manifest.contains_key("package"), "{file}");
            assert!(!text.contains("workspace"), "{file}:\n{text}");
        }
    }
}
