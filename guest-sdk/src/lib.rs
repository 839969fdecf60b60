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
//! The functions of the block are the hooks that the component exports, and there are four of them:
//!
//! | function | hook | from | to |
//! |---|---|---|---|
//! | `quote` | [`Pricing`] | [`PriceRequest`] | [`Price`], or a [`Refusal`] |
//! | `admit` | [`Offers`] | [`AdmitRequest`] | yes, or a [`Refusal`] |
//! | `filter` | [`Offers`] | [`FilterRequest`] and a [`Batch`] | [`Verdict`] |
//! | `authorize` | [`Consent`] | [`ConsentRequest`] | yes, or a [`Refusal`] |
//!
//! The last argument says what they need of the host: `&impl Market`, `&(impl Market + State)`, or nothing at all. An
//! operator must grant exactly what the component's code uses.
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

/// Reads parameters from JSON and describes them, for a struct with named fields or an enum of unit variants.
///
/// ```
/// use bourse::{Amount, MAX_WINDOW_MS, Params as _};
///
/// /// How the price moves.
/// #[derive(Debug, PartialEq, bourse::Params)]
/// struct Params {
///     /// The price before the first sale, in tokens.
///     #[param(default = "2.5", min = "0.01")]
///     start: Amount,
///     /// How far back sales count, in milliseconds.
///     #[param(default = 60_000, min = 1, max = MAX_WINDOW_MS)]
///     window_ms: u32,
///     /// Whose sales count.
///     scope: Scope,
///     /// Discounts, from small to large.
///     steps: Vec<Step>,
/// }
///
/// #[derive(Debug, PartialEq, bourse::Params)]
/// enum Scope {
///     #[param(default)]
///     Api,
///     Seller,
/// }
///
/// #[derive(Debug, PartialEq, bourse::Params)]
/// struct Step {
///     #[param(required)]
///     from: u64,
///     #[param(required, max = 10_000)]
///     less_bp: u64,
/// }
///
/// let params = Params::from_json(r#"{"start":"0.5","scope":"seller","steps":[{"from":10,"less_bp":500}]}"#).unwrap();
/// assert_eq!(params.window_ms, 60_000);
/// let refusal = Params::from_json(r#"{"window_ms":0}"#).unwrap_err();
/// assert_eq!(refusal.code, "bad_params");
/// assert_eq!(refusal.text, "window_ms is 0: expected 1 to 86400000");
/// assert!(Params::SCHEMA.contains(r#""minimum":1,"maximum":86400000,"default":60000"#));
/// ```
///
/// A struct gets `Default`, `serde::Deserialize` and [`Params`](trait@Params); unknown fields are refused. An enum is one
/// of its names in snake case. Documentation becomes the description of the schema.
///
/// | attribute | on | says |
/// |---|---|---|
/// | `default = …` | a field | what holds where it is not set; without it, the `Default` of its type |
/// | `default` | a variant | the enum's `Default` |
/// | `min = …`, `max = …` | numbers and amounts | what is refused; also within an `Option` |
/// | `required` | a field | there is no default: then the struct has none either |
///
/// Amounts are written in tokens, in quotes: `"0.5"`. Numbers take any constant. Types of fields: integers, `bool`,
/// `String`, [`Amount`], floats, and enums and structs that derive this; `Option` and `Vec` of them.
pub use bourse_sdk_macro::Params;

pub use bourse_sdk_macro::policy;

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
