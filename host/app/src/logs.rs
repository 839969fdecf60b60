//! Lines on standard error: from which level on, in which form; and the filter changed while the process runs. Beside them, the
//! spans of calls, where a collector is named for them.

use crate::config::{LogFormat, Logging};
use crate::otlp;
use anyhow::Context;
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// The variable that goes before the setting.
pub(crate) const VARIABLE: &str = "RUST_LOG";

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Whether a filter can be one.
///
/// # Errors
///
/// What of it makes no sense.
pub(crate) fn check(filter: &str) -> anyhow::Result<()> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(filter).with_context(|| {
        format!("log.filter is \"{filter}\": expected levels by module, such as \"warn,bourse_app=info\"")
    })
}

/// The filter of the environment, if there is one that makes sense.
fn given() -> Option<EnvFilter> {
    std::env::var(VARIABLE)
        .ok()
        .and_then(|filter| parse(&filter).ok())
}

/// Tells lines from here on. Only the first call of a process counts.
///
/// # Errors
///
/// If the filter makes no sense.
pub(crate) fn start(settings: &Logging) -> anyhow::Result<()> {
    start_with(settings, None)
}

/// The same for a market that runs: where a collector is named, it gets the spans of calls, until [`otlp::finish`].
///
/// # Errors
///
/// If the filter makes no sense, or the collector cannot be one.
pub(crate) fn start_serving(settings: &Logging) -> anyhow::Result<()> {
    start_with(settings, settings.otlp.as_deref())
}

fn start_with(settings: &Logging, collector: Option<&str>) -> anyhow::Result<()> {
    let filter = match given() {
        Some(filter) => filter,
        None => parse(&settings.filter)?,
    };
    let (filter, handle) = reload::Layer::new(filter);
    let harmless = filter_fn(|line| !tells_frames(line));
    let registry = tracing_subscriber::registry();
    let started = match collector {
        // Filters of the whole rather than of one layer, which each span would pay for with 0.9 us.
        None => registry
            .with(filter)
            .with(harmless)
            .with(lines(settings.format))
            .try_init(),
        // What is told is one thing, what a collector gets another. Of two filters in one the lower hint counts, and none
        // where either has none: with this one, what is not told costs as little as under the other alone.
        Some(collector) => {
            let harmless = harmless.with_max_level_hint(LevelFilter::TRACE);
            registry
                .with(lines(settings.format).with_filter(filter.and(harmless)))
                .with(otlp::spans(collector)?)
                .try_init()
        }
    };
    if started.is_ok() {
        let _ = FILTER.set(handle);
    }
    Ok(())
}

/// What writes the lines.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Pretty => {
            let colours = std::io::stderr().is_terminal();
            lines.with_ansi(colours).with_target(false).boxed()
        }
        // The call is the outermost span, and what is done for it within may have one too.
        LogFormat::Json => lines.json().with_span_list(true).boxed(),
    }
}

/// Libraries that tell, of every message, all of it: tickets, keys and signatures too.
const TELL_FRAMES: [&str; 5] = ["tungstenite", "tokio_tungstenite", "hyper", "h2", "reqwest"];

/// Whether a line may have a message in it. None of these is ever told, whatever the filter.
fn tells_frames(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    *line.level() > Level::INFO && TELL_FRAMES.contains(&library)
}

/// Takes another filter from here on.
///
/// # Errors
///
/// If it makes no sense, or the environment's goes before it.
pub(crate) fn change(filter: &str) -> anyhow::Result<()> {
    let filter = parse(filter)?;
    anyhow::ensure!(
        given().is_none(),
        "the environment variable {VARIABLE} goes before it"
    );
    let handle = FILTER
        .get()
        .context("another logger was set up in this process")?;
    handle.reload(filter).context("the filter cannot be changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_makes_no_sense_is_told_beside_one_that_does() {
        check("warn,bourse_app=info").unwrap();
        check("debug,[call{procedure=x}]=trace").unwrap();
        let said = format!("{:#}", check("bourse_app=loud").unwrap_err());
        assert!(
            said.contains("bourse_app=loud") && said.contains("such as \"warn,"),
            "{said}"
        );
    }
}
