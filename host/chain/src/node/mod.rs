//! A node of the chain, asked over JSON-RPC.
//!
//! What lives here: the questions, each with its time limit, and the parsing of what comes. A node may be down, slow,
//! rate-limiting, or answer anything at all: each of that is an error that says so, and none lasts longer than
//! [`Limits::answer`].
//!
//! What never does: trying again, and believing. When to ask again is for whoever asks, and so is whether what a node says
//! makes sense.

mod answer;
mod dev;
mod heads;
mod transport;

pub(crate) use answer::SentTransaction;
pub use answer::{Header, RawLog, TransactionReceipt};
pub use dev::{DevNode, Snapshot};
pub use heads::{Heads, Listening};

use crate::address::to_alloy;
use alloy_json_rpc::{RpcError, RpcRecv, RpcSend};
use alloy_primitives::{B256, Bytes, U64, U256};
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind};
use bourse_market::{Address, TransactionHash};
use core::time::Duration;
use serde_json::json;
use std::borrow::Cow;
use tracing::Instrument;
use transport::{Http, TOO_MANY_REQUESTS, UNAVAILABLE, excerpt};

/// How long a node may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To be connected to.
    pub connect: Duration,
    /// For a whole answer.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(10),
        }
    }
}

/// Why a node gave no answer, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The address is none.
    #[error("`{url}` is no address of a node: {reason}; expected http://HOST:PORT or https://HOST/PATH")]
    Address {
        /// As configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is none of a WebSocket.
    #[error(
        "`{url}` is no address of a node's WebSocket: {reason}; expected ws://HOST:PORT or wss://HOST/PATH"
    )]
    WebSocket {
        /// As configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there, or the connection broke.
    #[error("the node {node} cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        node: String,
        /// What the system says.
        reason: String,
    },
    /// It asks to be left alone for a while.
    #[error("the node {node} takes no more requests for now (HTTP {status})")]
    Busy {
        /// Which.
        node: String,
        /// The status it answered with.
        status: u16,
        /// For how long, if it says so.
        retry_after: Option<Duration>,
    },
    /// It refused the request. For a call of a contract: the contract did.
    #[error("the node {node} refuses {method}: {message}")]
    Refused {
        /// Which.
        node: String,
        /// What it was asked.
        method: Cow<'static, str>,
        /// What it says.
        message: String,
        /// The code of the error.
        code: i64,
    },
    /// It answered something that cannot be right.
    #[error("the node {node} answers {method} with nonsense: {reason}")]
    Nonsense {
        /// Which.
        node: String,
        /// What it was asked.
        method: Cow<'static, str>,
        /// What is wrong, and the beginning of the answer.
        reason: String,
    },
}

/// Whether a refusal is of whoever asks too often, rather than of what is asked: nodes have one code (EIP-1474) for both, and
/// some say by it that an answer would be too long.
fn limits_rate(code: i64, message: &str) -> bool {
    const LIMIT_EXCEEDED: i64 = -32005;
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    code == i64::from(TOO_MANY_REQUESTS)
        || (code == LIMIT_EXCEEDED
            && says(&["rate", "too many requests", "per second", "request count"])
            && !says(&["result", "range"]))
}

/// Transport errors name their causes one below the other: the lowest is what the system says.
pub(crate) fn lowest(error: &dyn core::error::Error) -> String {
    let mut lowest = error;
    while let Some(cause) = lowest.source() {
        lowest = cause;
    }
    lowest.to_string()
}

/// The address of a node as it may be shown: what comes behind its host is often a secret, and so is a user's name.
pub fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, more) = match rest.split_once(['/', '?', '#']) {
        Some((host, more)) => (host, !more.is_empty()),
        None => (rest, false),
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let scheme = if scheme.is_empty() {
        String::new()
    } else {
        format!("{scheme}://")
    };
    format!("{scheme}{host}{}", if more { "/…" } else { "" })
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    client: RpcClient,
    /// Scheme and host: a path may hold a secret.
    name: String,
}

impl Node {
    /// The node at `url`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`NodeError::Address`].
    pub fn at(url: &str, limits: Limits) -> Result<Self, NodeError> {
        let wrong = |reason: String| NodeError::Address {
            url: without_secrets(url),
            reason,
        };
        let parsed = reqwest::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong(format!("`{}` is not spoken here", parsed.scheme())));
        }
        let host = parsed
            .host_str()
            .ok_or_else(|| wrong("it names no host".to_owned()))?;
        let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{}://{host}{port}", parsed.scheme());
        // Once for the whole process; a second time is refused, and does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(limits.connect)
            .timeout(limits.answer)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| wrong(lowest(&error)))?;
        Ok(Self {
            client: RpcClient::new(Http::new(client, parsed), false),
            name,
        })
    }

    /// Scheme and host, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, NodeError> {
        let asked = async {
            tracing::debug!("asks a node");
            self.client.request(method, params).await
        };
        let span = tracing::debug_span!("node", node = %self.name, method);
        let answer = asked.instrument(span).await;
        answer.map_err(|error| self.explain(method, &error))
    }

    fn explain(&self, method: &'static str, error: &TransportError) -> NodeError {
        let (node, method) = (self.name.clone(), Cow::Borrowed(method));
        match error {
            RpcError::ErrorResp(refusal) if limits_rate(refusal.code, &refusal.message) => NodeError::Busy {
                node,
                status: TOO_MANY_REQUESTS,
                retry_after: None,
            },
            RpcError::ErrorResp(refusal) => NodeError::Refused {
                node,
                method,
                message: excerpt(refusal.message.as_bytes()),
                code: refusal.code,
            },
            RpcError::Transport(kind) => match (kind.as_http_error(), kind) {
                (Some(error), kind) if matches!(error.status, TOO_MANY_REQUESTS | UNAVAILABLE) => {
                    NodeError::Busy {
                        node,
                        status: error.status,
                        retry_after: kind.retry_after(),
                    }
                }
                (Some(error), _) => NodeError::Nonsense {
                    node,
                    method,
                    reason: format!("HTTP {}: {}", error.status, error.body),
                },
                (None, TransportErrorKind::Custom(cause)) if cause.is::<transport::TooLong>() => {
                    NodeError::Nonsense {
                        node,
                        method,
                        reason: cause.to_string(),
                    }
                }
                (None, kind) => NodeError::Unreachable {
                    node,
                    reason: lowest(kind),
                },
            },
            RpcError::DeserError { err, text } => NodeError::Nonsense {
                node,
                method,
                reason: format!("{err}: {}", excerpt(text.as_bytes())),
            },
            other => NodeError::Nonsense {
                node,
                method,
                reason: excerpt(other.to_string().as_bytes()),
            },
        }
    }

    fn nonsense(&self, method: &'static str, reason: impl Into<String>) -> NodeError {
        NodeError::Nonsense {
            node: self.name.clone(),
            method: Cow::Borrowed(method),
            reason: reason.into(),
        }
    }

    async fn number(&self, method: &'static str) -> Result<u64, NodeError> {
        let number: U64 = self.ask(method, ()).await?;
        Ok(number.to())
    }

    /// The chain's id (EIP-155).
    ///
    /// # Errors
    ///
    /// [`NodeError`], if there is no answer to use; so it is with every question here.
    pub async fn chain_id(&self) -> Result<u64, NodeError> {
        self.number("eth_chainId").await
    }

    /// What `net_version` says: not always the chain's id.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn network_id(&self) -> Result<u64, NodeError> {
        let text: String = self.ask("net_version", ()).await?;
        text.parse().map_err(|_| {
            self.nonsense(
                "net_version",
                format!("`{}` is no number", excerpt(text.as_bytes())),
            )
        })
    }

    /// The newest block.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn latest(&self) -> Result<Header, NodeError> {
        let header: Option<Header> = self.ask("eth_getBlockByNumber", ("latest", false)).await?;
        header.ok_or_else(|| self.nonsense("eth_getBlockByNumber", "there is no latest block"))
    }

    /// The block of a number; none if there is none yet.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn header(&self, number: u64) -> Result<Option<Header>, NodeError> {
        let header: Option<Header> = self
            .ask("eth_getBlockByNumber", (U64::from(number), false))
            .await?;
        match header {
            Some(header) if header.number.to::<u64>() != number => Err(self.nonsense(
                "eth_getBlockByNumber",
                format!("asked for block {number}, got {}", header.number),
            )),
            header => Ok(header),
        }
    }

    /// The transaction at a place of a block. Nodes that forget what is long ago look it up in the block all the same.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub(crate) async fn transaction_in(
        &self,
        block: B256,
        index: u64,
    ) -> Result<Option<SentTransaction>, NodeError> {
        let params = (block, U64::from(index));
        self.ask("eth_getTransactionByBlockHashAndIndex", params).await
    }

    /// The events of these contracts in the blocks from `from` to `to`, both included, as they come.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn logs(&self, from: u64, to: u64, contracts: &[Address]) -> Result<Vec<RawLog>, NodeError> {
        let addresses: Vec<_> = contracts.iter().map(|address| to_alloy(*address)).collect();
        let filter = json!({
            "fromBlock": U64::from(from),
            "toBlock": U64::from(to),
            "address": addresses,
        });
        self.ask("eth_getLogs", (filter,)).await
    }

    /// What a function of a contract answers, as of the newest block.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`]; [`NodeError::Refused`] if the contract reverts.
    pub async fn call(&self, to: Address, input: Vec<u8>) -> Result<Vec<u8>, NodeError> {
        let call = json!({ "to": to_alloy(to), "input": Bytes::from(input) });
        let output: Bytes = self.ask("eth_call", (call, "latest")).await?;
        Ok(output.to_vec())
    }

    /// The code at an address; empty if there is no contract.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn code(&self, at: Address) -> Result<Vec<u8>, NodeError> {
        let code: Bytes = self.ask("eth_getCode", (to_alloy(at), "latest")).await?;
        Ok(code.to_vec())
    }

    /// Transactions that an address has sent, as of the newest block: the next nonce, if none is under way.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn nonce(&self, of: Address) -> Result<u64, NodeError> {
        let nonce: U64 = self
            .ask("eth_getTransactionCount", (to_alloy(of), "latest"))
            .await?;
        Ok(nonce.to())
    }

    /// Transactions that an address had sent as of the block `block`.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn nonce_at(&self, of: Address, block: u64) -> Result<u64, NodeError> {
        let nonce: U64 = self
            .ask("eth_getTransactionCount", (to_alloy(of), U64::from(block)))
            .await?;
        Ok(nonce.to())
    }

    /// Whether the node knows a transaction: of a block, or one that waits for it.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn knows(&self, transaction: TransactionHash) -> Result<bool, NodeError> {
        let known: serde_json::Value = self
            .ask("eth_getTransactionByHash", (B256::new(transaction.0),))
            .await?;
        Ok(known.is_object())
    }

    /// Tries what a call of `from` would do, as of the block `block`, or of the newest.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`]; [`NodeError::Refused`] if the contract would revert.
    pub async fn rehearse(
        &self,
        from: Address,
        to: Address,
        input: &[u8],
        block: Option<u64>,
    ) -> Result<(), NodeError> {
        let call = json!({
            "from": to_alloy(from),
            "to": to_alloy(to),
            "input": Bytes::copy_from_slice(input),
        });
        let block = block.map_or_else(|| json!("latest"), |block| json!(U64::from(block)));
        let _: Bytes = self.ask("eth_call", (call, block)).await?;
        Ok(())
    }

    /// Wei for a unit of gas, as the node would offer.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn gas_price(&self) -> Result<u128, NodeError> {
        let price: U256 = self.ask("eth_gasPrice", ()).await?;
        u128::try_from(price).map_err(|_| self.nonsense("eth_gasPrice", format!("{price} is no price")))
    }

    /// The gas that a call would take, as of the newest block.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`]; [`NodeError::Refused`] if the contract would revert.
    pub async fn estimate_gas(
        &self,
        from: Address,
        to: Option<Address>,
        input: &[u8],
    ) -> Result<u64, NodeError> {
        let call = json!({
            "from": to_alloy(from),
            "to": to.map(to_alloy),
            "input": Bytes::copy_from_slice(input),
        });
        let gas: U64 = self.ask("eth_estimateGas", (call, "latest")).await?;
        Ok(gas.to())
    }

    /// Hands a signed transaction to the network. Yields its hash as the node says it.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`]; [`NodeError::Refused`] if it is not taken.
    pub async fn send_raw(&self, transaction: &[u8]) -> Result<TransactionHash, NodeError> {
        let hash: B256 = self
            .ask("eth_sendRawTransaction", (Bytes::copy_from_slice(transaction),))
            .await?;
        Ok(TransactionHash(hash.0))
    }

    /// What became of a transaction; none while it is in no block.
    ///
    /// # Errors
    ///
    /// As [`Node::chain_id`].
    pub async fn receipt(&self, of: TransactionHash) -> Result<Option<TransactionReceipt>, NodeError> {
        self.ask("eth_getTransactionReceipt", (B256::new(of.0),)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Whatever is asked of this node, it answers so.
    fn answering(answer: impl Fn() -> String + Send + 'static) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(answer().as_bytes());
            }
        });
        let limits = Limits {
            connect: Duration::from_secs(1),
            answer: Duration::from_millis(500),
        };
        Node::at(&format!("http://{address}/a-secret"), limits).unwrap()
    }

    fn http(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn result(json: &str) -> String {
        http(
            "200 OK",
            &format!(r#"{{"jsonrpc":"2.0","id":0,"result":{json}}}"#),
        )
    }

    #[test]
    fn nothing_is_shown_of_an_address_behind_its_host() {
        for (url, shown) in [
            (
                "https://node.example.org/v3/a-secret",
                "https://node.example.org/…",
            ),
            (
                "wss://me:a-secret@node.example.org:8546",
                "wss://node.example.org:8546",
            ),
            ("node.example.org/a-secret", "node.example.org/…"),
            ("http://127.0.0.1:8545/?key=a-secret", "http://127.0.0.1:8545/…"),
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
        let error = Node::at("wss://node.example.org/a-secret", Limits::default()).unwrap_err();
        assert!(!error.to_string().contains("a-secret"), "{error}");
    }

    #[test]
    fn an_address_must_be_one() {
        for (url, says) in [
            ("node.example.org", "relative URL without a base"),
            ("ws://127.0.0.1:8545", "`ws` is not spoken here"),
            ("", "relative URL without a base"),
        ] {
            let error = Node::at(url, Limits::default()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(error.contains("expected http://HOST:PORT"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_a_node_answers_is_read() {
        assert_eq!(answering(|| result("\"0x539\"")).chain_id().await, Ok(1337));
        assert_eq!(answering(|| result("null")).header(7).await, Ok(None));
        assert_eq!(
            answering(|| result("\"0x\"")).code(Address([1; 20])).await,
            Ok(vec![])
        );
    }

    #[tokio::test]
    async fn whatever_is_wrong_with_an_answer_is_said() {
        let node = answering(|| result("\"a number\""));
        let error = node.chain_id().await.unwrap_err();
        assert!(matches!(error, NodeError::Nonsense { .. }), "{error}");

        let node = answering(|| http("200 OK", "<html>welcome</html>"));
        let error = node.chain_id().await.unwrap_err();
        assert!(error.to_string().contains("<html>welcome</html>"), "{error}");

        let node = answering(|| http("429 Too Many Requests\r\nRetry-After: 7", "slow down"));
        let error = node.chain_id().await.unwrap_err();
        assert!(
            matches!(error, NodeError::Busy { status: 429, retry_after: Some(wait), .. } if wait.as_secs() == 7),
            "{error:?}"
        );

        let node = answering(|| {
            http(
                "200 OK",
                r#"{"jsonrpc":"2.0","id":0,"error":{"code":3,"message":"execution reverted: NO_SUCH_MARKET"}}"#,
            )
        });
        let error = node.call(Address([1; 20]), vec![]).await.unwrap_err();
        assert!(
            matches!(&error, NodeError::Refused { code: 3, message, .. } if message.contains("NO_SUCH_MARKET"))
        );
    }

    #[tokio::test]
    async fn a_node_that_is_asked_too_often_is_busy_however_it_says_so_and_one_that_is_asked_too_much_refuses()
     {
        let refusal = |code: i64, message: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":0,"error":{{"code":{code},"message":"{message}"}}}}"#)
        };
        let ask = async |answer: String| answering(move || answer.clone()).chain_id().await.unwrap_err();
        for answer in [
            http(
                "200 OK",
                &refusal(-32005, "daily request count exceeded, request rate limited"),
            ),
            http("200 OK", &refusal(429, "compute units per second exceeded")),
            http(
                "429 Too Many Requests\r\nRetry-After: 3",
                &refusal(-32000, "slow down"),
            ),
        ] {
            let error = ask(answer).await;
            assert!(matches!(error, NodeError::Busy { .. }), "{error:?}");
        }
        for message in [
            "query returned more than 10000 results",
            "block range is too wide",
            "limit exceeded",
        ] {
            let error = ask(http("200 OK", &refusal(-32005, message))).await;
            assert!(matches!(error, NodeError::Refused { .. }), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_block_of_another_number_is_nonsense() {
        let zeros = "0".repeat(64);
        let block = format!(
            r#"{{"number":"0x8","hash":"0x{zeros}","parentHash":"0x{zeros}","timestamp":"0x1","gasLimit":"0x2"}}"#
        );
        let error = answering(move || result(&block)).header(7).await.unwrap_err();
        assert!(error.to_string().contains("asked for block 7, got 8"), "{error}");
    }

    #[tokio::test]
    async fn a_node_that_is_silent_or_gone_costs_no_more_than_its_limit() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v3/a-secret", silent.local_addr().unwrap());
        let limits = Limits {
            connect: Duration::from_secs(1),
            answer: Duration::from_millis(200),
        };
        let node = Node::at(&url, limits).unwrap();
        let error = node.chain_id().await.unwrap_err();
        assert!(matches!(error, NodeError::Unreachable { .. }), "{error:?}");
        drop(silent);
        let error = node.chain_id().await.unwrap_err().to_string();
        assert!(error.contains("Connection refused"), "{error}");
        assert!(!error.contains("a-secret"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut() {
        let node = answering(|| http("200 OK", &"7".repeat(transport::MAX_ANSWER + 1)));
        let error = node.chain_id().await.unwrap_err().to_string();
        assert!(error.contains("longer than"), "{error}");
    }
}
