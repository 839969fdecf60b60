//! `bourse completions` and `bourse man`: what a shell and `man` know of the command line, from the command line itself.

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bourse completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that reads them.
    shell: Shell,
}

/// `bourse man`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder to write them to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints a shell's script.
pub(crate) fn completions(mut command: Command, args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "bourse", &mut script);
    say!("{}", String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

/// Writes a page for the command and for each of those below it.
///
/// # Errors
///
/// If the folder cannot be written to.
pub(crate) fn man(command: Command, args: &ManArgs) -> anyhow::Result<ExitCode> {
    let at = || format!("cannot write manual pages to {}", args.out.display());
    std::fs::create_dir_all(&args.out).with_context(at)?;
    clap_mangen::generate_to(command, &args.out).with_context(at)?;
    Ok(ExitCode::SUCCESS)
}
