//! Tests of a policy through the real sandbox.
//!
//! A policy's plain tests call its functions natively. That says nothing about the component: its size, its imports, its
//! fuel, what the host makes of its answers. Here the same requests and the same [`MockHost`] go through the very code
//! that a market maker runs.
//!
//! ```no_run
//! use bourse::testing::{MockHost, request};
//! use bourse_harness::Sandbox;
//!
//! let ladder = Sandbox::open("ladder.wasm").unwrap();
//! let mut host = MockHost::default();
//! let answered = ladder.quote(&request(r#"{"start":"2"}"#), &mut host);
//! assert_eq!(answered.outcome.unwrap().amount.to_string(), "2");
//! assert!(answered.fuel < 50_000);
//! ```
//!
//! What lives here: the way from the SDK's types to the host's and back. What never does: a second sandbox, or any
//! check of its own.
//!
//! [`MockHost`]: bourse::testing::MockHost

#![forbid(unsafe_code)]

mod convert;
mod host;
mod sandbox;

pub use bourse_policy::{Declined, Failure, Hook, Import, Instances, Limits, Record};
pub use sandbox::{Answered, OpenError, Sandbox};
