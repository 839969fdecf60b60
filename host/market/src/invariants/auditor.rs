//! The fold over all records.

use super::escrow::Escrow;
use super::line::{Line, Spent};
use super::logins::Logins;
use super::outbox::Outbox;
use super::step::Step;
use super::{Side, Violation, check_channel, check_escrow_sale, check_purchase, check_totals};
use crate::chain::Anchor;
use crate::login::UserKey;
use crate::outbox::{Intent, NonceLine};
use crate::voucher::Voucher;
use crate::{
    Account, Address, Amount, Binding, Channel, ChannelId, ChannelKind, ChannelState, Debt, Decision,
    DecisionId, EscrowPayment, EscrowSale, Genesis, KeyId, Offer, OfferId, PolicySlot, PriceSource, Purchase,
    PurchaseId, PurchaseState, Reconciliation, Seq, StateWrite, Totals,
};
use std::collections::BTreeMap;

/// Violations kept one by one; the rest is counted. A damaged table must not exhaust the memory of its check.
const MAX_VIOLATIONS: usize = 1000;

/// Sums over the records seen so far, for a report. Each is 2^256 − 1 if it exceeds that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Balances of all accounts.
    pub accounts: Amount,
    /// What all channels that are not settled hold or have spent.
    pub channels: Amount,
    /// Endowment and grants, as the ledger says.
    pub endowed: Amount,
    /// What all payment channels spent.
    pub debits: Amount,
    /// What all paying channels spent, payments of debts included.
    pub credits: Amount,
    /// What is owed for sales of escrowed keys.
    pub owed: Amount,
    /// What of the credits sellers were paid for no purchase yet.
    pub prepaid: Amount,
    /// The market's parts of all posted purchases.
    pub fees: Amount,
}

/// Checks a whole ledger: feed it every record once, in any order, then [`Auditor::finish`].
///
/// What it keeps is each channel and binding, a few words for each offer that was bought, two bits and 16 bytes for each
/// posted purchase, 37 bytes for each signed offer, 33 bytes for each decision and two numbers for each policy. Receipts
/// are part of posted purchases, so none can exist without one.
#[derive(Debug, Default)]
pub struct Auditor {
    local: Option<bool>,
    any_record: bool,
    totals: Totals,
    accounts: Spent,
    granted: Spent,
    channels: Spent,
    debits: Spent,
    credits: Spent,
    prepaid: Spent,
    fees: Spent,
    /// What reconciled payment channels spent without a purchase on record.
    lost_debits: Spent,
    /// Paying channels likewise.
    lost_credits: Spent,
    bindings: BTreeMap<Address, Binding>,
    /// Channels that claim their delegate is their actor's.
    bound: BTreeMap<ChannelId, (Address, Address)>,
    lines: BTreeMap<(ChannelId, Side), Line>,
    /// Channels that the chain knows, and whether it paid them out.
    anchors: BTreeMap<ChannelId, bool>,
    outbox: Outbox,
    logins: Logins,
    /// States that vouchers are for.
    vouchers: BTreeMap<ChannelId, (Seq, Amount)>,
    /// Offers with a limited number of copies.
    limited: BTreeMap<OfferId, (Option<u32>, Option<u32>)>,
    escrow: Escrow,
    /// Sent and posted purchases of each offer.
    taken: BTreeMap<OfferId, u64>,
    /// Each decision and the purchase it belongs to, if it names one.
    decisions: BTreeMap<DecisionId, Option<PurchaseId>>,
    /// Named by a posted purchase and not seen yet.
    needed: BTreeMap<DecisionId, PurchaseId>,
    posted: Vec<PurchaseId>,
    /// Bytes of each policy's space: as found, and as recorded.
    spaces: BTreeMap<String, (u64, u64)>,
    found: Found,
}

impl Auditor {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ledger's first record.
    pub fn genesis(&mut self, genesis: &Genesis) {
        self.local = Some(genesis.local);
    }

    /// What the ledger was endowed with.
    pub fn totals(&mut self, totals: &Totals) {
        self.totals = *totals;
    }

    /// One account.
    pub fn account(&mut self, _address: &Address, account: &Account) {
        self.any_record = true;
        self.accounts.add(account.balance);
        self.granted.add(account.granted);
    }

    /// One delegate's actor.
    pub fn binding(&mut self, delegate: &Address, binding: &Binding) {
        self.any_record = true;
        self.bindings.insert(*delegate, *binding);
    }

    /// One channel.
    pub fn channel(&mut self, channel: &Channel) {
        self.any_record = true;
        if let Err(violation) = check_channel(channel) {
            self.found.push(violation);
        }
        if channel.bound {
            self.bound.insert(channel.id, (channel.delegate, channel.actor));
        }
        match channel.kind {
            ChannelKind::Payment => self.debits.add(channel.spent),
            ChannelKind::Paying => {
                self.credits.add(channel.spent);
                self.prepaid.add(channel.prepaid);
            }
        }
        // A settled channel has paid out to accounts.
        if channel.state != ChannelState::Closed {
            self.channels.add(channel.posted_remaining());
            self.channels.add(channel.spent);
        }
        self.lines
            .entry((channel.id, channel.kind.into()))
            .or_default()
            .know(channel);
    }

    /// What the chain says of one channel.
    pub fn anchor(&mut self, channel: ChannelId, anchor: &Anchor) {
        self.any_record = true;
        self.anchors.insert(channel, anchor.closed.is_some());
    }

    /// One transaction of the market maker.
    pub fn intent(&mut self, intent: &Intent) {
        self.any_record = true;
        self.outbox.intent(intent);
    }

    /// Which nonces are given out.
    pub fn nonce_line(&mut self, line: &NonceLine) {
        self.any_record = true;
        self.outbox.line(line);
    }

    /// One channel's way out of quarantine.
    pub fn reconciliation(&mut self, record: &Reconciliation) {
        self.any_record = true;
        let ahead = record
            .shown
            .is_none_or(|shown| shown.seq >= record.seq && shown.balance <= record.remaining);
        if !ahead {
            self.found.push(Violation::ChannelShape {
                channel: record.channel,
                what: "it was reconciled to a state before its own",
            });
        }
        let countersigned = record.shown.and_then(|shown| shown.countersignature).is_some();
        if record.kind == ChannelKind::Paying && record.positions() > 0 && !countersigned {
            self.found.push(Violation::ChannelShape {
                channel: record.channel,
                what: "it was reconciled to a later state on its seller's word alone",
            });
        }
        match record.kind {
            ChannelKind::Payment => self.lost_debits.add(record.amount()),
            ChannelKind::Paying => self.lost_credits.add(record.amount()),
        }
        self.lines
            .entry((record.channel, record.kind.into()))
            .or_default()
            .reconciled(record);
    }

    /// One offer.
    pub fn offer(&mut self, offer: &Offer) {
        self.any_record = true;
        self.escrow.offer(offer);
        if offer.copies.is_some() || offer.remaining.is_some() {
            self.limited.insert(offer.id, (offer.copies, offer.remaining));
        }
    }

    /// One purchase, whatever became of it.
    pub fn purchase(&mut self, purchase: &Purchase) {
        self.any_record = true;
        if let Err(violation) = check_purchase(purchase) {
            self.found.push(violation);
        }
        let (payment, paying) = (Step::paid(purchase), Step::earned(purchase));
        if matches!(purchase.state, PurchaseState::Posted { .. }) {
            self.fees.add(purchase.fee);
            self.posted.push(purchase.id);
            self.need(purchase.id, purchase.source);
        }
        if !matches!(purchase.state, PurchaseState::Voided { .. }) {
            self.take(purchase.offer);
        }
        self.step(
            purchase.identity.channel,
            Side::Payment,
            &payment,
            &purchase.state,
        );
        self.step(purchase.paying_channel, Side::Paying, &paying, &purchase.state);
    }

    /// One sale of an escrowed key.
    pub fn escrow_sale(&mut self, sale: &EscrowSale) {
        self.any_record = true;
        if let Err(violation) = check_escrow_sale(sale) {
            self.found.push(violation);
        }
        self.fees.add(sale.fee);
        self.posted.push(sale.id);
        self.need(sale.id, sale.source);
        self.take(sale.offer);
        self.escrow.sale(sale);
        let step = Step::delivered(sale);
        self.post(sale.identity.channel, Side::Payment, &step);
    }

    /// The id of one escrowed key.
    pub fn escrowed_key(&mut self, key: &KeyId) {
        self.any_record = true;
        self.escrow.key(key);
    }

    /// What one delegate is owed.
    pub fn debt(&mut self, delegate: &Address, debt: &Debt) {
        self.any_record = true;
        self.escrow.debt(delegate, debt);
    }

    /// What the final state of one channel paid of a debt.
    pub fn escrow_payment(&mut self, channel: &ChannelId, payment: &EscrowPayment) {
        self.any_record = true;
        self.escrow.payment(channel, payment);
    }

    /// One voucher.
    pub fn voucher(&mut self, voucher: &Voucher) {
        self.any_record = true;
        let state = (voucher.seq, voucher.balance);
        self.vouchers.insert(voucher.channel, state);
    }

    /// One key that a client logs in with.
    pub fn user_key(&mut self, key: &UserKey) {
        self.any_record = true;
        self.logins.key(key);
    }

    /// One recorded decision.
    pub fn decision(&mut self, decision: &Decision) {
        self.any_record = true;
        let (decision, purchase) = (decision.id, decision.header.purchase);
        self.needed.remove(&decision);
        self.decisions.insert(decision, purchase);
    }

    /// One value of a policy, and its length.
    pub fn policy_value(&mut self, slot: &PolicySlot, length: usize) {
        if length > StateWrite::MAX_VALUE {
            self.misshapen(slot, "the value is longer than may be");
        }
        self.hold(slot, slot.size_of_value(length));
    }

    /// One counter of a policy.
    pub fn policy_counter(&mut self, slot: &PolicySlot, count: i64) {
        if count == 0 {
            self.misshapen(slot, "the counter is zero and yet kept");
        }
        self.hold(slot, slot.size_of_counter(count));
    }

    /// What a policy's space takes, as the ledger says.
    pub fn policy_size(&mut self, policy: &str, size: u64) {
        self.any_record = true;
        self.spaces.entry(policy.to_owned()).or_default().1 = size;
    }

    /// The sums so far.
    pub fn sums(&self) -> Sums {
        Sums {
            accounts: self.accounts.saturated(),
            channels: self.channels.saturated(),
            endowed: self.totals.float.saturating_add(self.totals.granted),
            debits: self.debits.saturated(),
            credits: self.credits.saturated(),
            owed: self.escrow.owed(),
            prepaid: self.prepaid.saturated(),
            fees: self.fees.saturated(),
        }
    }

    /// Everything that does not hold, none for a sound ledger. The first thousand are told, the rest counted.
    pub fn finish(mut self) -> Vec<Violation> {
        let mut found = self.found;
        // A channel that paid a debt has a line, if only to say that there is no such channel.
        for channel in self.escrow.payers() {
            self.lines.entry((*channel, Side::Paying)).or_default();
        }
        let (mut told_prepaid, mut told_earned) = (Spent::default(), Spent::default());
        for ((id, side), line) in &self.lines {
            let paid = self.escrow.paid_over(id).filter(|_| *side == Side::Paying);
            line.finish(*id, *side, paid, &mut |violation| found.push(violation));
            let (more, less) = line.told();
            told_prepaid.add(more);
            told_earned.add(less);
        }
        self.escrow.finish(&mut |violation| found.push(violation));
        self.outbox.finish(&mut |violation| found.push(violation));
        self.logins.finish(&mut |violation| found.push(violation));
        for (channel, (delegate, actor)) in self.bound {
            if self.bindings.get(&delegate).map(|binding| binding.actor) != Some(actor) {
                found.push(Violation::BoundElsewhere { channel, delegate });
            }
        }
        for (channel, state) in self.vouchers {
            let line = self.lines.get(&(channel, Side::Payment));
            if line.and_then(Line::posted_pair) != Some(state) {
                found.push(Violation::ChannelShape {
                    channel,
                    what: "its voucher is for another state than its posted one",
                });
            }
        }
        for (channel, paid_out) in self.anchors {
            let states = [Side::Payment, Side::Paying].map(|side| self.lines.get(&(channel, side))?.state());
            let agrees = match states.into_iter().flatten().next() {
                // One that the ledger did not settle stands in quarantine for good.
                Some((state, quarantined)) => paid_out == (state == ChannelState::Closed) || quarantined,
                None => false,
            };
            if !agrees {
                found.push(Violation::ChannelShape {
                    channel,
                    what: "the chain says otherwise whether it is settled",
                });
            }
        }
        for (offer, (copies, remaining)) in self.limited {
            let taken = self.taken.get(&offer).copied().unwrap_or_default();
            let adds_up = match (copies, remaining) {
                (Some(copies), Some(left)) => u64::from(left).checked_add(taken) == Some(u64::from(copies)),
                _ => false,
            };
            if !adds_up {
                found.push(Violation::Copies {
                    offer,
                    copies,
                    remaining,
                    taken,
                });
            }
        }
        for (decision, purchase) in self.needed {
            found.push(Violation::MissingDecision { purchase, decision });
        }
        self.posted.sort_unstable();
        for (decision, purchase) in self.decisions {
            if purchase.is_none_or(|purchase| self.posted.binary_search(&purchase).is_err()) {
                found.push(Violation::OrphanDecision { decision, purchase });
            }
        }
        for (policy, (bytes, recorded)) in self.spaces {
            if bytes != recorded {
                found.push(Violation::StateSize {
                    policy,
                    found: bytes,
                    recorded,
                });
            }
        }
        // Sums over 256 bits compare nothing; each channel was checked by itself. What the two sides of a lost sale
        // moved is known of each by itself, and not of both. Paid for escrowed keys and spent by a paying channel is one
        // and the same.
        let (earned, paid) = (self.escrow.earned, self.escrow.paid);
        if let (Some(debits), Some(credits), Some(fees)) = (self.debits.0, self.credits.0, self.fees.0)
            && let (Some(lost_debits), Some(lost_credits)) = (self.lost_debits.0, self.lost_credits.0)
            && let (Some(earned), Some(paid), Some(prepaid)) = (earned.0, paid.0, self.prepaid.0)
            && let (Some(told_prepaid), Some(told_earned)) = (told_prepaid.0, told_earned.0)
            && [fees, earned, lost_debits, told_prepaid]
                .into_iter()
                .try_fold(credits, Amount::checked_add)
                != [lost_credits, paid, prepaid, told_earned]
                    .into_iter()
                    .try_fold(debits, Amount::checked_add)
        {
            found.push(Violation::Debits {
                debits,
                credits: credits
                    .saturating_add(earned.checked_sub(paid).unwrap_or_default())
                    .checked_sub(prepaid)
                    .unwrap_or_default(),
                fees,
            });
        }
        match self.local {
            None if self.any_record => found.push(Violation::NoGenesis),
            Some(true) => {
                let (accounts, granted) = (self.accounts.saturated(), self.granted.saturated());
                if let Err(violation) = check_totals(&self.totals, accounts, self.channels.saturated()) {
                    found.push(violation);
                }
                if granted != self.totals.granted {
                    found.push(Violation::Grants {
                        accounts: granted,
                        total: self.totals.granted,
                    });
                }
            }
            None | Some(false) => {}
        }
        found.into_list()
    }

    fn misshapen(&mut self, slot: &PolicySlot, what: &'static str) {
        self.found.push(Violation::StateShape {
            policy: slot.policy.clone(),
            key: slot.key.clone(),
            what,
        });
    }

    fn hold(&mut self, slot: &PolicySlot, bytes: u64) {
        self.any_record = true;
        if slot.key.len() > StateWrite::MAX_KEY {
            self.misshapen(slot, "the key is longer than may be");
        }
        let space = match self.spaces.get_mut(&slot.policy) {
            Some(space) => space,
            None => self.spaces.entry(slot.policy.clone()).or_default(),
        };
        space.0 = space.0.saturating_add(bytes);
    }

    fn step(&mut self, channel: ChannelId, side: Side, step: &Step, state: &PurchaseState) {
        let line = self.lines.entry((channel, side)).or_default();
        match state {
            PurchaseState::Sent => line.sent(step),
            PurchaseState::Voided { .. } => line.voided(step),
            PurchaseState::Posted { .. } => self.post(channel, side, step),
        }
    }

    fn post(&mut self, channel: ChannelId, side: Side, step: &Step) {
        if !self.lines.entry((channel, side)).or_default().posted(step) {
            self.found.push(Violation::DuplicateSeq {
                side,
                channel,
                seq: step.seq,
            });
        }
    }

    /// One copy of an offer is sold or reserved.
    fn take(&mut self, offer: OfferId) {
        let taken = self.taken.entry(offer).or_default();
        *taken = taken.saturating_add(1);
    }

    fn need(&mut self, purchase: PurchaseId, source: PriceSource) {
        if let PriceSource::Policy(decision) = source
            && !self.decisions.contains_key(&decision)
        {
            self.needed.insert(decision, purchase);
        }
    }
}

/// Violations, the first of them one by one.
#[derive(Debug, Default)]
struct Found {
    list: Vec<Violation>,
    more: u64,
}

impl Found {
    fn push(&mut self, violation: Violation) {
        if self.list.len() < MAX_VIOLATIONS {
            self.list.push(violation);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    fn into_list(mut self) -> Vec<Violation> {
        if self.more > 0 {
            self.list.push(Violation::More { count: self.more });
        }
        self.list
    }
}
