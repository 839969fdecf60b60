//! One request to a collector: bounded in time and in what comes back, and with the reason kept if it fails.

use anyhow::Context;
use futures_util::future::BoxFuture;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use parking_lot::Mutex;
use reqwest::Client;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{self, Runtime};

/// How long a collector may take for one request. A batch that it cannot take now is tried four times, within twice that.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to be connected to.
const CONNECT: Duration = Duration::from_secs(2);
/// Bytes of an answer that are taken: it says next to nothing.
const MOST: usize = 64 << 10;

/// Posts batches, on the thread that makes them and no other: it has no runtime but this.
#[derive(Debug)]
pub(super) struct Post {
    client: Client,
    /// There until it is dropped.
    runtime: Option<Runtime>,
    failure: Arc<Mutex<String>>,
}

impl Drop for Post {
    fn drop(&mut self) {
        // A name that is still looked up, on a thread of the runtime's, would keep the stop waiting.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An answer that is longer than [`MOST`].
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {MOST} bytes")]
struct TooLong;

impl Post {
    /// Nothing is asked yet. Why a request failed is in `failure` from then on.
    ///
    /// # Errors
    ///
    /// If there are no authorities to know a collector by, or no runtime to be had.
    pub(super) fn new(failure: Arc<Mutex<String>>) -> anyhow::Result<Self> {
        // Once for the whole process; a second time is refused, and does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("the client of a collector cannot be made")?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            client,
            runtime: Some(runtime),
            failure,
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut response = self.client.execute(request.try_into()?).await?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MOST {
                return Err(TooLong.into());
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            *self.failure.lock() = format!("it answers HTTP {status}");
        }
        Ok(Response::builder().status(status).body(body.into())?)
    }
}

impl HttpClient for Post {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> BoxFuture<'b, Result<Response<Bytes>, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let runtime = self
                .runtime
                .as_ref()
                .ok_or("the collector is not asked any more")?;
            let sent = runtime.block_on(self.send(request));
            sent.inspect_err(|error| *self.failure.lock() = lowest(&**error))
        })
    }
}

/// The error under the others, which says most, and has no address in it.
fn lowest(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(below) = error.source() {
        error = below;
    }
    error.to_string()
}
