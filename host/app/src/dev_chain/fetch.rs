//! Where the node and the compiled contracts come from.

use anyhow::{Context, bail, ensure};
use std::env::consts::{ARCH, OS};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The release of anvil that is fetched. Another one on the PATH is used as it is.
const ANVIL: &str = "1.7.1";
/// The release of the Python package whose contracts are deployed.
const XBR: &str = "26.10.1";

/// anvil: the one on the PATH, else one in `cache`, fetched with npm if it is not there.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub async fn find_anvil(cache: &Path) -> anyhow::Result<PathBuf> {
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|folder| folder.join("anvil"))
            .find(|program| program.is_file())
    });
    if let Some(program) = on_path {
        return Ok(program);
    }
    let package = format!("@foundry-rs/anvil-{}", platform()?);
    let folder = cache.join(format!("anvil-{ANVIL}"));
    let program = folder.join("node_modules").join(&package).join("bin/anvil");
    if !program.is_file() {
        println!("fetching anvil {ANVIL} into {}", folder.display());
        let unfinished = unfinished(&folder)?;
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--ignore-scripts",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--silent",
        ])
        .arg("--prefix")
        .arg(&unfinished)
        .arg(format!("{package}@{ANVIL}"));
        run(npm).await.context(
            "cannot fetch anvil: it comes from the npm registry, so this needs npm, and the network once; or install \
             anvil yourself, and name it with --anvil",
        )?;
        finish(&unfinished, &folder)?;
    }
    ensure!(
        program.is_file(),
        "{} holds no anvil: remove the folder, and it is fetched again",
        folder.display()
    );
    Ok(program)
}

/// The name that anvil's packages have for this machine.
fn platform() -> anyhow::Result<&'static str> {
    Ok(match (OS, ARCH) {
        ("linux", "x86_64") => "linux-amd64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-amd64",
        ("macos", "aarch64") => "darwin-arm64",
        _ => bail!("there is no package of anvil for {OS} on {ARCH}: install it, and name it with --anvil"),
    })
}

/// The compiled contracts in `cache`, fetched with pip if they are not there.
///
/// # Errors
///
/// Says what is missing and how to get it.
pub async fn find_artifacts(cache: &Path) -> anyhow::Result<PathBuf> {
    let folder = cache.join(format!("xbr-{XBR}"));
    let artifacts = folder.join("xbr/abi");
    if !artifacts.is_dir() {
        println!("fetching the contracts of xbr {XBR} into {}", folder.display());
        let unfinished = unfinished(&folder)?;
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .args(["--only-binary", ":all:", "--dest"])
        .arg(&unfinished)
        .arg(format!("xbr=={XBR}"));
        let hint = "cannot fetch the contracts: they come from the Python package index, so this needs python3 with pip, \
                    and the network once; or unpack the wheel of xbr yourself, and name its folder xbr/abi with --contracts";
        run(pip).await.context(hint)?;
        let wheel = std::fs::read_dir(&unfinished)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension() == Some(OsStr::new("whl")))
            .context(hint)?;
        let mut unzip = Command::new("python3");
        unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unfinished);
        run(unzip).await.context(hint)?;
        finish(&unfinished, &folder)?;
    }
    ensure!(
        artifacts.is_dir(),
        "{} holds no contracts: remove the folder, and they are fetched again",
        folder.display()
    );
    Ok(artifacts)
}

/// An empty folder to fill beside `folder`, which has its name only when it is complete.
fn unfinished(folder: &Path) -> anyhow::Result<PathBuf> {
    let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
    std::fs::create_dir_all(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
    Ok(unfinished)
}

fn finish(unfinished: &Path, folder: &Path) -> anyhow::Result<()> {
    // Another process may have been faster, and then this one's is not needed.
    if std::fs::rename(unfinished, folder).is_err() {
        ensure!(
            folder.is_dir(),
            "cannot rename {} to {}",
            unfinished.display(),
            folder.display()
        );
        std::fs::remove_dir_all(unfinished)?;
    }
    Ok(())
}

/// Runs a command to its end, which must be a good one; it says itself what is wrong.
async fn run(mut command: Command) -> anyhow::Result<()> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .status()
        .await
        .with_context(|| format!("`{name}` did not start"))?;
    ensure!(status.success(), "`{name}` ended with {status}");
    Ok(())
}
