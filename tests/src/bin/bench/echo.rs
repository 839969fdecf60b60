//! Calls through a router and back, beside what the machine allows: for each serializer, through the embedded router and
//! through Crossbar.io, with a bare WebSocket that answers in the same run as the limit.
//!
//! A call crosses four sockets, caller to router to callee and back, where the limit crosses two. Callers and callee are as bare
//! as the limit's clients are, the callee in a process of its own; `wamp.echo` has sessions of our own instead.

use crate::bare;
use crate::limits::runtime;
use crate::market::Host;
use crate::process::{cpu_of, start};
use crate::report::{Figures, RUN, RUNS, Ratio, Report};
use crate::wamp::run;
use crate::{IN_FLIGHT, limits};
use bourse_tests::{Crossbar, Setup};
use bourse_wamp::Serializer;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// The argument that makes this program the other side of `limit.websocket`.
pub(crate) const WEBSOCKET_SERVER: &str = "--websocket-server";

/// Measures every line of this file that is asked for: those with as many in flight in turn.
pub(crate) fn measure(report: &mut Report) {
    for n in IN_FLIGHT {
        let limit = format!("limit.websocket.{n}");
        let embedded = wanted(report, "wamp.echo", n);
        let crossbar = wanted(report, "crossbar.echo", n);
        if embedded.is_empty() && crossbar.is_empty() && !report.wants(&limit) {
            continue;
        }
        let host = (!embedded.is_empty()).then(Host::start);
        let node = (!crossbar.is_empty()).then(node).flatten();
        let host = host.iter().map(Router::Embedded).zip([embedded]);
        let node = node.iter().map(Router::Crossbar).zip([crossbar]);
        let mut lines: Vec<Line<'_>> = host.chain(node).flat_map(lines).collect();
        let mut limits = Vec::new();
        for _ in 0..RUNS {
            limits.push(websocket(n));
            for line in &mut lines {
                line.run(n);
            }
        }
        report.line(&limit, &limits, None);
        for line in &lines {
            report.line(&line.name, &line.runs, Some((&limit, Ratio::Throughput)));
        }
    }
}

/// The lines that are asked for, by their serializers.
fn wanted(report: &Report, line: &str, n: usize) -> Vec<(String, Serializer)> {
    Serializer::ALL
        .map(|serializer| (format!("{line}.{}.{n}", name(serializer)), serializer))
        .into_iter()
        .filter(|(line, _)| report.wants(line))
        .collect()
}

fn lines((router, wanted): (Router<'_>, Vec<(String, Serializer)>)) -> Vec<Line<'_>> {
    let line = |(name, serializer)| Line {
        name,
        serializer,
        router,
        runs: Vec::new(),
    };
    wanted.into_iter().map(line).collect()
}

/// Calls over one serializer through one router.
struct Line<'a> {
    name: String,
    serializer: Serializer,
    router: Router<'a>,
    runs: Vec<Figures>,
}

#[derive(Clone, Copy)]
enum Router<'a> {
    Embedded(&'a Host),
    Crossbar(&'a Crossbar),
}

impl Line<'_> {
    fn run(&mut self, n: usize) {
        let serializer = self.serializer;
        let (url, pids) = match self.router {
            Router::Embedded(host) => (host.url().to_owned(), vec![host.pid()]),
            Router::Crossbar(node) => (node.url(), node.pids()),
        };
        let cpu = || pids.iter().copied().map(cpu_of).sum();
        self.runs
            .push(runtime().block_on(calls(&url, serializer, n, cpu)));
    }
}

fn name(serializer: Serializer) -> String {
    format!("{serializer:?}").to_lowercase()
}

/// A node of Crossbar.io that lets everybody do everything, as the embedded router does outside of the market's names.
fn node() -> Option<Crossbar> {
    let auth = json!({"anonymous": {"type": "static", "role": "anonymous"}});
    Crossbar::start(&Setup::open("realm1", &["anonymous"], auth))
}

/// One run, with sessions of its own.
async fn calls(url: &str, serializer: Serializer, n: usize, cpu: impl Fn() -> Duration) -> Figures {
    let mut warm = Vec::with_capacity(n);
    let (_callee, callers) = bare::callers(url, serializer, n).await;
    for caller in callers {
        // Whatever is made at the first call is not measured.
        let (caller, _) = bare::call(caller).await;
        warm.push(caller);
    }
    run(warm, cpu, bare::call).await
}

/// Round trips of frames as long as a small call and its result over WebSockets, with `n` connections.
fn websocket(n: usize) -> Figures {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let (server, address) = start(command.arg(WEBSOCKET_SERVER), |line| {
        line.parse::<SocketAddr>().ok()
    });
    let pid = server.0.id();
    runtime().block_on(async {
        let (before, started) = (cpu_of(pid), Instant::now());
        let clients: Vec<_> = (0..n)
            .map(|_| tokio::spawn(websocket_client(address, started)))
            .collect();
        let mut samples = Vec::new();
        for client in clients {
            samples.extend(client.await.unwrap());
        }
        Figures::of(samples, started.elapsed(), cpu_of(pid) - before)
    })
}

async fn websocket_client(address: SocketAddr, started: Instant) -> Vec<Duration> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{address}/"), stream)
        .await
        .unwrap();
    let mut samples = Vec::new();
    while started.elapsed() < RUN {
        let begun = Instant::now();
        socket.send(Message::binary(vec![1; limits::CALL])).await.unwrap();
        socket.next().await.unwrap().unwrap();
        samples.push(begun.elapsed());
    }
    samples
}

/// The other side: answers every frame on every connection until it is killed.
pub(crate) fn serve_websocket() {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                while let Some(Ok(_)) = socket.next().await {
                    let result = Message::binary(vec![1; limits::RESULT]);
                    if socket.send(result).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
}
