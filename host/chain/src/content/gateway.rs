//! Where blocks come from: an HTTP gateway to IPFS, which may be down, slow, and say anything at all.

use super::{ContentError, ContentId, MAX_BLOCK, MAX_TEXT};
use crate::node::{Limits, lowest, without_secrets};
use reqwest::header::ACCEPT;
use reqwest::{Client, Url};

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The address is none.
    #[error(
        "`{url}` is no address of a gateway to IPFS: {reason}; expected http://HOST:PORT or https://HOST"
    )]
    Address {
        /// As configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there, not in time, or the connection broke.
    #[error("the gateway {gateway} cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        gateway: String,
        /// What the system says.
        reason: String,
    },
    /// It does not have it, or does not hand it over.
    #[error("the gateway {gateway} answers with HTTP {status}")]
    Status {
        /// Which.
        gateway: String,
        /// The status.
        status: u16,
    },
    /// More than any text may have.
    #[error("the gateway {gateway} answers with more than {most} bytes")]
    TooLong {
        /// Which.
        gateway: String,
        /// The most that is read.
        most: usize,
    },
    /// It is not what was asked for, or nothing to read.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl GatewayError {
    /// Whether no answer could be better: the block is there, and is no text that is read.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Content(error) => !matches!(error, ContentError::Other { .. }),
            _ => false,
        }
    }
}

/// A gateway to IPFS.
#[derive(Debug, Clone)]
pub struct Gateway {
    client: Client,
    url: Url,
    /// Scheme and host: a path may hold a secret.
    name: String,
}

impl Gateway {
    /// The gateway at `url`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`GatewayError::Address`].
    pub fn at(url: &str, limits: Limits) -> Result<Self, GatewayError> {
        let wrong = |reason: String| GatewayError::Address {
            url: without_secrets(url),
            reason,
        };
        let mut parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong(format!("`{}` is not spoken here", parsed.scheme())));
        }
        if parsed.host_str().is_none() {
            return Err(wrong("it names no host".to_owned()));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(wrong(
                "it ends with a question, and `/ipfs/ID` comes behind it".to_owned(),
            ));
        }
        let path = format!("{}/ipfs/", parsed.path().trim_end_matches('/'));
        parsed.set_path(&path);
        parsed.set_query(Some("format=raw"));
        // Once for the whole process; a second time is refused, and does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(limits.connect)
            .timeout(limits.answer)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| wrong(lowest(&error)))?;
        Ok(Self {
            client,
            name: without_secrets(url),
            url: parsed,
        })
    }

    /// Scheme and host, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The block of a text. It is the one that `id` names, whatever the gateway said.
    ///
    /// A gateway that knows `format=raw` answers with the block. One that does not answers with the file, and the block
    /// is made of that.
    ///
    /// # Errors
    ///
    /// [`GatewayError`].
    pub async fn fetch(&self, id: ContentId) -> Result<Vec<u8>, GatewayError> {
        let gateway = || self.name.clone();
        let broken = |error: reqwest::Error| GatewayError::Unreachable {
            gateway: gateway(),
            reason: lowest(&error.without_url()),
        };
        let mut url = self.url.clone();
        // 46 letters and digits: nothing that means anything in a path.
        url.set_path(&format!("{}{id}", self.url.path()));
        let request = self.client.get(url).header(ACCEPT, "application/vnd.ipld.raw");
        let mut response = request.send().await.map_err(broken)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(GatewayError::Status {
                gateway: gateway(),
                status: response.status().as_u16(),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_BLOCK {
                return Err(GatewayError::TooLong {
                    gateway: gateway(),
                    most: MAX_TEXT,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let block = match id.text_of_block(&body) {
            Ok(_) => body,
            Err(ContentError::Other { .. }) => {
                let block = id.block_of_text(&body)?;
                id.text_of_block(&block)?;
                block
            }
            Err(error) => return Err(error.into()),
        };
        Ok(block)
    }
}
