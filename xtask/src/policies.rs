//! The shipped policies: building them, and checking that what is committed is what their sources give.
//!
//! `policies/dist` holds the components, so that running the host needs no WebAssembly toolchain, and `SHA256SUMS`.

use crate::guest_toolchain::{self, TARGET, Toolchain, Unobtainable, sha256};
use crate::place;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use wit_component::ComponentEncoder;

/// Bytes of a guest's stack. Each call starts a fresh instance, whose memory the host clears: the less, the faster.
const STACK: usize = 64 * 1024;

/// Rebuilds `policies/dist` with the pinned compiler; or, to `check`, compares it with its checksums and with a rebuild.
///
/// # Errors
///
/// If something cannot be built or, to `check`, is not what it must be. Where the pinned compiler cannot be had,
/// a check says so in a line `NOT CHECKED: reason`, and is content with the checksums.
pub(crate) fn rebuild(check: bool) -> Result<()> {
    let policies = place::root()?.join("policies");
    let dist = policies.join("dist");
    let names = members(&policies)?;
    if !check {
        let toolchain = Toolchain::pinned()
            .context("the components of policies/dist are built with the pinned compiler")?;
        fs::create_dir_all(&dist)?;
        let mut sums = String::new();
        for name in names {
            let path = dist.join(format!("{name}.wasm"));
            fs::write(&path, component(&toolchain, &policies, &name)?)?;
            let sum = sha256(&path)?;
            println!("{name}.wasm: {} bytes, sha256 {sum}", fs::metadata(&path)?.len());
            sums.push_str(&format!("{sum}  {name}.wasm\n"));
        }
        return Ok(fs::write(dist.join("SHA256SUMS"), sums)?);
    }
    check_sums(&dist, &names)?;
    let toolchain = match Toolchain::pinned() {
        Ok(toolchain) => toolchain,
        Err(error) => match error.downcast_ref::<Unobtainable>() {
            Some(reason) => {
                println!("NOT CHECKED: that policies/dist is what its sources give: {reason}");
                return Ok(());
            }
            None => return Err(error),
        },
    };
    for name in names {
        if component(&toolchain, &policies, &name)? != fs::read(dist.join(format!("{name}.wasm")))? {
            bail!(
                "policies/dist/{name}.wasm is not what its sources give: run `cargo xtask policies` and commit"
            );
        }
        println!("policies/dist/{name}.wasm: rebuilt, identical");
    }
    Ok(())
}

/// Builds the policy in `folder`, anybody's, with rustup's compiler where it has the target and else with the pinned
/// one, and writes `NAME.wasm` into the present folder.
///
/// # Errors
///
/// If there is no compiler, or it fails.
pub(crate) fn build(folder: &Path) -> Result<()> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("no folder {}", folder.display()))?;
    let manifest = read_toml(&folder.join("Cargo.toml"))?;
    let package = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str);
    let name =
        package.with_context(|| format!("{} has no package name", folder.join("Cargo.toml").display()))?;
    let toolchain = match Toolchain::installed() {
        Some(toolchain) => toolchain,
        None => Toolchain::pinned().context("run `rustup target add wasm32-unknown-unknown`")?,
    };
    let path = PathBuf::from(format!("{name}.wasm"));
    fs::write(&path, component(&toolchain, &folder, name)?)?;
    println!(
        "{}: {} bytes, sha256 {}",
        path.display(),
        fs::metadata(&path)?.len(),
        sha256(&path)?
    );
    Ok(())
}

/// Compiles the package `name` of the workspace or package in `folder`, and makes the module a component.
fn component(toolchain: &Toolchain, folder: &Path, name: &str) -> Result<Vec<u8>> {
    let root = place::root()?;
    // The checkout last, since the last match counts: a policy within it is a part of it.
    let places = [(folder, "/policy"), (root.as_path(), "/bourse")];
    let target = folder.join("target");
    let locked: &[&str] = if folder.join("Cargo.lock").exists() {
        &["--locked"]
    } else {
        &[]
    };
    // Before the build, so that it knows the folders whose paths it must take out.
    let mut fetch = toolchain.cargo(&places, &[])?;
    guest_toolchain::run(fetch.current_dir(folder).args(["fetch", "--quiet"]).args(locked))?;

    let mut build = toolchain.cargo(&places, &[format!("-Clink-arg=-zstack-size={STACK}")])?;
    build.current_dir(folder).env("CARGO_TARGET_DIR", &target);
    build
        .args([
            "build",
            "--quiet",
            "--release",
            "--lib",
            "--package",
            name,
            "--target",
            TARGET,
        ])
        .args(locked);
    guest_toolchain::run(&mut build)?;

    let module = target
        .join(TARGET)
        .join("release")
        .join(format!("{}.wasm", name.replace('-', "_")));
    let bytes = fs::read(&module).with_context(|| {
        format!(
            "no {}: a policy's library has crate-type = [\"cdylib\", \"lib\"]",
            module.display()
        )
    })?;
    ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .with_context(|| {
            format!(
                "{} is no component: does it call export_pricing?",
                module.display()
            )
        })
}

/// The policies of the workspace, by name.
fn members(policies: &Path) -> Result<Vec<String>> {
    let manifest = read_toml(&policies.join("Cargo.toml"))?;
    let members = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("members"));
    let members = members
        .and_then(toml::Value::as_array)
        .context("policies/Cargo.toml has no workspace.members")?;
    let mut names: Vec<String> = members
        .iter()
        .filter_map(toml::Value::as_str)
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}

fn read_toml(path: &Path) -> Result<toml::Table> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse()
        .with_context(|| format!("{} is not TOML", path.display()))
}

/// Compares the components of `dist` with `SHA256SUMS`: those of `names`, no fewer and no more.
fn check_sums(dist: &Path, names: &[String]) -> Result<()> {
    let sums = dist.join("SHA256SUMS");
    let text = fs::read_to_string(&sums).with_context(|| format!("cannot read {}", sums.display()))?;
    let listed: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once("  ").map(|(sum, file)| (file, sum)))
        .collect();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dist)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.ends_with(".wasm") {
            found.insert(name, sha256(&path)?);
        }
    }
    for name in names.iter().map(|name| format!("{name}.wasm")) {
        if !found.contains_key(&name) {
            bail!("policies/dist has no {name}: run `cargo xtask policies`");
        }
    }
    for (name, sum) in &found {
        match listed.get(name.as_str()) {
            Some(expected) if expected == sum => {}
            Some(expected) => {
                bail!("policies/dist/{name} has the sha256 {sum}, but SHA256SUMS says {expected}")
            }
            None => bail!("policies/dist/{name} is not in SHA256SUMS"),
        }
    }
    match listed.keys().find(|name| !found.contains_key(**name)) {
        Some(name) => bail!("SHA256SUMS lists {name}, which is not in policies/dist"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_hold_for_exactly_the_components_there_are() {
        let dist = tempfile::tempdir().unwrap();
        let dist = dist.path();
        let names = ["a".to_owned()];
        let check = || check_sums(dist, &names).map_err(|error| error.to_string());
        let write = |name: &str, text: &str| fs::write(dist.join(name), text).unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

        write("SHA256SUMS", &format!("{empty}  a.wasm\n"));
        assert!(check().unwrap_err().contains("has no a.wasm"));
        write("a.wasm", "");
        assert_eq!(check(), Ok(()));
        write("a.wasm", "changed");
        assert!(check().unwrap_err().contains("SHA256SUMS says"));
        write("a.wasm", "");
        write("b.wasm", "");
        assert!(check().unwrap_err().contains("b.wasm is not in SHA256SUMS"));
        write(
            "SHA256SUMS",
            &format!("{empty}  a.wasm\n{empty}  b.wasm\n{empty}  c.wasm\n"),
        );
        assert!(check().unwrap_err().contains("lists c.wasm"));
    }
}
