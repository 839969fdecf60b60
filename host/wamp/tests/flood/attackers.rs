//! Whoever floods a router: sockets by hand, each of one kind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// New connections in a second.
const RATE: u64 = 1_000;
/// Between two bytes of a peer that drips.
const DRIP: Duration = Duration::from_secs(1);
/// Longer than any of them is left its place.
const PATIENCE: Duration = Duration::from_secs(20);

const UPGRADE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: wamp.2.cbor\r\n\r\n";
const RAW_GREETING: &[u8] = &[0x7f, 0xf3, 0, 0];

/// What an attacker does once it is connected.
#[derive(Clone, Copy)]
enum Kind {
    Silent,
    HangsUp,
    /// Sends what a client would, a byte a second.
    Drips,
    /// Goes silent after the framing's handshake.
    Greets,
}

/// Opens `count` connections, half of them silent, half over each transport; ends when the last of them has ended.
pub(crate) async fn flood(ws: SocketAddr, rs: SocketAddr, count: usize, at_a_time: usize) {
    let places = Arc::new(Semaphore::new(at_a_time));
    let mut attackers = JoinSet::new();
    let mut clock = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
    for number in 0..count {
        clock.tick().await;
        let place = places.clone().acquire_owned().await.unwrap();
        let kind = match number % 8 {
            0..=3 => Kind::Silent,
            4 | 5 => Kind::HangsUp,
            6 => Kind::Drips,
            _ => Kind::Greets,
        };
        let (address, greeting) = if number / 8 % 2 == 0 {
            (ws, UPGRADE)
        } else {
            (rs, RAW_GREETING)
        };
        attackers.spawn(async move {
            // That it is cut off is what is wanted.
            let _ = tokio::time::timeout(PATIENCE, attack(kind, address, greeting)).await;
            drop(place);
        });
        while attackers.try_join_next().is_some() {}
    }
    attackers.join_all().await;
}

async fn attack(kind: Kind, address: SocketAddr, greeting: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    match kind {
        Kind::Silent => {}
        Kind::HangsUp => return Ok(()),
        Kind::Greets => stream.write_all(greeting).await?,
        Kind::Drips => {
            for byte in greeting {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(DRIP).await;
            }
        }
    }
    // Until the router hangs up.
    let mut answer = [0; 256];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}
