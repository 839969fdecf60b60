//! What fuzzing throws at the sandbox, and at what authors write for it.
//!
//! A [`Target`] takes any bytes and holds what comes of them against what must always hold; a panic is a finding. The
//! targets run in two ways: `cargo xtask long` puts them under libFuzzer, whose inputs are led by coverage down into
//! the compiler of the sandbox (`guided/`), and every test run replays the corpora that this has left (`corpus/`).
//!
//! What never lives here: expectations about single inputs. Those are tests of the crates that handle them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a fuzz target reports by panicking"
)]

mod answers;
mod cases;
mod component;
mod hold;
mod market;
mod record;

/// Something that takes any bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its word, which is also the folder of its corpus.
    pub name: &'static str,
    /// What it takes on.
    pub about: &'static str,
    /// Takes the bytes; returns if all is well.
    pub run: fn(&[u8]),
    /// Inputs to start from: good ones, made by the code as it is.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 4] = [
    Target {
        name: "component",
        about: "files that claim to be policies: the check and the compiler at load, and a call of what passes",
        run: component::run,
        seeds: component::seeds,
    },
    Target {
        name: "answers",
        about: "what policies return and what they hand to imports: all hooks, any bytes in the guest's memory",
        run: answers::run,
        seeds: answers::seeds,
    },
    Target {
        name: "record",
        about: "recorded decisions, in bytes and in JSON",
        run: record::run,
        seeds: record::seeds,
    },
    Target {
        name: "cases",
        about: "case files: reading them, asking what they ask, comparing",
        run: cases::run,
        seeds: cases::seeds,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
