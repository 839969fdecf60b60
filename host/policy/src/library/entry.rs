//! What callers see of a policy in the library.

use crate::breaker::{Breaker, BreakerState};
use crate::grants::Import;
use crate::hook::Hook;
use crate::revision::Revision;
use crate::signature::VerifyingKey;
use bourse_market::RevisionId;
use serde::Serialize;

/// Where the active revision of a policy came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A file that the operator put into the watched folder.
    File,
    /// The host itself.
    Shipped,
    /// A deploy, promotion or rollback, which wrote it into the watched folder.
    Deployed,
}

/// A policy that can be asked. Whoever holds one keeps its revision, whatever is deployed meanwhile.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// What answers.
    pub revision: Revision,
    /// What is asked beside it; its answers are compared and never used.
    pub shadow: Option<Revision>,
    /// The breaker of `revision`, closed when it became active.
    pub breaker: Breaker,
    /// Where `revision` came from.
    pub origin: Origin,
    /// Who signed `revision`, if its signature was checked.
    pub signed_by: Option<VerifyingKey>,
}

/// Whether a policy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyState {
    /// It does, with the revision that it should have.
    Active,
    /// It does, but its file is refused, and the last good revision stands in for it.
    LastGood,
    /// It does not: an operator disabled it.
    Disabled,
    /// It does not: its file is refused and there is no good revision.
    Broken,
    /// It does not: its file was removed. A rollback brings back its last good revision.
    Removed,
}

impl PolicyState {
    /// The stable word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::LastGood => "last_good",
            Self::Disabled => "disabled",
            Self::Broken => "broken",
            Self::Removed => "removed",
        }
    }
}

/// All about a policy, for lists. Revisions are `0x` and 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyStatus {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub state: PolicyState,
    /// Why its file is refused.
    pub reason: Option<String>,
    /// The active revision.
    pub revision: Option<String>,
    /// What the active revision says of its version.
    pub version: Option<String>,
    /// What the active revision says of itself.
    pub summary: Option<String>,
    /// Bytes of the active revision.
    pub size: Option<usize>,
    /// Hooks of the active revision.
    pub hooks: Vec<Hook>,
    /// Imports that the active revision needs.
    pub imports: Vec<Import>,
    /// Where the active revision came from.
    pub origin: Option<Origin>,
    /// Who signed the active revision.
    pub signed_by: Option<VerifyingKey>,
    /// The revision that runs in its shadow.
    pub shadow: Option<String>,
    /// Good revisions before the active one, the most recent first: a rollback goes to the first.
    pub previous: Vec<String>,
    /// The breaker of the active revision.
    pub breaker: Option<BreakerState>,
    /// Failures of the active revision in a row.
    pub failures: u32,
}

/// A revision took its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deployed {
    /// The policy.
    pub name: String,
    /// The revision, as text: `0x` and 64 hex digits.
    #[serde(serialize_with = "as_text")]
    pub revision: RevisionId,
    /// What it says of its version.
    pub version: String,
    /// Its hooks.
    pub hooks: Vec<Hook>,
    /// The revision that was active before, possibly the same.
    #[serde(serialize_with = "as_text_or_null")]
    pub previous: Option<RevisionId>,
    /// Whether it took the place of the shadow, not that of the active revision.
    pub shadow: bool,
    /// Who signed it.
    pub signed_by: Option<VerifyingKey>,
    /// What went wrong after it was in force, such as a history that could not be written.
    pub warning: Option<String>,
}

/// What a look at the watched folder led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The policy, or the stem of a file that cannot be one.
    pub name: String,
    /// What happened.
    #[serde(flatten)]
    pub what: Changed,
}

/// What happened to a file, and so to its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Changed {
    /// A file appeared and is in force.
    Added {
        /// Its revision.
        #[serde(serialize_with = "as_text")]
        to: RevisionId,
    },
    /// A file changed and is in force.
    Replaced {
        /// The revision before.
        #[serde(serialize_with = "as_text")]
        from: RevisionId,
        /// The revision now.
        #[serde(serialize_with = "as_text")]
        to: RevisionId,
    },
    /// A file went away, and the shipped policy of its name is back.
    Shipped {
        /// The revision now.
        #[serde(serialize_with = "as_text")]
        to: RevisionId,
    },
    /// A file went away, and its policy with it.
    Removed,
    /// A file is refused. What was in force before still is.
    Refused {
        /// Why.
        reason: String,
        /// The revision in force.
        #[serde(serialize_with = "as_text_or_null")]
        keeps: Option<RevisionId>,
    },
}

fn as_text<S: serde::Serializer>(id: &RevisionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_text_or_null<S: serde::Serializer>(id: &Option<RevisionId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.as_ref().map(ToString::to_string).serialize(serializer)
}
