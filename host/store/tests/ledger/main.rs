//! The store against a real disk: real LMDB, real syncs, real second processes.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

mod backup;
mod browse;
mod chain;
mod crash;
mod escrow;
mod fixture;
mod folder;
mod group;
mod log;
mod logins;
mod model;
mod outbox;
mod query;
mod reads;
mod registry;
mod room;
mod schema;
mod start;
mod state;
