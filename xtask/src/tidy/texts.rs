//! Rules over every text file: nothing of the machine it was written on, and only public registries.

use super::Violation;
use super::files::File;

/// Folders that exist on one machine. Written in two parts, so that this file keeps its own rule.
const MACHINE: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
];

/// A neighbour of the checkout that nobody else has.
const NEIGHBOUR: &str = concat!("../sha", "red");

/// How a lock file may say where a package came from.
const REGISTRIES: [&str; 3] = [
    "registry+https://github.com/rust-lang/crates.io-index",
    "https://registry.npmjs.org/",
    "https://pypi.org/",
];

/// Settings that name a registry of one's own.
const OWN_REGISTRY: [&str; 5] = [
    "index-url",
    "extra-index-url",
    "find-links",
    "replace-with",
    "trusted-host",
];

/// All rules over texts.
pub(crate) fn check(files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            let mut add = |rule, message| {
                found.push(Violation {
                    file: file.path.clone(),
                    line: index + 1,
                    rule,
                    message,
                });
            };
            if let Some(path) = machine_path(line) {
                add(
                    "machine path",
                    format!(
                        "`{path}` exists on one machine only; name it from the checkout or by a variable"
                    ),
                );
            }
            if line.contains(NEIGHBOUR) {
                add(
                    "neighbour",
                    format!(
                        "`{NEIGHBOUR}` lies outside the checkout; put what is needed into the repository"
                    ),
                );
            }
            if let Some(source) = foreign_source(file, line) {
                add(
                    "registry",
                    format!("`{source}` is no public registry; resolve the package from the public one"),
                );
            }
        }
    }
    found
}

/// A path that starts in a folder of [`MACHINE`]; the same letters inside a longer path are none.
fn machine_path(line: &str) -> Option<&'static str> {
    MACHINE.into_iter().find(|folder| {
        line.match_indices(folder).any(|(start, _)| {
            let before = line.get(..start).and_then(|before| before.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "._-}>*)/".contains(c))
        })
    })
}

fn foreign_source<'a>(file: &File, line: &'a str) -> Option<&'a str> {
    let line = line.trim();
    let locked = match file.name() {
        "Cargo.lock" => line.strip_prefix("source = "),
        "package-lock.json" => line.strip_prefix("\"resolved\": "),
        _ => None,
    };
    if let Some(value) = locked {
        let value = value.trim_matches(['"', ',']);
        return (!REGISTRIES.iter().any(|registry| value.starts_with(registry))).then_some(value);
    }
    let configures = file.is(&["toml", "txt", "cfg", "ini", "npmrc"]) || file.name() == "config";
    let names_one = OWN_REGISTRY
        .iter()
        .any(|setting| line.trim_start_matches('-').starts_with(setting));
    (configures && names_one).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(path: &str, text: &str, expected: &[&str]) {
        crate::tidy::assert_finds(check, path, text, expected);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        finds(
            "docs/a.md",
            concat!("x\nsee /wo", "rk/main/x\n"),
            &["2:machine path"],
        );
        finds("a.toml", concat!("path = \"/ro", "ot/x\"\n"), &["1:machine path"]);
        finds(
            "docs/a.md",
            concat!("target/wo", "rk/x and $DIR/ro", "ot/y\n"),
            &[],
        );
    }

    #[test]
    fn a_neighbour_of_the_checkout_is_found() {
        finds(
            "docs/a.md",
            concat!("as ../sha", "red/x says\n"),
            &["1:neighbour"],
        );
    }

    #[test]
    fn a_registry_of_ones_own_is_found() {
        finds(
            "Cargo.lock",
            "source = \"registry+https://mirror.example/index\"\n",
            &["1:registry"],
        );
        finds(
            "Cargo.lock",
            "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
            &[],
        );
        finds(
            "x/package-lock.json",
            "  \"resolved\": \"https://npm.example/a.tgz\",\n",
            &["1:registry"],
        );
        finds(
            "tests/python/requirements.txt",
            "--index-url https://pypi.example/simple\n",
            &["1:registry"],
        );
        finds(
            ".cargo/config.toml",
            "replace-with = \"mirror\"\n",
            &["1:registry"],
        );
        finds("tests/python/requirements.txt", "xbr==26.10.1\n", &[]);
    }
}
