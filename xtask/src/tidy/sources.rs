//! Rules over source files: their length, how they open, what they name, where `unsafe` may stand.

use super::Violation;
use super::files::File;
use super::lexer::{code, words};
use super::manifests::OWNERS;

/// Lines of a source file; 100 to 200 are the norm.
const MOST_LINES: usize = 900;

/// What counts as source for the length.
const SOURCE: [&str; 8] = ["rs", "py", "sh", "wit", "js", "ts", "html", "css"];

/// The files that may say `unsafe`, each with its reason.
const UNSAFE: [&str; 5] = [
    // Opening an LMDB environment: the file must not be changed by anybody else while it is mapped.
    "host/store/src/env.rs",
    // Loading code that this host compiled and cached itself.
    "host/policy/src/cache.rs",
    // Lending a caller's imports to a sandbox whose data must outlive every borrow.
    "host/policy/src/lend.rs",
    // Calling a sandboxed function whose type was compared when it was loaded.
    "host/policy/src/functions.rs",
    // A component's allocator, which hands out linear memory.
    "guest-sdk/src/allocator.rs",
];

/// How many lines above an `unsafe` its SAFETY comment may start.
const SAFETY_REACH: usize = 8;

/// Words that have no place in the pure core.
const IMPURE: [&str; 9] = [
    "SystemTime",
    "Instant",
    "rand",
    "getrandom",
    "tokio",
    "async",
    "await",
    "serde_json",
    "println",
];

/// Modules of the standard library that have none either.
const IMPURE_STD: [&str; 5] = ["fs", "net", "env", "process", "thread"];

/// All rules over source files.
pub(crate) fn check(files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files {
        length(file, &mut found);
        if file.is(&["rs"]) {
            head(file, &mut found);
            named(file, &mut found);
        }
    }
    found
}

fn length(file: &File, found: &mut Vec<Violation>) {
    let lines = file.text.lines().count();
    if file.is(&SOURCE) && lines > MOST_LINES {
        let message = format!("{lines} lines, {MOST_LINES} are the most; split it by concept");
        found.push(violation(file, MOST_LINES + 1, "length", message));
    }
}

fn head(file: &File, found: &mut Vec<Violation>) {
    let opens = matches!(file.name(), "lib.rs" | "mod.rs");
    if opens && !file.text.starts_with("//! ") {
        let message = "opens without `//!`; say first what lives here and what never does".to_owned();
        found.push(violation(file, 1, "head", message));
    }
}

fn named(file: &File, found: &mut Vec<Violation>) {
    let text = code(&file.text);
    let room = room(file);
    for (index, line) in text.lines().enumerate() {
        for (word, after) in words(line) {
            let number = index + 1;
            if let Some(room) = room
                && is_import(line, word, after)
                && let Some((family, owner)) = OWNERS.iter().find(|(family, _)| is_of(word, family))
                && *owner != room
            {
                let message =
                    format!("`{word}` in {room}: only {owner} names {family}; call what {owner} offers");
                found.push(violation(file, number, "owners", message));
            }
            let of_std = line.contains("std::") && IMPURE_STD.contains(&word);
            if room == Some("host/market") && (IMPURE.contains(&word) || of_std) {
                let message = format!(
                    "`{word}` in the core, which knows no runtime, clock, randomness, files or JSON; take what it gives \
                     as an argument"
                );
                found.push(violation(file, number, "pure core", message));
            }
            if word == "unsafe" {
                unsafe_at(file, index, found);
            }
        }
    }
}

fn unsafe_at(file: &File, index: usize, found: &mut Vec<Violation>) {
    if !UNSAFE.contains(&file.path.as_str()) {
        let message = format!(
            "`unsafe` outside of {}; write it without, or move it there",
            UNSAFE.join(", ")
        );
        found.push(violation(file, index + 1, "unsafe", message));
        return;
    }
    let from = index.saturating_sub(SAFETY_REACH);
    if !file
        .text
        .lines()
        .skip(from)
        .take(index + 1 - from)
        .any(|line| line.contains("SAFETY:"))
    {
        let message = "`unsafe` without a comment `SAFETY:` just above; say why it is sound".to_owned();
        found.push(violation(file, index + 1, "unsafe", message));
    }
}

/// The room a file belongs to, where the rule of owners holds; `tests` and guests may name what they like.
fn room(file: &File) -> Option<&'static str> {
    const ROOMS: [&str; 9] = [
        "host/market",
        "host/store",
        "host/policy",
        "host/wamp",
        "host/chain",
        "host/app",
        "examples/delegates",
        "guest-sdk",
        "xtask",
    ];
    ROOMS.into_iter().find(|room| file.in_folder(room))
}

/// Whether `word` stands as a crate's name: the head of a path, or imported whole.
fn is_import(line: &str, word: &str, after: &str) -> bool {
    let before = line
        .strip_suffix(after)
        .and_then(|line| line.strip_suffix(word))
        .unwrap_or("")
        .trim_end();
    let heads_path = after.starts_with("::") && !before.ends_with("::");
    let imported = before.ends_with("use") || before.ends_with("extern crate");
    heads_path || imported
}

/// Crate names in code have underscores where packages have dashes.
fn is_of(word: &str, family: &str) -> bool {
    word.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn violation(file: &File, line: usize, rule: &'static str, message: String) -> Violation {
    Violation {
        file: file.path.clone(),
        line,
        rule,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(path: &str, text: &str, expected: &[&str]) {
        crate::tidy::assert_finds(check, path, text, expected);
    }

    #[test]
    fn a_long_file_is_found_and_a_long_text_is_not() {
        finds("host/app/src/long.rs", &"//\n".repeat(901), &["901:length"]);
        finds("host/app/src/long.rs", &"//\n".repeat(900), &[]);
        finds("docs/long.md", &"x\n".repeat(901), &[]);
    }

    #[test]
    fn a_crate_and_a_folder_open_with_their_purpose() {
        finds("host/app/src/lib.rs", "mod a;\n", &["1:head"]);
        finds("host/app/src/a/mod.rs", "// not a doc\n", &["1:head"]);
        finds("host/app/src/a.rs", "mod b;\n", &[]);
    }

    #[test]
    fn a_library_named_outside_its_room_is_found() {
        finds("host/app/src/a.rs", "use wasmtime::Engine;\n", &["1:owners"]);
        finds("host/app/src/a.rs", "fn f(e: &heed::Env) {}\n", &["1:owners"]);
        finds(
            "host/store/src/a.rs",
            "use alloy_primitives as a;\n",
            &["1:owners"],
        );
        finds("tests/tests/a.rs", "use k256::ecdsa;\n", &[]);
        finds(
            "host/app/src/a.rs",
            "// heed::Env\nlet heed = \"heed::Env\"; self.heed;\n",
            &[],
        );
    }

    #[test]
    fn the_core_has_no_clock_and_no_runtime() {
        finds(
            "host/market/src/a.rs",
            "let t = SystemTime::now();\n",
            &["1:pure core"],
        );
        finds("host/market/src/a.rs", "async fn f() {}\n", &["1:pure core"]);
        finds("host/market/src/a.rs", "use std::{fmt, fs};\n", &["1:pure core"]);
        finds("host/market/src/a.rs", "let env = 1;\n", &[]);
        finds(
            "host/market/src/a.rs",
            "/// No async here.\nfn operand() {}\n",
            &[],
        );
    }

    #[test]
    fn unsafe_stands_in_named_files_with_a_reason() {
        finds("host/app/src/a.rs", "unsafe { f() }\n", &["1:unsafe"]);
        finds("host/store/src/env.rs", "unsafe { f() }\n", &["1:unsafe"]);
        finds(
            "host/store/src/env.rs",
            "// SAFETY: nobody else.\nunsafe { f() }\n",
            &[],
        );
        finds("host/app/src/a.rs", "#![forbid(unsafe_code)]\n", &[]);
    }
}
