//! The bare call, for benchmarks: what the sandbox itself costs.

use crate::failure::Failure;
use crate::grants::Grants;
use crate::host::Answers;
use crate::imports::Imports;
use crate::lend;
use crate::limits::Limits;
use crate::record::{Output, PriceInput};
use crate::request::PriceRequest;
use crate::revision::Revision;
use crate::watch::Watch;

/// A request that is prepared once and asked many times.
pub struct Bare<'r> {
    revision: &'r Revision,
    input: PriceInput,
    limits: Limits,
}

impl Revision {
    /// Prepares `request`. The calls differ from [`Revision::price`] in that nothing is recorded.
    pub fn bare(&self, request: &PriceRequest<'_>, grants: Grants, limits: &Limits) -> Bare<'_> {
        Bare {
            revision: self,
            input: PriceInput::new(request, grants, limits),
            limits: *limits,
        }
    }
}

impl Bare<'_> {
    /// One call on a fresh instance, with its fuel and its deadline.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the call; a refusal is none.
    pub fn call(&self, imports: &dyn Imports) -> Result<(), Failure> {
        let watch = Some(Watch::start(self.limits.deadline));
        let quoted = lend::scope(imports, |lent| {
            self.revision
                .quote(&self.input, Answers::Live(lent), &self.limits, watch)
        });
        match quoted.output {
            Output::Failure(failure) => Err(failure),
            _ => Ok(()),
        }
    }
}
