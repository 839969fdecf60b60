//! What fuzzing throws at the sandbox, at what authors write for it, at the procedures, and at those who read what either
//! left.
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
mod call;
mod cases;
mod component;
mod hold;
mod ledger;
mod market;
mod query;
mod receipts;
mod record;
mod router;
mod town;
mod voucher;

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
pub const TARGETS: [Target; 9] = [
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
    Target {
        name: "voucher",
        about: "calls that carry a signature: buying, leaving keys, opening and closing channels, on a real ledger",
        run: voucher::run,
        seeds: voucher::seeds,
    },
    Target {
        name: "ledger",
        about: "stored records of every table, and their export",
        run: ledger::run,
        seeds: ledger::seeds,
    },
    Target {
        name: "query",
        about: "questions for offers and consents, and the cursors of their pages",
        run: query::run,
        seeds: query::seeds,
    },
    Target {
        name: "receipts",
        about: "what a buyer's delegate reads of a market's answers and refusals",
        run: receipts::run,
        seeds: receipts::seeds,
    },
    Target {
        name: "router",
        about: "clients of the embedded router, from their first byte to their last, over RawSocket and WebSocket",
        run: router::run,
        seeds: router::seeds,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
