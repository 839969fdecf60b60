//! A router with an echo procedure, to try clients against:
//! `cargo run -p bourse-wamp --example echo_router`, then WebSocket at the first printed address, RawSocket at the
//! second. Anonymous, or the ticket `secret` for the authid `alice`.
#![allow(clippy::expect_used, reason = "an example may fail loudly")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bourse_wamp::{
    CallOptions, CallResult, Dict, JoinOptions, PublishOptions, Router, RouterConfig, Session, Users, Value,
    WampError,
};

#[tokio::main]
async fn main() {
    let authenticator = Arc::new(Users::new(true).with_ticket("alice", "delegate", "secret"));
    let router = Router::new(RouterConfig::default(), authenticator);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let ws = router
        .listen_ws(any, "/ws")
        .await
        .expect("the WebSocket listener starts");
    let rs = router
        .listen_rs(any)
        .await
        .expect("the RawSocket listener starts");
    let session = Session::join(router.local_link(), JoinOptions::default())
        .await
        .expect("the echo joins");
    let echo = async |invocation: bourse_wamp::Invocation| {
        Ok(CallResult {
            args: invocation.args,
            kwargs: invocation.kwargs,
        })
    };
    session
        .register("bourse.echo", echo)
        .await
        .expect("the market maker may register it");
    session
        .register("bourse.whoami", async |invocation: bourse_wamp::Invocation| {
            let caller = Dict::from([
                ("session".to_owned(), Value::from(invocation.caller)),
                ("authid".to_owned(), invocation.caller_authid.into()),
                ("authrole".to_owned(), invocation.caller_authrole.into()),
            ]);
            Ok(CallResult::one(caller))
        })
        .await
        .expect("the market maker may register it");
    session
        .register("bourse.fail", async |_| {
            let mut error = WampError::new("xbr.error.invalid_signature", "on purpose");
            error.kwargs.insert("code".to_owned(), 7_u64.into());
            Err(error)
        })
        .await
        .expect("the market maker may register it");
    session
        .register("bourse.sleep", async |invocation: bourse_wamp::Invocation| {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
                () = invocation.cancelled.cancelled() => {}
            }
            Ok(CallResult::default())
        })
        .await
        .expect("the market maker may register it");
    let publisher = session.clone();
    session
        .register("bourse.publish", move |invocation: bourse_wamp::Invocation| {
            let publisher = publisher.clone();
            async move {
                let options = PublishOptions {
                    acknowledge: true,
                    eligible: invocation.caller.map(|caller| vec![caller]),
                    ..PublishOptions::default()
                };
                let published = publisher.publish("bourse.news", invocation.args, invocation.kwargs, options);
                published
                    .await
                    .map_err(|error| WampError::new("bourse.error.failed", error.to_string()))?;
                Ok(CallResult::default())
            }
        })
        .await
        .expect("the market maker may register it");
    // Calls what the caller serves, as the market maker calls its sellers.
    let caller = session.clone();
    session
        .register("bourse.relay", move |invocation: bourse_wamp::Invocation| {
            let caller = caller.clone();
            async move {
                let uri = invocation
                    .kwargs
                    .get("uri")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                let options = CallOptions {
                    timeout: Some(Duration::from_secs(1)),
                    ..CallOptions::default()
                };
                match caller.call(&uri, invocation.args, Dict::new(), options).await {
                    Ok(result) => Ok(result),
                    Err(bourse_wamp::CallError::Wamp(error)) => Err(error),
                    Err(other) => Err(WampError::new("bourse.error.failed", other.to_string())),
                }
            }
        })
        .await
        .expect("the market maker may register it");
    println!("{ws} {rs}");
    tokio::signal::ctrl_c().await.expect("the signal can be awaited");
    router.shutdown().await;
}
