//! The cases of the shipped policies, asked of the components that ship.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use bourse_cases::Case;
use bourse_policy::{Engine, EngineOptions};
use std::fs;
use std::path::{Path, PathBuf};

/// The paths in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_shipped_policy_answers_as_its_case_files_say() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let engine = Engine::new(EngineOptions::default()).unwrap();
    for component in entries(&policies.join("dist")) {
        if component.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        let name = component.file_stem().unwrap().to_str().unwrap();
        let revision = engine.load(name, &fs::read(&component).unwrap()).unwrap();
        let files = entries(&policies.join(name).join("cases"));
        assert!(files.len() >= 3, "{name} has hardly any cases");
        for file in files {
            let case = Case::parse(&fs::read(&file).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let verdict = case.expect.compare(&case.input.ask(&revision));
            assert!(verdict.holds(), "{}: {:#?}", file.display(), verdict.lines);
        }
    }
}
