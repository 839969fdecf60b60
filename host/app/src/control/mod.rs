//! `<data>/control.sock`: how the operator's commands reach a running market. Whoever may write to the data folder may
//! use it; nobody else can open it.
//!
//! A connection carries one command: a line of JSON, the bytes it announces, and a line of JSON for an answer.

mod client;
mod server;

pub(crate) use client::{Attachment, call};
pub(crate) use server::{Desk, serve};

use crate::{bind, policies, quarantine};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Bytes of a command's line.
const MAX_LINE: usize = 64 << 10;
/// Bytes of the signature that may come with a component.
const MAX_SIGNATURE: usize = 4 << 10;

/// The socket of a data folder.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// A command, by the room of the house it is for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// About policies.
    Policy(policies::Request),
    /// About channels in quarantine.
    Ledger(quarantine::Request),
    /// Whose a delegate is.
    Bind(bind::Request),
    /// How the market does.
    Status,
}

/// One command, and what follows it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    /// The command.
    request: Request,
    /// Bytes of the component that follows.
    #[serde(default)]
    component: usize,
    /// Bytes of the signature that follows it.
    #[serde(default)]
    signature: Option<usize>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(serde_json::Value),
    Error(String),
}
