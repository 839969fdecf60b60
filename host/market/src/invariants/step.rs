//! What one purchase does to one of its channels, and what the two records show of it together.

use super::{Side, Violation, check_channel, check_escrow_sale, check_purchase};
use crate::{
    Address, Amount, Channel, ChannelId, ChannelState, EscrowSale, Purchase, PurchaseId, PurchaseState, Seq,
};
use core::cmp::Ordering;

/// One step of a purchase on one of its channels.
pub(super) struct Step {
    pub(super) purchase: PurchaseId,
    /// The buyer on the payment channel, the seller on the paying one.
    pub(super) party: Address,
    /// Where it takes the channel.
    pub(super) seq: Seq,
    /// What is left there.
    pub(super) balance: Amount,
    /// What it takes from the channel: the price, or what the seller was paid.
    pub(super) cost: Amount,
    /// Positions it moves the channel by.
    pub(super) moves: u32,
    /// What of the cost was for no purchase yet.
    pub(super) beyond: Amount,
    /// What of the purchase had been paid before.
    pub(super) netted: Amount,
}

impl Step {
    /// What a purchase does to its payment channel.
    pub(super) fn paid(purchase: &Purchase) -> Self {
        Self {
            purchase: purchase.id,
            party: purchase.buyer,
            seq: purchase.payment_seq,
            balance: purchase.payment_balance,
            cost: purchase.price,
            moves: 1,
            beyond: Amount::ZERO,
            netted: Amount::ZERO,
        }
    }

    /// What the sale of an escrowed key does to its payment channel.
    pub(super) fn delivered(sale: &EscrowSale) -> Self {
        Self {
            purchase: sale.id,
            party: sale.buyer,
            seq: sale.payment_seq,
            balance: sale.payment_balance,
            cost: sale.price,
            moves: 1,
            beyond: Amount::ZERO,
            netted: Amount::ZERO,
        }
    }

    /// What a purchase does to its paying channel, or has reserved there. What its fields do not add up to is reported by
    /// [`check_purchase`], and counts as nothing here.
    pub(super) fn earned(purchase: &Purchase) -> Self {
        let base = purchase.paying_base().unwrap_or_default();
        let (seq, balance) = match purchase.state {
            // Reserved is what the lowest state would pay, where the first question was asked.
            PurchaseState::Sent | PurchaseState::Voided { .. } => {
                let held = purchase.held().unwrap_or_default();
                (purchase.paying_seq, base.checked_sub(held).unwrap_or_default())
            }
            PurchaseState::Posted { .. } => purchase
                .answered()
                // No channel is at seq 0.
                .map_or((Seq(0), Amount::ZERO), |ask| (ask.seq, ask.balance)),
        };
        let cost = base.checked_sub(balance).unwrap_or_default();
        let payable = purchase.payable().unwrap_or_default();
        Self {
            purchase: purchase.id,
            party: purchase.seller,
            seq,
            balance,
            cost,
            moves: seq.0.wrapping_sub(purchase.paying_seq.0).wrapping_add(1),
            beyond: cost.checked_sub(payable).unwrap_or_default(),
            netted: purchase.prepaid,
        }
    }

    /// Whether its channel knows it: as pending while it is `sent`, else as posted, at its position or before.
    fn is_known_to(
        &self,
        side: Side,
        id: ChannelId,
        channel: Option<&Channel>,
        sent: bool,
    ) -> Result<(), Violation> {
        let purchase = self.purchase;
        let Some(channel) = channel.filter(|channel| Side::from(channel.kind) == side) else {
            return Err(Violation::UnknownChannel {
                side,
                purchase,
                channel: id,
            });
        };
        check_channel(channel)?;
        if self.party != channel.delegate {
            return Err(Violation::WrongParty {
                side,
                purchase,
                channel: id,
                named: self.party,
                delegate: channel.delegate,
            });
        }
        if sent {
            let reserved = self.cost == channel.inflight
                && self.balance == channel.remaining
                && channel.seq.next() == Some(self.seq);
            return match channel.pending == Some(purchase) {
                false => Err(Violation::SentNotPending {
                    side,
                    purchase,
                    channel: id,
                }),
                true if !reserved => Err(Violation::ReservedMismatch {
                    side,
                    channel: id,
                    purchase,
                }),
                true => Ok(()),
            };
        }
        let left = channel.posted_remaining();
        let fits = match (channel.seq.cmp(&self.seq), channel.state) {
            (Ordering::Less, _) => false,
            (Ordering::Equal, ChannelState::Open) => left == self.balance,
            // A final state gives back what was prepaid, and may have paid a debt for escrowed keys out of what was left.
            (Ordering::Equal, _) => left <= self.balance.saturating_add(channel.returned()),
            (Ordering::Greater, _) => true,
        };
        match fits {
            true => Ok(()),
            false => Err(Violation::BrokenTrail { channel: id }),
        }
    }
}

/// What a purchase and its two channels, as the ledger has them, show together: all of them by themselves, and whether
/// the channels know it. A voided purchase leaves nothing on them.
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_in_place(
    purchase: &Purchase,
    payment: Option<&Channel>,
    paying: Option<&Channel>,
) -> Result<(), Violation> {
    check_purchase(purchase)?;
    let sent = match purchase.state {
        PurchaseState::Voided { .. } => return Ok(()),
        PurchaseState::Sent => true,
        PurchaseState::Posted { .. } => false,
    };
    let (id, other) = (purchase.identity.channel, purchase.paying_channel);
    Step::paid(purchase).is_known_to(Side::Payment, id, payment, sent)?;
    Step::earned(purchase).is_known_to(Side::Paying, other, paying, sent)
}

/// The same of the sale of an escrowed key, which has one channel.
///
/// # Errors
///
/// The first [`Violation`] found.
pub fn check_sale_in_place(sale: &EscrowSale, payment: Option<&Channel>) -> Result<(), Violation> {
    check_escrow_sale(sale)?;
    Step::delivered(sale).is_known_to(Side::Payment, sale.identity.channel, payment, false)
}
