//! Endowing a ledger, and the faucet of local mode.

use super::{Decided, genesis_of};
use crate::{Account, Amount, Change, Fault, FundRequest, Genesis, Outcome, Refusal, Totals, View};

/// The first record. The same market started again is welcome and changes nothing, whatever float its
/// configuration names by now; any other is refused.
pub(super) fn endow<V: View>(view: &V, genesis: &Genesis) -> Decided<V> {
    if let Some(ours) = view.genesis().map_err(Fault::View)? {
        let same = ours.market == genesis.market
            && ours.marketmaker == genesis.marketmaker
            && ours.owner == genesis.owner
            && ours.local == genesis.local;
        return if same {
            Ok((Vec::new(), Outcome::Done))
        } else {
            Err(Refusal::GenesisMismatch.into())
        };
    }
    // With a chain the market maker's tokens are the contract's to count.
    let float = if genesis.local {
        genesis.float
    } else {
        Amount::ZERO
    };
    let mut changes = vec![
        Change::Genesis(Genesis {
            float,
            ..genesis.clone()
        }),
        Change::Totals(Totals {
            float,
            granted: Amount::ZERO,
        }),
    ];
    if genesis.local {
        changes.push(Change::Account(
            genesis.marketmaker,
            Account {
                balance: float,
                granted: Amount::ZERO,
            },
        ));
    }
    Ok((changes, Outcome::Done))
}

/// A grant of test tokens.
pub(super) fn fund<V: View>(view: &V, request: &FundRequest) -> Decided<V> {
    if !genesis_of(view)?.local {
        return Err(Refusal::NotLocal.into());
    }
    let totals = view.totals().map_err(Fault::View)?;
    let granted = totals
        .granted
        .checked_add(request.amount)
        .ok_or(Refusal::Overflow)?;
    // Accounts and channels together never hold more than this sum, so none of them can overflow either.
    totals.float.checked_add(granted).ok_or(Refusal::Overflow)?;

    let before = view
        .account(&request.address)
        .map_err(Fault::View)?
        .unwrap_or_default();
    let account = Account {
        balance: before
            .balance
            .checked_add(request.amount)
            .ok_or(Refusal::Overflow)?,
        granted: before
            .granted
            .checked_add(request.amount)
            .ok_or(Refusal::Overflow)?,
    };
    let changes = vec![
        Change::Account(request.address, account),
        Change::Totals(Totals { granted, ..totals }),
    ];
    Ok((changes, Outcome::Funded(account)))
}
