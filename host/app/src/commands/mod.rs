//! What the binary does, one file for each command. Only here is anything printed for people.

/// Prints a line. That nobody reads it any more, as behind `| head`, is no reason to stop a market.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod bar;
mod config;
mod decisions;
mod dev;
mod keys;
pub(crate) mod ledger;
mod policy;
mod serve;
mod shell;
mod status;
mod wamp;

#[cfg(test)]
pub(crate) use config::FULL;
pub(crate) use config::{ConfigCommand, USUAL_FILE, config};
pub(crate) use decisions::{DecisionsCommand, decisions};
pub(crate) use dev::{DevCommand, dev};
pub(crate) use keys::{KeysCommand, keys};
pub(crate) use ledger::{LedgerCommand, run as ledger};
pub(crate) use policy::{PolicyCommand, run as policy};
pub(crate) use serve::serve;
pub(crate) use shell::{CompletionsArgs, ManArgs, completions, man};
pub(crate) use status::status;
pub(crate) use wamp::{WampCommand, wamp};

/// The host a command needs does not answer.
#[derive(Debug, thiserror::Error)]
#[error("no market answers at {at}: {why}; start one with `bourse serve`, or {instead}")]
pub(crate) struct Unreachable {
    pub(crate) at: String,
    pub(crate) why: String,
    /// How the command is told of another market.
    pub(crate) instead: &'static str,
}
