//! A consent to be told to the chain: looked at, recorded, signed.

use super::{Outbox, record};
use crate::market::Market;
use crate::wire::{fault, unexpected, uri};
use bourse_market::outbox::{CarryRequest, ConsentWord, Intent, IntentKey, Wanted};
use bourse_market::registry::{Consent, ConsentRequest};
use bourse_market::{Address, Command, Outcome, Signature};
use bourse_wamp::WampError;
use std::sync::Arc;

/// Gas for a consent: it takes some 250,000, and twice as much where a delegate is both, with the longest prefix that is
/// carried 650,000. What is left over is not paid.
const CONSENT_GAS: u64 = 900_000;

/// Records what a member said, and has it told to the chain. Yields the consent as it stands and the transaction, once that is
/// signed. The same request again yields the same.
///
/// # Errors
///
/// What the ledger or the contract have against it; then nothing is on record, the consent neither.
/// [`uri::NOT_READY`] if the node does not answer, or nothing is signed in time.
pub(crate) async fn carry(
    market: &Arc<Market>,
    outbox: &Outbox,
    said: ConsentRequest,
    (signature, signer): (Signature, Address),
) -> Result<(Consent, Intent), WampError> {
    let key = IntentKey::Consent(ConsentWord::of(&said.consent));
    let wanted = Wanted::consent(&said.consent, signature);
    let command = Command::Carry(Box::new(CarryRequest {
        said,
        signature,
        signer,
        limits: outbox.limits.load().1,
        gas: CONSENT_GAS,
    }));
    if !record::is_known(market, &command)? {
        record::follows(market, outbox).await?;
        match record::objection(market, outbox, &wanted).await {
            Ok(None) => {}
            Ok(Some(message)) => return Err(record::would_not("take the consent", &message)),
            Err(error) => return Err(fault(uri::NOT_READY, error.to_string())),
        }
    }
    let consent = match market.submit(command).await? {
        Outcome::Carried { consent, .. } => *consent,
        other => return Err(unexpected(&other)),
    };
    let intent = record::until_signed(market, outbox, &key).await?;
    Ok((consent, intent))
}
