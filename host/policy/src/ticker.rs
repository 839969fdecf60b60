//! The thread that moves the epoch, at which running guests stop for a look at the clock.

use core::time::Duration;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;

/// Length of an epoch. A tick of 1 ms would cost 1.5 % of a core; this is a backstop behind the fuel.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Moves the epoch of one engine until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("policy-ticker".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panicked ticker has nothing left to clean up.
            let _ = thread.join();
        }
    }
}
