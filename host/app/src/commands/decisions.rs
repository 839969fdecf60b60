//! `bourse decisions …`: what the policies of a market decided.

use super::bar::Bar;
use crate::backtest::{Folder, Unreadable, time};
use crate::config::Config;
use crate::environment::{Environment, System};
use anyhow::Context;
use bourse_market::Nanos;
use clap::{Args, Subcommand};
use core::ops::ControlFlow;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `bourse decisions`
#[derive(Debug, Subcommand)]
pub(crate) enum DecisionsCommand {
    /// Write recorded decisions as lines of JSON, oldest first. May run beside the host.
    Export(ExportArgs),
}

/// `bourse decisions export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Decisions made then or later: 2026-11-22, 2026-11-22T10:18:56Z (UTC), or 12h, 30m, 7d for so long ago.
    #[arg(long, value_name = "MOMENT")]
    from: Option<String>,
    /// Decisions made before then.
    #[arg(long, value_name = "MOMENT")]
    to: Option<String>,
    /// Only those of this policy. May be given several times.
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// Write to this file, in the place of what is there, instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn decisions(config: &Config, command: &DecisionsCommand) -> anyhow::Result<ExitCode> {
    match command {
        DecisionsCommand::Export(args) => export(config, args),
    }
}

/// What an export came to.
#[derive(Debug, Default)]
struct Exported {
    decisions: u64,
    damaged: u64,
    bad: Vec<Unreadable>,
}

fn export(config: &Config, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let now = System.now();
    let moment = |text: &Option<String>, none: u64| match text {
        Some(text) => time::parse(text, now).map_err(anyhow::Error::msg),
        None => Ok(Nanos(none)),
    };
    let (from, to) = (moment(&args.from, 0)?, moment(&args.to, u64::MAX)?);
    let folder = Folder::open(&config.store.path, config.store.map_size)?.between(from, to);
    let exported = match &args.out {
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            match lines(&folder, &args.policy, &mut out, &mut |_, _| {}) {
                // Whoever read them had enough.
                Err(error) if is_closed_pipe(&error) => return Ok(ExitCode::SUCCESS),
                written => written?,
            }
        }
        Some(file) => whole_file(file, |out| {
            let mut bar = Bar::new("exporting");
            lines(&folder, &args.policy, out, &mut |done, all| bar.show(done, all))
        })?,
    };
    if let Some(file) = &args.out {
        eprintln!("{} decisions written to {}", exported.decisions, file.display());
    }
    if exported.damaged > 0 {
        eprintln!(
            "{} damaged places of the decision log were skipped: what stood there is lost",
            exported.damaged
        );
    }
    for bad in &exported.bad {
        eprintln!("{}: {}", bad.place, bad.why);
    }
    let sound = exported.damaged == 0 && exported.bad.is_empty();
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn lines(
    folder: &Folder,
    policies: &[String],
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<Exported> {
    let mut exported = Exported::default();
    let mut failed = None;
    let mut done = 0u64;
    exported.damaged = folder.visit(&mut |raw| {
        done = done.saturating_add(raw.weight());
        progress(done, folder.weight());
        match raw.decode() {
            Ok(entry) => {
                let wanted = policies.is_empty() || policies.contains(&entry.record.policy);
                if !wanted {
                    return ControlFlow::Continue(());
                }
                exported.decisions = exported.decisions.saturating_add(1);
                match writeln!(out, "{}", entry.to_line()) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            }
            Err(bad) => {
                exported.bad.push(bad);
                ControlFlow::Continue(())
            }
        }
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => {
            out.flush()?;
            Ok(exported)
        }
    }
}

/// Writes a file beside its place and then moves it there, so that nobody finds half of it.
fn whole_file<T>(file: &Path, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let cannot = || format!("cannot write {}", part.display());
    let created = std::fs::File::create(&part).with_context(cannot)?;
    let mut out = BufWriter::new(created);
    let written = write(&mut out).with_context(cannot).and_then(|written| {
        out.flush().with_context(cannot)?;
        std::fs::rename(&part, file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(written)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
