//! An authenticator with a fixed list of users.

use std::collections::{BTreeMap, BTreeSet};

use super::auth::{
    AuthDecision, AuthRequest, Authenticator, Deciding, Grant, ROLE_ANONYMOUS, anonymous_authid,
};
use super::observer::SessionInfo;
use crate::auth::{AuthMethod, Credential};

/// Who may log in and with what, and anonymous sessions if they are allowed.
#[derive(Clone)]
pub struct Users {
    allow_anonymous: bool,
    users: BTreeMap<String, User>,
    seed: [u8; 32],
}

#[derive(Clone, Default, PartialEq, Eq)]
struct User {
    role: String,
    credentials: Vec<Credential>,
}

impl Users {
    /// Nobody is let in, but for anonymous sessions if `allow_anonymous`.
    #[must_use]
    pub fn new(allow_anonymous: bool) -> Self {
        Self {
            allow_anonymous,
            users: BTreeMap::new(),
            seed: rand::random(),
        }
    }

    /// Lets `authid` in with `credential` too, as `role`. A user has one role: the one given last.
    #[must_use]
    pub fn with(
        mut self,
        authid: impl Into<String>,
        role: impl Into<String>,
        credential: Credential,
    ) -> Self {
        let user = self.users.entry(authid.into()).or_default();
        user.role = role.into();
        user.credentials.push(credential);
        self
    }

    /// Lets `authid` in with a ticket.
    #[must_use]
    pub fn with_ticket(self, authid: impl Into<String>, role: impl Into<String>, ticket: &str) -> Self {
        self.with(authid, role, Credential::Ticket(ticket.into()))
    }

    /// Challenges those who do not exist by salts made of this secret, instead of one drawn at the start: they
    /// are the same after a restart then, as those of real users are.
    #[must_use]
    pub fn with_decoys_of(mut self, seed: [u8; 32]) -> Self {
        self.seed = seed;
        self
    }

    /// As [`Users::with_decoys_of`], with what `former` has: who watches both cannot tell by the salts who is real.
    #[must_use]
    pub fn with_decoys_like(self, former: &Self) -> Self {
        self.with_decoys_of(former.seed)
    }

    /// Whether there is such a user.
    #[must_use]
    pub fn knows(&self, authid: &str) -> bool {
        self.users.contains_key(authid)
    }

    /// Whether `former` let this session in by what does not let anybody in now: the user is gone, has another role, or had
    /// something else to log in with. Of a session that it did not let in, this says nothing.
    #[must_use]
    pub fn revokes(&self, former: &Self, session: &SessionInfo) -> bool {
        let method = session.method;
        if method == AuthMethod::Anonymous {
            return former.allow_anonymous && !self.allow_anonymous;
        }
        let Some(was) = former.users.get(&session.authid) else {
            return false;
        };
        let mut shown = was
            .credentials
            .iter()
            .filter(|credential| credential.method() == method)
            .peekable();
        if shown.peek().is_none() {
            return false;
        }
        // Which of several keys it was is not known any more: each of them must be good still.
        self.users.get(&session.authid).is_none_or(|is| {
            is.role != was.role || !shown.all(|credential| is.credentials.contains(credential))
        })
    }

    /// Whether anonymous sessions are let in.
    #[must_use]
    pub fn allows_anonymous(&self) -> bool {
        self.allow_anonymous
    }

    /// The authids that are not as they were in `former`: new, gone, of another role, or with something else to log in with.
    #[must_use]
    pub fn changed_since<'a>(&'a self, former: &'a Self) -> Vec<&'a str> {
        let authids: BTreeSet<_> = self.users.keys().chain(former.users.keys()).collect();
        let differs = |authid: &&String| self.users.get(*authid) != former.users.get(*authid);
        authids.into_iter().filter(differs).map(String::as_str).collect()
    }

    /// Decides one request, at once.
    #[must_use]
    pub fn decide(&self, request: &AuthRequest) -> AuthDecision {
        if request.method == AuthMethod::Anonymous {
            return if self.allow_anonymous {
                AuthDecision::Accept(Grant::new(anonymous_authid(), ROLE_ANONYMOUS))
            } else {
                AuthDecision::Deny {
                    reason: "anonymous sessions are not allowed here".to_owned(),
                }
            };
        }
        self.find(request).unwrap_or_else(|| self.decoy(request))
    }

    fn find(&self, request: &AuthRequest) -> Option<AuthDecision> {
        let fits = |credential: &&Credential| match credential {
            Credential::PublicKey(key) if request.method == AuthMethod::Cryptosign => {
                request.public_key.is_none_or(|shown| shown == *key)
            }
            other => other.method() == request.method,
        };
        let (authid, user) = match &request.authid {
            Some(authid) => self.users.get_key_value(authid)?,
            None => {
                let holds = |user: &User| user.credentials.iter().any(|credential| fits(&credential));
                let mut holders = self.users.iter().filter(|(_, user)| holds(user));
                let first = holders.next()?;
                // A key of two users says nothing about which of them it is.
                holders.next().is_none().then_some(first)?
            }
        };
        let credential = user.credentials.iter().find(fits)?.clone();
        let grant = Grant::new(authid, &user.role);
        Some(AuthDecision::Prove { credential, grant })
    }

    /// A challenge that looks like those of the users there are.
    fn decoy(&self, request: &AuthRequest) -> AuthDecision {
        let authid = request.authid.as_deref().unwrap_or_default();
        let of_method = |credential: &&Credential| credential.method() == request.method;
        let all = || {
            self.users
                .values()
                .flat_map(|user| &user.credentials)
                .filter(of_method)
        };
        // The same one for an identity every time, but not for all of them the same.
        let pick = all().count().checked_sub(1).map_or(0, |last| {
            let sum = authid.bytes().zip(self.seed.iter().cycle());
            sum.fold(0_usize, |sum, (a, b)| {
                sum.wrapping_mul(31).wrapping_add(usize::from(a ^ b))
            }) % (last + 1)
        });
        AuthDecision::Prove {
            credential: Credential::decoy(&self.seed, request.method, authid, all().nth(pick)),
            grant: Grant::default(),
        }
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Users")
            .field("allow_anonymous", &self.allow_anonymous)
            .field("authids", &self.users.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Authenticator for Users {
    fn methods(&self) -> Vec<AuthMethod> {
        let credentials = || self.users.values().flat_map(|user| &user.credentials);
        let offered = |method: &AuthMethod| match method {
            AuthMethod::Anonymous => self.allow_anonymous,
            method => credentials().any(|credential| credential.method() == *method),
        };
        AuthMethod::ASKED.into_iter().rev().filter(offered).collect()
    }

    fn authenticate<'a>(&'a self, request: &'a AuthRequest) -> Deciding<'a> {
        Box::pin(std::future::ready(self.decide(request)))
    }

    fn reserves(&self, authid: &str) -> bool {
        self.knows(authid)
    }
}
