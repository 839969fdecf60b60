//! `bourse policy new NAME`: a project that builds and tests at once, anywhere on the machine.

use crate::output;
use bourse_build::{Language, scaffold};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `bourse policy new`
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The policy's name: a letter, then a-z, 0-9, _ and -. The project goes into a folder of that name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The language to write it in.
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
}

/// The languages, as the command line has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// With the SDK, whose sources come along.
    Rust,
    /// With the compiler from npm.
    #[value(name = "assemblyscript")]
    AssemblyScript,
    /// With clang; one header.
    C,
    /// With componentize-js from npm: components of 12 MB, for which hosts must raise policies.component_max.
    #[value(name = "javascript")]
    JavaScript,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Rust => Self::Rust,
            Lang::AssemblyScript => Self::AssemblyScript,
            Lang::C => Self::C,
            Lang::JavaScript => Self::JavaScript,
        }
    }
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made<'a> {
    name: &'a str,
    language: &'static str,
    folder: &'a Path,
    files: usize,
}

impl output::Sheet for Made<'_> {
    fn lines(&self) -> Vec<(String, String)> {
        let next = format!(
            "cd {}\nbourse policy build\nbourse policy test",
            self.folder.display()
        );
        [
            ("made", format!("{}, a policy in {}", self.name, self.language)),
            ("files", self.files.to_string()),
            ("next", next),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let language = Language::from(args.lang);
    let folder = PathBuf::from(&args.name);
    let files = scaffold(&folder, &args.name, language)?;
    output::sheet(&Made {
        name: &args.name,
        language: language.as_str(),
        folder: &folder,
        files,
    })?;
    Ok(ExitCode::SUCCESS)
}
