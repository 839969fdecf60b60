//! A wire to a node that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A wire. It ends with the test's runtime.
pub struct Relay {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    connections: Arc<AtomicU32>,
}

impl Relay {
    /// A wire to the node at `url`.
    pub async fn to(url: &str) -> Self {
        let node = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, connections) = (watch::Sender::new(false), Arc::new(AtomicU32::new(0)));
        let (cuts, count) = (cut.subscribe(), Arc::clone(&connections));
        tokio::spawn(async move {
            loop {
                let (mut here, _) = listener.accept().await.unwrap();
                let mut cut = cuts.clone();
                if *cut.borrow() {
                    continue;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let node = node.clone();
                tokio::spawn(async move {
                    let mut there = TcpStream::connect(node).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut here, &mut there) => {}
                        _ = cut.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Self {
            address,
            cut,
            connections,
        }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends what goes over it, and takes nothing new.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Takes connections again.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }

    /// Connections that were made over it.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}
