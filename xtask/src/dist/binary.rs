//! The binary that is packed.

use crate::{place, step};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shared libraries that the binary may need: the C library and what unwinds its stack. Everything else is in it.
const NEEDED: [&str; 5] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// What is built into it beside the defaults: what takes a setting alone, and no other build, to switch on. It makes the binary
/// 0.7 MB larger.
const FEATURES: &str = "otlp";

/// The binary of this checkout, with the release profile.
pub(crate) struct Binary {
    /// Without the tables that only a debugger reads.
    pub(crate) stripped: PathBuf,
    /// What it says of itself, as `0.1.0`.
    pub(crate) version: String,
    /// The oldest C library that has all it asks for, as `2.34`.
    pub(crate) libc: String,
}

impl Binary {
    pub(crate) fn build() -> Result<Self> {
        step::cargo(
            &[
                "build",
                "--release",
                "--quiet",
                "--locked",
                "-p",
                "bourse-app",
                "--features",
                FEATURES,
            ],
            &[],
        )?;
        let built = place::target()?.join("release/bourse");
        let stripped = built.with_file_name("bourse-stripped");
        step::run(
            Command::new("strip")
                .arg("--strip-debug")
                .arg(&built)
                .arg("-o")
                .arg(&stripped),
        )
        .context("`strip` comes with the C compiler, in binutils")?;
        let read = |arguments: &[&str]| read_elf(arguments, &stripped);
        self_contained(&read(&["--dynamic", "--wide"])?)?;
        let libc = newest_libc(&read(&["--version-info", "--wide"])?)?;
        let mut binary = Self {
            stripped,
            version: String::new(),
            libc,
        };
        let said = String::from_utf8(binary.says(&["--version"])?)?;
        let version = said.trim().strip_prefix("bourse ");
        version
            .with_context(|| format!("`bourse --version` says `{said}`"))?
            .clone_into(&mut binary.version);
        Ok(binary)
    }

    /// What it prints when it is run with these arguments.
    pub(crate) fn says(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new(&self.stripped)
            .args(arguments)
            .output()
            .with_context(|| format!("{} does not start", self.stripped.display()))?;
        if !output.status.success() {
            bail!(
                "`bourse {}` failed ({}): {}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output.stdout)
    }
}

fn read_elf(arguments: &[&str], file: &Path) -> Result<String> {
    let output = Command::new("readelf")
        .args(arguments)
        .arg(file)
        .env("LC_ALL", "C")
        .output()
        .context("`readelf` comes with the C compiler, in binutils")?;
    if !output.status.success() {
        bail!("readelf cannot read {}", file.display());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Refuses a binary that needs more of the machine than it may.
fn self_contained(dynamic: &str) -> Result<()> {
    let between = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
    let others: Vec<_> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(between)
        .filter(|library| !NEEDED.contains(&library.as_str()))
        .collect();
    if !others.is_empty() {
        bail!(
            "the binary needs {}, which not every machine has",
            others.join(", ")
        );
    }
    Ok(())
}

/// The newest version of the C library that any symbol comes from.
fn newest_libc(versions: &str) -> Result<String> {
    let newest = versions
        .split(|end: char| end.is_whitespace() || end == '@')
        .filter_map(|word| word.strip_prefix("GLIBC_"))
        .filter_map(|version| {
            let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
            parts
        })
        .max()
        .context("the binary names no version of the C library")?;
    let parts: Vec<String> = newest.iter().map(u32::to_string).collect();
    Ok(parts.join("."))
}

/// What is in the binary, crate by crate with versions and licences, as CycloneDX; none where its tool cannot be had.
pub(crate) fn bill_of_materials() -> Result<Option<Vec<u8>>> {
    const NAME: &str = "bourse.cdx";
    let works = || step::works(Command::new("cargo").args(["cyclonedx", "--version"]));
    if !works() {
        println!("installing cargo-cyclonedx");
        let installed = step::cargo(&["install", "--quiet", "cargo-cyclonedx", "--locked"], &[]);
        if installed.is_err() || !works() {
            return Ok(None);
        }
    }
    step::cargo(
        &[
            "cyclonedx",
            "--quiet",
            "--manifest-path",
            "host/app/Cargo.toml",
            "--features",
            FEATURES,
            "--format",
            "json",
            "--override-filename",
            NAME,
        ],
        &[],
    )?;
    // It writes one beside the manifest of each member.
    let file = format!("{NAME}.json");
    let bill =
        fs::read(place::root()?.join("host/app").join(&file)).context("no bill of materials was written")?;
    for member in members()? {
        match fs::remove_file(member.join(&file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context(format!("cannot remove {}", member.join(&file).display()));
            }
            _ => {}
        }
    }
    Ok(Some(bill))
}

/// The folders of the workspace's members.
fn members() -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version=1", "--locked"])
        .current_dir(place::root()?)
        .output()
        .context("cargo does not start")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata says no JSON")?;
    let packages = metadata.get("packages").and_then(serde_json::Value::as_array);
    let folder = |package: &serde_json::Value| {
        let manifest = Path::new(package.get("manifest_path")?.as_str()?);
        manifest.parent().map(Path::to_path_buf)
    };
    Ok(packages.into_iter().flatten().filter_map(folder).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_may_need_the_c_library_alone() {
        let line =
            |name: &str| format!(" 0x0000000000000001 (NEEDED)             Shared library: [{name}]\n");
        self_contained(&(line("libc.so.6") + &line("libgcc_s.so.1"))).unwrap();
        let error = self_contained(&(line("libc.so.6") + &line("libssl.so.3"))).unwrap_err();
        assert!(error.to_string().contains("libssl.so.3"), "{error}");
    }

    #[test]
    fn the_newest_version_is_found_by_number() {
        let versions = "  0x0010:   Name: GLIBC_2.9  Flags: none\n  0x0020:   Name: GLIBC_2.34  Flags: none\n GLIBC_PRIVATE";
        assert_eq!(newest_libc(versions).unwrap(), "2.34");
        assert!(newest_libc("nothing").is_err());
    }
}
