//! The router's half: what it keeps of somebody, the challenge that it makes of it, and whether the answer proves it.

use super::cra::{self, CraKey, Salting};
use super::cryptosign;
use super::hash::hmac;
use super::scram::{self, Exchange, Kdf, ScramRecord};
use super::{AuthMethod, Secret};
use crate::value::Dict;

/// What somebody must prove, by a proof that the router checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credential {
    /// To know this secret, by showing it. It crosses the network as it is: for TLS, and for this machine.
    Ticket(Secret),
    /// To know the secret behind this key.
    Cra(CraKey),
    /// To know the password behind this record.
    Scram(ScramRecord),
    /// To hold the private key of this Ed25519 key.
    PublicKey([u8; 32]),
}

impl Credential {
    /// The method that proves it.
    #[must_use]
    pub fn method(&self) -> AuthMethod {
        match self {
            Self::Ticket(_) => AuthMethod::Ticket,
            Self::Cra(_) => AuthMethod::Cra,
            Self::Scram(_) => AuthMethod::Scram,
            Self::PublicKey(_) => AuthMethod::Cryptosign,
        }
    }

    /// A credential that nobody has, for an identity that does not exist: challenged by it, and refused, a stranger
    /// cannot tell whether it does. The same `seed`, method and identity give the same salt every time. `like` is
    /// a credential whose costs and lengths it takes over, of the same method.
    #[must_use]
    pub fn decoy(seed: &[u8; 32], method: AuthMethod, authid: &str, like: Option<&Self>) -> Self {
        let part = |what: &str| {
            hmac(
                seed,
                &[what.as_bytes(), method.name().as_bytes(), authid.as_bytes()],
            )
        };
        let key = Secret::from(part("key"));
        match method {
            AuthMethod::Cra => {
                let salting = match like {
                    Some(Self::Cra(like)) => like.salting().map(|like| Salting {
                        salt: resembling(&part("salt"), &like.salt),
                        ..*like
                    }),
                    _ => None,
                };
                let fallback = CraKey::plain(key.clone());
                Self::Cra(salting.map_or(fallback.clone(), |salting| {
                    CraKey::salted(key, salting).unwrap_or(fallback)
                }))
            }
            AuthMethod::Scram => {
                let (kdf, length) = match like {
                    Some(Self::Scram(like)) => (like.kdf, like.salt.len()),
                    _ => (Kdf::RECOMMENDED, scram::NONCE),
                };
                Self::Scram(ScramRecord {
                    kdf,
                    salt: part("salt").into_iter().cycle().take(length).collect(),
                    stored_key: part("stored"),
                    server_key: part("server"),
                })
            }
            AuthMethod::Cryptosign => Self::PublicKey(part("key")),
            _ => Self::Ticket(key),
        }
    }
}

/// A salt of the same kind of text and length as another.
fn resembling(bytes: &[u8; 32], other: &str) -> String {
    let hexadecimal = !other.is_empty() && other.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let text = if hexadecimal {
        hex::encode(bytes)
    } else {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    text.chars().cycle().take(other.chars().count()).collect()
}

/// What HELLO says that the proof depends on.
pub(crate) struct Claim<'a> {
    pub(crate) method: AuthMethod,
    pub(crate) authid: Option<&'a str>,
    pub(crate) extra: &'a Dict,
    /// The id of the TLS connection, if there is one.
    pub(crate) channel: Option<[u8; 32]>,
}

/// The parts of a claim, looked at before anybody is asked who the client is.
#[derive(Default)]
pub(crate) struct Sound {
    /// The public key that is shown.
    pub(crate) public_key: Option<[u8; 32]>,
    channel: Option<[u8; 32]>,
    nonce: Vec<u8>,
}

impl Claim<'_> {
    /// Whether the method can go on with what HELLO says; else a sentence for the client.
    pub(crate) fn check(&self) -> Result<Sound, String> {
        let named = |sound| match self.authid {
            Some(_) => Ok(sound),
            None => Err(format!("{} needs an authid in HELLO", self.method.name())),
        };
        match self.method {
            AuthMethod::Ticket | AuthMethod::Cra => named(Sound::default()),
            AuthMethod::Scram => {
                if let Some(why) = self.authid.and_then(scram::unfit) {
                    return Err(why);
                }
                named(Sound {
                    nonce: scram::client_nonce(self.extra)?,
                    ..Sound::default()
                })
            }
            AuthMethod::Cryptosign => {
                let public_key = cryptosign::shown_key(self.extra)?;
                if self.authid.is_none() && public_key.is_none() {
                    return Err("cryptosign needs an authid, or a public key in authextra.pubkey".to_owned());
                }
                Ok(Sound {
                    public_key,
                    channel: cryptosign::binding(self.extra, self.channel)?,
                    ..Sound::default()
                })
            }
            AuthMethod::Anonymous | AuthMethod::Trusted => Ok(Sound::default()),
        }
    }
}

/// 32 fresh random bytes, of which each challenge is made.
pub(crate) type Fresh = [u8; 32];

/// A challenge that waits for its answer. It is good for one.
pub(crate) struct Proving {
    credential: Credential,
    expected: Expected,
    /// The key shown is not the one to be proven, so nothing will do.
    hopeless: bool,
}

enum Expected {
    Ticket,
    Cra {
        challenge: String,
    },
    Scram(Exchange),
    Cryptosign {
        challenge: Fresh,
        channel: Option<[u8; 32]>,
    },
}

impl Proving {
    /// Makes a challenge: what waits, and the CHALLENGE's details. `fresh` must never be used again.
    pub(crate) fn begin(
        credential: Credential,
        authid: &str,
        session: u64,
        sound: &Sound,
        fresh: Fresh,
    ) -> (Self, Dict) {
        let mut hopeless = false;
        let (expected, details) = match &credential {
            Credential::Ticket(_) => (Expected::Ticket, Dict::new()),
            Credential::Cra(key) => {
                let challenge = cra::challenge(&fresh, session);
                let details = cra::details(&challenge, key);
                (Expected::Cra { challenge }, details)
            }
            Credential::Scram(record) => {
                let mut ours = [0; scram::NONCE];
                ours.iter_mut().zip(fresh).for_each(|(ours, fresh)| *ours = fresh);
                let (exchange, details) = Exchange::challenge(authid, record, &sound.nonce, &ours);
                (Expected::Scram(exchange), details)
            }
            Credential::PublicKey(key) => {
                hopeless = sound.public_key.is_some_and(|shown| shown != *key);
                let channel = sound.channel;
                let details = cryptosign::details(&fresh, channel.is_some());
                (
                    Expected::Cryptosign {
                        challenge: fresh,
                        channel,
                    },
                    details,
                )
            }
        };
        let proving = Self {
            credential,
            expected,
            hopeless,
        };
        (proving, details)
    }

    /// Takes the AUTHENTICATE's signature; what WELCOME's `authextra` must say, if it proves the credential.
    pub(crate) fn finish(self, signature: &str) -> Option<Dict> {
        let proven = match (&self.credential, &self.expected) {
            (Credential::Ticket(ticket), Expected::Ticket) => {
                !ticket.is_empty() && ticket.is(signature.as_bytes())
            }
            (Credential::Cra(key), Expected::Cra { challenge }) => cra::verify(key, challenge, signature),
            (Credential::Scram(record), Expected::Scram(exchange)) => {
                return exchange.verify(record, signature);
            }
            (Credential::PublicKey(key), Expected::Cryptosign { challenge, channel }) => {
                cryptosign::verify(key, challenge, channel.as_ref(), signature)
            }
            _ => false,
        };
        (proven && !self.hopeless).then(Dict::new)
    }
}
