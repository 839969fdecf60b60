//! Several sessions of the embedded router, from their first byte to their last: what they say is a script of the input.
//!
//! The first bytes choose transport and serializer of each client. Each action that follows is one byte for the client
//! and what it does, then its particulars: a message from a menu, a frame of any bytes, bytes outside of any frame, an
//! answer to what it was asked, the connection's end, time that passes. The router is the whole one, over connections in
//! memory and with a clock that jumps. The bookkeeping about answers is in `book`.

#![allow(clippy::indexing_slicing, reason = "a fuzz target reports by panicking")]

mod book;
mod client;
mod menu;

use std::sync::Arc;
use std::time::Duration;

use bourse_wamp::{JoinOptions, Limits, Router, RouterConfig, RouterStats, Serializer, Session, Users};
use client::{Client, Framing};

/// Clients in one script.
const CLIENTS: usize = 3;
/// Actions in one script.
const ACTIONS: usize = 200;
/// Longer than any call may take.
const ALL_OVER: Duration = Duration::from_secs(3_600);
/// Long enough for whatever can happen now to happen: the clock only jumps when all tasks wait.
const MOMENT: Duration = Duration::from_micros(10);

/// The bytes of a script, read from the front; at the end there are none.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn small(&mut self) -> u8 {
        self.byte().unwrap_or_default()
    }

    /// As many bytes as the next one says.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.small()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
}

pub(crate) fn run(bytes: &[u8]) {
    trace(bytes);
}

/// Plays a script; what the router has done in it is returned.
fn trace(bytes: &[u8]) -> RouterStats {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(play(Script(bytes)))
}

fn router() -> Router {
    let limits = Limits {
        outstanding_calls: 4,
        registrations: 4,
        subscriptions: 4,
        calls_per_second: 50,
        publications_per_second: 50,
        changes_per_second: 50,
        // Nobody is dropped for the clock's jumps.
        ping: ALL_OVER * 10,
        ..Limits::default()
    };
    let mut permissions = bourse_wamp::Permissions::default();
    for rule in menu::rules() {
        permissions.add("delegate", rule).expect("a rule");
    }
    let config = RouterConfig {
        limits,
        permissions,
        ..RouterConfig::default()
    };
    let users = Users::new(true)
        .with_ticket("alice", "delegate", "secret")
        .with_ticket("op", "operator", "secret");
    Router::new(config, Arc::new(users))
}

async fn play(mut script: Script<'_>) -> RouterStats {
    let router = router();
    let market_maker = Session::join(router.local_link(), JoinOptions::default())
        .await
        .expect("the market maker joins");
    market_maker
        .register("xbr.marketmaker.get_status", async |invocation| {
            Ok(bourse_wamp::CallResult {
                args: invocation.args,
                kwargs: invocation.kwargs,
            })
        })
        .await
        .expect("the market maker registers");
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..CLIENTS {
        let choice = script.small();
        let serializer = Serializer::ALL[usize::from(choice) % Serializer::ALL.len()];
        let framing = if choice & 0x80 == 0 {
            Framing::Raw
        } else {
            Framing::Ws
        };
        clients.push(Client::new(serializer, framing));
    }
    for _ in 0..ACTIONS {
        let Some(action) = script.byte() else {
            break;
        };
        let who = usize::from(action >> 6) % CLIENTS;
        act(&router, &mut clients[who], action & 0x3f, &mut script).await;
        settle(&mut clients).await;
    }
    end(&router, clients, &market_maker).await
}

async fn act(router: &Router, client: &mut Client, what: u8, script: &mut Script<'_>) {
    client.connect(router).await;
    match what {
        0 => client.hang_up(),
        1 => tokio::time::sleep(Duration::from_millis(u64::from(script.small()) * 20)).await,
        2 => client.send_outside(script.bytes()).await,
        3..8 => client.send_frame(script.bytes()).await,
        8..20 => {
            let (which, progress) = (script.small(), what < 12);
            client
                .answer(which, what.is_multiple_of(3), progress && what.is_multiple_of(2))
                .await;
        }
        _ => {
            let message = menu::message(what, script, client.known());
            client.send(&message).await;
        }
    }
}

/// Lets everything happen that can, and takes in what the clients are told.
async fn settle(clients: &mut [Client]) {
    tokio::time::sleep(MOMENT).await;
    for client in clients {
        client.take_in().await;
    }
}

/// All answer what they were asked, then all calls must be answered; all leave, then nothing must be left.
async fn end(router: &Router, mut clients: Vec<Client>, market_maker: &Session) -> RouterStats {
    for client in &mut clients {
        // What it was asked may be lost in its own confusion, and pings, which would find half a frame out, are off.
        if client.is_confused() {
            client.hang_up();
        }
        while client.answer(0, false, false).await {}
    }
    settle(&mut clients).await;
    // Calls that wait for a callee that was asked and left, or for their time.
    tokio::time::sleep(ALL_OVER).await;
    settle(&mut clients).await;
    for client in &mut clients {
        client.nothing_is_owed();
        client.hang_up();
    }
    market_maker.leave().await;
    drop(clients);
    tokio::time::sleep(ALL_OVER).await;
    let stats = router.stats();
    assert_eq!(
        (
            stats.sessions,
            stats.registrations,
            stats.subscriptions,
            stats.pending_calls
        ),
        (0, 0, 0, 0)
    );
    assert_eq!(router.remembered(), 0, "something is kept of those who left");
    router.shutdown().await;
    stats
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    menu::seeds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_lead_to_calls_events_and_time_outs_over_every_transport_and_serializer() {
        let seeds = seeds();
        // Six stories for each choice of transport and serializer.
        for stories in seeds.chunks(6) {
            let stats: Vec<_> = stories.iter().map(|story| trace(story)).collect();
            let sum = |what: fn(&RouterStats) -> u64| stats.iter().map(what).sum::<u64>();
            assert!(sum(|stats| stats.calls) >= 10, "{stats:?}");
            assert!(sum(|stats| stats.events) >= 3, "{stats:?}");
            assert!(sum(|stats| stats.timeouts) >= 1, "{stats:?}");
            assert!(sum(|stats| stats.violations) >= 1, "{stats:?}");
        }
    }
}
