//! Tasks that are to run for as long as the host does: one that panics is noticed, and started again.

use std::any::Any;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The wait before a task is started again, at first; it doubles with each panic.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// A task that ran for so long is well: what happens to it then is new.
const WELL_AFTER: Duration = Duration::from_secs(300);

/// Runs the task that `start` makes until it ends by itself, or `stop`. Each time it panics, `fallen` is told what it said,
/// and the task is made anew after a while.
pub(crate) fn keep<F: Future<Output = ()> + Send + 'static>(
    name: &'static str,
    stop: CancellationToken,
    mut start: impl FnMut() -> F + Send + 'static,
    fallen: impl Fn(String) + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let Err(ended) = tokio::spawn(start()).await else {
                return;
            };
            // Whoever aborts a task does not want it again; nobody does but a runtime that ends.
            let Ok(panic) = ended.try_into_panic() else { return };
            if began.elapsed() >= WELL_AFTER {
                pause = FIRST_PAUSE;
            }
            let said = words(&*panic);
            tracing::error!(
                name,
                said,
                "a task of the market panicked, which is a bug; it starts again"
            );
            fallen(format!("{name} stopped at a bug, and starts again: {said}"));
            if stop
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return;
            }
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
        }
    })
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    said.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_task_that_panics_is_told_of_and_starts_again_and_one_that_ends_does_not() {
        let (starts, told) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, said) = (Arc::clone(&starts), Arc::clone(&told));
        let began = Instant::now();
        let task = keep(
            "the follower",
            CancellationToken::new(),
            move || {
                let number = count.fetch_add(1, Ordering::Relaxed);
                async move {
                    match number {
                        0 => panic!("no such block"),
                        1 => std::panic::panic_any(7),
                        _ => {}
                    }
                }
            },
            move |text| said.lock().push(text),
        );
        task.await.unwrap();
        assert_eq!(starts.load(Ordering::Relaxed), 3);
        assert_eq!(
            *told.lock(),
            [
                "the follower stopped at a bug, and starts again: no such block",
                "the follower stopped at a bug, and starts again: without a word",
            ]
        );
        assert!(began.elapsed() >= FIRST_PAUSE * 3, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_task_that_always_panics_does_not_outlive_the_host() {
        let stop = CancellationToken::new();
        let task = keep("the outbox", stop.clone(), || async { panic!("again") }, |_| {});
        tokio::time::sleep(FIRST_PAUSE * 2).await;
        assert!(!task.is_finished());
        stop.cancel();
        task.await.unwrap();
    }
}
