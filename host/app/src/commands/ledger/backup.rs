//! `bourse ledger backup` and `restore`.

use super::verify;
use crate::commands::bar::Bar;
use crate::config::Config;
use crate::environment::{Environment, System};
use crate::keyfile;
use anyhow::{Context, ensure};
use bourse_store::{Options, Store};
use std::path::Path;
use std::process::ExitCode;

/// Copies the ledger while it is in use, and verifies the copy.
pub(super) fn take(config: &Config, target: &Path) -> anyhow::Result<ExitCode> {
    let store = Store::open_read_only(&config.store.path, config.store.map_size)?;
    store.backup(target, System.now())?;
    drop(store);
    let copy = Store::open_read_only(target, 0)?;
    let mut bar = Bar::new("verifying");
    let report = copy
        .read()
        .and_then(|ledger| ledger.verify(&mut |done, all| bar.show(done, all)))?;
    drop(bar);
    verify::tell(&report);
    if !report.is_sound() {
        say!("the backup in {} is as damaged as its ledger", target.display());
        return Ok(ExitCode::FAILURE);
    }
    say!("backup    {}", target.display());
    say!(
        "keep {} apart from it, and as safe: a backup is of no use without it",
        config.key_path().display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Makes the data folder of a backup.
pub(super) fn restore(config: &Config, backup: &Path) -> anyhow::Result<ExitCode> {
    let folder = &config.store.path;
    let stamp =
        Store::stamp(backup)?.with_context(|| format!("there is no ledger in {}", backup.display()))?;
    let (key, key_path) = (keyfile::load(config)?, config.key_path());
    if let Some(key) = &key {
        ensure!(
            key.address() == stamp.marketmaker,
            "{} belongs to market maker {}, the backup to {}: put that one's key there first",
            key_path.display(),
            key.address(),
            stamp.marketmaker
        );
    }
    let options = Options {
        map_size: config.store.map_size,
        ..Options::at(folder)
    };
    let mut bar = Bar::new("verifying");
    let restored = Store::restore(backup, &options, System.now(), &mut |done, all| {
        bar.show(done, all)
    })?;
    drop(bar);
    verify::tell(&restored.report);
    say!("restored  {}", folder.display());
    if key.is_none() {
        say!(
            "put the key of market maker {} at {} before you start the host",
            stamp.marketmaker,
            key_path.display()
        );
    }
    say!(
        "then let each channel out by `bourse ledger reconcile` or `accept-loss`; offers are as they were in the backup"
    );
    Ok(ExitCode::SUCCESS)
}
