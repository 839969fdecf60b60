//! The simulator: the market's own procedures, policies, purchase and ledger, driven by simulated buyers and sellers
//! over a network, a clock and a disk that a seed decides about.
//!
//! What lives here: the parties and how they misbehave ([`party`]), what goes wrong between them ([`faults`]),
//! which policies decide beside the prices ([`hooks`]), and the
//! [`reference`] ledger, which knows only what the parties signed and what they were told, and holds the market's
//! ledger against that after every step. What never does: a copy of a rule of the market.
//!
//! A run is one seed. On one thread with paused time the same seed takes the same steps, so a failing one can be looked
//! at again: `cargo xtask sim --from SEED --seeds 1`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a simulator stops at its first surprise, and is read by those who work on it"
)]

pub mod chance;
pub mod faults;
pub mod hooks;
pub mod party;
pub mod reference;
pub mod run;
pub mod spell;

pub use run::{Failure, Run, Summary, run};
