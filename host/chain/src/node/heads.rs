//! New blocks as a node tells of them over WebSocket: a reason to look, and nothing more.
//!
//! What lives here: the subscription, with its limits. What never does: believing. Nothing of what comes is read but that it is
//! a notification; what the newest block is, is asked over HTTP as ever.

use super::{Limits, NodeError, excerpt, lowest, without_secrets};
use core::time::Duration;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::borrow::Cow;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Bytes of one message at most: a head takes less than two thousand.
const MAX_MESSAGE: usize = 64 << 10;
/// How long a node may say nothing before it is asked whether it is there, and how long it then has to answer. A chain may have
/// a block only now and then.
const SILENCE: Duration = Duration::from_secs(20);
/// What is asked.
const SUBSCRIBE: &str = "eth_subscribe";

/// Where a node tells of new blocks.
#[derive(Debug, Clone)]
pub struct Heads {
    url: String,
    /// Scheme and host: a path may hold a secret.
    name: String,
    limits: Limits,
}

impl Heads {
    /// Those of the node at `url`. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`NodeError::Address`].
    pub fn at(url: &str, limits: Limits) -> Result<Self, NodeError> {
        let wrong = |reason: String| NodeError::WebSocket {
            url: without_secrets(url),
            reason,
        };
        let parsed = reqwest::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "ws" | "wss") {
            return Err(wrong(format!("`{}` is no WebSocket", parsed.scheme())));
        }
        let host = parsed
            .host_str()
            .ok_or_else(|| wrong("it names no host".to_owned()))?;
        url.into_client_request().map_err(|error| wrong(lowest(&error)))?;
        let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
        // Once for the whole process; a second time is refused, and does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            url: url.to_owned(),
            name: format!("{}://{host}{port}", parsed.scheme()),
            limits,
        })
    }

    /// Scheme and host, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Subscribes.
    ///
    /// # Errors
    ///
    /// [`NodeError`], if the node cannot be reached, or does not want to.
    pub async fn listen(&self) -> Result<Listening, NodeError> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connect = connect_async_with_config(self.url.as_str(), Some(config), true);
        let (socket, _) = timeout(self.limits.connect, connect)
            .await
            .map_err(|_| self.unreachable("it does not answer"))?
            .map_err(|error| self.explain(&error))?;
        let mut listening = Listening {
            socket,
            heads: self.clone(),
        };
        timeout(self.limits.answer, listening.subscribe())
            .await
            .map_err(|_| self.unreachable("it does not answer eth_subscribe"))??;
        Ok(listening)
    }

    fn unreachable(&self, reason: impl Into<String>) -> NodeError {
        NodeError::Unreachable {
            node: self.name.clone(),
            reason: reason.into(),
        }
    }

    fn nonsense(&self, body: &[u8]) -> NodeError {
        NodeError::Nonsense {
            node: self.name.clone(),
            method: Cow::Borrowed(SUBSCRIBE),
            reason: excerpt(body),
        }
    }

    /// The lowest cause: those above may carry the address.
    fn explain(&self, error: &Error) -> NodeError {
        self.unreachable(lowest(error))
    }
}

/// A subscription. It ends when this is dropped.
#[derive(Debug)]
pub struct Listening {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heads: Heads,
}

impl Listening {
    async fn subscribe(&mut self) -> Result<(), NodeError> {
        let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": SUBSCRIBE, "params": ["newHeads"] });
        self.send(Message::text(ask.to_string())).await?;
        loop {
            let Some(answer) = self.message().await? else {
                continue;
            };
            if let Some(refusal) = answer.get("error") {
                let message = refusal.get("message").and_then(Value::as_str);
                return Err(NodeError::Refused {
                    node: self.heads.name.clone(),
                    method: Cow::Borrowed(SUBSCRIBE),
                    message: excerpt(message.unwrap_or("without a word").as_bytes()),
                    code: refusal.get("code").and_then(Value::as_i64).unwrap_or_default(),
                });
            }
            match answer.get("result") {
                Some(Value::String(_)) => return Ok(()),
                _ => return Err(self.heads.nonsense(answer.to_string().as_bytes())),
            }
        }
    }

    /// Waits for the next block.
    ///
    /// # Errors
    ///
    /// [`NodeError`]: the subscription has ended.
    pub async fn next(&mut self) -> Result<(), NodeError> {
        let mut asked = false;
        loop {
            match timeout(SILENCE, self.message()).await {
                Ok(Ok(Some(said))) => match said.get("method").and_then(Value::as_str) {
                    Some("eth_subscription") => return Ok(()),
                    _ => return Err(self.heads.nonsense(said.to_string().as_bytes())),
                },
                // It is there.
                Ok(Ok(None)) => asked = false,
                Ok(Err(error)) => return Err(error),
                Err(_) if asked => return Err(self.heads.unreachable("it is silent")),
                Err(_) => {
                    self.send(Message::Ping(Vec::new().into())).await?;
                    asked = true;
                }
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), NodeError> {
        let sent = timeout(self.heads.limits.answer, self.socket.send(message)).await;
        sent.map_err(|_| self.heads.unreachable("it takes nothing"))?
            .map_err(|error| self.heads.explain(&error))
    }

    /// The next message; none if it was one of the protocol's own.
    async fn message(&mut self) -> Result<Option<Value>, NodeError> {
        let message = self
            .socket
            .next()
            .await
            .ok_or_else(|| self.heads.unreachable("the connection ended"))?
            .map_err(|error| self.heads.explain(&error))?;
        let body = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes.as_ref(),
            Message::Close(_) => return Err(self.heads.unreachable("it closed the connection")),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(None),
        };
        serde_json::from_slice(body)
            .map(Some)
            .map_err(|_| self.heads.nonsense(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A node that says all of this to whoever connects, then waits.
    async fn saying(messages: Vec<Message>) -> Heads {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let messages = messages.clone();
                tokio::spawn(async move {
                    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                    for message in messages {
                        if socket.send(message).await.is_err() {
                            return;
                        }
                    }
                    while let Some(Ok(_)) = socket.next().await {}
                });
            }
        });
        let limits = Limits {
            connect: Duration::from_secs(1),
            answer: Duration::from_millis(300),
        };
        Heads::at(&format!("ws://{address}/a-secret"), limits).unwrap()
    }

    fn subscribed() -> Message {
        Message::text(r#"{"jsonrpc":"2.0","id":1,"result":"0xcd0c3e8af590364c09d0fa6a1210faf5"}"#)
    }

    fn head() -> Message {
        Message::text(
            r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0xffffffff"}}}"#,
        )
    }

    #[tokio::test]
    async fn each_block_is_told_once_and_the_end_is_told_too() {
        let close = Message::Close(None);
        let mut listening = saying(vec![
            subscribed(),
            head(),
            Message::Ping(vec![1].into()),
            head(),
            close,
        ])
        .await
        .listen()
        .await
        .unwrap();
        listening.next().await.unwrap();
        listening.next().await.unwrap();
        let error = listening.next().await.unwrap_err();
        assert!(matches!(error, NodeError::Unreachable { .. }), "{error:?}");
        assert!(!error.to_string().contains("a-secret"), "{error}");
    }

    #[tokio::test]
    async fn a_node_that_does_not_tell_of_blocks_is_not_listened_to() {
        let refusal =
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method does not exist"}}"#;
        for (messages, says) in [
            (
                vec![Message::text(refusal)],
                "refuses eth_subscribe: the method does not exist",
            ),
            (vec![Message::text("welcome")], "nonsense: welcome"),
            (vec![Message::text(r#"{"id":1,"result":7}"#)], "nonsense"),
            (vec![], "does not answer eth_subscribe"),
        ] {
            let error = saying(messages).await.listen().await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
        for (messages, says) in [
            (vec![subscribed(), Message::text("{}")], "nonsense: {}"),
            (
                vec![subscribed(), Message::text("7".repeat(MAX_MESSAGE + 1))],
                "too long",
            ),
        ] {
            let mut listening = saying(messages).await.listen().await.unwrap();
            let error = listening.next().await.unwrap_err();
            assert!(error.to_string().to_lowercase().contains(says), "{error}");
        }
    }

    #[test]
    fn an_address_must_be_one() {
        for url in ["http://127.0.0.1:8545", "127.0.0.1", "ws://"] {
            let error = Heads::at(url, Limits::default()).unwrap_err().to_string();
            assert!(
                error.contains("expected ws://HOST:PORT or wss://HOST/PATH"),
                "{error}"
            );
        }
    }
}
