//! A gateway to IPFS that answers as it is told.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it says of one id.
#[derive(Debug, Clone)]
pub enum Says {
    /// This body.
    Body(Vec<u8>),
    /// No body, with this status.
    Status(&'static str),
    /// The way to another address.
    Elsewhere(String),
    /// A body that never ends.
    Endless,
    /// Nothing, ever.
    Nothing,
    /// A byte now and then.
    Trickle,
}

#[derive(Debug, Default)]
struct State {
    says: HashMap<String, Says>,
    asked: Vec<String>,
}

/// The gateway. It ends with the test's runtime; what it was not told of it has not.
#[derive(Debug, Clone)]
pub struct Ipfs {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Ipfs {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ipfs = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let state = Arc::clone(&ipfs.state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&state);
                // Whoever hangs up in the middle is none of our concern.
                tokio::spawn(async move { answer(stream, &state).await });
            }
        });
        ipfs
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it says of `id` from now on.
    pub fn says(&self, id: &str, says: Says) {
        self.state.lock().says.insert(id.to_owned(), says);
    }

    /// Every path that it was asked for, with the question behind it.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().asked.clone()
    }
}

async fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&chunk[..count]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let id = path.trim_start_matches("/ipfs/").trim_end_matches("?format=raw");
    let says = {
        let mut state = state.lock();
        state.asked.push(path.clone());
        state.says.get(id).cloned()
    };
    let (status, more, body) = match says.unwrap_or(Says::Status("404 Not Found")) {
        Says::Body(body) => ("200 OK", format!("Content-Length: {}\r\n", body.len()), body),
        Says::Status(status) => (status, "Content-Length: 0\r\n".to_owned(), Vec::new()),
        Says::Elsewhere(url) => (
            "302 Found",
            format!("Content-Length: 0\r\nLocation: {url}\r\n"),
            Vec::new(),
        ),
        Says::Endless => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                .await?;
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
        Says::Nothing => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return Ok(());
        }
        Says::Trickle => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                .await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    };
    let head = format!("HTTP/1.1 {status}\r\n{more}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await
}
