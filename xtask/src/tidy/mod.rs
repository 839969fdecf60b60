//! The rules of the house that no compiler holds: which room may import what, how long a file may be, how it
//! opens, what must never be written into the repository.
//!
//! Each rule is a function from the files of a checkout to violations, so the tests feed it bad samples. What
//! never lives here: formatting and lints, which have tools of their own.

mod docs;
mod files;
mod lexer;
mod manifests;
mod sources;
mod texts;

pub(crate) use docs::targets;

use anyhow::{Result, bail};
use files::File;
use std::fmt;
use std::path::Path;

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The file, from the root of the checkout.
    file: String,
    /// The line, counted from 1.
    line: usize,
    /// The name of the rule.
    rule: &'static str,
    /// What is there, and what would be right.
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.rule, self.message)
    }
}

/// Checks the checkout at `root` and prints every violation.
///
/// # Errors
///
/// If there is a violation, or a file cannot be read.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = files::read(root)?;
    let violations = check(&files);
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations of the house rules", violations.len());
    }
    println!("{} files keep the house rules", files.len());
    Ok(())
}

fn check(files: &[File]) -> Vec<Violation> {
    let mut violations: Vec<Violation> = [
        docs::check(files),
        manifests::check(files),
        sources::check(files),
        texts::check(files),
    ]
    .into_iter()
    .flatten()
    .collect();
    violations.sort();
    violations
}

/// Fails a test unless `check` finds the lines and rules `expected` in one file, as `line:rule`.
#[cfg(test)]
#[track_caller]
fn assert_finds(check: fn(&[File]) -> Vec<Violation>, path: &str, text: &str, expected: &[&str]) {
    let files = [File {
        path: path.to_owned(),
        text: text.to_owned(),
    }];
    let found: Vec<String> = check(&files)
        .iter()
        .map(|it| format!("{}:{}", it.line, it.rule))
        .collect();
    assert_eq!(found, expected);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_its_place_and_its_rule() {
        let dir = tempfile::tempdir().unwrap();
        let src = dir.path().join("host/market/src");
        std::fs::create_dir_all(&src).unwrap();
        std::fs::write(src.join("lib.rs"), "//! Head.\nuse tokio::time;\n").unwrap();
        std::fs::create_dir(dir.path().join("target")).unwrap();
        std::fs::write(dir.path().join("target/junk.rs"), "unsafe {}").unwrap();

        let files = files::read(dir.path()).unwrap();
        let lines: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "host/market/src/lib.rs:2: pure core: `tokio` in the core, which knows no runtime, clock, randomness, \
             files or JSON; take what it gives as an argument"
            ]
        );
        assert!(run(dir.path()).is_err());
    }
}
