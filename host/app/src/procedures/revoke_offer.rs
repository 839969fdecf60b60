//! `revoke_offer(key_id, signature=null)`: its seller takes an offer back.

use super::{Reply, caller};
use crate::access::Caller;
use crate::events::topic;
use crate::market::Market;
use crate::wire::{Arguments, fault, of_refusal, offer_dict, public_offer_dict, reply, unexpected, uri};
use bourse_chain::RevokeOffer;
use bourse_market::{Command, KeyId, Outcome, Placer, Refusal, RevokeRequest, SessionId, Signature, View};
use bourse_wamp::{Invocation, WampError};
use std::sync::Arc;

pub(super) async fn revoke_offer(market: Arc<Market>, mut invocation: Invocation) -> Reply {
    let caller = placer(&Caller::of(&market, &invocation)?, &invocation)?;
    let mut arguments = Arguments::of(&mut invocation, &["key_id", "signature"])?;
    let key: KeyId = arguments.required("key_id")?;
    let signature: Option<Signature> = arguments.optional("signature")?;

    let proven = match signature {
        None => None,
        Some(signature) => {
            let offer = market.read(|ledger| ledger.offer_by_key(&key))?;
            let delegate = offer
                .ok_or_else(|| of_refusal(&Refusal::OfferUnknown { key }))?
                .seller;
            let message = RevokeOffer {
                market: market.network.market,
                key,
                delegate,
            };
            let digest = message.digest(&market.network.domain);
            let signer = market
                .workers
                .run(move || bourse_chain::recover(&digest, &signature))
                .await?;
            Some(signer.map_err(|error| fault(uri::INVALID_SIGNATURE, error.to_string()))?)
        }
    };
    let request = RevokeRequest {
        key,
        caller,
        proven,
        at: market.now(),
    };
    let offer = match market.submit(Command::Revoke(request)).await? {
        Outcome::Revoked(offer) => offer,
        other => return Err(unexpected(&other)),
    };
    market.quotes.revoke(&key);
    for topic in [
        topic::OFFER_REVOKED.to_owned(),
        topic::offer_revoked(&offer.seller),
    ] {
        market.announce(topic, vec![public_offer_dict(&offer)]);
    }
    Ok(reply(offer_dict(&offer)))
}

/// Who calls, as far as it is proven. Every anonymous session is somebody else, and so is one whose login counts no more.
pub(super) fn placer(who: &Caller, invocation: &Invocation) -> Result<Placer, WampError> {
    Ok(Placer {
        session: SessionId(caller(invocation)?),
        authid: invocation.caller_authid.clone().filter(|_| who.is_named()),
    })
}
