//! Shadows: revisions that are asked what the active one was asked, after it answered. Their answers are logged and
//! compared, never used, and never in the way: a thread of their own asks them, and what it cannot take is left out.

use super::Policies;
use super::ask::stored;
use super::imports::{Ground, Live};
use super::pulse::{End, Pulse};
use super::rules::Prepared;
use crate::figures::Figures;
use bourse_market::{DecisionHeader, DecisionId, RevisionId};
use bourse_policy::{Breaker, BreakerOptions, Entry, Output, Record, Revision};
use bourse_store::DecisionLog;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Questions that may wait for the shadows.
const QUEUE: usize = 256;
/// Shadows whose failures are remembered. There are never as many at a time: what is forgotten is of earlier ones.
const REMEMBERED: usize = 256;

/// The thread that asks shadows. It ends when this is dropped.
pub(super) struct Shadows {
    questions: SyncSender<Question>,
}

/// What a shadow is asked.
struct Question {
    shadow: Revision,
    /// What the active revision was asked, and what it said.
    active: Record,
    id: DecisionId,
}

impl Shadows {
    pub(super) fn start(
        ground: Arc<Ground>,
        log: Option<DecisionLog>,
        breaker: BreakerOptions,
        pulse: Arc<Pulse>,
        figures: Arc<Figures>,
    ) -> std::io::Result<Self> {
        let (questions, asked) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("shadows".to_owned())
            .spawn(move || answer_all(&asked, &ground, log.as_ref(), breaker, &pulse, &figures))?;
        Ok(Self { questions })
    }
}

impl Policies {
    /// Has the shadows of a call asked, if it has any.
    pub(super) fn shadow(&self, rule: &Prepared, entry: &Entry, active: &Record) {
        let named = rule
            .rule
            .shadow
            .as_deref()
            .and_then(|name| self.library.get(name))
            .map(|entry| entry.revision.clone());
        for shadow in named.into_iter().chain(entry.shadow.clone()) {
            let name = shadow.name().to_owned();
            let question = Question {
                shadow,
                active: active.clone(),
                id: DecisionId(self.environment.fresh_id()),
            };
            match self.shadows.questions.try_send(question) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    self.figures.shadowed(&name, "left_out");
                }
            }
        }
    }
}

fn answer_all(
    asked: &Receiver<Question>,
    ground: &Ground,
    log: Option<&DecisionLog>,
    options: BreakerOptions,
    pulse: &Pulse,
    figures: &Figures,
) {
    // Of their own: what a shadow fails at must not keep the same revision from answering where it is in force.
    let mut breakers: HashMap<RevisionId, Breaker> = HashMap::new();
    for Question { shadow, active, id } in asked {
        if breakers.len() >= REMEMBERED && !breakers.contains_key(&shadow.id()) {
            breakers.clear();
        }
        let breaker = breakers
            .entry(shadow.id())
            .or_insert_with(|| Breaker::new(options));
        let Ok(permit) = breaker.admit(Instant::now()) else {
            figures.shadowed(shadow.name(), "left_out");
            continue;
        };
        let live = Live::new(ground, shadow.name(), active.at_ns);
        let record = shadow.ask_again(&active, &live);
        let failed = matches!(&record.output, Output::Failure(failure) if failure.trips());
        if let Some(tripped) = permit.record(Instant::now(), failed) {
            tracing::warn!(
                policy = shadow.name(), shadow = %shadow.id(),
                "a shadow failed {} times in a row and is left alone for {} ms", tripped.failures, tripped.pause_ms
            );
        }
        let same = record.output == active.output;
        figures.shadowed(shadow.name(), if same { "same" } else { "different" });
        let (end, took) = (End::of(&record.output), Duration::from_micros(record.us));
        pulse.shadowed(shadow.id(), record.hook, end, same, took, record.fuel);
        if !same {
            tracing::debug!(
                policy = shadow.name(), shadow = %shadow.id(), active = %active.revision.0,
                said = %record.outcome, "a shadow answered otherwise"
            );
        }
        if let Some(log) = log {
            let hook = format!("{}{}", DecisionHeader::SHADOW, record.hook);
            // What is dropped is counted where the figures of the log are.
            let _ = log.append(stored(record, id, hook));
        }
    }
}
