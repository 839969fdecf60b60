use bourse_wamp::{CallOptions, CallResult, Dict, Integer, Value};

use crate::support::{Over, SOON, call, echo, uri, world};

fn samples() -> Vec<Value> {
    let big_map: Dict = (0..5_000_u64).map(|n| (format!("key-{n}"), n.into())).collect();
    vec![
        Value::Null,
        true.into(),
        (-1_i64).into(),
        i64::MIN.into(),
        u64::MAX.into(),
        1.5.into(),
        1.0.into(),
        "".into(),
        "grüße 😀 \u{1} \"quoted\" \\".into(),
        Vec::<u8>::new().into(),
        [7_u8; 16].into(),
        vec![0xff_u8; 65].into(),
        vec![Value::Null, vec![Value::from("deep")].into()].into(),
        Dict::from([("a".into(), Dict::from([("b".into(), [1_u8].into())]).into())]).into(),
        big_map.into(),
    ]
}

fn huge() -> Value {
    Value::Int(Integer::from(35_000_000_000_000_000_000_u128))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_pair_of_serializers_and_transports_carries_every_value() {
    let world = world().await;
    for (index, callee_over) in Over::all().into_iter().enumerate() {
        let callee = world.join(callee_over).await;
        let procedure = format!("com.app.echo{index}");
        callee.register(&procedure, echo).await.unwrap();
        for caller_over in Over::all() {
            let caller = world.join(caller_over).await;
            let kwargs = Dict::from([
                ("amount".to_owned(), [9_u8; 32].into()),
                ("n".to_owned(), 7_u64.into()),
            ]);
            let options = CallOptions {
                timeout: Some(SOON),
                ..CallOptions::default()
            };
            let result = caller
                .call(&procedure, samples(), kwargs.clone(), options)
                .await
                .unwrap();
            assert_eq!(
                result,
                CallResult {
                    args: samples(),
                    kwargs
                },
                "{caller_over:?} to {callee_over:?}"
            );
            assert_eq!(
                call(&caller, &procedure, vec![]).await.unwrap(),
                CallResult::default()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn integers_beyond_64_bits_arrive_exactly_or_fail_that_call_alone() {
    let world = world().await;
    for (index, callee_over) in Over::all().into_iter().enumerate() {
        let callee = world.join(callee_over).await;
        let procedure = format!("com.app.echo{index}");
        callee.register(&procedure, echo).await.unwrap();
        let makes_huge = format!("com.app.huge{index}");
        callee
            .register(&makes_huge, async |_| Ok(CallResult::one(huge())))
            .await
            .unwrap();
        for caller_over in Over::all() {
            let caller = world.join(caller_over).await;
            let both = callee_over.carries_huge_integers() && caller_over.carries_huge_integers();
            let echoed = call(&caller, &procedure, vec![huge()]).await;
            let made = call(&caller, &makes_huge, vec![]).await;
            if both {
                assert_eq!(
                    echoed.unwrap(),
                    CallResult::one(huge()),
                    "{caller_over:?} to {callee_over:?}"
                );
                assert_eq!(
                    made.unwrap(),
                    CallResult::one(huge()),
                    "{caller_over:?} to {callee_over:?}"
                );
            } else {
                assert_eq!(
                    uri(echoed),
                    "wamp.error.invalid_payload",
                    "{caller_over:?} to {callee_over:?}"
                );
                assert_eq!(
                    uri(made),
                    "wamp.error.invalid_payload",
                    "{caller_over:?} to {callee_over:?}"
                );
            }
            // Both sessions go on.
            assert_eq!(
                call(&caller, &procedure, vec![1_u64.into()]).await.unwrap(),
                CallResult::one(1_u64)
            );
        }
    }
    assert_eq!(world.router.stats().pending_calls, 0);
}

#[tokio::test]
async fn a_frame_too_large_for_the_peer_fails_that_call_alone() {
    let world = world().await;
    let market_maker = world.market_maker().await;
    market_maker
        .register("bourse.big", async |_| Ok(CallResult::one(vec![1_u8; 2 << 20])))
        .await
        .unwrap();
    for over in Over::all().into_iter().filter(|over| *over != Over::Local) {
        let caller = world.join(over).await;
        // Below 1 MiB also as base64, and above it.
        market_maker
            .register(&format!("bourse.echo.{}", caller.id()), echo)
            .await
            .unwrap();
        let echo = format!("bourse.echo.{}", caller.id());
        let large = vec![Value::from(vec![3_u8; 700_000])];
        assert_eq!(
            call(&caller, &echo, large.clone()).await.unwrap().args,
            large,
            "{over:?}"
        );
        if let Over::Rs(_) = over {
            let answer = call(&caller, "bourse.big", vec![]).await;
            assert_eq!(uri(answer), "wamp.error.payload_size_exceeded", "{over:?}");
            assert_eq!(
                uri(call(&caller, &echo, vec![vec![0_u8; 2 << 20].into()]).await),
                "wamp.error.payload_size_exceeded"
            );
            assert_eq!(call(&caller, &echo, vec![]).await.unwrap(), CallResult::default());
        }
    }
}
