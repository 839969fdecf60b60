//! Every bound of this crate, in one place.

use std::time::Duration;

/// Bytes of the largest frame read or written, 1 MiB. RawSocket can only announce powers of two.
pub const MAX_FRAME: usize = 1 << 20;
/// Containers inside containers, the message itself included. Deeper frames are malformed: recursive readers
/// of other libraries overflow their stacks between 128 and 1,000.
pub const MAX_DEPTH: usize = 64;
/// Values in one frame. A frame of empty lists grows thirty-fold when decoded; this caps it at some megabytes.
pub const MAX_VALUES: usize = 1 << 17;
/// Bytes of the longest URI. A provider's procedure needs about 150.
pub const MAX_URI: usize = 512;
/// Components of the longest wildcard that is registered or subscribed to. Each is free or given, so that there are at most
/// 2^7 ways in which one may match a URI, and each way is looked at.
pub const MAX_WILDCARD: usize = 7;
/// Sessions at a time, of all realms together.
pub const MAX_SESSIONS: usize = 10_000;
/// Connections in their handshake at a time; beyond that the eldest gives way. At a thousand new connections a second
/// each has a second for it.
pub const MAX_HANDSHAKES: usize = 1_024;
/// Connections of one address at a time.
pub const CONNECTIONS_PER_ADDRESS: u32 = 1_000;
/// New connections of one address in a second; five times as many at once.
pub const CONNECTION_RATE: u32 = 200;
/// Calls that one session may have unanswered.
pub const MAX_OUTSTANDING_CALLS: usize = 256;
/// Calls that one session, or all sessions of one authid, may make in a second, for longer than two seconds.
pub const CALLS_PER_SECOND: u32 = 20_000;
/// Publications that one session, or all sessions of one authid, may make in a second, for longer than two seconds.
pub const PUBLICATIONS_PER_SECOND: u32 = 5_000;
/// Registrations and subscriptions that one session, or all sessions of one authid, may ask for in a second, for longer
/// than two seconds: each is told of to whoever follows them, and a session has some hundred at most.
pub const CHANGES_PER_SECOND: u32 = 1_000;
/// Messages queued towards one session; a session that does not read faster is dropped.
pub const OUTGOING_QUEUE: usize = 1_024;
/// Bytes of the frames queued towards one session.
pub const OUTGOING_QUEUE_BYTES: usize = 8 << 20;
/// Registrations of one session.
pub const MAX_REGISTRATIONS: usize = 256;
/// Subscriptions of one session.
pub const MAX_SUBSCRIPTIONS: usize = 256;
/// Bytes of the longest authid.
pub const MAX_AUTHID: usize = 256;
/// Bytes of the longest salt, in a challenge or a record.
pub const MAX_SALT: usize = 256;
/// Bytes of the longest nonce of a client.
pub const MAX_NONCE: usize = 64;
/// Rounds of a key derivation that a peer may ask for: some seconds of PBKDF2.
pub const MAX_KDF_ITERATIONS: u32 = 10_000_000;
/// KiB of memory that a key derivation may take, 256 MiB.
pub const MAX_KDF_MEMORY: u32 = 256 << 10;
/// KiB that a key derivation may go over, in all passes together: some seconds of Argon2.
pub const MAX_KDF_WORK: u64 = 16 << 20;
/// For TLS and the framing's handshake, and as long again from there to WELCOME.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// From a frame's first byte to its last: one that is begun must not hold a place for ever. 1 MiB takes 35 kB/s.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a batch of frames may take to be written, at most [`OUTGOING_QUEUE_BYTES`].
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest `timeout` a CALL may ask for; a longer one is cut to this.
pub const MAX_CALL_TIMEOUT: Duration = Duration::from_secs(600);
/// Silence after which a peer is pinged; after three times that it is dropped. A RawSocket peer is pinged once it has
/// pinged itself: others may not know such frames (see `link::raw`).
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Silence after which the kernel asks whether a TCP peer is still there: of those that are not pinged, this alone
/// finds the ones that vanished.
pub const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a closing connection may take to accept what is still queued and the last words.
pub const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Queue and call limits of a trusted in-process session, which serves everybody else's calls.
pub const TRUSTED_QUEUE: usize = 1 << 16;
/// Bytes of the frames queued towards the trusted in-process session.
pub const TRUSTED_QUEUE_BYTES: usize = 64 << 20;
/// Calls that the trusted in-process session may have unanswered.
pub const TRUSTED_OUTSTANDING_CALLS: usize = 1 << 14;
/// Registrations and subscriptions of the trusted in-process session.
pub const TRUSTED_REGISTRATIONS: usize = 4_096;

/// What the router holds each session to.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the largest frame; RawSocket rounds it down to a power of two.
    pub frame: usize,
    /// Sessions at a time, of all realms together.
    pub sessions: usize,
    /// Connections in their handshake at a time; beyond that the eldest gives way.
    pub handshakes: usize,
    /// Connections at a time of one IPv4 address, of one network of 64 bits in IPv6, or of all peers of unix sockets; 0
    /// for any number.
    pub connections_per_address: u32,
    /// New connections in a second of the same, five times as many at once; 0 for any number.
    pub connection_rate: u32,
    /// Unanswered calls of one session.
    pub outstanding_calls: usize,
    /// Calls in a second of one session, and of all sessions of one authid; 0 for no limit.
    pub calls_per_second: u32,
    /// Publications in a second of one session, and of all sessions of one authid; 0 for no limit.
    pub publications_per_second: u32,
    /// Registrations and subscriptions asked for in a second by one session, and by all sessions of one authid; 0 for no
    /// limit.
    pub changes_per_second: u32,
    /// Messages queued towards one session.
    pub outgoing_queue: usize,
    /// Bytes of the frames queued towards one session.
    pub outgoing_bytes: usize,
    /// Registrations of one session.
    pub registrations: usize,
    /// Subscriptions of one session.
    pub subscriptions: usize,
    /// For TLS and the framing's handshake, and as long again from there to WELCOME.
    pub handshake: Duration,
    /// From a RawSocket frame's first byte to its last. A WebSocket frame has until the peer counts as silent.
    pub frame_time: Duration,
    /// Longest call timeout that is honoured as asked.
    pub call_timeout: Duration,
    /// Silence after which a peer is pinged; after three times that it is dropped.
    pub ping: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: MAX_FRAME,
            sessions: MAX_SESSIONS,
            handshakes: MAX_HANDSHAKES,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            connection_rate: CONNECTION_RATE,
            outstanding_calls: MAX_OUTSTANDING_CALLS,
            calls_per_second: CALLS_PER_SECOND,
            publications_per_second: PUBLICATIONS_PER_SECOND,
            changes_per_second: CHANGES_PER_SECOND,
            outgoing_queue: OUTGOING_QUEUE,
            outgoing_bytes: OUTGOING_QUEUE_BYTES,
            registrations: MAX_REGISTRATIONS,
            subscriptions: MAX_SUBSCRIPTIONS,
            handshake: HANDSHAKE_TIMEOUT,
            frame_time: FRAME_TIMEOUT,
            call_timeout: MAX_CALL_TIMEOUT,
            ping: PING_INTERVAL,
        }
    }
}
