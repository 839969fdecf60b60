//! What is sent, and from where: one thread makes batches of the spans that ended, and posts them. A call that ends a span puts it
//! into a queue with a bound, or drops it where that is full.

use super::http::{PATIENCE, Post};
use super::trouble::Trouble;
use super::{TRACES, check};
use anyhow::Context as _;
use opentelemetry::trace::{SpanId, SpanKind, Status, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

/// How long a stop waits for the last spans to be taken.
const LAST: Duration = Duration::from_secs(2);
/// What our crates' targets begin with.
const OURS: &str = "bourse_";
/// The spans that traces begin with; see `procedures` and `outbox`.
const CALL: &str = "call";
const TRANSACTION: &str = "transaction";
/// The spans of questions to others; see `purchase` and `bourse-chain`.
const QUESTIONS: [&str; 2] = ["seller", "node"];

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer that has the spans of calls sent to `collector`, until [`finish`].
///
/// # Errors
///
/// If `collector` cannot be one.
pub(crate) fn spans<S>(collector: &str) -> anyhow::Result<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    check(collector)?;
    let exporter = Collector::at(collector)?;
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_span_processor(OfCalls(BatchSpanProcessor::builder(exporter).build()))
        .build();
    let tracer = provider.tracer("bourse");
    let _ = PROVIDER.set(provider);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_error_events_to_status(false)
        .with_error_events_to_exceptions(false)
        .with_error_fields_to_exceptions(false)
        .with_error_records_to_exceptions(false);
    let ours = filter_fn(is_sent).with_max_level_hint(LevelFilter::DEBUG);
    Ok(layer.with_filter(ours))
}

/// Sends what is left, or gives it up after a while. Nothing is sent from here on.
pub(crate) fn finish() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(LAST)
    {
        tracing::warn!(%error, "the last spans were not taken in time, and are lost");
    }
}

/// Our spans, and with them what went wrong in one. What libraries say is theirs, the exporter's client among them.
fn is_sent(about: &Metadata<'_>) -> bool {
    about.target().starts_with(OURS) && (about.is_span() || *about.level() <= Level::WARN)
}

/// Who sends. `OTEL_RESOURCE_ATTRIBUTES` goes before it.
fn resource() -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "bourse"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ])
        .build()
}

/// Lets nothing into the queue but spans of calls, so that the market's own work takes no place from them.
#[derive(Debug)]
struct OfCalls(BatchSpanProcessor);

impl SpanProcessor for OfCalls {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if is_of_a_call(&span) {
            self.0.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// The collector, as the thread that makes batches sees it.
#[derive(Debug)]
struct Collector {
    /// As it may be shown.
    name: String,
    exporter: opentelemetry_otlp::SpanExporter,
    /// Why the last request failed.
    failure: Arc<Mutex<String>>,
    trouble: Mutex<Trouble>,
}

impl Collector {
    fn at(url: &str) -> anyhow::Result<Self> {
        let failure = Arc::default();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Post::new(Arc::clone(&failure))?)
            .with_endpoint(format!("{}{TRACES}", url.trim_end_matches('/')))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .build()
            .context("no spans can be sent to log.otlp")?;
        Ok(Self {
            name: bourse_chain::without_secrets(url),
            exporter,
            failure,
            trouble: Mutex::default(),
        })
    }

    /// Tells of a batch that was taken, or was not, if that is to be told.
    fn tell(&self, taken: bool, spans: usize) {
        let mut trouble = self.trouble.lock();
        if taken {
            if let Some(lost) = trouble.over() {
                tracing::info!(collector = self.name, lost, "the collector takes spans again");
            }
        } else if let Some(lost) = trouble.lost(spans, Instant::now()) {
            let why = self.failure.lock().clone();
            tracing::warn!(
                collector = self.name,
                why,
                lost,
                "the collector takes no spans: they are lost, and calls go on"
            );
        }
    }
}

impl SpanExporter for Collector {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(dress);
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        self.tell(sent.is_ok(), spans);
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Whether a span belongs to a call, or to a transaction that one led to. What the market does unasked, a step along its chain or
/// a sweep, is no trace that anybody looks for.
fn is_of_a_call(span: &SpanData) -> bool {
    span.parent_span_id != SpanId::INVALID || [CALL, TRANSACTION].contains(&&*span.name)
}

/// Gives a span what tools that show traces go by: a call the name of its procedure and the error it was refused with, and each
/// the side that it is.
fn dress(span: &mut SpanData) {
    let text = |span: &SpanData, name: &str| {
        let mut found = span.attributes.iter();
        let found = found.find(|attribute| attribute.key.as_str() == name)?;
        Some(found.value.as_str().into_owned())
    };
    if QUESTIONS.contains(&&*span.name) {
        span.span_kind = SpanKind::Client;
    }
    if span.name == CALL {
        span.span_kind = SpanKind::Server;
        if let Some(error) = text(span, "error") {
            span.status = Status::error(error);
        }
        if let Some(procedure) = text(span, "procedure") {
            span.name = procedure.into();
        }
    }
}
