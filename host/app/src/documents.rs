//! What the documents of the repository show as commands and settings is what the binary and the examples take.

use crate::cli::Cli;
use crate::config::Config;
use clap::Parser;
use clap::error::ErrorKind;
use std::fs;
use std::path::{Path, PathBuf};

/// A block of a document that is set apart as code.
struct Block {
    /// The file and the block's first line.
    at: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks in one language of all documents for users.
fn blocks(language: &str) -> Vec<Block> {
    let mut files: Vec<PathBuf> = [
        "README.md",
        "examples/README.md",
        "guest-sdk/README.md",
        "policies/README.md",
    ]
    .map(|name| root().join(name))
    .to_vec();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        files.push(entry.unwrap().path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.iter().flat_map(|file| blocks_of(file, language)).collect()
}

fn blocks_of(file: &Path, language: &str) -> Vec<Block> {
    let text = fs::read_to_string(file).unwrap();
    let opening = format!("```{language}");
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        match line.trim() {
            fence if fence == opening => {
                inside = true;
                let at = format!("{}:{}", file.display(), index + 2);
                let text = String::new();
                blocks.push(Block { at, text });
            }
            fence if fence.starts_with("```") => inside = false,
            _ if inside => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// What stands in a document's text as code, each with the line where its paragraph begins.
fn inline(name: &str) -> Vec<Block> {
    let file = root().join("docs").join(name);
    let text = fs::read_to_string(&file).unwrap();
    let (mut codes, mut inside) = (Vec::new(), false);
    let (mut paragraph, mut first) = (String::new(), 1);
    for (index, line) in text.lines().chain([""]).enumerate() {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        if !inside && !fence && !line.trim().is_empty() {
            paragraph.push_str(line);
            paragraph.push('\n');
            continue;
        }
        for code in paragraph.split('`').skip(1).step_by(2) {
            codes.push(Block {
                at: format!("{}:{first}", file.display()),
                text: code.split_whitespace().collect::<Vec<_>>().join(" "),
            });
        }
        paragraph.clear();
        first = index + 2;
    }
    codes
}

/// The arguments of each call of the binary in a line of shell.
fn calls(line: &str) -> Vec<Vec<String>> {
    let line = line.strip_prefix("$ ").unwrap_or(line);
    let line = line.split(" #").next().unwrap_or_default();
    let mut calls = Vec::new();
    for part in line.split("&&").flat_map(|part| part.split('|')) {
        // What is redirected is no argument.
        let part = part.split(['<', '>']).next().unwrap_or_default();
        let part = part.trim();
        let part = part.strip_prefix("sudo -u bourse ").unwrap_or(part);
        let ours = part
            .strip_prefix("cargo run --release -- ")
            .or(part.strip_prefix("bourse "));
        if let Some(arguments) = ours {
            calls.push(arguments.split_whitespace().map(filled).collect());
        }
    }
    calls
}

/// A word with what a reader puts in its place.
fn filled(word: &str) -> String {
    match word {
        "ADDRESS" | "ACTOR" | "DELEGATE" => format!("0x{}", "11".repeat(20)),
        "CHANNEL" => "67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned(),
        "HEX" => "33".repeat(65),
        "N" | "TOKENS" => "1".to_owned(),
        "PUBLIC_KEY_IN_HEX" => "22".repeat(32),
        "T" => "channels".to_owned(),
        other => other.to_owned(),
    }
}

#[test]
fn every_command_in_the_documents_is_one() {
    let mut seen = 0;
    for block in ["sh", "console"].into_iter().flat_map(blocks) {
        for line in block.text.lines() {
            for call in calls(line) {
                let words = std::iter::once("bourse".to_owned()).chain(call);
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{}: `{line}`: {error}", block.at);
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "only {seen} commands were found");
}

/// What is left out, `…`, and what the shell puts in, `$(…)`, make no command to parse. What stands in brackets may be
/// given, and is. A command that is only named, without what it needs, is as good as whole.
#[test]
fn every_command_in_the_text_for_operators_is_one() {
    let mut seen = 0;
    for code in ["OPERATING.md", "keeping.md"].into_iter().flat_map(inline) {
        if code.text.contains('…') || code.text.contains("$(") {
            continue;
        }
        for call in calls(&code.text.replace(['[', ']'], "")) {
            let words = std::iter::once("bourse".to_owned()).chain(call);
            let parsed = Cli::try_parse_from(words);
            let whole = parsed.as_ref().map_err(clap::Error::kind).map(drop);
            if let Err(kind) = whole
                && kind != ErrorKind::MissingRequiredArgument
            {
                panic!("{}: `{}`: {}", code.at, code.text, parsed.unwrap_err());
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} commands were found");
}

#[test]
fn every_setting_in_the_documents_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for block in blocks("toml") {
        let file = folder.path().join("bourse.toml");
        fs::write(&file, &block.text).unwrap();
        if let Err(error) = Config::load_all(Some(&file), std::iter::empty()) {
            panic!("{}: {error:#}", block.at);
        }
        seen += 1;
    }
    assert!(seen > 10, "only {seen} blocks were found");
}

/// A program of the examples that a line of shell starts: its source with what it shares, and its flags.
fn example(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.split(" #").next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let file = loop {
        match words.next()? {
            "--bin" => break format!("examples/delegates/src/bin/{}.rs", words.next()?),
            "examples/delegate-rs/Cargo.toml" => break "examples/delegate-rs/src/main.rs".to_owned(),
            "venv/bin/python" => break format!("examples/python/{}", words.next()?),
            "target/python/bin/python" => break words.next()?.to_owned(),
            "node" => break format!("examples/js/{}", words.next()?),
            _ => {}
        }
    };
    let flags = words.filter_map(|word| word.strip_prefix("--"));
    let flags = flags.filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
    Some((file, flags))
}

/// Whether a program says of itself that it has a flag, in the way of its language.
fn has(file: &str, flag: &str) -> bool {
    let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    match file.rsplit_once('.') {
        Some((_, "rs")) => text.contains(&format!("    {}: ", flag.replace('-', "_"))),
        Some((_, "js")) => [format!("  {flag}: {{"), format!("\"{flag}\": {{")]
            .iter()
            .any(|declared| text.contains(declared)),
        _ => {
            let shared = root().join(file).with_file_name("delegate.py");
            let shared = fs::read_to_string(shared).unwrap_or_default();
            (text + &shared).contains(&format!("\"--{flag}\""))
        }
    }
}

#[test]
fn every_example_in_the_documents_is_there_and_knows_its_flags() {
    let mut seen = 0;
    for block in ["sh", "console"].into_iter().flat_map(blocks) {
        for line in block.text.lines() {
            let Some((file, flags)) = example(line) else {
                continue;
            };
            assert!(root().join(&file).is_file(), "{}: `{line}`: no {file}", block.at);
            for flag in flags {
                assert!(
                    has(&file, &flag),
                    "{}: `{line}`: {file} has no --{flag}",
                    block.at
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 8, "only {seen} examples were found");
}
