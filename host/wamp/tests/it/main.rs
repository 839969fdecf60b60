//! Sessions against the embedded router, over every serializer and transport.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod autobahn;
mod calls;
mod combos;
mod events;
mod gates;
mod logins;
mod pki;
mod progress;
mod realms;
mod support;
mod tls;
