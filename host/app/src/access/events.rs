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
    let mut deliveries = match topic::of(topic) {
        Of::Market => vec![PublishOptions::default()],
        Of::Offers => vec![to_roles(&[
            ROLE_MEMBER,
            ROLE_DELEGATE,
            ROLE_OPERATOR,
            ROLE_MARKETMAKER,
        ])],
        Of::Channels => vec![to_roles(&[ROLE_OPERATOR, ROLE_MARKETMAKER])],
        Of::Delegate(delegate) => to_delegate(market, &delegate),
        Of::Member(member) => vec![to_logins(vec![authid_of_member(&member)])],
    };
    // Whose login is over hears what anybody hears.
    let over = market.logins.over(market.now());
    for delivery in deliveries
        .iter_mut()
        .filter(|delivery| delivery.eligible_authrole.is_some())
    {
        delivery.exclude.extend(&over);
    }
    deliveries
}

fn to_roles(roles: &[&str]) -> PublishOptions {
    PublishOptions {
        eligible_authrole: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
        ..PublishOptions::default()
    }
}

/// To logins alone: a router may let anybody without one choose its authid.
fn to_logins(authids: Vec<String>) -> PublishOptions {
    PublishOptions {
        eligible_authid: Some(authids),
        ..to_roles(&[ROLE_MEMBER, ROLE_DELEGATE])
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
    let to_logins = to_logins(authids);
    if proven.is_empty() {
        return vec![to_logins];
    }
    let to_others = PublishOptions {
        eligible: Some(proven.clone()),
        ..PublishOptions::default()
    };
    // Nobody hears it twice.
    let to_logins = PublishOptions {
        exclude: proven,
        ..to_logins
    };
    vec![to_logins, to_others]
}
