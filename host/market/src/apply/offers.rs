//! Placing offers and taking them back.

use super::escrow::is_escrowed;
use super::{Decided, genesis_of};
use crate::{Change, Fault, Nanos, Offer, Outcome, PlaceRequest, Placer, Refusal, RevokeRequest, View};

/// One offer for each key, ever: an expired or revoked one is not replaced, so that no buyer pays for a key whose
/// terms changed under it.
pub(super) fn place<V: View>(view: &V, request: &PlaceRequest) -> Decided<V> {
    genesis_of(view)?;
    let key = request.offer.key;
    if view.offer_by_key(&key).map_err(Fault::View)?.is_some() {
        return Err(Refusal::DuplicateKey { key }.into());
    }
    if request.escrow.is_some() && !request.offer.signature_verified {
        return Err(Refusal::EscrowUnsigned { key }.into());
    }
    let labels = request.offer.categories.len();
    if labels > Offer::MAX_CATEGORIES {
        return Err(Refusal::TooLong {
            what: "categories",
            length: labels,
            most: Offer::MAX_CATEGORIES,
            unit: "labels",
        }
        .into());
    }
    let offer = Offer {
        remaining: request.offer.copies,
        revoked: None,
        unlisted: false,
        ..request.offer.clone()
    };
    let mut changes = vec![Change::Offer(Box::new(offer.clone()))];
    if request.escrow.is_some() {
        changes.push(Change::EscrowedKey(key, request.escrow));
    }
    Ok((changes, Outcome::Placed(Box::new(offer))))
}

/// Ends an offer. A second time tells the same and keeps the first moment.
pub(super) fn revoke<V: View>(view: &V, request: &RevokeRequest) -> Decided<V> {
    let key = request.key;
    let mut offer = view
        .offer_by_key(&key)
        .map_err(Fault::View)?
        .ok_or(Refusal::OfferUnknown { key })?;
    if request.proven != Some(offer.seller) && !placed_by(&offer.placer, &request.caller) {
        return Err(Refusal::NotTheSeller { key }.into());
    }
    if offer.revoked.is_some() {
        return Ok((Vec::new(), Outcome::Revoked(Box::new(offer))));
    }
    // Nobody may buy the key any more, so nobody has to keep it. What it earned stays owed.
    let escrowed = is_escrowed(view, &offer)?;
    offer.revoked = Some(request.at);
    let mut changes = vec![Change::Offer(Box::new(offer.clone()))];
    if escrowed {
        changes.push(Change::EscrowedKey(key, None));
    }
    Ok((changes, Outcome::Revoked(Box::new(offer))))
}

/// The very session that placed the offer, or a later one with the same proven authid.
fn placed_by(placer: &Placer, caller: &Placer) -> bool {
    placer == caller || (caller.authid.is_some() && caller.authid == placer.authid)
}

/// Whether an offer may be sold at `now`.
///
/// # Errors
///
/// [`Refusal::OfferExpired`] (revoked too), [`Refusal::OfferNotYetValid`] or [`Refusal::SoldOut`].
pub fn check_on_sale(offer: &Offer, now: Nanos) -> Result<(), Refusal> {
    let key = offer.key;
    let ended = offer.revoked.or(offer.expires.filter(|expires| *expires <= now));
    if let Some(at) = ended {
        return Err(Refusal::OfferExpired { key, at });
    }
    if let Some(at) = offer.valid_from.filter(|from| *from > now) {
        return Err(Refusal::OfferNotYetValid { key, at });
    }
    if offer.remaining == Some(0) {
        return Err(Refusal::SoldOut { key });
    }
    Ok(())
}
