//! A node between a market and its node, which fails as it is told.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
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
    /// As the node behind it does, a byte at a time with so long between two.
    Trickles(Duration),
    /// Never.
    Silent,
    /// With these bytes for a body, whatever was asked.
    Says(&'static str),
    /// That it has enough for now (HTTP 429).
    Busy,
    /// As the node behind it, but that it refuses this method with a code and these words.
    Refuses(&'static str, i64, &'static str),
    /// As the node behind it, to those who ask for little, and not too often.
    Limits(Arc<Limiter>),
    /// As the node behind it, but for this.
    Lies(Twist),
}

impl Mood {
    /// Whatever the node behind it answers goes through `twist`, with the method.
    pub fn lies(twist: impl Fn(&str, Value) -> Value + Send + Sync + 'static) -> Self {
        Self::Lies(Arc::new(twist))
    }
}

/// What a node that many share lets one ask.
#[derive(Debug)]
pub struct Limiter {
    /// Blocks that one question about the log may be of.
    pub blocks: u64,
    /// Events that an answer may hold.
    pub events: usize,
    /// Questions in a second.
    pub per_second: u32,
    asked: Mutex<(Instant, u32)>,
    /// Questions that were answered, and how many were turned away since they came too soon.
    pub answered: AtomicU32,
    pub turned_away: AtomicU32,
}

impl Limiter {
    pub fn new(blocks: u64, events: usize, per_second: u32) -> Arc<Self> {
        Arc::new(Self {
            blocks,
            events,
            per_second,
            asked: Mutex::new((Instant::now(), 0)),
            answered: AtomicU32::new(0),
            turned_away: AtomicU32::new(0),
        })
    }

    /// Whether this question comes too soon after those before.
    fn is_hasty(&self) -> bool {
        let mut asked = self.asked.lock();
        if asked.0.elapsed() >= Duration::from_secs(1) {
            *asked = (Instant::now(), 0);
        }
        asked.1 += 1;
        let hasty = asked.1 > self.per_second;
        let count = if hasty { &self.turned_away } else { &self.answered };
        count.fetch_add(1, Ordering::Relaxed);
        hasty
    }

    /// What is refused of a question, or of its answer.
    fn refuses(&self, asked: &Value, said: &Value) -> Option<String> {
        if asked["method"] != "eth_getLogs" {
            return None;
        }
        let block = |name: &str| {
            let text = asked["params"][0][name].as_str().unwrap_or_default();
            u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
        };
        if block("toBlock") - block("fromBlock") >= self.blocks {
            return Some(format!("block range is too wide: at most {}", self.blocks));
        }
        let events = said["result"].as_array().map_or(0, Vec::len);
        (events > self.events).then(|| format!("query returned more than {} results", self.events))
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
    let (status, body) = match &mood {
        Mood::Limits(limiter) if limiter.is_hasty() => {
            ("429 Too Many Requests\r\nRetry-After: 1", b"slow down".to_vec())
        }
        Mood::Limits(limiter) => {
            let said = ask(node, &asked).await?;
            let question: Value = serde_json::from_slice(&asked)?;
            match limiter.refuses(&question, &serde_json::from_slice(&said)?) {
                None => ("200 OK", said),
                Some(message) => ("200 OK", refusal(&question, -32005, &message)),
            }
        }
        Mood::Busy => ("429 Too Many Requests", b"slow down".to_vec()),
        Mood::Says(body) => ("200 OK", body.as_bytes().to_vec()),
        Mood::Refuses(method, code, message) if asks(&asked, method) => (
            "200 OK",
            refusal(&serde_json::from_slice(&asked)?, *code, message),
        ),
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
    if let Mood::Trickles(pause) = mood {
        for byte in body {
            tokio::time::sleep(pause).await;
            stream.write_all(&[byte]).await?;
        }
        return Ok(());
    }
    stream.write_all(&body).await
}

fn refusal(asked: &Value, code: i64, message: &str) -> Vec<u8> {
    let error = json!({ "code": code, "message": message });
    json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error })
        .to_string()
        .into_bytes()
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
