//! `[[wamp.user]]` and `[[wamp.ticket]]`: who may log in, as what, and where it is written what that takes.

use super::check::Faults;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// `[[wamp.ticket]]`: a user with a ticket and nothing else.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// Whom the ticket proves.
    pub authid: String,
    /// The role it gives; never `marketmaker`.
    pub role: String,
    /// The file that holds the ticket; white space around it is ignored.
    pub file: PathBuf,
}

/// `[[wamp.user]]`: what somebody may log in with; one is enough, and any of several will do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// Who it is.
    pub authid: String,
    /// The role it has; never `marketmaker`.
    pub role: String,
    /// Holds a ticket, which the client shows as it is: for TLS, and for this machine.
    pub ticket_file: Option<PathBuf>,
    /// Holds a secret of WAMP-CRA, or what `bourse wamp hash --method wampcra` made of it.
    pub cra_file: Option<PathBuf>,
    /// Holds what `bourse wamp hash --method wamp-scram`, or autobahn's `derive_scram_credential`, made of a password.
    pub scram_file: Option<PathBuf>,
    /// Ed25519 public keys of WAMP-cryptosign, in hex.
    pub public_keys: Vec<String>,
}

impl User {
    /// The public keys as bytes.
    ///
    /// # Errors
    ///
    /// Names the one that is none.
    pub(crate) fn keys(&self) -> anyhow::Result<Vec<[u8; 32]>> {
        self.public_keys
            .iter()
            .map(|text| {
                let mut key = [0; 32];
                hex::decode_to_slice(text.trim_start_matches("0x"), &mut key).with_context(|| {
                    format!(
                        "[[wamp.user]] for {}: public_keys has `{text}`: expected the 64 hex digits of an Ed25519 public key",
                        self.authid
                    )
                })?;
                Ok(key)
            })
            .collect()
    }

    /// Whether somebody can log in by it.
    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !self.authid.is_empty() && !self.role.is_empty(),
            "a [[wamp.user]] needs an authid and a role, one has authid `{}` and role `{}`",
            self.authid,
            self.role
        );
        let files = [&self.ticket_file, &self.cra_file, &self.scram_file];
        ensure!(
            !self.keys()?.is_empty() || files.iter().any(|file| file.is_some()),
            "[[wamp.user]] for {} has nothing to log in with: add ticket_file, cra_file, scram_file or public_keys",
            self.authid
        );
        Ok(())
    }
}

/// Roles that are the router's own to give.
const OWN: [&str; 3] = [
    bourse_wamp::ROLE_MARKETMAKER,
    bourse_wamp::ROLE_ANONYMOUS,
    "trusted",
];

/// Notes what keeps these from being users of one router.
pub(super) fn check(tickets: &[Ticket], users: &[User], faults: &mut Faults) {
    let tickets = tickets.iter().enumerate().map(|(index, ticket)| {
        let key = format!("wamp.ticket.{index}");
        (key, "[[wamp.ticket]]", &ticket.authid, &ticket.role)
    });
    let named = users.iter().enumerate().map(|(index, user)| {
        let key = format!("wamp.user.{index}");
        (key, "[[wamp.user]]", &user.authid, &user.role)
    });
    let mut authids = BTreeSet::new();
    for (key, block, authid, role) in tickets.chain(named) {
        faults.unless(!OWN.contains(&role.as_str()), &format!("{key}.role"), || {
            format!("{block} for {authid}: the role `{role}` is the router's own to give")
        });
        faults.unless(authids.insert(authid), &format!("{key}.authid"), || {
            format!("{block} for {authid} is there twice")
        });
    }
    let mut keys = BTreeSet::new();
    for (index, user) in users.iter().enumerate() {
        let place = format!("wamp.user.{index}");
        faults.check(place.as_str(), user.check());
        // Those that are none were noted with the user.
        for key in user.keys().unwrap_or_default() {
            faults.unless(keys.insert(key), &format!("{place}.public_keys"), || {
                format!(
                    "[[wamp.user]] for {}: the public key {} is there twice, and says who somebody is",
                    user.authid,
                    hex::encode(key)
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tickets: &[Ticket], users: &[User]) -> anyhow::Result<()> {
        let mut faults = Faults::default();
        super::check(tickets, users, &mut faults);
        faults.into_result()
    }

    fn user(authid: &str, role: &str, key: Option<&str>) -> User {
        User {
            authid: authid.to_owned(),
            role: role.to_owned(),
            public_keys: key.into_iter().map(str::to_owned).collect(),
            ..User::default()
        }
    }

    #[test]
    fn a_user_that_cannot_be_is_refused_with_why() {
        let (key, other) = ("ab".repeat(32), "cd".repeat(32));
        let said = |users: &[User]| check(&[], users).unwrap_err().to_string();
        let good = user("alice", "operator", Some(&key));
        check(&[], &[good.clone(), user("bob", "delegate", Some(&other))]).unwrap();
        assert!(said(&[user("alice", "marketmaker", Some(&key))]).contains("router's own to give"));
        assert!(said(&[user("alice", "delegate", None)]).contains("nothing to log in with"));
        assert!(said(&[user("alice", "delegate", Some("abcd"))]).contains("64 hex digits"));
        assert!(said(&[user("", "delegate", Some(&key))]).contains("needs an authid"));
        assert!(said(&[good.clone(), user("alice", "delegate", Some(&other))]).contains("there twice"));
        assert!(said(&[good.clone(), user("bob", "delegate", Some(&key))]).contains("says who somebody is"));
        let ticket = Ticket {
            authid: "alice".to_owned(),
            role: "delegate".to_owned(),
            file: PathBuf::new(),
        };
        assert!(check(&[ticket], &[good]).is_err());
    }
}
