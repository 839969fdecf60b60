//! The threads on which sockets are read and written.
//!
//! A connection lives on one of them from its first byte to its last: handshakes, reading, routing, writing. Such a thread
//! first reads what all its sockets have, then writes: what many callers ask of one callee goes out in one piece. Were a reader
//! and a writer on different threads, every message would wake another one, which costs more than routing it. So a message is
//! routed on the thread that read it, and wakes another only where its receiver lives. What a call means is done by its
//! callee, elsewhere. Nothing may take long here: all others on the thread would wait.
//!
//! A link in this process is here too, with both its ends: the router's, and where the market's session reads, so that a call
//! of the market wakes only whoever does its work. What the market answers is routed where most of it is written. And messages
//! of a realm are routed on these threads alone: only they wait for each other at its lock.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

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

/// Threads that run until this is dropped, and then until all is said on them, or had the time to be.
pub(super) struct Loops {
    loops: Vec<Handle>,
    turn: AtomicUsize,
    _running: DropGuard,
}

impl Loops {
    /// Starts them, each counted in `tasks` until it ends: at most `ending` after this is dropped.
    pub(super) fn start(tasks: &TaskTracker, ending: Duration) -> io::Result<Self> {
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
                let (running, token) = (running.clone(), tasks.token());
                thread::Builder::new().name(NAME.to_owned()).spawn(move || {
                    runtime.block_on(async {
                        running.cancelled().await;
                        // Either they say their last words, or whoever made the router is gone and so must they be.
                        let _ = timeout(ending, all_said()).await;
                    });
                    drop(runtime);
                    drop(token);
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

    /// Has a connection served, counted in `tasks`, where the fewest are, of those threads on each in turn. Returns where.
    pub(super) fn serve(
        &self,
        tasks: &TaskTracker,
        connection: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Handle> {
        let thread = self.next();
        match thread {
            Some(thread) => tasks.spawn_on(connection, thread),
            None => tasks.spawn(connection),
        };
        thread.cloned()
    }

    fn next(&self) -> Option<&Handle> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (before, from) = self.loops.split_at(turn.checked_rem(self.loops.len())?);
        let alive = |handle: &&Handle| handle.metrics().num_alive_tasks();
        from.iter().chain(before).min_by_key(alive)
    }
}

/// Waits on a thread until its connections have ended, and their writers, which are tasks of their own.
async fn all_said() {
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
        let loops = Loops::start(&TaskTracker::new(), LOOK).unwrap();
        let threads = loops.loops.len();
        let mut used = HashMap::new();
        for place in 0..2 * threads {
            let (say, heard) = oneshot::channel();
            // The first has two already when others are asked for.
            let thread = if place < 2 {
                loops.loops.first()
            } else {
                loops.next()
            };
            thread.unwrap().spawn(async move {
                let here = thread::current();
                let _ = say.send((here.id(), here.name().map(str::to_owned)));
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
        let loops = Loops::start(&tasks, PATIENCE * 2).unwrap();
        let (words, last) = oneshot::channel::<()>();
        let handle = loops.next().unwrap().clone();
        let writer = handle.spawn(async { drop(last.await) });
        tasks.close();
        drop(loops);
        sleep(LOOK * 10).await;
        assert!(handle.spawn(async {}).await.is_ok(), "its thread did not wait");
        words.send(()).unwrap();
        writer.await.unwrap();
        timeout(PATIENCE, tasks.wait()).await.unwrap();
        assert!(handle.spawn(async {}).await.is_err(), "its thread is still there");
    }

    #[tokio::test]
    async fn a_connection_that_does_not_end_is_ended() {
        let tasks = TaskTracker::new();
        let loops = Loops::start(&tasks, LOOK).unwrap();
        loops.serve(&tasks, pending());
        tasks.close();
        drop(loops);
        timeout(PATIENCE, tasks.wait()).await.unwrap();
    }
}
