//! Keys that clients log in with, and for whom: a member or a delegate vouches for a key by its signature.
//!
//! What lives here: the record and its bounds. `apply/login` decides which word counts. Whether whoever vouches is somebody
//! in this market is asked anew at each login, so that it is no part of the record.

use crate::ids::{Address, ClientKey, Nanos, Signature};
use serde::{Deserialize, Serialize};

/// What was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginForm {
    /// The form of the old market maker, which names neither market nor time.
    Plain,
    /// A form that names the market, and from when to when it holds.
    Dated {
        /// From when.
        issued: Nanos,
        /// To when.
        expires: Nanos,
    },
}

/// A key that a client logs in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserKey {
    /// The key, of Ed25519.
    pub key: ClientKey,
    /// The member or delegate that vouches for it.
    pub party: Address,
    /// What it signed.
    pub form: LoginForm,
    /// Its signature.
    pub signature: Signature,
    /// When the ledger recorded it.
    pub added: Nanos,
    /// Nobody logs in with it from then on.
    pub expires: Nanos,
    /// When it was taken back: nobody logs in with it any more.
    pub revoked: Option<Nanos>,
    /// There was a signature of the plain form, which never ages: it counts no more for this key.
    pub plain_over: bool,
}

impl UserKey {
    /// Keys of one member or delegate that may log in at a time.
    pub const MAX_STANDING: usize = 16;
    /// Keys of one member or delegate that were taken back and whose signatures would count again, were they forgotten: so
    /// many that age, and so many that do not.
    pub const MAX_REVOKED: usize = 48;
    /// Records that are worth nothing any more and go when one is made, at most: each is a page of its own.
    pub(crate) const SWEPT: usize = 8;
    /// How long a key lasts: thirty days.
    pub const MAX_LIFE: u64 = 30 * 24 * 60 * 60 * 1_000_000_000;
    /// How far the clock of whoever signs may be ahead: five minutes.
    pub const AHEAD: u64 = 5 * 60 * 1_000_000_000;

    /// Whether it may log in at that moment.
    pub fn stands(&self, at: Nanos) -> bool {
        self.revoked.is_none() && at < self.expires
    }

    /// When it was vouched for, as far as it is known.
    pub fn said_at(&self) -> Nanos {
        match self.form {
            LoginForm::Plain => self.added,
            LoginForm::Dated { issued, .. } => issued,
        }
    }

    /// Whether nothing is lost with the record: no signature that was taken back with it would count again.
    pub(crate) fn is_past(&self, at: Nanos) -> bool {
        match self.revoked {
            None => at >= self.expires,
            // One issued before, whenever it comes, has expired by then.
            Some(revoked) => !self.plain_over && at.since(revoked) >= Self::MAX_LIFE,
        }
    }
}

/// A key to record. The signature is already recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginRequest {
    /// The key.
    pub key: ClientKey,
    /// Who vouches for it.
    pub party: Address,
    /// What was signed.
    pub form: LoginForm,
    /// The signature.
    pub signature: Signature,
    /// Whom it recovers to.
    pub signer: Address,
    /// When.
    pub at: Nanos,
}
