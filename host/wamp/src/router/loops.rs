//! The threads on which sockets are read and written.
//!
//! A connection lives on one of them from its first byte to its last: handshakes, reading, routing, writing. Such a thread
//! first reads what all its sockets have, then writes: what many callers ask of one callee goes out in one piece. Were a reader
//! and a writer on different threads, every message would wake another one, which costs more than routing it. What a call
//! means is done by its callee, elsewhere. Nothing may take long here: all others on the thread would wait.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::ENDING;

/// The name of each thread.
const NAME: &str = "wamp-sockets";

/// Of so many turns one is for what other threads woke, such as the answers of the market: as many are read here as are
/// written for them.
const OTHERS: u32 = 2;

/// Between two looks whether all is written at the end.
const LOOK: Duration = Duration::from_millis(5);

/// How many threads a router has for sockets: half of the processors, for clients on this machine and the callees have work
/// too. The rest of them is for the runtime.
#[must_use]
pub fn socket_threads() -> usize {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    (processors / 2).max(1)
}

/// Threads that run until this is dropped, and then until their connections have ended and all is written, or had the time to.
pub(super) struct Loops {
    loops: Vec<Handle>,
    turn: AtomicUsize,
    _running: DropGuard,
}

impl Loops {
    /// Starts them for connections that are counted in `tasks`.
    pub(super) fn start(tasks: &TaskTracker) -> io::Result<Self> {
        let running = CancellationToken::new();
        // Where one cannot be started, those before it end.
        let guard = running.clone().drop_guard();
        let loops = (0..socket_threads())
            .map(|_| {
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .global_queue_interval(OTHERS)
                    .build()?;
                let handle = runtime.handle().clone();
                let (running, tasks) = (running.clone(), tasks.clone());
                thread::Builder::new().name(NAME.to_owned()).spawn(move || {
                    runtime.block_on(async {
                        running.cancelled().await;
                        // Either they say their last words, or whoever made the router is gone and so must they be.
                        let _ = timeout(ENDING, ended(&tasks)).await;
                    });
                })?;
                Ok(handle)
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            loops,
            turn: AtomicUsize::new(0),
            _running: guard,
        })
    }

    /// The thread for the next connection: one that has the fewest, of those each in turn.
    pub(super) fn next(&self) -> Option<&Handle> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (before, from) = self.loops.split_at(turn % self.loops.len().max(1));
        let alive = |handle: &&Handle| handle.metrics().num_alive_tasks();
        from.iter().chain(before).min_by_key(alive)
    }
}

/// Waits on a thread until its connections have ended, and their writers, which are in none of `tasks`.
async fn ended(tasks: &TaskTracker) {
    tasks.wait().await;
    while Handle::current().metrics().num_alive_tasks() > 0 {
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::future::pending;
    use tokio::sync::oneshot;

    /// Longer than any loaded machine takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn connections_are_on_threads_for_sockets_where_the_fewest_are() {
        let loops = Loops::start(&TaskTracker::new()).unwrap();
        let threads = loops.loops.len();
        let mut used = HashMap::new();
        for _ in 0..2 * threads {
            let (say, heard) = oneshot::channel();
            loops.next().unwrap().spawn(async move {
                let here = thread::current();
                say.send((here.id(), here.name().map(str::to_owned))).unwrap();
                pending::<()>().await;
            });
            let (id, name) = heard.await.unwrap();
            assert_eq!(name.as_deref(), Some(NAME));
            *used.entry(id).or_insert(0) += 1;
        }
        assert_eq!(used.len(), threads);
        assert!(used.values().all(|connections| *connections == 2), "{used:?}");
    }

    #[tokio::test]
    async fn a_thread_ends_when_all_is_said_on_it() {
        let tasks = TaskTracker::new();
        let loops = Loops::start(&tasks).unwrap();
        let (ends, writes) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let handle = loops.next().unwrap().clone();
        let connection = tasks.spawn_on(async { drop(ends.1.await) }, &handle);
        let writer = handle.spawn(async { drop(writes.1.await) });
        tasks.close();
        drop(loops);
        ends.0.send(()).unwrap();
        connection.await.unwrap();
        // Its writer may have words yet.
        sleep(LOOK * 10).await;
        assert!(handle.spawn(async {}).await.is_ok(), "its thread did not wait");
        writes.0.send(()).unwrap();
        writer.await.unwrap();
        let ended = async {
            while handle.spawn(async {}).await.is_ok() {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, ended).await.expect("its thread is still there");
    }

    #[tokio::test]
    async fn a_connection_that_does_not_end_is_ended() {
        let tasks = TaskTracker::new();
        let loops = Loops::start(&tasks).unwrap();
        let (held, gone) = oneshot::channel::<()>();
        let stuck = async move {
            let _held = held;
            pending::<()>().await;
        };
        tasks.spawn_on(stuck, loops.next().unwrap());
        drop(loops);
        let _ = timeout(PATIENCE, gone).await.expect("it is still there");
    }
}
