//! One checked and compiled component, ready to be called.

use crate::engine::Engine;
use crate::functions::{Admit, Authorize, Filter, Quote, Typed};
use crate::grants::{GrantError, Grants, Import, check};
use crate::hook::Hook;
use crate::host::HostState;
use crate::warm::Pool;
use bourse_market::RevisionId;
use serde::Serialize;
use std::sync::Arc;
use wasmtime::component::InstancePre;

/// What a policy says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// Its name, equal to its file's stem.
    pub name: String,
    /// Its version, for people: the host goes by the component's hash.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// JSON schema of its parameters, or nothing.
    pub params_schema: String,
}

/// One revision of a policy. Clones share it; calls in flight keep the revision they started with.
#[derive(Clone)]
pub struct Revision {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) functions: Functions,
    pub(crate) warm: Pool,
    pub(crate) id: RevisionId,
    pub(crate) size: usize,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) imports: Vec<Import>,
    pub(crate) description: Description,
}

/// Where the functions of the hooks are.
pub(crate) struct Functions {
    pub(crate) quote: Option<Typed<Quote>>,
    pub(crate) admit: Option<Typed<Admit>>,
    pub(crate) filter: Option<Typed<Filter>>,
    pub(crate) authorize: Option<Typed<Authorize>>,
}

impl core::fmt::Debug for Revision {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Revision")
            .field("name", &self.name())
            .field("id", &self.id())
            .field("hooks", &self.hooks())
            .field("imports", &self.imports())
            .finish_non_exhaustive()
    }
}

impl Revision {
    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.inner.description.name
    }

    /// SHA-256 of the component.
    pub fn id(&self) -> RevisionId {
        self.inner.id
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.inner.description
    }

    /// Bytes of the component.
    pub fn size(&self) -> usize {
        self.inner.size
    }

    /// The hooks it exports, at least one.
    pub fn hooks(&self) -> &[Hook] {
        &self.inner.hooks
    }

    /// Whether it exports `hook`.
    pub fn has(&self, hook: Hook) -> bool {
        self.inner.hooks.contains(&hook)
    }

    /// Whether it can set prices.
    pub fn has_pricing(&self) -> bool {
        self.has(Hook::Pricing)
    }

    /// The imports that a rule must grant it.
    pub fn imports(&self) -> &[Import] {
        &self.inner.imports
    }

    /// Whether a rule with `grants` can use it: to be asked when the rule is bound, so that nothing is missing in
    /// the middle of a sale.
    ///
    /// # Errors
    ///
    /// [`GrantError`], naming the first import that is missing.
    pub fn check_grants(&self, grants: Grants) -> Result<(), GrantError> {
        check(self.name(), self.imports(), grants)
    }
}
