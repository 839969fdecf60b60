//! A collector of OpenTelemetry: it takes spans over OTLP/HTTP as it is told, and keeps all it was sent.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use parking_lot::Mutex;
use prost::Message;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// It takes it.
    All,
    /// It says that it cannot now.
    Nothing,
    /// It reads it and never answers.
    Forever,
}

/// The attributes of something, as texts.
pub type Attributes = BTreeMap<String, String>;

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    pub name: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    /// Empty at the root of a trace.
    pub parent: Vec<u8>,
    pub kind: SpanKind,
    pub attributes: Attributes,
    /// Its status, if that is an error.
    pub error: Option<String>,
    pub began_ns: u64,
    pub ended_ns: u64,
    /// What went wrong in it.
    pub events: Vec<String>,
}

impl Span {
    /// An attribute; empty if it has none of that name.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug)]
struct State {
    takes: Takes,
    heads: Vec<String>,
    bodies: Vec<Vec<u8>>,
}

/// The collector. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct Collector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Collector {
    pub async fn start(takes: Takes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                takes,
                heads: Vec::new(),
                bodies: Vec::new(),
            })),
        };
        let state = Arc::clone(&collector.state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&state);
                // Whoever hangs up in the middle is none of our concern.
                tokio::spawn(async move { answer(stream, &state).await });
            }
        });
        collector
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it does from now on.
    pub fn takes(&self, takes: Takes) {
        self.state.lock().takes = takes;
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.state.lock().heads.clone()
    }

    /// Everything it was sent, taken or not, byte by byte.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.state.lock().bodies.clone()
    }

    /// All spans it was sent, with who sent them.
    pub fn spans(&self) -> Vec<(Attributes, Span)> {
        let mut spans = Vec::new();
        for body in self.bodies() {
            let request = ExportTraceServiceRequest::decode(&*body).unwrap();
            for batch in request.resource_spans {
                let sender = texts(batch.resource.unwrap().attributes);
                let sent = batch.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(sent.map(|span| (sender.clone(), read(span))));
            }
        }
        spans
    }
}

fn read(span: opentelemetry_proto::tonic::trace::v1::Span) -> Span {
    let (kind, status) = (span.kind(), span.status.unwrap_or_default());
    Span {
        kind,
        name: span.name,
        trace: span.trace_id,
        id: span.span_id,
        parent: span.parent_span_id,
        attributes: texts(span.attributes),
        error: (status.code() == StatusCode::Error).then_some(status.message),
        began_ns: span.start_time_unix_nano,
        ended_ns: span.end_time_unix_nano,
        events: span.events.into_iter().map(|event| event.name).collect(),
    }
}

fn texts(attributes: Vec<KeyValue>) -> Attributes {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => panic!("an attribute is {other:?}"),
    };
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, text(attribute.value)))
        .collect()
}

async fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut sent = Vec::new();
    let end = loop {
        if let Some(end) = sent.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut sent).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&sent[..end]).into_owned();
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    let mut body = sent.split_off(end);
    while body.len() < length.unwrap_or_default() {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(());
        }
    }
    let takes = {
        let mut state = state.lock();
        state.heads.push(head);
        state.bodies.push(body);
        state.takes
    };
    let (status, body) = match takes {
        Takes::All => ("200 OK", ExportTraceServiceResponse::default().encode_to_vec()),
        Takes::Nothing => ("503 Service Unavailable", Vec::new()),
        Takes::Forever => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return Ok(());
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await
}
