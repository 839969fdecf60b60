//! A channel to be opened on the chain: looked at, recorded, signed.

use super::{Outbox, record};
use crate::market::Market;
use crate::wire::{fault, unexpected, uri};
use bourse_chain::{DeploymentError, SignedOpen};
use bourse_market::outbox::{IntendRequest, Intent, IntentKey, OpeningGas, Wanted};
use bourse_market::{Address, Amount, ChannelKind, Command, OpenRequest, Outcome};
use bourse_wamp::{Value, WampError};
use std::sync::Arc;

/// Gas for an approval: it takes some 50,000.
const APPROVE_GAS: u64 = 100_000;
/// Gas for an opening: it takes some 450,000. What is left over is not paid.
const OPEN_GAS: u64 = 800_000;

/// Has a channel opened. Yields the transaction once it is signed and on record: from then on it is sent until the chain has
/// it. The same request again yields the same.
///
/// # Errors
///
/// What the ledger, the contract or the member's means have against it; then nothing is on record.
/// [`uri::NOT_READY`] if the node does not answer, or nothing is signed in time.
pub(crate) async fn open(
    market: &Arc<Market>,
    outbox: &Outbox,
    signed: SignedOpen,
) -> Result<Intent, WampError> {
    let request = IntendRequest {
        limits: outbox.limits.load().0.of(&signed.request.actor),
        gas: OpeningGas {
            approve: APPROVE_GAS,
            open: OPEN_GAS,
        },
        bound_by: signed.bound_by,
        open: signed.request,
    };
    let key = IntentKey::Open(request.open.id);
    let command = Command::Intend(Box::new(request.clone()));
    if !record::is_known(market, &command)? {
        look(market, outbox, &request.open).await?;
    }
    match market.submit(command).await? {
        Outcome::Intended { .. } => {}
        other => return Err(unexpected(&other)),
    }
    record::until_signed(market, outbox, &key).await
}

/// Holds a request against the chain as it is: whether who pays has the tokens, and whether the contract would take it. That
/// may change before the transaction is mined; here it only saves the gas for what surely fails.
async fn look(market: &Market, outbox: &Outbox, open: &OpenRequest) -> Result<(), WampError> {
    let sending = &outbox.sending;
    let (node, contracts) = (&sending.node, &sending.contracts);
    let payer = match open.kind {
        ChannelKind::Payment => open.actor,
        ChannelKind::Paying => open.marketmaker,
    };
    record::follows(market, outbox).await?;
    let holds = contracts.tokens_of(node, payer).await.map_err(of_deployment)?;
    enough(payer, "holds", holds, open.amount)?;
    if open.kind == ChannelKind::Payment {
        let allowed = contracts
            .approved_to_channels(node, payer)
            .await
            .map_err(of_deployment)?;
        enough(payer, "lets XBRChannel take", allowed, open.amount)?;
    }
    match record::objection(market, outbox, &Wanted::open(open)).await {
        Ok(None) => Ok(()),
        // The approval is yet to come, and the contract looks at it last.
        Ok(Some(message))
            if open.kind == ChannelKind::Paying && message.to_ascii_lowercase().contains(ALLOWANCE) =>
        {
            Ok(())
        }
        Ok(Some(message)) => Err(record::would_not("open the channel", &message)),
        Err(error) => Err(fault(uri::NOT_READY, error.to_string())),
    }
}

/// What every token says of somebody who takes more than was approved.
const ALLOWANCE: &str = "allowance";

fn enough(who: Address, does: &str, has: Amount, needs: Amount) -> Result<(), WampError> {
    if has >= needs {
        return Ok(());
    }
    let mut error = fault(
        uri::INSUFFICIENT_FUNDS,
        format!("{who} {does} {has} tokens, the channel takes {needs}"),
    );
    for (key, amount) in [("holds", has), ("needs", needs)] {
        let amount = Value::Bytes(amount.to_be_bytes().to_vec());
        error.kwargs.insert(key.to_owned(), amount);
    }
    Err(error)
}

fn of_deployment(error: DeploymentError) -> WampError {
    fault(uri::NOT_READY, error.to_string())
}
