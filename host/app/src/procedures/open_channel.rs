//! `open_channel(…)`: a payment or paying channel, opened by its actor's signature.

use super::Reply;
use crate::events::topic;
use crate::market::Market;
use crate::outbox::Outbox;
use crate::outbox::open::open;
use crate::wire::{
    Arguments, FromValue, bytes, channel_dict, describe, dict, int, invalid, of_settlement, opt, reply,
    unexpected,
};
use bourse_chain::{OpenChannel, SignedOpen};
use bourse_market::{Amount, Command, OpenRequest, Outcome, Signature, View};
use bourse_wamp::{Dict, Invocation, Value, WampError};
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
        delegate_signature: binding(arguments.optional("attributes")?)?,
    };
    tracing::Span::current().record("channel", tracing::field::display(request.channel));
    let at = market.now();
    let desk = Arc::clone(&market);
    let signed = market
        .workers
        .run(move || desk.settlement.open_channel(&request, at))
        .await?
        .map_err(of_settlement)?;
    match &market.outbox {
        None => here(&market, signed.request).await,
        Some(outbox) => on_chain(&market, outbox, signed).await,
    }
}

/// Without a chain the channel is open once it is on record.
async fn here(market: &Arc<Market>, request: OpenRequest) -> Reply {
    let id = request.id;
    let channel = match market.submit(Command::Open(Box::new(request))).await? {
        Outcome::Opened(channel) => channel,
        other => return Err(unexpected(&other)),
    };
    crate::crash::point("channel-committed");
    market.announce(
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

/// On a chain it is open when its transaction is, deep enough. Here that one is on record, and signed.
async fn on_chain(market: &Arc<Market>, outbox: &Outbox, signed: SignedOpen) -> Reply {
    let (actor, delegate) = (signed.request.actor, signed.request.delegate);
    let channel = signed.request.id;
    let intent = open(market, outbox, signed).await?;
    let binding = market.read(|ledger| ledger.binding(&delegate))?;
    let bound = binding.is_some_and(|binding| binding.actor == actor);
    Ok(reply(Value::Map(dict([
        ("transaction", opt(intent.transaction(), |hash| bytes(hash.0))),
        ("market_oid", bytes(market.network.market.0)),
        ("channel_oid", bytes(channel.0)),
        ("state", int(0u8)),
        ("bound", Value::Bool(bound)),
    ]))))
}

/// The delegate's signature that binds it to its actor, if the attributes have one. All else in them is passed over.
fn binding(attributes: Option<Dict>) -> Result<Option<Signature>, WampError> {
    match attributes.unwrap_or_default().remove("delegate_signature") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let got = describe(&value);
            let signature = Signature::from_value(value);
            let expected = Signature::EXPECTED;
            signature.map(Some).ok_or_else(|| {
                invalid(
                    "attributes",
                    format_args!("delegate_signature: expected {expected}, got {got}"),
                )
            })
        }
    }
}
