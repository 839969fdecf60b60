//! Rings when the node tells of a new block, so that the ledger need not wait until it is time to ask.
//!
//! What is told is not believed: whoever is woken asks the node as ever. If the connection breaks, the time to ask comes as often
//! as without one.

use crate::keep::keep;
use bourse_chain::{Heads, NodeError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// The longest wait after a failure, and the first.
const MAX_PAUSE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How often the node is asked all the same while it tells of its blocks: it might forget one.
const ASK_ANYWAY: Duration = Duration::from_secs(15);
/// Between two looks at least: a node that tells of a thousand blocks in a second is asked for them no more often than this.
const BREATH: Duration = Duration::from_millis(20);

/// Where whoever follows the chain waits.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: Notify,
    listening: AtomicBool,
    /// [`ASK_ANYWAY`].
    ask_anyway: Duration,
}

impl Default for Bell {
    fn default() -> Self {
        Self {
            rung: Notify::new(),
            listening: AtomicBool::new(false),
            ask_anyway: ASK_ANYWAY,
        }
    }
}

impl Bell {
    /// Waits for a new block, but no longer than the time in which it would be asked for.
    pub(crate) async fn wait(&self, poll: Duration) {
        let began = Instant::now();
        sleep(BREATH.min(poll)).await;
        loop {
            let listening = self.listening.load(Ordering::Acquire);
            let most = if listening {
                poll.max(self.ask_anyway)
            } else {
                poll
            };
            tokio::select! {
                () = sleep_until(began + most) => return,
                () = self.rung.notified() => {}
            }
            // It also rings when the connection breaks: from then on it is waited for as long as without one.
            if self.listening.load(Ordering::Acquire) {
                return;
            }
        }
    }

    fn listens(&self, listening: bool) {
        self.listening.store(listening, Ordering::Release);
        self.rung.notify_one();
    }
}

/// Listens until `stop`.
pub(crate) fn start(bell: &Arc<Bell>, heads: Heads, stop: CancellationToken) -> JoinHandle<()> {
    let (bell, halt) = (Arc::clone(bell), stop.clone());
    let told = Arc::clone(&bell);
    keep(
        "the task that listens for new blocks",
        stop,
        move || {
            let (bell, heads, halt) = (Arc::clone(&bell), heads.clone(), halt.clone());
            async move {
                halt.run_until_cancelled(Box::pin(listen(&bell, &heads))).await;
            }
        },
        move |_| told.listens(false),
    )
}

/// For ever.
async fn listen(bell: &Bell, heads: &Heads) {
    let (mut pause, mut trouble) = (FIRST_PAUSE, None);
    loop {
        let began = Instant::now();
        let error = ring(bell, heads).await.to_string();
        bell.listens(false);
        if began.elapsed() > MAX_PAUSE {
            pause = FIRST_PAUSE;
        }
        if trouble.as_ref() != Some(&error) {
            tracing::warn!(
                error,
                "the node does not tell of new blocks for now; it is asked for them"
            );
            trouble = Some(error);
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }
}

/// Rings with each block, until the connection breaks.
async fn ring(bell: &Bell, heads: &Heads) -> NodeError {
    let mut listening = match heads.listen().await {
        Ok(listening) => listening,
        Err(error) => return error,
    };
    tracing::info!(node = heads.name(), "the node tells of new blocks");
    bell.listens(true);
    loop {
        match listening.next().await {
            Ok(()) => bell.rung.notify_one(),
            Err(error) => return error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Duration = Duration::from_millis(300);
    const ANYWAY: Duration = Duration::from_millis(900);

    /// Whether it took as long as `expected`: a busy machine takes a little longer, and never shorter.
    async fn waits(bell: &Bell, expected: Duration) {
        let began = Instant::now();
        bell.wait(POLL).await;
        let took = began.elapsed();
        assert!(
            took >= expected && took < expected + POLL / 2,
            "{took:?}, expected {expected:?}"
        );
    }

    #[tokio::test]
    async fn it_is_asked_as_often_as_ever_unless_somebody_tells() {
        let bell = Arc::new(Bell {
            ask_anyway: ANYWAY,
            ..Bell::default()
        });
        waits(&bell, POLL).await;
        bell.listens(true);
        // That it listens now is a reason to look, too: nobody told of what came before.
        waits(&bell, BREATH).await;
        waits(&bell, ANYWAY).await;
        // A flood wakes once.
        bell.rung.notify_one();
        bell.rung.notify_one();
        waits(&bell, BREATH).await;
        waits(&bell, ANYWAY).await;
        for (listening, takes) in [(false, POLL), (true, POLL / 2)] {
            let other = Arc::clone(&bell);
            tokio::spawn(async move {
                sleep(POLL / 2).await;
                other.listens(listening);
            });
            waits(&bell, takes).await;
        }
    }
}
