//! Vouchers: what an order must bring, and what is kept of it.

use super::Decided;
use crate::voucher::{Cover, RenewRequest, SignedVoucher};
use crate::{
    Amount, BlockNumber, Change, Channel, ChannelId, ChannelKind, ChannelState, Fault, Nanos, Outcome,
    Refusal, Seq, View,
};

/// An order after which more is spent than is taken on trust brings a voucher over the state it leads to.
pub(super) fn check_cover<V: View>(
    view: &V,
    payment: &Channel,
    (seq, balance): (Seq, Amount),
    price: Amount,
    cover: &Cover,
) -> Result<(), Fault<V::Error>> {
    let (spent, most) = (payment.spent, cover.most);
    // While a purchase is under way no channel is closed: by one after the other a buyer could wait until its voucher lapses.
    let standing = view.voucher(&payment.id).map_err(Fault::View)?;
    if let Some(standing) = standing.filter(|standing| spent > most && standing.close_at < cover.not_before) {
        return Err(Refusal::VoucherDue {
            channel: payment.id,
            close_at: standing.close_at,
        }
        .into());
    }
    if let Some(voucher) = &cover.voucher {
        return Ok(check_fits(payment, (seq, balance), voucher)?);
    }
    match spent.checked_add(price).is_some_and(|all| all <= most) {
        true => Ok(()),
        false => Err(Refusal::Unsettled { spent, price, most }.into()),
    }
}

/// Signed by the channel's delegate, over this very state.
pub(super) fn check_fits(
    payment: &Channel,
    (seq, balance): (Seq, Amount),
    voucher: &SignedVoucher,
) -> Result<(), Refusal> {
    if voucher.signer != payment.delegate {
        return Err(Refusal::WrongSigner {
            signer: voucher.signer,
            expected: payment.delegate,
        });
    }
    if (voucher.seq, voucher.balance) != (seq, balance) {
        return Err(Refusal::VoucherMisfits {
            seq,
            balance,
            got_seq: voucher.seq,
            got_balance: voucher.balance,
        });
    }
    Ok(())
}

/// What is on record of vouchers once the channel moved: the one over its new state, or none.
pub(super) fn moved<V: View>(
    view: &V,
    channel: ChannelId,
    voucher: Option<&SignedVoucher>,
    at: Nanos,
) -> Result<Option<Change>, Fault<V::Error>> {
    if let Some(voucher) = voucher {
        return Ok(Some(Change::Voucher(
            channel,
            Some(Box::new(voucher.kept(channel, at))),
        )));
    }
    let stale = view.voucher(&channel).map_err(Fault::View)?.is_some();
    Ok(stale.then_some(Change::Voucher(channel, None)))
}

/// The voucher over the posted state is signed anew.
pub(super) fn renew<V: View>(view: &V, request: &RenewRequest) -> Decided<V> {
    let id = request.channel;
    let channel = view.channel(&id).map_err(Fault::View)?;
    let channel = channel
        .filter(|channel| channel.kind == ChannelKind::Payment)
        .ok_or(Refusal::ChannelUnknown { channel: id })?;
    if channel.state != ChannelState::Open {
        return Err(Refusal::ChannelNotOpen { channel: id }.into());
    }
    if let Some(purchase) = channel.pending {
        return Err(Refusal::PurchasePending {
            purchase,
            same: false,
        }
        .into());
    }
    if channel.spent.is_zero() {
        return Err(Refusal::NothingSpent { channel: id }.into());
    }
    let voucher = &request.voucher;
    check_fits(&channel, (channel.seq, channel.posted_remaining()), voucher)?;
    let standing = view.voucher(&id).map_err(Fault::View)?;
    match standing.map(|standing| standing.close_at) {
        Some(close_at) if close_at > voucher.close_at => Err(Refusal::VoucherOlder {
            close_at,
            got: voucher.close_at,
        }
        .into()),
        Some(close_at) if close_at == voucher.close_at => Ok((Vec::new(), Outcome::Done)),
        _ => {
            let kept = Box::new(voucher.kept(id, request.at));
            Ok((vec![Change::Voucher(id, Some(kept))], Outcome::Done))
        }
    }
}

/// The contract would take this voucher no more, or need not. A newer one stays.
pub(super) fn lapse<V: View>(view: &V, channel: ChannelId, close_at: BlockNumber) -> Decided<V> {
    let standing = view.voucher(&channel).map_err(Fault::View)?;
    let lapsed = standing.is_some_and(|standing| standing.close_at <= close_at);
    let changes = lapsed.then_some(Change::Voucher(channel, None));
    Ok((changes.into_iter().collect(), Outcome::Done))
}
