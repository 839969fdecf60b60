//! The interop matrix: both routers, both transports, all serializers, all logins, three clients. In each cell a client
//! logs in, registers and is called, calls with bytes and gets them back, raises an error and gets one, knows who called,
//! and publishes to one session alone, and so does the other side.
//!
//! Cells that have every pair of values, or all of them where `BOURSE_LONG` is set. Prints a table.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

mod cell;
mod clients;
mod far;
mod routers;
mod table;

use bourse_wamp::Serializer;
use cell::{Cell, Client, Login, Router, Transport, pairwise};
use clients::Peer;
use far::Far;
use routers::Running;
use std::collections::HashMap;
use table::{Outcome, Table};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_of_the_matrix_is_green_or_explained() {
    let mut table = Table::default();
    let mut possible = Vec::new();
    for cell in Cell::all() {
        match cell.impossible() {
            Some(why) => table.note(cell, Outcome::Impossible(why)),
            None => possible.push(cell),
        }
    }
    if std::env::var_os("BOURSE_LONG").is_none() {
        possible = pairwise(&possible);
    }
    let mut peers: HashMap<Client, Peer> = Client::ALL
        .into_iter()
        .filter_map(|client| Some((client, Peer::start(client)?)))
        .collect();
    for router in Router::ALL {
        let Some(running) = Running::start(router).await else {
            continue;
        };
        let join = || running.join(Transport::WebSocket, Serializer::Cbor, Login::Anonymous);
        let mut far = Far::new(join().await.unwrap(), join().await.unwrap()).await;
        for &cell in possible.iter().filter(|cell| cell.router == router) {
            let found = match (cell.client, peers.get_mut(&cell.client)) {
                (Client::Ours, _) => try_ours(cell, &running, far.eligible()).await,
                (_, Some(peer)) => peer.try_as(cell, &running, far.eligible()).await,
                // Said already.
                (_, None) => continue,
            };
            match found {
                Ok(()) => {
                    far.assert_heard_once(&format!("{cell:?}")).await;
                    table.note(cell, Outcome::Green);
                }
                Err(fault) => {
                    far.forget();
                    table.note(cell, Outcome::Red(fault));
                }
            }
        }
    }
    println!("{table}");
    assert!(
        table.faults().is_empty(),
        "{}\n{table}",
        table.faults().join("\n")
    );
}

async fn try_ours(cell: Cell, router: &Running, eligible: u64) -> Result<(), String> {
    let session = router
        .join(cell.transport, cell.serializer, cell.login)
        .await
        .map_err(|error| error.to_string())?;
    if let (Some(authid), _) = routers::user(cell.login) {
        far::expect("authid", &session.authid(), &authid)?;
    }
    far::expect("authrole", &session.authrole(), &routers::role(cell.login))?;
    let found = far::try_as(&session, eligible).await;
    session.leave().await;
    found
}
