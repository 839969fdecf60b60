//! `cargo xtask dist`: what an operator installs, under `dist` in the target folder.
//!
//! One tree, laid out as under `/usr`, goes into a tarball and, with its settings under `/etc`, into a Debian package. Both
//! have the licences of all that is in the binary as a bill of materials. The same commit gives the same bytes of
//! everything but the binary, which is as reproducible as the compiler makes it.

mod binary;
mod debian;

use crate::{place, step, tidy};
use anyhow::{Context, Result, bail};
use binary::Binary;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where completions lie under `share`, by their shell.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/bourse"),
    ("zsh", "zsh/vendor-completions/_bourse"),
    ("fish", "fish/vendor_completions.d/bourse.fish"),
];

/// What is copied as it is: from the checkout, to the tree.
const FILES: [(&str, &str); 4] = [
    ("xtask/dist/bourse.service", "lib/systemd/system/bourse.service"),
    ("xtask/dist/sysusers.conf", "lib/sysusers.d/bourse.conf"),
    ("LICENSE-APACHE", "share/doc/bourse/LICENSE-APACHE"),
    ("LICENSE-MIT", "share/doc/bourse/LICENSE-MIT"),
];

/// Where the documents lie as they do in the checkout, so that their links lead to each other.
const DOCUMENTS: &str = "share/doc/bourse";

/// The settings that an operator changes.
const SETTINGS: &str = "xtask/dist/bourse.toml";

/// The packages that were made.
pub(crate) struct Packages {
    /// `bourse-VERSION-MACHINE-linux.tar.gz`
    pub(crate) tarball: PathBuf,
    /// `bourse_VERSION_MACHINE.deb`; none where there is no `dpkg-deb`.
    pub(crate) debian: Option<PathBuf>,
}

/// Builds the binary and packs it.
///
/// # Errors
///
/// What does not build or pack.
pub(crate) fn run() -> Result<Packages> {
    let binary = Binary::build()?;
    let folder = place::target()?.join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let tree = folder.join("tree");
    lay(&tree, &binary)?;
    let tarball = tarball(&folder, &tree, &binary)?;
    let debian = debian::pack(&folder, &tree, &binary)?;
    for made in [Some(&tarball), debian.as_ref()].into_iter().flatten() {
        say(made)?;
    }
    Ok(Packages { tarball, debian })
}

/// Says a file's name, size and sum, and writes the sum beside it.
fn say(made: &Path) -> Result<()> {
    let bytes = fs::read(made).with_context(|| format!("cannot read {}", made.display()))?;
    let sum = hex::encode(Sha256::digest(&bytes));
    let name = made
        .file_name()
        .context("a package has a name")?
        .to_string_lossy();
    let beside = made.with_file_name(format!("{name}.sha256"));
    fs::write(&beside, format!("{sum}  {name}\n"))
        .with_context(|| format!("cannot write {}", beside.display()))?;
    println!("{}: {} bytes, sha256 {sum}", made.display(), bytes.len());
    Ok(())
}

/// Puts everything in its place, as under `/usr`.
fn lay(tree: &Path, binary: &Binary) -> Result<()> {
    let root = place::root()?;
    put(&fs::read(&binary.stripped)?, &tree.join("bin/bourse"), 0o755)?;
    for (from, to) in FILES {
        let bytes = fs::read(root.join(from)).with_context(|| format!("cannot read {from}"))?;
        put(&bytes, &tree.join(to), 0o644)?;
    }
    let settings = fs::read(root.join(SETTINGS)).with_context(|| format!("cannot read {SETTINGS}"))?;
    put(
        &settings,
        &tree.join("share/doc/bourse/examples/bourse.toml"),
        0o644,
    )?;
    for document in documents(&root)? {
        let bytes = fs::read(root.join(&document)).with_context(|| format!("cannot read {document}"))?;
        put(&bytes, &tree.join(DOCUMENTS).join(document), 0o644)?;
    }
    for (shell, to) in COMPLETIONS {
        let script = binary.says(&["completions", shell])?;
        put(&script, &tree.join("share").join(to), 0o644)?;
    }
    let pages = tree.join("share/man/man1");
    fs::create_dir_all(&pages)?;
    let pages = pages.to_str().context("the target folder's name is no Unicode")?;
    binary.says(&["man", "--out", pages])?;
    match binary::bill_of_materials()? {
        Some(bill) => put(&bill, &tree.join("share/doc/bourse/bourse.cdx.json"), 0o644)?,
        None => println!(
            "NOT MADE: the bill of materials: `cargo install cargo-cyclonedx --locked` does not work here"
        ),
    }
    Ok(())
}

/// The README, all of `docs`, and whatever their links lead to, from the root of the checkout. Of a folder that is its README.
fn documents(root: &Path) -> Result<BTreeSet<String>> {
    let mut open = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root.join("docs")).context("cannot list docs")? {
        let name = entry?.file_name();
        open.push(format!("docs/{}", name.to_string_lossy()));
    }
    let mut documents = BTreeSet::new();
    while let Some(mut path) = open.pop() {
        if root.join(&path).is_dir() {
            path.push_str("/README.md");
        }
        if !documents.insert(path.clone()) || !path.ends_with(".md") {
            continue;
        }
        let text = fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        open.extend(tidy::targets(&path, &text));
    }
    Ok(documents)
}

fn put(bytes: &[u8], to: &Path, mode: u32) -> Result<()> {
    let parent = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// The tree in an archive, in one folder of the package's name.
fn tarball(folder: &Path, tree: &Path, binary: &Binary) -> Result<PathBuf> {
    let name = format!("bourse-{}-{}-linux", binary.version, std::env::consts::ARCH);
    let made = folder.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--gzip",
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ])
    .arg(format!("--mtime=@{}", committed()?))
    .arg(format!("--transform=s,^\\.,{name},"))
    .arg("--file")
    .arg(&made)
    .arg("--directory")
    .arg(tree)
    .arg(".")
    // No time of packing in the archive's head.
    .env("GZIP", "-n");
    step::run(&mut tar)?;
    Ok(made)
}

/// When the commit was made that is packed, in seconds since 1970; that of the newest release where there is no git.
fn committed() -> Result<u64> {
    const WITHOUT: u64 = 1_767_225_600;
    let output = Command::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(place::root()?)
        .output();
    let text = output.ok().filter(|output| output.status.success());
    let Some(text) = text else {
        return Ok(WITHOUT);
    };
    let text = String::from_utf8_lossy(&text.stdout).trim().to_owned();
    text.parse()
        .with_context(|| format!("git names the time `{text}`"))
}

/// `cargo xtask long`: the packages are made, unpacked, and what is in them trades.
///
/// # Errors
///
/// What is missing or does not run.
pub(crate) fn check() -> Result<()> {
    let packages = run()?;
    let scratch = tempfile::tempdir()?;
    let unpacked = scratch.path().join("tarball");
    fs::create_dir_all(&unpacked)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--strip-components=1").arg("--file");
    step::run(tar.arg(&packages.tarball).arg("--directory").arg(&unpacked))?;
    trades(&unpacked.join("bin/bourse"), &scratch.path().join("one"))?;
    match &packages.debian {
        None => println!("NOT CHECKED: the Debian package: there is no `dpkg-deb`"),
        Some(package) => {
            let root = scratch.path().join("debian");
            step::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&root))?;
            trades(&root.join("usr/bin/bourse"), &scratch.path().join("two"))?;
            debian::check(&root)?;
        }
    }
    Ok(())
}

/// Three sales with the binary, on defaults but for a collector of traces that nobody is at: it has what it takes to send them.
fn trades(binary: &Path, data: &Path) -> Result<()> {
    let output = Command::new(binary)
        .args(["serve", "--demo", "--sales", "3"])
        .args([
            "--listen-ws",
            "127.0.0.1:0",
            "--listen-rs",
            "127.0.0.1:0",
            "--listen-http",
            "127.0.0.1:0",
        ])
        .arg("--data")
        .arg(data)
        .env("BOURSE__LOG__OTLP", "http://127.0.0.1:9")
        .output()
        .with_context(|| format!("{} does not start", binary.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let sales = said.lines().filter(|line| line.ends_with("decrypted")).count();
    if !output.status.success() || sales != 3 {
        let mut all = said.into_owned();
        let _ = write!(all, "{}", String::from_utf8_lossy(&output.stderr));
        bail!(
            "{} made {sales} sales of 3 ({}):\n{all}",
            binary.display(),
            output.status
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_the_service_and_its_settings_name_are_where_they_say() {
        let root = place::root().unwrap();
        let packed: Vec<PathBuf> = documents(&root)
            .unwrap()
            .iter()
            .map(|document| Path::new("/usr").join(DOCUMENTS).join(document))
            .collect();
        let mut named = 0;
        for file in ["xtask/dist/bourse.service", SETTINGS] {
            let text = fs::read_to_string(root.join(file)).unwrap();
            for word in text
                .split_whitespace()
                .map(|word| word.trim_start_matches("file:"))
            {
                if word.starts_with("/usr/share/doc/") {
                    let path = Path::new(word.trim_end_matches([';', ',', '.']));
                    assert!(
                        packed.iter().any(|document| document == path),
                        "{file} names {word}"
                    );
                    named += 1;
                }
            }
        }
        assert_eq!(named, 2, "one by the service and one by its settings");
    }

    #[test]
    fn what_the_documents_lead_to_is_packed_with_them() {
        let root = place::root().unwrap();
        let packed = documents(&root).unwrap();
        for document in [
            "ARCHITECTURE.md",
            "docs/alerts.yml",
            "examples/README.md",
            "examples/policies/README.md",
            "guest-sdk/README.md",
            "guest-sdk/wit/policy.wit",
            "policies/README.md",
            "policies/surge/README.md",
        ] {
            assert!(packed.contains(document), "{document} is not packed: {packed:?}");
        }
        for document in &packed {
            assert!(root.join(document).is_file(), "{document} is no file");
        }
    }

    #[test]
    fn what_git_leaves_out_no_builder_of_the_container_gets() {
        let root = place::root().unwrap();
        let lines = |file: &str| -> Vec<String> {
            let text = fs::read_to_string(root.join(file)).unwrap();
            text.lines()
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned)
                .collect()
        };
        let ignored = lines("xtask/dist/Dockerfile.dockerignore");
        for pattern in lines(".gitignore") {
            let anywhere = format!("**/{}", pattern.trim_end_matches('/'));
            assert!(ignored.contains(&anywhere), "{anywhere} is sent");
        }
    }
}
