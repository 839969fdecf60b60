//! The listeners beside WebSocket and RawSocket, which are always there: TLS and the unix socket. And how many
//! connections this process can have, which the system decides.

use crate::config::Config;
use crate::host::WS_PATH;
use anyhow::Context;
use bourse_wamp::{Limits, Router, ServerTls, SocketMode};
use rustix::process::{Resource, getrlimit, setrlimit};

/// File descriptors for all else: the ledger, policies, the log, nodes and whoever looks at figures.
const RESERVED_FILES: usize = 256;

/// A listener that is open.
#[derive(Debug, Clone)]
pub struct Listener {
    /// What is spoken there, for people.
    pub what: &'static str,
    /// The URL for clients; its port is a real one even where the configuration says 0.
    pub url: String,
}

/// Opens what the configuration asks for.
///
/// # Errors
///
/// If a certificate cannot be used, or a place is taken.
pub(crate) async fn open(config: &Config, router: &Router) -> anyhow::Result<Vec<Listener>> {
    let wamp = &config.wamp;
    let mut open = Vec::new();
    let tls = match (&wamp.tls_certificate, &wamp.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(ServerTls::from_files(certificate, key).context("TLS cannot be set up")?)
        }
        _ => None,
    };
    if let (Some(address), Some(tls)) = (wamp.listen_wss, &tls) {
        let bound = router
            .listen_wss(address, WS_PATH, tls)
            .await
            .with_context(|| taken("wamp.listen_wss", &address))?;
        open.push(Listener {
            what: "WebSocket",
            url: format!("wss://{bound}{WS_PATH}"),
        });
    }
    if let (Some(address), Some(tls)) = (wamp.listen_rss, &tls) {
        let bound = router
            .listen_rss(address, tls)
            .await
            .with_context(|| taken("wamp.listen_rss", &address))?;
        open.push(Listener {
            what: "RawSocket",
            url: format!("rss://{bound}"),
        });
    }
    if let Some(socket) = &wamp.listen_unix {
        let mode = if wamp.unix_group {
            SocketMode::Group
        } else {
            SocketMode::Owner
        };
        router
            .listen_unix(socket, mode, WS_PATH)
            .await
            .with_context(|| taken("wamp.listen_unix", &socket.display()))?;
        // A URL has the whole path.
        let whole = std::path::absolute(socket).unwrap_or_else(|_| socket.clone());
        open.push(Listener {
            what: "unix socket",
            url: format!("unix://{}", whole.display()),
        });
    }
    Ok(open)
}

fn taken(setting: &str, place: &dyn std::fmt::Display) -> String {
    format!("cannot listen on {place}, as {setting} asks for")
}

/// What the router holds its clients to: as configured, and no more connections than there are file descriptors for.
pub(crate) fn limits(config: &Config) -> Limits {
    within(configured(config), files())
}

/// What is configured of that.
pub(crate) fn configured(config: &Config) -> Limits {
    Limits {
        connections_per_address: config.wamp.connections_per_address,
        connection_rate: config.wamp.connection_rate,
        calls_per_second: config.wamp.calls_per_second,
        publications_per_second: config.wamp.publications_per_second,
        changes_per_second: config.wamp.changes_per_second,
        ..Limits::default()
    }
}

fn within(mut limits: Limits, files: Option<usize>) -> Limits {
    let Some(files) = files else {
        return limits;
    };
    let connections = files.saturating_sub(RESERVED_FILES).max(2);
    if connections < limits.sessions + limits.handshakes {
        limits.handshakes = limits.handshakes.min(connections / 4).max(1);
        let sessions = limits.sessions.min(connections - limits.handshakes);
        tracing::warn!(
            files,
            sessions,
            wanted = limits.sessions,
            "there are fewer file descriptors than sessions may be: raise the limit (`ulimit -n`, or LimitNOFILE of systemd)"
        );
        limits.sessions = sessions;
    }
    limits
}

/// How many files this process may have open, once it may have as many as the system lets it; none for any number.
fn files() -> Option<usize> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            // Systems have bounds beside the one that they tell.
            tracing::debug!(%error, "the limit of open files stays what it is");
            limit = getrlimit(Resource::Nofile);
        }
    }
    limit
        .current
        .map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_connections_than_file_descriptors_for_them() {
        let full = Limits::default();
        for files in [None, Some(1 << 20)] {
            assert_eq!(within(full.clone(), files).sessions, full.sessions);
        }
        for files in [0, 300, 1_024, 10_000] {
            let cut = within(full.clone(), Some(files));
            assert!(cut.sessions >= 1 && cut.handshakes >= 1);
            assert!(cut.sessions + cut.handshakes <= files.saturating_sub(RESERVED_FILES).max(2));
            assert!(cut.sessions > 2 * cut.handshakes || files < 1_024, "{cut:?}");
        }
    }
}
