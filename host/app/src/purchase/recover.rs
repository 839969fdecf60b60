//! Purchases that a stopped process left in `sent`: resolved before anything else is served.

use crate::market::Market;
use crate::wire::uri;
use anyhow::Context;
use bourse_market::{Command, VoidReason, VoidRequest};

/// Voids every purchase in `sent` for its buyer. Whether its seller was asked, and answered, nobody knows: its paying
/// channel, or the pair while it is unproven, waits until the seller registers anew. Nor is it asked again where a step of
/// recovery is on record: who would answer is not there yet, and the buyer has waited.
pub(crate) fn recover(market: &Market) -> anyhow::Result<usize> {
    let sent = market
        .store
        .read()
        .and_then(|ledger| ledger.sent_purchases())
        .context("cannot read the ledger")?;
    for purchase in &sent {
        let reason = VoidReason {
            error: uri::SELLER_UNAVAILABLE.to_owned(),
            text: "the market maker stopped while the seller was asked".to_owned(),
            ambiguous: true,
        };
        let void = VoidRequest {
            id: purchase.id,
            at: market.now(),
            reason,
        };
        market
            .store
            .submit_blocking(Command::Void(void))
            .with_context(|| format!("cannot void purchase {}", purchase.id))?;
        crate::crash::point("recovered-one");
    }
    Ok(sent.len())
}
