//! The threads on which sockets are read and written.
//!
//! A connection lives on one of them from its first byte to its last. Such a thread first reads what all its sockets have,
//! then writes: what many callers ask of one callee goes out in one piece. Were a reader and a writer on different threads,
//! every message would wake another one, which costs more than routing it. What a message means, and all that takes time,
//! is done on the runtime of whoever made the router.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::ENDING;

/// The name of each thread.
const NAME: &str = "wamp-sockets";

/// How many threads a router has for sockets: half of the processors, for clients on this machine and the callees have work
/// too. The rest of them is for the runtime.
#[must_use]
pub fn socket_threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    (processors / 2).max(1)
}

/// Threads that run until this is dropped, and then until their connections have ended, or had the time to.
pub(super) struct Loops {
    loops: Vec<Handle>,
    turn: AtomicUsize,
    _running: DropGuard,
}

impl Loops {
    /// Starts them for connections that are counted in `tasks`.
    pub(super) fn start(tasks: &TaskTracker) -> io::Result<Self> {
        let running = CancellationToken::new();
        let loops = (0..socket_threads())
            .map(|_| {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let handle = runtime.handle().clone();
                let (running, tasks) = (running.clone(), tasks.clone());
                thread::Builder::new().name(NAME.to_owned()).spawn(move || {
                    runtime.block_on(async {
                        running.cancelled().await;
                        // Either they say their last words, or whoever made the router is gone and so must they be.
                        let _ = timeout(ENDING, tasks.wait()).await;
                    });
                })?;
                Ok(handle)
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            loops,
            turn: AtomicUsize::new(0),
            _running: running.drop_guard(),
        })
    }

    /// The thread for the next connection: each in turn.
    pub(super) fn next(&self) -> &Handle {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::indexing_slicing, reason = "there is at least one")]
        &self.loops[turn % self.loops.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::time::Duration;
    use tokio::sync::oneshot;

    /// Longer than any loaded machine takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A connection that nothing but the end of its thread ends, and a word of that.
    fn stuck() -> (impl Future<Output = ()> + Send, oneshot::Receiver<()>) {
        let (held, gone) = oneshot::channel();
        let stuck = async move {
            let _held = held;
            pending::<()>().await;
        };
        (stuck, gone)
    }

    #[tokio::test]
    async fn connections_are_on_threads_for_sockets_each_in_turn() {
        let loops = Loops::start(&TaskTracker::new()).unwrap();
        let mut used = Vec::new();
        for _ in 0..2 * socket_threads() {
            let asked = async {
                (
                    thread::current().id(),
                    thread::current().name().map(str::to_owned),
                )
            };
            let (id, name) = loops.next().spawn(asked).await.unwrap();
            assert_eq!(name.as_deref(), Some(NAME));
            used.push(id);
        }
        let (first, second) = used.split_at(socket_threads());
        assert_eq!(first, second);
        let mut distinct = first.to_vec();
        distinct.dedup();
        assert_eq!(distinct.len(), socket_threads());
    }

    #[tokio::test]
    async fn a_thread_ends_when_its_connections_have() {
        let tasks = TaskTracker::new();
        let loops = Loops::start(&tasks).unwrap();
        let (say, heard) = oneshot::channel::<()>();
        let talking = tasks.spawn_on(async { drop(heard.await) }, loops.next());
        // Not counted: it shows how long its thread lives.
        let (stuck, mut gone) = stuck();
        loops.loops.first().unwrap().spawn(stuck);
        tasks.close();
        drop(loops);
        tokio::task::yield_now().await;
        assert!(gone.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        say.send(()).unwrap();
        talking.await.unwrap();
        let _ = timeout(PATIENCE, gone).await.expect("its thread is still there");
    }

    #[tokio::test]
    async fn a_connection_that_does_not_end_is_ended() {
        let tasks = TaskTracker::new();
        let loops = Loops::start(&tasks).unwrap();
        let (stuck, gone) = stuck();
        tasks.spawn_on(stuck, loops.next());
        drop(loops);
        let _ = timeout(PATIENCE, gone).await.expect("it is still there");
    }
}
