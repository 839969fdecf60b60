//! The other side of every cell: our own session at the same router, which is called, calls back, and publishes.

use bourse_tests::Ear;
use bourse_wamp::{
    CallError, CallOptions, CallResult, Dict, Invocation, PublishOptions, Session, Value, WampError,
};
use std::time::Duration;

const FAR: &str = "com.example.far";
pub(crate) const NEAR: &str = "com.example.near";
pub(crate) const ERROR: &str = "com.example.error.wrong";
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of every kind, NUL among them.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| u8::try_from((length + 31 * index) % 256).unwrap())
        .collect()
}

/// What both sides call with: an address, a signature, and what serializers differ in.
pub(crate) fn sent() -> (Vec<Value>, Dict) {
    let args = vec![
        pattern(20).into(),
        pattern(65).into(),
        "Zürich".into(),
        (-7).into(),
        Value::Null,
    ];
    let deep = Dict::from([("bytes".to_owned(), pattern(20).into())]);
    (args, Dict::from([("deep".to_owned(), deep.into())]))
}

/// Two sessions with a subscription each, of which every cell's client may reach the first.
pub(crate) struct Far {
    eligible: Session,
    heard: Ear,
    other: Ear,
    _other: Session,
}

impl Far {
    pub(crate) async fn new(eligible: Session, other: Session) -> Self {
        serve(&eligible, FAR).await;
        let (session, stranger) = (eligible.clone(), other.id());
        eligible
            .register(&format!("{FAR}.try_me"), move |invocation: Invocation| {
                let session = session.clone();
                async move {
                    let near = invocation
                        .args
                        .first()
                        .and_then(Value::as_u64)
                        .unwrap_or_default();
                    let said = match try_near(&session, near, stranger).await {
                        Ok(()) => "ok".to_owned(),
                        Err(fault) => fault,
                    };
                    Ok(CallResult::one(said))
                }
            })
            .await
            .unwrap();
        Self {
            heard: Ear::at(&eligible, &format!("{FAR}.heard")).await,
            other: Ear::at(&other, &format!("{FAR}.heard")).await,
            eligible,
            _other: other,
        }
    }

    /// Whom the clients make eligible.
    pub(crate) fn eligible(&self) -> u64 {
        self.eligible.id()
    }

    /// What the client of a cell published for it alone, and nothing besides.
    pub(crate) async fn assert_heard_once(&mut self, cell: &str) {
        let expected = vec![Value::from("for you"), pattern(65).into()];
        assert_eq!(self.heard.next().await, expected, "{cell}");
        assert!(self.heard.is_quiet() && self.other.is_quiet(), "{cell}");
    }

    /// Forgets what a client published that failed.
    pub(crate) fn forget(&mut self) {
        while !self.heard.is_quiet() {}
        while !self.other.is_quiet() {}
    }
}

/// Registers `echo` and `wrong` there.
pub(crate) async fn serve(session: &Session, place: &str) {
    let echo = |mut invocation: Invocation| async move {
        let details = [
            ("caller", invocation.caller.into()),
            ("authid", invocation.caller_authid.into()),
            ("authrole", invocation.caller_authrole.into()),
        ];
        let details = details.map(|(name, value): (&str, Value)| (name.to_owned(), value));
        invocation.kwargs.extend(details);
        Ok(CallResult {
            args: invocation.args,
            kwargs: invocation.kwargs,
        })
    };
    let wrong = |_| async {
        Err(WampError {
            uri: ERROR.to_owned(),
            args: vec!["as agreed".into(), pattern(20).into()],
            kwargs: Dict::from([("code".to_owned(), (-7).into())]),
        })
    };
    session.register(&format!("{place}.echo"), echo).await.unwrap();
    session.register(&format!("{place}.wrong"), wrong).await.unwrap();
}

/// Calls both of them there, as `session`.
pub(crate) async fn call(session: &Session, place: &str) -> Result<(), String> {
    let options = CallOptions {
        timeout: Some(PATIENCE),
        ..CallOptions::default()
    };
    let (args, mut kwargs) = sent();
    let echoed = session
        .call(&format!("{place}.echo"), args.clone(), kwargs.clone(), options)
        .await
        .map_err(|error| format!("{place}.echo: {error}"))?;
    kwargs.insert("caller".to_owned(), session.id().into());
    kwargs.insert("authid".to_owned(), session.authid().into());
    kwargs.insert("authrole".to_owned(), session.authrole().into());
    expect("echoed", &echoed.args, &args)?;
    expect(
        "echoed by name, with the caller's details",
        &echoed.kwargs,
        &kwargs,
    )?;
    match session
        .call(&format!("{place}.wrong"), vec![], Dict::new(), options)
        .await
    {
        Err(CallError::Wamp(error)) => {
            expect("error", &error.uri.as_str(), &ERROR)?;
            let args = vec![Value::from("as agreed"), pattern(20).into()];
            expect("error's args", &error.args, &args)?;
            let kwargs = Dict::from([("code".to_owned(), (-7).into())]);
            expect("error's kwargs", &error.kwargs, &kwargs)
        }
        other => Err(format!("{place}.wrong: an error was expected, not {other:?}")),
    }
}

/// Publishes there for the first, and something else for the second.
pub(crate) async fn publish(
    session: &Session,
    place: &str,
    for_you: u64,
    for_another: u64,
) -> Result<(), String> {
    for (eligible, word) in [(for_you, "for you"), (for_another, "for another")] {
        let options = PublishOptions {
            acknowledge: true,
            eligible: Some(vec![eligible]),
            ..PublishOptions::default()
        };
        let args = vec![word.into(), pattern(65).into()];
        session
            .publish(&format!("{place}.heard"), args, Dict::new(), options)
            .await
            .map_err(|error| format!("{place}.heard: {error}"))?;
    }
    Ok(())
}

async fn try_near(session: &Session, near: u64, stranger: u64) -> Result<(), String> {
    call(session, NEAR).await?;
    publish(session, NEAR, near, stranger).await
}

pub(crate) fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    wanted: &T,
) -> Result<(), String> {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{what}: expected {wanted:?}, found {found:?}"))
    }
}

/// What a client finds out when it is our own session.
pub(crate) async fn try_as(session: &Session, eligible: u64) -> Result<(), String> {
    serve(session, NEAR).await;
    let mut heard = Ear::at(session, &format!("{NEAR}.heard")).await;
    call(session, FAR).await?;
    publish(session, FAR, eligible, session.id()).await?;
    let options = CallOptions {
        timeout: Some(PATIENCE),
        ..CallOptions::default()
    };
    let said = session
        .call(
            &format!("{FAR}.try_me"),
            vec![session.id().into()],
            Dict::new(),
            options,
        )
        .await
        .map_err(|error| format!("{FAR}.try_me: {error}"))?;
    expect("the far side", &said.args, &vec![Value::from("ok")])?;
    let expected = vec![Value::from("for you"), pattern(65).into()];
    expect("the event", &heard.next().await, &expected)?;
    expect("events for others", &heard.is_quiet(), &true)
}
