//! The exchange with a seller: which questions it is asked, in which order, until one answer carries its signature.
//!
//! The first question is the purchase. After an unclear answer of a session that proved itself before, the seller is
//! asked to confirm it: one position on, for nothing more. One that did advance can only agree, and its signature covers
//! both. A seller that stands at another seq may have adopted a state of an earlier purchase, which was void for its
//! buyer: it is asked to go on from there, and what it was paid then counts. So the market maker never pays more than the
//! larger of the two, whatever the seller says, and what it paid too early is netted later.
//!
//! Each question is on record before it leaves. From an unclear answer on no word of the seller's clears anything up,
//! only a signature: "another seq" says that it stands elsewhere, so all questions on record go round. Exactly one of
//! them suits a seller wherever it stands.
//!
//! A seller that works on two questions at a time may answer a later one first and move on after all. Then its channel
//! stands one position off at the same balance, and it is found out at its next sale; no money is.

use super::carry::Plan;
use super::finish::{Verdict, verify};
use super::sell::{self, Question};
use super::turns::Turn;
use crate::market::Market;
use crate::providers::sell_uri;
use bourse_market::{
    Ask, Command, Doubt, Outcome, Purchase, RecoverRequest, SealedKey, Signature, View, VoidReason, nettings,
};
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
    abandoned: Abandoned,
}

/// The purchase before this one whose seller may have adopted a state it was shown.
enum Abandoned {
    /// Not looked for yet: only a seller that stands elsewhere gives reason to.
    Unknown,
    None,
    Known(Box<Purchase>),
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
        abandoned: Abandoned::Unknown,
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

    /// The question at [`Exchange::at`]; none only if the purchase's own numbers do not add up.
    fn question(&self) -> Option<Question> {
        let s2 = match self.at.checked_sub(1) {
            Some(step) => self.purchase.recoveries.get(step)?.s2,
            None => self.purchase.s2,
        };
        let ask = self.purchase.ask(u32::try_from(self.at).ok()?)?;
        Some(Question { ask, s2 })
    }

    /// The process may die here, if this question is none but a further one, to confirm or to go on from elsewhere.
    fn pass(&self, unclear: &str, elsewhere: &str, question: usize) {
        let step = question
            .checked_sub(1)
            .and_then(|step| self.purchase.recoveries.get(step));
        match step.map(|step| step.doubt) {
            Some(Doubt::Unclear) => crate::crash::point(unclear),
            Some(Doubt::Elsewhere) => crate::crash::point(elsewhere),
            None => {}
        }
    }

    /// Asks one question.
    ///
    /// # Errors
    ///
    /// Why the purchase is void, if no further question can help.
    async fn ask(&mut self, timeout: Duration) -> Result<Step, VoidReason> {
        let question = self.question().ok_or_else(|| self.given_up())?;
        let (sellers, maker) = (&*self.market.sellers, self.market.network.marketmaker);
        let provider_id = &self.plan.provider_id;
        let answer = sell::ask(sellers, maker, &self.purchase, question, provider_id, timeout).await;
        let reason = match answer {
            sell::Answer::Sold(s3, sealed_key) => {
                crate::crash::point("sell-answered");
                self.pass("recovery-answered", "netting-answered", self.at);
                match verify(self.market, &self.purchase, self.plan, question.ask, s3).await {
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
                self.elsewhere().await;
                return Ok(Step::Rest);
            }
            sell::Answer::Not(reason) if reason.ambiguous => reason,
            // It proves that this question moved nothing, and nothing of one before.
            sell::Answer::Not(reason) => return Err(self.unclear.take().unwrap_or(reason)),
        };
        self.missed(reason, question.ask).await
    }

    /// The seller stands at another seq than the question takes it from. It may have adopted a state of the purchase
    /// before, which is tried state by state; then all questions on record go round, for one that has not finished its
    /// start says so too.
    async fn elsewhere(&mut self) {
        if let Some(ask) = self.netting() {
            if self.record(Doubt::Elsewhere, ask).await.is_some() {
                self.at = self.purchase.recoveries.len();
                return;
            }
            // The ledger says no, and would again.
            self.abandoned = Abandoned::None;
        }
        self.at = (self.at + 1) % (self.purchase.recoveries.len() + 1);
    }

    /// The next state to try, if a purchase before this one was abandoned.
    fn netting(&mut self) -> Option<Ask> {
        if let Abandoned::Unknown = self.abandoned {
            self.abandoned = self.find_abandoned().map_or(Abandoned::None, Abandoned::Known);
        }
        let Abandoned::Known(abandoned) = &self.abandoned else {
            return None;
        };
        nettings(&self.purchase, abandoned).find(|netting| self.purchase.asks().all(|ask| ask != *netting))
    }

    /// The purchase of the same paying channel whose states its seller may have adopted. None also if it cannot be read:
    /// then the seller stays where it is.
    fn find_abandoned(&self) -> Option<Box<Purchase>> {
        let channel = self.purchase.paying_channel;
        let found = self.market.read(|ledger| {
            let abandoned = ledger.channel(&channel)?.and_then(|paying| paying.abandoned);
            abandoned.map_or(Ok(None), |id| ledger.purchase(&id))
        });
        found.ok().flatten().map(Box::new)
    }

    /// An unclear answer: whoever advanced for it agrees to the same state one position on.
    async fn missed(&mut self, reason: VoidReason, asked: Ask) -> Result<Step, VoidReason> {
        let first = self.unclear.get_or_insert(reason).clone();
        self.misses += 1;
        if !self.plan.answered || self.misses > Purchase::RECOVERIES || !self.is_there() {
            return Err(first);
        }
        let Some(next) = asked.confirmed() else {
            return Err(first);
        };
        let known = self.purchase.asks().position(|ask| ask == next);
        self.at = match known {
            Some(known) => known,
            None => {
                self.record(Doubt::Unclear, next).await.ok_or(first)?;
                self.purchase.recoveries.len()
            }
        };
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

    /// Signs a further question and puts it on record; none if the ledger does not take it.
    async fn record(&mut self, doubt: Doubt, ask: Ask) -> Option<()> {
        let purchase = &self.purchase;
        let digest = self
            .market
            .state_digest(purchase.paying_channel, ask.seq, ask.balance);
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
            doubt,
            ask,
            s2,
        };
        match self.market.submit(Command::Recover(request)).await {
            Ok(Outcome::Recovering(purchase)) => {
                self.purchase = Arc::new(*purchase);
                self.pass(
                    "recovery-recorded",
                    "netting-recorded",
                    self.purchase.recoveries.len(),
                );
                let Ask { seq, amount, balance } = ask;
                tracing::info!(purchase = %self.purchase.id, ?doubt, %seq, %amount, %balance, "a seller is asked again");
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
