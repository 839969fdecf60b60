//! The market maker's transactions: that their nonces form one line, and each record holds together.

use super::Violation;
use crate::outbox::{Intent, IntentKey, Nonce, NonceLine, Progress, Wanted};
use crate::{Amount, ChannelId, ChannelKind};
use std::collections::BTreeMap;

/// What is known of the transactions so far.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    line: Option<NonceLine>,
    nonces: BTreeMap<Nonce, IntentKey>,
    /// What was approved for a channel, and at which nonce.
    approved: BTreeMap<ChannelId, (Nonce, Amount)>,
    /// Paying channels that are opened, with the nonce right before and the deposit.
    paying: BTreeMap<ChannelId, (Nonce, Option<Nonce>, Amount)>,
    found: Vec<Violation>,
}

impl Outbox {
    pub(super) fn line(&mut self, line: &NonceLine) {
        self.line = Some(*line);
    }

    pub(super) fn intent(&mut self, intent: &Intent) {
        let nonce = intent.nonce;
        let mut wrong = |what| self.found.push(Violation::Transaction { nonce, what });
        if (intent.progress == Progress::Waiting) != (intent.attempts.is_empty() && intent.is_unfinished()) {
            wrong("it waits to be signed and was, or the other way round");
        }
        match (intent.key, &intent.wanted) {
            (IntentKey::Approve(channel), Wanted::Approve { amount }) => {
                self.approved.insert(channel, (nonce, *amount));
            }
            (IntentKey::Clear(_), Wanted::Approve { amount }) if amount.is_zero() => {}
            (IntentKey::Open(channel), Wanted::Open { terms, .. }) if terms.channel == channel => {
                if terms.kind == ChannelKind::Paying {
                    let before = nonce.0.checked_sub(1).map(Nonce);
                    self.paying.insert(terms.channel, (nonce, before, terms.amount));
                }
            }
            (IntentKey::Close { channel, .. }, Wanted::Close(state)) if state.channel == channel => {}
            (IntentKey::Consent(word), Wanted::Consent(said))
                if (word.signed_at, word.granted) == (said.signed_at, said.granted) => {}
            _ => wrong("it does something else than it is for"),
        }
        if self.nonces.insert(nonce, intent.key).is_some() {
            wrong("another has the same nonce");
        }
    }

    pub(super) fn finish(self, complain: &mut impl FnMut(Violation)) {
        self.found.into_iter().for_each(&mut *complain);
        for (channel, (nonce, before, amount)) in &self.paying {
            let approved = self.approved.get(channel);
            if approved.map(|(nonce, amount)| (Some(*nonce), amount)) != Some((*before, amount)) {
                complain(Violation::Transaction {
                    nonce: *nonce,
                    what: "its deposit is not approved right before it",
                });
            }
        }
        let count = self.nonces.len() as u64;
        let line = self.line.unwrap_or(NonceLine {
            first: Nonce(0),
            next: Nonce(0),
            skipped: 0,
        });
        let given = line.next.0.checked_sub(line.first.0);
        let within = self
            .nonces
            .keys()
            .all(|nonce| (line.first..line.next).contains(nonce));
        if !within || given != count.checked_add(line.skipped) {
            complain(Violation::NonceLine { line, count });
        }
    }
}
