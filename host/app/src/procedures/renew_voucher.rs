//! `bourse.market.renew_voucher(channel_oid, close_at, signature)`: a buyer's delegate signs its posted state anew.

use super::Reply;
use crate::market::Market;
use crate::vouchers::{self, Sent};
use crate::wire::{Arguments, bytes, dict, fault, int, of_refusal, reply, uri};
use bourse_market::voucher::RenewRequest;
use bourse_market::{ChannelId, ChannelKind, Command, Refusal, View};
use bourse_wamp::{Invocation, Value};
use std::sync::Arc;

pub(super) async fn renew_voucher(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, &["channel_oid", "close_at", "signature"])?;
    let id: ChannelId = arguments.required("channel_oid")?;
    let sent = Sent {
        close_at: arguments.required("close_at")?,
        signature: arguments.required("signature")?,
    };
    if market.terms.max_unsettled.is_none() {
        return Err(fault(
            uri::RUNTIME,
            "this market settles without a chain: there are no vouchers",
        ));
    }
    let channel = market
        .read(|ledger| ledger.channel(&id))?
        .filter(|channel| channel.kind == ChannelKind::Payment)
        .ok_or_else(|| of_refusal(&Refusal::ChannelUnknown { channel: id }))?;
    let state = (channel.seq, channel.posted_remaining());
    let voucher = vouchers::read(&market, id, state, sent).await?;
    let request = RenewRequest {
        channel: id,
        voucher,
        at: market.now(),
    };
    market.submit(Command::Renew(Box::new(request))).await?;
    Ok(reply(Value::Map(dict([
        ("channel_oid", bytes(id.0)),
        ("seq", int(state.0.0)),
        ("balance", bytes(state.1.to_be_bytes())),
        ("close_at", int(sent.close_at.0)),
    ]))))
}
