//! Letting a client in: which method, who it says it is, the challenge, and whether the answer proves it.

use std::sync::OnceLock;

use super::auth::{AuthDecision, AuthRequest, Authenticator, Grant, ROLE_MARKETMAKER};
use super::serve::{Origin, next};
use crate::auth::{AuthMethod, Claim, Credential, Proving};
use crate::limits::MAX_AUTHID;
use crate::link::{Incoming, Outgoing};
use crate::message::Message;
use crate::uri::error;
use crate::value::{Dict, Value};
use crate::violation::Violation;

/// The authid of the in-process session.
const TRUSTED_AUTHID: &str = "marketmaker";
/// What a wrong proof is told, whoever it is from: it does not say what was wrong.
const WRONG: &str = "the authid or its proof is wrong";

/// What challenges for nobody are made of, where the authenticator does not make them.
static STRANGERS: OnceLock<[u8; 32]> = OnceLock::new();

/// A handshake that ends with an ABORT.
pub(super) struct Refused {
    pub(super) reason: &'static str,
    pub(super) text: String,
}

impl From<Violation> for Refused {
    fn from(violation: Violation) -> Self {
        Self {
            reason: error::PROTOCOL_VIOLATION,
            text: violation.0,
        }
    }
}

impl Refused {
    fn failed(text: impl Into<String>) -> Self {
        Self {
            reason: error::AUTHENTICATION_FAILED,
            text: text.into(),
        }
    }
}

/// What a client said in the beginning.
pub(super) struct Hello<'a> {
    pub(super) realm: &'a str,
    pub(super) details: &'a Dict,
    /// The id that the session will have.
    pub(super) session: u64,
    pub(super) origin: Origin,
}

/// Somebody who is let in.
pub(super) struct Admitted {
    pub(super) grant: Grant,
    pub(super) method: AuthMethod,
    /// The method in the client's own word.
    pub(super) name: &'static str,
}

impl Admitted {
    /// The market maker's own session.
    pub(super) fn trusted() -> Self {
        Self {
            grant: Grant::new(TRUSTED_AUTHID, ROLE_MARKETMAKER),
            method: AuthMethod::Trusted,
            name: AuthMethod::Trusted.name(),
        }
    }
}

/// Goes through the handshake, up to WELCOME.
pub(super) async fn admit(
    authenticator: &dyn Authenticator,
    hello: &Hello<'_>,
    incoming: &mut Incoming,
    out: &Outgoing,
) -> Result<Admitted, Refused> {
    let (method, name) = agree(&authenticator.methods(), hello.details)?;
    let text = |name: &str| hello.details.get(name).and_then(Value::as_str);
    let authid = text("authid").filter(|authid| !authid.is_empty());
    if let Some(authid) = authid.filter(|authid| authid.len() > MAX_AUTHID) {
        let length = authid.len();
        return Err(Refused::failed(format!(
            "an authid of {length} bytes, at most {MAX_AUTHID} are taken"
        )));
    }
    let none = Dict::new();
    let extra = hello
        .details
        .get("authextra")
        .and_then(Value::as_map)
        .unwrap_or(&none);
    let claim = Claim {
        method,
        authid,
        extra,
        channel: hello.origin.channel,
    };
    let sound = claim.check().map_err(Refused::failed)?;
    let request = AuthRequest {
        realm: hello.realm.to_owned(),
        method,
        authid: authid.map(str::to_owned),
        public_key: sound.public_key,
        extra: extra.clone(),
        session: hello.session,
        transport: hello.origin.transport,
        peer: hello.origin.peer,
    };
    let (credential, grant) = match authenticator.authenticate(&request).await {
        AuthDecision::Accept(grant) => return Ok(Admitted { grant, method, name }),
        AuthDecision::Deny { reason } => return Err(Refused::failed(reason)),
        AuthDecision::Prove { credential, grant } => (credential, grant),
        AuthDecision::Unknown => {
            let seed = STRANGERS.get_or_init(rand::random);
            let decoy = Credential::decoy(seed, method, authid.unwrap_or_default(), None);
            (decoy, Grant::default())
        }
    };
    if credential.method() != method {
        tracing::error!(?method, wanted = ?credential.method(), "the authenticator wants a proof of another method");
        return Err(Refused::failed(WRONG));
    }
    let proving = authid.unwrap_or(&grant.authid);
    let (proving, extra) = Proving::begin(credential, proving, hello.session, &sound, rand::random());
    let challenge = Message::Challenge {
        method: name.to_owned(),
        extra,
    };
    out.send(challenge).await;
    let signature = match next(incoming).await? {
        Message::Authenticate { signature, .. } => signature,
        other => return Err(Violation(format!("{} instead of AUTHENTICATE", other.name())).into()),
    };
    let proof = proving.finish(&signature).ok_or_else(|| Refused::failed(WRONG))?;
    authenticator.proven(&request).await.map_err(Refused::failed)?;
    let mut grant = grant;
    grant.extra.extend(proof);
    Ok(Admitted { grant, method, name })
}

/// The first method of the client's that is offered here, and what the client calls it.
fn agree(offered: &[AuthMethod], details: &Dict) -> Result<(AuthMethod, &'static str), Refused> {
    let asked = details
        .get("authmethods")
        .and_then(Value::as_list)
        .unwrap_or_default();
    // Without a list the client is anonymous.
    let anonymous = [Value::from(AuthMethod::Anonymous.name())];
    let asked = if asked.is_empty() { &anonymous } else { asked };
    let known = asked.iter().filter_map(Value::as_str).find_map(|name| {
        let method = AuthMethod::parse(name).filter(|method| offered.contains(method))?;
        let short = name == AuthMethod::SCRAM_SHORT;
        Some((
            method,
            if short {
                AuthMethod::SCRAM_SHORT
            } else {
                method.name()
            },
        ))
    });
    known.ok_or_else(|| {
        let offered: Vec<_> = offered.iter().map(|method| method.name()).collect();
        Refused {
            reason: error::NO_MATCHING_AUTH_METHOD,
            text: format!("the authentication methods here are {}", offered.join(", ")),
        }
    })
}
