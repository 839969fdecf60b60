//! HTTP as a test wants it: what is sent is what the test says, headers that no honest client would send among them.

use serde_json::Value as Json;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where a test asks, and what it says in every question.
#[derive(Debug, Clone)]
pub struct Web {
    pub address: SocketAddr,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Web {
    /// Asks as this machine's user.
    pub fn new(address: SocketAddr) -> Self {
        let port = address.port();
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            headers: Vec::new(),
        }
        .with("Host", &format!("127.0.0.1:{port}"))
    }

    /// Says this as well, in the place of what was said under the same name.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut web = self.clone();
        web.headers.retain(|(there, _)| there != name);
        web.headers.push((name.to_owned(), value.to_owned()));
        web
    }

    /// Brings the operator's token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send("GET", path, &[]).await
    }

    pub async fn post(&self, path: &str, body: &[u8]) -> Page {
        self.send("POST", path, body).await
    }

    /// What is asked for, which must be there.
    pub async fn json(&self, path: &str) -> Json {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        page.json()
    }

    async fn send(&self, method: &str, path: &str, body: &[u8]) -> Page {
        let length = format!("Content-Length: {}\r\n", body.len());
        let mut stream = self.begin(method, path, &length).await;
        // The host may answer, and close, before it has read all: what it says counts then.
        let _ = stream.write_all(body).await;
        Page::read(stream).await
    }

    /// Sends the head of a request, with further lines of it, and leaves the rest to the test.
    pub async fn begin(&self, method: &str, path: &str, more: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{more}");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }
}

impl Page {
    /// Reads an answer to its end.
    pub async fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = match end {
            Some(end) => (&bytes[..end], &bytes[end + 4..]),
            None => (&bytes[..], &[][..]),
        };
        let head = String::from_utf8_lossy(head).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = match head.contains("transfer-encoding: chunked") {
            true => unchunked(body),
            false => body.to_vec(),
        };
        let body = String::from_utf8(body).unwrap();
        Self {
            status: status.unwrap_or(0),
            head,
            body,
        }
    }

    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The code of a refusal with this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let said = self.json();
        let words = said["error"].as_str().unwrap();
        assert!(!words.is_empty());
        said["code"].as_str().unwrap().to_owned()
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&rest[..end]).ok();
        let length = length.and_then(|length| usize::from_str_radix(length, 16).ok());
        let from = end + 2;
        match length {
            Some(length) if length > 0 && rest.len() >= from + length + 2 => {
                whole.extend(&rest[from..from + length]);
                rest = &rest[from + length + 2..];
            }
            _ => break,
        }
    }
    whole
}
