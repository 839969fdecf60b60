//! The shipped policies: building them, and checking that what is committed is what their sources give.
//!
//! `policies/dist` holds the components, so that running the host needs no WebAssembly toolchain, and `SHA256SUMS`.

use crate::place;
use anyhow::{Context, Result, bail};
use bourse_build::{Builder, Step, sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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
    let builder = builder()?;
    if !check {
        let toolchain = builder
            .pinned()
            .context("the components of policies/dist are built with the pinned compiler")?;
        fs::create_dir_all(&dist)?;
        let mut sums = String::new();
        for name in names {
            let path = dist.join(format!("{name}.wasm"));
            fs::write(&path, builder.rust(&toolchain, &policies, &name)?)?;
            let sum = sha256(&path)?;
            println!("{name}.wasm: {} bytes, sha256 {sum}", fs::metadata(&path)?.len());
            sums.push_str(&format!("{sum}  {name}.wasm\n"));
        }
        return Ok(fs::write(dist.join("SHA256SUMS"), sums)?);
    }
    check_sums(&dist, &names)?;
    let toolchain = match builder.pinned() {
        Ok(toolchain) => toolchain,
        Err(error) if error.is_unobtainable() => {
            println!("NOT CHECKED: that policies/dist is what its sources give: {error}");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    for name in names {
        if builder.rust(&toolchain, &policies, &name)? != fs::read(dist.join(format!("{name}.wasm")))? {
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
    let built = builder()?.build(folder)?;
    let path = PathBuf::from(format!("{}.wasm", built.name));
    fs::write(&path, built.component)?;
    println!(
        "{}: {} bytes, sha256 {}",
        path.display(),
        fs::metadata(&path)?.len(),
        sha256(&path)?
    );
    Ok(())
}

/// What builds policies for this checkout: the same bytes wherever it lies, and compilers in the target folder.
fn builder() -> Result<Builder> {
    let builder = Builder::new(place::target()?.join("guest-toolchain"))
        .checkout(place::root()?)
        .locked(true);
    Ok(builder.tell(|step| match step {
        Step::Download { folder } => println!(
            "downloading the pinned compiler of the policies, 140 MB, into {}",
            folder.display()
        ),
        Step::Unpack => println!("unpacking the pinned compiler of the policies"),
        Step::BuildStd => println!("building the standard library of the policies"),
        Step::Fetch | Step::Compile { .. } => {}
    }))
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
