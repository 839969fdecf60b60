//! Opening channels.

use super::{Decided, genesis_of};
use crate::chain::ChannelTerms;
use crate::{
    Account, Address, Amount, BindRequest, Binding, Change, Channel, ChannelId, ChannelKind, ChannelState,
    Fault, Genesis, Nanos, OpenRequest, Outcome, Refusal, Seq, View,
};

/// A new channel at seq 1 with its whole deposit left. In local mode the payer's account is debited in the same
/// write; with a chain the contract has done that.
pub(super) fn open<V: View>(view: &V, request: &OpenRequest) -> Decided<V> {
    let genesis = genesis_of(view)?;
    check_fields(&genesis, request)?;
    if view.channel(&request.id).map_err(Fault::View)?.is_some() {
        return Err(Refusal::ChannelExists { channel: request.id }.into());
    }
    let mut changes = Vec::with_capacity(3);
    if genesis.local {
        changes.push(debit(view, payer(&genesis, request), request.amount)?);
    }
    let bound = match view.binding(&request.delegate).map_err(Fault::View)? {
        Some(binding) => binding.actor == request.actor,
        None => {
            let binding = Binding {
                actor: request.actor,
                channel: request.id,
                at: request.at,
            };
            changes.push(Change::Binding(request.delegate, binding));
            true
        }
    };
    let channel = Box::new(fresh(&request.into(), request.open_at, request.at, bound));
    changes.push(Change::Channel(channel.clone()));
    Ok((changes, Outcome::Opened(channel)))
}

/// A delegate becomes its actor's, for good, and channels of that actor that name it are used from now on.
pub(super) fn bind<V: View>(view: &V, request: &BindRequest) -> Decided<V> {
    genesis_of(view)?;
    let BindRequest { delegate, actor, .. } = *request;
    if delegate == Address([0; Address::LEN]) {
        return Err(Refusal::ZeroDelegate.into());
    }
    let mut changes = Vec::with_capacity(1 + request.channels.len());
    match view.binding(&delegate).map_err(Fault::View)? {
        Some(binding) if binding.actor != actor => {
            return Err(Refusal::DelegateTaken {
                delegate,
                actor: binding.actor,
            }
            .into());
        }
        Some(_) => {}
        None => {
            let binding = Binding {
                actor,
                // None where its first channel is yet to be opened.
                channel: request
                    .channels
                    .first()
                    .copied()
                    .unwrap_or(ChannelId([0; ChannelId::LEN])),
                at: request.at,
            };
            changes.push(Change::Binding(delegate, binding));
        }
    }
    let mut channels = Vec::with_capacity(request.channels.len());
    for id in &request.channels {
        let channel = view.channel(id).map_err(Fault::View)?;
        let mut channel = channel.ok_or(Refusal::ChannelUnknown { channel: *id })?;
        if channel.delegate != delegate || channel.actor != actor {
            return Err(Refusal::WrongParty {
                channel: *id,
                delegate,
                actor,
            }
            .into());
        }
        if !channel.bound {
            channel.bound = true;
            changes.push(Change::Channel(Box::new(channel.clone())));
            channels.push(channel);
        }
    }
    Ok((changes, Outcome::Bound { channels }))
}

/// What a request to open names is this market's, and its actor signed it.
pub(super) fn check_fields(genesis: &Genesis, request: &OpenRequest) -> Result<(), Refusal> {
    if request.market != genesis.market {
        return Err(Refusal::WrongMarket {
            named: request.market,
            ours: genesis.market,
        });
    }
    if request.marketmaker != genesis.marketmaker {
        return Err(Refusal::WrongMarketMaker {
            named: request.marketmaker,
            ours: genesis.marketmaker,
        });
    }
    let expected = match request.kind {
        ChannelKind::Payment => genesis.owner,
        ChannelKind::Paying => request.actor,
    };
    if request.recipient != expected {
        return Err(Refusal::WrongRecipient {
            named: request.recipient,
            expected,
        });
    }
    if request.delegate == Address([0; Address::LEN]) {
        return Err(Refusal::ZeroDelegate);
    }
    if request.amount.is_zero() {
        return Err(Refusal::ZeroDeposit);
    }
    if request.open_at.is_zero() {
        return Err(Refusal::ZeroBlock);
    }
    if request.signer != request.actor {
        return Err(Refusal::WrongSigner {
            signer: request.signer,
            expected: request.actor,
        });
    }
    Ok(())
}

/// Payment channels debit the member, paying channels lock the market maker's own money.
fn payer(genesis: &Genesis, request: &OpenRequest) -> Address {
    match request.kind {
        ChannelKind::Payment => request.actor,
        ChannelKind::Paying => genesis.marketmaker,
    }
}

fn debit<V: View>(view: &V, address: Address, needs: Amount) -> Result<Change, Fault<V::Error>> {
    let account = view.account(&address).map_err(Fault::View)?.unwrap_or_default();
    let holds = account.balance;
    let balance = holds.checked_sub(needs).ok_or(Refusal::InsufficientAccount {
        account: address,
        holds,
        needs,
    })?;
    Ok(Change::Account(address, Account { balance, ..account }))
}

/// A channel as it begins, with the whole deposit left.
pub(super) fn fresh(terms: &ChannelTerms, open_at: Amount, at: Nanos, bound: bool) -> Channel {
    Channel {
        id: terms.channel,
        kind: terms.kind,
        market: terms.market,
        actor: terms.actor,
        delegate: terms.delegate,
        marketmaker: terms.marketmaker,
        recipient: terms.recipient,
        amount: terms.amount,
        open_at,
        opened: at,
        open_signature: terms.signature,
        state: ChannelState::Open,
        bound,
        seq: Seq::FIRST,
        remaining: terms.amount,
        inflight: Amount::ZERO,
        spent: Amount::ZERO,
        pending: None,
        suspended: None,
        unresolved: 0,
        abandoned: None,
        prepaid: Amount::ZERO,
        closing: None,
        quarantined: None,
    }
}
