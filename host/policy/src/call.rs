//! The calls of the hooks: from a request to a decision.

use crate::batch::Batch;
use crate::failure::Failure;
use crate::functions::{Function, Typed};
use crate::grants::{GrantError, Grants};
use crate::guest::{self, Ran};
use crate::hook::Hook;
use crate::host::{Answers, Session, Trace};
use crate::imports::Imports;
use crate::lend;
use crate::limits::{Instances, Limits};
use crate::outcome::{self, Decided, Declined, Priced, Shown};
use crate::record::{
    AdmitInput, ConsentInput, FilterInput, Hex, Input, Output, PriceInput, RECORD_VERSION, Record, Units,
};
use crate::request::{AdmitRequest, ConsentRequest, FilterRequest, PriceRequest};
use crate::revision::Revision;
use crate::watch::Watch;
use crate::wire;
use core::time::Duration;
use std::borrow::Cow;
use std::time::Instant;

/// Each hook's call. All of them share what follows.
///
/// A call runs on the calling thread and ends soon after `limits.deadline` (see [`Limits::deadline`]) whatever the
/// policy does. Every failure is an outcome; only a panic of `imports` passes through. `imports` is asked only if
/// `grants` allow it. The thread needs [`EngineOptions::stack`](crate::EngineOptions::stack) and 128 KiB of free
/// stack; an async worker should leave a call that can take milliseconds to a pool of threads. The instance is the
/// call's own, unless `limits.instances` says otherwise.
impl Revision {
    /// Asks the policy for a price (`pricing.quote`).
    pub fn price(
        &self,
        request: &PriceRequest<'_>,
        imports: &dyn Imports,
        grants: Grants,
        limits: &Limits,
    ) -> Decided<Priced> {
        self.decide(imports, grants, limits, outcome::priced, |limits| {
            Input::Pricing(Box::new(PriceInput::new(request, grants, limits)))
        })
    }

    /// The decision where the policy was not asked for a price, because of `failure`: it is recorded all the same, for
    /// another price may stand in.
    pub fn unpriced(
        &self,
        request: &PriceRequest<'_>,
        grants: Grants,
        limits: &Limits,
        failure: Failure,
    ) -> Decided<Priced> {
        let limits = self.within(limits);
        let input = Input::Pricing(Box::new(PriceInput::new(request, grants, &limits)));
        let asked = Asked::failed(failure.clone());
        Decided {
            outcome: Err(Declined::Failed(failure)),
            fuel: 0,
            elapsed: Duration::ZERO,
            changes: Vec::new(),
            record: self.record(input, asked, Instances::Fresh, Duration::ZERO),
        }
    }

    /// Asks the policy whether the offer may be placed (`offers.admit`).
    pub fn admit(
        &self,
        request: &AdmitRequest<'_>,
        imports: &dyn Imports,
        grants: Grants,
        limits: &Limits,
    ) -> Decided<()> {
        self.decide(imports, grants, limits, outcome::admitted, |limits| {
            Input::Admit(Box::new(AdmitInput::new(request, grants, limits)))
        })
    }

    /// Asks the policy which offers of a batch the buyer may see (`offers.filter`).
    pub fn filter(
        &self,
        request: &FilterRequest<'_>,
        imports: &dyn Imports,
        grants: Grants,
        limits: &Limits,
    ) -> Decided<Shown> {
        // The host fills part of the guest's memory: that part does not count.
        let limits = Limits {
            memory: limits.memory.saturating_add(request.batch.bytes().len()),
            ..*limits
        };
        self.decide(imports, grants, &limits, outcome::visible, |limits| {
            Input::Filter(Box::new(FilterInput::new(request, grants, limits)))
        })
    }

    /// Asks the policy whether the parties may deal (`consent.authorize`).
    pub fn authorize(
        &self,
        request: &ConsentRequest<'_>,
        imports: &dyn Imports,
        grants: Grants,
        limits: &Limits,
    ) -> Decided<()> {
        self.decide(imports, grants, limits, outcome::allowed, |limits| {
            Input::Consent(Box::new(ConsentInput::new(request, grants, limits)))
        })
    }

    fn decide<T>(
        &self,
        imports: &dyn Imports,
        grants: Grants,
        limits: &Limits,
        good: impl FnOnce(&Output) -> Option<T>,
        input: impl FnOnce(&Limits) -> Input,
    ) -> Decided<T> {
        let started = Instant::now();
        let limits = self.within(limits);
        let input = input(&limits);
        let watch = self.inner.engine.watch(started, limits.deadline);
        let mut asked = self.ask_live(&input, imports, grants, Some(watch), &limits);
        let elapsed = started.elapsed();
        Decided {
            outcome: outcome::outcome(&asked.output, good),
            fuel: asked.fuel,
            elapsed,
            changes: asked.changes(),
            record: self.record(input, asked, limits.instances, elapsed),
        }
    }

    /// Limits that the engine can keep.
    pub(crate) fn within(&self, limits: &Limits) -> Limits {
        Limits {
            memory: limits.memory.min(self.inner.engine.options().memory),
            ..*limits
        }
    }

    /// Puts the record of a decision together.
    pub(crate) fn record(
        &self,
        input: Input,
        asked: Asked,
        instance: Instances,
        elapsed: Duration,
    ) -> Record {
        let Asked { output, fuel, trace } = asked;
        Record {
            v: RECORD_VERSION,
            id: None,
            at_ns: input.now(),
            hook: input.hook(),
            policy: self.name().to_owned(),
            revision: Hex(self.id()),
            input,
            imports: trace.calls,
            outcome: Cow::Borrowed(output.outcome()),
            output,
            fuel,
            us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            instance,
        }
    }

    /// Runs the function that `input` is for, with `imports` to answer it.
    pub(crate) fn ask_live(
        &self,
        input: &Input,
        imports: &dyn Imports,
        grants: Grants,
        watch: Option<Watch>,
        limits: &Limits,
    ) -> Asked {
        lend::scope(imports, |lent| {
            let session = Session {
                grants,
                answers: Answers::Live(lent),
                watch,
            };
            self.ask(input, session, limits)
        })
    }

    /// Runs the function that `record` is of, with the recorded answers and grants. The clock does not run.
    pub(crate) fn ask_on_tape(&self, record: &Record, limits: &Limits) -> Asked {
        let session = Session {
            grants: record.input.grants(),
            answers: Answers::Tape(record.imports.clone().into_iter()),
            watch: None,
        };
        self.ask(&record.input, session, limits)
    }

    /// Runs the function that `input` is for.
    fn ask(&self, input: &Input, session: Session, limits: &Limits) -> Asked {
        let ready = self.ready(session.grants).and_then(|()| check(input));
        if let Err(failure) = ready {
            return Asked::failed(failure);
        }
        let inner = &self.inner;
        match input {
            Input::Pricing(input) => self.run(
                (Hook::Pricing, &inner.functions.quote),
                (wire::PriceRequest::new(input, &wire::labels(&input.offer)),),
                session,
                limits,
                |(answer,)| outcome::bounded(answer, input.floor.0, input.cap.0, input.max_valid_ms),
            ),
            Input::Admit(input) => self.run(
                (Hook::Offers, &inner.functions.admit),
                (
                    wire::Context::new(
                        input.now,
                        input.market.0,
                        input.action,
                        input.buyer,
                        &input.params,
                    ),
                    wire::Offer::new(&input.offer, &wire::labels(&input.offer)),
                ),
                session,
                limits,
                |(answer,)| outcome::plain(answer, Output::Admitted),
            ),
            Input::Filter(input) => self.run(
                (Hook::Offers, &inner.functions.filter),
                (
                    wire::Context::new(
                        input.now,
                        input.market.0,
                        input.action,
                        input.buyer,
                        &input.params,
                    ),
                    input.layout,
                    input.count,
                    input.batch.0.as_slice(),
                ),
                session,
                limits,
                |(verdict,)| outcome::shown(&verdict, input.count),
            ),
            Input::Consent(input) => {
                let labels = input.offer.as_ref().map(wire::labels);
                let offer = input.offer.as_ref().zip(labels.as_ref());
                let buyer = wire::Attributes::of(&input.buyer_grants);
                let seller = wire::Attributes::of(&input.seller_grants);
                self.run(
                    (Hook::Consent, &inner.functions.authorize),
                    (wire::ConsentRequest {
                        ctx: wire::Context::new(
                            input.now,
                            input.market.0,
                            input.action,
                            input.buyer,
                            &input.params,
                        ),
                        offer: offer.map(|(offer, labels)| wire::Offer::new(offer, labels)),
                        buyer_grants: &buyer.grants(&input.buyer_grants),
                        seller_grants: &seller.grants(&input.seller_grants),
                    },),
                    session,
                    limits,
                    |(answer,)| outcome::plain(answer, Output::Allowed),
                )
            }
        }
    }

    /// Whether anything may run at all.
    fn ready(&self, grants: Grants) -> Result<(), Failure> {
        self.check_grants(grants).map_err(|error| match error {
            GrantError::NotGranted { import, .. } => Failure::not_granted(import),
        })
    }

    fn run<F: Function>(
        &self,
        (hook, function): (Hook, &Option<Typed<F>>),
        params: F::Params<'_>,
        session: Session,
        limits: &Limits,
        judge: impl FnOnce(F::Results) -> Output,
    ) -> Asked {
        let Some(function) = function else {
            return Asked::failed(Failure::MissingHook { hook });
        };
        let pre = &self.inner.pre;
        let (Ran { answer, fuel, trace }, instance) = match limits.instances {
            Instances::Fresh => (guest::run(pre, function, params, session, limits), None),
            Instances::Warm => self.inner.warm.run(pre, function, params, session, limits),
        };
        let output = answer.map_or_else(Output::Failure, judge);
        if let Some(instance) = instance
            && !matches!(output, Output::Failure(_))
        {
            self.inner.warm.keep(instance);
        }
        Asked { output, fuel, trace }
    }
}

/// What can be refused without running anything.
fn check(input: &Input) -> Result<(), Failure> {
    match input {
        Input::Pricing(input) if input.floor.0 > input.cap.0 => {
            let Units(floor) = input.floor;
            let Units(cap) = input.cap;
            Err(Failure::BadBounds {
                floor: Units(floor).to_string(),
                cap: Units(cap).to_string(),
            })
        }
        Input::Filter(input) if input.count as usize > Batch::MAX => Err(Failure::BadBatch {
            count: input.count,
            limit: Batch::MAX as u32,
        }),
        _ => Ok(()),
    }
}

/// What a run came to, its answer checked and within bounds.
pub(crate) struct Asked {
    pub(crate) output: Output,
    pub(crate) fuel: u64,
    pub(crate) trace: Trace,
}

impl Asked {
    fn failed(failure: Failure) -> Self {
        Self {
            output: Output::Failure(failure),
            fuel: 0,
            trace: Trace::default(),
        }
    }

    /// The changes to keep: none of a call that did not say yes.
    fn changes(&mut self) -> Vec<crate::state::StateChange> {
        let changes = core::mem::take(&mut self.trace.changes);
        match self.output {
            Output::Refusal { .. } | Output::Failure(_) => Vec::new(),
            _ => changes,
        }
    }
}
