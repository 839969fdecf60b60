//! Who gets an event: everybody in an open realm; in one of members, whom it concerns.

use super::caller::{ROLE_DELEGATE, ROLE_MEMBER, authid_of_delegate, authid_of_member};
use crate::config::Access;
use crate::events::topic::{self, Of};
use crate::market::Market;
use bourse_market::{Address, View};
use bourse_wamp::{PublishOptions, ROLE_MARKETMAKER, ROLE_OPERATOR};

/// How an event on `topic` is published: as often as this has entries, each time to others.
pub(crate) fn deliveries(market: &Market, topic: &str) -> Vec<PublishOptions> {
    if market.terms.access == Access::Open {
        return vec![PublishOptions::default()];
    }
    match topic::of(topic) {
        Of::Market => vec![PublishOptions::default()],
        Of::Offers => vec![to_roles(&[
            ROLE_MEMBER,
            ROLE_DELEGATE,
            ROLE_OPERATOR,
            ROLE_MARKETMAKER,
        ])],
        Of::Channels => vec![to_roles(&[ROLE_OPERATOR, ROLE_MARKETMAKER])],
        Of::Delegate(delegate) => to_delegate(market, &delegate),
        Of::Member(member) => vec![to_authids(vec![authid_of_member(&member)])],
    }
}

fn to_roles(roles: &[&str]) -> PublishOptions {
    PublishOptions {
        eligible_authrole: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
        ..PublishOptions::default()
    }
}

fn to_authids(authids: Vec<String>) -> PublishOptions {
    PublishOptions {
        eligible_authid: Some(authids),
        ..PublishOptions::default()
    }
}

/// To the logins of the delegate and of its actor, and to the sessions that proved to be the delegate otherwise.
fn to_delegate(market: &Market, delegate: &Address) -> Vec<PublishOptions> {
    let mut authids = vec![authid_of_delegate(delegate)];
    // Were the ledger unreadable, it would be told elsewhere.
    if let Ok(Some(binding)) = market.read(|ledger| ledger.binding(delegate)) {
        authids.push(authid_of_member(&binding.actor));
    }
    let proven = market.proven.sessions_of(delegate);
    let mut deliveries = vec![to_authids(authids.clone())];
    if !proven.is_empty() {
        deliveries.push(PublishOptions {
            eligible: Some(proven),
            exclude_authid: authids,
            ..PublishOptions::default()
        });
    }
    deliveries
}
