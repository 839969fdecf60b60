//! `buy_key(…)`: the buyer pays over its payment channel and gets the key, sealed to it.

use super::{Reply, caller, while_wanted};
use crate::market::Market;
use crate::purchase::BuyRequest;
use crate::vouchers::Sent;
use crate::wire::{Arguments, FromValue, describe, invalid, receipt_dict, reply};
use bourse_market::plant::{self, Bug};
use bourse_market::{Identity, Receipt, View};
use bourse_wamp::{Dict, Invocation, Value, WampError};
use std::sync::Arc;

const ARGUMENTS: &[&str] = &[
    "delegate_adr",
    "buyer_pubkey",
    "key_id",
    "channel_oid",
    "channel_seq",
    "amount",
    "balance",
    "signature",
    "voucher",
];

pub(super) async fn buy_key(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let session = caller(&invocation)?;
    let mut arguments = Arguments::of(&mut invocation, ARGUMENTS)?;
    let buyer = arguments.required("delegate_adr")?;
    let identity = Identity {
        buyer_pubkey: arguments.required("buyer_pubkey")?,
        key: arguments.required("key_id")?,
        channel: arguments.required("channel_oid")?,
        seq: arguments.required("channel_seq")?,
        amount: arguments.required("amount")?,
        balance: arguments.required("balance")?,
    };
    let span = tracing::Span::current();
    span.record("key", tracing::field::display(identity.key));
    span.record("channel", tracing::field::display(identity.channel));
    let s1 = arguments.required("signature")?;
    let voucher = voucher(arguments.optional("voucher")?)?;
    // A purchase under way goes on by itself; only its answer is waited for here.
    let purchase = market.buy(BuyRequest {
        identity,
        buyer,
        s1,
        session,
        voucher,
    });
    let receipt = while_wanted(invocation.cancelled, purchase).await?;
    crate::crash::point("receipt-unsent");
    Ok(reply(match plant::on(Bug::W22) {
        true => receipt_dict(&of_the_moment(&market, &receipt)?),
        false => receipt_dict(&receipt),
    }))
}

/// The settlement voucher: `{close_at: a recent block, signature: 65 bytes over the same state, final, at that block}`.
fn voucher(sent: Option<Dict>) -> Result<Option<Sent>, WampError> {
    let Some(mut fields) = sent else {
        return Ok(None);
    };
    Ok(Some(Sent {
        close_at: field(&mut fields, "close_at")?,
        signature: field(&mut fields, "signature")?,
    }))
}

fn field<T: FromValue>(fields: &mut Dict, name: &str) -> Result<T, WampError> {
    let given = fields.remove(name).unwrap_or(Value::Null);
    let what = describe(&given);
    T::from_value(given).ok_or_else(|| {
        invalid(
            "voucher",
            format_args!("{name}: expected {}, got {what}", T::EXPECTED),
        )
    })
}

/// The receipt with the balance that its channel has now: what [`Bug::W22`] was.
fn of_the_moment(market: &Market, receipt: &Receipt) -> Result<Receipt, WampError> {
    let channel = market.read(|ledger| ledger.channel(&receipt.channel))?;
    let mut receipt = receipt.clone();
    if let Some(channel) = channel {
        (receipt.seq, receipt.balance) = (channel.seq, channel.posted_remaining());
    }
    Ok(receipt)
}
