//! Channels with their balances, and the accounts of members where there is no chain.

use super::room::Reading;
use super::{Answer, at, opt, text, units};
use crate::console::problem::Problem;
use crate::console::query::Query;
use axum::Json;
use axum::extract::RawQuery;
use bourse_market::{Address, Channel, ChannelKind, ChannelState, View};
use bourse_store::{ChannelList, Reader, StoreError};
use serde_json::{Value, json};

/// Bytes of the longest cursor: kind, delegate, time and id.
const CURSOR: usize = 45;

/// A page of channels.
pub(super) async fn list(Reading(room): Reading, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref(), &["list", "cursor", "limit"])?;
    let list = match query.text("list") {
        None | Some("payment") => ChannelList::Live(ChannelKind::Payment),
        Some("paying") => ChannelList::Live(ChannelKind::Paying),
        Some("all-payment") => ChannelList::All(ChannelKind::Payment),
        Some("all-paying") => ChannelList::All(ChannelKind::Paying),
        Some("suspended") => ChannelList::Suspended,
        Some("quarantined") => ChannelList::Quarantined,
        Some(other) => {
            return Err(Problem::bad(format!(
                "`list` is `{other}`: it may be payment, paying, all-payment, all-paying, suspended or quarantined"
            )));
        }
    };
    let (cursor, limit) = (query.bytes("cursor")?, query.limit()?);
    if cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR) {
        return Err(Problem::bad("`cursor` is none that a page named"));
    }
    let market = room.market;
    let look = move || {
        let ledger = market.store.read()?;
        let page = ledger.list_channels(list, cursor.as_deref(), limit)?;
        let rows = page.found.iter().map(|channel| row(&ledger, channel));
        Ok(json!({
            "channels": rows.collect::<Result<Vec<_>, _>>()?,
            "next": opt(page.next, |next| Value::String(hex::encode(next))),
        }))
    };
    room.console.look(look).await.map(Json)
}

fn row(ledger: &Reader<'_>, channel: &Channel) -> Result<Value, StoreError> {
    let owed = match channel.kind {
        ChannelKind::Paying => ledger.debt(&channel.delegate)?.map(|debt| debt.owed),
        ChannelKind::Payment => None,
    };
    Ok(json!({
        "id": text(channel.id),
        "kind": match channel.kind {
            ChannelKind::Payment => "payment",
            ChannelKind::Paying => "paying",
        },
        "state": match channel.state {
            ChannelState::Open => "open",
            ChannelState::Closing => "closing",
            ChannelState::Closed => "closed",
            ChannelState::Failed => "failed",
        },
        "actor": text(channel.actor),
        "delegate": text(channel.delegate),
        "recipient": text(channel.recipient),
        "opened": at(channel.opened),
        "seq": channel.seq.0,
        "amount": units(channel.amount),
        "remaining": units(channel.remaining),
        "inflight": units(channel.inflight),
        "spent": units(channel.spent),
        "prepaid": units(channel.prepaid),
        "owed": opt(owed, units),
        "bound": channel.bound,
        "suspended": opt(channel.suspended.as_ref(), |suspension| {
            json!({ "at": at(suspension.at), "why": suspension.why, "purchase": text(suspension.purchase) })
        }),
        "quarantined": opt(channel.quarantined, at),
    }))
}

/// A page of accounts.
pub(super) async fn accounts(Reading(room): Reading, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref(), &["cursor", "limit"])?;
    let (after, limit) = (query.value::<Address>("cursor")?, query.limit()?);
    let market = room.market;
    let look = move || {
        let ledger = market.store.read()?;
        let page = ledger.accounts_after(after, limit)?;
        let rows = page.found.iter().map(|(address, account)| {
            json!({
                "address": text(address),
                "balance": units(account.balance),
                "granted": units(account.granted),
            })
        });
        Ok(json!({ "accounts": rows.collect::<Vec<_>>(), "next": opt(page.next, text) }))
    };
    room.console.look(look).await.map(Json)
}
