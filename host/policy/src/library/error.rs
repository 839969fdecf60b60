//! What can go wrong with a library.

use crate::load::LoadError;
use crate::signature::SignatureError;
use bourse_market::RevisionId;
use std::path::PathBuf;

/// The library cannot be opened at all. No policy's file causes that.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Signatures are required, and nobody may sign.
    #[error(
        "[policies] require_signature is set, but `keys` is empty, so that no policy could ever be used: list a key \
         or drop it"
    )]
    NoKeys,
    /// The archive cannot be used.
    #[error("the archive of policies {} cannot be used: {source}", path.display())]
    Archive {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Why a deploy, a promotion, a rollback, or the way to or from disabled came to nothing. What was in force still is.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The bytes are no policy of that name.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The signature does not count.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// No signature where one is required.
    #[error(
        "`{name}` is not signed, and [policies] require_signature is set: `bourse policy sign` makes {name}.wasm.sig"
    )]
    Unsigned {
        /// The policy.
        name: String,
    },
    /// Nobody knows a policy of that name.
    #[error("there is no policy `{name}`: `bourse policy list` shows those there are")]
    Unknown {
        /// The name.
        name: String,
    },
    /// An operator disabled it.
    #[error("`{name}` is disabled: `bourse policy enable {name}` first")]
    Disabled {
        /// The policy.
        name: String,
    },
    /// It passes every check of its own, but not those of whoever uses it.
    #[error("`{name}` does not fit: {reason}")]
    Unfit {
        /// The policy.
        name: String,
        /// What it does not satisfy.
        reason: String,
    },
    /// A shadow needs an active revision.
    #[error("`{name}` has no active revision to run in the shadow of: deploy it without --shadow")]
    NothingToShadow {
        /// The policy.
        name: String,
    },
    /// A shadow is compared with the active revision, and this is that one.
    #[error("revision {id} of `{name}` is active: in its own shadow it would only agree with itself")]
    OwnShadow {
        /// The policy.
        name: String,
        /// The revision.
        id: RevisionId,
    },
    /// There is nothing to promote.
    #[error("`{name}` has no shadow to promote: deploy one with --shadow")]
    NoShadow {
        /// The policy.
        name: String,
    },
    /// There is nothing to go back to.
    #[error("`{name}` has no earlier good revision to go back to")]
    NoPrevious {
        /// The policy.
        name: String,
    },
    /// The policy is enabled, and its file is refused.
    #[error("`{name}` is enabled, but cannot be used: {reason}")]
    Broken {
        /// The policy.
        name: String,
        /// Why.
        reason: String,
    },
    /// The archive has no such revision, or not its true bytes.
    #[error("the archive does not hold revision {id}, or only a damaged copy")]
    NotArchived {
        /// The revision.
        id: RevisionId,
    },
    /// A file cannot be written, renamed or removed.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl DeployError {
    /// The stable code, for replies and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Load(error) => error.code(),
            Self::Signature(SignatureError::Malformed) => "bad_signature_file",
            Self::Signature(SignatureError::UnknownKey { .. }) => "unknown_key",
            Self::Signature(SignatureError::Wrong { .. }) => "wrong_signature",
            Self::Unsigned { .. } => "unsigned",
            Self::Unknown { .. } => "unknown_policy",
            Self::Disabled { .. } => "disabled",
            Self::Unfit { .. } => "unfit",
            Self::NothingToShadow { .. } => "nothing_to_shadow",
            Self::OwnShadow { .. } => "own_shadow",
            Self::NoShadow { .. } => "no_shadow",
            Self::NoPrevious { .. } => "no_previous",
            Self::Broken { .. } => "broken",
            Self::NotArchived { .. } => "not_archived",
            Self::Write { .. } => "write",
        }
    }
}
