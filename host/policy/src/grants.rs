//! Which imports a rule lets its policy call.

use core::fmt;
use serde::{Deserialize, Serialize};

/// An interface of the host that a policy may import, if the rule grants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Import {
    /// Sales and demand in a window, read-only.
    Market,
    /// A key-value space of the policy's own.
    State,
    /// Lines for the operator.
    Log,
}

impl Import {
    /// Every import.
    pub const ALL: [Self; 3] = [Self::Market, Self::State, Self::Log];

    /// The word for it in a rule's `grants`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::State => "state",
            Self::Log => "log",
        }
    }

    /// The import that a rule's `grants` calls `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|import| import.as_str() == word)
    }

    /// The interface a component imports.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Market => "bourse:policy/market@1.0.0",
            Self::State => "bourse:policy/state@1.0.0",
            Self::Log => "bourse:policy/log@1.0.0",
        }
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a rule grants. The default grants nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grants {
    /// May call `market`.
    pub market: bool,
    /// May call `state`.
    pub state: bool,
    /// May call `log`.
    pub log: bool,
}

impl Grants {
    /// Nothing.
    pub const NONE: Self = Self {
        market: false,
        state: false,
        log: false,
    };

    /// Everything there is.
    pub const ALL: Self = Self {
        market: true,
        state: true,
        log: true,
    };

    /// Whether `import` is granted.
    pub const fn has(&self, import: Import) -> bool {
        match import {
            Import::Market => self.market,
            Import::State => self.state,
            Import::Log => self.log,
        }
    }

    /// The imports that are granted.
    pub fn imports(self) -> impl Iterator<Item = Import> {
        Import::ALL.into_iter().filter(move |import| self.has(*import))
    }

    /// These grants and `import`.
    #[must_use]
    pub const fn with(mut self, import: Import) -> Self {
        match import {
            Import::Market => self.market = true,
            Import::State => self.state = true,
            Import::Log => self.log = true,
        }
        self
    }
}

/// Why a policy cannot serve a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The policy imports what the rule does not grant.
    #[error(
        "policy `{policy}` imports `{import}`, which its rule does not grant: add grants = [\"{import}\"] to the rule"
    )]
    NotGranted {
        /// The policy.
        policy: String,
        /// What it imports.
        import: Import,
    },
}

impl GrantError {
    /// The import in question.
    pub fn import(&self) -> Import {
        match self {
            Self::NotGranted { import, .. } => *import,
        }
    }
}

/// Checks that `grants` cover `needed`, so that a policy never meets a closed door in the middle of a sale.
pub(crate) fn check(policy: &str, needed: &[Import], grants: Grants) -> Result<(), GrantError> {
    for import in needed.iter().copied() {
        if !grants.has(import) {
            return Err(GrantError::NotGranted {
                policy: policy.to_owned(),
                import,
            });
        }
    }
    Ok(())
}
