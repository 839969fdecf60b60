//! A node between a market and its node, which fails as it is told.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of the answer to a question, by its method.
type Twist = Arc<dyn Fn(&str, Value) -> Value + Send + Sync>;

/// How the node answers.
#[derive(Clone)]
pub enum Mood {
    /// As the node behind it does.
    Honest,
    /// Not at all: connections are closed at once.
    Down,
    /// As the node behind it does, after so long.
    Slow(Duration),
    /// Never.
    Silent,
    /// With these bytes for a body, whatever was asked.
    Says(&'static str),
    /// That it has enough for now (HTTP 429).
    Busy,
    /// As the node behind it, but that it refuses this method with a code and these words.
    Refuses(&'static str, i64, &'static str),
    /// As the node behind it, but for this.
    Lies(Twist),
}

impl Mood {
    /// Whatever the node behind it answers goes through `twist`, with the method.
    pub fn lies(twist: impl Fn(&str, Value) -> Value + Send + Sync + 'static) -> Self {
        Self::Lies(Arc::new(twist))
    }
}

/// A gateway to a node. It ends with the test's runtime.
pub struct Gateway {
    address: SocketAddr,
    node: Arc<Mutex<String>>,
    mood: Arc<Mutex<Mood>>,
}

impl Gateway {
    /// A gateway to the node at `url`, honest at first.
    pub async fn to(url: &str) -> Self {
        let node = Arc::new(Mutex::new(host(url)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mood = Arc::new(Mutex::new(Mood::Honest));
        let (nodes, moods) = (Arc::clone(&node), Arc::clone(&mood));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (node, mood) = (nodes.lock().clone(), moods.lock().clone());
                // Whoever hangs up in the middle is none of our concern.
                tokio::spawn(async move { answer(stream, &node, mood).await });
            }
        });
        Self { address, node, mood }
    }

    /// From now on it leads to the node at `url`.
    pub fn lead_to(&self, url: &str) {
        *self.node.lock() = host(url);
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on.
    pub fn be(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }
}

/// Host and port.
fn host(url: &str) -> String {
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

async fn answer(mut stream: TcpStream, node: &str, mood: Mood) -> std::io::Result<()> {
    let asked = match &mood {
        Mood::Down => return Ok(()),
        Mood::Silent => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return Ok(());
        }
        Mood::Slow(pause) => {
            let asked = read(&mut stream).await?;
            tokio::time::sleep(*pause).await;
            asked
        }
        _ => read(&mut stream).await?,
    };
    let (status, body) = match mood {
        Mood::Busy => ("429 Too Many Requests", b"slow down".to_vec()),
        Mood::Says(body) => ("200 OK", body.as_bytes().to_vec()),
        Mood::Refuses(method, code, message) if asks(&asked, method) => {
            let id = serde_json::from_slice::<Value>(&asked)?["id"].clone();
            let refusal =
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } });
            ("200 OK", refusal.to_string().into_bytes())
        }
        Mood::Lies(twist) => {
            let mut said: Value = serde_json::from_slice(&ask(node, &asked).await?)?;
            let method = serde_json::from_slice::<Value>(&asked)?["method"].clone();
            if let Some(result) = said.get_mut("result") {
                *result = twist(method.as_str().unwrap_or_default(), result.take());
            }
            ("200 OK", said.to_string().into_bytes())
        }
        _ => ("200 OK", ask(node, &asked).await?),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await
}

fn asks(body: &[u8], method: &str) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|asked| asked["method"] == method)
}

/// The body of a request, or of an answer.
async fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = vec![0; 16 * 1024];
        let count = stream.read(&mut chunk).await?;
        bytes.extend_from_slice(&chunk[..count]);
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= end + length {
                return Ok(bytes[end..end + length].to_vec());
            }
        }
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn ask(node: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(node).await?;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {node}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    read(&mut stream).await
}

/// A number as nodes spell it.
pub fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}
