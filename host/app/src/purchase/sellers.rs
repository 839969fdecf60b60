//! How sellers are reached: what a purchase needs of a router, and the market's own.
//!
//! Never here: what their answers are worth (`sell`), or another's router (`uplink`).

use crate::wire::call_within;
use bourse_market::SessionId;
use bourse_wamp::{CallError, CallResult, Session, Value};
use futures_util::future::BoxFuture;
use std::time::Duration;

/// How sellers are reached. Injected, so that tests can play them.
pub trait Sellers: Send + Sync {
    /// Calls `procedure` at `callee`, and nobody else, and waits at most `timeout`.
    fn call(
        &self,
        callee: SessionId,
        procedure: String,
        args: Vec<Value>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<CallResult, CallError>>;

    /// Takes a registration from a callee that cheated.
    fn drop_registration(&self, procedure: &str, session: SessionId);

    /// A session that nothing is kept for calls the market. Whether it is there, and something may be: the market's own
    /// router tells of each session before, another does not.
    fn sees(&self, session: u64) -> bool {
        let _ = session;
        false
    }

    /// Has the market told who serves `procedure`, if anybody does: for a router whose events may be late, or that was
    /// there before the market.
    fn look_up(&self, procedure: String) -> BoxFuture<'_, ()> {
        let _ = procedure;
        Box::pin(std::future::ready(()))
    }
}

/// Sellers behind the market maker's own router.
pub(crate) struct RoutedSellers {
    pub(crate) session: Session,
    pub(crate) realm: bourse_wamp::Realm,
}

impl Sellers for RoutedSellers {
    fn call(
        &self,
        callee: SessionId,
        procedure: String,
        args: Vec<Value>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<CallResult, CallError>> {
        Box::pin(async move { call_within(&self.session, &procedure, args, timeout, Some(callee.0)).await })
    }

    fn drop_registration(&self, procedure: &str, session: SessionId) {
        self.realm.drop_registration(procedure, session.0);
    }
}
