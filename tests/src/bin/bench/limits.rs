//! What the machine allows, without a market: sockets, signatures, commits, the sandbox.

use crate::IN_FLIGHT;
use crate::process::{cpu_of, cpu_of_self, start};
use crate::report::{Figures, RUN, RUNS, Ratio, Report, repeat};
use bourse_chain::{Signer, recover};
use bourse_market::{Address, Amount, Command, FundRequest, Genesis, MarketId, Nanos};
use bourse_store::{Options, Stamp, Store};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The argument that makes this program the other side of `limit.echo`.
pub(crate) const ECHO_SERVER: &str = "--echo-server";
/// Commands under way at a time where commits are shared.
const GROUP: usize = 64;
/// Bytes of a small call, and of its result.
pub(crate) const CALL: usize = 49;
pub(crate) const RESULT: usize = 150;

/// Measures the limits of commits; the others are measured in turn with what they are limits of.
pub(crate) fn measure(report: &mut Report) {
    let dependents = IN_FLIGHT.map(|n| format!("wamp.place_offer.{n}"));
    let commits = report.wants("limit.commit") || dependents.iter().any(|name| report.wants(name));
    if commits {
        let runs: Vec<Figures> = (0..RUNS).map(|_| commit(1)).collect();
        report.line("limit.commit", &runs, None);
        let runs: Vec<Figures> = (0..RUNS).map(|_| commit(GROUP)).collect();
        let name = format!("limit.commit.{GROUP}");
        report.line(&name, &runs, Some(("limit.commit", Ratio::Throughput)));
    }
}

/// The bare signature work of a purchase, for as long as it is asked for: two recoveries and two signatures at a time.
pub(crate) struct Signatures {
    signer: Signer,
    samples: Vec<Duration>,
    elapsed: Duration,
    cpu: Duration,
}

impl Signatures {
    pub(crate) fn new() -> Self {
        Self {
            signer: Signer::generate(),
            samples: Vec::new(),
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
        }
    }

    /// Goes on for `time`.
    pub(crate) fn measure(&mut self, time: Duration) {
        let digest = [7; 32];
        let signature = self.signer.sign(&digest);
        let own = std::process::id();
        let (before, started) = (cpu_of(own), Instant::now());
        while started.elapsed() < time {
            let begun = Instant::now();
            for _ in 0..2 {
                std::hint::black_box(recover(&digest, &signature).unwrap());
                std::hint::black_box(self.signer.sign(&digest));
            }
            self.samples.push(begun.elapsed());
        }
        self.elapsed += started.elapsed();
        self.cpu += cpu_of(own) - before;
    }

    /// What it came to, and from here anew.
    pub(crate) fn figures(&mut self) -> Figures {
        let samples = std::mem::take(&mut self.samples);
        let elapsed = std::mem::take(&mut self.elapsed);
        Figures::of(samples, elapsed, std::mem::take(&mut self.cpu))
    }
}

/// Durable commits of one small record each, `n` waiting at a time: the writer puts those that wait into one.
fn commit(n: usize) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let (market, marketmaker) = (MarketId([1; 16]), Address([1; 20]));
    let stamp = Stamp {
        mode: "local".to_owned(),
        chain_id: 1337,
        contract: marketmaker,
        market,
        marketmaker,
    };
    let store = Store::open(Options::at(folder.path()), &stamp).unwrap();
    let genesis = Genesis {
        market,
        marketmaker,
        owner: marketmaker,
        float: Amount::ZERO,
        local: true,
        at: Nanos(0),
    };
    store.submit_blocking(Command::Genesis(genesis)).unwrap();
    let fund = FundRequest {
        address: Address([2; 20]),
        amount: Amount::from_units(1),
        at: Nanos(0),
    };
    let figures = if n == 1 {
        repeat(|| {
            store.submit_blocking(Command::Fund(fund.clone())).unwrap();
        })
    } else {
        runtime().block_on(together(&store, &fund, n))
    };
    store.shutdown();
    figures
}

/// As many tasks, each with one command under way.
async fn together(store: &Store, fund: &FundRequest, n: usize) -> Figures {
    let (before, started) = (cpu_of_self(), Instant::now());
    let tasks: Vec<_> = (0..n)
        .map(|_| {
            let (store, fund) = (store.clone(), fund.clone());
            tokio::spawn(async move {
                let mut samples = Vec::new();
                while started.elapsed() < RUN {
                    let begun = Instant::now();
                    store.submit(Command::Fund(fund.clone())).await.unwrap();
                    samples.push(begun.elapsed());
                }
                samples
            })
        })
        .collect();
    let mut samples = Vec::new();
    for task in tasks {
        samples.extend(task.await.unwrap());
    }
    Figures::of(samples, started.elapsed(), cpu_of_self() - before)
}

/// Round trips of frames as long as a small call and its result, over TCP, with `n` connections.
pub(crate) fn echo(n: usize) -> Figures {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let (server, address) = start(command.arg(ECHO_SERVER), |line| line.parse::<SocketAddr>().ok());
    let pid = server.0.id();
    runtime().block_on(async {
        let before = cpu_of(pid);
        let started = Instant::now();
        let clients: Vec<_> = (0..n)
            .map(|_| tokio::spawn(echo_client(address, started)))
            .collect();
        let mut samples = Vec::new();
        for client in clients {
            samples.extend(client.await.unwrap());
        }
        Figures::of(samples, started.elapsed(), cpu_of(pid) - before)
    })
}

async fn echo_client(address: SocketAddr, started: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (call, mut result) = ([1; CALL], [0; RESULT]);
    let mut samples = Vec::new();
    while started.elapsed() < RUN {
        let begun = Instant::now();
        stream.write_all(&call).await.unwrap();
        stream.read_exact(&mut result).await.unwrap();
        samples.push(begun.elapsed());
    }
    samples
}

/// The other side: answers every call on every connection until it is killed.
pub(crate) fn serve_echo() {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let (mut call, result) = ([0; CALL], [1; RESULT]);
                while stream.read_exact(&mut call).await.is_ok() && stream.write_all(&result).await.is_ok() {}
            });
        }
    });
}

/// A runtime on all processors, of which the host gives half to its sockets.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}
