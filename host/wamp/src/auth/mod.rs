//! How somebody proves who they are: one file for each method, with pure functions for both sides, and the two halves of
//! a handshake that are made of them.
//!
//! Nothing here draws a random number, keeps time, does I/O or knows who is admitted: that is the router's and its
//! [`Authenticator`](crate::Authenticator)'s.

mod client;
mod cra;
mod credential;
mod cryptosign;
mod hash;
mod scram;
mod secret;
#[cfg(test)]
mod tests;

pub use client::Auth;
pub(crate) use client::{Joined, Joiner};
pub use cra::{CraKey, Salting};
pub use credential::Credential;
pub(crate) use credential::{Claim, Proving};
pub use cryptosign::CryptosignKey;
pub use scram::{Kdf, ScramRecord};
pub use secret::Secret;

/// How a session proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Not at all.
    Anonymous,
    /// By showing a shared secret.
    Ticket,
    /// By signing with a shared secret.
    Cra,
    /// By knowing a password that the router does not keep.
    Scram,
    /// By a private key.
    Cryptosign,
    /// By being inside this process.
    Trusted,
}

impl AuthMethod {
    /// The methods that a client can ask for.
    pub(crate) const ASKED: [Self; 5] = [
        Self::Anonymous,
        Self::Ticket,
        Self::Cra,
        Self::Scram,
        Self::Cryptosign,
    ];
    /// What Crossbar.io and autobahn call [`AuthMethod::Scram`].
    pub(crate) const SCRAM_SHORT: &'static str = "scram";

    /// The name in HELLO and WELCOME.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Ticket => "ticket",
            Self::Cra => "wampcra",
            Self::Scram => "wamp-scram",
            Self::Cryptosign => "cryptosign",
            Self::Trusted => "trusted",
        }
    }

    /// The method that a client asks for by this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == Self::SCRAM_SHORT {
            return Some(Self::Scram);
        }
        Self::ASKED.into_iter().find(|method| method.name() == name)
    }
}
