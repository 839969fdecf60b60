//! A network between a seller and its market that loses, delays and breaks off what passes over it.
//!
//! It relays WebSocket frames as they are. Of each it reads the numbers that a WAMP message begins with, which is enough to
//! tell a question to `sell` and its answer from everything else that a seller says and hears.

use crate::{World, until};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const ERROR: u64 = 8;
const REGISTER: u64 = 64;
const REGISTERED: u64 = 65;
const INVOCATION: u64 = 68;
const INTERRUPT: u64 = 69;
const YIELD: u64 = 70;

/// Frames that may wait on their way to one side.
const QUEUE: usize = 64;

/// What becomes of one question to a seller, and of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Both arrive.
    Deliver,
    /// The seller never hears the question.
    LoseQuestion,
    /// The market never hears the answer.
    LoseAnswer,
    /// The answer takes so much longer.
    Delay(Duration),
    /// The connection breaks before the question arrives.
    BreakAtQuestion,
    /// The connection breaks before the answer arrives.
    BreakAtAnswer,
}

/// Where a seller connects instead of to its market. It is gone when this is dropped.
pub struct Network {
    url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    market: Mutex<SocketAddr>,
    fates: Mutex<VecDeque<Fate>>,
    answered: AtomicUsize,
}

impl Network {
    /// A network that delivers everything, for now.
    pub async fn before(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}{}", listener.local_addr().unwrap(), bourse_app::WS_PATH);
        let shared = Arc::new(Shared {
            market: Mutex::new(world.ws()),
            fates: Mutex::default(),
            answered: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            url,
            shared,
            accepting,
        }
    }

    /// Where the seller connects.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Leads to the market where it is now; for one that was started anew.
    pub fn lead_to(&self, world: &World) {
        *self.shared.market.lock() = world.ws();
    }

    /// What becomes of the next questions, in order, one after another; those after them are delivered.
    pub fn plan(&self, fates: impl IntoIterator<Item = Fate>) {
        *self.shared.fates.lock() = fates.into_iter().collect();
    }

    /// Whether everything planned has come to pass.
    pub fn is_done(&self) -> bool {
        self.shared.fates.lock().is_empty()
    }

    /// Answers of the seller so far, whatever became of them.
    pub fn answers(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Waits until the seller has given so many answers.
    pub async fn answered(&self, answers: usize) {
        until("an answer of the seller's", async || self.answers() >= answers).await;
    }

    /// Waits until everything planned has come to pass.
    pub async fn fulfilled(&self) {
        until("a question to the seller", async || self.is_done()).await;
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((seller, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A connection ends with either side; how it ended is the test's to notice.
        tokio::spawn(async move { relay(seller, shared).await });
    }
}

/// What one connection knows of its calls.
#[derive(Default)]
struct Calls {
    /// The request that registers `sell`.
    registering: Option<u64>,
    /// The registration of `sell`.
    sell: Option<u64>,
    under_way: HashMap<u64, Fate>,
}

struct Line {
    shared: Arc<Shared>,
    calls: Mutex<Calls>,
}

/// What is done with one frame.
enum Step {
    Pass,
    Drop,
    Later(Duration),
    Break,
}

async fn relay(seller: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let market = *shared.market.lock();
    let market = TcpStream::connect(market).await?;
    let ((mut from_seller, mut to_seller), (mut from_market, mut to_market)) =
        (seller.into_split(), market.into_split());
    to_market.write_all(&handshake(&mut from_seller).await?).await?;
    to_seller.write_all(&handshake(&mut from_market).await?).await?;

    let line = Line {
        shared,
        calls: Mutex::default(),
    };
    let (to_market_side, mut up) = mpsc::channel::<Vec<u8>>(QUEUE);
    let (to_seller_side, mut down) = mpsc::channel::<Vec<u8>>(QUEUE);
    // Whatever ends first breaks the connection: both sockets are dropped.
    tokio::select! {
        end = carry(&mut from_seller, to_market_side, |frame| line.upwards(frame)) => end,
        end = carry(&mut from_market, to_seller_side, |frame| line.downwards(frame)) => end,
        end = async { while let Some(frame) = up.recv().await { to_market.write_all(&frame).await?; } Ok(()) } => end,
        end = async { while let Some(frame) = down.recv().await { to_seller.write_all(&frame).await?; } Ok(()) } => end,
    }
}

/// Carries frames from one side towards the other.
async fn carry(
    from: &mut OwnedReadHalf,
    to: mpsc::Sender<Vec<u8>>,
    judge: impl Fn(&Frame) -> Step,
) -> io::Result<()> {
    loop {
        let frame = Frame::read(from).await?;
        match judge(&frame) {
            Step::Pass => to.send(frame.bytes).await.map_err(io::Error::other)?,
            Step::Drop => {}
            Step::Later(delay) => {
                let to = to.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    // The connection may have ended meanwhile.
                    let _ = to.send(frame.bytes).await;
                });
            }
            Step::Break => return Ok(()),
        }
    }
}

impl Line {
    /// A frame on its way to the seller.
    fn downwards(&self, frame: &Frame) -> Step {
        let mut calls = self.calls.lock();
        match frame.numbers().as_slice() {
            [REGISTERED, request, registration] if Some(*request) == calls.registering => {
                calls.sell = Some(*registration);
            }
            [INVOCATION, request, registration] if Some(*registration) == calls.sell => {
                let fate = self.shared.fates.lock().pop_front().unwrap_or(Fate::Deliver);
                calls.under_way.insert(*request, fate);
                match fate {
                    Fate::LoseQuestion => return Step::Drop,
                    Fate::BreakAtQuestion => return Step::Break,
                    _ => {}
                }
            }
            // What never arrived is not interrupted either.
            [INTERRUPT, request, ..] if calls.under_way.get(request) == Some(&Fate::LoseQuestion) => {
                return Step::Drop;
            }
            _ => {}
        }
        Step::Pass
    }

    /// A frame on its way to the market.
    fn upwards(&self, frame: &Frame) -> Step {
        let mut calls = self.calls.lock();
        let request = match frame.numbers().as_slice() {
            [REGISTER, request] if frame.says(b".sell") => {
                calls.registering = Some(*request);
                return Step::Pass;
            }
            [YIELD, request] | [ERROR, INVOCATION, request] => *request,
            _ => return Step::Pass,
        };
        let Some(fate) = calls.under_way.remove(&request) else {
            return Step::Pass;
        };
        self.shared.answered.fetch_add(1, Ordering::SeqCst);
        match fate {
            Fate::LoseAnswer => Step::Drop,
            Fate::Delay(delay) => Step::Later(delay),
            Fate::BreakAtAnswer => Step::Break,
            _ => Step::Pass,
        }
    }
}

/// A WebSocket frame as it came, and what is in it.
struct Frame {
    bytes: Vec<u8>,
    payload: Vec<u8>,
}

impl Frame {
    async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = vec![0; 2];
        from.read_exact(&mut bytes).await?;
        let (fin, masked, short) = (bytes[0] & 0x80 != 0, bytes[1] & 0x80 != 0, bytes[1] & 0x7f);
        assert!(fin, "neither side cuts its messages into fragments");
        let wide = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let length = more(from, &mut bytes, wide).await?;
        let length = match wide {
            0 => usize::from(short),
            _ => length
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
        };
        let mask = more(from, &mut bytes, if masked { 4 } else { 0 }).await?;
        let mut payload = more(from, &mut bytes, length).await?;
        if masked {
            payload
                .iter_mut()
                .zip(mask.iter().cycle())
                .for_each(|(byte, mask)| *byte ^= mask);
        }
        Ok(Self { bytes, payload })
    }

    /// The numbers that its message begins with: what kind it is, and whom it belongs to. At most three; none if it is no
    /// message at all, such as a ping.
    fn numbers(&self) -> Vec<u64> {
        match self.payload.split_first() {
            Some((b'[', rest)) => json_numbers(rest),
            Some((array, rest)) if array >> 5 == 4 => cbor_numbers(rest),
            _ => Vec::new(),
        }
    }

    fn says(&self, words: &[u8]) -> bool {
        self.payload.windows(words.len()).any(|window| window == words)
    }
}

/// Reads so many bytes on, and keeps them too.
async fn more(from: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>, count: usize) -> io::Result<Vec<u8>> {
    let mut read = vec![0; count];
    from.read_exact(&mut read).await?;
    bytes.extend_from_slice(&read);
    Ok(read)
}

const NUMBERS: usize = 3;

fn json_numbers(rest: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(rest);
    let number = |part: &str| part.trim().trim_end_matches(']').parse().ok();
    text.split(',').take(NUMBERS).map_while(number).collect()
}

fn cbor_numbers(mut rest: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some((&head, tail)) = rest.split_first()
        && numbers.len() < NUMBERS
        && head <= 0x1b
    {
        let wide = if head < 0x18 { 0 } else { 1 << (head - 0x18) };
        let Some((value, tail)) = tail.split_at_checked(wide) else {
            break;
        };
        numbers.push(match wide {
            0 => u64::from(head),
            _ => value
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        });
        rest = tail;
    }
    numbers
}

/// The head of the opening handshake, up to the empty line that ends it. Nobody sends more before it was answered.
async fn handshake(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    Ok(head)
}
