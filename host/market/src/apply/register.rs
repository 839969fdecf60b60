//! The registry: what blocks say, and what members say about their own consents.

use super::{Decided, genesis_of};
use crate::registry::{Consent, ConsentRequest, Registration, RegistrationKey};
use crate::{Address, Change, Fault, Outcome, Refusal, View};

/// Records what a block says. The same again changes nothing, and what an older block says comes too late: blocks may
/// be read anew from any point, in their order.
pub(super) fn register<V: View>(view: &V, registration: &Registration) -> Decided<V> {
    genesis_of(view)?;
    registration.check()?;
    let (standing, new) = match registration {
        Registration::Consent(consent) => {
            let standing = standing(view, consent)?;
            let new = said_by_a_block(consent, standing.as_ref());
            (standing.map(Registration::Consent), Registration::Consent(new))
        }
        other => (registered(view, &other.key())?, other.clone()),
    };
    let late = standing.as_ref().is_some_and(|old| old.block() > new.block());
    if late || standing.as_ref() == Some(&new) {
        return Ok((Vec::new(), Outcome::Registered { changed: false }));
    }
    Ok((
        vec![Change::Registered(Box::new(new))],
        Outcome::Registered { changed: true },
    ))
}

/// The record of the registry under a key.
pub(super) fn registered<V: View>(
    view: &V,
    key: &RegistrationKey,
) -> Result<Option<Registration>, Fault<V::Error>> {
    match key {
        RegistrationKey::Member(address) => view.member(address).map(|found| found.map(Registration::Member)),
        RegistrationKey::Market(id) => view.market(id).map(|found| found.map(Registration::Market)),
        RegistrationKey::Actor(key) => view.actor(key).map(|found| found.map(Registration::Actor)),
        RegistrationKey::Catalog(id) => view.catalog(id).map(|found| found.map(Registration::Catalog)),
        RegistrationKey::Api(id) => view.api(id).map(|found| found.map(Registration::Api)),
        RegistrationKey::Consent(key) => view
            .consent_about(key)
            .map(|found| found.map(Registration::Consent)),
    }
    .map_err(Fault::View)
}

/// Blocks know nothing of attributes: those on record stay. So does the block that the member signed at, if it is later.
fn said_by_a_block(consent: &Consent, standing: Option<&Consent>) -> Consent {
    let mut new = consent.clone();
    if let Some(old) = standing {
        new.signed_at = new.signed_at.max(old.signed_at);
        if new.attributes.is_empty() {
            new.attributes.clone_from(&old.attributes);
        }
    }
    new
}

/// Records what a member says, unless it, or a stranger who repeats it, said so before.
///
/// A member's signature over the same words is always the same, and anybody may read it. So what it said counts again
/// only at a later block than the last: else a stranger could give back what was withdrawn, or dress up with other
/// attributes what was given. A withdrawal counts at the same block too, and a member that is logged in may say anything.
pub(super) fn consent<V: View>(view: &V, request: &ConsentRequest) -> Decided<V> {
    let standing = admissible(view, request)?;
    decide(request, standing, request.consent.clone())
}

/// Records what a member says: [`withdraw`] if it ends a consent that stands given, else [`consent`].
pub(super) fn say<V: View>(view: &V, request: &ConsentRequest) -> Decided<V> {
    let standing = view.consent(&request.consent.id).map_err(Fault::View)?;
    match standing.is_some_and(|standing| standing.granted) && !request.consent.granted {
        true => withdraw(view, request),
        false => consent(view, request),
    }
}

/// Ends a consent that stands given, at a later block or the same.
pub(super) fn withdraw<V: View>(view: &V, request: &ConsentRequest) -> Decided<V> {
    let id = request.consent.id;
    let standing = admissible(view, request)?.ok_or(Refusal::ConsentUnknown { id })?;
    let new = Consent {
        granted: false,
        // What it says beside that takes no room that was not taken: withdrawing needs none.
        attributes: standing.attributes.clone(),
        service_prefix: standing.service_prefix.clone(),
        ..request.consent.clone()
    };
    decide(request, Some(standing), new)
}

fn decide<E>(
    request: &ConsentRequest,
    standing: Option<Consent>,
    mut new: Consent,
) -> Result<(Vec<Change>, Outcome), Fault<E>> {
    if let Some(old) = standing {
        let by_the_member = request.login == Some(old.key.member);
        let withdraws = old.granted && !new.granted && new.signed_at == old.signed_at;
        if new.signed_at <= old.signed_at && !withdraws && !by_the_member {
            return match says_the_same(&old, &new) {
                true => Ok((Vec::new(), Outcome::Consented(Box::new(old)))),
                false => Err(Refusal::ConsentOutdated {
                    signed_at: old.signed_at,
                    got: new.signed_at,
                }
                .into()),
            };
        }
        // Whoever is logged in may sign at any block, and nothing said so far counts again for that.
        new.signed_at = new.signed_at.max(old.signed_at);
    }
    Ok((
        vec![Change::Registered(Box::new(Registration::Consent(new.clone())))],
        Outcome::Consented(Box::new(new)),
    ))
}

/// Whether a repetition may be answered with what is on record.
fn says_the_same(old: &Consent, new: &Consent) -> bool {
    old.signed_at == new.signed_at
        && old.granted == new.granted
        && old.service_prefix == new.service_prefix
        && (new.attributes.is_empty() || old.attributes == new.attributes)
}

/// The consent on record, if the request is one that its member may make.
fn admissible<V: View>(view: &V, request: &ConsentRequest) -> Result<Option<Consent>, Fault<V::Error>> {
    let (genesis, consent) = (genesis_of(view)?, &request.consent);
    let key = &consent.key;
    if key.market != genesis.market {
        return Err(Refusal::WrongMarket {
            named: key.market,
            ours: genesis.market,
        }
        .into());
    }
    if key.delegate == Address([0; 20]) {
        return Err(Refusal::ZeroDelegate.into());
    }
    if request.signer != key.member {
        return Err(Refusal::WrongSigner {
            signer: request.signer,
            expected: key.member,
        }
        .into());
    }
    if let Some(login) = request.login.filter(|login| *login != key.member) {
        return Err(Refusal::AnotherMember {
            login,
            member: key.member,
        }
        .into());
    }
    consent.check()?;
    standing(view, consent)
}

/// The consent on record about the same. Its identifier must be no other's.
fn standing<V: View>(view: &V, consent: &Consent) -> Result<Option<Consent>, Fault<V::Error>> {
    let standing = view.consent_about(&consent.key).map_err(Fault::View)?;
    let misnamed = match &standing {
        Some(old) => old.id != consent.id,
        None => view.consent(&consent.id).map_err(Fault::View)?.is_some(),
    };
    if misnamed {
        return Err(Refusal::ConsentMisnamed { id: consent.id }.into());
    }
    Ok(standing)
}
