//! What all records together say about escrowed keys and the debts for them.

use super::Violation;
use super::line::Spent;
use crate::{Address, Amount, ChannelId, Debt, EscrowPayment, EscrowSale, KeyId, Offer, PurchaseId};
use std::collections::{BTreeMap, BTreeSet};

/// Sales, debts, their payments and the keys, folded.
#[derive(Debug, Default)]
pub(super) struct Escrow {
    accounts: BTreeMap<Address, Account>,
    payments: BTreeMap<ChannelId, EscrowPayment>,
    /// All that was earned, and all that was paid of it.
    pub(super) earned: Spent,
    pub(super) paid: Spent,
    owed: Spent,
    /// Offers whose keys may be sold in escrow: the signed ones.
    signed: BTreeMap<KeyId, Signed>,
    /// One sale of each key, for each delegate that is owed for it.
    sold: BTreeMap<(KeyId, Address), PurchaseId>,
    kept: BTreeSet<KeyId>,
}

/// A signed offer.
#[derive(Debug)]
struct Signed {
    seller: Address,
    revoked: bool,
}

/// One delegate's.
#[derive(Debug, Default)]
struct Account {
    debt: Debt,
    earned: Spent,
    paid: Spent,
    sales: u64,
}

impl Escrow {
    pub(super) fn sale(&mut self, sale: &EscrowSale) {
        // A fee above the price is reported already.
        let credit = sale.credit().unwrap_or_default();
        self.earned.add(credit);
        let key = (sale.identity.key, sale.seller);
        self.sold.entry(key).or_insert(sale.id);
        let account = self.accounts.entry(sale.seller).or_default();
        account.earned.add(credit);
        account.sales = account.sales.saturating_add(1);
    }

    pub(super) fn debt(&mut self, delegate: &Address, debt: &Debt) {
        self.owed.add(debt.owed);
        self.accounts.entry(*delegate).or_default().debt = *debt;
    }

    pub(super) fn payment(&mut self, channel: &ChannelId, payment: &EscrowPayment) {
        self.paid.add(payment.amount);
        self.accounts
            .entry(payment.delegate)
            .or_default()
            .paid
            .add(payment.amount);
        self.payments.insert(*channel, *payment);
    }

    pub(super) fn key(&mut self, key: &KeyId) {
        self.kept.insert(*key);
    }

    pub(super) fn offer(&mut self, offer: &Offer) {
        if offer.signature_verified {
            let signed = Signed {
                seller: offer.seller,
                revoked: offer.revoked.is_some(),
            };
            self.signed.insert(offer.key, signed);
        }
    }

    /// What a channel's final state paid of its delegate's debt.
    pub(super) fn paid_over(&self, channel: &ChannelId) -> Option<&EscrowPayment> {
        self.payments.get(channel)
    }

    /// The channels that paid something.
    pub(super) fn payers(&self) -> impl Iterator<Item = &ChannelId> {
        self.payments.keys()
    }

    /// All that is owed.
    pub(super) fn owed(&self) -> Amount {
        self.owed.saturated()
    }

    pub(super) fn finish(&self, found: &mut impl FnMut(Violation)) {
        for (delegate, account) in &self.accounts {
            let Debt { owed, settled, sales } = account.debt;
            let adds_up = account.earned.0.is_some()
                && owed.checked_add(settled) == account.earned.0
                && account.paid.0 == Some(settled)
                && sales == account.sales;
            if !adds_up {
                found(Violation::Debt {
                    delegate: *delegate,
                    debt: Box::new(account.debt),
                    earned: account.earned.saturated(),
                    paid: account.paid.saturated(),
                    sold: account.sales,
                });
            }
        }
        for ((key, seller), purchase) in &self.sold {
            let signed = self.signed.get(key);
            if signed.is_none_or(|offer| offer.seller != *seller) {
                found(Violation::WrongCreditor {
                    purchase: *purchase,
                    key: *key,
                    named: *seller,
                });
            }
        }
        let may_be_kept = |key: &&KeyId| self.signed.get(*key).is_some_and(|offer| !offer.revoked);
        for key in self.kept.iter().filter(|key| !may_be_kept(key)) {
            found(Violation::StrayKey { key: *key });
        }
    }
}
