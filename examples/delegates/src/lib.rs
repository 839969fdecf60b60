//! Delegates of a Bourse market, as a library: what a program needs to sell and to buy encrypted data.
//!
//! What lives here: the encryption of payloads ([`DataKey`]) and of keys on their way to a buyer, a client for a
//! market's procedures ([`MarketClient`]), a [`Seller`] that answers sales, a [`Buyer`] that pays, what a developer
//! needs before either can start ([`dev`]), lines of output that may go unread ([`output`]), and both of them trading
//! with each other ([`demo`]).
//!
//! What never does: the market's own rules. A delegate checks what it signs and what it is given, no more; it
//! talks to the market over a socket, like a delegate in any other language would.
//!
//! Where to begin reading: `bin/seller.rs` and `bin/buyer.rs`, then [`Seller`] and [`Buyer`].

#![forbid(unsafe_code)]

mod buyer;
mod client;
mod crypto;
pub mod demo;
pub mod dev;
mod error;
#[doc(hidden)]
pub mod heard;
pub mod output;
mod receipt;
mod reply;
mod seller;
mod stream;
mod terms;
mod voucher;

pub use buyer::{Bought, Buyer, BuyerOptions};
pub use client::{MarketClient, connect};
pub use crypto::{CryptoError, DataKey, ReceiveKey, Wrapped, seal};
pub use error::DelegateError;
pub use receipt::{Receipt, ReceiptError};
pub use seller::{Seller, SellerOptions, Series, SeriesTerms, Sold};
pub use stream::{publish, subscribe};
pub use terms::{Balance, Facts, KeyTerms, OfferTerms, Pricing, Quote};
