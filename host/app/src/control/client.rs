//! The commands' end of the socket.

use super::{Answer, Envelope, Request, path};
use crate::commands::Unreachable;
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What goes along with a command.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attachment<'a> {
    /// A component.
    pub(crate) component: &'a [u8],
    /// Its signature.
    pub(crate) signature: Option<&'a [u8]>,
}

/// Has the market of a data folder carry out a command.
///
/// # Errors
///
/// [`Unreachable`] if no market runs there; else what the market says against it.
pub(crate) fn call(data: &Path, request: Request, with: Attachment<'_>) -> anyhow::Result<serde_json::Value> {
    let socket = path(data);
    let mut stream = UnixStream::connect(&socket).map_err(|error| Unreachable {
        at: socket.display().to_string(),
        why: error.to_string(),
        instead: "name the data folder of a running one with --data",
    })?;
    let envelope = Envelope {
        request,
        component: with.component.len(),
        signature: with.signature.map(<[u8]>::len),
    };
    let mut line = serde_json::to_vec(&envelope)?;
    line.push(b'\n');
    // The market may answer, and close, before it has read all: what it says counts then.
    let sent = stream
        .write_all(&line)
        .and_then(|()| stream.write_all(with.component))
        .and_then(|()| stream.write_all(with.signature.unwrap_or_default()));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("the market hung up")?;
    if answer.is_empty() {
        sent.context("the market hung up")?;
        bail!("the market hung up without an answer");
    }
    match serde_json::from_slice(&answer).context("the market's answer makes no sense")? {
        Answer::Ok(value) => Ok(value),
        Answer::Error(error) => bail!("{error}"),
    }
}
