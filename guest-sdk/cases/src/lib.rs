//! Tests of a policy as files.
//!
//! A [`Case`] is one question to one hook, with what the host answers to the policy's imports and what the policy
//! should answer. `CASES.md` beside this crate's folder documents the format for authors. What lives here: reading
//! case files, however broken ([`Case::parse`] is total), asking a [`Revision`](bourse_policy::Revision) in the real
//! sandbox, and comparing. What never does: finding files, printing, colours.

#![forbid(unsafe_code)]

mod case;
mod compare;
mod error;
mod expect;
mod locate;
mod question;
mod run;
mod text;
mod world;

pub use case::{Case, Function, Input, MAX_BYTES, MAX_DEPTH};
pub use compare::{Line, Verdict};
pub use error::CaseError;
pub use expect::Expect;
pub use run::{Answered, Said};
pub use text::shown_bytes;
pub use world::World;
