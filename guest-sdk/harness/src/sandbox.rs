//! One component in the sandbox, and its calls.

use crate::convert::{action, address, amount, amount_back, grants, nanos, offer};
use crate::host::{Mock, change};
use bourse::testing::MockHost;
use bourse_market::MarketId;
use bourse_policy::{
    AdmitRequest, Batch, ConsentRequest, Decided, Declined, Engine, EngineOptions, FilterRequest, Grants,
    Hook, Import, Limits, LoadError, PolicyError, PriceRequest, Record, Revision,
};
use core::time::Duration;
use std::path::{Path, PathBuf};

/// Why there is no sandbox with the component in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file.
    #[error("cannot read {}: {source}; `bourse policy build` makes it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The machine has no room for a sandbox.
    #[error(transparent)]
    Engine(#[from] PolicyError),
    /// No host would load it.
    #[error("{name}.wasm is not a policy that a host would load: {source}")]
    Load {
        /// The file's stem.
        name: String,
        /// What the check says.
        source: LoadError,
    },
}

/// What became of a call.
#[derive(Debug)]
pub struct Answered<T> {
    /// The answer as the host takes it, within its bounds, or why there is none.
    pub outcome: Result<T, Declined>,
    /// Fuel the call burned. The same call burns the same fuel everywhere.
    pub fuel: u64,
    /// Wall-clock time it took.
    pub elapsed: Duration,
    /// Everything about it, as the host writes it to its decision log.
    pub record: Record,
}

/// A component, checked and compiled as a host does it.
///
/// It grants every import that the component has, and allows what a host allows by default; [`Sandbox::limits`]
/// changes that. Each call is on an instance of its own.
#[derive(Debug, Clone)]
pub struct Sandbox {
    revision: Revision,
    grants: Grants,
    limits: Option<Limits>,
}

impl Sandbox {
    /// Loads the component in a file. The stem of its name is the policy's name.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if there is none, or if a host would not load it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| OpenError::Read {
            path: path.to_owned(),
            source,
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::load(&name, &bytes)
    }

    /// Loads a component.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if a host would not load it.
    pub fn load(name: &str, bytes: &[u8]) -> Result<Self, OpenError> {
        let engine = Engine::new(EngineOptions {
            instances: 8,
            ..EngineOptions::default()
        })?;
        let revision = engine.load(name, bytes).map_err(|source| OpenError::Load {
            name: name.to_owned(),
            source,
        })?;
        let grants = revision
            .imports()
            .iter()
            .fold(Grants::default(), |grants, import| grants.with(*import));
        Ok(Self {
            revision,
            grants,
            limits: None,
        })
    }

    /// The same with limits of the caller's, such as little fuel or warm instances.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The hooks that the component exports.
    pub fn hooks(&self) -> &[Hook] {
        self.revision.hooks()
    }

    /// The imports that its code uses, each of which an operator must grant.
    pub fn imports(&self) -> &[Import] {
        self.revision.imports()
    }

    /// Bytes of the component.
    pub fn size(&self) -> usize {
        self.revision.size()
    }

    /// The JSON Schema of its parameters, as it describes itself.
    pub fn params_schema(&self) -> &str {
        &self.revision.description().params_schema
    }

    /// The component itself, for what this crate has no word for.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// Asks for a price. The parameters are JSON.
    pub fn quote(
        &self,
        request: &bourse::PriceRequest<impl AsRef<str>>,
        host: &mut MockHost,
    ) -> Answered<bourse::Price> {
        let priced = offer(&request.offer);
        let decided = self.revision.price(
            &PriceRequest {
                now: nanos(request.now),
                market: MarketId(request.market.0),
                action: action(request.action),
                buyer: request.buyer.map(address),
                params: request.params.as_ref(),
                offer: &priced,
                base: request.base.map(amount),
                floor: amount(request.floor),
                cap: amount(request.cap),
                max_valid_ms: request.max_valid_ms,
            },
            &Mock(host),
            self.grants,
            &self.limits.unwrap_or_default(),
        );
        answered(decided, host, |priced| bourse::Price {
            amount: amount_back(priced.amount),
            valid_ms: priced.valid_ms,
        })
    }

    /// Asks whether an offer may be placed. The parameters are JSON.
    pub fn admit(
        &self,
        request: &bourse::AdmitRequest<impl AsRef<str>>,
        host: &mut MockHost,
    ) -> Answered<()> {
        let placed = offer(&request.offer);
        let decided = self.revision.admit(
            &AdmitRequest {
                now: nanos(request.now),
                market: MarketId(request.market.0),
                action: action(request.action),
                buyer: request.buyer.map(address),
                params: request.params.as_ref(),
                offer: &placed,
            },
            &Mock(host),
            self.grants,
            &self.limits.unwrap_or_default(),
        );
        answered(decided, host, |()| ())
    }

    /// Asks which of the offers a buyer may see: their indices in the order to show. The parameters are JSON.
    pub fn filter(
        &self,
        request: &bourse::FilterRequest<impl AsRef<str>>,
        offers: &[bourse::Offer],
        host: &mut MockHost,
    ) -> Answered<Vec<usize>> {
        let offers: Vec<_> = offers.iter().map(offer).collect();
        let batch = Batch::of(&offers.iter().collect::<Vec<_>>());
        let decided = self.revision.filter(
            &FilterRequest {
                now: nanos(request.now),
                market: MarketId(request.market.0),
                action: action(request.action),
                buyer: request.buyer.map(address),
                params: request.params.as_ref(),
                batch: &batch,
            },
            &Mock(host),
            self.grants,
            &self.limits.unwrap_or_else(|| Limits::for_batch(offers.len())),
        );
        answered(decided, host, |shown| {
            shown.indices.into_iter().map(|index| index as usize).collect()
        })
    }

    /// Asks whether two parties may deal. The parameters are JSON.
    pub fn authorize(
        &self,
        request: &bourse::ConsentRequest<impl AsRef<str>>,
        host: &mut MockHost,
    ) -> Answered<()> {
        let concerned = request.offer.as_ref().map(offer);
        let decided = self.revision.authorize(
            &ConsentRequest {
                now: nanos(request.now),
                market: MarketId(request.market.0),
                action: action(request.action),
                buyer: request.buyer.map(address),
                params: request.params.as_ref(),
                offer: concerned.as_ref(),
                buyer_grants: &grants(&request.buyer_grants),
                seller_grants: &grants(&request.seller_grants),
            },
            &Mock(host),
            self.grants,
            &self.limits.unwrap_or_default(),
        );
        answered(decided, host, |()| ())
    }

    /// Whether the decision comes out the same when it is made again from its record alone.
    pub fn replays<T>(&self, answered: &Answered<T>) -> bool {
        self.revision
            .replay(&answered.record)
            .is_ok_and(|replay| replay.is_exact())
    }
}

fn answered<T, U>(decided: Decided<T>, host: &mut MockHost, translate: impl FnOnce(T) -> U) -> Answered<U> {
    let Decided {
        outcome,
        fuel,
        elapsed,
        record,
        changes,
    } = decided;
    change(host, &changes);
    Answered {
        outcome: outcome.map(translate),
        fuel,
        elapsed,
        record,
    }
}
