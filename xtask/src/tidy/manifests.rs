//! Rules over `Cargo.toml`: the arrows between the rooms, and who may depend on which library.

use super::Violation;
use super::files::File;
use toml::{Table, Value};

/// A room and the crates of ours it may depend on.
const ARROWS: [(&str, &[&str]); 13] = [
    ("host/market", &[]),
    ("host/store", &["bourse-market"]),
    ("host/policy", &["bourse-market"]),
    ("host/wamp", &["bourse-market"]),
    ("host/chain", &["bourse-market"]),
    (
        "host/app",
        &[
            "bourse-market",
            "bourse-store",
            "bourse-policy",
            "bourse-wamp",
            "bourse-chain",
            "bourse-delegates",
            "bourse-build",
            "bourse-cases",
        ],
    ),
    ("guest-sdk", &["bourse-sdk-macro"]),
    ("guest-sdk/macro", &[]),
    (
        "guest-sdk/harness",
        &["bourse-market", "bourse-policy", "bourse-sdk", "bourse-build"],
    ),
    (
        "examples/delegates",
        &["bourse-market", "bourse-wamp", "bourse-chain"],
    ),
    ("guest-sdk/build", &[]),
    ("guest-sdk/cases", &["bourse-market", "bourse-policy"]),
    ("xtask", &["bourse-build"]),
];

/// A family of libraries, by its name or its prefix up to a dash, and the one room that names it. `tests` may.
pub(crate) const OWNERS: [(&str, &str); 4] = [
    ("wasmtime", "host/policy"),
    ("heed", "host/store"),
    ("alloy", "host/chain"),
    ("k256", "host/chain"),
];

/// What the pure core may never depend on, not even in its tests.
const IMPURE: [&str; 10] = [
    "tokio",
    "tokio-util",
    "futures-util",
    "rand",
    "getrandom",
    "uuid",
    "serde_json",
    "tracing",
    "parking_lot",
    "chrono",
];

/// All rules over manifests.
pub(crate) fn check(files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.name() == "Cargo.toml") {
        let Ok(table) = file.text.parse::<Table>() else {
            found.push(at(
                file,
                "",
                "manifest",
                "is no TOML; `cargo metadata` says where".to_owned(),
            ));
            continue;
        };
        match file.path.strip_suffix("/Cargo.toml") {
            None => table_of_dependencies(file, &table, files, &mut found),
            Some(room) => dependencies_of(file, room, &table, &mut found),
        }
    }
    found
}

/// The root: each library of the workspace has its line of reason.
fn table_of_dependencies(file: &File, table: &Table, files: &[File], found: &mut Vec<Violation>) {
    let Some(libraries) = table
        .get("workspace")
        .and_then(|it| it.get("dependencies"))
        .and_then(Value::as_table)
    else {
        return;
    };
    let reasons = files
        .iter()
        .find(|file| file.path == "ARCHITECTURE.md")
        .map_or("", |file| file.text.as_str());
    for (name, value) in libraries {
        let is_ours = value.get("path").is_some();
        if !is_ours && !reasons.contains(&format!("`{name}`")) {
            let message = format!(
                "`{name}` has no line in ARCHITECTURE.md's table of dependencies; say there what it is for"
            );
            found.push(at(file, name, "reason", message));
        }
    }
}

fn dependencies_of(file: &File, room: &str, table: &Table, found: &mut Vec<Violation>) {
    let arrows = ARROWS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, allowed)| *allowed);
    let in_workspace = arrows.is_some() || room == "tests";
    for (name, value) in dependencies(table) {
        // A crate that turns its own features on for its tests.
        if value.get("path").and_then(Value::as_str) == Some(".") {
            continue;
        }
        if let Some(allowed) = arrows
            && name.starts_with("bourse-")
            && !allowed.contains(&name)
        {
            let allowed = if allowed.is_empty() {
                "nothing of ours".to_owned()
            } else {
                allowed.join(", ")
            };
            found.push(at(
                file,
                name,
                "arrows",
                format!("{room} depends on `{name}`; it may depend on {allowed}"),
            ));
        }
        if room != "tests" {
            let owner = OWNERS.iter().find(|(family, _)| is_of(name, family));
            if let Some((family, owner)) = owner
                && *owner != room
                && in_workspace
            {
                let message =
                    format!("`{name}` in {room}: only {owner} names {family}; call what {owner} offers");
                found.push(at(file, name, "owners", message));
            }
        }
        if room == "host/market" && IMPURE.contains(&name) {
            let message =
                format!("`{name}` in the core, which stays pure; take what it gives as an argument");
            found.push(at(file, name, "pure core", message));
        }
        // The SDK is also built from outside this workspace, so it carries its versions.
        if in_workspace
            && room != "guest-sdk"
            && value.get("workspace").and_then(Value::as_bool) != Some(true)
        {
            let message = format!(
                "`{name}` has a version of its own; write `{name}.workspace = true` and put the version into the root"
            );
            found.push(at(file, name, "one version", message));
        }
    }
}

fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Every dependency of every kind, those of single targets included.
fn dependencies(table: &Table) -> Vec<(&str, &Value)> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = table
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values);
    let places = targets.filter_map(Value::as_table).chain([table]);
    places
        .flat_map(|place| {
            KINDS
                .iter()
                .filter_map(move |kind| place.get(*kind).and_then(Value::as_table))
        })
        .flat_map(|section| section.iter().map(|(name, value)| (name.as_str(), value)))
        .collect()
}

/// A violation at the first line that starts with `name`; tables keep no positions.
fn at(file: &File, name: &str, rule: &'static str, message: String) -> Violation {
    let starts = |line: &str| {
        let rest = line.trim_start().strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    };
    let line = if name.is_empty() {
        1
    } else {
        file.text.lines().position(starts).map_or(1, |index| index + 1)
    };
    Violation {
        file: file.path.clone(),
        line,
        rule,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(path: &str, text: &str, expected: &[&str]) {
        crate::tidy::assert_finds(check, path, text, expected);
    }

    #[test]
    fn an_arrow_the_wrong_way_is_found_in_every_kind_of_dependency() {
        finds(
            "host/market/Cargo.toml",
            "[dependencies]\nbourse-store.workspace = true\n",
            &["2:arrows"],
        );
        finds(
            "host/wamp/Cargo.toml",
            "[dev-dependencies]\nbourse-store.workspace = true\n",
            &["2:arrows"],
        );
        finds(
            "host/store/Cargo.toml",
            "[build-dependencies]\nbourse-policy.workspace = true\n",
            &["2:arrows"],
        );
        finds(
            "host/chain/Cargo.toml",
            "[target.'cfg(unix)'.dependencies]\nbourse-app = { workspace = true }\n",
            &["2:arrows"],
        );
        finds(
            "host/store/Cargo.toml",
            "[dependencies]\nbourse-market.workspace = true\n",
            &[],
        );
        finds(
            "tests/Cargo.toml",
            "[dependencies]\nbourse-app.workspace = true\n",
            &[],
        );
    }

    #[test]
    fn a_library_has_one_owner() {
        finds(
            "host/app/Cargo.toml",
            "[dependencies]\nwasmtime.workspace = true\n",
            &["2:owners"],
        );
        finds(
            "host/market/Cargo.toml",
            "[dependencies]\nheed-types.workspace = true\n",
            &["2:owners"],
        );
        finds(
            "host/store/Cargo.toml",
            "[dependencies]\nalloy-primitives.workspace = true\n",
            &["2:owners"],
        );
        finds(
            "host/chain/Cargo.toml",
            "[dependencies]\nk256.workspace = true\n",
            &[],
        );
        finds(
            "host/app/Cargo.toml",
            "[dependencies]\nheedless.workspace = true\n",
            &[],
        );
        finds(
            "tests/Cargo.toml",
            "[dev-dependencies]\nk256.workspace = true\n",
            &[],
        );
    }

    #[test]
    fn the_core_is_pure_and_versions_stand_in_the_root() {
        finds(
            "host/market/Cargo.toml",
            "[dev-dependencies]\nrand.workspace = true\n",
            &["2:pure core"],
        );
        finds(
            "host/store/Cargo.toml",
            "[dependencies]\nserde = \"1\"\n",
            &["2:one version"],
        );
    }

    #[test]
    fn a_library_without_a_reason_is_found() {
        let root = "[workspace.dependencies]\nbourse-market = { path = \"host/market\" }\nserde = \"1\"\n";
        finds("Cargo.toml", root, &["3:reason"]);
    }
}
