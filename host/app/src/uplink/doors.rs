//! Ending a session at another's router, where the market may.

use super::Uplink;
use super::attach::call;
use crate::home::LOGGED_OUT;
use crate::market::Doors;
use futures_util::future::BoxFuture;

impl Doors for Uplink {
    fn close(&self, session: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Without a link there is nobody to ask; its login counts no more in any case.
            let Some(link) = self.session() else { return };
            let kill = vec![session.into(), LOGGED_OUT.into()];
            if let Err(error) = call(&link, "wamp.session.kill", kill).await {
                tracing::warn!(session, %error, "a session that logged out could not be ended: may the market kill sessions?");
            }
        })
    }
}
