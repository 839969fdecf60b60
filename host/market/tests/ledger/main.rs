//! The ledger by its face alone: commands in, outcomes and refusals out, every invariant true after every step.
//!
//! What lives here: tests that need no more than what the crate exports. What never does: storage, signatures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod accounts;
mod actions;
mod audit;
mod carry;
mod chain;
mod channels;
mod closing;
mod escrow;
mod escrow_properties;
mod logins;
mod netting;
mod offers;
mod outbox;
mod properties;
mod purchase_refusals;
mod purchase_rules;
mod quarantine;
mod recovery;
mod registry;
mod restored_debt;
mod state;
mod sweep;
mod unclear_answers;
mod vouchers;
mod world;
