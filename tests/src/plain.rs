//! A client that says what it is told, word by word, in JSON over WebSocket: also what no library would say.

use crate::world::World;
use bourse_wamp::{self as wamp, CryptosignKey, Dict};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, whatever was said over it.
pub struct Plain(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Plain {
    /// Connects, and says nothing yet.
    pub async fn at(url: &str) -> Self {
        let mut request = url.into_client_request().unwrap();
        let protocol = "wamp.2.json".parse().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = connect_async(request).await.unwrap();
        Self(socket)
    }

    /// Says something, and hears the next that is said to it.
    pub async fn ask(&mut self, message: &Value) -> Value {
        self.say(message).await;
        self.hear().await
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            let heard = timeout(PATIENCE, self.0.next()).await.expect("a message");
            if let Message::Text(text) = heard.unwrap().unwrap() {
                return serde_json::from_str(text.as_str()).unwrap();
            }
        }
    }

    /// Says goodbye, and returns once the router has.
    pub async fn leave(mut self) {
        self.say(&json!([6, {}, "wamp.close.normal"])).await;
        while self.hear().await[0] != 6 {}
    }

    /// Joins by a ticket.
    pub async fn log_in(&mut self, realm: &str, authid: &str, ticket: &str) {
        let details = json!({"roles": {"callee": {}}, "authmethods": ["ticket"], "authid": authid});
        let challenge = self.ask(&json!([1, realm, details])).await;
        assert_eq!(challenge[0], 4, "{challenge}");
        let welcome = self.ask(&json!([5, ticket, {}])).await;
        assert_eq!(welcome[0], 2, "{welcome}");
    }

    /// Whether a client that shows a key it does not hold, with this word for it, is challenged and then turned away.
    pub async fn is_challenged_in_vain(world: &World, key: &CryptosignKey, word: &Dict) -> bool {
        let mut extra = serde_json::Map::from_iter([("pubkey".to_owned(), key.public_hex().into())]);
        for (name, value) in word {
            let spelled = match value {
                wamp::Value::Bytes(bytes) => json!(hex::encode(bytes)),
                other => json!(other.as_u64().unwrap()),
            };
            extra.insert(name.clone(), spelled);
        }
        let mut client = Self::at(&world.url()).await;
        let details = json!({"roles": {"caller": {}}, "authmethods": ["cryptosign"], "authextra": extra});
        let challenge = client.ask(&json!([1, world.config().realm.name, details])).await;
        let end = client.ask(&json!([5, "00".repeat(96), {}])).await;
        challenge[0] == 4 && end[0] == 3
    }
}
