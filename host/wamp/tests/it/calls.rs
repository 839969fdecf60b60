use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bourse_wamp::{
    Auth, CallError, CallOptions, CallResult, Dict, JoinError, JoinOptions, Serializer, Session, Value,
    WampError,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::support::{Over, call, echo, soon, until, uri, world};

const WS_CBOR: Over = Over::Ws(Serializer::Cbor);

#[tokio::test]
async fn the_callee_knows_its_caller() {
    let world = world().await;
    let market_maker = world.market_maker().await;
    assert_eq!(
        (market_maker.authrole(), market_maker.realm()),
        ("marketmaker", "realm1")
    );
    market_maker
        .register("bourse.whoami", async |invocation| {
            Ok(CallResult::one(vec![
                invocation.caller.into(),
                invocation.caller_authid.into(),
                invocation.caller_authrole.into(),
                Value::from(invocation.procedure),
            ]))
        })
        .await
        .unwrap();
    for over in Over::all() {
        for (authid, ticket) in [("alice", "secret-a"), ("", "")] {
            let caller = match authid {
                "" => world.join(over).await,
                _ if over == Over::Local => continue,
                _ => world.join_as(over, authid, ticket).await,
            };
            let expected = CallResult::one(vec![
                Value::from(caller.id()),
                caller.authid().into(),
                caller.authrole().into(),
                "bourse.whoami".into(),
            ]);
            assert_eq!(
                call(&caller, "bourse.whoami", vec![]).await.unwrap(),
                expected,
                "{over:?}"
            );
            if !authid.is_empty() {
                assert_eq!((caller.authid(), caller.authrole()), ("alice", "delegate"));
            }
        }
    }
}

#[tokio::test]
async fn anonymous_sessions_get_an_identity_that_is_nobody_elses() {
    let world = world().await;
    let one = world.join(WS_CBOR).await;
    let other = world.join(WS_CBOR).await;
    assert_ne!(one.authid(), other.authid());
    assert_eq!(one.authrole(), "anonymous");
}

#[tokio::test]
async fn an_error_keeps_its_uri_arguments_and_keywords() {
    let world = world().await;
    let error = WampError {
        uri: "bourse.error.price_changed".into(),
        args: vec!["the price has changed".into(), [1_u8; 32].into()],
        kwargs: Dict::from([("price".into(), [2_u8; 32].into())]),
    };
    let market_maker = world.market_maker().await;
    let answer = error.clone();
    market_maker
        .register("bourse.fail", move |_| {
            let answer = answer.clone();
            async move { Err(answer) }
        })
        .await
        .unwrap();
    for over in Over::all() {
        let caller = world.join(over).await;
        assert_eq!(
            call(&caller, "bourse.fail", vec![]).await,
            Err(CallError::Wamp(error.clone())),
            "{over:?}"
        );
        assert_eq!(
            uri(call(&caller, "bourse.nothing", vec![]).await),
            "wamp.error.no_such_procedure"
        );
        assert_eq!(
            uri(call(&caller, "not a uri", vec![]).await),
            "wamp.error.invalid_uri"
        );
    }
}

#[tokio::test]
async fn a_handler_that_panics_answers_with_an_error() {
    let world = world().await;
    let market_maker = world.market_maker().await;
    market_maker
        .register("bourse.panic", async |_| panic!("on purpose"))
        .await
        .unwrap();
    let caller = world.join(WS_CBOR).await;
    assert_eq!(
        uri(call(&caller, "bourse.panic", vec![]).await),
        "wamp.error.runtime_error"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_are_called_in_the_order_of_the_calls() {
    const CALLS: u64 = 50;
    let world = world().await;
    let market_maker = world.market_maker().await;
    let called = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&called);
    market_maker
        .register("bourse.noted", move |invocation| {
            noted.lock().push(invocation.args[0].as_u64().unwrap());
            async { Ok(CallResult::default()) }
        })
        .await
        .unwrap();
    let caller = world.join(WS_CBOR).await;
    // Polled one after the other, each call leaves with its first poll.
    let mut calls: Vec<_> = (0..CALLS)
        .map(|number| Box::pin(call(&caller, "bourse.noted", vec![number.into()])))
        .collect();
    std::future::poll_fn(|context| {
        calls.retain_mut(|call| call.as_mut().poll(context).is_pending());
        if calls.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    assert_eq!(*called.lock(), (0..CALLS).collect::<Vec<_>>());
}

#[tokio::test]
async fn invocations_run_beside_each_other() {
    let world = world().await;
    let market_maker = world.market_maker().await;
    market_maker
        .register("bourse.slow", async |_| {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(CallResult::default())
        })
        .await
        .unwrap();
    let caller = world.join(WS_CBOR).await;
    let started = Instant::now();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { call(&caller, "bourse.slow", vec![]).await })
        })
        .collect();
    for one in calls {
        one.await.unwrap().unwrap();
    }
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "took {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_session_with_too_much_to_do_says_so_at_once() {
    let world = world().await;
    let options = JoinOptions {
        max_invocations: 2,
        ..JoinOptions::default()
    };
    let market_maker = Session::join(world.router.local_link(), options).await.unwrap();
    let release = Arc::new(Notify::new());
    let running = Arc::new(AtomicUsize::new(0));
    let (waits, count) = (release.clone(), running.clone());
    market_maker
        .register("bourse.wait", move |_| {
            let (waits, count) = (waits.clone(), count.clone());
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                waits.notified().await;
                Ok(CallResult::default())
            }
        })
        .await
        .unwrap();
    let caller = world.join(WS_CBOR).await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { call(&caller, "bourse.wait", vec![]).await })
        })
        .collect();
    until(|| running.load(Ordering::SeqCst) == 2).await;
    assert_eq!(
        uri(call(&caller, "bourse.wait", vec![]).await),
        "bourse.error.overloaded"
    );
    release.notify_waiters();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_call_that_times_out_is_cancelled_at_the_callee() {
    let world = world().await;
    let cancelled = Arc::new(Notify::new());
    let market_maker = world.market_maker().await;
    let told = cancelled.clone();
    market_maker
        .register("bourse.never", move |invocation| {
            let told = told.clone();
            async move {
                assert_eq!(invocation.timeout, Some(Duration::from_millis(100)));
                invocation.cancelled.cancelled().await;
                told.notify_one();
                Ok(CallResult::default())
            }
        })
        .await
        .unwrap();
    for over in Over::all() {
        let caller = world.join(over).await;
        let options = CallOptions {
            timeout: Some(Duration::from_millis(100)),
            ..CallOptions::default()
        };
        let answer = caller.call("bourse.never", vec![], Dict::new(), options).await;
        assert_eq!(answer, Err(CallError::Timeout), "{over:?}");
        soon(cancelled.notified()).await;
    }
    until(|| world.router.stats().pending_calls == 0).await;
}

#[tokio::test]
async fn a_call_that_nobody_awaits_any_more_is_cancelled() {
    let world = world().await;
    let (started, cancelled) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let market_maker = world.market_maker().await;
    let (starts, told) = (started.clone(), cancelled.clone());
    market_maker
        .register("bourse.never", move |invocation| {
            let (starts, told) = (starts.clone(), told.clone());
            async move {
                starts.notify_one();
                invocation.cancelled.cancelled().await;
                told.notify_one();
                Ok(CallResult::default())
            }
        })
        .await
        .unwrap();
    let caller = world.join(WS_CBOR).await;
    let calling = {
        let caller = caller.clone();
        tokio::spawn(async move {
            caller
                .call("bourse.never", vec![], Dict::new(), CallOptions::default())
                .await
        })
    };
    soon(started.notified()).await;
    calling.abort();
    soon(cancelled.notified()).await;
    until(|| world.router.stats().pending_calls == 0).await;
}

#[tokio::test]
async fn when_either_side_leaves_the_other_is_told() {
    let world = world().await;
    for over in Over::all() {
        let (started, cancelled) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let callee = world.join(over).await;
        let (starts, told) = (started.clone(), cancelled.clone());
        callee
            .register("com.app.never", move |invocation| {
                let (starts, told) = (starts.clone(), told.clone());
                async move {
                    starts.notify_one();
                    invocation.cancelled.cancelled().await;
                    told.notify_one();
                    Ok(CallResult::default())
                }
            })
            .await
            .unwrap();
        let caller = world.join(over).await;
        let calling = {
            let caller = caller.clone();
            tokio::spawn(async move { call(&caller, "com.app.never", vec![]).await })
        };
        soon(started.notified()).await;
        soon(caller.leave()).await;
        assert_eq!(calling.await.unwrap(), Err(CallError::Closed), "{over:?}");
        soon(cancelled.notified()).await;

        let caller = world.join(over).await;
        let calling = {
            let caller = caller.clone();
            tokio::spawn(async move { call(&caller, "com.app.never", vec![]).await })
        };
        soon(started.notified()).await;
        drop(callee);
        assert_eq!(uri(calling.await.unwrap()), "wamp.error.canceled", "{over:?}");
        until(|| world.router.callee("com.app.never").is_none()).await;
    }
    until(|| world.router.stats().sessions == 0).await;
    assert_eq!(world.router.stats().pending_calls, 0);
}

#[tokio::test]
async fn sessions_end_when_the_router_stops() {
    let world = world().await;
    let sessions = [
        world.join(WS_CBOR).await,
        world.join(Over::Rs(Serializer::Json)).await,
        world.market_maker().await,
    ];
    sessions[2].register("bourse.echo", echo).await.unwrap();
    soon(world.router.shutdown()).await;
    for session in sessions {
        soon(session.closed()).await;
        assert_eq!(
            session.close_reason().as_deref(),
            Some("wamp.close.system_shutdown")
        );
        assert_eq!(
            call(&session, "bourse.echo", vec![]).await,
            Err(CallError::Closed)
        );
    }
}

#[tokio::test]
async fn an_abandoned_session_ends_at_once_for_all_who_hold_it_and_the_router_lets_it_go() {
    let world = world().await;
    for over in [WS_CBOR, Over::Rs(Serializer::Json)] {
        let (callee, session) = (world.join(over).await, world.join(over).await);
        callee
            .register("com.app.never", |_| std::future::pending())
            .await
            .unwrap();
        session.register("com.app.here", echo).await.unwrap();
        let held = session.clone();
        let waiting = tokio::spawn(async move { call(&held, "com.app.never", vec![]).await });
        until(|| world.router.stats().pending_calls == 1).await;
        session.abandon();
        assert_eq!(soon(waiting).await.unwrap(), Err(CallError::Closed), "{over:?}");
        until(|| world.router.callee("com.app.here").is_none()).await;
        callee.leave().await;
    }
    until(|| world.router.stats().sessions == 0).await;
}

#[tokio::test]
async fn joining_fails_with_the_routers_reason() {
    let world = world().await;
    let check = async |options: JoinOptions, expected: &str| {
        for over in [WS_CBOR, Over::Rs(Serializer::Json), Over::Ws(Serializer::MsgPack)] {
            match Session::join(world.link(over).await, options.clone()).await {
                Err(JoinError::Refused { reason, text }) => {
                    assert_eq!(reason, expected, "{over:?}");
                    assert!(text.is_some_and(|text| !text.is_empty()));
                }
                other => panic!("{over:?}: {other:?}"),
            }
        }
    };
    check(
        JoinOptions {
            realm: "realm2".into(),
            ..JoinOptions::default()
        },
        "wamp.error.no_such_realm",
    )
    .await;
    let ticket = |authid: &str, ticket: &str| JoinOptions {
        authid: Some(authid.into()),
        auth: Auth::Ticket(ticket.into()),
        ..JoinOptions::default()
    };
    check(ticket("alice", "secret-b"), "wamp.error.authentication_failed").await;
    check(ticket("mallory", "secret-a"), "wamp.error.authentication_failed").await;
    check(ticket("alice", ""), "wamp.error.authentication_failed").await;
}
