//! Runs policies: programs of an operator or seller that price keys, choose offers and judge consent, inside a sandbox,
//! within microseconds.
//!
//! What lives here: the [`Engine`] (one sandbox configuration and its clock tick), loading and checking components
//! ([`Engine::load`], [`load_folder`]), one [`Revision`] per checked component, the call of its hooks under
//! [`Limits`], the bounds on what it answers, and the [`Record`] of each decision with its exact replay. Around them
//! the [`Library`]: which revision answers for a policy now, how another takes its place, who signed it ([`verify`]),
//! its compiled code on disk ([`CodeCache`]) and its circuit [`Breaker`].
//!
//! What never does: balances, keys and signatures of the market, WAMP, LMDB, async, the network. A policy sees its
//! request and what its granted [`Imports`] answer, nothing else: no WASI, no clock, no randomness. What it answers is
//! a proposal.
//!
//! A fresh instance serves every call, so no call can leave anything behind for the next one, unless a rule asks for warm
//! ones. Code is unsafe in four files: `wire`, where derives implement wasmtime's conversions; `lend`, for one lifetime
//! that a store's data cannot express; `functions`, whose types are compared once and not in every call; and `cache`,
//! which loads code that this host compiled itself.

mod bare;
mod batch;
mod breaker;
mod cache;
mod call;
mod engine;
mod failure;
mod folder;
mod functions;
mod grants;
mod guest;
mod hook;
mod host;
mod imports;
mod lend;
mod library;
mod limits;
mod load;
mod outcome;
mod profile;
mod record;
mod replay;
mod request;
mod revision;
mod signature;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod ticker;
mod warm;
mod watch;
mod what_if;
mod wire;

pub use bare::Bare;
pub use batch::Batch;
pub use breaker::{Breaker, BreakerOptions, BreakerState, Open, Permit, Tripped};
pub use cache::{CacheError, CodeCache};
pub use engine::{Engine, EngineOptions, PolicyError};
pub use failure::Failure;
pub use folder::load_folder;
pub use grants::{GrantError, Grants, Import};
pub use hook::Hook;
pub use imports::{Imports, Level, MAX_CALLS, MAX_LINE, MAX_WINDOW_MS, NoImports};
pub use library::{
    Change, Changed, DeployError, Deployed, Entry, Library, LibraryError, LibraryOptions, Origin,
    PolicyState, PolicyStatus,
};
pub use limits::{Instances, Limits};
pub use load::{LoadError, MAX_NAME};
pub use outcome::{Bound, Decided, Declined, INVALID_CODE, MAX_REFUSAL_TEXT, PriceDecision, Priced, Shown};
pub use record::{
    AdmitInput, Answer, Args, Bytes, ConsentInput, DecodeError, FiguresRecord, FilterInput, GrantInput, Hex,
    ImportCall, Input, OfferInput, Output, PriceInput, RECORD_VERSION, Record, RecordedLimits, SubjectRecord,
    Units,
};
pub use replay::{Difference, Replay, ReplayError};
pub use request::{Action, AdmitRequest, ConsentGrant, ConsentRequest, FilterRequest, PriceRequest};
pub use revision::{Description, Revision};
pub use signature::{
    BadKey, SignatureError, SigningKey, SigningKeyError, VerifyingKey, create_signing_key, load_signing_key,
    sign, verify,
};
pub use state::{Edit, MAX_STATE_CHANGES, MAX_STATE_KEY, MAX_STATE_VALUE, StateChange};
