//! `bourse policy test [DIR]`: every case file of a project, asked in the sandbox that hosts have.

use super::project;
use crate::commands::bar::Bar;
use crate::config::Config;
use crate::output::{self, Form, Tone, toned};
use anyhow::{Context, bail};
use bourse_cases::{Case, Line, MAX_BYTES};
use bourse_policy::Revision;
use clap::Args;
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Case files of one project.
const MAX_FILES: usize = 10_000;

/// `bourse policy test`
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The project, or a folder of case files, or one case file.
    #[arg(value_name = "DIR", default_value = ".")]
    cases: PathBuf,
    /// The component to ask; by default that of the project.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Only cases whose file's name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// What came of all cases.
#[derive(Debug, Serialize)]
struct Report {
    policy: String,
    revision: String,
    passed: usize,
    failed: usize,
    cases: Vec<Tested>,
}

/// What came of one case.
#[derive(Debug, Serialize)]
struct Tested {
    file: String,
    about: String,
    ok: bool,
    /// Why the file is no case.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What was expected beside what came, where they differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<Difference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    us: Option<u64>,
    /// All properties, for the table.
    #[serde(skip)]
    lines: Vec<Line>,
}

/// One property that is not as expected.
#[derive(Debug, Serialize)]
struct Difference {
    field: &'static str,
    expected: Option<String>,
    got: Option<String>,
}

/// Exit code 1 if a case fails or is none.
pub(super) fn run(config: &Config, args: &TestArgs) -> anyhow::Result<ExitCode> {
    let (project, files) = find(&args.cases)?;
    let files: Vec<PathBuf> = files
        .into_iter()
        .filter(|file| {
            let wanted = args.only.as_deref().unwrap_or_default();
            file.file_name()
                .is_some_and(|name| name.to_string_lossy().contains(wanted))
        })
        .collect();
    if files.is_empty() {
        bail!(
            "no case files in {}: expected files such as cases/quiet.json",
            args.cases.display()
        );
    }
    let component = project::component(args.component.as_deref(), &project)?;
    let revision = project::load(&project::engine(config)?, &component)?;
    let mut bar = Bar::new("asking");
    let all = files.len() as u64;
    let cases: Vec<Tested> = files
        .iter()
        .zip(1..)
        .map(|(file, done)| {
            let tested = test(&revision, file);
            bar.show(done, all);
            tested
        })
        .collect();
    drop(bar);
    let failed = cases.iter().filter(|case| !case.ok).count();
    let report = Report {
        policy: revision.name().to_owned(),
        revision: revision.id().to_string(),
        passed: cases.len().saturating_sub(failed),
        failed,
        cases,
    };
    match output::form() {
        Form::Json => output::json(&report)?,
        Form::Table => output::put(&report.text()),
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The folder of the project, and the case files, sorted.
fn find(at: &Path) -> anyhow::Result<(PathBuf, Vec<PathBuf>)> {
    let above = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    if at.is_file() {
        // NAME/cases/CASE.json
        return Ok((above(&above(&std::path::absolute(at)?)), vec![at.to_path_buf()]));
    }
    let inner = at.join("cases");
    let (project, folder) = if inner.is_dir() {
        (at.to_path_buf(), inner)
    } else {
        (above(&std::path::absolute(at)?), at.to_path_buf())
    };
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot read the folder of cases {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .take(MAX_FILES.saturating_add(1))
        .collect();
    if files.len() > MAX_FILES {
        bail!("more than {MAX_FILES} case files in {}", folder.display());
    }
    files.sort();
    Ok((project, files))
}

fn read(file: &Path) -> Result<Case, String> {
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    // A pipe of that name would be waited for.
    if !file.is_file() {
        return Err("not a file".to_owned());
    }
    std::fs::File::open(file)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    Case::parse(&bytes).map_err(|error| error.to_string())
}

fn test(revision: &Revision, file: &Path) -> Tested {
    let name = project::plain(file).display().to_string();
    let case = match read(file) {
        Ok(case) => case,
        Err(error) => {
            return Tested {
                file: name,
                about: String::new(),
                ok: false,
                error: Some(error),
                differences: Vec::new(),
                fuel: None,
                us: None,
                lines: Vec::new(),
            };
        }
    };
    let answered = case.input.ask(revision);
    let verdict = case.expect.compare(&answered);
    Tested {
        file: name,
        about: case.about,
        ok: verdict.holds(),
        error: None,
        differences: verdict
            .lines
            .iter()
            .filter(|line| !line.holds)
            .map(|line| Difference {
                field: line.name,
                expected: line.expected.clone(),
                got: line.got.clone(),
            })
            .collect(),
        fuel: Some(answered.fuel),
        us: u64::try_from(answered.elapsed.as_micros()).ok(),
        lines: verdict.lines,
    }
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            case.describe(&mut text);
        }
        let tone = if self.failed == 0 { Tone::Good } else { Tone::Bad };
        let sum = format!("{} passed, {} failed", self.passed, self.failed);
        text.push_str(&format!("{}: {}", self.policy, toned(tone, &sum)));
        text
    }
}

impl Tested {
    fn describe(&self, text: &mut String) {
        let word = if self.ok {
            toned(Tone::Good, "ok  ")
        } else {
            toned(Tone::Bad, "FAIL")
        };
        let cost = match (self.fuel, self.us) {
            (Some(fuel), Some(us)) => toned(Tone::Aside, &format!("  {fuel} fuel, {us} µs")),
            _ => String::new(),
        };
        let about = if self.about.is_empty() {
            String::new()
        } else {
            format!("  {}", self.about)
        };
        text.push_str(&format!("{word}  {}{about}{cost}\n", self.file));
        if let Some(error) = &self.error {
            text.push_str(&format!("        {}\n", toned(Tone::Bad, error)));
        }
        if self.ok {
            return;
        }
        for line in &self.lines {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
            if line.holds {
                let same = format!("          {:<9} {}", line.name, value(&line.got));
                text.push_str(&format!("{}\n", toned(Tone::Aside, &same)));
            } else {
                let expected = format!("        - {:<9} {}", line.name, value(&line.expected));
                let got = format!("        + {:<9} {}", line.name, value(&line.got));
                text.push_str(&format!(
                    "{}\n{}\n",
                    toned(Tone::Good, &expected),
                    toned(Tone::Bad, &got)
                ));
            }
        }
    }
}
