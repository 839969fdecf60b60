//! A host with ten policies, compiled at an earlier start: how soon it is ready, and what it takes while nobody asks it
//! for anything.

use crate::limits::runtime;
use crate::market::serving;
use crate::process::{Running, resident, start, ticks_of};
use crate::report::{RUNS, Report, median};
use bourse_tests::Web;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long nobody asks.
const IDLE: Duration = Duration::from_secs(10);
/// From one question whether it is ready to the next.
const PAUSE: Duration = Duration::from_millis(1);

pub(crate) fn measure(report: &mut Report) {
    let lines = ["host.ready.10", "host.idle.10", "host.memory.10"];
    if !lines.iter().any(|line| report.wants(line)) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    policies(&data.join("policies"));
    drop(host(&data));
    let mut took = Vec::new();
    let mut running = None;
    for _ in 0..RUNS {
        drop(running.take());
        let begun = Instant::now();
        running = Some(host(&data));
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    report.value("host.ready.10", median(took.into_iter()), "ms");

    let pid = running.as_ref().unwrap().0.id();
    let before = ticks_of(pid);
    std::thread::sleep(IDLE);
    let share = (ticks_of(pid) - before).as_secs_f64() / IDLE.as_secs_f64();
    report.value("host.idle.10", share * 100.0, "% of a processor");
    let mib = resident(pid) as f64 / f64::from(1 << 20);
    report.value("host.memory.10", mib, "MiB");
}

/// The shipped policies, as an operator's own.
fn policies(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/dist");
    let mut count = 0;
    for entry in std::fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
            count += 1;
        }
    }
    assert_eq!(count, 10, "the names of the lines say ten");
}

/// Starts one, and waits until it says that it is ready.
fn host(data: &Path) -> Running {
    let (process, address) = start(&mut serving(data), |line| {
        let (_, rest) = line.split_once("http://")?;
        rest.split('/').next()?.parse::<SocketAddr>().ok()
    });
    let web = Web::new(address);
    runtime().block_on(async {
        while web.get("/readyz").await.status != 200 {
            tokio::time::sleep(PAUSE).await;
        }
    });
    process
}
