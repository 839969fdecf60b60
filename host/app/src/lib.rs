//! The market maker as a library: everything behind the binary `bourse` but its `main`.
//!
//! What lives here: configuration, commands, the wiring of the rooms, one file for each procedure, and the purchase
//! with its queues and deadlines. What never does: a rule of the ledger (`bourse-market`), bytes on disk
//! (`bourse-store`), frames (`bourse-wamp`), typed data (`bourse-chain`) or a sandbox (`bourse-policy`).

#![forbid(unsafe_code)]

pub mod access;
mod authenticator;
mod backtest;
mod bell;
mod bind;
pub mod cli;
mod commands;
pub mod config;
mod console;
mod content;
mod control;
mod crash;
mod deployment;
pub mod dev_chain;
#[cfg(test)]
mod documents;
mod environment;
mod events;
pub mod figures;
mod follow;
mod front;
mod home;
mod host;
mod house;
mod http;
mod keep;
mod keyfile;
mod listeners;
mod logins;
mod logs;
mod market;
mod otlp;
mod outbox;
mod output;
mod policies;
mod procedures;
mod providers;
mod purchase;
mod quarantine;
mod quotes;
mod reload;
mod seller_price;
pub mod simulation;
mod status;
mod sweep;
mod uplink;
mod vault;
mod vouchers;
mod wire;
mod workers;

pub use environment::{Environment, System};
pub use host::{Addresses, Host, Listeners, WS_PATH};
pub use house::House;
pub use listeners::Listener;
pub use wire::uri;
