//! What all purchases together say about one channel, and whether its record agrees.

use super::step::Step;
use super::{Side, Violation};
use crate::{
    Address, Amount, Channel, ChannelId, ChannelState, EscrowPayment, PurchaseId, Reconciliation, Seq,
};
use std::collections::BTreeMap;

/// Where something took a channel, by how many positions, and what it cost.
struct Leap {
    seq: Seq,
    balance: Amount,
    cost: Amount,
    moves: u32,
}

/// The purchases of one channel, folded.
#[derive(Debug, Default)]
pub(super) struct Line {
    channel: Option<Box<Channel>>,
    /// Everyone named as the channel's delegate, with the first purchase that does: one, in a sound ledger.
    parties: BTreeMap<Address, PurchaseId>,
    /// Positions that posted purchases moved it by.
    moved: u64,
    spent: Spent,
    beyond: Spent,
    netted: Spent,
    trail: Trail,
    seqs: SeqSet,
    sent: Vec<Sent>,
    /// It came out of quarantine.
    reconciled: bool,
    /// It did at a later position than the ledger had.
    leapt: bool,
    /// What it had paid beyond the ledger's states then.
    lost: Spent,
}

#[derive(Debug)]
struct Sent {
    purchase: PurchaseId,
    seq: Seq,
    balance: Amount,
    cost: Amount,
}

impl Line {
    pub(super) fn know(&mut self, channel: &Channel) {
        self.channel = Some(Box::new(channel.clone()));
    }

    /// Where its channel stands, and whether it is in quarantine; none if there is no such channel.
    pub(super) fn state(&self) -> Option<(ChannelState, bool)> {
        let channel = self.channel.as_ref()?;
        Some((channel.state, channel.quarantined.is_some()))
    }

    /// The state that its channel is posted in.
    pub(super) fn posted_pair(&self) -> Option<(Seq, Amount)> {
        let channel = self.channel.as_ref()?;
        Some((channel.seq, channel.posted_remaining()))
    }

    pub(super) fn voided(&mut self, step: &Step) {
        self.parties.entry(step.party).or_insert(step.purchase);
    }

    pub(super) fn sent(&mut self, step: &Step) {
        self.voided(step);
        let Step {
            purchase,
            seq,
            balance,
            cost,
            ..
        } = *step;
        self.sent.push(Sent {
            purchase,
            seq,
            balance,
            cost,
        });
    }

    /// False if another purchase was posted at this seq.
    pub(super) fn posted(&mut self, step: &Step) -> bool {
        self.voided(step);
        self.moved = self.moved.saturating_add(step.moves.into());
        self.spent.add(step.cost);
        self.beyond.add(step.beyond);
        self.netted.add(step.netted);
        self.trail.step(step);
        self.seqs.insert(step.seq)
    }

    /// Sales whose records a restored ledger lacks: their sum is on record, under the delegate's signature.
    pub(super) fn reconciled(&mut self, record: &Reconciliation) {
        self.reconciled = true;
        let Some(shown) = &record.shown else { return };
        let step = Leap {
            seq: shown.seq,
            balance: shown.balance,
            cost: record.amount(),
            moves: record.positions(),
        };
        self.moved = self.moved.saturating_add(step.moves.into());
        self.spent.add(step.cost);
        self.leapt |= step.moves > 0;
        self.lost.add(step.cost);
        self.trail.leap(&step);
    }

    /// What the operator, when its channel was reconciled, told to be prepaid (the first), or to be earned that had been
    /// prepaid (the second): no purchase on record shows it. Nothing unless the channel moved by that.
    pub(super) fn told(&self) -> (Amount, Amount) {
        let none = (Amount::ZERO, Amount::ZERO);
        let Some(channel) = self.channel.as_ref().filter(|_| self.leapt) else {
            return none;
        };
        let shown = [self.netted.0, Some(channel.returned())]
            .into_iter()
            .try_fold(channel.prepaid, |sum, part| sum.checked_add(part?));
        let (Some(shown), Some(beyond), Some(lost)) = (shown, self.beyond.0, self.lost.0) else {
            return none;
        };
        match shown.checked_sub(beyond) {
            Some(more) if more <= lost => (more, Amount::ZERO),
            Some(_) => none,
            None => (Amount::ZERO, beyond.checked_sub(shown).unwrap_or_default()),
        }
    }

    /// `paid` is what the channel's final state paid of its delegate's debt.
    pub(super) fn finish(
        &self,
        id: ChannelId,
        side: Side,
        paid: Option<&EscrowPayment>,
        found: &mut impl FnMut(Violation),
    ) {
        let Some(channel) = &self.channel else {
            if self.reconciled {
                found(Violation::ChannelShape {
                    channel: id,
                    what: "it was reconciled and is not there",
                });
            }
            let strays = self.parties.values().copied();
            strays.for_each(|purchase| {
                found(Violation::UnknownChannel {
                    side,
                    purchase,
                    channel: id,
                })
            });
            if paid.is_some() {
                found(Violation::StrayPayment { channel: id });
            }
            return;
        };
        let may_pay = |paid: &EscrowPayment| {
            channel.bound && channel.state != ChannelState::Open && paid.delegate == channel.delegate
        };
        if paid.is_some_and(|paid| !may_pay(paid)) {
            found(Violation::StrayPayment { channel: id });
        }
        let paid = paid.map_or(Amount::ZERO, |paid| paid.amount);
        let returned = channel.returned();
        for (named, purchase) in &self.parties {
            if *named != channel.delegate {
                let (named, delegate) = (*named, channel.delegate);
                found(Violation::WrongParty {
                    side,
                    purchase: *purchase,
                    channel: id,
                    named,
                    delegate,
                });
            }
        }
        if u64::from(channel.seq.0) != self.moved.saturating_add(1) {
            found(Violation::SeqCount {
                channel: id,
                seq: channel.seq,
                moved: self.moved,
            });
        }
        let spent = self
            .spent
            .0
            .and_then(|spent| spent.checked_sub(returned)?.checked_add(paid));
        if spent != Some(channel.spent) {
            let posted = spent.unwrap_or(Amount::MAX);
            found(Violation::SpentMismatch {
                channel: id,
                spent: channel.spent,
                posted,
            });
        }
        let (more, less) = self.told();
        let left = self.beyond.0.zip(self.netted.0).and_then(|(beyond, netted)| {
            let paid = beyond.checked_add(more)?.checked_sub(less)?;
            paid.checked_sub(netted)?.checked_sub(returned)
        });
        if left != Some(channel.prepaid) {
            found(Violation::PrepaidMismatch {
                channel: id,
                prepaid: channel.prepaid,
                left: left.unwrap_or(Amount::MAX),
            });
        }
        if !self.trail.leads_through(channel, paid, returned) {
            found(Violation::BrokenTrail { channel: id });
        }
        self.finish_pending(channel, side, found);
    }

    /// Pending and sent are two sides of one thing.
    fn finish_pending(&self, channel: &Channel, side: Side, found: &mut impl FnMut(Violation)) {
        let id = channel.id;
        for sent in self
            .sent
            .iter()
            .filter(|sent| channel.pending != Some(sent.purchase))
        {
            found(Violation::SentNotPending {
                side,
                purchase: sent.purchase,
                channel: id,
            });
        }
        let Some(purchase) = channel.pending else { return };
        match self.sent.iter().find(|sent| sent.purchase == purchase) {
            None => found(Violation::PendingNotSent {
                side,
                channel: id,
                purchase,
            }),
            Some(sent) => {
                let fits = sent.cost == channel.inflight
                    && sent.balance == channel.remaining
                    && channel.seq.next() == Some(sent.seq);
                if !fits {
                    found(Violation::ReservedMismatch {
                        side,
                        channel: id,
                        purchase,
                    });
                }
            }
        }
    }
}

/// A sum, none once it exceeds 2^256 − 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent(pub(super) Option<Amount>);

impl Default for Spent {
    fn default() -> Self {
        Self(Some(Amount::ZERO))
    }
}

impl Spent {
    pub(super) fn add(&mut self, amount: Amount) {
        self.0 = self.0.and_then(|sum| sum.checked_add(amount));
    }

    pub(super) fn saturated(self) -> Amount {
        self.0.unwrap_or(Amount::MAX)
    }
}

/// Whether the states of a channel follow from each other, in 8 bytes and whatever order they come in.
///
/// Each posted purchase leads from (seq − moves, balance + cost) to (seq, balance). The digests of all the states they
/// lead to, less those of all they come from, cancel out but for the last and the first, if and (for damage that
/// nobody crafts) only if the purchases form one line.
#[derive(Debug, Default)]
struct Trail(u64);

impl Trail {
    fn step(&mut self, step: &Step) {
        self.leap(&Leap {
            seq: step.seq,
            balance: step.balance,
            cost: step.cost,
            moves: step.moves,
        });
    }

    fn leap(&mut self, leap: &Leap) {
        let from = digest(
            leap.seq.0.wrapping_sub(leap.moves),
            leap.balance.saturating_add(leap.cost),
        );
        self.0 = self
            .0
            .wrapping_add(digest(leap.seq.0, leap.balance))
            .wrapping_sub(from);
    }

    /// `paid` is what the final state took beyond the last purchase, `returned` what it gave back.
    fn leads_through(&self, channel: &Channel, paid: Amount, returned: Amount) -> bool {
        let first = digest(Seq::FIRST.0, channel.amount);
        let left = channel.posted_remaining().saturating_add(paid);
        let last = digest(channel.seq.0, left.checked_sub(returned).unwrap_or_default());
        self.0 == last.wrapping_sub(first)
    }
}

/// A well-mixed digest of one state (the finaliser of splitmix64 over its words).
fn digest(seq: u32, balance: Amount) -> u64 {
    balance.limbs().iter().fold(u64::from(seq), |state, limb| {
        let mut word = (state ^ limb).wrapping_add(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    })
}

/// A set of seqs: dense where purchases are, and no larger than they are many where a record is damaged.
#[derive(Debug, Default)]
struct SeqSet(BTreeMap<u32, u64>);

impl SeqSet {
    /// False if it was there.
    fn insert(&mut self, seq: Seq) -> bool {
        let bit = 1u64 << (seq.0 % u64::BITS);
        let word = self.0.entry(seq.0 / u64::BITS).or_default();
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }
}
