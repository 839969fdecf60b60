use std::sync::Arc;
use std::time::Duration;

use bourse_wamp::{
    CallError, CallOptions, CallResult, Dict, RegisterOptions, Serializer, Session, Value, WampError,
};
use parking_lot::Mutex;

use crate::support::{Over, call, soon, until, world};

/// Serves `com.app.count`, which counts to its argument part by part and then says how far it came.
async fn counter(session: &Session) {
    session
        .register_progressive(
            "com.app.count",
            RegisterOptions::default(),
            async |invocation, progress| {
                let until = invocation
                    .args
                    .first()
                    .and_then(Value::as_u64)
                    .unwrap_or_default();
                let mut sent = 0_u64;
                for number in 0..until {
                    sent += u64::from(progress.send(CallResult::one(number)).await);
                }
                if invocation.kwargs.contains_key("fail") {
                    return Err(WampError::new("com.error.tired", "enough"));
                }
                Ok(CallResult::one(sent))
            },
        )
        .await
        .unwrap();
}

type Parts = Arc<Mutex<Vec<CallResult>>>;

async fn count(session: &Session, until: u64, kwargs: Dict) -> (Result<CallResult, CallError>, Parts) {
    let parts = Parts::default();
    let kept = parts.clone();
    let answer = session
        .call_progressive(
            "com.app.count",
            vec![until.into()],
            kwargs,
            CallOptions::default(),
            move |part| kept.lock().push(part),
        )
        .await;
    (answer, parts)
}

#[tokio::test]
async fn a_result_comes_in_parts_over_every_link_in_their_order() {
    let world = world().await;
    for over in Over::all() {
        let (callee, caller) = (world.join(over).await, world.join(over).await);
        counter(&callee).await;
        let (answer, parts) = count(&caller, 20, Dict::new()).await;
        assert_eq!(answer, Ok(CallResult::one(20_u64)), "{over:?}");
        let expected: Vec<_> = (0..20_u64).map(CallResult::one).collect();
        assert_eq!(*parts.lock(), expected, "{over:?}");
        // A caller that does not ask for parts gets none.
        let answer = call(&caller, "com.app.count", vec![3_u64.into()]).await.unwrap();
        assert_eq!(answer, CallResult::one(0_u64), "{over:?}");
        // Parts may end with an error.
        let (answer, parts) = count(&caller, 2, Dict::from([("fail".into(), true.into())])).await;
        assert!(matches!(answer, Err(CallError::Wamp(error)) if error.uri == "com.error.tired"));
        assert_eq!(parts.lock().len(), 2);
        soon(callee.leave()).await;
        until(|| world.router.callee("com.app.count").is_none()).await;
    }
    assert_eq!(world.router.stats().pending_calls, 0);
}

#[tokio::test]
async fn a_call_in_parts_that_is_given_up_is_cancelled() {
    let world = world().await;
    let over = Over::Ws(Serializer::MsgPack);
    let (callee, caller) = (world.join(over).await, world.join(over).await);
    let stopped = Arc::new(tokio::sync::Notify::new());
    let told = stopped.clone();
    callee
        .register_progressive(
            "com.app.endless",
            RegisterOptions::default(),
            move |invocation, progress| {
                let told = told.clone();
                async move {
                    while !invocation.cancelled.is_cancelled() {
                        progress.send(CallResult::default()).await;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    told.notify_one();
                    Ok(CallResult::default())
                }
            },
        )
        .await
        .unwrap();
    let options = CallOptions {
        timeout: Some(Duration::from_millis(100)),
        ..CallOptions::default()
    };
    let parts = Parts::default();
    let kept = parts.clone();
    let answer = caller
        .call_progressive("com.app.endless", vec![], Dict::new(), options, move |part| {
            kept.lock().push(part)
        })
        .await;
    assert_eq!(answer, Err(CallError::Timeout));
    assert!(!parts.lock().is_empty());
    soon(stopped.notified()).await;
    until(|| world.router.stats().pending_calls == 0).await;
    assert!(
        world.router.session(callee.id()).is_some(),
        "late parts are no fault"
    );
}
