//! Keys that clients log in with: none lasts longer than it may, and nobody has more than are kept.

use super::Violation;
use crate::Address;
use crate::login::{LoginForm, UserKey};
use std::collections::BTreeMap;

/// What is known of the keys so far.
#[derive(Debug, Default)]
pub(super) struct Logins {
    /// How many each member or delegate has: not taken back, taken back for ever, and taken back for a time.
    counts: BTreeMap<Address, [usize; 3]>,
    found: Vec<Violation>,
}

impl Logins {
    pub(super) fn key(&mut self, key: &UserKey) {
        let [standing, plain, dated] = self.counts.entry(key.party).or_default();
        match (key.revoked, key.plain_over) {
            (None, _) => *standing += 1,
            (Some(_), true) => *plain += 1,
            (Some(_), false) => *dated += 1,
        }
        let from = match key.form {
            LoginForm::Plain => key.added,
            LoginForm::Dated { issued, .. } => issued,
        };
        if key.expires.since(from) > UserKey::MAX_LIFE {
            self.found.push(Violation::UserKeys {
                party: key.party,
                what: "one of them lasts longer than it may",
            });
        }
    }

    pub(super) fn finish(self, complain: &mut impl FnMut(Violation)) {
        self.found.into_iter().for_each(&mut *complain);
        // Of those that stand each may be taken back, after which no more are taken on.
        let most = UserKey::MAX_STANDING + UserKey::MAX_REVOKED;
        for (party, [standing, plain, dated]) in self.counts {
            if standing > UserKey::MAX_STANDING || plain > most || dated > most {
                complain(Violation::UserKeys {
                    party,
                    what: "there are more than are kept",
                });
            }
        }
    }
}
