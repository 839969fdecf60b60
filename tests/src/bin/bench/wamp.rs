//! What clients feel: whole calls over real sockets.

use crate::IN_FLIGHT;
use crate::limits::runtime;
use crate::market::{Buyer, Host, call};
use crate::process::cpu_of;
use crate::report::{Figures, RUN, RUNS, Ratio, Report};
use bourse_market::KeyId;
use bourse_wamp::{CallResult, Dict, Session, Value};
use std::future::Future;
use std::time::{Duration, Instant};

/// A procedure of another client's.
const ECHO: &str = "com.example.bench.echo";

pub(crate) fn measure(report: &mut Report) {
    if !["wamp.echo", "wamp.get_quote", "wamp.place_offer", "wamp.buy_key"]
        .iter()
        .any(|name| IN_FLIGHT.iter().any(|n| report.wants(&format!("{name}.{n}"))))
    {
        return;
    }
    runtime().block_on(async {
        echo(report).await;
        get_quote(report).await;
        place_offer(report).await;
        buy_key(report).await;
    });
}

/// Runs `client` in `n` tasks for one run and measures the host.
async fn run<C, F>(pid: u32, clients: impl IntoIterator<Item = C>, work: impl Fn(C, Instant) -> F) -> Figures
where
    F: Future<Output = Vec<Duration>> + Send + 'static,
{
    let before = cpu_of(pid);
    let started = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(work(client, started)))
        .collect();
    let mut samples = Vec::new();
    for task in tasks {
        samples.extend(task.await.unwrap());
    }
    Figures::of(samples, started.elapsed(), cpu_of(pid) - before)
}

async fn sessions(host: &Host, n: usize) -> Vec<Session> {
    let mut sessions = Vec::with_capacity(n);
    for _ in 0..n {
        sessions.push(host.session().await);
    }
    sessions
}

/// Round trips to another client's procedure: through the router twice.
async fn echo(report: &mut Report) {
    for n in IN_FLIGHT {
        let name = format!("wamp.echo.{n}");
        if !report.wants(&name) {
            continue;
        }
        let host = Host::start();
        let callee = host.session().await;
        let echo = |invocation: bourse_wamp::Invocation| async move {
            Ok(CallResult {
                args: invocation.args,
                kwargs: Dict::new(),
            })
        };
        callee.register(ECHO, echo).await.unwrap();
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let clients = sessions(&host, n).await;
            let work = |session: Session, started: Instant| async move {
                let mut samples = Vec::new();
                while started.elapsed() < RUN {
                    let begun = Instant::now();
                    call(&session, ECHO, vec![Value::Bytes(vec![7; 32])], Dict::new()).await;
                    samples.push(begun.elapsed());
                }
                samples
            };
            runs.push(run(host.pid(), clients, work).await);
        }
        report.line(&name, &runs, Some((&format!("limit.echo.{n}"), Ratio::Cpu)));
    }
}

/// Quotes of a dynamic offer, priced by `surge` each time.
async fn get_quote(report: &mut Report) {
    for n in IN_FLIGHT {
        let name = format!("wamp.get_quote.{n}");
        if !report.wants(&name) {
            continue;
        }
        let host = Host::start();
        let (_seller, series) = host.seller().await;
        let key = series.key();
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let clients = sessions(&host, n).await;
            let work = move |session: Session, started: Instant| async move {
                let mut samples = Vec::new();
                while started.elapsed() < RUN {
                    let begun = Instant::now();
                    call(
                        &session,
                        "xbr.marketmaker.get_quote",
                        vec![key.0.into()],
                        Dict::new(),
                    )
                    .await;
                    samples.push(begun.elapsed());
                }
                samples
            };
            runs.push(run(host.pid(), clients, work).await);
        }
        report.line(&name, &runs, Some((&format!("limit.echo.{n}"), Ratio::Cpu)));
    }
}

/// Offers without a price, each durable when it is answered.
async fn place_offer(report: &mut Report) {
    for n in IN_FLIGHT {
        let name = format!("wamp.place_offer.{n}");
        if !report.wants(&name) {
            continue;
        }
        let host = Host::start();
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let clients = sessions(&host, n).await;
            let work = |session: Session, started: Instant| async move {
                let mut samples = Vec::new();
                while started.elapsed() < RUN {
                    let args = vec![
                        rand::random::<[u8; 16]>().into(),
                        [3; 16].into(),
                        Value::Str("com.example.bench".to_owned()),
                        Value::Int(0_u64.into()),
                        [4; 20].into(),
                        Value::Bytes(vec![1; 65]),
                    ];
                    let kwargs = Dict::from([("provider_id".to_owned(), Value::Str("bench".to_owned()))]);
                    let begun = Instant::now();
                    call(&session, "xbr.marketmaker.place_offer", args, kwargs).await;
                    samples.push(begun.elapsed());
                }
                samples
            };
            runs.push(run(host.pid(), clients, work).await);
        }
        report.line(&name, &runs, Some(("limit.commit", Ratio::Throughput)));
    }
}

/// Purchases at a live quote, from sellers that seal and sign for real, one for each purchase in flight: a paying channel
/// carries one sale at a time. The quote and the buyer's signature are not in
/// the duration, but the quote is in the host's processor time, as it is in a buyer's life.
async fn buy_key(report: &mut Report) {
    for n in IN_FLIGHT {
        let name = format!("wamp.buy_key.{n}");
        if !report.wants(&name) {
            continue;
        }
        let host = Host::start();
        let mut sellers = Vec::new();
        for _ in 0..n {
            sellers.push(host.seller().await);
        }
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let mut clients = Vec::with_capacity(n);
            for (_, series) in &sellers {
                clients.push((host.buyer().await, series.key()));
            }
            let work = |(mut buyer, key): (Buyer, KeyId), started: Instant| async move {
                let mut samples = Vec::new();
                while started.elapsed() < RUN {
                    let order = buyer.prepare(key).await;
                    let begun = Instant::now();
                    buyer.send(order).await;
                    samples.push(begun.elapsed());
                }
                samples
            };
            runs.push(run(host.pid(), clients, work).await);
        }
        report.line(&name, &runs, Some(("limit.signatures", Ratio::Cpu)));
    }
}
