//! A few threads for what takes the processor: signatures and policies. Nothing of it runs on an async thread.

use crate::wire::{fault, uri};
use bourse_wamp::{RestOfCall, WampError, travel};
use parking_lot::{Condvar, Mutex};
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Jobs that may wait. More is answered with `bourse.error.overloaded` rather than kept.
const QUEUE: usize = 4096;

/// Calls that may wait in one line to be begun or gone on with. They learn meanwhile neither that their caller gave them up nor that they
/// are late, and keep the place they have among the market's.
const TAKEN: usize = 256;

/// Calls that begin before the next of what is asked, or of what is bought, where both wait.
const CALLED_FIRST: u32 = 16;

/// What a call may wait before it begins, until purchases and calls that take long let it. With quick policies none waits so
/// long, and none has to wait in two lines.
const BEGINS_WITHIN: Duration = Duration::from_millis(5);

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    /// Whether this is a thread of a pool, this one or another market's.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// The pool. Its threads end when it is dropped.
pub(crate) struct Workers {
    desk: Arc<Desk>,
    /// No threads: each job is done by whoever asks, before anything else happens.
    inline: bool,
}

/// Where jobs wait.
#[derive(Default)]
struct Desk {
    lines: Mutex<Lines>,
    /// Told of each job, and of the end.
    news: Condvar,
}

#[derive(Default)]
struct Lines {
    /// What a purchase under way waits for, and a seller's good name with it. There are never more of them than
    /// purchases under way, so that this line needs no bound; and it goes first, so that no flood of requests can make
    /// a seller late that was not.
    owed: VecDeque<Job>,
    /// What purchases wait for before they are reserved; bounded by [`QUEUE`]. It goes before mere questions: those may
    /// each take as long as the slowest policy, and whoever floods the market with them must not keep buyers out.
    bought: VecDeque<Job>,
    /// Calls that begin here, with the time from which they wait; bounded by [`TAKEN`]. Each is over at once or waits further down
    /// too, and so they go before what is asked, and those that are late before what is bought, [`CALLED_FIRST`] at a time: what
    /// needs no policy is held up by neither a flood of purchases nor all that the slowest is asked.
    called: VecDeque<(Instant, Job)>,
    /// How many have begun since what is bought or asked had its turn.
    begun_in_a_row: u32,
    /// What anybody else asks for; bounded by [`QUEUE`].
    asked: VecDeque<Job>,
    closed: bool,
}

impl Lines {
    /// The next job.
    fn pop(&mut self) -> Option<Job> {
        let Self {
            owed,
            bought,
            called,
            asked,
            ..
        } = self;
        if let Some(job) = owed.pop_front() {
            return Some(job);
        }
        let may_go = self.begun_in_a_row < CALLED_FIRST;
        let late = |(since, _): &(Instant, Job)| since.elapsed() >= BEGINS_WITHIN;
        if may_go
            && (bought.is_empty() || called.front().is_some_and(late))
            && let Some((_, job)) = called.pop_front()
        {
            self.begun_in_a_row += 1;
            return Some(job);
        }
        self.begun_in_a_row = 0;
        let next = bought.pop_front().or_else(|| asked.pop_front());
        next.or_else(|| called.pop_front().map(|(_, job)| job))
    }
}

impl Workers {
    /// Starts one thread for each processor.
    pub(crate) fn start() -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let workers = Self {
            desk: Arc::default(),
            inline: false,
        };
        for number in 0..threads {
            let desk = Arc::clone(&workers.desk);
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || desk.work())?;
        }
        Ok(workers)
    }

    /// No threads at all: every job is done on the spot, so that one run is like the other. For simulators.
    pub(crate) fn inline() -> Self {
        Self {
            desk: Arc::default(),
            inline: true,
        }
    }

    /// Runs `job` on one of the threads and waits for its answer without blocking. On one of them already, it is done at once.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WampError> {
        self.queue(|lines| &mut lines.asked, job).await
    }

    /// The same for a purchase that is not reserved yet: ahead of all that [`Workers::run`] runs.
    pub(crate) async fn run_bought<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WampError> {
        self.queue(|lines| &mut lines.bought, job).await
    }

    /// The same for what a reserved purchase needs to end: never refused, and ahead of all others.
    pub(crate) async fn run_owed<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WampError> {
        let wait = |lines: &mut Lines, job| {
            lines.owed.push_back(job);
            Ok(())
        };
        self.done(job, wait).await
    }

    /// How many jobs wait in each line.
    pub(crate) fn waiting(&self) -> [(&'static str, usize); 4] {
        let lines = self.desk.lines.lock();
        [
            ("owed", lines.owed.len()),
            ("bought", lines.bought.len()),
            ("called", lines.called.len()),
            ("asked", lines.asked.len()),
        ]
    }

    async fn queue<T: Send + 'static>(
        &self,
        line: fn(&mut Lines) -> &mut VecDeque<Job>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WampError> {
        let wait = |lines: &mut Lines, job| {
            let line = line(lines);
            if line.len() >= QUEUE {
                return Err(job);
            }
            line.push_back(job);
            Ok(())
        };
        self.done(job, wait).await
    }

    /// Does a job here, if this is where jobs are done, or else has it wait as `wait` does, which gives back what cannot.
    async fn done<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        wait: impl FnOnce(&mut Lines, Job) -> Result<(), Job>,
    ) -> Result<T, WampError> {
        if self.inline {
            return Ok(job());
        }
        if IS_WORKER.get() {
            return on_the_spot(job);
        }
        let (job, answer) = prepare(job);
        let waits = wait(&mut self.desk.lines.lock(), job);
        // Not dropped under the lock.
        waits.map_err(|_job| fault(uri::OVERLOADED, "too many requests wait; try again"))?;
        self.desk.news.notify_one();
        computed(answer).await
    }

    /// Has one of the threads go on with the call that is being answered, for what may take long: what it then runs, it runs
    /// there, and so it ends there. On one already it goes on at once, unless others wait for what may take long too, or wait to
    /// begin for longer than they should: these go first. Where too many wait it goes on where it came from, and where no call
    /// is being answered, where it is.
    pub(crate) async fn take_over(&self) {
        if self.inline || IS_WORKER.get() && self.desk.holds_nobody_up() {
            return;
        }
        let desk = Arc::clone(&self.desk);
        travel(move |rest| desk.take_over(rest)).await;
    }

    /// What has one of the threads begin with a call: for calls that soon need one. Whatever takes long in them must
    /// [`Workers::take_over`] first.
    pub(crate) fn reception(&self) -> impl Fn(RestOfCall) + Send + Sync + 'static {
        let (desk, inline) = (Arc::clone(&self.desk), self.inline);
        move |call| match inline {
            true => call.stay(),
            false => desk.receive(call),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.desk.lines.lock().closed = true;
        self.desk.news.notify_all();
    }
}

fn prepare<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> (Job, oneshot::Receiver<T>) {
    let (answer, wait) = oneshot::channel();
    // What it says belongs to what it is done for.
    let span = tracing::Span::current();
    let job = Box::new(move || {
        // Whoever asked may have gone, now or by the time it is done.
        if !answer.is_closed() {
            let _ = answer.send(span.in_scope(job));
        }
    });
    (job, wait)
}

async fn computed<T>(answer: oneshot::Receiver<T>) -> Result<T, WampError> {
    answer.await.map_err(|_| not_computed())
}

/// The same on a thread of the pool.
fn on_the_spot<T>(job: impl FnOnce() -> T) -> Result<T, WampError> {
    catch_unwind(AssertUnwindSafe(job)).map_err(|_| not_computed())
}

fn not_computed() -> WampError {
    fault(uri::RUNTIME, "the request could not be computed")
}

impl Desk {
    /// Has what is left of a call wait among what is asked.
    fn take_over(&self, rest: RestOfCall) {
        let push = |lines: &mut Lines, job| lines.asked.push_back(job);
        self.keep(rest, |lines| lines.asked.len(), push);
    }

    /// Has a call wait to begin.
    fn receive(&self, call: RestOfCall) {
        let since = Instant::now();
        let push = |lines: &mut Lines, job| lines.called.push_back((since, job));
        self.keep(call, |lines| lines.called.len(), push);
    }

    /// Has a call wait, or stay where it came from, where too many are `waiting`.
    fn keep(
        &self,
        rest: RestOfCall,
        waiting: impl FnOnce(&Lines) -> usize,
        push: impl FnOnce(&mut Lines, Job),
    ) {
        let mut lines = self.lines.lock();
        if lines.closed || waiting(&lines) >= TAKEN {
            drop(lines);
            return rest.stay();
        }
        push(&mut lines, Box::new(move || rest.run()));
        drop(lines);
        self.news.notify_one();
    }

    /// Whether nobody waits for what may take long, nor too long for what may not.
    fn holds_nobody_up(&self) -> bool {
        let Lines {
            owed,
            bought,
            called,
            asked,
            ..
        } = &*self.lines.lock();
        let next = called.front();
        let begins_soon = next.is_none_or(|(since, _)| since.elapsed() < BEGINS_WITHIN);
        begins_soon && owed.is_empty() && bought.is_empty() && asked.is_empty()
    }

    fn work(&self) {
        IS_WORKER.set(true);
        while let Some(job) = self.next() {
            // A panic must cost its own request, not a thread that everybody else needs.
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    }

    /// Waits for the next job; none at the end.
    fn next(&self) -> Option<Job> {
        let mut lines = self.lines.lock();
        loop {
            if let Some(job) = lines.pop() {
                return Some(job);
            }
            if lines.closed {
                return None;
            }
            self.news.wait(&mut lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bourse_wamp::{
        CallError, CallOptions, CallResult, Dict, JoinOptions, Router, RouterConfig, Session, Users, Value,
    };
    use std::sync::mpsc;

    /// Workers whose threads are all busy until the sender is dropped.
    async fn busy() -> (Arc<Workers>, Vec<mpsc::Sender<()>>) {
        let workers = Arc::new(Workers::start().unwrap());
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let mut holds = Vec::new();
        for _ in 0..threads {
            let (hold, held) = mpsc::channel::<()>();
            let (started, start) = oneshot::channel();
            let pool = Arc::clone(&workers);
            tokio::spawn(async move {
                let job = move || {
                    let _ = started.send(());
                    let _ = held.recv();
                };
                let _ = pool.run(job).await;
            });
            start.await.unwrap();
            holds.push(hold);
        }
        (workers, holds)
    }

    #[tokio::test]
    async fn what_is_owed_is_never_refused_and_goes_ahead_of_what_is_asked() {
        let (workers, holds) = busy().await;
        let asked = {
            let mut lines = workers.desk.lines.lock();
            let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            for _ in 0..QUEUE {
                let count = Arc::clone(&count);
                lines.asked.push_back(Box::new(move || {
                    count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(100));
                }));
            }
            count
        };
        assert_eq!(workers.run(|| ()).await.unwrap_err().uri, uri::OVERLOADED);
        let owed = workers.run_owed({
            let asked = Arc::clone(&asked);
            move || asked.load(std::sync::atomic::Ordering::Relaxed)
        });
        let release = async {
            tokio::task::yield_now().await;
            drop(holds);
        };
        let (before, ()) = tokio::join!(owed, release);
        assert!(before.unwrap() < QUEUE / 2, "the owed job went ahead");
    }

    #[tokio::test]
    async fn a_purchase_waits_for_no_flood_of_questions() {
        let (workers, holds) = busy().await;
        let order = Arc::new(Mutex::new(Vec::new()));
        {
            let mut lines = workers.desk.lines.lock();
            for _ in 0..QUEUE {
                let order = Arc::clone(&order);
                lines
                    .asked
                    .push_back(Box::new(move || order.lock().push("asked")));
            }
        }
        assert_eq!(workers.run(|| ()).await.unwrap_err().uri, uri::OVERLOADED);
        let bought = workers.run_bought({
            let order = Arc::clone(&order);
            move || order.lock().push("bought")
        });
        let release = async {
            tokio::task::yield_now().await;
            drop(holds);
        };
        let (done, ()) = tokio::join!(bought, release);
        done.unwrap();
        // Other threads may have taken a question each by then.
        let before = order.lock().iter().position(|job| *job == "bought").unwrap();
        assert!(before < QUEUE / 2, "{before} questions went ahead");
    }

    /// Calls a procedure that has `workers` take it over, then does `then`.
    async fn taken_over<F: Future<Output = Result<CallResult, WampError>> + Send + 'static>(
        workers: &Arc<Workers>,
        then: impl Fn(Arc<Workers>) -> F + Send + Sync + 'static,
    ) -> Result<CallResult, CallError> {
        let then = Arc::new(then);
        let procedure = move |workers: Arc<Workers>| {
            let then = Arc::clone(&then);
            async move {
                workers.take_over().await;
                then(workers).await
            }
        };
        called(workers, false, procedure).await
    }

    /// Calls a procedure that does `then`, and begins on a thread of `workers` if it is received there.
    async fn called<F: Future<Output = Result<CallResult, WampError>> + Send + 'static>(
        workers: &Arc<Workers>,
        received: bool,
        then: impl Fn(Arc<Workers>) -> F + Send + Sync + 'static,
    ) -> Result<CallResult, CallError> {
        let router = Router::new(RouterConfig::default(), Arc::new(Users::new(true)));
        let market = Session::join(router.local_link(), JoinOptions::default())
            .await
            .unwrap();
        let pool = Arc::clone(workers);
        let procedure = move |_| then(Arc::clone(&pool));
        let registered = match received {
            true => {
                let reception = workers.reception();
                market.register_at("com.example", reception, procedure).await
            }
            false => market.register("com.example", procedure).await,
        };
        registered.unwrap();
        market
            .call("com.example", Vec::new(), Dict::new(), CallOptions::default())
            .await
    }

    /// The names of the threads on which a call began and went on when it was taken over.
    async fn began_and_went_on(workers: &Arc<Workers>) -> [Value; 2] {
        let names = called(workers, true, |workers| async move {
            let began = thread();
            workers.take_over().await;
            let args = vec![began, thread()];
            Ok(CallResult {
                args,
                kwargs: Dict::new(),
            })
        });
        names.await.unwrap().args.try_into().unwrap()
    }

    #[tokio::test]
    async fn a_received_call_begins_and_ends_on_one_thread() {
        let workers = Arc::new(Workers::start().unwrap());
        let [began, went_on] = began_and_went_on(&workers).await;
        assert!(on_a_worker(&began), "{began:?}");
        assert_eq!(began, went_on);
    }

    /// What is done, in its order.
    type Order = Arc<Mutex<Vec<&'static str>>>;

    /// Calls a procedure that notes when it begins and when it goes on.
    async fn noted(workers: &Arc<Workers>, order: &Order, [begins, goes_on]: [&'static str; 2]) {
        let order = Arc::clone(order);
        let procedure = move |workers: Arc<Workers>| {
            let order = Arc::clone(&order);
            async move {
                order.lock().push(begins);
                workers.take_over().await;
                order.lock().push(goes_on);
                Ok(CallResult::default())
            }
        };
        called(workers, true, procedure).await.unwrap();
    }

    #[tokio::test]
    async fn of_received_calls_those_that_take_long_let_the_others_begin() {
        let (workers, mut holds) = busy().await;
        let order = Order::default();
        let slow = ["slow", "slow goes on"];
        let quick = ["quick", "quick goes on"];
        let all = async {
            tokio::join!(
                noted(&workers, &order, slow),
                noted(&workers, &order, slow),
                noted(&workers, &order, quick),
            )
        };
        let release = async {
            while workers.desk.lines.lock().called.len() < 3 {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(2 * BEGINS_WITHIN).await;
            // One thread does them all.
            holds.pop();
        };
        tokio::join!(all, release);
        let order = order.lock().clone();
        let begun = |what: &str| order.iter().rposition(|noted| *noted == what).unwrap();
        let first = order.iter().position(|noted| noted.ends_with("goes on")).unwrap();
        assert!(begun("slow").max(begun("quick")) < first, "{order:?}");
        drop(holds);
    }

    /// In which order the jobs of these lines are done, where calls wait `since` then.
    fn order_of(since: Instant, jobs: &[(&'static str, u32)]) -> Vec<&'static str> {
        let order = Order::default();
        let mut lines = Lines::default();
        for (line, count) in jobs.iter().copied() {
            for _ in 0..count {
                let order = Arc::clone(&order);
                let job: Job = Box::new(move || order.lock().push(line));
                match line {
                    "owed" => lines.owed.push_back(job),
                    "bought" => lines.bought.push_back(job),
                    "called" => lines.called.push_back((since, job)),
                    _ => lines.asked.push_back(job),
                }
            }
        }
        while let Some(job) = lines.pop() {
            job();
        }
        order.lock().clone()
    }

    #[test]
    fn calls_begin_soon_and_put_nobody_off_for_ever() {
        let jobs = [
            ("asked", 2),
            ("called", 2 * CALLED_FIRST),
            ("bought", 2),
            ("owed", 1),
        ];
        let called = vec!["called"; CALLED_FIRST as usize];
        // Nothing here takes a day.
        let fresh = Instant::now() + Duration::from_secs(86_400);
        let expected = [
            vec!["owed", "bought", "bought"],
            called.clone(),
            vec!["asked"],
            called.clone(),
            vec!["asked"],
        ];
        assert_eq!(order_of(fresh, &jobs), expected.concat());
        let late = Instant::now().checked_sub(BEGINS_WITHIN).unwrap();
        let expected = [
            vec!["owed"],
            called.clone(),
            vec!["bought"],
            called,
            vec!["bought", "asked", "asked"],
        ];
        assert_eq!(order_of(late, &jobs), expected.concat());
    }

    #[tokio::test]
    async fn a_received_call_is_answered_where_too_many_wait_and_where_no_more_are_taken() {
        let (workers, holds) = busy().await;
        for _ in 0..TAKEN {
            let job = (Instant::now(), Box::new(|| ()) as Job);
            workers.desk.lines.lock().called.push_back(job);
        }
        let began = called(&workers, true, |_| async { Ok(CallResult::one(thread())) });
        assert!(!on_a_worker(&began.await.unwrap().args[0]));
        drop(holds);
        workers.desk.lines.lock().closed = true;
        workers.desk.news.notify_all();
        while !workers.desk.lines.lock().called.is_empty() {
            tokio::task::yield_now().await;
        }
        let began = called(&workers, true, |_| async { Ok(CallResult::one(thread())) });
        assert!(!on_a_worker(&began.await.unwrap().args[0]));
    }

    fn refusal(answer: Result<CallResult, CallError>) -> String {
        match answer.unwrap_err() {
            CallError::Wamp(error) => error.uri,
            other => panic!("no refusal: {other}"),
        }
    }

    fn thread() -> Value {
        std::thread::current().name().unwrap_or_default().into()
    }

    fn on_a_worker(thread: &Value) -> bool {
        thread.as_str().is_some_and(|name| name.starts_with("worker-"))
    }

    #[tokio::test]
    async fn a_call_that_is_taken_over_ends_on_the_thread_that_computes_for_it() {
        let workers = Arc::new(Workers::start().unwrap());
        let names = taken_over(&workers, |workers| async move {
            let before = thread();
            let computed = workers.run(thread).await?;
            let args = vec![before, computed, thread()];
            Ok(CallResult {
                args,
                kwargs: Dict::new(),
            })
        });
        let names = names.await.unwrap().args;
        assert!(on_a_worker(&names[0]), "{names:?}");
        assert_eq!(names, vec![names[0].clone(); 3]);
    }

    #[tokio::test]
    async fn a_call_stays_where_many_wait_and_is_refused_where_too_many_do() {
        let (workers, holds) = busy().await;
        for _ in 0..TAKEN {
            workers.desk.lines.lock().asked.push_back(Box::new(|| ()));
        }
        let names = taken_over(&workers, |_| async { Ok(CallResult::one(thread())) });
        let names = names.await.unwrap().args;
        assert!(!on_a_worker(&names[0]), "{names:?}");
        for _ in TAKEN..QUEUE {
            workers.desk.lines.lock().asked.push_back(Box::new(|| ()));
        }
        let refused = taken_over(&workers, |workers| async move {
            workers.run(|| ()).await?;
            Ok(CallResult::default())
        });
        assert_eq!(refusal(refused.await), uri::OVERLOADED);
        drop(holds);
    }

    #[tokio::test]
    async fn a_call_that_panics_where_it_was_taken_to_is_answered_and_costs_no_thread() {
        let workers = Arc::new(Workers::start().unwrap());
        for _ in 0..32 {
            let failed = taken_over(&workers, |_| async { panic!("on purpose") }).await;
            assert_eq!(refusal(failed), "wamp.error.runtime_error");
            let failed = taken_over(&workers, |workers| async move {
                let computed: Result<(), _> = workers.run(|| panic!("on purpose")).await;
                computed.map(|()| CallResult::default())
            });
            assert_eq!(refusal(failed.await), uri::RUNTIME);
        }
        assert_eq!(workers.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_request_alone() {
        let workers = Workers::start().unwrap();
        for _ in 0..64 {
            let panics: Result<(), _> = workers.run(|| panic!("on purpose")).await;
            assert_eq!(panics.unwrap_err().uri, uri::RUNTIME);
        }
        assert_eq!(workers.run(|| 7).await.unwrap(), 7);
    }
}
