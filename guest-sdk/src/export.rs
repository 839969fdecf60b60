//! The component's outside: bindings of the WIT package, and the way between them and the types of this crate.
//!
//! Exists in components alone. Bindings of a world describe their exports only where its `export!` is used, so that a
//! policy has the exports of the hooks it implements and no others.
use crate::{
    Action, Address, Amount, Figures, Market, Nanos, Offer, Price, PriceRequest, PricingPolicy, pricing,
};
use crate::{ApiId, CatalogId, KeyId, MarketId, Refusal, Subject};
use std::borrow::Cow;
use std::marker::PhantomData;

/// The world of a policy that sets prices.
#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::indexing_slicing,
    reason = "wit-bindgen writes it, and calls across the border of a component are unsafe by nature"
)]
pub mod pricing_world {
    wit_bindgen::generate!({
        path: "wit",
        world: "pricing-policy",
        pub_export_macro: true,
        export_macro_name: "export_pricing_world",
        default_bindings_module: "bourse::__private::pricing_world",
        generate_all,
    });
}

use pricing_world::bourse::policy::{market as imported, types};
use pricing_world::exports::bourse::policy::{describe, pricing as exported};

/// The exports of the policy `P`.
pub struct Pricing<P>(PhantomData<P>);

impl<P: PricingPolicy + 'static> describe::Guest for Pricing<P> {
    fn describe() -> describe::Description {
        describe::Description {
            name: P::NAME.to_owned(),
            version: P::VERSION.to_owned(),
            summary: P::SUMMARY.to_owned(),
            params_schema: P::params_schema().to_owned(),
        }
    }
}

impl<P: PricingPolicy + 'static> exported::Guest for Pricing<P> {
    fn quote(request: exported::Request) -> Result<exported::Price, types::Refusal> {
        match pricing::quote::<P>(read_request(request), &HostMarket) {
            Ok(Price { amount, valid_ms }) => Ok(exported::Price {
                amount: write_amount(amount),
                valid_ms,
            }),
            Err(Refusal { code, text }) => Err(types::Refusal {
                code: owned(code),
                text: owned(text),
            }),
        }
    }
}

/// The market as the host grants it.
struct HostMarket;

impl Market for HostMarket {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        let subject = match subject {
            Subject::Key(KeyId(key)) => imported::Subject::Key(write_id(key)),
            Subject::Api(ApiId(api)) => imported::Subject::Api(write_id(api)),
            Subject::Seller(seller) => imported::Subject::Seller(write_address(seller)),
            Subject::Buyer(buyer) => imported::Subject::Buyer(write_address(buyer)),
        };
        let imported::Figures {
            sales,
            volume,
            quotes,
            last_price,
            last_at,
        } = imported::demand(subject, window_ms);
        Figures {
            sales,
            volume: read_amount(volume),
            quotes,
            last_price: last_price.map(read_amount),
            last_at: last_at.map(Nanos),
        }
    }
}

fn read_request(request: exported::Request) -> PriceRequest<String> {
    let exported::Request {
        ctx,
        offer,
        base,
        floor,
        cap,
        max_valid_ms,
    } = request;
    let types::Context {
        now,
        market,
        action,
        buyer,
        params,
    } = ctx;
    PriceRequest {
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
        offer: read_offer(offer),
        base: base.map(read_amount),
        floor: read_amount(floor),
        cap: read_amount(cap),
        max_valid_ms,
    }
}

fn read_offer(offer: types::Offer) -> Offer {
    Offer {
        key: KeyId(read_id(offer.key)),
        api: ApiId(read_id(offer.api)),
        catalog: offer.catalog.map(|id| CatalogId(read_id(id))),
        uri: offer.uri,
        seller: read_address(offer.seller),
        provider: offer.provider,
        placed_at: Nanos(offer.placed_at),
        valid_from: Nanos(offer.valid_from),
        expires: offer.expires.map(Nanos),
        price: offer.price.map(read_amount),
        copies: offer.copies,
        remaining: offer.remaining,
        categories: offer.categories,
    }
}

fn read_amount(types::Amount { l0, l1, l2, l3 }: types::Amount) -> Amount {
    Amount::from_limbs([l0, l1, l2, l3])
}

fn write_amount(amount: Amount) -> types::Amount {
    let [l0, l1, l2, l3] = amount.limbs();
    types::Amount { l0, l1, l2, l3 }
}

fn read_id(types::Id { hi, lo }: types::Id) -> [u8; 16] {
    ((u128::from(hi) << 64) | u128::from(lo)).to_be_bytes()
}

fn write_id(bytes: [u8; 16]) -> types::Id {
    let whole = u128::from_be_bytes(bytes);
    types::Id {
        hi: (whole >> 64) as u64,
        lo: whole as u64,
    }
}

fn read_address(types::Address { a, b, c }: types::Address) -> Address {
    let mut bytes = [0; 20];
    let (front, last) = bytes.split_at_mut(16);
    front.copy_from_slice(&read_id(types::Id { hi: a, lo: b }));
    last.copy_from_slice(&c.to_be_bytes());
    Address(bytes)
}

fn write_address(Address(bytes): Address) -> types::Address {
    let (mut front, mut last) = ([0; 16], [0; 4]);
    front.copy_from_slice(&bytes[..16]);
    last.copy_from_slice(&bytes[16..]);
    let types::Id { hi, lo } = write_id(front);
    types::Address {
        a: hi,
        b: lo,
        c: u32::from_be_bytes(last),
    }
}

fn owned(text: Cow<'static, str>) -> String {
    text.into_owned()
}
