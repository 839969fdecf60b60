//! The market behind a real Crossbar.io: trades, logins, several markets, TLS, and what becomes of all that when the router,
//! the market or the link between them is lost.
//!
//! The node is the one that `cargo xtask test` names in `BOURSE_CROSSBAR`, on the configuration in `examples/crossbar`;
//! where the variable is unset these tests say that they checked nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop"
)]

mod killed;
mod link;
mod markets;
mod pair;
mod tls;

use bourse_app::config::Serializer;
use bourse_tests::{Behind, Setup, World, call, found, map_of};
use bourse_wamp::Value;
use std::time::Duration;

/// Trading goes on this soon after the router is back.
const RESUMED: Duration = Duration::from_secs(5);

/// A market that has joined the node.
async fn behind(node: &Behind) -> World {
    let url = node.url();
    World::with(|config| node.welcome(config, url, Serializer::Cbor)).await
}

/// Waits until the market says to whoever asks that nothing is wrong with it; what it says then.
async fn mended(world: &World) -> Value {
    found("a market that is not degraded", async || {
        let session = world.session().await;
        let status = call(&session, "xbr.marketmaker.get_status", Vec::new())
            .await
            .ok()?;
        (map_of(&status).get("degraded") == Some(&Value::Null)).then_some(status)
    })
    .await
}

/// Lets a role of this name do what anonymous sessions may, in every realm that has none of that name.
fn let_like_anonymous(setup: &mut Setup, name: &str) {
    for realm in setup.realms.as_array_mut().unwrap() {
        let roles = realm["roles"].as_array_mut().unwrap();
        if roles.iter().any(|role| role["name"] == name) {
            continue;
        }
        let mut role = roles
            .iter()
            .find(|role| role["name"] == "anonymous")
            .unwrap()
            .clone();
        role["name"] = name.into();
        roles.push(role);
    }
}
