//! What the host takes from outside its own state: time and fresh identifiers. Injected, so that tests can own both.

use bourse_market::Nanos;
use rand::RngCore;

/// The clock and the source of identifiers.
pub trait Environment: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Nanos;

    /// 16 bytes that were never handed out before. Not a secret: whoever knows one can guess its neighbours.
    fn fresh_id(&self) -> [u8; 16];

    /// Fills `bytes` with what nobody else can guess: nonces, and keys that are used once.
    fn random(&self, bytes: &mut [u8]);
}

/// The system's clock, and UUIDs of version 7 (RFC 9562): in the order of their making, so that records made one after the
/// other lie on the same pages of a ledger, and a commit writes few of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Environment for System {
    fn now(&self) -> Nanos {
        let elapsed = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Nanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    fn fresh_id(&self) -> [u8; 16] {
        uuid::Uuid::now_v7().into_bytes()
    }

    fn random(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}
