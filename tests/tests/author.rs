//! What an author does, with the real binary: from nothing to a tested component, and every way to get it wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SURGE: &[u8] = include_bytes!("../../policies/dist/surge.wasm");

/// A folder in which an author works.
struct Desk {
    folder: PathBuf,
    /// Where `bourse` keeps compilers: the folder of this checkout's own, so that nothing is set up twice.
    cache: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Desk {
    fn empty() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let desk = Self::at(temporary.path().join("desk"));
        Self {
            _temporary: Some(temporary),
            ..desk
        }
    }

    /// A folder that is the same in every run, so that what a project depends on is compiled once: the folder's path is
    /// among the compiler's arguments.
    fn kept() -> Self {
        Self::at(target().join("author"))
    }

    fn at(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let cache = target().join("author-cache");
        fs::create_dir_all(cache.join("bourse")).unwrap();
        let compilers = target().join("guest-toolchain");
        fs::create_dir_all(&compilers).unwrap();
        // Another test may be first.
        let _ = std::os::unix::fs::symlink(&compilers, cache.join("bourse/toolchains"));
        Self {
            folder,
            cache,
            _temporary: None,
        }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// `bourse policy …` in this folder.
    fn policy(&self, arguments: &[&str]) -> Said {
        self.policy_with(arguments, &[])
    }

    /// `bourse policy …` with these variables.
    fn policy_with(&self, arguments: &[&str], variables: &[(&str, &Path)]) -> Said {
        let mut command = Command::new(bourse_tests::binary());
        command.arg("policy").args(arguments).current_dir(&self.folder);
        command
            .env("XDG_CACHE_HOME", &self.cache)
            .env_remove("CLICOLOR_FORCE")
            // Cargo names itself to what it runs; authors have the one in their PATH.
            .env_remove("CARGO")
            .envs(variables.iter().copied());
        Said(command.output().unwrap())
    }
}

/// Where cargo builds: two folders above the tests.
fn target() -> PathBuf {
    let binary = bourse_tests::binary();
    binary.parent().unwrap().parent().unwrap().to_path_buf()
}

/// What a command said.
struct Said(Output);

impl Said {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    /// The answer of a command that succeeded.
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.code(), 0, "{}{}", self.out(), self.err());
        serde_json::from_str(&self.out()).unwrap_or_else(|error| panic!("{error}: {}", self.out()))
    }

    /// The words of a command that failed with exit code 1.
    #[track_caller]
    fn fails(&self, expected: &str) {
        assert_eq!(self.code(), 1, "{}{}", self.out(), self.err());
        assert!(
            self.err().contains(expected),
            "expected `{expected}`:\n{}",
            self.err()
        );
    }
}

/// Changes a text in a file that must have it.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} has no `{from}`:\n{text}", path.display());
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_new_project_builds_and_tests_at_once_and_a_changed_one_shows_what_differs() {
    let desk = Desk::kept();
    let project = desk.folder.join("ladder");
    // Everything anew but what cargo built.
    let built = desk.folder.join("ladder.target");
    let _ = fs::rename(project.join("target"), &built);
    let _ = fs::remove_dir_all(&project);

    let made = desk.policy(&["new", "ladder"]).json();
    assert_eq!(made["language"], "rust");
    desk.policy(&["new", "ladder"])
        .fails("ladder is not empty: a new project takes a folder of its own");
    if built.exists() {
        fs::rename(&built, project.join("target")).unwrap();
    }
    let here = Desk {
        folder: project.clone(),
        cache: desk.cache.clone(),
        _temporary: None,
    };
    here.policy(&["test"])
        .fails("run `bourse policy build` in that folder first");

    let said = here.policy(&["build"]);
    if said.code() == 1 && said.err().contains("the pinned compiler cannot be had here") {
        eprintln!("NOT CHECKED: that a new project builds: {}", said.err());
        return;
    }
    let checked = said.json();
    assert_eq!(checked["name"], "ladder");
    assert_eq!(checked["hooks"], serde_json::json!(["pricing"]));
    assert_eq!(checked["grants"], serde_json::json!(["market"]));
    assert_eq!(here.policy(&["check"]).json(), checked);
    let report = here.policy(&["test"]).json();
    assert_eq!(
        (report["passed"].as_u64(), report["failed"].as_u64()),
        (Some(4), Some(0)),
        "{report:#}"
    );
    native_tests_pass(&project);

    follow_the_guide(&project);
    edit(
        &project.join("src/lib.rs"),
        "sales.saturating_mul(params.step_bp)",
        "sales",
    );
    let stale = here.policy(&["test"]);
    assert!(
        stale.err().contains("src/lib.rs is newer than"),
        "{}",
        stale.err()
    );
    here.policy(&["build"]).json();
    let said = here.policy(&["test", "--output", "table"]);
    assert_eq!(said.code(), 1);
    let busy: Vec<String> = said
        .out()
        .lines()
        .skip_while(|line| !line.contains("busy.json"))
        .skip(1)
        .take(4)
        .map(str::to_owned)
        .collect();
    assert_eq!(
        busy,
        [
            "          outcome   priced",
            "        - price     3",
            "        + price     2.01",
            "          valid_ms  5000",
        ],
        "{}",
        said.out()
    );
    assert!(
        said.out().ends_with("ladder: 4 passed, 1 failed\n"),
        "{}",
        said.out()
    );

    // Nothing was ever fetched, and nothing can be.
    fs::remove_file(project.join("Cargo.lock")).unwrap();
    let home = tempfile::tempdir().unwrap();
    here.policy_with(
        &["build"],
        &[
            ("CARGO_HOME", home.path()),
            ("CARGO_NET_OFFLINE", Path::new("true")),
        ],
    )
    .fails("The first build needs a network");

    edit(&project.join("src/lib.rs"), "WHOLE_BP\n", "WHOLE_PB\n");
    let said = here.policy(&["build"]);
    said.fails("the compiler's messages are above");
    assert!(
        said.err().contains("cannot find value `WHOLE_PB`"),
        "{}",
        said.err()
    );
    assert!(
        project.join("ladder.wasm").is_file(),
        "the last component that built is gone"
    );
}

/// Changes the project as the author's guide has it under "Make it yours": a parameter, two lines and a case.
fn follow_the_guide(project: &Path) {
    let guide = include_str!("../../guest-sdk/README.md");
    let (_, guide) = guide.split_once("**Make it yours.**").unwrap();
    let blocks: Vec<&str> = guide.split("```").skip(1).step_by(2).collect();
    let [parameter, lines, case] = [("rust\n", 0), ("rust\n", 1), ("json\n", 2)]
        .map(|(language, number)| blocks[number].strip_prefix(language).unwrap());
    let library = project.join("src/lib.rs");
    let last = "    pub max_bp: u64,\n";
    edit(&library, last, &format!("{last}{parameter}"));
    edit(
        &library,
        "        Ok(request.price(base.saturating_mul_bp(factor), VALID_MS))\n",
        lines,
    );
    fs::write(project.join("cases/night.json"), case).unwrap();
}

/// The project's own tests, with plain cargo.
fn native_tests_pass(project: &Path) {
    let output = Command::new("cargo")
        .args(["test", "--quiet"])
        .current_dir(project)
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("3 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn what_a_build_lacks_is_named_with_how_to_get_it() {
    let desk = Desk::empty();
    desk.policy(&["new", "ladder"]).json();
    desk.write("nothing/here", "");
    let nothing = desk.folder.join("nothing");
    desk.policy_with(&["build", "ladder"], &[("PATH", &nothing)])
        .fails("`rustc` is not on this machine: install Rust from https://rustup.rs");

    // A compiler without the target, on a machine without packages.
    desk.write("bare/rustc", format!("#!/bin/sh\necho {}\n", nothing.display()));
    let bare = desk.folder.join("bare");
    fs::set_permissions(bare.join("rustc"), fs::Permissions::from_mode(0o755)).unwrap();
    let cache = desk.folder.join("cache");
    desk.policy_with(
        &["build", "ladder"],
        &[("PATH", &bare), ("XDG_CACHE_HOME", &cache)],
    )
    .fails("run `rustup target add wasm32-unknown-unknown`");

    for lacking in ["[workspace]\n", "[package\n"] {
        desk.write("ladder/Cargo.toml", lacking);
        desk.policy(&["build", "ladder"]).fails("Cargo.toml: ");
    }
}

#[test]
fn a_project_in_any_language_is_laid_out_under_its_name() {
    let desk = Desk::empty();
    for language in ["assemblyscript", "c", "javascript"] {
        let name = format!("in-{language}");
        let made = desk.policy(&["new", &name, "--lang", language]).json();
        assert_eq!(made["language"], language);
        assert!(
            desk.folder.join(&name).join("cases/quiet.json").is_file(),
            "{language}"
        );
    }
    desk.policy(&["new", "Ladder"])
        .fails("`Ladder` cannot name a policy");
    desk.policy(&["new", "../up"]).fails("cannot name a policy");
    assert_eq!(desk.policy(&["new", "x", "--lang", "cobol"]).code(), 2);
    desk.policy(&["build"])
        .fails("is no policy's project: expected Cargo.toml (rust)");
    desk.policy(&["build", "nowhere"])
        .fails("cannot find the folder nowhere");
}

#[test]
fn what_hosts_would_refuse_is_refused_with_the_reason() {
    let desk = Desk::empty();
    desk.write("surge.wasm", SURGE);
    let checked = desk.policy(&["check", "surge.wasm"]).json();
    assert_eq!(
        (&checked["name"], &checked["grants"][0]),
        (&"surge".into(), &"market".into())
    );
    // The only component of a folder needs no name.
    assert_eq!(desk.policy(&["check"]).json(), checked);
    assert_eq!(desk.policy(&["inspect"]).json()["params"]["type"], "object");

    desk.write("other.wasm", SURGE);
    desk.policy(&["check", "other.wasm"])
        .fails("the file is named `other`, but the policy describes itself as `surge`");
    desk.policy(&["check"]).fails("several components in .");
    desk.write("text.wasm", "no WebAssembly");
    desk.policy(&["check", "text.wasm"])
        .fails("this is not a WebAssembly file");
    desk.write("core.wasm", b"\0asm\x01\0\0\0");
    desk.policy(&["inspect", "core.wasm"])
        .fails("`bourse policy build` makes one");
    desk.write("cut.wasm", &SURGE[..SURGE.len() / 2]);
    desk.policy(&["check", "cut.wasm"])
        .fails("hosts would refuse cut.wasm");
    desk.write("large.wasm", vec![0; (2 << 20) + 1]);
    desk.policy(&["check", "large.wasm"])
        .fails("the limit is 2097152");
    desk.policy(&["check", "gone.wasm"])
        .fails("cannot read gone.wasm");
}

#[test]
fn one_question_is_answered_with_its_cost_and_a_broken_one_with_its_place() {
    let desk = Desk::empty();
    desk.write("surge.wasm", SURGE);
    let answer = desk.policy(&["run", "surge.wasm", "--hook", "pricing"]).json();
    assert_eq!(
        (&answer["outcome"], &answer["price"]),
        (&"priced".into(), &"10".into())
    );
    assert!(
        answer["fuel"].as_u64() < answer["fuel_limit"].as_u64(),
        "{answer:#}"
    );

    desk.write(
        "busy.json",
        r#"{"params": {"base": "2"}, "market": [{"sales": 15}], "request": {"cap": "2.3"}}"#,
    );
    let answer = desk.policy(&["run", "surge.wasm", "--input", "busy.json"]);
    answer.fails("busy.json: line 1, column 1: hook: missing");
    let answer = desk
        .policy(&["run", "surge.wasm", "--hook", "pricing", "--input", "busy.json"])
        .json();
    assert_eq!(answer["price"], "2.3", "{answer:#}");
    desk.write("broken.json", "{\n  \"request\": {\"buyer\": 7}\n}");
    desk.policy(&["run", "surge.wasm", "--hook", "pricing", "--input", "broken.json"])
        .fails("broken.json: line 2, column 24: request.buyer: invalid type: integer `7`");

    // A failure of the policy is one of the command; a refusal is an answer.
    desk.write("starved.json", r#"{"hook": "pricing", "limits": {"fuel": 5}}"#);
    let starved = desk.policy(&["run", "surge.wasm", "--input", "starved.json"]);
    assert_eq!(starved.code(), 1, "{}", starved.err());
    assert!(
        starved.out().contains("\"outcome\": \"out_of_fuel\""),
        "{}",
        starved.out()
    );
    desk.write(
        "refused.json",
        r#"{"hook": "pricing", "params": {"window_ms": 0}}"#,
    );
    let refused = desk
        .policy(&["run", "surge.wasm", "--input", "refused.json"])
        .json();
    assert_eq!(refused["outcome"], "refused");
    assert_eq!(desk.policy(&["run", "surge.wasm", "--hook", "prices"]).code(), 2);
}

#[test]
fn hostile_case_files_fail_each_for_itself_and_by_name() {
    let desk = Desk::empty();
    desk.write("surge.wasm", SURGE);
    desk.policy(&["test"]).fails("no case files in .");
    desk.write(
        "cases/good.json",
        r#"{"hook": "pricing", "expect": {"price": "10"}}"#,
    );
    desk.write("cases/deep.json", "[".repeat(1 << 19));
    desk.write("cases/large.json", vec![b' '; 2 << 20]);
    desk.write("cases/bytes.json", [0xff, 0xfe]);
    desk.write("cases/typo.json", "{\"hook\": \"pricing\",\n\"expct\": {}}");
    fs::create_dir(desk.folder.join("cases/folder.json")).unwrap();
    let said = desk.policy(&["test"]);
    assert_eq!(said.code(), 1, "{}", said.err());
    let report: Value = serde_json::from_str(&said.out()).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&1.into(), &5.into()));
    let error = |name: &str| {
        let cases = report["cases"].as_array().unwrap();
        let case = cases
            .iter()
            .find(|case| case["file"] == format!("cases/{name}.json"));
        case.unwrap()["error"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(error("good"), "");
    assert_eq!(error("deep"), "line 1, column 33: brackets nest deeper than 32");
    assert_eq!(error("folder"), "not a file");
    assert_eq!(error("large"), "1048577 bytes or more: expected at most 1048576");
    assert_eq!(error("bytes"), "line 1, column 1: not text in UTF-8");
    assert!(error("typo").starts_with("line 2, column "), "{}", error("typo"));
    assert!(
        error("typo").contains("unknown field `expct`"),
        "{}",
        error("typo")
    );
    // One of them, by its file or by a part of its name.
    assert_eq!(desk.policy(&["test", "cases/good.json"]).json()["passed"], 1);
    assert_eq!(desk.policy(&["test", "--only", "goo"]).json()["passed"], 1);
}

#[test]
fn a_bench_has_its_figures_for_fresh_and_warm_instances() {
    let desk = Desk::empty();
    desk.write("surge.wasm", SURGE);
    let rows = desk.policy(&["bench", "--calls", "200"]).json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2, "{rows:#?}");
    for (row, instances) in rows.iter().zip(["fresh", "warm"]) {
        assert_eq!(
            (&row["instances"], &row["calls"]),
            (&instances.into(), &200.into())
        );
        let at = |name: &str| row[name].as_f64().unwrap();
        assert!(
            at("p50_us") > 0.0 && at("p50_us") <= at("p99_us") && at("p99_us") <= at("p999_us"),
            "{row:#}"
        );
        assert!(row["fuel"].as_u64().unwrap() > 0);
    }
    desk.write("starved.json", r#"{"hook": "pricing", "limits": {"fuel": 5}}"#);
    desk.policy(&["bench", "--input", "starved.json"])
        .fails("call 0 of `pricing` failed: it burned all 5 units of fuel");
}

#[test]
fn a_signature_counts_for_its_bytes_its_name_and_its_key_alone() {
    let desk = Desk::empty();
    desk.write("surge.wasm", SURGE);
    let key = desk.policy(&["keygen", "my.key"]).json();
    let public = key["public_key"].as_str().unwrap().to_owned();
    desk.policy(&["keygen", "my.key"]).fails("my.key");
    let other = desk.policy(&["keygen", "other.key"]).json()["public_key"].clone();
    let other = other.as_str().unwrap();

    desk.policy(&["verify", "--key", &public])
        .fails("surge.wasm is not signed");
    let signed = desk.policy(&["sign", "--key", "my.key"]).json();
    assert_eq!(signed["signed_by"], public.as_str());
    assert_eq!(
        desk.policy(&["verify", "--key", &public]).json()["signed_by"],
        public.as_str()
    );
    desk.policy(&["verify"]).fails("no key counts: give --key HEX");
    desk.policy(&["verify", "--key", other])
        .fails("is not among the 1 keys");
    assert_eq!(desk.policy(&["verify", "--key", "00"]).code(), 2);

    let mut changed = SURGE.to_vec();
    changed.push(0);
    desk.write("surge.wasm", changed);
    desk.policy(&["verify", "--key", &public])
        .fails("sign this file again");
    // Nobody signs what hosts would refuse.
    desk.policy(&["sign", "--key", "my.key"])
        .fails("hosts would refuse surge.wasm");
    desk.policy(&["sign", "--key", "gone.key"]).fails("gone.key");
}
