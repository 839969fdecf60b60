//! The three hooks as traits, and the way to ask them with parameters that are still text.
//!
//! [`macro@crate::policy`] implements these traits for the functions it finds in an impl block; nobody writes them by
//! hand, but tests ask through [`quote`], [`admit`], [`filter`] and [`authorize`].

use crate::{
    AdmitRequest, Batch, ConsentRequest, FilterRequest, Host, Params, Price, PriceRequest, Refusal, Verdict,
};

/// What every policy says about itself.
pub trait Policy {
    /// Its name, which must equal the stem of the component's file: `surge` for `surge.wasm`.
    const NAME: &'static str;
    /// Its version, for people; the host tells revisions apart by the hash of the component.
    const VERSION: &'static str;
    /// One sentence on what it does.
    const SUMMARY: &'static str;
    /// What the operator and the seller may set.
    type Params: Params;
}

/// The hook that sets prices.
pub trait Pricing: Policy {
    /// Prices one key for one buyer. The host bounds the answer to the request's floor and cap.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] tells the buyer why there is no price.
    fn quote(request: &PriceRequest<Self::Params>, host: &impl Host) -> Result<Price, Refusal>;
}

/// The hook that decides which offers exist, and for whom.
pub trait Offers: Policy {
    /// Whether the seller may place the offer.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] tells the seller why not.
    fn admit(request: &AdmitRequest<Self::Params>, host: &impl Host) -> Result<(), Refusal>;

    /// Which of the offers this buyer may see, and in which order.
    fn filter(request: &FilterRequest<Self::Params>, offers: &Batch<'_>, host: &impl Host) -> Verdict;
}

/// The hook that says whether two parties may deal.
pub trait Consent: Policy {
    /// Whether the action may go on.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] tells the caller why not.
    fn authorize(request: &ConsentRequest<Self::Params>, host: &impl Host) -> Result<(), Refusal>;
}

/// Asks for a price with parameters that are still JSON, as the exported hook does.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`, or the policy's own.
pub fn quote<P: Pricing>(request: PriceRequest<String>, host: &impl Host) -> Result<Price, Refusal> {
    let PriceRequest {
        now,
        market,
        action,
        buyer,
        params,
        offer,
        base,
        floor,
        cap,
        max_valid_ms,
    } = request;
    let request = PriceRequest {
        now,
        market,
        action,
        buyer,
        params: P::Params::from_json(&params)?,
        offer,
        base,
        floor,
        cap,
        max_valid_ms,
    };
    P::quote(&request, host)
}

/// Asks whether an offer may be placed, with parameters that are still JSON.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`, or the policy's own.
pub fn admit<P: Offers>(request: AdmitRequest<String>, host: &impl Host) -> Result<(), Refusal> {
    let AdmitRequest {
        now,
        market,
        action,
        buyer,
        params,
        offer,
    } = request;
    let request = AdmitRequest {
        now,
        market,
        action,
        buyer,
        params: P::Params::from_json(&params)?,
        offer,
    };
    P::admit(&request, host)
}

/// Asks which offers a buyer may see, with parameters that are still JSON.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`. A filter has no way to refuse, so a component fails on them instead, and no
/// offer is seen.
pub fn filter<P: Offers>(
    request: FilterRequest<String>,
    offers: &Batch<'_>,
    host: &impl Host,
) -> Result<Verdict, Refusal> {
    let FilterRequest {
        now,
        market,
        action,
        buyer,
        params,
    } = request;
    let request = FilterRequest {
        now,
        market,
        action,
        buyer,
        params: P::Params::from_json(&params)?,
    };
    Ok(P::filter(&request, offers, host))
}

/// Asks whether two parties may deal, with parameters that are still JSON.
///
/// # Errors
///
/// [`Refusal`] with the code `bad_params`, or the policy's own.
pub fn authorize<P: Consent>(request: ConsentRequest<String>, host: &impl Host) -> Result<(), Refusal> {
    let ConsentRequest {
        now,
        market,
        action,
        buyer,
        params,
        offer,
        buyer_grants,
        seller_grants,
    } = request;
    let request = ConsentRequest {
        now,
        market,
        action,
        buyer,
        params: P::Params::from_json(&params)?,
        offer,
        buyer_grants,
        seller_grants,
    };
    P::authorize(&request, host)
}
