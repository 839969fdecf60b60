//! The sale of an escrowed key: sealed here, and durable in one write. No seller is called, so there is no line to wait
//! in and nothing that could come between.

use super::carry::{Price, hold, order, put_back};
use super::finish::{announce, warn_of_dropped};
use super::pending::Answer;
use super::{BuyRequest, UNSIGNED};
use crate::figures::Ended;
use crate::market::Market;
use crate::vault::seal;
use crate::wire::{fault, of_refusal, of_store, of_submit, unexpected, uri};
use bourse_market::{
    Command, DeliverRequest, EscrowedKey, Fault, Offer, Outcome, PriceSource, Receipt, Refusal, SealedKey,
    View, apply,
};
use bourse_store::SubmitError;
use bourse_wamp::WampError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Tries to write a sale. Each asks the ledger whether an earlier one came through, so that a buyer is told what is true.
const TRIES: u32 = 3;
/// Until the second try.
const PAUSE: Duration = Duration::from_millis(20);

/// What stands where the sealed key will be: the core does not look at it.
const UNSEALED: SealedKey = SealedKey([0; 80]);

/// The key of an offer, if its seller left it here. No other than a signed offer has one.
pub(super) fn escrowed(market: &Market, offer: &Offer) -> Result<Option<EscrowedKey>, WampError> {
    match offer.signature_verified {
        true => market.read(|ledger| ledger.escrowed_key(&offer.key)),
        false => Ok(None),
    }
}

/// Sells an escrowed key. On an error nothing was charged, unless the last commit failed and reached the disk all the same:
/// then the buyer, which is told to ask again, gets its receipt.
pub(super) async fn deliver(
    market: &Arc<Market>,
    request: &BuyRequest,
    offer: &Offer,
    escrowed: EscrowedKey,
    price: Price,
    until: Instant,
) -> Answer {
    let price = hold(market, request, offer, price, until).await?;
    let answer = attempt(market, request, escrowed, &price).await;
    if answer.is_err() {
        put_back(market, request, price);
    }
    answer
}

async fn attempt(market: &Arc<Market>, request: &BuyRequest, escrowed: EscrowedKey, price: &Price) -> Answer {
    let mut sale = Arc::new(assemble(market, request, escrowed, price)?);
    if let Some(receipt) = rehearse(market, &sale)? {
        return Ok(Arc::new(receipt));
    }
    let identity = &sale.order.identity;
    let (key, buyer) = (identity.key, identity.buyer_pubkey);
    let digest = market.state_digest(identity.channel, sale.payment_seq, identity.balance);
    let desk = Arc::clone(market);
    let sealed = market.workers.run_bought(move || {
        let plain = desk.vault.open(&key, &escrowed)?;
        Ok((
            seal(&plain, &buyer, &*desk.environment)?,
            desk.signer.sign(&digest),
        ))
    });
    let (sealed_key, s4) = sealed.await?.map_err(|error: crate::vault::VaultError| {
        tracing::error!(%key, %error, "an escrowed key cannot be sold");
        fault(uri::SELLER_UNAVAILABLE, format!("{error}; nothing was charged"))
    })?;
    // The rehearsal is over, so nobody shares the sale and nothing is copied.
    let complete = Arc::make_mut(&mut sale);
    (complete.sealed_key, complete.s4) = (sealed_key, s4);
    crate::crash::point("delivery-unwritten");
    write(market, sale).await
}

/// The sale as it would be made now, neither sealed nor signed.
fn assemble(
    market: &Market,
    request: &BuyRequest,
    escrowed: EscrowedKey,
    price: &Price,
) -> Result<DeliverRequest, WampError> {
    let channel = request.identity.channel;
    let payment = market
        .read(|ledger| ledger.channel(&channel))?
        .ok_or_else(|| of_refusal(&Refusal::ChannelUnknown { channel }))?;
    let payment_seq = payment
        .seq
        .next()
        .ok_or_else(|| of_refusal(&Refusal::SeqExhausted { channel }))?;
    let quote = &price.quote;
    Ok(DeliverRequest {
        order: order(market, request, price),
        escrowed,
        sealed_key: UNSEALED,
        payment_seq,
        s4: UNSIGNED,
        decision: match quote.source {
            PriceSource::Policy(_) => quote.decision.clone(),
            PriceSource::Fixed | PriceSource::Seller => None,
        },
        also: price.cleared.decisions.clone(),
        state_writes: [&price.cleared.state_writes[..], &quote.state_writes[..]].concat(),
    })
}

/// Asks the core on a snapshot, so that nothing is sealed in vain. Yields the receipt if it was sold before.
fn rehearse(market: &Market, sale: &Arc<DeliverRequest>) -> Result<Option<Receipt>, WampError> {
    let ledger = market.store.read().map_err(of_store)?;
    match apply(&ledger, &Command::Deliver(Arc::clone(sale))) {
        Ok((
            _,
            Outcome::Delivered {
                sale, again: true, ..
            },
        )) => Ok(Some(sale.receipt())),
        Ok(_) => Ok(None),
        Err(Fault::Refused(refusal)) => Err(of_refusal(&refusal)),
        Err(Fault::View(error)) => Err(of_store(error)),
    }
}

/// Writes the sale. A commit that failed may yet have reached the disk: the next try finds it there.
async fn write(market: &Arc<Market>, sale: Arc<DeliverRequest>) -> Answer {
    let mut pause = PAUSE;
    for left in (0..TRIES).rev() {
        match market.store.submit(Command::Deliver(Arc::clone(&sale))).await {
            Ok(Outcome::Delivered {
                sale,
                payment,
                again,
                dropped,
            }) => {
                crate::crash::point("delivery-committed");
                tracing::Span::current().record("purchase", tracing::field::display(sale.id));
                if !again {
                    market.figures.ended(Ended::SoldEscrow);
                }
                warn_of_dropped(market, sale.id, &dropped);
                announce(market, &sale.sold(), [&*payment]);
                return Ok(Arc::new(sale.receipt()));
            }
            Ok(other) => return Err(unexpected(&other)),
            Err(SubmitError::Storage(_)) if left > 0 => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => return Err(of_submit(error)),
        }
    }
    Err(fault(uri::RUNTIME, "the sale could not be written"))
}
