//! Who may register, call, publish and subscribe where.
//!
//! | namespace | registers | calls | publishes | subscribes |
//! |---|---|---|---|---|
//! | `wamp.` | nobody | the market maker and operators | nobody | the market maker and operators |
//! | `xbr.provider.<id>.` | whoever holds the id | the market maker | whoever holds the id, and the market maker | everybody |
//! | the rest of `xbr.`, and `bourse.` | the market maker | everybody | the market maker | everybody |
//! | anything else | everybody | everybody | everybody | everybody |
//!
//! What this leaves open, the rules of a role may shut. Of what it keeps shut, they open calls and subscriptions under
//! `wamp.` alone.
//!
//! Providers are called by the market maker alone because what it signs for one sale does not name the key: whoever
//! got hold of such a signature could show it to a seller and be sealed any of its keys.

use std::collections::HashMap;

use super::auth::{AuthMethod, Authenticator, ROLE_MARKETMAKER};
use super::observer::SessionInfo;
use super::pattern::Pattern;
use super::permissions::{Action, Permissions, WAMP};
use crate::uri::Match;

/// The role of whoever looks after the router: it may ask who is there, and end sessions.
pub const ROLE_OPERATOR: &str = "operator";

/// Namespaces in which only whole URIs are registered, each by one callee.
const GUARDED: [&str; 3] = ["wamp.", "xbr.", "bourse."];
const PROVIDER: &str = "xbr.provider.";

/// The sessions that hold each provider id: one anonymous session, or all those of an authid.
pub(super) type Holders = HashMap<String, Vec<u64>>;

/// Provider ids: who has them, and which are of logins alone.
#[derive(Clone, Copy)]
pub(super) struct Ids<'a> {
    pub(super) holders: &'a Holders,
    pub(super) authenticator: &'a dyn Authenticator,
}

impl Ids<'_> {
    fn holds(self, id: &str, session: u64) -> bool {
        self.holders
            .get(id)
            .is_some_and(|sessions| sessions.contains(&session))
    }

    fn is_free(self, id: &str) -> bool {
        self.holders.get(id).is_none_or(Vec::is_empty)
    }
}

/// Why something is not allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied(pub(super) String);

/// May this session register this? The answer names the provider id that it holds from then on, if any.
pub(super) fn register(
    session: &SessionInfo,
    uri: &str,
    matching: Match,
    single: bool,
    ids: Ids<'_>,
) -> Result<Option<String>, Denied> {
    if matching != Match::Exact {
        return match GUARDED.iter().find(|namespace| covers(uri, matching, namespace)) {
            Some(namespace) => Err(Denied(format!(
                "the pattern {uri:?} covers {namespace}, where only whole URIs are registered"
            ))),
            None => Ok(None),
        };
    }
    if GUARDED.iter().any(|namespace| uri.starts_with(namespace)) && !single {
        return Err(Denied(format!(
            "{uri} takes one callee only: register it with the invocation policy single"
        )));
    }
    if uri.starts_with(PROVIDER) {
        return provider(session, uri, ids).map(Some);
    }
    guarded(session, uri, "register")?;
    Ok(None)
}

/// May this session call this?
pub(super) fn call(session: &SessionInfo, uri: &str) -> Result<(), Denied> {
    if uri.starts_with(PROVIDER) && session.role != ROLE_MARKETMAKER {
        let role = &session.role;
        return Err(Denied(format!(
            "only the role {ROLE_MARKETMAKER} may call {uri}; this session's is {role}"
        )));
    }
    Ok(())
}

/// Whether the rules of the session's role let it do this, or what holds where they say nothing.
pub(super) fn rules(
    permissions: &Permissions,
    session: &SessionInfo,
    action: Action,
    uri: &str,
    matching: Match,
) -> bool {
    let role = session.role.as_str();
    if role == ROLE_MARKETMAKER {
        return true;
    }
    let pattern = Pattern::new(uri, matching);
    let open = !pattern.within(WAMP) || role == ROLE_OPERATOR;
    permissions.decide(role, action, pattern).unwrap_or(open)
}

/// The same, with what to tell whom they do not let.
pub(super) fn ruled(
    permissions: &Permissions,
    session: &SessionInfo,
    action: Action,
    uri: &str,
    matching: Match,
) -> Result<(), Denied> {
    if rules(permissions, session, action, uri, matching) {
        return Ok(());
    }
    let (role, verb, what) = (
        &session.role,
        action.verb(),
        if matching == Match::Exact {
            ""
        } else {
            "all of the pattern "
        },
    );
    Err(Denied(format!("the role {role} may not {verb} {what}{uri}")))
}

/// Whether callees are told who calls. Those of the market always are: it answers by who asks.
pub(super) fn discloses_caller(permissions: &Permissions, session: &SessionInfo, uri: &str) -> bool {
    GUARDED.iter().any(|namespace| uri.starts_with(namespace))
        || permissions.discloses_caller(&session.role, uri).unwrap_or(true)
}

/// May this session publish this?
pub(super) fn publish(session: &SessionInfo, uri: &str, ids: Ids<'_>) -> Result<(), Denied> {
    if uri.starts_with(PROVIDER) && session.role != ROLE_MARKETMAKER {
        let id = provider(session, uri, ids)?;
        if session.method == AuthMethod::Anonymous && !ids.holds(&id, session.id) {
            return Err(Denied(format!(
                "only the session that registered under {PROVIDER}{id} publishes there"
            )));
        }
        return Ok(());
    }
    guarded(session, uri, "publish")
}

fn guarded(session: &SessionInfo, uri: &str, action: &str) -> Result<(), Denied> {
    if uri.starts_with("wamp.") {
        return Err(Denied(format!(
            "nobody may {action} {uri}: wamp. belongs to the router"
        )));
    }
    let reserved = GUARDED.iter().any(|namespace| uri.starts_with(namespace));
    if reserved && session.role != ROLE_MARKETMAKER {
        let role = &session.role;
        return Err(Denied(format!(
            "only the role {ROLE_MARKETMAKER} may {action} {uri}; this session's is {role}"
        )));
    }
    Ok(())
}

/// The provider id of a URI `xbr.provider.<id>.<name>`, if this session may use it.
fn provider(session: &SessionInfo, uri: &str, ids: Ids<'_>) -> Result<String, Denied> {
    let rest = uri.strip_prefix(PROVIDER).unwrap_or_default();
    if session.method != AuthMethod::Anonymous {
        // An authid may hold dots.
        let own = rest
            .strip_prefix(session.authid.as_str())
            .and_then(|rest| rest.strip_prefix('.'));
        if own.is_none_or(str::is_empty) {
            let authid = &session.authid;
            return Err(Denied(format!(
                "{uri} is not under {PROVIDER}{authid}., the place of this session's authid"
            )));
        }
        // Other sessions of the same authid share the place.
        return Ok(session.authid.clone());
    }
    // One name after the id and no more, so that no id begins with another one.
    let Some((id, name)) = rest
        .split_once('.')
        .filter(|(id, name)| !id.is_empty() && !name.contains('.'))
    else {
        return Err(Denied(format!("{uri} should be {PROVIDER}<id>.<name>")));
    };
    debug_assert!(!name.is_empty(), "well-formed URIs have no empty components");
    if ids.authenticator.reserves(id) {
        return Err(Denied(format!(
            "{uri}: the provider id {id} is that of a login: log in as {id}, or take another id"
        )));
    }
    if !ids.is_free(id) && !ids.holds(id, session.id) {
        return Err(Denied(format!(
            "{uri}: another session holds the provider id {id} until it leaves"
        )));
    }
    Ok(id.to_owned())
}

/// Whether a pattern matches anything that begins with `namespace`.
fn covers(pattern: &str, matching: Match, namespace: &str) -> bool {
    match matching {
        Match::Exact => pattern.starts_with(namespace),
        Match::Prefix => namespace.starts_with(pattern) || pattern.starts_with(namespace),
        Match::Wildcard => {
            let first = pattern.split('.').next().unwrap_or_default();
            first.is_empty() || namespace.strip_suffix('.') == Some(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Users;
    use crate::router::auth::Transport;

    fn session(id: u64, authid: &str, role: &str, method: AuthMethod) -> SessionInfo {
        SessionInfo {
            id,
            authid: authid.into(),
            role: role.into(),
            method,
            transport: Transport::WebSocket,
            peer: None,
        }
    }

    fn anonymous() -> SessionInfo {
        session(7, "~abc", "anonymous", AuthMethod::Anonymous)
    }

    fn market_maker() -> SessionInfo {
        session(1, "marketmaker", ROLE_MARKETMAKER, AuthMethod::Trusted)
    }

    fn seller() -> SessionInfo {
        session(9, "seller.one", "delegate", AuthMethod::Ticket)
    }

    /// Who holds which id, where there is one login, `seller`.
    struct Held(Holders, Users);

    impl Held {
        fn by(holders: Holders) -> Self {
            Self(
                holders,
                Users::new(true).with_ticket("seller", "delegate", "secret"),
            )
        }

        fn ids(&self) -> Ids<'_> {
            Ids {
                holders: &self.0,
                authenticator: &self.1,
            }
        }
    }

    fn free() -> Held {
        Held::by(Holders::new())
    }

    fn held_by(session: u64) -> Held {
        Held::by(Holders::from([("0xab".to_owned(), vec![session])]))
    }

    fn exact(session: &SessionInfo, uri: &str) -> Result<Option<String>, Denied> {
        register(session, uri, Match::Exact, true, free().ids())
    }

    #[test]
    fn only_the_market_maker_registers_and_publishes_in_the_market() {
        for uri in [
            "xbr.marketmaker.get_quote",
            "bourse.dev.fund",
            "xbr.other",
            "xbr.providers.x.sell",
        ] {
            assert_eq!(exact(&market_maker(), uri), Ok(None), "{uri}");
            assert_eq!(publish(&market_maker(), uri, free().ids()), Ok(()), "{uri}");
            for intruder in [anonymous(), seller()] {
                let Denied(text) = exact(&intruder, uri).unwrap_err();
                assert!(
                    text.contains(uri) && text.contains("the role marketmaker"),
                    "{text}"
                );
                assert!(publish(&intruder, uri, free().ids()).is_err(), "{uri}");
            }
        }
    }

    #[test]
    fn nobody_registers_or_publishes_under_wamp() {
        for who in [anonymous(), seller(), market_maker()] {
            assert!(exact(&who, "wamp.session.count").is_err());
            assert!(publish(&who, "wamp.session.on_join", free().ids()).is_err());
        }
    }

    #[test]
    fn the_first_anonymous_session_holds_a_provider_id() {
        let uri = "xbr.provider.0xab.sell";
        assert_eq!(exact(&anonymous(), uri), Ok(Some("0xab".into())));
        assert_eq!(
            register(&anonymous(), uri, Match::Exact, true, held_by(7).ids()),
            Ok(Some("0xab".into()))
        );
        assert!(register(&anonymous(), uri, Match::Exact, true, held_by(8).ids()).is_err());
        assert!(
            register(
                &anonymous(),
                "xbr.provider.0xab.quote",
                Match::Exact,
                true,
                held_by(8).ids()
            )
            .is_err()
        );
    }

    #[test]
    fn an_authenticated_provider_id_is_the_authid() {
        assert_eq!(
            exact(&seller(), "xbr.provider.seller.one.sell"),
            Ok(Some("seller.one".into()))
        );
        for uri in [
            "xbr.provider.other.sell",
            "xbr.provider.seller.sell",
            "xbr.provider.seller.one",
        ] {
            assert!(exact(&seller(), uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn an_anonymous_session_cannot_sit_on_the_id_of_an_authid_with_dots() {
        assert!(exact(&anonymous(), "xbr.provider.seller.one.sell").is_err());
        for uri in ["xbr.provider.x", "xbr.provider.x.y.z"] {
            assert!(exact(&anonymous(), uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn the_provider_id_of_a_login_is_for_no_anonymous_session_also_while_the_login_is_away() {
        for uri in ["xbr.provider.seller.sell", "xbr.provider.seller.quote"] {
            let Denied(text) = exact(&anonymous(), uri).unwrap_err();
            assert!(text.contains("log in as seller"), "{text}");
        }
        assert!(publish(&anonymous(), "xbr.provider.seller.news", free().ids()).is_err());
        let owner = session(9, "seller", "delegate", AuthMethod::Ticket);
        assert_eq!(
            exact(&owner, "xbr.provider.seller.sell"),
            Ok(Some("seller".into()))
        );
        assert_eq!(
            exact(&anonymous(), "xbr.provider.sellers.sell"),
            Ok(Some("sellers".into())),
            "what only begins with it is another's"
        );
    }

    #[test]
    fn only_the_holder_and_the_market_maker_publish_under_a_provider_id() {
        let topic = "xbr.provider.0xab.on_channel_closed";
        assert!(publish(&anonymous(), topic, free().ids()).is_err());
        assert_eq!(publish(&anonymous(), topic, held_by(7).ids()), Ok(()));
        assert!(publish(&anonymous(), topic, held_by(8).ids()).is_err());
        assert_eq!(publish(&market_maker(), topic, held_by(8).ids()), Ok(()));
        assert_eq!(
            publish(&seller(), "xbr.provider.seller.one.news", free().ids()),
            Ok(())
        );
        assert!(publish(&seller(), topic, free().ids()).is_err());
    }

    #[test]
    fn no_pattern_covers_a_guarded_namespace() {
        for who in [anonymous(), market_maker()] {
            for prefix in [
                "",
                "x",
                "xbr",
                "xbr.",
                "xbr.provider.x",
                "wamp.",
                "bour",
                "bourse.dev",
            ] {
                assert!(
                    register(&who, prefix, Match::Prefix, true, free().ids()).is_err(),
                    "{prefix:?}"
                );
            }
            for wildcard in ["", "..", ".marketmaker.", "xbr..sell", "bourse.", "wamp..x"] {
                assert!(
                    register(&who, wildcard, Match::Wildcard, true, free().ids()).is_err(),
                    "{wildcard:?}"
                );
            }
            assert_eq!(
                register(&who, "com.app.", Match::Prefix, true, free().ids()),
                Ok(None)
            );
            assert_eq!(
                register(&who, "com..get", Match::Wildcard, true, free().ids()),
                Ok(None)
            );
        }
    }

    #[test]
    fn guarded_procedures_are_not_shared() {
        assert!(register(&market_maker(), "bourse.x", Match::Exact, false, free().ids()).is_err());
        assert!(
            register(
                &anonymous(),
                "xbr.provider.a.sell",
                Match::Exact,
                false,
                free().ids()
            )
            .is_err()
        );
        assert_eq!(
            register(&anonymous(), "com.app.work", Match::Exact, false, free().ids()),
            Ok(None)
        );
    }
}
