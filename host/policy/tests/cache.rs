//! The cache of compiled code: what it saves, and all that it must not take for code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at its first surprise"
)]

#[path = "support/place.rs"]
mod place;
mod support;

use bourse_policy::testing::Guest;
use bourse_policy::{CacheError, CodeCache, Engine, EngineOptions, Library, LibraryOptions};
use place::{Place, component, version};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use support::engine;
use tempfile::TempDir;

/// A cache that holds the code of one component.
struct Filled {
    dir: TempDir,
    cache: CodeCache,
    bytes: Vec<u8>,
    file: PathBuf,
}

fn folder(dir: &TempDir) -> PathBuf {
    dir.path().join("data/cache")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

impl Filled {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(engine(), &folder(&dir)).unwrap();
        let bytes = component("p", "1");
        engine().load_with("p", &bytes, Some(&cache)).unwrap();
        let file = files(&folder(&dir)).pop().unwrap();
        Self {
            dir,
            cache,
            bytes,
            file,
        }
    }

    fn content(&self) -> Vec<u8> {
        std::fs::read(&self.file).unwrap()
    }

    fn load(&self) {
        let revision = engine().load_with("p", &self.bytes, Some(&self.cache)).unwrap();
        assert_eq!(revision.description().version, "1");
    }

    /// Whether a load takes what lies there now, and does not compile and write it anew.
    fn hits(&self) -> bool {
        let before = std::fs::symlink_metadata(&self.file).unwrap().ino();
        self.load();
        std::fs::symlink_metadata(&self.file).unwrap().ino() == before
    }

    /// Puts `content` into the file's place: it must be compiled again, and the file be whole again.
    fn refuses(&self, good: &[u8], content: &[u8], what: &str) {
        std::fs::write(&self.file, content).unwrap();
        assert!(!self.hits(), "{what} was taken for code");
        assert_eq!(self.content(), good, "after {what}");
    }
}

#[test]
fn what_was_compiled_once_is_not_compiled_again() {
    let filled = Filled::new();
    assert_eq!(files(&folder(&filled.dir)).len(), 1);
    assert_eq!(filled.file.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(folder(&filled.dir).metadata().unwrap().mode() & 0o777, 0o700);
    assert!(filled.hits());
    // Neither by another engine with the same settings, as after a restart.
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let cache = CodeCache::open(&engine, &folder(&filled.dir)).unwrap();
    let before = filled.file.metadata().unwrap().ino();
    engine.load_with("p", &filled.bytes, Some(&cache)).unwrap();
    assert_eq!(filled.file.metadata().unwrap().ino(), before);
    assert!(filled.hits());
}

#[test]
fn a_component_that_is_no_policy_is_not_kept() {
    let filled = Filled::new();
    let bytes = Guest::named("other").build();
    engine().load_with("p", &bytes, Some(&filled.cache)).unwrap_err();
    assert_eq!(files(&folder(&filled.dir)).len(), 1);
}

#[test]
fn a_flipped_byte_anywhere_makes_it_compile_again() {
    let filled = Filled::new();
    let good = filled.content();
    // All of the header, and a sample of the code: its first bytes, its last, and some of all pages.
    let header = 0..120;
    let body = (120..good.len()).step_by(1999).chain(good.len() - 3..good.len());
    for at in header.chain(body) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        filled.refuses(&good, &bad, &format!("a flip at byte {at} of {}", good.len()));
    }
    assert!(filled.hits());
}

#[test]
fn a_file_that_is_cut_grown_or_something_else_makes_it_compile_again() {
    let filled = Filled::new();
    let good = filled.content();
    for len in [0, 1, 15, 16, 87, 119, 120, 121, good.len() / 2, good.len() - 1] {
        filled.refuses(&good, &good[..len], &format!("the first {len} bytes"));
    }
    filled.refuses(&good, &[&good[..], b"x"].concat(), "a byte more");
    filled.refuses(&good, &vec![0; good.len()], "zeros");
    filled.refuses(&good, &good[120..], "bare code");
    filled.refuses(&good, &filled.bytes, "the component itself");
    assert!(filled.hits());
}

#[test]
fn code_of_another_component_or_engine_is_foreign() {
    let filled = Filled::new();
    let good = filled.content();
    let other = component("p", "2");
    engine().load_with("p", &other, Some(&filled.cache)).unwrap();
    let is_other = |path: &PathBuf| *path != filled.file;
    let theirs = files(&folder(&filled.dir)).into_iter().find(is_other).unwrap();
    filled.refuses(
        &good,
        &std::fs::read(&theirs).unwrap(),
        "another component's code",
    );
    std::fs::remove_file(&theirs).unwrap();

    let stack = EngineOptions {
        stack: 128 << 10,
        ..EngineOptions::default()
    };
    let other = Engine::new(stack).unwrap();
    let cache = CodeCache::open(&other, &folder(&filled.dir)).unwrap();
    other.load_with("p", &filled.bytes, Some(&cache)).unwrap();
    let theirs = files(&folder(&filled.dir)).into_iter().find(is_other).unwrap();
    filled.refuses(&good, &std::fs::read(&theirs).unwrap(), "another engine's code");
    assert!(filled.hits());
}

#[test]
fn links_are_not_followed() {
    let filled = Filled::new();
    let elsewhere = filled.dir.path().join("elsewhere");
    std::fs::rename(&filled.file, &elsewhere).unwrap();
    symlink(&elsewhere, &filled.file).unwrap();
    let good = std::fs::read(&elsewhere).unwrap();
    assert!(!filled.hits());
    assert!(std::fs::symlink_metadata(&filled.file).unwrap().is_file());
    // The link was replaced, not written through.
    assert_eq!(std::fs::read(&elsewhere).unwrap(), good);

    let link = filled.dir.path().join("link");
    symlink(folder(&filled.dir), &link).unwrap();
    let error = CodeCache::open(engine(), &link).unwrap_err();
    assert!(matches!(error, CacheError::Open { .. }), "{error}");
    std::fs::write(filled.dir.path().join("file"), b"").unwrap();
    CodeCache::open(engine(), &filled.dir.path().join("file")).unwrap_err();
}

#[test]
fn a_file_that_others_may_write_is_not_code() {
    let filled = Filled::new();
    for mode in [0o620, 0o602, 0o666] {
        std::fs::set_permissions(&filled.file, PermissionsExt::from_mode(mode)).unwrap();
        assert!(!filled.hits(), "{mode:o}");
        assert_eq!(filled.file.metadata().unwrap().mode() & 0o777, 0o600);
    }
    assert!(filled.hits());
}

#[test]
fn a_folder_that_others_may_enter_is_refused_in_words_that_help() {
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o755, 0o750, 0o710, 0o707, 0o777, 0o1777] {
        std::fs::create_dir_all(folder(&dir)).unwrap();
        std::fs::set_permissions(folder(&dir), PermissionsExt::from_mode(mode)).unwrap();
        let error = CodeCache::open(engine(), &folder(&dir)).unwrap_err();
        assert!(matches!(error, CacheError::Mode { .. }), "{error}");
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
}

#[test]
fn a_folder_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a folder away.
        return;
    }
    let filled = Filled::new();
    std::os::unix::fs::chown(folder(&filled.dir), Some(65534), None).unwrap();
    let error = CodeCache::open(engine(), &folder(&filled.dir)).unwrap_err();
    assert!(matches!(error, CacheError::Owner { owner: 65534, .. }), "{error}");
    // One that was given away while it was open is not used any more either; all goes on without it.
    let before = filled.content();
    std::fs::write(&filled.file, b"theirs").unwrap();
    filled.load();
    assert_eq!(filled.content(), b"theirs");
    std::os::unix::fs::chown(folder(&filled.dir), Some(0), None).unwrap();
    filled.refuses(&before, b"theirs", "what they left");
    std::os::unix::fs::chown(&filled.file, Some(65534), None).unwrap();
    assert!(!filled.hits());
}

#[test]
fn a_library_whose_cache_is_refused_compiles_and_says_so() {
    let mut place = Place::new();
    place.put("p.wasm", &component("p", "1"));
    let cache = place.dir.path().join("open");
    std::fs::create_dir(&cache).unwrap();
    std::fs::set_permissions(&cache, PermissionsExt::from_mode(0o755)).unwrap();
    place.options.cache = Some(cache.clone());
    let library = place.open();
    assert_eq!(version(&library, "p").unwrap(), "1");
    let notices = library.notices();
    assert!(
        notices[0].contains("compiled policies are not cached"),
        "{notices:?}"
    );
    assert!(files(&cache).is_empty());
}

#[test]
fn a_cache_that_vanishes_costs_time_only() {
    let filled = Filled::new();
    std::fs::remove_dir_all(folder(&filled.dir)).unwrap();
    filled.load();
    filled.load();
}

#[test]
fn a_restart_of_a_library_takes_its_code_from_the_cache() {
    let place = Place::new();
    place.put("p.wasm", &component("p", "1"));
    place.open();
    let cache = place.options.cache.clone().unwrap();
    let inodes = || -> Vec<u64> {
        files(&cache)
            .iter()
            .map(|file| file.metadata().unwrap().ino())
            .collect()
    };
    let before = inodes();
    assert_eq!(before.len(), 1);
    place.open();
    assert_eq!(inodes(), before);
}

#[test]
fn damaged_code_is_told_to_the_operator_and_compiled_anew() {
    let place = Place::new();
    place.put("p.wasm", &component("p", "1"));
    assert!(place.open().notices().is_empty());
    let file = files(&place.options.cache.clone().unwrap()).pop().unwrap();
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"rot").unwrap();
    let library = place.open();
    assert_eq!(version(&library, "p").unwrap(), "1");
    let notices = library.notices();
    assert!(notices[0].contains("was not used"), "{notices:?}");
    assert_eq!(std::fs::read(&file).unwrap(), good);
    assert!(place.open().notices().is_empty());
}

/// How long a policy takes to load, for people: `cargo nextest run -p bourse-policy --run-ignored only figures
/// --no-capture`. The component `POLICY` names, surge without it; the policy's name is its file's stem.
#[test]
#[ignore = "prints figures and asserts little"]
fn figures_of_loading_a_policy_with_and_without_the_cache() {
    let surge = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/dist/surge.wasm");
    let path = std::env::var_os("POLICY").map_or_else(|| PathBuf::from(surge), PathBuf::from);
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned().leak();
    let bytes = std::fs::read(&path).unwrap();
    let options = EngineOptions {
        component: 16 << 20,
        ..EngineOptions::default()
    };
    let engine = Engine::new(options).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cache = CodeCache::open(&engine, &folder(&dir)).unwrap();
    // The best and the median, since other work on the machine only ever adds to a time.
    let time = |rounds: usize, cache: Option<&CodeCache>| {
        let mut times: Vec<_> = (0..rounds)
            .map(|_| {
                let start = std::time::Instant::now();
                engine.load_with(name, &bytes, cache).unwrap();
                start.elapsed()
            })
            .collect();
        times.sort();
        (times[0], times[rounds / 2])
    };
    let rounds = if bytes.len() < 1 << 20 { 31 } else { 1 };
    let without = time(rounds, None);
    time(1, Some(&cache));
    let with = time(31, Some(&cache));
    let code = files(&folder(&dir))[0].metadata().unwrap().len();
    println!(
        "{name}, {} bytes of WebAssembly, {code} of code: compiled in {without:?}, from the cache in {with:?}",
        bytes.len()
    );
    assert!(with.0 * 2 < without.0);
    let options = LibraryOptions {
        cache: Some(folder(&dir)),
        shipped: vec![(name, bytes.leak())],
        ..LibraryOptions::new(dir.path().join("policies"), dir.path().join("revisions"))
    };
    Library::open(engine.clone(), options.clone()).unwrap();
    let start = std::time::Instant::now();
    Library::open(engine, options).unwrap();
    println!("a library of it opens in {:?}", start.elapsed());
}
