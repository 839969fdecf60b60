//! The exchange with a seller: which questions it is asked, in which order, until one answer carries its signature.
//!
//! The first question is the purchase. After an unclear answer of a session that proved itself before, the seller is
//! asked for the next position, for nothing more: one that did advance can only agree, and its signature covers both.
//! The step is on record before it leaves. From then on no word of the seller's clears anything up, only a signature:
//! "another seq" to a step of recovery says that it stands elsewhere, so all questions on record go round. Exactly one
//! of them suits a seller wherever it stands, and none of them gives it more than the purchase.
//!
//! A seller that works on two questions at a time may answer a later one first and move on after all. Then its channel
//! stands one position off at the same balance, and it is found out at its next sale; no money is.

use super::carry::Plan;
use super::finish::{Verdict, verify};
use super::sell::{self, Question};
use super::turns::Turn;
use crate::market::Market;
use crate::providers::sell_uri;
use bourse_market::{Amount, Command, Outcome, Purchase, RecoverRequest, SealedKey, Signature, VoidReason};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// First pause before a seller that is not ready is asked again; doubled each time.
const BACKOFF: Duration = Duration::from_millis(25);
/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_millis(400);

/// A seller's answer that was found good.
pub(super) struct Sale {
    /// Its signature over the paying channel's state.
    pub(super) s3: Signature,
    /// Ours over the buyer's.
    pub(super) s4: Signature,
    pub(super) sealed_key: SealedKey,
    /// The question that it answers: 0 is the first, else that step of recovery.
    pub(super) recovered: u32,
}

/// Where the questions to one seller stand.
struct Exchange<'a> {
    market: &'a Arc<Market>,
    plan: &'a Plan,
    purchase: Arc<Purchase>,
    /// The question that is being asked: 0 is the first.
    at: usize,
    /// The first unclear answer: what the buyer is told if nothing clears it up.
    unclear: Option<VoidReason>,
    /// It said that it expects another seq, which proves nothing by itself.
    other_seq: Option<VoidReason>,
    /// Unclear answers so far.
    misses: usize,
    /// One of them carried a signature that is not the delegate's.
    forged: bool,
}

/// Asks until an answer is clean, or nothing more can be hoped for by `deadline`. Whoever forged a signature loses its
/// registration, even if it came round.
pub(super) async fn exchange(
    market: &Arc<Market>,
    turn: &Turn,
    plan: &Plan,
    purchase: &Arc<Purchase>,
    deadline: Instant,
) -> Result<Sale, VoidReason> {
    let mut exchange = Exchange {
        market,
        plan,
        purchase: Arc::clone(purchase),
        at: 0,
        unclear: None,
        other_seq: None,
        misses: 0,
        forged: false,
    };
    let end = exchange.run(turn, deadline).await;
    if exchange.forged {
        let sell = sell_uri(&plan.provider_id);
        market.sellers.drop_registration(&sell, plan.callee);
        market.unregistered(plan.callee.0, &sell);
    }
    end
}

/// How the exchange goes on.
enum Step {
    /// It is over.
    Sold(Box<Sale>),
    /// With the next question.
    Next,
    /// After a pause.
    Rest,
}

impl Exchange<'_> {
    async fn run(&mut self, turn: &Turn, deadline: Instant) -> Result<Sale, VoidReason> {
        let mut pause = BACKOFF;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.given_up());
            }
            match self.ask(self.patience(left)).await? {
                Step::Sold(sale) => return Ok(*sale),
                Step::Next => continue,
                Step::Rest => {}
            }
            if Instant::now() + pause >= deadline {
                return Err(self.given_up());
            }
            turn.rest(true);
            tokio::time::sleep(pause).await;
            turn.rest(false);
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }

    /// What it comes to when no time is left.
    fn given_up(&self) -> VoidReason {
        let why = self.unclear.as_ref().or(self.other_seq.as_ref());
        why.cloned().unwrap_or_else(sell::not_asked)
    }

    /// How long one answer is waited for: three quarters of what is left while a silent seller could be asked again.
    fn patience(&self, left: Duration) -> Duration {
        if self.plan.answered && self.misses < Purchase::RECOVERIES {
            left * 3 / 4
        } else {
            left
        }
    }

    fn question(&self) -> Question {
        let purchase = &self.purchase;
        match self
            .at
            .checked_sub(1)
            .and_then(|step| purchase.recoveries.get(step))
        {
            Some(step) => Question {
                seq: step.seq,
                amount: Amount::ZERO,
                s2: step.s2,
            },
            None => Question {
                seq: purchase.paying_seq,
                amount: purchase.credit().unwrap_or_default(),
                s2: purchase.s2,
            },
        }
    }

    /// Asks one question.
    ///
    /// # Errors
    ///
    /// Why the purchase is void, if no further question can help.
    async fn ask(&mut self, timeout: Duration) -> Result<Step, VoidReason> {
        let question = self.question();
        let (sellers, maker) = (&*self.market.sellers, self.market.network.marketmaker);
        let provider_id = &self.plan.provider_id;
        let answer = sell::ask(sellers, maker, &self.purchase, question, provider_id, timeout).await;
        let reason = match answer {
            sell::Answer::Sold(s3, sealed_key) => {
                crate::crash::point("sell-answered");
                match verify(self.market, &self.purchase, self.plan, question.seq, s3).await {
                    Verdict::Good(s4) => {
                        return Ok(Step::Sold(Box::new(Sale {
                            s3,
                            s4,
                            sealed_key,
                            recovered: u32::try_from(self.at).unwrap_or(u32::MAX),
                        })));
                    }
                    Verdict::Unverified(reason) => reason,
                    Verdict::Forged(reason) => {
                        self.forged = true;
                        reason
                    }
                }
            }
            sell::Answer::NotReached => return Ok(Step::Rest),
            sell::Answer::OtherSeq(reason) => {
                self.other_seq = Some(reason);
                if self.unclear.is_some() {
                    self.at = (self.at + 1) % (self.purchase.recoveries.len() + 1);
                }
                return Ok(Step::Rest);
            }
            sell::Answer::Not(reason) if reason.ambiguous => reason,
            // It proves that this question moved nothing, and nothing of one before.
            sell::Answer::Not(reason) => return Err(self.unclear.take().unwrap_or(reason)),
        };
        self.missed(reason).await
    }

    /// An unclear answer: whoever advanced for it agrees to the next question.
    async fn missed(&mut self, reason: VoidReason) -> Result<Step, VoidReason> {
        let first = self.unclear.get_or_insert(reason).clone();
        self.misses += 1;
        if !self.plan.answered || self.misses > Purchase::RECOVERIES || !self.is_there() {
            return Err(first);
        }
        if self.at == self.purchase.recoveries.len() {
            self.record().await.ok_or(first)?;
        }
        self.at += 1;
        Ok(Step::Next)
    }

    /// Whether the session that was asked still answers for the seller: nobody else knows whether it advanced.
    fn is_there(&self) -> bool {
        let registration = self
            .market
            .providers
            .find(&self.plan.provider_id, &self.purchase.seller);
        registration.is_some_and(|registration| registration.session == self.purchase.callee.0)
    }

    /// Signs the next step of recovery and puts it on record; none if the ledger does not take it.
    async fn record(&mut self) -> Option<()> {
        let purchase = &self.purchase;
        let seq = purchase.position(u32::try_from(purchase.recoveries.len() + 1).ok()?)?;
        let digest = self
            .market
            .state_digest(purchase.paying_channel, seq, purchase.paying_balance);
        let signer = Arc::clone(&self.market.signer);
        let s2 = self
            .market
            .workers
            .run_owed(move || signer.sign(&digest))
            .await
            .ok()?;
        let request = RecoverRequest {
            id: purchase.id,
            at: self.market.now(),
            seq,
            s2,
        };
        match self.market.submit(Command::Recover(request)).await {
            Ok(Outcome::Recovering(purchase)) => {
                self.purchase = Arc::new(*purchase);
                tracing::info!(purchase = %self.purchase.id, %seq, "a seller's answer was unclear; it is asked again");
                Some(())
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(purchase = %self.purchase.id, error = error.uri, "a seller cannot be asked again");
                None
            }
        }
    }
}
