//! The host's end of the socket.

use super::{Answer, Envelope, MAX_LINE, MAX_SIGNATURE, Request};
use crate::market::Market;
use crate::policies::Manager;
use crate::status::Report;
use crate::{bind, quarantine};
use anyhow::{Context, ensure};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Commands at a time.
const AT_ONCE: usize = 4;
/// How long a command may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who carries commands out.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Those about policies.
    pub(crate) policies: Manager,
    /// Those about the ledger.
    pub(crate) market: Arc<Market>,
}

impl Desk {
    fn carry_out(
        &self,
        request: Request,
        component: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<serde_json::Value, String> {
        let spelled = |value: serde_json::Result<serde_json::Value>| value.map_err(|error| error.to_string());
        match request {
            Request::Policy(request) => {
                let reply = self.policies.carry_out(request, component, signature)?;
                spelled(serde_json::to_value(reply))
            }
            Request::Ledger(request) => {
                let reply = quarantine::carry_out(&self.market, request)?;
                spelled(serde_json::to_value(reply))
            }
            Request::Bind(request) => {
                let reply = bind::carry_out(&self.market, request)?;
                spelled(serde_json::to_value(reply))
            }
            Request::Status => {
                let report = Report::of(&self.market).map_err(|error| error.to_string())?;
                spelled(serde_json::to_value(report))
            }
        }
    }
}

/// Removes the socket when the host stops; one that is left over is replaced at the next start.
struct Unlink(PathBuf);

impl Drop for Unlink {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Answers commands until `stop`; the task ends once the socket is gone. Only one process holds the data folder, so a socket that is there is a dead one's.
pub(crate) fn serve(
    path: &Path,
    desk: Desk,
    max_component: usize,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let failed = || {
        format!(
            "cannot open the control socket {} (a path of at most 107 bytes)",
            path.display()
        )
    };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(failed),
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).with_context(failed)?;
    let unlink = Unlink(path.to_owned());
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    Ok(tokio::spawn(async move {
        let _unlink = unlink;
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "the control socket");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let desk = desk.clone();
            tokio::spawn(async move {
                let _slot = slot;
                if let Err(error) = answer(stream, desk, max_component).await {
                    tracing::warn!("a command on the control socket: {error:#}");
                }
            });
        }
    }))
}

async fn answer(stream: UnixStream, desk: Desk, max_component: usize) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    let read = tokio::time::timeout(PATIENCE, read(&mut stream, max_component)).await;
    let answer = match read.context("it did not arrive in time").and_then(|read| read) {
        Ok((envelope, component, signature)) => {
            // Not what it is: signatures may be in it.
            tracing::debug!("a command came over the control socket");
            let carried_out = tokio::task::spawn_blocking(move || {
                desk.carry_out(envelope.request, &component, signature.as_deref())
            })
            .await
            .context("it could not be carried out")?;
            match carried_out {
                Ok(reply) => Answer::Ok(reply),
                Err(error) => Answer::Error(error),
            }
        }
        Err(error) => Answer::Error(format!("{error:#}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    let stream = stream.get_mut();
    stream.write_all(&line).await?;
    Ok(stream.shutdown().await?)
}

async fn read(
    stream: &mut BufReader<UnixStream>,
    max_component: usize,
) -> anyhow::Result<(Envelope, Vec<u8>, Option<Vec<u8>>)> {
    let mut line = Vec::new();
    (&mut *stream)
        .take(MAX_LINE as u64)
        .read_until(b'\n', &mut line)
        .await?;
    let envelope: Envelope = serde_json::from_slice(&line).context("this is no command")?;
    ensure!(
        envelope.component <= max_component,
        "the component has {} bytes, the limit is {max_component}: see policies.component_max",
        envelope.component
    );
    let signature = envelope.signature.unwrap_or(0);
    ensure!(
        signature <= MAX_SIGNATURE,
        "the signature has {signature} bytes, the limit is {MAX_SIGNATURE}"
    );
    let component = bytes(stream, envelope.component).await?;
    let signature = match envelope.signature {
        Some(length) => Some(bytes(stream, length).await?),
        None => None,
    };
    Ok((envelope, component, signature))
}

async fn bytes(stream: &mut BufReader<UnixStream>, length: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream
        .read_exact(&mut bytes)
        .await
        .context("it ends in the middle")?;
    Ok(bytes)
}
