//! The edge to WAMP: what arrives is parsed into types here, what leaves is spelled here.
//!
//! Never here: any decision about a request that parsed.

mod answer;
mod arguments;
mod dicts;
mod error;

pub(crate) use answer::{call_within, fields, words};
pub(crate) use arguments::{Arguments, FromValue, Label, SellerId, check_categories, describe};
pub(crate) use dicts::{
    balance_dict, bytes, carried_consent_dict, catalog_dict, channel_dict, closing_dict, consent_dict, dict,
    int, offer_dict, opt, public_offer_dict, receipt_dict, reply, text,
};
pub use error::uri;
pub(crate) use error::{fault, invalid, of_refusal, of_settlement, of_store, of_submit, unexpected, unfit};
