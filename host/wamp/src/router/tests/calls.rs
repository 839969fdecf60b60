use super::client::{World, answer, call};
use crate::codec::Serializer;
use crate::message::{CALL, INVOCATION, Message, payload};
use crate::router::RouterConfig;
use crate::value::{Dict, Value};

fn options(name: &str, value: impl Into<Value>) -> Dict {
    Dict::from([(name.to_owned(), value.into())])
}

fn cancel(request: u64, mode: &str) -> Message {
    Message::Cancel {
        request,
        options: options("mode", mode),
    }
}

#[tokio::test]
async fn the_router_times_a_call_out_on_both_sides() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.never").await;
    caller
        .send(call(1, "com.app.never", options("timeout", 100_u64)))
        .await;
    let (invocation, details) = callee.invocation().await;
    assert_eq!(details.get("timeout"), Some(&100_u64.into()));
    assert_eq!(caller.error().await, (1, "wamp.error.timeout".into()));
    assert_eq!(callee.interrupt().await, (invocation, "killnowait".into()));
    // The late answer changes nothing and ends no session.
    callee.send(answer(invocation, 1_u64)).await;
    assert!(caller.is_silent().await);
    world.settled().await;
    assert_eq!(world.router.stats().timeouts, 1);
}

#[tokio::test]
async fn many_timeouts_fire_in_the_order_of_their_deadlines() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.never").await;
    for (request, timeout) in [(1, 300_u64), (2, 100), (3, 200)] {
        caller
            .send(call(request, "com.app.never", options("timeout", timeout)))
            .await;
    }
    let mut requests = Vec::new();
    for _ in 0..3 {
        requests.push(caller.error().await.0);
    }
    assert_eq!(requests, [2, 3, 1]);
    world.settled().await;
}

#[tokio::test]
async fn cancel_skips_kills_or_kills_without_waiting() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.work").await;

    caller.send(call(1, "com.app.work", Dict::new())).await;
    let (skipped, _) = callee.invocation().await;
    caller.send(cancel(1, "skip")).await;
    assert_eq!(caller.error().await, (1, "wamp.error.canceled".into()));
    world.settled().await;

    caller.send(call(2, "com.app.work", Dict::new())).await;
    let (killed, _) = callee.invocation().await;
    caller.send(cancel(2, "kill")).await;
    assert_eq!(callee.interrupt().await, (killed, "kill".into()));
    assert!(caller.is_silent().await, "mode kill waits for the callee");
    callee.send(answer(killed, 1_u64)).await;
    assert_eq!(caller.error().await, (2, "wamp.error.canceled".into()));

    caller.send(call(3, "com.app.work", Dict::new())).await;
    let (last, _) = callee.invocation().await;
    caller
        .send(Message::Cancel {
            request: 3,
            options: Dict::new(),
        })
        .await;
    assert_eq!(callee.interrupt().await, (last, "killnowait".into()));
    assert_eq!(caller.error().await, (3, "wamp.error.canceled".into()));
    for invocation in [skipped, last] {
        callee.send(answer(invocation, 1_u64)).await;
    }
    // A CANCEL that crosses the answer is no fault.
    caller.send(cancel(3, "kill")).await;
    assert!(caller.is_silent().await);
    world.settled().await;
}

#[tokio::test]
async fn a_killed_call_whose_callee_never_answers_ends_with_its_time() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.never").await;
    caller
        .send(call(1, "com.app.never", options("timeout", 200_u64)))
        .await;
    let (invocation, _) = callee.invocation().await;
    caller.send(cancel(1, "kill")).await;
    assert_eq!(callee.interrupt().await.0, invocation);
    assert_eq!(caller.error().await, (1, "wamp.error.timeout".into()));
    world.settled().await;
}

#[tokio::test]
async fn a_callee_without_call_canceling_is_not_interrupted() {
    let world = World::new(RouterConfig::default()).await;
    let mut callee = world.ws().await;
    let roles = Dict::from([("callee".to_owned(), Dict::new().into())]);
    let details = Dict::from([("roles".into(), roles.into())]);
    callee
        .send(Message::Hello {
            realm: "realm1".into(),
            details,
        })
        .await;
    callee.recv().await;
    let mut caller = world.join().await;
    callee.serve("com.app.work").await;
    caller.send(call(1, "com.app.work", Dict::new())).await;
    callee.invocation().await;
    caller.send(cancel(1, "kill")).await;
    assert_eq!(caller.error().await, (1, "wamp.error.canceled".into()));
    caller.send(call(2, "com.app.work", Dict::new())).await;
    callee.invocation().await;
    caller.out.close(None);
    world.gone(caller.id).await;
    assert!(callee.is_silent().await);
    world.settled().await;
}

#[tokio::test]
async fn an_interrupt_says_why() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, caller) = (world.join().await, world.join().await);
    callee.serve("com.app.never").await;
    for (request, options, reason) in [
        (1, options("timeout", 50_u64), "wamp.error.timeout"),
        (2, Dict::new(), "wamp.error.canceled"),
        (3, Dict::new(), "wamp.error.canceled"),
    ] {
        caller.send(call(request, "com.app.never", options)).await;
        callee.invocation().await;
        match request {
            1 => {}
            2 => caller.send(cancel(2, "kill")).await,
            _ => caller.out.close(None),
        }
        let Message::Interrupt { options, .. } = callee.recv().await else {
            panic!("not an interrupt");
        };
        assert_eq!(options.get("reason"), Some(&reason.into()), "{request}");
    }
}

#[tokio::test]
async fn a_cancel_of_no_known_mode_breaks_the_protocol() {
    let world = World::new(RouterConfig::default()).await;
    for (mode, named) in [
        (Value::from("stop"), "a mode stop;"),
        (7_u64.into(), "a mode that is no text;"),
    ] {
        let mut caller = world.join().await;
        let options = options("mode", mode);
        caller.send(Message::Cancel { request: 1, options }).await;
        let (reason, text) = caller.farewell().await;
        assert_eq!(reason, "wamp.error.protocol_violation");
        assert!(text.contains(named), "{text}");
    }
}

#[tokio::test]
async fn results_may_come_in_parts_when_the_caller_asks_for_it() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.parts").await;
    caller
        .send(call(1, "com.app.parts", options("receive_progress", true)))
        .await;
    let (invocation, details) = callee.invocation().await;
    assert_eq!(details.get("receive_progress"), Some(&true.into()));
    for part in [1_u64, 2] {
        let payload = payload(vec![part.into()], Dict::new());
        callee
            .send(Message::Yield {
                request: invocation,
                options: options("progress", true),
                payload,
            })
            .await;
    }
    callee.send(answer(invocation, 3_u64)).await;
    for (part, progress) in [(1_u64, true), (2, true), (3, false)] {
        let Message::Result {
            request: 1,
            details,
            payload: Some(arguments),
        } = caller.recv().await
        else {
            panic!("not a result");
        };
        assert_eq!(details.contains_key("progress"), progress);
        assert_eq!(arguments.args, vec![part.into()]);
    }
    world.settled().await;
}

/// A part of the result of an invocation.
fn part(request: u64) -> Message {
    Message::Yield {
        request,
        options: options("progress", true),
        payload: payload(vec![1_u64.into()], Dict::new()),
    }
}

#[tokio::test]
async fn a_part_of_a_result_that_was_to_come_whole_breaks_the_protocol() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.parts").await;
    caller.send(call(1, "com.app.parts", Dict::new())).await;
    let (invocation, _) = callee.invocation().await;
    callee.send(part(invocation)).await;
    let (reason, text) = callee.farewell().await;
    assert_eq!(reason, "wamp.error.protocol_violation");
    assert!(text.contains("wants it whole"), "{text}");
    assert_eq!(caller.error().await, (1, "wamp.error.canceled".into()));
    world.settled().await;
}

#[tokio::test]
async fn a_part_that_the_caller_cannot_be_sent_ends_its_call() {
    let world = World::new(RouterConfig::default()).await;
    let mut callee = world.join().await;
    let mut caller = world.rs(Serializer::MsgPack).await;
    caller.hello().await;
    callee.serve("com.app.parts").await;
    let progress = options("receive_progress", true);
    caller.send(call(1, "com.app.parts", progress)).await;
    let (invocation, _) = callee.invocation().await;
    let wide = Value::Int((1_i128 << 70).into());
    callee
        .send(Message::Yield {
            request: invocation,
            options: options("progress", true),
            payload: payload(vec![wide], Dict::new()),
        })
        .await;
    assert_eq!(caller.error().await, (1, "wamp.error.invalid_payload".into()));
    assert_eq!(callee.interrupt().await, (invocation, "killnowait".into()));
    callee.send(answer(invocation, 1_u64)).await;
    assert!(caller.is_silent().await);
    world.settled().await;
}

#[tokio::test]
async fn a_killed_call_ends_once_whatever_its_callee_does_or_when_its_caller_waits_no_longer() {
    let world = World::new(RouterConfig::default()).await;
    let mut caller = world.join().await;
    for request in 1..=4 {
        let mut callee = world.join().await;
        callee.serve("com.app.work").await;
        let options = options("receive_progress", true);
        caller.send(call(request, "com.app.work", options)).await;
        let (invocation, _) = callee.invocation().await;
        // A second word changes nothing.
        caller.send(cancel(request, "kill")).await;
        caller.send(cancel(request, "kill")).await;
        assert_eq!(callee.interrupt().await, (invocation, "kill".into()));
        assert!(caller.is_silent().await && callee.is_silent().await);
        match request {
            1 => callee.send(part(invocation)).await,
            2 => {
                callee
                    .send(Message::error(INVOCATION, invocation, "com.app.error", "no"))
                    .await
            }
            3 => callee.out.close(None),
            _ => caller.send(cancel(request, "killnowait")).await,
        }
        assert_eq!(caller.error().await, (request, "wamp.error.canceled".into()));
        callee.out.close(None);
        world.gone(callee.id).await;
        assert!(caller.is_silent().await);
        world.settled().await;
    }
}

#[tokio::test]
async fn a_call_to_oneself_ends_with_the_session() {
    let world = World::new(RouterConfig::default()).await;
    let mut both = world.join().await;
    both.serve("com.app.own").await;
    both.send(call(1, "com.app.own", Dict::new())).await;
    let (invocation, _) = both.invocation().await;
    both.send(answer(invocation, 7_u64)).await;
    assert!(matches!(both.recv().await, Message::Result { request: 1, .. }));
    both.send(call(2, "com.app.own", Dict::new())).await;
    both.invocation().await;
    both.out.close(None);
    world.gone(both.id).await;
    world.settled().await;
}

#[tokio::test]
async fn an_invocation_names_its_procedure_where_the_registration_does_not() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, caller) = (world.join().await, world.join().await);
    callee.serve("com.app.exact").await;
    callee
        .send(Message::Register {
            request: 9,
            options: options("match", "prefix"),
            procedure: "com.".into(),
        })
        .await;
    callee.recv().await;
    for (request, procedure, named) in [
        (1, "com.app.exact", None),
        (2, "com.app.other", Some("com.app.other".into())),
    ] {
        caller.send(call(request, procedure, Dict::new())).await;
        let (_, details) = callee.invocation().await;
        assert_eq!(details.get("procedure"), named.as_ref());
        assert_eq!(details.get("caller"), Some(&caller.id.into()));
    }
}

#[tokio::test]
async fn an_error_of_the_callee_keeps_its_details_and_payload() {
    let world = World::new(RouterConfig::default()).await;
    let (mut callee, mut caller) = (world.join().await, world.join().await);
    callee.serve("com.app.fail").await;
    caller.send(call(1, "com.app.fail", Dict::new())).await;
    let (request, _) = callee.invocation().await;
    let (details, uri) = (options("x", 1_u64), "com.app.error.bad".to_owned());
    let payload = payload(vec!["text".into()], options("k", [1_u8; 3]));
    let error = |kind, request| Message::Error {
        kind,
        request,
        details: details.clone(),
        uri: uri.clone(),
        payload: payload.clone(),
    };
    callee.send(error(crate::message::INVOCATION, request)).await;
    assert_eq!(caller.recv().await, error(CALL, 1));
}

#[tokio::test]
async fn a_revoked_registration_is_announced_to_a_callee_that_understands_it() {
    let world = World::new(RouterConfig::default()).await;
    let mut callee = world.join().await;
    let registration = callee.serve("xbr.provider.p.sell").await;
    world.router.drop_registration("xbr.provider.p.sell", callee.id);
    let Message::Unregistered { request: 0, details } = callee.recv().await else {
        panic!("not told");
    };
    assert_eq!(details.get("registration"), Some(&registration.into()));
}
