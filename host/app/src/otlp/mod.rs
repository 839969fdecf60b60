//! Spans of calls for a collector of OpenTelemetry, over OTLP/HTTP, where the setting `log.otlp` names one and the feature `otlp`
//! is built in.
//!
//! What lives here: what is sent, how it is sent, and what the log says while nobody takes it. What never does: anything that a
//! call waits for, and a word that no line may have either.

#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod http;
#[cfg(feature = "otlp")]
mod trouble;

#[cfg(feature = "otlp")]
pub(crate) use export::{finish, spans};
#[cfg(not(feature = "otlp"))]
pub(crate) use without::{finish, spans};

use anyhow::{Context, ensure};
use axum::http::Uri;
use axum::http::uri::Authority;

/// Where below its base URL a collector takes spans.
const TRACES: &str = "/v1/traces";

/// Whether a collector may be at `url`, and could get anything from this binary.
///
/// # Errors
///
/// What is wrong with it, or that this binary sends nothing.
pub(crate) fn check(url: &str) -> anyhow::Result<()> {
    check_in(url, cfg!(feature = "otlp"))
}

fn check_in(url: &str, sends: bool) -> anyhow::Result<()> {
    // What stands behind the host may be a secret.
    let shown = bourse_chain::without_secrets(url);
    ensure!(
        sends,
        "log.otlp is \"{shown}\", and this binary sends no spans: build it with `--features otlp`, or leave the setting out"
    );
    base(url).with_context(|| {
        format!(
            "log.otlp is \"{shown}\": expected the base URL of a collector that takes OTLP over HTTP, such as \
             \"http://127.0.0.1:4318\""
        )
    })
}

fn base(url: &str) -> anyhow::Result<()> {
    let uri: Uri = url.parse()?;
    ensure!(
        matches!(uri.scheme_str(), Some("http" | "https")),
        "it must begin with http:// or https://"
    );
    let authority = uri.authority().context("it names no host")?;
    ensure!(
        !authority.as_str().contains('@'),
        "it has a user in it: a credential goes into the environment variable OTEL_EXPORTER_OTLP_HEADERS"
    );
    ensure!(
        has_a_host(authority),
        "it names no host, or no port that can be one"
    );
    ensure!(
        uri.query().is_none() && !url.contains('#'),
        "it has a query or a fragment"
    );
    ensure!(
        !uri.path().trim_end_matches('/').ends_with(TRACES),
        "{TRACES} is added to it: leave that out"
    );
    Ok(())
}

/// Whether a host stands there, and behind it a port or nothing.
fn has_a_host(authority: &Authority) -> bool {
    let host = authority.host();
    let behind = authority.as_str().strip_prefix(host);
    !host.is_empty()
        && match behind {
            Some("") => true,
            Some(behind) => {
                let port = behind.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
                port.is_some_and(|port| port > 0)
            }
            None => false,
        }
}

/// A binary without the feature: the setting is refused before anything gets here.
#[cfg(not(feature = "otlp"))]
mod without {
    use tracing_subscriber::layer::Identity;

    /// # Errors
    ///
    /// Always: that this binary sends nothing.
    pub(crate) fn spans(collector: &str) -> anyhow::Result<Identity> {
        super::check(collector).map(|()| Identity::new())
    }

    pub(crate) fn finish() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(url: &str, why: &str) {
        let said = format!("{:#}", check_in(url, true).unwrap_err());
        assert!(said.starts_with("log.otlp is \"") && said.contains(why), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn a_base_url_of_a_collector_is_taken() {
        for url in [
            "http://127.0.0.1:4318",
            "http://localhost",
            "http://[::1]:4318/",
            "https://collector.example.org/otlp",
            "https://collector.example.org:443/a/path/",
        ] {
            check_in(url, true).unwrap();
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_would_be_right() {
        for (url, why) in [
            ("", "such as \"http://127.0.0.1:4318\""),
            ("127.0.0.1:4318", "http:// or https://"),
            ("/v1/traces", "http:// or https://"),
            ("grpc://127.0.0.1:4317", "http:// or https://"),
            ("http://", "such as"),
            ("http://a host", "such as"),
            ("http://host:99999", "port"),
            ("http://host:0", "port"),
            ("http://host:", "port"),
            ("http://user:secret@host:4318", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("http://host:4318?key=secret", "query"),
            ("http://host:4318/#secret", "fragment"),
            ("http://host:4318/v1/traces", "is added to it"),
            ("http://host:4318/secret/v1/traces/", "is added to it"),
        ] {
            refused(url, why);
        }
    }

    #[test]
    fn a_binary_that_sends_nothing_refuses_every_url() {
        for url in ["http://127.0.0.1:4318", "nonsense"] {
            let said = check_in(url, false).unwrap_err().to_string();
            assert!(
                said.contains("log.otlp") && said.contains("--features otlp"),
                "{said}"
            );
        }
    }

    #[test]
    fn the_configuration_names_the_setting() {
        let mut config = crate::config::Config::default();
        config.check().unwrap();
        config.log.otlp = Some("http://user:secret@host".to_owned());
        let said = format!("{:#}", config.check().unwrap_err());
        assert!(said.contains("log.otlp is \"http://host\""), "{said}");
    }
}
