//! The authenticator of the router in this process: the configured users, and whoever somebody in this market vouches for.

use super::{decide, parse, settle};
use crate::access::party_of;
use crate::market::Market;
use arc_swap::ArcSwap;
use bourse_wamp::{
    AuthDecision, AuthMethod, AuthRequest, Authenticator, Confirming, Credential, Deciding, Dict, Grant,
    Users, Value, WampError,
};
use std::sync::{Arc, OnceLock, Weak};

/// Asks the users first: what the operator says of a key counts before what its holder says.
pub(crate) struct Door {
    users: ArcSwap<Users>,
    /// There from the moment on in which the router is reached.
    market: OnceLock<Weak<Market>>,
}

impl Door {
    /// A door that knows the configured users alone.
    pub(crate) fn new(users: Users) -> Self {
        Self {
            users: ArcSwap::from_pointee(users),
            market: OnceLock::new(),
        }
    }

    /// The users that it knows.
    pub(crate) fn users(&self) -> Arc<Users> {
        self.users.load_full()
    }

    /// From now on it knows these users instead.
    pub(crate) fn know(&self, users: Arc<Users>) {
        self.users.store(users);
    }

    /// From now on it asks the market too. The market holds the router, and so this: it is not held in turn.
    pub(crate) fn ask(&self, market: &Arc<Market>) {
        // There is one market behind a door.
        let _ = self.market.set(Arc::downgrade(market));
    }

    async fn of_the_market(&self, request: &AuthRequest, otherwise: AuthDecision) -> AuthDecision {
        let (Some(key), Some(market)) = (request.public_key, self.market.get().and_then(Weak::upgrade))
        else {
            return otherwise;
        };
        let mut extra: Dict = request.extra.clone();
        extra.insert("pubkey".to_owned(), Value::Bytes(key.to_vec()));
        let decided = async { decide(&market, parse(&extra)?).await };
        match decided.await {
            Err(error) => AuthDecision::Deny { reason: said(&error) },
            // Whoever wants to be anonymous asks for that; a wrong key never gets anybody in.
            Ok(identity) if identity.is_stranger() => otherwise,
            // Nor does a right one under another's name.
            Ok(identity)
                if request
                    .authid
                    .as_ref()
                    .is_some_and(|claimed| *claimed != identity.authid) =>
            {
                otherwise
            }
            Ok(identity) => {
                identity.expect(&market, request.session);
                let mut grant = Grant::new(&identity.authid, identity.role);
                grant.extra = identity.extra();
                AuthDecision::Prove {
                    credential: Credential::PublicKey(key),
                    grant,
                }
            }
        }
    }
}

impl Authenticator for Door {
    fn methods(&self) -> Vec<AuthMethod> {
        let mut methods = self.users.load().methods();
        if !methods.contains(&AuthMethod::Cryptosign) {
            methods.insert(0, AuthMethod::Cryptosign);
        }
        methods
    }

    fn authenticate<'a>(&'a self, request: &'a AuthRequest) -> Deciding<'a> {
        Box::pin(async move {
            let decision = self.users.load().decide(request);
            match request.method {
                AuthMethod::Cryptosign if !is_of_a_user(&decision) => {
                    self.of_the_market(request, decision).await
                }
                _ => decision,
            }
        })
    }

    fn proven<'a>(&'a self, request: &'a AuthRequest) -> Confirming<'a> {
        Box::pin(async move {
            if request.method != AuthMethod::Cryptosign || is_of_a_user(&self.users.load().decide(request)) {
                return Ok(());
            }
            let market = self.market.get().and_then(Weak::upgrade);
            let market = market.ok_or_else(|| "the market has stopped".to_owned())?;
            // Were it let in without, it would count as one of the operator's users.
            if market.logins.decided(request.session).is_none() {
                return Err("the login cannot be settled at the moment: try again".to_owned());
            }
            settle(&market, request.session)
                .await
                .map_err(|error| said(&error))
        })
    }

    fn reserves(&self, authid: &str) -> bool {
        self.users.load().knows(authid) || party_of(authid).is_some()
    }
}

/// Whether somebody in the configuration is to prove who it is.
fn is_of_a_user(decision: &AuthDecision) -> bool {
    matches!(decision, AuthDecision::Prove { grant, .. } if !grant.authid.is_empty())
}

/// The text of an error.
fn said(error: &WampError) -> String {
    match error.args.first() {
        Some(Value::Str(text)) => text.clone(),
        _ => error.uri.clone(),
    }
}
