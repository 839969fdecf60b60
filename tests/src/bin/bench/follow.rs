//! A ledger that catches up with a long chain, and one that waits for the next block.

use crate::market::Host;
use crate::process::{cpu_of, resident, ticks_of};
use crate::report::Report;
use bourse_chain::{Consent, Fees, Signer, Transaction};
use bourse_market::CatalogId;
use bourse_tests::Chain;
use bourse_wamp::{CallOptions, Dict, Session, Value};
use std::time::{Duration, Instant};

/// Blocks of the chain, and events in them: every other block has one.
const BLOCKS: u64 = 100_000;
const EVENTS: u64 = BLOCKS / 2;
/// Blocks mined at once without anything, after as many with an event.
const MINED: u64 = 100;
/// Blocks above one that counts.
const DEPTH: u64 = 20;
/// Blocks that come while the ledger has nothing else to do.
const IDLE: u64 = 200;
/// From each of those to the next.
const PACE: Duration = Duration::from_millis(100);
/// Gas for a consent: some four times what it takes.
const GAS: u64 = 500_000;

pub(crate) fn measure(report: &mut Report) {
    if report.wants("chain.follow") {
        crate::limits::runtime().block_on(follow(report));
    }
}

async fn follow(report: &mut Report) {
    let Some(chain) = Chain::start().await else { return };
    fill(&chain).await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    chain.keep_key(&data);
    let begun = Instant::now();
    let host = Host::start_among(&data, &chain.variables(chain.url(), DEPTH));
    let session = host.session().await;
    let counts = chain.head().await - DEPTH;
    followed(&session, counts).await;
    let took = begun.elapsed().as_secs_f64();
    report.value("chain.follow.blocks", BLOCKS as f64 / took, "blocks/s");
    report.value("chain.follow.events", EVENTS as f64 / took, "events/s");
    report.value(
        "chain.follow.cpu",
        cpu_of(host.pid()).as_secs_f64() * 1e6 / EVENTS as f64,
        "us/event",
    );
    report.value(
        "chain.follow.memory",
        resident(host.pid()) as f64 / 1048576.0,
        "MiB",
    );

    // Nobody asks the host for anything meanwhile: what that takes is no part of a block.
    let pause = PACE * u32::try_from(IDLE).unwrap();
    let quiet = cpu_over(&host, tokio::time::sleep(pause)).await;
    let blocks = cpu_over(&host, async {
        for _ in 0..IDLE {
            chain.mine(1).await;
            tokio::time::sleep(PACE).await;
        }
    });
    let blocks = blocks.await;
    followed(&session, counts + IDLE).await;
    report.value(
        "chain.follow.idle",
        blocks.saturating_sub(quiet).as_secs_f64() * 1e6 / IDLE as f64,
        "us/block",
    );
    report.value(
        "chain.follow.poll",
        quiet.as_secs_f64() * 1e6 / (PACE.as_secs_f64() / Chain::POLL.as_secs_f64() * IDLE as f64),
        "us/question",
    );
}

/// The processor's time that the host takes while `something` goes on; threads may end meanwhile.
async fn cpu_over(host: &Host, something: impl Future<Output = ()>) -> Duration {
    let before = ticks_of(host.pid());
    something.await;
    ticks_of(host.pid()) - before
}

/// Half of the blocks with a consent that the seller gives or takes back, half without anything.
async fn fill(chain: &Chain) {
    let seller: &Signer = &chain.parties.seller;
    let consent = |granted| Consent {
        member: seller.address(),
        updated: Default::default(),
        market: Chain::MARKET,
        delegate: chain.parties.seller_delegate.address(),
        delegate_type: 1,
        catalog: CatalogId([0xca; 16]),
        consent: granted,
        service_prefix: "com.example.".to_owned(),
    };
    let calls = [true, false].map(|granted| chain.contracts.set_consent(&consent(granted)));
    let first = chain.node().nonce(seller.address()).await.unwrap();
    for number in 0..EVENTS {
        let call = &calls[usize::try_from(number % 2).unwrap()];
        let transaction = Transaction {
            chain_id: chain.domain().chain_id,
            nonce: first + number,
            to: Some(call.to),
            input: call.input.clone(),
            gas_limit: GAS,
            fees: Fees::Legacy {
                gas_price: 100_000_000_000,
            },
        };
        chain
            .node()
            .send_raw(&transaction.sign(seller).bytes)
            .await
            .unwrap();
        // More at once can take the node longer than anybody waits for its answer.
        if number % MINED == MINED - 1 {
            chain.mine(MINED).await;
        }
    }
    // The node mines some of them after it has taken them.
    while chain.node().nonce(seller.address()).await.unwrap() < first + EVENTS {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// Waits until the host has followed the chain up to `block`.
async fn followed(session: &Session, block: u64) {
    loop {
        let status = session.call(
            "xbr.marketmaker.get_status",
            vec![],
            Dict::new(),
            CallOptions::default(),
        );
        let status = status.await.unwrap();
        let Some(Value::Map(status)) = status.args.first() else {
            panic!("no status")
        };
        if status.get("followed").and_then(Value::as_u64) >= Some(block) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
