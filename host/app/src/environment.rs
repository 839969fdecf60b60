//! What the host takes from outside its own state: time and fresh identifiers. Injected, so that tests can own both.

use bourse_market::Nanos;
use rand::RngCore;

/// The clock and the source of identifiers.
pub trait Environment: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Nanos;

    /// 16 bytes that were never handed out before.
    fn fresh_id(&self) -> [u8; 16];

    /// Fills `bytes` with what nobody else can guess: nonces, and keys that are used once.
    fn random(&self, bytes: &mut [u8]);
}

/// The system's clock and random UUIDs.
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
        uuid::Uuid::new_v4().into_bytes()
    }

    fn random(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}
