//! What is left of a call, done elsewhere. To have something computed on another thread and to come back for the rest wakes one
//! thread more than to do the rest there too.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;
type Taker = Box<dyn FnOnce(RestOfCall)>;
/// Takes every call of a procedure, before anything of it is done.
pub(super) type Reception = Arc<dyn Fn(RestOfCall) + Send + Sync>;

tokio::task_local! {
    /// Who takes the call that is being polled, once that has returned. Not there where no call is polled.
    static TAKER: RefCell<Option<Taker>>;
}

/// What is left to do for a call, up to its answer.
#[must_use = "the call is answered with an error when this is dropped"]
pub struct RestOfCall {
    rest: Rest,
    home: Handle,
}

impl RestOfCall {
    /// All of a call that comes within a runtime.
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            rest: Box::pin(work),
            home: Handle::current(),
        }
    }

    /// Does it on this thread, and what of it has to wait for something on the runtime that it came from.
    ///
    /// # Panics
    /// As the handler does; the caller is answered with `wamp.error.runtime_error` then.
    pub fn run(self) {
        let Self { rest, home } = self;
        let _home = home.enter();
        let mut rest = Travelling { rest: Some(rest) };
        // Nobody is woken: what waits is polled once more at home, where it says what for.
        let polled = Pin::new(&mut rest).poll(&mut Context::from_waker(Waker::noop()));
        if polled.is_pending() {
            home.spawn(rest);
        }
    }

    /// Leaves it where it came from.
    pub fn stay(self) {
        let Self { rest, home } = self;
        home.spawn(Travelling { rest: Some(rest) });
    }
}

impl std::fmt::Debug for RestOfCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestOfCall").finish_non_exhaustive()
    }
}

/// Hands what is left to do for the call that is being answered to `taker`, and goes on where that has it run. Stays where it
/// is in a task of its own, or where no call is being answered.
///
/// `taker` is called as soon as the call has been polled, on the thread that polled it, and must not block. Until it has the
/// rest run, nobody looks at the call: it notices neither its time nor that its caller gave it up, and keeps its place among
/// those that its session works on. Of several takers in one poll the last counts.
pub async fn travel(taker: impl FnOnce(RestOfCall) + 'static) {
    let mut taker = Some(taker);
    poll_fn(|context| {
        let Some(taker) = taker.take() else {
            return Poll::Ready(());
        };
        let given = TAKER.try_with(|slot| slot.replace(Some(Box::new(taker))));
        if given.is_err() {
            return Poll::Ready(());
        }
        // For those in between that poll only what was woken.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The work of one call, where it is polled until it travels.
pub(super) struct Travelling {
    rest: Option<Rest>,
}

impl Travelling {
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            rest: Some(Box::pin(work)),
        }
    }
}

impl Future for Travelling {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(());
        };
        let (polled, taker) = TAKER.sync_scope(RefCell::new(None), || {
            let polled = rest.as_mut().poll(context);
            (polled, TAKER.with(RefCell::take))
        });
        if polled.is_pending()
            && let Some(taker) = taker
            && let Some(rest) = self.rest.take()
        {
            taker(RestOfCall {
                rest,
                home: Handle::current(),
            });
            return Poll::Ready(());
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{Router, RouterConfig, Users};
    use crate::session::{CallError, CallOptions, CallResult, Invocation, JoinOptions, Session};
    use crate::uri::error;
    use crate::value::{Dict, Value};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread::{self, ThreadId};
    use std::time::Duration;
    use tokio::sync::oneshot;

    /// A thread that does the work it is given.
    fn elsewhere() -> (mpsc::Sender<RestOfCall>, ThreadId) {
        let (give, take) = mpsc::channel::<RestOfCall>();
        let thread = thread::spawn(move || take.iter().for_each(RestOfCall::run));
        (give, thread.thread().id())
    }

    fn here() -> ThreadId {
        thread::current().id()
    }

    #[tokio::test]
    async fn what_has_travelled_goes_on_there_and_comes_home_to_wait() {
        let (give, there) = elsewhere();
        let (say, said) = oneshot::channel();
        tokio::spawn(Travelling::new(async move {
            let before = here();
            travel(move |work| give.send(work).unwrap()).await;
            let after = here();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let _ = say.send([before, after, here()]);
        }));
        let home = here();
        assert_eq!(said.await.unwrap(), [home, there, home]);
    }

    #[tokio::test]
    async fn it_may_travel_on_from_where_it_is_and_from_home() {
        let ((first, one), (second, two)) = (elsewhere(), elsewhere());
        let (say, said) = oneshot::channel();
        tokio::spawn(Travelling::new(async move {
            let again = first.clone();
            travel(move |rest| first.send(rest).unwrap()).await;
            let after = here();
            travel(move |rest| second.send(rest).unwrap()).await;
            let further = here();
            tokio::task::yield_now().await;
            travel(move |rest| again.send(rest).unwrap()).await;
            let _ = say.send([after, further, here()]);
        }));
        assert_eq!(said.await.unwrap(), [one, two, one]);
    }

    /// A router with threads, and a session of the market's in it.
    async fn market() -> (Router, Session) {
        let router = Router::new(RouterConfig::default(), Arc::new(Users::new(true)));
        router.start_threads().unwrap();
        let session = Session::join(router.local_link(), JoinOptions::default())
            .await
            .unwrap();
        (router, session)
    }

    #[tokio::test]
    async fn a_call_is_read_where_sockets_are_and_answered_at_home() {
        let (_router, session) = market().await;
        let (say, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let handler = move |_| {
            let name = || thread::current().name().map(str::to_owned);
            let _ = say.send(("read", name()));
            let say = say.clone();
            // What a handler starts is started at home, wherever it is called.
            tokio::spawn({
                let say = say.clone();
                async move { say.send(("started", name())) }
            });
            async move {
                let _ = say.send(("answered", name()));
                Ok(CallResult::default())
            }
        };
        session.register("com.example", handler).await.unwrap();
        let options = CallOptions::default();
        session
            .call("com.example", Vec::new(), Dict::new(), options)
            .await
            .unwrap();
        let mut places = Vec::new();
        while places.len() < 3 {
            places.push(heard.recv().await.unwrap());
        }
        places.sort();
        let home = thread::current().name().map(str::to_owned);
        let sockets = Some("wamp-sockets".to_owned());
        let expected = [("answered", home.clone()), ("read", sockets), ("started", home)];
        assert_eq!(places, expected);
    }

    #[tokio::test]
    async fn a_call_that_is_taken_is_nothing_until_it_is_run() {
        let (_router, session) = market().await;
        let (give, take) = mpsc::channel();
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let handler = move |call: Invocation| {
            let begun = Arc::clone(&counted);
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                let text = format!("{:?}", here());
                match call.args.is_empty() {
                    true => Ok(CallResult::one(text)),
                    false => panic!("on purpose"),
                }
            }
        };
        let taker = move |call| give.send(call).unwrap();
        session.register_at("com.example", taker, handler).await.unwrap();
        let call = |args| {
            let session = session.clone();
            let call = async move {
                let options = CallOptions::default();
                session.call("com.example", args, Dict::new(), options).await
            };
            tokio::spawn(call)
        };
        let next = async |take: mpsc::Receiver<RestOfCall>| {
            let waiting = tokio::task::spawn_blocking(move || (take.recv().unwrap(), take));
            waiting.await.unwrap()
        };

        let answered = call(Vec::new());
        let (taken, take) = next(take).await;
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        let there = thread::spawn(move || {
            taken.run();
            here()
        });
        let there = CallResult::one(format!("{:?}", there.join().unwrap()));
        assert_eq!(answered.await.unwrap(), Ok(there));

        let dropped = call(Vec::new());
        let (taken, take) = next(take).await;
        drop(taken);
        let failed = |answer: Result<CallResult, CallError>| match answer {
            Err(CallError::Wamp(error)) => error.uri,
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(dropped.await.unwrap()), error::RUNTIME_ERROR);
        assert_eq!(begun.load(Ordering::Relaxed), 1);

        let panicked = call(vec![Value::Null]);
        let (taken, _take) = next(take).await;
        assert!(thread::spawn(move || taken.run()).join().is_err());
        assert_eq!(failed(panicked.await.unwrap()), error::RUNTIME_ERROR);
    }

    #[tokio::test]
    async fn it_travels_from_among_others_that_it_waits_for() {
        let (give, there) = elsewhere();
        let (say, said) = oneshot::channel();
        tokio::spawn(Travelling::new(async move {
            let one = async {
                travel(move |rest| give.send(rest).unwrap()).await;
                here()
            };
            let mut all = futures_util::stream::FuturesUnordered::from_iter([one]);
            let _ = say.send(futures_util::StreamExt::next(&mut all).await);
        }));
        assert_eq!(said.await.unwrap(), Some(there));
    }

    #[tokio::test]
    async fn what_is_no_call_of_ours_stays() {
        let home = here();
        travel(|_| unreachable!("there is nothing to take")).await;
        assert_eq!(here(), home);
        let (say, said) = oneshot::channel();
        tokio::spawn(Travelling::new(async move {
            // A task of its own is not the call.
            tokio::spawn(travel(|_| unreachable!("there is nothing to take")))
                .await
                .unwrap();
            let _ = say.send(());
        }));
        said.await.unwrap();
    }

    #[tokio::test]
    async fn a_call_that_is_answered_at_once_leaves_nobody_to_take_another() {
        let (say, said) = oneshot::channel();
        tokio::spawn(Travelling::new(async move {
            // Polled and dropped: nothing waits for it.
            tokio::select! {
                biased;
                () = travel(|_| unreachable!("the call is over")) => {}
                () = std::future::ready(()) => {}
            }
            let _ = say.send(());
        }));
        said.await.unwrap();
        // Another on the same thread, which waits for itself.
        let (say, said) = oneshot::channel();
        tokio::spawn(Travelling::new(async move {
            tokio::task::yield_now().await;
            let _ = say.send(());
        }));
        said.await.unwrap();
    }
}
