//! Everything that a buyer's delegate reads of a market, in one call: for fuzzing.

use crate::receipt::Expected;
use crate::reply::{Reply, list};
use crate::{Balance, DelegateError, Facts, Quote, Receipt, ReceiveKey};
use bourse_market::{ChannelId, Seq};
use bourse_wamp::{CallError, CallResult, WampError};

/// What a buyer makes of an answer, whichever it had asked for: one result for each way of reading it.
pub fn answer(result: &CallResult, facts: &Facts, receive: &ReceiveKey) -> Vec<Result<(), DelegateError>> {
    let reply = || Reply::new("fuzzed", result.clone());
    vec![
        reply().and_then(|reply| Facts::read(&reply)).map(drop),
        reply().and_then(|reply| Quote::read(&reply)).map(drop),
        reply().and_then(|reply| Balance::read(&reply)).map(drop),
        reply()
            .and_then(|reply| Receipt::read(&reply))
            .and_then(|receipt| believed(&receipt, facts, receive)),
        Reply::nullable("fuzzed", result.clone())
            .and_then(|channel| {
                channel
                    .map(|channel| channel.bytes::<ChannelId>("channel_oid"))
                    .transpose()
            })
            .map(drop),
        list::<ChannelId>("fuzzed", result.clone()).map(drop),
    ]
}

/// What a buyer makes of a refusal.
pub fn refusal(error: WampError) -> DelegateError {
    DelegateError::from_call("fuzzed", CallError::Wamp(error))
}

/// Checks a receipt against an order for what it says of itself: all that is left to be wrong is who signed it.
fn believed(receipt: &Receipt, facts: &Facts, receive: &ReceiveKey) -> Result<(), DelegateError> {
    receipt.verify(&Expected {
        domain: facts.domain,
        marketmaker: facts.marketmaker,
        market: facts.market,
        channel: CHANNEL,
        key: receipt.key,
        price: receipt.paid,
        seq: Seq(receipt.seq.0),
        remaining: receipt.remaining,
    })?;
    receive.unseal(&receipt.sealed_key)?;
    Ok(())
}

/// The channel that every receipt is taken to be about.
pub const CHANNEL: ChannelId = ChannelId([4; 16]);
