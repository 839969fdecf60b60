//! What the ledger of a dead host must hold, by what everybody was told.

use crate::market::Market;
use bourse_market::{Amount, Channel, ChannelId, Identity, Seq, View, find_receipt};
use bourse_store::{Reader, Report, Store};
use bourse_tests::{Order, Receipt};

/// Every unit that was ever handed out, and every unit that is there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Units {
    pub(crate) expected: Amount,
    pub(crate) found: Amount,
}

/// What an audit says.
#[derive(Default)]
pub(crate) struct Audit {
    pub(crate) units: Units,
    /// What is not as it must be.
    pub(crate) findings: Vec<String>,
    /// Purchases that the kill cut off between RESERVE and their end.
    pub(crate) cut: u64,
    /// Sellers that adopted the state of such a purchase, and what it credits them.
    pub(crate) adopted: Vec<Amount>,
}

/// Reads the whole ledger on disk. The host is dead, or stopped.
pub(crate) fn audit(market: &Market) -> Audit {
    let store = Store::open_read_only(market.world.data(), market.world.config().store.map_size).unwrap();
    let ledger = store.read().unwrap();
    let report = ledger.verify(&mut |_, _| {}).unwrap();
    let mut audit = Audit {
        cut: report.checked.sent,
        findings: report.violations.iter().map(ToString::to_string).collect(),
        ..Audit::default()
    };
    count_units(market, &ledger, &report, &mut audit);
    check_receipts(market, &ledger, &report, &mut audit);
    check_sellers(market, &ledger, &report, &mut audit);
    for key in &market.keys {
        if ledger.offer_by_key(key).unwrap().is_none() {
            audit
                .findings
                .push(format!("the offer of key {key} was accepted and is gone"));
        }
    }
    audit
}

/// Float and grants against accounts and channels.
fn count_units(market: &Market, ledger: &Reader<'_>, report: &Report, audit: &mut Audit) {
    let mut granted = market.deposits();
    for opening in &market.openings {
        let account = ledger.account(&opening.actor).unwrap();
        let channel = ledger.channel(&opening.channel).unwrap();
        if account.is_some() || opening.granted {
            granted = granted.saturating_add(opening.amount);
        }
        if opening.granted && account.is_none() {
            let lost = format!("a grant of {} to {} is gone", opening.amount, opening.actor);
            audit.findings.push(lost);
        }
        if opening.opened && channel.is_none() {
            audit
                .findings
                .push(format!("channel {} was opened and is gone", opening.channel));
        }
    }
    audit.units = Units {
        expected: market.float.saturating_add(granted),
        found: report.sums.accounts.saturating_add(report.sums.channels),
    };
    let Units { expected, found } = audit.units;
    if expected != found {
        audit
            .findings
            .push(format!("{expected} tokens were handed out, {found} are there"));
    }
}

/// Every receipt in its place, word for word; every buyer where its books say, or one unanswered order further.
fn check_receipts(market: &Market, ledger: &Reader<'_>, report: &Report, audit: &mut Audit) {
    let mut receipts = 0;
    for (number, trader) in market.traders.iter().enumerate() {
        let buyer = &trader.buyer;
        let channel = ledger.channel(&buyer.channel).unwrap().unwrap();
        let kept = trader.receipts.iter().filter(|(order, receipt)| {
            let found = find(ledger, &channel, order);
            if found.as_ref().is_none_or(|found| !is_of(found, receipt)) {
                audit.findings.push(format!(
                    "buyer {number} holds a receipt for {} tokens at seq {}, and the ledger does not",
                    receipt.paid, receipt.seq.0
                ));
            }
            found.is_some()
        });
        receipts += kept.count() as u64;
        let posted = (channel.seq, channel.posted_remaining());
        let unanswered = trader.unanswered.as_ref();
        if unanswered.is_some_and(|order| posted == (order.seq, order.balance)) {
            receipts += 1;
        } else if posted != (buyer.seq, buyer.balance) {
            audit.findings.push(format!(
                "buyer {number} has seq {} and {} left by its books, {} and {} by the ledger",
                buyer.seq.0, buyer.balance, posted.0.0, posted.1
            ));
        }
    }
    if receipts != report.checked.posted {
        audit.findings.push(format!(
            "{receipts} purchases are accounted for by buyers, the ledger has {} posted",
            report.checked.posted
        ));
    }
}

fn find(ledger: &Reader<'_>, channel: &Channel, order: &Order) -> Option<bourse_market::Receipt> {
    let identity = Identity {
        channel: order.channel,
        seq: order.seq,
        key: order.key,
        buyer_pubkey: order.pubkey,
        amount: order.amount,
        balance: order.balance,
    };
    find_receipt(ledger, channel, &identity).unwrap()
}

fn is_of(found: &bourse_market::Receipt, receipt: &Receipt) -> bool {
    found.s4 == receipt.signature
        && found.sealed_key.0[..] == receipt.sealed_key[..]
        && (found.seq, found.balance, found.price) == (receipt.seq, receipt.remaining, receipt.paid)
}

/// A seller stands where the ledger does, or has adopted a purchase that was cut off: that one is the market maker's
/// risk, and never more than one of a paying channel.
fn check_sellers(market: &Market, ledger: &Reader<'_>, report: &Report, audit: &mut Audit) {
    for (number, seller) in market.sellers.iter().enumerate() {
        let (seq, left) = posted(ledger, &seller.channel);
        let (own_seq, own_left) = seller.books();
        match (left.checked_sub(own_left), own_seq.0.checked_sub(seq.0)) {
            (Some(Amount::ZERO), Some(0)) => {}
            (Some(ahead), Some(_)) if ahead <= market.highest_price() => audit.adopted.push(ahead),
            _ => audit.findings.push(format!(
                "seller {number} has seq {} and {own_left} left by its books, {} and {left} by the ledger",
                own_seq.0, seq.0
            )),
        }
    }
    let sums = &report.sums;
    let paid = sums.debits.saturating_add(sums.prepaid);
    if paid != sums.credits.saturating_add(sums.owed) {
        let unequal = format!(
            "buyers paid {} tokens, sellers got {}, {} of it too early, and are owed {}",
            sums.debits, sums.credits, sums.prepaid, sums.owed
        );
        audit.findings.push(unequal);
    }
}

fn posted(ledger: &Reader<'_>, channel: &ChannelId) -> (Seq, Amount) {
    let channel = ledger.channel(channel).unwrap().unwrap();
    (channel.seq, channel.posted_remaining())
}
