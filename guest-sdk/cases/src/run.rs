//! Asking a revision, in the sandbox that hosts have.

use crate::case::Input;
use crate::question::{Context, Question};
use crate::world::Listening;
use bourse_market::Amount;
use bourse_policy::{
    AdmitRequest, Batch, Bound, ConsentRequest, Decided, Declined, Failure, FilterRequest, Level, Limits,
    PriceRequest, Priced, Record, Revision, Shown, StateChange,
};
use core::time::Duration;

/// What a policy said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A price, within its bounds.
    Price {
        /// What the key costs.
        amount: Amount,
        /// For how long, in milliseconds.
        valid_ms: u32,
        /// The bound that changed it.
        bounded: Option<Bound>,
    },
    /// The offer may be placed.
    Admitted,
    /// The offers to show, by index, in order.
    Shown(Vec<u32>),
    /// The parties may deal.
    Allowed,
    /// No.
    Refused {
        /// For programs.
        code: String,
        /// For people.
        text: String,
    },
    /// Nothing that counts.
    Failed(Failure),
}

impl Said {
    /// The word for it in the decision log.
    pub fn outcome(&self) -> &str {
        match self {
            Self::Price { .. } => "priced",
            Self::Admitted => "admitted",
            Self::Shown(_) => "shown",
            Self::Allowed => "allowed",
            Self::Refused { .. } => "refused",
            Self::Failed(failure) => failure.code(),
        }
    }
}

/// An answer, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The answer.
    pub said: Said,
    /// Fuel it burned.
    pub fuel: u64,
    /// Time it took, the sandbox's own work included.
    pub elapsed: Duration,
    /// What is to change in the policy's state.
    pub changes: Vec<StateChange>,
    /// The lines it wrote to the log.
    pub log: Vec<(Level, String)>,
    /// The whole decision.
    pub record: Record,
}

impl Input {
    /// Asks `revision`, once, in an instance made for the call.
    pub fn ask(&self, revision: &Revision) -> Answered {
        self.ask_within(revision, &self.limits())
    }

    /// Asks `revision`, once, under these limits and not the file's.
    pub fn ask_within(&self, revision: &Revision, limits: &Limits) -> Answered {
        let grants = self.grants(revision);
        let params = self.params.as_str();
        let world = Listening::to(&self.world);
        let parts = match &self.question {
            Question::Pricing {
                context,
                offer,
                base,
                floor,
                cap,
                max_valid_ms,
            } => {
                let Context {
                    now,
                    market,
                    action,
                    buyer,
                } = *context;
                let request = PriceRequest {
                    now,
                    market,
                    action,
                    buyer,
                    params,
                    offer,
                    base: *base,
                    floor: *floor,
                    cap: *cap,
                    max_valid_ms: *max_valid_ms,
                };
                parts(revision.price(&request, &world, grants, limits), price)
            }
            Question::Admit { context, offer } => {
                let Context {
                    now,
                    market,
                    action,
                    buyer,
                } = *context;
                let request = AdmitRequest {
                    now,
                    market,
                    action,
                    buyer,
                    params,
                    offer,
                };
                parts(revision.admit(&request, &world, grants, limits), |()| {
                    Said::Admitted
                })
            }
            Question::Filter { context, offers } => {
                let Context {
                    now,
                    market,
                    action,
                    buyer,
                } = *context;
                let batch = Batch::of(&offers.iter().collect::<Vec<_>>());
                let request = FilterRequest {
                    now,
                    market,
                    action,
                    buyer,
                    params,
                    batch: &batch,
                };
                parts(
                    revision.filter(&request, &world, grants, limits),
                    |Shown { indices }| Said::Shown(indices),
                )
            }
            Question::Consent {
                context,
                offer,
                buyer_grants,
                seller_grants,
            } => {
                let Context {
                    now,
                    market,
                    action,
                    buyer,
                } = *context;
                let request = ConsentRequest {
                    now,
                    market,
                    action,
                    buyer,
                    params,
                    offer: offer.as_deref(),
                    buyer_grants,
                    seller_grants,
                };
                parts(revision.authorize(&request, &world, grants, limits), |()| {
                    Said::Allowed
                })
            }
        };
        Answered {
            log: world.lines(),
            ..parts
        }
    }
}

fn price(priced: Priced) -> Said {
    let Priced {
        amount,
        valid_ms,
        bounded,
    } = priced;
    Said::Price {
        amount,
        valid_ms,
        bounded,
    }
}

fn parts<T>(decided: Decided<T>, said: impl FnOnce(T) -> Said) -> Answered {
    Answered {
        said: match decided.outcome {
            Ok(answer) => said(answer),
            Err(Declined::Refused { code, text }) => Said::Refused { code, text },
            Err(Declined::Failed(failure)) => Said::Failed(failure),
        },
        fuel: decided.fuel,
        elapsed: decided.elapsed,
        changes: decided.changes,
        log: Vec::new(),
        record: decided.record,
    }
}
