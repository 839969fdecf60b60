//! The one thread that writes: it gathers what waits, decides and writes it in one transaction, makes that durable,
//! and only then answers.

use crate::change;
use crate::disk::Disk;
use crate::env::LedgerEnv;
use crate::error::{StoreError, SubmitError};
use crate::money::Money;
use crate::records::Records;
use crate::room::{self, Admission, Room};
use crate::stats::{Counters, count};
use crate::tables::Tables;
use bourse_market::{Change, Command, Fault, Outcome, apply};
use heed::RwTxn;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::Span;

/// Commands that may wait for the writer: a quarter of a second of work at the rate of a full batch. More wait no
/// longer than their deadlines only if they are refused at once.
pub(crate) const QUEUE: usize = 4096;

/// Commands in one transaction. Past this the cost of a commit is all in its pages, and waiting longer gains nothing.
const MAX_BATCH: usize = 1024;

/// Transactions between two looks for readers whose process was killed: their slots would keep pages from being used
/// again for as long as this process runs, and what the map grew by meanwhile is no room for promises any more.
const STALE_CHECK: u64 = 64;

/// Between two lines in the log about commands refused for want of room: strangers choose how many there are.
const TELL_FULL: Duration = Duration::from_secs(10);

/// What a command came to.
pub(crate) type Answer = Result<Outcome, SubmitError>;

/// A command and whom to tell.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) answer: oneshot::Sender<Answer>,
    /// What it is done for.
    pub(crate) asked_in: Span,
    /// What is measured of it: until it is answered.
    pub(crate) span: Span,
}

impl Job {
    /// Does something as a part of what the command is done for.
    fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        // A line is told with what its own filter lets through: that may be the outer one alone.
        self.asked_in.in_scope(|| self.span.in_scope(work))
    }
}

/// What comes through the queue.
pub(crate) enum Message {
    Job(Box<Job>),
    Stop,
}

/// The writer's side of a store.
pub(crate) struct Writer {
    pub(crate) env: LedgerEnv,
    pub(crate) tables: Tables,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) linger: Duration,
    /// When the log was last told of a command refused for want of room.
    pub(crate) told_full: Cell<Option<Instant>>,
}

/// How an attempt to write several commands ended.
enum Attempt {
    /// The first so many are answered: durable, refused, or failed together.
    Answered(Vec<Answer>),
    /// A write failed and the transaction with it; nothing happened.
    Aborted(StoreError),
}

impl Writer {
    /// Serves the queue until it is told to stop or nobody can send any more.
    pub(crate) fn run(self, queue: &Receiver<Message>) {
        let mut transactions = 0u64;
        loop {
            let (mut jobs, more) = self.gather(queue);
            while !jobs.is_empty() {
                self.write(&mut jobs);
                transactions = transactions.wrapping_add(1);
                if transactions.is_multiple_of(STALE_CHECK) {
                    self.clear_stale_readers();
                }
            }
            if !more {
                return;
            }
        }
    }

    /// Waits for a command, then takes what else is there; lingers for more if told to. Also tells whether more may come.
    fn gather(&self, queue: &Receiver<Message>) -> (VecDeque<Job>, bool) {
        let mut jobs = VecDeque::new();
        match queue.recv() {
            Ok(Message::Job(job)) => jobs.push_back(*job),
            Ok(Message::Stop) | Err(_) => return (jobs, false),
        }
        let until = (!self.linger.is_zero()).then(|| Instant::now() + self.linger);
        while jobs.len() < MAX_BATCH {
            let next = match (queue.try_recv(), until) {
                (Ok(message), _) => Some(message),
                (Err(TryRecvError::Disconnected), _) => return (jobs, false),
                (Err(TryRecvError::Empty), None) => None,
                (Err(TryRecvError::Empty), Some(until)) => {
                    match queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                        Ok(message) => Some(message),
                        Err(RecvTimeoutError::Timeout) => None,
                        Err(RecvTimeoutError::Disconnected) => return (jobs, false),
                    }
                }
            };
            match next {
                Some(Message::Job(job)) => jobs.push_back(*job),
                Some(Message::Stop) => return (jobs, false),
                None => break,
            }
        }
        (jobs, true)
    }

    /// Writes and answers as many jobs as fit into one transaction, one at least.
    pub(crate) fn write(&self, jobs: &mut VecDeque<Job>) {
        let batch: Vec<&Job> = jobs.iter().collect();
        let answers = match self.attempt(&batch) {
            Attempt::Answered(answers) => answers,
            Attempt::Aborted(error) => match batch.as_slice() {
                [only] => vec![Err(self.failed(only, &error))],
                _ => {
                    // One of them does not fit, or cannot be written: only alone is it known which.
                    tracing::warn!(%error, commands = batch.len(), "a batch failed and is written one by one");
                    count(&self.counters.split);
                    batch.iter().map(|job| self.alone(job)).collect()
                }
            },
        };
        for answer in answers {
            self.counters.count_answer(&answer);
            if let Err(full @ SubmitError::Full { .. }) = &answer {
                self.tell_full(full);
            }
            if let Some(Job {
                answer: asked, span, ..
            }) = jobs.pop_front()
            {
                // The commit is part of it.
                span.in_scope(|| ());
                drop(span);
                // Who asked may have gone; what was written stays written.
                let _ = asked.send(answer);
            }
        }
    }

    /// Tells of a command that was refused for want of room, unless one was told of a moment ago.
    fn tell_full(&self, full: &SubmitError) {
        let now = Instant::now();
        let told = self.told_full.get();
        if told.is_none_or(|at| now.saturating_duration_since(at) >= TELL_FULL) {
            self.told_full.set(Some(now));
            tracing::error!(%full, "new business is refused for want of room; what ends something goes on");
        }
    }

    fn alone(&self, job: &Job) -> Answer {
        match self.attempt(&[job]) {
            Attempt::Answered(answers) => answers
                .into_iter()
                .next()
                .unwrap_or_else(|| Err(SubmitError::Storage("no answer".to_owned()))),
            Attempt::Aborted(error) => Err(self.failed(job, &error)),
        }
    }

    fn failed(&self, job: &Job, error: &StoreError) -> SubmitError {
        job.in_scope(|| tracing::error!(%error, "a command could not be written"));
        if error.is_full() {
            room::full(&job.command)
        } else {
            SubmitError::Storage(error.to_string())
        }
    }

    /// One transaction over the first of `jobs`, as far as there is room for them.
    fn attempt(&self, jobs: &[&Job]) -> Attempt {
        let fail_all = |error: StoreError| {
            Attempt::Answered(
                jobs.iter()
                    .map(|_| Err(SubmitError::Storage(error.to_string())))
                    .collect(),
            )
        };
        let mut txn = match self.env.write_txn() {
            Ok(txn) => txn,
            Err(error) => return fail_all(error.into()),
        };
        let mut room = match Room::measure(&self.env, &self.tables, &txn, &*self.disk) {
            Ok(room) => room,
            Err(error) => return fail_all(error),
        };
        let mut answers: Vec<Answer> = Vec::with_capacity(jobs.len());
        let mut dirty = false;
        let mut money = *self.counters.money.lock();
        for job in jobs {
            let command = &job.command;
            match room.admit(command) {
                Admission::Admitted => {}
                Admission::NextBatch => break,
                Admission::Full(error) => {
                    answers.push(Err(error));
                    continue;
                }
            }
            let decided = job.in_scope(|| self.decide(&mut txn, command, &mut money));
            match decided {
                Ok((answer, wrote)) => {
                    dirty |= wrote;
                    answers.push(answer);
                }
                Err(error) => return Attempt::Aborted(error),
            }
        }
        self.counters.count_batch(answers.len());
        if !dirty {
            return Attempt::Answered(answers);
        }
        match self.commit(txn) {
            Ok(()) => {
                count(&self.counters.commits);
                // Nobody else writes, so nothing came in between.
                *self.counters.money.lock() = money;
                Attempt::Answered(answers)
            }
            Err(error) => {
                count(&self.counters.failed_commits);
                tracing::error!(%error, commands = answers.len(), "a commit failed; none of its commands happened");
                if error.is_full() {
                    return Attempt::Aborted(error);
                }
                // Refusals fail too: they may have rested on what is undone now.
                answers
                    .iter_mut()
                    .for_each(|answer| *answer = Err(SubmitError::Storage(error.to_string())));
                Attempt::Answered(answers)
            }
        }
    }

    /// Decides one command and writes its changes, `money` among them. An error means that the transaction must not be committed.
    fn decide(
        &self,
        txn: &mut RwTxn<'_>,
        command: &Command,
        money: &mut Money,
    ) -> Result<(Answer, bool), StoreError> {
        match apply(
            &Records {
                tables: &self.tables,
                txn: &*txn,
            },
            command,
        ) {
            Ok((changes, outcome)) => {
                tracing::debug!(records = changes.len(), "the ledger carries a command out");
                for change in &changes {
                    let replaced = change::write(&self.tables, txn, change)?;
                    if let Change::Channel(channel) = change {
                        money.replace(replaced.as_ref(), channel);
                    }
                }
                Ok((Ok(outcome), !changes.is_empty()))
            }
            Err(Fault::Refused(refusal)) => {
                tracing::debug!(%refusal, "the ledger refuses a command");
                Ok((Err(SubmitError::Refused(refusal)), false))
            }
            Err(Fault::View(error)) => {
                tracing::error!(%error, "the ledger could not be read");
                Ok((Err(SubmitError::Storage(error.to_string())), false))
            }
        }
    }

    fn clear_stale_readers(&self) {
        if let Err(error) = self.env.clear_stale_readers() {
            tracing::warn!(%error, "the table of readers could not be cleared of dead ones");
        }
    }

    fn commit(&self, txn: RwTxn<'_>) -> Result<(), StoreError> {
        let began = Instant::now();
        let committed = self
            .disk
            .before_commit()
            .map_err(heed::Error::Io)
            .and_then(|()| txn.commit());
        self.counters.count_commit(began.elapsed());
        Ok(committed?)
    }
}
