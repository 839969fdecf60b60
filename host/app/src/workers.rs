//! A few threads for what takes the processor: signatures and policies. Nothing of it runs on an async thread.

use crate::wire::{fault, uri};
use bourse_wamp::WampError;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// Jobs that may wait. More is answered with `bourse.error.overloaded` rather than kept.
const QUEUE: usize = 4096;

type Job = Box<dyn FnOnce() + Send>;

/// The pool. Its threads end when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Workers {
    jobs: SyncSender<Job>,
}

impl Workers {
    /// Starts one thread for each processor.
    pub(crate) fn start() -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let (jobs, queue) = sync_channel::<Job>(QUEUE);
        let queue = Arc::new(parking_lot::Mutex::new(queue));
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || work(&queue))?;
        }
        Ok(Self { jobs })
    }

    /// Runs `job` on one of the threads and waits for its answer without blocking.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WampError> {
        let (answer, wait) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Whoever asked may have gone.
            let _ = answer.send(job());
        });
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(fault(uri::OVERLOADED, "too many requests wait; try again"));
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(fault(uri::NOT_READY, "the market is stopping"));
            }
        }
        wait.await
            .map_err(|_| fault(uri::RUNTIME, "the request could not be computed"))
    }
}

fn work(queue: &parking_lot::Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: one thread waits for a job, the others for the lock.
        let job = queue.lock().recv();
        match job {
            // A panic must cost its own request, not a thread that everybody else needs.
            Ok(job) => drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job))),
            Err(_) => return,
        }
    }
}
