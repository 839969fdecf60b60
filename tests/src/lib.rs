//! What end-to-end tests share: a real host in a folder of its own, and parties that can be made to misbehave.
//!
//! The parties speak WAMP over a real socket and spell their arguments themselves, so that a test can send what no
//! honest client would. Never here: an assertion about the market; those are the tests'.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test's support may stop the test"
)]

mod behind;
mod books;
mod browser;
mod buyer;
mod calls;
mod chain;
mod client;
mod closing;
mod code;
mod collector;
mod crossbar;
mod decisions;
mod ear;
mod escrow;
mod followed;
mod gateway;
mod ipfs;
mod login;
mod network;
mod operator;
mod plain;
pub mod process;
mod prometheus;
mod python;
mod relay;
mod secret;
mod seller;
mod several;
mod trader;
mod watch;
mod web;
mod world;

pub use behind::Behind;
pub use books::assert_balanced;
pub use browser::Browser;
pub use buyer::{Buyer, Order, Receipt, send};
pub use calls::{
    amount_of, bytes_of, call, call_named, error_amount, error_text, int_of, map_of, now, public, refused,
    tokens,
};
pub use chain::{Chain, Parties};
pub use client::Client;
pub use closing::{Closer, close, close_args, close_message};
pub use collector::{Attributes, Collector, Span, Takes};
pub use crossbar::{Crossbar, Setup};
pub use decisions::decisions;
pub use ear::Ear;
pub use escrow::{Absent, Left, place};
pub use followed::{PAYING, PAYMENT, bind, channel_of, degraded, state_of, status};
pub use gateway::{Gateway, Limiter, Mood, quantity};
pub use ipfs::{Ipfs, Says};
pub use login::autobahn_logins;
pub use network::{Fate, Network};
pub use operator::{TOKEN, with_token, write_policy, write_token};
pub use plain::Plain;
pub use process::{Process, run, run_with};
pub use prometheus::{Prometheus, document};
pub use python::{KnownPair, python_script, python_trade};
pub use relay::Relay;
pub use secret::holds;
pub use seller::{Behaviour, Sell, Seller};
pub use several::{corn_and_salt, trade_one};
pub use trader::{Town, Trader, ask, assert_verified};
pub use watch::{figures, found, get, page, policy_status, until};
pub use web::{Page, Web};
pub use world::{Wire, World, fund, open, open_args, open_message};

use std::path::PathBuf;

/// The binary under test: `bourse-host`, the same three lines around `bourse_app::cli` as `bourse` itself, built by cargo
/// with these tests, which it does not promise for another package's binary.
pub fn binary() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    // From target/debug/deps/TEST, or from target/debug/crash, to target/debug.
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let binary = folder.join("bourse-host");
    assert!(
        binary.is_file(),
        "{} is missing: `cargo build -p bourse-tests` makes it",
        binary.display()
    );
    binary
}
