//! The clients of other people: one process of each, which takes a cell a line and answers with a line.

use crate::cell::{Cell, Client};
use crate::far::expect;
use crate::routers::{self, Running};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// For starting too: it may have to share the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A script that is some client of the matrix.
pub(crate) struct Peer {
    _process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Starts it. None where what runs it is missing.
    pub(crate) fn start(client: Client) -> Option<Self> {
        let (variable, script) = match client {
            Client::Ours => return None,
            Client::Python => ("BOURSE_PYTHON", "python/peer.py"),
            Client::JavaScript => ("BOURSE_NODE", "js/peer.js"),
        };
        let Some(program) = std::env::var_os(variable) else {
            eprintln!("NOT CHECKED: {variable} is unset; `cargo xtask test` sets it");
            return None;
        };
        Some(Self::run(program, script))
    }

    fn run(program: OsString, script: &str) -> Self {
        let mut process = Command::new(program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            orders: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        }
    }

    /// Has it be the client of a cell.
    pub(crate) async fn try_as(&mut self, cell: Cell, router: &Running, eligible: u64) -> Result<(), String> {
        let (authid, secret) = routers::user(cell.login);
        let order = json!({
            "url": router.url(cell.transport),
            "realm": routers::REALM,
            "serializer": format!("{:?}", cell.serializer).to_lowercase(),
            "method": cell.login.method(),
            "authid": authid,
            "secret": secret,
            "eligible": eligible,
        });
        self.orders
            .write_all(format!("{order}\n").as_bytes())
            .await
            .map_err(|error| format!("the client takes no orders any more: {error}"))?;
        let answer = timeout(PATIENCE, self.answers.next_line())
            .await
            .map_err(|_| "the client says nothing".to_owned())?
            .map_err(|error| error.to_string())?
            .ok_or("the client has ended")?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
        if let Some(error) = answer.get("error") {
            return Err(error.to_string());
        }
        expect("the far side", &answer["seen"], &json!("ok"))?;
        if let Some(authid) = authid {
            expect("authid", &answer["authid"], &json!(authid))?;
        }
        expect("authrole", &answer["authrole"], &json!(routers::role(cell.login)))?;
        expect("authmethod", &answer["authmethod"], &json!(cell.login.method()))
    }
}
