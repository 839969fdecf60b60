//! The benchmark: what the host does in a second, next to what the machine allows, measured in the same run.
//!
//! One JSON object a line: `name, p50_us, p99_us, ops_per_s, cpu_us_per_op, limit, ratio_to_limit`. Each figure is the
//! median of several runs. The host runs in a process of its own, and `cpu_us_per_op` is that process's time as the
//! operating system counts it; for a limit it is the time of whoever does the work. `ratio_to_limit` divides CPU by
//! CPU, but for the policy lines, which divide p50 by p50, and `place_offer` and those on several threads, which divide
//! time per operation; so do the echoes per serializer, through the embedded router and through Crossbar.io.
//!
//! `chain.follow.*` (a chain of 100,000 blocks with 50,000 events, on a real node), `host.start` (milliseconds until a host
//! answers), `host.ready` (until it is ready, with ten policies), `host.idle` (processor time while nobody asks it) and
//! `host.memory` (mebibytes outside of the ledger's map) have `name, value, unit` instead, and so has
//! `wamp.get_quote.share.N`: quotes in a second as a share of `wamp.echo.N`.
//!
//! Usage: `bench [FILTER]`; a line is measured if its name contains the filter, and so is the limit it needs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot be made must stop"
)]

mod bare;
mod echo;
mod follow;
mod large;
mod limits;
mod market;
mod policy;
mod process;
mod ready;
mod report;
mod wamp;

use report::Report;

/// As in the host.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests in flight.
const IN_FLIGHT: [usize; 3] = [1, 16, 64];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let filter = arguments.next();
    if filter.as_deref() == Some(bare::CALLEE) {
        let mut given = || arguments.next().expect("a URL and a subprotocol");
        return bare::serve_callee(&given(), &given());
    }
    if filter.as_deref() == Some(limits::ECHO_SERVER) {
        return limits::serve_echo();
    }
    if filter.as_deref() == Some(echo::WEBSOCKET_SERVER) {
        return echo::serve_websocket();
    }
    let mut report = Report::new(filter);
    limits::measure(&mut report);
    policy::measure(&mut report);
    wamp::measure(&mut report);
    echo::measure(&mut report);
    large::measure(&mut report);
    ready::measure(&mut report);
    follow::measure(&mut report);
}
