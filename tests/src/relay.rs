//! A wire to a node or a router that can be cut, or go silent.

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
    /// How often it went silent: what stands then is silent for good.
    silences: watch::Sender<u32>,
    connections: Arc<AtomicU32>,
}

impl Relay {
    /// A wire to whatever is at `url`.
    pub async fn to(url: &str) -> Self {
        let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        let node = behind_scheme.split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, connections) = (watch::Sender::new(false), Arc::new(AtomicU32::new(0)));
        let silences = watch::Sender::new(0);
        let (cuts, silenced, count) = (cut.subscribe(), silences.subscribe(), Arc::clone(&connections));
        tokio::spawn(async move {
            loop {
                let (mut here, _) = listener.accept().await.unwrap();
                let (mut cut, mut silences) = (cuts.clone(), silenced.clone());
                if *cut.borrow() {
                    continue;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let node = node.clone();
                silences.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut there) = TcpStream::connect(node).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut here, &mut there) => return,
                        _ = cut.wait_for(|cut| *cut) => return,
                        _ = silences.changed() => {}
                    }
                    // Both ends stay open, and neither hears of the other any more.
                    let _ = cut.wait_for(|cut| *cut).await;
                });
            }
        });
        Self {
            address,
            cut,
            silences,
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

    /// Carries nothing any more over the connections that there are, and ends none of them: as a network whose state is
    /// lost. New ones are as good as ever.
    pub fn fall_silent(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }

    /// Connections that were made over it.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}
