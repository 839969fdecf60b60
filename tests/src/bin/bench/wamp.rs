//! What clients feel: whole calls over real sockets.

use crate::IN_FLIGHT;
use crate::limits::{self, Signatures, runtime};
use crate::market::{Buyer, Host, Order, call};
use crate::process::cpu_of;
use crate::report::{Figures, RUN, RUNS, Ratio, Report};
use bourse_delegates::{Seller, Series};
use bourse_market::KeyId;
use bourse_wamp::{CallResult, Dict, Invocation, Session, Value};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Measures every line of this file that is asked for.
pub(crate) fn measure(report: &mut Report) {
    for n in IN_FLIGHT {
        echoes_and_quotes(report, n);
    }
    runtime().block_on(async {
        place_offers(report).await;
        buy_keys(report).await;
    });
}

/// Bare round trips, calls through the router and quotes, in turn.
fn echoes_and_quotes(report: &mut Report, n: usize) {
    let limit = format!("limit.echo.{n}");
    let (echoes, quotes) = (format!("wamp.echo.{n}"), format!("wamp.get_quote.{n}"));
    let share = format!("wamp.get_quote.share.{n}");
    let wants_echoes = report.wants(&echoes) || report.wants(&share);
    let wants_quotes = report.wants(&quotes) || report.wants(&share);
    if !report.wants(&limit) && !wants_echoes && !wants_quotes {
        return;
    }
    let runtime = runtime();
    let (bare, quoting) = (Host::start(), Host::start());
    let (mut limit_runs, mut echo_runs, mut quote_runs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        limit_runs.push(limits::echo(n));
        if wants_echoes {
            echo_runs.push(runtime.block_on(async {
                let clients = echo_clients(&bare, n).await;
                run(clients, || cpu_of(bare.pid()), echo).await
            }));
        }
        if wants_quotes {
            quote_runs.push(runtime.block_on(async {
                let clients = quote_clients(&quoting, n).await;
                run(clients, || cpu_of(quoting.pid()), get_quote).await
            }));
        }
    }
    report.line(&limit, &limit_runs, None);
    if wants_echoes {
        report.line(&echoes, &echo_runs, Some((&limit, Ratio::Cpu)));
    }
    if wants_quotes {
        report.line(&quotes, &quote_runs, Some((&limit, Ratio::Cpu)));
    }
    report.share(&share, &quotes, &echoes);
}

/// One run: as many operations as each client gets done one after the other. An operation says itself how long its timed
/// part took, `cpu` how much processor time was spent so far.
pub(crate) async fn run<C, F>(
    clients: Vec<C>,
    cpu: impl Fn() -> Duration,
    operation: impl Fn(C) -> F + Copy + Send + 'static,
) -> Figures
where
    C: Send + 'static,
    F: Future<Output = (C, Duration)> + Send + 'static,
{
    let (before, started) = (cpu(), Instant::now());
    let work = |mut client: C| async move {
        let mut samples = Vec::new();
        while started.elapsed() < RUN {
            let took;
            (client, took) = operation(client).await;
            samples.push(took);
        }
        samples
    };
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(work(client)))
        .collect();
    let mut samples = Vec::new();
    for task in tasks {
        samples.extend(task.await.unwrap());
    }
    Figures::of(samples, started.elapsed(), cpu() - before)
}

async fn sessions(host: &Host, n: usize) -> Vec<Session> {
    let mut sessions = Vec::with_capacity(n);
    for _ in 0..n {
        sessions.push(host.session().await);
    }
    sessions
}

/// A caller of a procedure that another client serves.
struct Echo {
    session: Session,
    procedure: Arc<str>,
    /// Lives as long as its callers.
    _callee: Session,
}

/// As many callers of one callee.
async fn echo_clients(host: &Host, n: usize) -> Vec<Echo> {
    let callee = host.session().await;
    let procedure: Arc<str> = format!("com.example.bench.echo{}", callee.id()).into();
    let echo = |call: Invocation| async move {
        Ok(CallResult {
            args: call.args,
            kwargs: Dict::new(),
        })
    };
    callee.register(&procedure, echo).await.unwrap();
    let mut callers = Vec::with_capacity(n);
    for _ in 0..n {
        callers.push(Echo {
            session: host.session().await,
            procedure: Arc::clone(&procedure),
            _callee: callee.clone(),
        });
    }
    callers
}

/// A round trip to another client's procedure: through the router twice.
async fn echo(client: Echo) -> (Echo, Duration) {
    let begun = Instant::now();
    call(
        &client.session,
        &client.procedure,
        vec![Value::Bytes(vec![7; 32])],
        Dict::new(),
    )
    .await;
    (client, begun.elapsed())
}

/// Whoever asks for the price of a dynamic offer; its seller stays connected meanwhile.
type Asker = (Session, KeyId, Arc<(Seller, Vec<Series>)>);

async fn quote_clients(host: &Host, n: usize) -> Vec<Asker> {
    let seller = Arc::new(host.seller(1).await);
    let key = seller.1[0].key();
    sessions(host, n)
        .await
        .into_iter()
        .map(|session| (session, key, Arc::clone(&seller)))
        .collect()
}

/// A quote, priced by `surge` each time.
async fn get_quote(client: Asker) -> (Asker, Duration) {
    let begun = Instant::now();
    call(
        &client.0,
        "xbr.marketmaker.get_quote",
        vec![client.1.0.into()],
        Dict::new(),
    )
    .await;
    (client, begun.elapsed())
}

/// One line for each number in flight, with a fresh host.
async fn place_offers(report: &mut Report) {
    for n in IN_FLIGHT {
        let name = format!("wamp.place_offer.{n}");
        if !report.wants(&name) {
            continue;
        }
        let host = Host::start();
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let clients = sessions(&host, n).await;
            runs.push(run(clients, || cpu_of(host.pid()), place_offer).await);
        }
        report.line(&name, &runs, Some(("limit.commit", Ratio::Throughput)));
    }
}

/// An offer without a price, durable when it is answered.
async fn place_offer(session: Session) -> (Session, Duration) {
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
    (session, begun.elapsed())
}

/// Quotes a buyer gets before it buys. They live for seconds, and a round of purchases at them lasts less than one.
const QUOTES: usize = 16;
/// How long the bare signatures are measured before each round.
const SIGNING: Duration = Duration::from_millis(200);

/// A buyer and the seller it buys from: one for each purchase in flight, since a paying channel carries one at a time.
struct Trader {
    buyer: Buyer,
    keys: Vec<KeyId>,
    /// Stays connected meanwhile.
    _seller: (Seller, Vec<Series>),
}

async fn trader(host: &Host) -> Trader {
    let seller = host.seller(QUOTES).await;
    Trader {
        buyer: host.buyer().await,
        keys: seller.1.iter().map(Series::key).collect(),
        _seller: seller,
    }
}

/// Purchases at live quotes, from sellers that seal and sign for real, in rounds: quotes and the buyers' signatures first,
/// which count neither in the durations nor in the host's processor time, then as many purchases. What a quote takes is
/// `wamp.get_quote`. Before each round the bare signatures are measured for a while.
async fn buy_keys(report: &mut Report) {
    for n in IN_FLIGHT {
        let (name, limit) = (format!("wamp.buy_key.{n}"), format!("limit.signatures.{n}"));
        if !report.wants(&name) && !report.wants(&limit) {
            continue;
        }
        let host = Host::start();
        let mut traders = Vec::with_capacity(n);
        for _ in 0..n {
            traders.push(trader(&host).await);
        }
        let (mut signatures, mut limits, mut runs) = (Signatures::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let (mut samples, mut elapsed, mut cpu) = (Vec::new(), Duration::ZERO, Duration::ZERO);
            while elapsed < RUN {
                let orders = each(traders, |mut trader: Trader| async move {
                    let orders = trader.buyer.prepare(&trader.keys).await;
                    (trader, orders)
                });
                let orders = orders.await;
                signatures.measure(SIGNING);
                let (before, started) = (cpu_of(host.pid()), Instant::now());
                let bought = each(orders, |(trader, orders): (Trader, Vec<Order>)| async move {
                    let mut took = Vec::with_capacity(orders.len());
                    for order in orders {
                        let begun = Instant::now();
                        trader.buyer.send(order).await;
                        took.push(begun.elapsed());
                    }
                    (trader, took)
                });
                let bought = bought.await;
                elapsed += started.elapsed();
                cpu += cpu_of(host.pid()) - before;
                traders = Vec::with_capacity(n);
                for (trader, took) in bought {
                    traders.push(trader);
                    samples.extend(took);
                }
            }
            runs.push(Figures::of(samples, elapsed, cpu));
            limits.push(signatures.figures());
        }
        report.line(&limit, &limits, None);
        report.line(&name, &runs, Some((&limit, Ratio::Cpu)));
    }
}

/// What `work` makes of each, all of them at once.
async fn each<T, U, F>(all: Vec<T>, work: impl Fn(T) -> F) -> Vec<U>
where
    U: Send + 'static,
    F: Future<Output = U> + Send + 'static,
{
    let tasks: Vec<_> = all.into_iter().map(|one| tokio::spawn(work(one))).collect();
    let mut done = Vec::with_capacity(tasks.len());
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}
