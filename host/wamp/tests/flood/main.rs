//! A flood of connections that are silent, drip or hang up, while a client trades: what they took comes back, and the
//! client hardly notices. In a process of its own, since it counts the files and the memory of the whole.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

mod attackers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bourse_wamp::{
    CallOptions, CallResult, Dict, JoinOptions, Router, RouterConfig, Serializer, Session, Users, connect_ws,
};
use rustix::process::{Resource, getrlimit, setrlimit};

/// How long the client trades before the flood, to know what is usual.
const QUIET: Duration = Duration::from_secs(2);
/// Attackers that are there at a time.
const AT_A_TIME: usize = 2_000;
/// What allocators and pools may keep of a flood.
const KEPT: usize = 32 << 20;

/// Whether everything runs at its full size.
fn long() -> bool {
    std::env::var_os("BOURSE_LONG").is_some()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// Calls one after the other until told to stop; how long each took, in order of that.
async fn trade(session: &Session, stop: impl Fn() -> bool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !stop() {
        let begun = Instant::now();
        let options = CallOptions {
            timeout: Some(Duration::from_secs(10)),
            ..CallOptions::default()
        };
        let called = session.call("bourse.echo", vec![vec![7_u8; 32].into()], Dict::new(), options);
        called.await.unwrap();
        took.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    took.sort();
    took
}

fn p99(took: &[Duration]) -> Duration {
    took[(took.len() * 99 / 100).min(took.len() - 1)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_leaves_nothing_behind_and_a_trading_client_hardly_notices() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();

    let mut config = RouterConfig::default();
    // All of them come from one address.
    config.limits.connections_per_address = 0;
    config.limits.connection_rate = 0;
    config.limits.handshake = Duration::from_secs(2);
    let router = Router::new(config, Arc::new(Users::new(true)));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let ws = router.listen_ws(any, "/ws").await.unwrap();
    let rs = router.listen_rs(any).await.unwrap();
    let market = Session::join(router.local_link(), JoinOptions::default())
        .await
        .unwrap();
    market
        .register("bourse.echo", async |call: bourse_wamp::Invocation| {
            Ok(CallResult {
                args: call.args,
                kwargs: call.kwargs,
            })
        })
        .await
        .unwrap();
    let link = connect_ws(&format!("ws://{ws}/ws"), Serializer::Cbor)
        .await
        .unwrap();
    let client = Session::join(link, JoinOptions::default()).await.unwrap();

    // Buffers and threads that are made once are there already.
    attackers::flood(ws, rs, 200, AT_A_TIME).await;
    settled(&router, 1).await;
    let before = (open_files(), resident());
    let until = Instant::now() + QUIET;
    let quiet = trade(&client, || Instant::now() >= until).await;

    let over = AtomicBool::new(false);
    let count = if long() { 10_000 } else { 1_500 };
    let begun = Instant::now();
    let (flooded, ()) = tokio::join!(trade(&client, || over.load(Ordering::Relaxed)), async {
        attackers::flood(ws, rs, count, AT_A_TIME).await;
        over.store(true, Ordering::Relaxed);
    });
    settled(&router, 1).await;

    let after = (open_files(), resident());
    let ratio = p99(&flooded).as_secs_f64() / p99(&quiet).as_secs_f64();
    let stats = router.connections();
    println!(
        "{count} connections in {:.1} s, {} displaced: p99 {:?} of {} calls, quiet {:?} of {}, ratio {ratio:.1}; files {} -> {}, \
         memory {} -> {} KiB",
        begun.elapsed().as_secs_f64(),
        stats.displaced,
        p99(&flooded),
        flooded.len(),
        p99(&quiet),
        quiet.len(),
        before.0,
        after.0,
        before.1 >> 10,
        after.1 >> 10,
    );
    assert!(
        after.0 <= before.0,
        "files stay open: {} -> {}",
        before.0,
        after.0
    );
    assert!(
        after.1 <= before.1 + KEPT,
        "memory is not given back: {} -> {}",
        before.1,
        after.1
    );
    // The aim is 3 on a machine that does nothing else, and the line above says how far it is met. Here the attackers work
    // on the router's processors, and so do other tests.
    assert!(
        ratio <= 20.0 || p99(&flooded) < Duration::from_millis(5),
        "p99 is {ratio:.1} times that of quiet"
    );
    trade(&client, || true).await;
}

/// Waits until only these sessions are left.
async fn settled(router: &Router, sessions: usize) {
    let settled = async {
        loop {
            let stats = router.connections();
            if stats.handshakes == 0 && stats.sessions == sessions {
                // The last sockets are closed by their writers.
                tokio::time::sleep(Duration::from_millis(500)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), settled)
        .await
        .unwrap_or_else(|_| panic!("connections are left over: {:?}", router.connections()));
}
