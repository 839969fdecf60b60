//! `open_channel(…)`: a payment or paying channel, opened by its actor's signature.

use super::Reply;
use crate::events::topic;
use crate::market::Market;
use crate::wire::{Arguments, bytes, channel_dict, dict, int, of_settlement, opt, reply, unexpected};
use bourse_chain::OpenChannel;
use bourse_market::{Amount, Outcome};
use bourse_wamp::{Dict, Invocation, Value};
use std::sync::Arc;

const ARGUMENTS: &[&str] = &[
    "member_adr",
    "market_oid",
    "channel_oid",
    "verifying_chain_id",
    "current_block_number",
    "verifying_contract_adr",
    "channel_type",
    "delegate",
    "marketmaker",
    "recipient",
    "amount",
    "signature",
    "attributes",
];

pub(super) async fn open_channel(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let mut arguments = Arguments::of(&mut invocation, ARGUMENTS)?;
    let request = OpenChannel {
        member: arguments.required("member_adr")?,
        market: arguments.required("market_oid")?,
        channel: arguments.required("channel_oid")?,
        chain_id: arguments.required("verifying_chain_id")?,
        opened_at: Amount::from_units(arguments.required::<u64>("current_block_number")?.into()),
        verifying_contract: arguments.required("verifying_contract_adr")?,
        channel_type: arguments.required("channel_type")?,
        delegate: arguments.required("delegate")?,
        marketmaker: arguments.required("marketmaker")?,
        recipient: arguments.required("recipient")?,
        amount: arguments.required("amount")?,
        signature: arguments.required("signature")?,
    };
    let _attributes: Option<Dict> = arguments.optional("attributes")?;

    let (desk, at) = (Arc::clone(&market), market.now());
    let id = request.channel;
    let command = market
        .workers
        .run(move || desk.settlement.open_channel(&request, at))
        .await?
        .map_err(of_settlement)?;
    let channel = match market.submit(command).await? {
        Outcome::Opened(channel) => channel,
        other => return Err(unexpected(&other)),
    };
    crate::crash::point("channel-committed");
    market.announcer.announce(
        topic::channel_open(&channel.delegate, channel.kind),
        vec![channel_dict(&channel)],
    );
    Ok(reply(Value::Map(dict([
        (
            "transaction",
            opt(market.settlement.transaction_of_open(id), bytes),
        ),
        ("market_oid", bytes(channel.market.0)),
        ("channel_oid", bytes(channel.id.0)),
        ("state", int(channel.state as u8)),
        ("bound", Value::Bool(channel.bound)),
    ]))))
}
