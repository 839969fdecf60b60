//! The bare call, for benchmarks: what the sandbox itself costs.

use crate::failure::Failure;
use crate::grants::Grants;
use crate::imports::Imports;
use crate::limits::Limits;
use crate::record::{FilterInput, Input, Output, PriceInput};
use crate::request::{FilterRequest, PriceRequest};
use crate::revision::Revision;
use std::time::Instant;

/// A request that is prepared once and asked many times.
pub struct Bare<'r> {
    revision: &'r Revision,
    input: Input,
    grants: Grants,
    limits: Limits,
}

impl Revision {
    /// Prepares `request`. The calls differ from [`Revision::price`] in that nothing is recorded.
    pub fn bare(&self, request: &PriceRequest<'_>, grants: Grants, limits: &Limits) -> Bare<'_> {
        Bare {
            revision: self,
            input: Input::Pricing(Box::new(PriceInput::new(request, grants, limits))),
            grants,
            limits: *limits,
        }
    }

    /// Prepares `request`. The calls differ from [`Revision::filter`] in that nothing is recorded.
    pub fn bare_filter(&self, request: &FilterRequest<'_>, grants: Grants, limits: &Limits) -> Bare<'_> {
        Bare {
            revision: self,
            input: Input::Filter(Box::new(FilterInput::new(request, grants, limits))),
            grants,
            limits: *limits,
        }
    }
}

impl Bare<'_> {
    /// One call, with its fuel and its deadline, on the instance that the limits say.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the call; a refusal is none.
    pub fn call(&self, imports: &dyn Imports) -> Result<(), Failure> {
        let engine = &self.revision.inner.engine;
        let watch = engine.watch(Instant::now(), self.limits.deadline);
        let asked = self
            .revision
            .ask_live(&self.input, imports, self.grants, Some(watch), &self.limits);
        match asked.output {
            Output::Failure(failure) => Err(failure),
            _ => Ok(()),
        }
    }
}
