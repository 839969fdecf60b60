//! What the commands that read a log of decisions have in common.

use crate::backtest::{Report, Revisions, Source, cores, page, table};
use crate::config::Config;
use crate::output::{self, Form};
use anyhow::Context;
use bourse_policy::{Engine, EngineOptions};
use clap::Args;
use std::path::{Path, PathBuf};

/// Where the archive of revisions lies within a data folder.
const ARCHIVE: &str = "revisions";

/// Which log, and how fast.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// A file of `bourse decisions export`, or the data folder of a market, which may be running. By default the data
    /// folder of the configuration.
    #[arg(long, value_name = "FILE|FOLDER")]
    log: Option<PathBuf>,
    /// Threads that work. By default one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

impl LogArgs {
    /// Opens the log.
    pub(super) fn open(&self, config: &Config) -> anyhow::Result<Source> {
        Ok(Source::open(self.path(config), config.store.map_size)?)
    }

    fn path<'a>(&'a self, config: &'a Config) -> &'a Path {
        self.log.as_deref().unwrap_or(&config.store.path)
    }

    /// Threads that work.
    pub(super) fn workers(&self) -> usize {
        self.threads.map_or_else(cores, usize::from)
    }

    /// The revisions at hand: those of `files`, those that the log's folder or the configured one has archived, and
    /// those that ship.
    pub(super) fn revisions(&self, config: &Config, files: &[PathBuf]) -> anyhow::Result<Revisions> {
        let mut archives = vec![self.path(config).join(ARCHIVE), config.store.path.join(ARCHIVE)];
        archives.dedup();
        archives.retain(|archive| archive.is_dir());
        Revisions::new(engine(config)?, files, archives)
    }
}

/// Answers with a report, and writes it as a page as well where `html` says so.
pub(super) fn answer(report: &Report, html: Option<&Path>) -> anyhow::Result<()> {
    if let Some(path) = html {
        std::fs::write(path, page(report)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match output::form() {
        Form::Json => output::json(report)?,
        Form::Table => {
            output::put(&table::report(report));
            if let Some(path) = html {
                output::put(&format!("\nwritten to {}", path.display()));
            }
        }
    }
    Ok(())
}

/// The sandbox for these commands.
pub(super) fn engine(config: &Config) -> anyhow::Result<Engine> {
    Ok(Engine::new(EngineOptions {
        component: config.policies.component_max,
        ..EngineOptions::default()
    })?)
}
