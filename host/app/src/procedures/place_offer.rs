//! `place_offer(…)`: a seller puts a key on sale, at a price of its own or one the market finds.

mod parse;

use super::Reply;
use super::revoke_offer::placer;
use crate::access::{Caller, speaks_for};
use crate::events::topic;
use crate::market::Market;
use crate::policies::Inquiry;
use crate::seller_price;
use crate::vault::PlainKey;
use crate::wire::{Arguments, fault, invalid, offer_dict, public_offer_dict, reply, unexpected, uri};
use bourse_chain::KeyOffer;
use bourse_market::{
    Amount, ChannelKind, Command, EscrowedKey, Nanos, Offer, OfferId, Outcome, PlaceRequest, Price, View,
};
use bourse_policy::Action;
use bourse_wamp::{Invocation, WampError};
use std::sync::Arc;

pub(super) async fn place_offer(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let caller = Caller::of(&market, &invocation)?;
    let placer = placer(&caller, &invocation)?;
    let arguments = Arguments::of(&mut invocation, parse::ARGUMENTS)?;
    let (mut offer, privkey) = parse::offer(
        arguments,
        OfferId(market.environment.fresh_id()),
        placer,
        market.now(),
    )?;
    offer.catalog = market
        .read(|ledger| ledger.api(&offer.api))?
        .map(|api| api.catalog);
    if market.policies.check_price(&offer)? {
        if privkey.is_some() {
            return Err(invalid(
                "price",
                "a key that is left here is sold without its seller, and no policy of this market prices it: name a price",
            ));
        }
        seller_price::check(&market, &offer)
            .await
            .map_err(|why| invalid("price", why))?;
    }
    // Whose name a key is sold in is who earns by it: that is never taken on trust.
    let must_sign = market.terms.require_offer_signature || privkey.is_some();
    if must_sign || !speaks_for(&market, &caller, &offer.seller)? {
        verify_signature(&market, &offer).await?;
        offer.signature_verified = true;
    } else {
        offer.claimed = claims(&market, &offer).await?;
    }
    let offer = admitted(&market, offer).await?;
    let escrow = locked(&market, &offer, privkey)?;
    let command = Command::Place(Box::new(PlaceRequest { offer, escrow }));
    let offer = match market.submit(command).await? {
        Outcome::Placed(offer) => offer,
        other => return Err(unexpected(&other)),
    };
    crate::crash::point("offer-committed");
    bind(&market, &offer);
    for topic in [topic::OFFER_PLACED.to_owned(), topic::offer_placed(&offer.seller)] {
        market.announce(topic, vec![public_offer_dict(&offer)]);
    }
    Ok(reply(offer_dict(&offer)))
}

/// The key as the ledger keeps it. The plain one is gone afterwards.
fn locked(
    market: &Market,
    offer: &Offer,
    privkey: Option<PlainKey>,
) -> Result<Option<EscrowedKey>, WampError> {
    let lock = |key: PlainKey| market.vault.lock(&offer.key, &key, &*market.environment);
    privkey
        .map(lock)
        .transpose()
        .map_err(|error| fault(uri::RUNTIME, error.to_string()))
}

/// Asks the policies that may keep an offer out.
async fn admitted(market: &Market, offer: Offer) -> Result<Offer, WampError> {
    if !market.policies.guard(&offer) {
        return Ok(offer);
    }
    let inquiry = Inquiry {
        action: Action::Place,
        buyer: None,
        now: offer.placed_at,
    };
    let policies = Arc::clone(&market.policies);
    market
        .workers
        .run(move || policies.place(&offer, &inquiry).map(|()| offer))
        .await?
}

/// Whether the placer answers under the offer's provider id. Nobody names the id that another session answers under,
/// unless it proved to own it.
async fn claims(market: &Market, offer: &Offer) -> Result<bool, WampError> {
    let Some(provider_id) = &offer.provider_id else {
        return Ok(false);
    };
    match market.provider(provider_id, &offer.seller).await {
        None => Ok(false),
        Some(holder) if holder.session == offer.placer.session.0 => Ok(true),
        Some(_) if offer.placer.authid.as_ref() == Some(provider_id) => Ok(true),
        Some(_) => Err(fault(
            uri::NOT_AUTHORIZED,
            format!(
                "provider_id: another session answers under xbr.provider.{provider_id}; place the offer from it"
            ),
        )),
    }
}

/// A provider that registered before it asked for its channel is bound by its first offer.
fn bind(market: &Market, offer: &Offer) {
    let Some(provider_id) = &offer.provider_id else {
        return;
    };
    let unbound = market
        .providers
        .find(provider_id, &offer.seller)
        .is_some_and(|found| found.bound.is_none());
    if unbound
        && let Ok(Some(active)) =
            market.read(|ledger| ledger.active_channel(ChannelKind::Paying, &offer.seller))
    {
        market.providers.bind(provider_id, offer.seller, active.id);
    }
}

async fn verify_signature(market: &Market, offer: &Offer) -> Result<(), WampError> {
    let message = KeyOffer {
        market: market.network.market,
        key: offer.key,
        api: offer.api,
        uri: offer.uri.clone(),
        price: match offer.price {
            Price::Fixed(price) => price,
            Price::Dynamic => Amount::ZERO,
        },
        dynamic: offer.price == Price::Dynamic,
        valid_from: offer.valid_from.unwrap_or(Nanos(0)),
        expires: offer.expires.unwrap_or(Nanos(0)),
        delegate: offer.seller,
    };
    let (digest, signature, delegate) = (
        message.digest(&market.network.domain),
        offer.signature,
        offer.seller,
    );
    match market
        .workers
        .run(move || bourse_chain::recover(&digest, &signature))
        .await?
    {
        Ok(signer) if signer == delegate => Ok(()),
        Ok(signer) => Err(fault(
            uri::INVALID_SIGNATURE,
            format!(
                "this offer requires an EIP712KeyOffer signed by {delegate}, this one is signed by {signer}"
            ),
        )),
        Err(error) => Err(fault(uri::INVALID_SIGNATURE, error.to_string())),
    }
}
