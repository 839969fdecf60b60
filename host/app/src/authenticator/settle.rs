//! By what a session is in: found out once, when its router has its proof.

use crate::access::{CameBy, Decided, Login};
use crate::market::Market;
use crate::wire::{fault, unexpected, uri};
use bourse_market::login::UserKey;
use bourse_market::{Address, ClientKey, Command, Nanos, Outcome, View};
use bourse_wamp::WampError;
use std::sync::Arc;

/// Finds out by what a session is in, and has the ledger record the key that it proved to hold. Once for each session:
/// whoever comes meanwhile waits for the same.
///
/// # Errors
///
/// If its router does not tell, or the ledger does not take the key. Then it is in by nothing.
pub(crate) async fn settle(market: &Arc<Market>, session: u64) -> Result<(), WampError> {
    let settling = market.logins.settling(session, market.proven.knows(session));
    let found = settling.get_or_try_init(|| find_out(market, session)).await;
    found.copied()
}

async fn find_out(market: &Market, session: u64) -> Result<(), WampError> {
    let came = market.doors.came_by(session).await;
    let login = match (came, market.logins.decided(session)) {
        (CameBy::Unknown, _) => {
            return Err(fault(
                uri::NOT_READY,
                "the router does not tell how this session was let in",
            ));
        }
        (CameBy::Otherwise, _) | (CameBy::AsDecided, None) => None,
        (CameBy::AsDecided, Some(decided)) => Some(record(market, decided).await?),
        (CameBy::Key(key), Some(decided)) if decided.login.key == key => Some(record(market, decided).await?),
        // It came before the market did, or what was decided for it was forgotten, or is about another key.
        (CameBy::Key(key), _) => Some(recorded(market, key)?),
    };
    market.logins.settle(session, login);
    Ok(())
}

/// Records what was said for a key that is proven now.
async fn record(market: &Market, decided: Decided) -> Result<Login, WampError> {
    let Some(mut word) = decided.word else {
        return Ok(decided.login);
    };
    word.at = market.now();
    match market.submit(Command::Login(word)).await? {
        Outcome::LoggedIn(known) => Ok(login_of(&known)),
        other => Err(unexpected(&other)),
    }
}

/// What the ledger says of a key; a login that is over if it knows nothing.
fn recorded(market: &Market, key: ClientKey) -> Result<Login, WampError> {
    let known = market.read(|ledger| ledger.user_key(&key))?;
    let unknown = Login {
        key,
        party: Address([0; 20]),
        expires: Nanos(0),
    };
    Ok(known.as_ref().map_or(unknown, login_of))
}

/// A record as what a session logs in by.
pub(super) fn login_of(known: &UserKey) -> Login {
    Login {
        key: known.key,
        party: known.party,
        expires: known.expires,
    }
}
