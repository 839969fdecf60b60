//! `bourse policy build`: from the project in a folder to NAME.wasm in the present one, checked as hosts check it.

use super::check::Checked;
use super::project;
use crate::config::Config;
use crate::output::{self, Status};
use anyhow::Context;
use bourse_build::{Builder, Language, Project, Step};
use clap::Args;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// `bourse policy build`
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The project's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Fail rather than change Cargo.lock, so that the same sources give the same bytes.
    #[arg(long)]
    locked: bool,
    /// Keep the names of functions, for `bourse policy profile`: the same code under another hash, written to
    /// NAME.names.wasm, which is no name that a market deploys.
    #[arg(long)]
    names: bool,
}

pub(super) fn run(config: &Config, args: &BuildArgs) -> anyhow::Result<ExitCode> {
    let caches = project::caches().context("no folder for compilers: set XDG_CACHE_HOME or HOME")?;
    let compilers = caches.join("toolchains");
    let status = Arc::new(Status::new());
    let listener = Arc::clone(&status);
    let language = Project::of(&args.folder).ok().map(|project| project.language);
    let built = Builder::new(compilers)
        .locked(args.locked)
        .names(args.names)
        // On a terminal, compilers show their own progress.
        .quiet(!std::io::stderr().is_terminal())
        .tell(move |step| {
            if let Some(note) = note(step, language) {
                eprintln!("note: {note}");
            }
            tell(&listener, step);
        })
        .build(&args.folder)?;
    status.clear();
    let kind = if args.names { "names.wasm" } else { "wasm" };
    let file = PathBuf::from(format!("{}.{kind}", built.name));
    write(&file, &built.component)?;
    let engine = project::engine(config)?;
    // What is large is silent for a while: hosts keep compiled code, and so does this.
    status.at(format!("checking {}", file.display()));
    let revision = project::load(&engine, &file).with_context(|| format!("{} is built", file.display()))?;
    status.clear();
    eprintln!("wrote {}", file.display());
    output::sheet(&Checked::of(&revision, engine.options().component))?;
    Ok(ExitCode::SUCCESS)
}

/// What would be quicker than this step.
fn note(step: &Step, language: Option<Language>) -> Option<&'static str> {
    let sets_up = matches!(step, Step::Download { .. });
    (sets_up && language == Some(Language::Rust)).then_some(
        "a compiler for WebAssembly is set up, once, which takes some minutes. Where Rust came by rustup, \
         `rustup target add wasm32-unknown-unknown` does it in seconds",
    )
}

fn tell(status: &Status, step: &Step) {
    match step {
        Step::Download { folder } => status.at(format!(
            "downloading a compiler for WebAssembly, some 140 MB, once, into {}",
            folder.display()
        )),
        Step::Unpack => status.at("unpacking the compiler, once".to_owned()),
        Step::BuildStd => status.at("building the standard library for WebAssembly, once".to_owned()),
        Step::Fetch => status.at("fetching what the policy depends on".to_owned()),
        Step::Compile { name, language } => {
            status.at(format!("compiling {name} ({language})"));
            // Most compilers show their own progress or are done at once; this one is silent for a quarter of a minute.
            if *language != Language::JavaScript {
                status.clear();
            }
        }
    }
}

/// Replaces the file in one step: a market may be watching the folder.
fn write(file: &Path, component: &[u8]) -> anyhow::Result<()> {
    let unfinished = file.with_extension("wasm.part");
    std::fs::write(&unfinished, component)
        .and_then(|()| std::fs::rename(&unfinished, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_rust_compiler_is_told_what_is_quicker_and_nobody_else() {
        let download = Step::Download {
            folder: PathBuf::new(),
        };
        let told = note(&download, Some(Language::Rust)).unwrap();
        assert!(
            told.contains("`rustup target add wasm32-unknown-unknown`"),
            "{told}"
        );
        assert_eq!(note(&download, Some(Language::C)), None);
        assert_eq!(note(&Step::Fetch, Some(Language::Rust)), None);
    }
}
