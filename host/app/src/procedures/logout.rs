//! `authenticator.logout()`: takes the key back that the caller logged in with, and ends its session: that one alone. Others
//! that came by the same key stay, as anybody.

use super::{Reply, caller};
use crate::access::Standing;
use crate::market::Market;
use crate::wire::{Arguments, bytes, dict, fault, int, reply, unexpected, uri};
use bourse_market::{Command, Outcome};
use bourse_wamp::{Invocation, Value};
use std::sync::Arc;
use std::time::Duration;

/// What the answer gets to be on its way before the session ends.
const GRACE: Duration = Duration::from_millis(100);

pub(super) async fn logout(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    Arguments::of(&mut invocation, &[])?;
    let session = caller(&invocation)?;
    let at = market.now();
    let Standing::By(login) = market.logins.standing(session, at) else {
        return Err(fault(
            uri::NOT_AUTHORIZED,
            "this session did not log in with a key of the market's authenticator: there is nothing to take back",
        ));
    };
    let command = Command::Logout { key: login.key, at };
    let known = match market.submit(command).await? {
        Outcome::LoggedOut(known) => known,
        other => return Err(unexpected(&other)),
    };
    // Whatever it still calls before it is gone, it calls as anybody, as do all others that came by the key.
    market.logins.end(&login.key);
    // The market is not held meanwhile: one that stops must let go of its ledger.
    let doors = Arc::clone(&market.doors);
    tokio::spawn(async move {
        tokio::time::sleep(GRACE).await;
        doors.close(session).await;
    });
    Ok(reply(Value::Map(dict([
        ("logged_out", int(known.revoked.unwrap_or(at).0)),
        ("from_session", int(session)),
        ("pubkey", bytes(known.key.0)),
    ]))))
}
