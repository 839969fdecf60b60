//! What tests see of a market from outside: its figures, its policies, and that something has come at last.

use crate::World;
use bourse_policy::PolicyStatus;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The figures as Prometheus reads them: the series of `name` by their labels, an empty text where there are none.
pub fn figures(world: &World, name: &str) -> BTreeMap<String, u64> {
    let mut stream = TcpStream::connect(world.host().addresses().http).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    page.lines()
        .filter_map(|line| {
            let series = line.strip_prefix(name)?;
            let (labels, count) = match series.strip_prefix('{') {
                Some(labelled) => labelled.split_once("} ")?,
                None => ("", series.strip_prefix(' ')?),
            };
            Some((labels.to_owned(), count.trim().parse().unwrap()))
        })
        .collect()
}

/// All about one policy.
pub fn policy_status(world: &World, name: &str) -> PolicyStatus {
    let mut all = world.host().policies();
    all.retain(|status| status.name == name);
    all.pop().unwrap()
}

/// Waits until `there` says so, for as long as a loaded machine may take.
pub async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !there().await {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
