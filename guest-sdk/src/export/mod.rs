//! The component's outside: bindings of the WIT package, and the way between them and the types of this crate.
//!
//! Exists in components alone. [`macro@crate::policy`] exports the description and the hooks that it finds, and no
//! others.

mod bindings;
mod convert;
mod granted;

pub use bindings::{consent, describe, offers, pricing};

use crate::{
    AdmitRequest, Batch, Consent, ConsentRequest, FilterRequest, Offers, Policy, Price, PriceRequest,
    Pricing, hooks,
};
use bindings::consent::exports::bourse::policy::consent as consent_hook;
use bindings::describe::exports::bourse::policy::describe as description;
use bindings::imports::bourse::policy::types;
use bindings::offers::exports::bourse::policy::offers as offers_hook;
use bindings::pricing::exports::bourse::policy::pricing as pricing_hook;
use convert::{read_address, read_amount, read_grant, read_id, read_offer, write_amount, write_refusal};
use granted::Granted;
use std::marker::PhantomData;

use crate::{Action, Address, MarketId, Nanos, Params};

/// The exports of the policy `P`.
pub struct Component<P>(PhantomData<P>);

impl<P: Policy + 'static> description::Guest for Component<P> {
    fn describe() -> description::Description {
        description::Description {
            name: P::NAME.to_owned(),
            version: P::VERSION.to_owned(),
            summary: P::SUMMARY.to_owned(),
            params_schema: P::Params::SCHEMA.to_owned(),
        }
    }
}

impl<P: Pricing + 'static> pricing_hook::Guest for Component<P> {
    fn quote(request: pricing_hook::Request) -> Result<pricing_hook::Price, types::Refusal> {
        let pricing_hook::Request {
            ctx,
            offer,
            base,
            floor,
            cap,
            max_valid_ms,
        } = request;
        let Context {
            now,
            market,
            action,
            buyer,
            params,
        } = Context::from(ctx);
        let request = PriceRequest {
            now,
            market,
            action,
            buyer,
            params,
            offer: read_offer(offer),
            base: base.map(read_amount),
            floor: read_amount(floor),
            cap: read_amount(cap),
            max_valid_ms,
        };
        match hooks::quote::<P>(request, &Granted) {
            Ok(Price { amount, valid_ms }) => Ok(pricing_hook::Price {
                amount: write_amount(amount),
                valid_ms,
            }),
            Err(refusal) => Err(write_refusal(refusal)),
        }
    }
}

impl<P: Offers + 'static> offers_hook::Guest for Component<P> {
    fn admit(ctx: types::Context, offer: types::Offer) -> Result<(), types::Refusal> {
        let Context {
            now,
            market,
            action,
            buyer,
            params,
        } = Context::from(ctx);
        let request = AdmitRequest {
            now,
            market,
            action,
            buyer,
            params,
            offer: read_offer(offer),
        };
        hooks::admit::<P>(request, &Granted).map_err(write_refusal)
    }

    fn filter(ctx: types::Context, layout: u16, count: u32, batch: Vec<u8>) -> offers_hook::Verdict {
        let Context {
            now,
            market,
            action,
            buyer,
            params,
        } = Context::from(ctx);
        let request = FilterRequest {
            now,
            market,
            action,
            buyer,
            params,
        };
        let verdict = match Batch::read(layout, count, &batch) {
            Some(offers) => hooks::filter::<P>(request, &offers, &Granted).ok(),
            None => None,
        };
        // There is no other way to say no: the host takes it as a failure, and hides every offer.
        let Some(verdict) = verdict else {
            core::arch::wasm32::unreachable();
        };
        let (keep, order) = verdict.into_parts();
        offers_hook::Verdict { keep, order }
    }
}

impl<P: Consent + 'static> consent_hook::Guest for Component<P> {
    fn authorize(request: consent_hook::Request) -> Result<(), types::Refusal> {
        let consent_hook::Request {
            ctx,
            offer,
            buyer_grants,
            seller_grants,
        } = request;
        let Context {
            now,
            market,
            action,
            buyer,
            params,
        } = Context::from(ctx);
        let request = ConsentRequest {
            now,
            market,
            action,
            buyer,
            params,
            offer: offer.map(read_offer),
            buyer_grants: buyer_grants.into_iter().map(read_grant).collect(),
            seller_grants: seller_grants.into_iter().map(read_grant).collect(),
        };
        hooks::authorize::<P>(request, &Granted).map_err(write_refusal)
    }
}

/// What every hook is told.
struct Context {
    now: Nanos,
    market: MarketId,
    action: Action,
    buyer: Option<Address>,
    params: String,
}

impl From<types::Context> for Context {
    fn from(context: types::Context) -> Self {
        let types::Context {
            now,
            market,
            action,
            buyer,
            params,
        } = context;
        Self {
            now: Nanos(now),
            market: MarketId(read_id(market)),
            action: match action {
                types::Action::Place => Action::Place,
                types::Action::Query => Action::Query,
                types::Action::Quote => Action::Quote,
                types::Action::Buy => Action::Buy,
            },
            buyer: buyer.map(read_address),
            params,
        }
    }
}

/// Exports the description of a policy.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_describe {
    ($policy:ty) => {
        const _: () = {
            type Component = $crate::__private::Component<$policy>;
            $crate::__private::describe::export_described!(Component with_types_in $crate::__private::describe);
        };
    };
}
pub use __export_describe as export_describe;

/// Exports the pricing hook of a policy.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_pricing {
    ($policy:ty) => {
        const _: () = {
            type Component = $crate::__private::Component<$policy>;
    $crate::__private::pricing::export_prices!(Component with_types_in $crate::__private::pricing);
        };
    };
}
pub use __export_pricing as export_pricing;

/// Exports the offers hook of a policy.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_offers {
    ($policy:ty) => {
        const _: () = {
            type Component = $crate::__private::Component<$policy>;
    $crate::__private::offers::export_lists!(Component with_types_in $crate::__private::offers);
        };
    };
}
pub use __export_offers as export_offers;

/// Exports the consent hook of a policy.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_consent {
    ($policy:ty) => {
        const _: () = {
            type Component = $crate::__private::Component<$policy>;
    $crate::__private::consent::export_consents!(Component with_types_in $crate::__private::consent);
        };
    };
}
pub use __export_consent as export_consent;
