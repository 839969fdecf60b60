//! Rules over what people read: a promise of a test names a test, a link leads somewhere.

use super::Violation;
use super::files::File;
use super::lexer::{code, words};
use std::collections::HashSet;

/// The table whose last column names tests.
const DEFECTS: &str = "docs/old-defects.md";
/// The tables whose last column names tests with the files they are in.
const RULES: [&str; 2] = ["docs/rules-of-money.md", "docs/SECURITY.md"];

/// All rules over documents.
pub(crate) fn check(files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is(&["md"])) {
        links(file, files, &mut found);
    }
    let named = |path: &str| files.iter().find(|file| file.path == path);
    let tests = tests(files);
    if let Some(file) = named(DEFECTS) {
        promises(file, &mut found, |name| {
            let part = format!("_{name}_");
            tests.iter().any(|(_, test)| test.contains(&part))
        });
    }
    for file in RULES.into_iter().filter_map(named) {
        promises(file, &mut found, |name| is_in_its_file(&tests, name));
    }
    found
}

/// Links into the repository; those that go elsewhere are not followed.
fn links(file: &File, files: &[File], found: &mut Vec<Violation>) {
    for (index, line) in file.text.lines().enumerate() {
        for path in targets(&file.path, line) {
            if !files
                .iter()
                .any(|file| file.path == path || file.in_folder(&path))
            {
                let message = format!("leads to `{path}`, which is not here; name a file of the repository");
                found.push(Violation {
                    file: file.path.clone(),
                    line: index + 1,
                    rule: "link",
                    message,
                });
            }
        }
    }
}

/// Where the links in `text` of the document `path` lead, from the root of the checkout; those that go elsewhere are left out.
pub(crate) fn targets(path: &str, text: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .map(|target| resolve(folder, target))
        .collect()
}

fn resolve(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Every test that the last column of a table names is there.
fn promises(file: &File, found: &mut Vec<Violation>, is_there: impl Fn(&str) -> bool) {
    for (index, line) in file.text.lines().enumerate() {
        let Some(cells) = line.strip_prefix('|') else {
            continue;
        };
        let cell = cells.trim_end().trim_end_matches('|').rsplit('|').next();
        for name in cell.unwrap_or_default().split('`').skip(1).step_by(2) {
            if !is_there(name) {
                let message = format!("no test is named after `{name}`; write one, or do not promise it");
                found.push(Violation {
                    file: file.path.clone(),
                    line: index + 1,
                    rule: "promise",
                    message,
                });
            }
        }
    }
}

/// Whether `name`, such as `tests/netting.rs::a_test`, is a test by its whole name in a file whose path ends so.
fn is_in_its_file(tests: &HashSet<(&str, String)>, name: &str) -> bool {
    let Some((file, test)) = name.split_once("::") else {
        return false;
    };
    let (file, test) = (format!("/{file}"), format!("_{test}_"));
    tests
        .iter()
        .any(|(path, found)| path.ends_with(&file) && *found == test)
}

/// All functions that could be tests: the file, and the name with an underscore at both ends.
fn tests(files: &[File]) -> HashSet<(&str, String)> {
    let mut names = HashSet::new();
    for file in files.iter().filter(|file| file.is(&["rs"])) {
        for line in code(&file.text).lines() {
            let mut after_fn = false;
            for (word, _) in words(line) {
                if after_fn {
                    names.insert((file.path.as_str(), format!("_{word}_")));
                }
                after_fn = word == "fn";
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(files: &[(&str, &str)], expected: &[&str]) {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        let found: Vec<String> = check(&files)
            .iter()
            .map(|it| format!("{}:{}", it.line, it.rule))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        let here = (
            "docs/a.md",
            "[x](b.md) and [y](../README.md#use) and\n[z](https://example.org/q) [w](#here)\n",
        );
        finds(&[here], &["1:link", "1:link"]);
        finds(&[here, ("docs/b.md", ""), ("README.md", "")], &[]);
    }

    #[test]
    fn a_promised_test_that_is_not_there_is_found() {
        let table = (DEFECTS, "| W-20 | x | y | `w_20` |\n| W-21 | `w_2` | y | – |\n");
        finds(&[table], &["1:promise"]);
        finds(
            &[
                table,
                (
                    "tests/a.rs",
                    "// fn w_20_in_a_comment() {}\nfn w_201_is_another() {}",
                ),
            ],
            &["1:promise"],
        );
        finds(&[table, ("tests/a.rs", "fn w_20_voids_both_sides() {}")], &[]);
        finds(&[table, ("tests/a.rs", "async fn w_19_and_w_20_hold() {}")], &[]);
        let whole = (DEFECTS, "| W-04 | x | y | `nobody_lies` |\n");
        finds(&[whole, ("tests/a.rs", "fn nobody_lies() {}")], &[]);
        finds(&[whole, ("tests/a.rs", "fn nobody() {}")], &["1:promise"]);
    }

    #[test]
    fn a_rule_names_a_test_in_its_file() {
        let table = (
            RULES[0],
            "| rule | held by |\n| x | `ledger/a.rs::it_holds`, `tests/b.rs::it_holds` |\n",
        );
        let (core, whole) = ("host/market/tests/ledger/a.rs", "tests/tests/b.rs");
        finds(
            &[table, (core, "fn it_holds() {}"), (whole, "fn it_holds() {}")],
            &[],
        );
        finds(
            &[
                table,
                (core, "fn it_holds() {}"),
                (whole, "fn it_holds_well() {}"),
            ],
            &["2:promise"],
        );
        finds(
            &[table, ("host/market/tests/other.rs", "fn it_holds() {}")],
            &["2:promise", "2:promise"],
        );
        finds(
            &[(RULES[1], "| x | `it_holds` |\n"), (core, "fn it_holds() {}")],
            &["1:promise"],
        );
    }
}
