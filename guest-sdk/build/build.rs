//! Gathers what `bourse policy new` writes, so that an installed binary needs no checkout: the SDK's sources, the
//! template of a project in Rust, and the examples in other languages.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Folders of what was built or installed.
const SKIPPED_FOLDERS: [&str; 4] = ["target", "node_modules", "proptest-regressions", "tests"];

/// The parts of the SDK's folder that belong to a copy of it.
const SDK: [&str; 7] = [
    "README.md",
    "BATCH.md",
    "CASES.md",
    "Cargo.toml",
    "src",
    "wit",
    "macro",
];

/// What a manifest says for its own workspace, and no copy needs.
const DROPPED: [&str; 3] = ["dev-dependencies", "lints", "bench"];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let sdk = here.parent().ok_or("this crate has no parent folder")?;
    let root = sdk.parent().ok_or("the SDK has no parent folder")?;
    let workspace: Table = fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());

    let mut files = Vec::new();
    for part in SDK {
        gather(sdk, Path::new(part), &mut files)?;
    }
    let mut code = String::new();
    constant(&mut code, "SDK", sdk, &files, Some(&workspace))?;
    let examples = root.join("examples/policies");
    for (name, folder) in [
        ("RUST", here.join("templates/rust")),
        ("ASSEMBLYSCRIPT", examples.join("assemblyscript")),
        ("C", examples.join("c")),
        ("JAVASCRIPT", examples.join("javascript")),
    ] {
        let mut files = Vec::new();
        gather(&folder, Path::new(""), &mut files)?;
        constant(&mut code, name, &folder, &files, None)?;
    }
    fs::write(Path::new(&std::env::var("OUT_DIR")?).join("files.rs"), code)?;
    Ok(())
}

/// Collects the files of `folder` at `part` and below, and has them watched.
fn gather(folder: &Path, part: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let path = folder.join(part);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.is_file() {
        // The SDK's own tests need crates that a copy does not bring.
        if !name.ends_with(".wasm") && !name.ends_with("_tests.rs") {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(part.to_path_buf());
        }
    } else if !SKIPPED_FOLDERS.contains(&name.as_ref()) {
        // Cargo looks through all of a folder, and what was installed beside an example is none of our business.
        if !part.as_os_str().is_empty() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        let mut names: Vec<_> = fs::read_dir(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        for name in names {
            gather(folder, &part.join(name), files)?;
        }
    }
    Ok(())
}

/// Writes a constant with the names and texts of `files`; manifests without their ties to `workspace`.
fn constant(
    code: &mut String,
    name: &str,
    folder: &Path,
    files: &[PathBuf],
    workspace: Option<&Table>,
) -> Result<(), Box<dyn Error>> {
    writeln!(code, "pub(super) const {name}: &[(&str, &str)] = &[")?;
    for file in files {
        let path = folder.join(file);
        let shown = file.to_string_lossy();
        match workspace {
            Some(workspace) if file.ends_with("Cargo.toml") => {
                let manifest = alone(&fs::read_to_string(&path)?, workspace)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                writeln!(code, "({shown:?}, {manifest:?}),")?;
            }
            _ => writeln!(code, "({shown:?}, include_str!({:?})),", path.to_string_lossy())?,
        }
    }
    writeln!(code, "];")?;
    Ok(())
}

/// A manifest that stands alone: what it takes from its workspace is written out.
fn alone(text: &str, workspace: &Table) -> Result<String, Box<dyn Error>> {
    let mut manifest: Table = text.parse()?;
    for section in DROPPED {
        manifest.remove(section);
    }
    let shared = |keys: &[&str]| {
        let table = workspace.get("workspace")?;
        keys.iter().try_fold(table, |value, key| value.get(key))
    };
    if let Some(Value::Table(package)) = manifest.get_mut("package") {
        for (key, value) in package.iter_mut() {
            if is_shared(value) {
                let found = shared(&["package", key]).ok_or_else(|| format!("no workspace.package.{key}"))?;
                *value = found.clone();
            }
        }
        package.insert("publish".to_owned(), Value::Boolean(false));
    }
    resolve(&mut manifest, &shared)?;
    if let Some(Value::Table(targets)) = manifest.get_mut("target") {
        for (_, target) in targets.iter_mut() {
            if let Value::Table(target) = target {
                resolve(target, &shared)?;
            }
        }
    }
    Ok(toml::to_string(&manifest)?)
}

/// Writes out the dependencies of one table that stand in the workspace's. Features are added, as cargo adds them.
fn resolve<'w>(
    table: &mut Table,
    shared: &dyn Fn(&[&str]) -> Option<&'w Value>,
) -> Result<(), Box<dyn Error>> {
    let Some(Value::Table(dependencies)) = table.get_mut("dependencies") else {
        return Ok(());
    };
    for (name, value) in dependencies.iter_mut() {
        if !is_shared(value) {
            continue;
        }
        let found =
            shared(&["dependencies", name]).ok_or_else(|| format!("no workspace.dependencies.{name}"))?;
        let mut whole = match found {
            Value::Table(table) => table.clone(),
            version => Table::from_iter([("version".to_owned(), version.clone())]),
        };
        if let Some(path) = whole.get("path").and_then(Value::as_str) {
            // The SDK's folder becomes the root of the copy.
            let inside = path
                .strip_prefix("guest-sdk/")
                .ok_or_else(|| format!("`{name}` lies outside the SDK"))?;
            let inside = Value::String(inside.to_owned());
            whole.insert("path".to_owned(), inside);
        }
        let own = value.get("features").and_then(Value::as_array).cloned();
        if let Some(own) = own {
            let features = whole
                .entry("features")
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(features) = features {
                features.extend(own);
            }
        }
        *value = Value::Table(whole);
    }
    Ok(())
}

fn is_shared(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}
