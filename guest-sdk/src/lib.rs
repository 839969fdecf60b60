//! What the author of a policy uses: a policy is a function from a request to a price or a refusal.
//!
//! ```
//! use bourse::{Amount, Market, Price, PriceRequest, PricingPolicy, Refusal, Subject};
//!
//! struct Doubling;
//!
//! #[derive(Default, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Params {
//!     start: Option<Amount>,
//! }
//!
//! impl PricingPolicy for Doubling {
//!     const NAME: &'static str = "doubling";
//!     const VERSION: &'static str = "1.0.0";
//!     const SUMMARY: &'static str = "Doubles the price with every sale of the last minute.";
//!     type Params = Params;
//!
//!     fn quote(request: &PriceRequest<Params>, market: &impl Market) -> Result<Price, Refusal> {
//!         let sales = market.demand(Subject::Key(request.offer.key), 60_000).sales;
//!         let start = request.base_price(request.params.start, Amount::from_tokens(1));
//!         let amount = (0..sales.min(64)).fold(start, |price, _| price.saturating_mul_bp(20_000));
//!         Ok(request.price(amount, 5_000))
//!     }
//! }
//!
//! bourse::export_pricing!(Doubling);
//!
//! let quiet = bourse::testing::MockMarket::default();
//! let price = Doubling::quote(&bourse::testing::request(Params::default()), &quiet).unwrap();
//! assert_eq!(price.amount, Amount::from_tokens(1));
//! ```
//!
//! Built for `wasm32-unknown-unknown` as a `cdylib`, that is a component; built natively, it is a library that plain
//! `cargo test` exercises with [`testing`].
//!
//! What never lives here: anything of the host, a clock, randomness, floating point, or a dependency that a component
//! would pay for with its size.

#[cfg(all(target_arch = "wasm32", feature = "arena"))]
mod allocator;
mod amount;
#[cfg(any(all(target_arch = "wasm32", feature = "arena"), test))]
mod arena;
#[cfg(target_arch = "wasm32")]
mod export;
mod ids;
mod json;
mod market;
mod offer;
mod pricing;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use amount::{Amount, ParseAmountError, WHOLE_BP};
pub use ids::{Address, ApiId, CatalogId, KeyId, MarketId, Nanos};
pub use market::{Figures, MAX_WINDOW_MS, Market, Subject};
pub use offer::Offer;
pub use pricing::{Action, Price, PriceRequest, PricingPolicy, Refusal, quote};

/// For the expansion of macros alone; not part of what is promised.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::export::{Pricing, pricing_world};
}

/// Makes the crate a component with the pricing hook and the description of the named [`PricingPolicy`]. Natively it
/// only checks that the type is one.
#[macro_export]
macro_rules! export_pricing {
    ($policy:ty) => {
        const _: () = {
            #[cfg(target_arch = "wasm32")]
            type Component = $crate::__private::Pricing<$policy>;
            #[cfg(target_arch = "wasm32")]
            $crate::__private::pricing_world::export_pricing_world!(
                Component with_types_in $crate::__private::pricing_world
            );

            const fn is_a_policy<P: $crate::PricingPolicy>() {}
            is_a_policy::<$policy>()
        };
    };
}
