//! What the author of a policy uses: a policy is a few functions from a request to an answer.
//!
//! ```
//! use bourse::{Amount, Market, Price, PriceRequest, Refusal, Subject};
//!
//! /// What may be set.
//! #[derive(bourse::Params)]
//! struct Params {
//!     /// The price before the first sale.
//!     #[param(default = "1")]
//!     start: Amount,
//! }
//!
//! struct Doubling;
//!
//! /// Doubles the price with every sale of the last minute.
//! #[bourse::policy]
//! impl Doubling {
//!     fn quote(request: &PriceRequest<Params>, host: &impl Market) -> Result<Price, Refusal> {
//!         let sales = host.demand(Subject::Key(request.offer.key), 60_000).sales;
//!         let amount = (0..sales.min(64)).fold(request.params.start, |price, _| price.saturating_mul_bp(20_000));
//!         Ok(request.price(amount, 5_000))
//!     }
//! }
//!
//! let quiet = bourse::testing::MockHost::default();
//! let price = Doubling::quote(&bourse::testing::request(Params::default()), &quiet).unwrap();
//! assert_eq!(price.amount, Amount::from_tokens(1));
//! ```
//!
//! Built for `wasm32-unknown-unknown` as a `cdylib`, that is a component; built natively, it is a library that plain
//! `cargo test` exercises with [`testing`].
//!
//! What never lives here: anything of the host, a clock, randomness, floating point, or a dependency that a component
//! would pay for with its size.

// So that the macros' paths hold in here as well.
extern crate self as bourse;

#[cfg(all(target_arch = "wasm32", feature = "arena"))]
mod allocator;
mod amount;
#[cfg(any(all(target_arch = "wasm32", feature = "arena"), test))]
mod arena;
mod batch;
#[cfg(target_arch = "wasm32")]
mod export;
mod hooks;
mod host;
mod ids;
mod json;
mod market;
mod offer;
pub mod params;
mod refusal;
mod request;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod verdict;

pub use amount::{Amount, ParseAmountError, WHOLE_BP};
pub use batch::{Batch, BatchIter, Categories, LAYOUT, MAX_BATCH, OfferView};
pub use hooks::{Consent, Offers, Policy, Pricing, admit, authorize, filter, quote};
pub use host::{Host, Level, Log, MAX_CHANGES, MAX_KEY, MAX_VALUE, State};
pub use ids::{Address, ApiId, CatalogId, KeyId, MarketId, Nanos};
pub use market::{Figures, MAX_WINDOW_MS, Market, Subject};
pub use offer::Offer;
pub use params::Params;
pub use refusal::Refusal;
pub use request::{
    Action, AdmitRequest, ConsentGrant, ConsentRequest, DelegateType, FilterRequest, Price, PriceRequest,
};
pub use verdict::Verdict;

pub use bourse_sdk_macro::{Params, policy};

/// For the expansion of macros alone; not part of what is promised.
#[doc(hidden)]
pub mod __private {
    pub use crate::amount::constant;
    #[cfg(target_arch = "wasm32")]
    pub use crate::export::*;
    pub use crate::params::{Seen, choice, missing, no_such_choice, out_of_range};
    pub use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
}

/// An [`Amount`] that is written in the source, in tokens: what is no amount does not compile.
///
/// ```
/// use bourse::{Amount, amount};
///
/// const START: Amount = amount!("0.25");
/// assert_eq!(START, Amount::from_units(250_000_000_000_000_000));
/// ```
#[macro_export]
macro_rules! amount {
    ($tokens:literal) => {
        const { $crate::__private::constant($tokens) }
    };
}
