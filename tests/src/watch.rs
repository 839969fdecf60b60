//! What tests see of a market from outside: its figures, its policies, and that something has come at last.

use crate::World;
use bourse_policy::PolicyStatus;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What `GET` of a path answers, with its head.
pub fn get(http: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// The figures as Prometheus reads them: the series of `name` by their labels, an empty text where there are none.
pub fn figures(world: &World, name: &str) -> BTreeMap<String, u64> {
    let page = get(world.http(), "/metrics");
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
    found(what, async || there().await.then_some(())).await;
}

/// Looks again and again until there is something, for as long as a loaded machine may take.
pub async fn found<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A page over HTTP: the status line, and what is on it.
pub async fn page(address: SocketAddr, path: &str) -> (String, String) {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.lines().next().unwrap_or_default().to_owned(),
        body.to_owned(),
    )
}
