use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bourse_wamp::{
    Authenticator, CallError, CallOptions, CallResult, Dict, Invocation, JoinOptions, Link, Router,
    RouterConfig, Serializer, Session, Users, Value, WampError, connect_rs, connect_ws,
};

/// Longer than anything here takes, shorter than a patience.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) ws: SocketAddr,
    pub(crate) rs: SocketAddr,
}

pub(crate) async fn world() -> World {
    world_with(RouterConfig::default()).await
}

pub(crate) async fn world_with(config: RouterConfig) -> World {
    let tickets = Users::new(true)
        .with_ticket("alice", "delegate", "secret-a")
        .with_ticket("bob", "delegate", "secret-b");
    world_of(config, Arc::new(tickets)).await
}

pub(crate) async fn world_of(config: RouterConfig, authenticator: Arc<dyn Authenticator>) -> World {
    let router = Router::new(config, authenticator);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let ws = router.listen_ws(any, "/ws").await.unwrap();
    let rs = router.listen_rs(any).await.unwrap();
    World { router, ws, rs }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Ws(Serializer),
    Rs(Serializer),
    Local,
}

impl Over {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Local];
        for serializer in Serializer::ALL {
            all.extend([Self::Ws(serializer), Self::Rs(serializer)]);
        }
        all
    }

    pub(crate) fn carries_huge_integers(self) -> bool {
        !matches!(
            self,
            Self::Ws(Serializer::MsgPack) | Self::Rs(Serializer::MsgPack)
        )
    }
}

impl World {
    pub(crate) async fn link(&self, over: Over) -> Link {
        match over {
            Over::Ws(serializer) => connect_ws(&format!("ws://{}/ws", self.ws), serializer)
                .await
                .unwrap(),
            Over::Rs(serializer) => connect_rs(self.rs, serializer).await.unwrap(),
            Over::Local => self.router.local_link(),
        }
    }

    pub(crate) async fn join(&self, over: Over) -> Session {
        Session::join(self.link(over).await, JoinOptions::default())
            .await
            .unwrap()
    }

    pub(crate) async fn join_as(&self, over: Over, authid: &str, ticket: &str) -> Session {
        let options = JoinOptions {
            authid: Some(authid.into()),
            auth: bourse_wamp::Auth::Ticket(ticket.into()),
            ..JoinOptions::default()
        };
        Session::join(self.link(over).await, options).await.unwrap()
    }

    pub(crate) async fn market_maker(&self) -> Session {
        self.join(Over::Local).await
    }
}

/// A handler that answers with its arguments.
pub(crate) async fn echo(invocation: Invocation) -> Result<CallResult, WampError> {
    Ok(CallResult {
        args: invocation.args,
        kwargs: invocation.kwargs,
    })
}

pub(crate) async fn call(session: &Session, uri: &str, args: Vec<Value>) -> Result<CallResult, CallError> {
    let options = CallOptions {
        timeout: Some(SOON),
        ..CallOptions::default()
    };
    session.call(uri, args, Dict::new(), options).await
}

/// The URI of the error that a request ended with.
pub(crate) fn uri<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    match result {
        Err(CallError::Wamp(error)) => error.uri,
        other => panic!("not an application error: {other:?}"),
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future)
        .await
        .expect("it should have happened by now")
}

/// Waits until something is so.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    soon(async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
