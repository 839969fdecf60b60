//! The end of a connection, which either side and the writer may bring about.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio_util::sync::CancellationToken;

/// Whether a connection has ended, for all who share it. Clones are of the same connection.
#[derive(Clone, Default)]
pub(super) struct Hangup {
    token: CancellationToken,
    /// The same for those who only look: they do so for each message, and the token takes a lock for it.
    hung_up: Arc<AtomicBool>,
}

impl Hangup {
    pub(super) fn hang_up(&self) {
        // In this order: whoever was woken sees it.
        self.hung_up.store(true, Ordering::Release);
        self.token.cancel();
    }

    pub(super) fn is_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Acquire)
    }

    pub(super) async fn hung_up(&self) {
        self.token.cancelled().await;
    }

    /// Ready if it has ended, whenever that is asked; wakes nobody. For those who wait for [`Hangup::hung_up`] too.
    pub(super) async fn by_now(&self) {
        poll_fn(|_| match self.is_hung_up() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}
