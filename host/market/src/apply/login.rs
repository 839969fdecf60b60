//! Keys that clients log in with: whose word counts, for how long, and how many there are.

use super::{Decided, genesis_of};
use crate::login::{LoginForm, LoginRequest, UserKey};
use crate::{Change, ClientKey, Fault, Nanos, Outcome, Refusal, View};

/// Records a key. The same word again changes nothing, and one that was taken back counts no more, whoever repeats it.
pub(super) fn login<V: View>(view: &V, request: &LoginRequest) -> Decided<V> {
    genesis_of(view)?;
    if request.signer != request.party {
        return Err(Refusal::WrongSigner {
            signer: request.signer,
            expected: request.party,
        }
        .into());
    }
    let mut new = UserKey {
        key: request.key,
        party: request.party,
        form: request.form,
        signature: request.signature,
        added: request.at,
        expires: lasts_until(&request.form, request.at)?,
        revoked: None,
        plain_over: false,
    };
    let standing = view.user_key(&new.key).map_err(Fault::View)?;
    if let Some(old) = standing.filter(|old| !old.is_past(request.at)) {
        if old.party != new.party {
            return Err(Refusal::KeyTaken { key: new.key }.into());
        }
        if old.stands(request.at) && (old.expires >= new.expires || new.form == LoginForm::Plain) {
            return Ok((Vec::new(), Outcome::LoggedIn(Box::new(old))));
        }
        let later = match new.form {
            LoginForm::Plain => old.revoked.is_none() && !old.plain_over,
            LoginForm::Dated { issued, .. } => old.revoked.is_none_or(|revoked| issued > revoked),
        };
        if !later {
            let revoked = old.revoked.unwrap_or(old.added);
            return Err(Refusal::KeyRevoked {
                key: new.key,
                revoked,
            }
            .into());
        }
        new.plain_over = old.plain_over || (old.form == LoginForm::Plain && new.form != LoginForm::Plain);
    }
    let mut changes = make_room(view, &new)?;
    changes.push(Change::UserKey(new.key, Some(Box::new(new.clone()))));
    Ok((changes, Outcome::LoggedIn(Box::new(new))))
}

/// Takes a key back. Nobody logs in with it until whoever vouched for it signs anew.
pub(super) fn logout<V: View>(view: &V, key: &ClientKey, at: Nanos) -> Decided<V> {
    let standing = view.user_key(key).map_err(Fault::View)?;
    let mut known = standing.ok_or(Refusal::KeyUnknown { key: *key })?;
    if known.revoked.is_some() {
        return Ok((Vec::new(), Outcome::LoggedOut(Box::new(known))));
    }
    known.revoked = Some(at);
    known.plain_over |= known.form == LoginForm::Plain;
    Ok((
        vec![Change::UserKey(*key, Some(Box::new(known.clone())))],
        Outcome::LoggedOut(Box::new(known)),
    ))
}

/// Until when a key lasts that is vouched for in this form now.
fn lasts_until(form: &LoginForm, at: Nanos) -> Result<Nanos, Refusal> {
    let LoginForm::Dated { issued, expires } = *form else {
        return Ok(Nanos(at.0.saturating_add(UserKey::MAX_LIFE)));
    };
    if issued.since(at) > UserKey::AHEAD {
        return Err(Refusal::LoginAhead { issued, at });
    }
    if expires <= at {
        return Err(Refusal::LoginExpired { expires, at });
    }
    if expires.since(issued) > UserKey::MAX_LIFE {
        return Err(Refusal::LoginTooLong { issued, expires });
    }
    Ok(expires)
}

/// What is to go for `new`: what is past, and the key that was vouched for first if there are too many.
fn make_room<V: View>(view: &V, new: &UserKey) -> Result<Vec<Change>, Fault<V::Error>> {
    let at = new.added;
    let others = view.user_keys_of(&new.party).map_err(Fault::View)?;
    let (past, kept): (Vec<_>, Vec<_>) = others
        .into_iter()
        .filter(|other| other.key != new.key)
        .partition(|other| other.is_past(at));
    let lasting = new.form == LoginForm::Plain;
    let revoked = kept
        .iter()
        .filter(|other| other.revoked.is_some() && other.plain_over == lasting);
    if revoked.count() >= UserKey::MAX_REVOKED {
        return Err(Refusal::KeysRevoked { party: new.party }.into());
    }
    let mut gone: Vec<_> = past.iter().take(UserKey::SWEPT).map(|other| other.key).collect();
    let standing = kept.iter().filter(|other| other.revoked.is_none());
    if standing.clone().count() >= UserKey::MAX_STANDING
        && let Some(first) = standing.min_by_key(|other| (other.said_at(), other.key))
    {
        // Else whoever heard of old logins could put the newer ones out by them.
        if first.said_at() > new.said_at() {
            return Err(Refusal::KeysStanding { party: new.party }.into());
        }
        gone.push(first.key);
    }
    Ok(gone.into_iter().map(|key| Change::UserKey(key, None)).collect())
}
