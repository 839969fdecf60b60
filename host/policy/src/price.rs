//! The call of `pricing.quote`.

use crate::failure::Failure;
use crate::grants::{GrantError, Grants};
use crate::guest::{Ran, run};
use crate::hook::Hook;
use crate::host::{Answers, HostState};
use crate::imports::Imports;
use crate::lend;
use crate::limits::Limits;
use crate::outcome::{PriceDecision, bounded, outcome};
use crate::record::{Hex, ImportCall, Input, Output, PriceInput, RECORD_VERSION, Record, Units};
use crate::request::PriceRequest;
use crate::revision::Revision;
use crate::watch::Watch;
use crate::wire;
use core::time::Duration;
use std::time::Instant;

impl Revision {
    /// Asks the policy for a price, on the calling thread, in an instance of its own.
    ///
    /// Ends soon after `limits.deadline` (see [`Limits::deadline`]) whatever the policy does. Every failure is an
    /// outcome; only a panic of `imports` passes through. The next call starts from nothing again. `imports` is asked
    /// only if `grants` allow it. The thread needs [`EngineOptions::stack`](crate::EngineOptions::stack) and 128 KiB
    /// of free stack; an async worker should leave a call that can take milliseconds to a pool of threads.
    pub fn price(
        &self,
        request: &PriceRequest<'_>,
        imports: &dyn Imports,
        grants: Grants,
        limits: &Limits,
    ) -> PriceDecision {
        let started = Instant::now();
        let limits = Limits {
            memory: limits.memory.min(self.inner.engine.options().memory),
            ..*limits
        };
        let input = PriceInput::new(request, grants, &limits);
        let asked = lend::scope(imports, |lent| {
            self.quote(
                &input,
                Answers::Live(lent),
                &limits,
                Some(Watch::start(limits.deadline)),
            )
        });
        self.decide(input, asked, started.elapsed())
    }

    /// Runs `quote` for `input`, live or on a tape.
    pub(crate) fn quote(
        &self,
        input: &PriceInput,
        answers: Answers,
        limits: &Limits,
        watch: Option<Watch>,
    ) -> Quoted {
        let grants = input.grants();
        if let Err(failure) = self.ready(input, grants) {
            return Quoted {
                output: Output::Failure(failure),
                fuel: 0,
                calls: Vec::new(),
            };
        }
        let Some(function) = &self.inner.quote else {
            return Quoted {
                output: Output::Failure(Failure::MissingHook { hook: Hook::Pricing }),
                fuel: 0,
                calls: Vec::new(),
            };
        };
        let categories: Vec<(&str, &str)> = input
            .offer
            .categories
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let params = (wire_request(input, &categories),);
        let state = HostState::new(limits.memory, grants, answers, watch);
        let Ran { answer, fuel, calls } =
            run::<_, (Result<wire::Price, wire::Refusal>,)>(&self.inner.pre, function, params, state, limits);
        let output = match answer {
            Ok((answer,)) => bounded(answer, input.floor.0, input.cap.0, input.max_valid_ms),
            Err(failure) => Output::Failure(failure),
        };
        Quoted { output, fuel, calls }
    }

    /// What can be refused without running anything.
    fn ready(&self, input: &PriceInput, grants: Grants) -> Result<(), Failure> {
        if input.floor.0 > input.cap.0 {
            let Units(floor) = input.floor;
            let Units(cap) = input.cap;
            return Err(Failure::BadBounds {
                floor: Units(floor).to_string(),
                cap: Units(cap).to_string(),
            });
        }
        self.check_grants(grants).map_err(|error| match error {
            GrantError::NotGranted { import, .. } | GrantError::NotAvailable { import, .. } => {
                Failure::not_granted(import)
            }
        })
    }

    /// Puts a decision together.
    pub(crate) fn decide(&self, input: PriceInput, quoted: Quoted, elapsed: Duration) -> PriceDecision {
        let Quoted { output, fuel, calls } = quoted;
        PriceDecision {
            outcome: outcome(&output),
            fuel,
            elapsed,
            record: Record {
                v: RECORD_VERSION,
                id: None,
                at_ns: input.now,
                hook: Hook::Pricing,
                policy: self.name().to_owned(),
                revision: Hex(self.id()),
                input: Input::Pricing(Box::new(input)),
                imports: calls,
                outcome: output.outcome().to_owned(),
                output,
                fuel,
                us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            },
        }
    }
}

/// What a run of `quote` came to, within bounds.
pub(crate) struct Quoted {
    pub(crate) output: Output,
    pub(crate) fuel: u64,
    pub(crate) calls: Vec<ImportCall>,
}

/// The request as it crosses the border.
fn wire_request<'a>(input: &'a PriceInput, categories: &'a [(&'a str, &'a str)]) -> wire::PriceRequest<'a> {
    let offer = &input.offer;
    wire::PriceRequest {
        ctx: wire::Context {
            now: input.now.0,
            market: input.market.0.0.into(),
            action: input.action.into(),
            buyer: input.buyer.map(|buyer| buyer.0.into()),
            params: &input.params,
        },
        offer: wire::Offer {
            key: offer.key.0.0.into(),
            api: offer.api.0.0.into(),
            catalog: offer.catalog.map(|catalog| catalog.0.0.into()),
            uri: &offer.uri,
            seller: offer.seller.0.into(),
            provider: offer.provider.as_deref(),
            placed_at: offer.placed_at.0,
            valid_from: offer.valid_from.0,
            expires: offer.expires.map(|expires| expires.0),
            price: offer.price.map(|price| price.0.into()),
            copies: offer.copies,
            remaining: offer.remaining,
            categories,
        },
        base: input.base.map(|base| base.0.into()),
        floor: input.floor.0.into(),
        cap: input.cap.0.into(),
        max_valid_ms: input.max_valid_ms,
    }
}
