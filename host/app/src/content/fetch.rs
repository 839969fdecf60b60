//! The task that asks the gateway, a few texts at a time.

use super::Content;
use bourse_chain::{ContentId, Gateway};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Texts that are fetched at a time: one that the gateway is slow about holds up no other.
const AT_A_TIME: usize = 4;
/// Between two looks for one whose time has come, where nothing new is wanted.
const LOOK: Duration = Duration::from_millis(250);

/// Fetches what is wanted until `stop`; nothing, where there is no gateway.
pub(crate) fn start(content: &Arc<Content>, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let Some(gateway) = &content.gateway else {
        return Vec::new();
    };
    let fetcher = |_| {
        let (content, gateway, stop) = (Arc::clone(content), gateway.clone(), stop.clone());
        tokio::spawn(async move {
            stop.run_until_cancelled(fetch(&content, &gateway)).await;
        })
    };
    (0..AT_A_TIME).map(fetcher).collect()
}

async fn fetch(content: &Arc<Content>, gateway: &Gateway) {
    loop {
        let woken = content.wake.notified();
        let next = content.wanted.lock().next(Instant::now());
        match next {
            Some(id) => fetch_one(content, gateway, id).await,
            // Too early is as good as not at all: the list is looked at again.
            None => {
                let _ = tokio::time::timeout(LOOK, woken).await;
            }
        }
    }
}

async fn fetch_one(content: &Arc<Content>, gateway: &Gateway, id: ContentId) {
    let failed = |reason: String, for_good| {
        let alone = content.wanted.lock().failed(id, for_good, Instant::now());
        if alone {
            tracing::warn!(%id, reason, "a text that the chain names is not fetched");
        } else {
            tracing::debug!(%id, reason, "a text that the chain names is not there yet");
        }
    };
    let block = match gateway.fetch(id).await {
        Ok(block) => block,
        Err(error) => return failed(error.to_string(), error.is_final()),
    };
    let shelf = Arc::clone(content);
    let kept = tokio::task::spawn_blocking(move || shelf.shelf.put(id, &block)).await;
    match kept {
        Ok(Ok(())) => content.wanted.lock().fetched(id),
        Ok(Err(error)) => failed(format!("it cannot be kept: {error}"), false),
        Err(error) => failed(error.to_string(), false),
    }
}
