//! Puts one target of `bourse-fuzz` under libFuzzer: the one that the variable `BOURSE_FUZZ_TARGET` names.
//!
//! With `BOURSE_FUZZ_SEEDS` set to a folder, the target's seeds are written there first, so that libFuzzer can be given
//! the folder as a corpus.

#![no_main]

use bourse_fuzz::{TARGETS, Target, target};
use std::sync::LazyLock;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("BOURSE_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let names = TARGETS.map(|target| target.name).join(", ");
        eprintln!("BOURSE_FUZZ_TARGET is `{name}`: expected one of {names}");
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(
    init: {
        let target = *TARGET;
        if let Some(folder) = std::env::var_os("BOURSE_FUZZ_SEEDS") {
            for (number, seed) in (target.seeds)().into_iter().enumerate() {
                let path = std::path::Path::new(&folder).join(format!("seed-{number}"));
                if let Err(error) = std::fs::write(&path, seed) {
                    eprintln!("cannot write {}: {error}", path.display());
                    std::process::exit(2);
                }
            }
        }
    },
    |bytes: &[u8]| (TARGET.run)(bytes)
);
