//! One run: a town, a market that lives and dies in it, and a number of things that happen.

use crate::chance::Chance;
use crate::faults::{Clock, FaultyDisk, Process, Trouble, Weather};
use crate::hooks::InForce;
use crate::party::seller::UNPRICED;
use crate::party::{Buyer, Names, Network, Seller, Town, key_of, open_args};
use crate::reference::Reference;
use crate::spell;
use bourse_app::Environment;
use bourse_app::config::{Config, Rule, RuleLimits};
use bourse_app::simulation::{Library, Outside, Sellers, Stage};
use bourse_chain::{LocalSettlement, Settlement};
use bourse_market::plant::{self, Bug};
use bourse_market::{Address, Amount, ChannelKind, MarketId};
use bourse_wamp::{Dict, Invocation, Value};
use parking_lot::Mutex;
use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub seed: u64,
    /// Things that happen in it.
    pub operations: u64,
    /// A known bug, switched on to see whether it is found.
    pub plant: Option<Bug>,
    /// One thing that goes wrong, in the place of the seed's own weather.
    pub trouble: Option<Trouble>,
}

/// What came of a run in which nothing was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub operations: u64,
    pub sales: u64,
    pub crashes: u64,
    /// Purchases that a start found under way.
    pub recovered: u64,
    /// Purchases whose sellers had been paid for them, or for a part of them, before.
    pub netted: u64,
    /// Sales of keys that were left with the market.
    pub escrowed: u64,
    /// Channels that paid for such keys when they were closed.
    pub settled: u64,
    /// Channels that were closed.
    pub closed: u64,
    /// Orders for keys that a filter policy hides.
    pub hidden: u64,
    /// Orders that a consent policy refused.
    pub withheld: u64,
    /// What was to go wrong did.
    pub struck: bool,
}

/// What was violated, and how it came to that.
#[derive(Debug)]
pub struct Failure {
    pub violations: Vec<String>,
    pub trace: Vec<String>,
}

/// How a market's life ended.
enum Ended {
    Crashed,
    Done,
}

/// The market's own id in every run: all else comes from the seed.
const MARKET: &str = "6f2c1a54-5d0e-4c86-9b0a-3d8a0f5d7c11";

/// What a policy may take, in time that is not simulated: a busy machine is not to decide what happens. Fuel ends a call.
const PATIENCE_MS: u64 = 60_000;

/// Shared by all runs of this process: compiling the policies takes longer than a run.
fn library() -> Library {
    static SHARED: OnceLock<(TempDir, Library)> = OnceLock::new();
    let (_, library) = SHARED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = bourse_app::simulation::library(&config_in(folder.path(), InForce::default())).unwrap();
        (folder, library)
    });
    library.clone()
}

/// A folder in memory where there is one: a run commits some thousand times.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

fn config_in(folder: &Path, in_force: InForce) -> Config {
    let mut config = Config::default();
    config.store.path = folder.to_owned();
    config.store.map_size = 256 << 20;
    config.market.id = Some(MARKET.to_owned());
    let limits = RuleLimits {
        deadline_ms: Some(PATIENCE_MS),
        ..RuleLimits::default()
    };
    config.policies.rule = vec![
        Rule {
            uri: Some(UNPRICED.to_owned()),
            limits: RuleLimits {
                fuel: Some(1),
                ..limits.clone()
            },
            ..Rule::default_pricing()
        },
        Rule {
            limits: limits.clone(),
            ..Rule::default_pricing()
        },
    ];
    config.policies.rule.extend(in_force.rules(&limits));
    config
}

/// Plays one seed through.
///
/// # Errors
///
/// [`Failure`] if anything was violated.
pub fn run(run: Run) -> Result<Summary, Failure> {
    plant::plant(run.plant);
    let played = play(run);
    plant::plant(None);
    played
}

fn play(run: Run) -> Result<Summary, Failure> {
    let chance = Arc::new(Chance::new(run.seed));
    let folder = folder();
    let in_force = InForce::of(run.seed);
    let config = config_in(folder.path(), in_force);
    let maker = key_of(&chance);
    write_key(folder.path(), &maker.to_bytes()[..]);

    let weather = match run.trouble {
        Some(_) => Weather::CALM,
        None => Weather::drawn(&chance),
    };
    let process = Arc::new(Process::new(Arc::clone(&chance), Weather::CALM));
    let clock = Arc::new(Clock::new(Arc::clone(&chance)));
    let market: MarketId = MARKET.parse().unwrap();
    let buyers = chance.within(1..=6);
    let sellers = chance.within(1..=3);
    let town = Arc::new(Town {
        names: names(market, maker.address()),
        in_force,
        buyers: (0..buyers)
            .map(|number| Buyer::new(index(number), &chance, tokens(&chance, 50, 2_000)))
            .collect(),
        sellers: (0..sellers)
            .map(|number| Seller::new(index(number), &chance, tokens(&chance, 500, 10_000)))
            .collect(),
        chance,
        process,
        clock,
        reference: Mutex::new(Reference::default()),
        trace: Mutex::default(),
    });
    town.note(|| {
        format!(
            "seed {}: {weather:?}, {in_force:?}, {buyers} buyers, {sellers} sellers",
            run.seed
        )
    });

    if in_force.quota {
        town.reference.lock().rations();
    }

    let mut summary = Summary::default();
    let (mut first, mut failed_starts) = (true, 0);
    loop {
        // A runtime for each life: when it goes, so does everything the process had under way.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let ended = runtime.block_on(async {
            let ended = live(
                &town,
                &config,
                &mut summary,
                run,
                first.then_some(weather),
                &mut failed_starts,
            )
            .await;
            // While the runtime's own time still counts.
            town.clock.stop();
            ended
        });
        drop(runtime);
        first = false;
        let violated = !town.reference.lock().violations.is_empty();
        match ended {
            Ended::Crashed if !violated => {
                summary.crashes += 1;
                town.note(|| "the market crashed".to_owned());
                town.process.revive();
            }
            _ => break,
        }
    }
    let reference = town.reference.lock();
    summary.sales = reference.sales;
    summary.netted = reference.netted;
    summary.escrowed = reference.escrowed;
    summary.settled = u64::try_from(reference.settled.len()).unwrap();
    summary.closed = reference.closings();
    (summary.hidden, summary.withheld) = (reference.hidden, reference.withheld);
    match reference.violations.is_empty() {
        true => Ok(summary),
        false => Err(Failure {
            violations: reference.violations.clone(),
            trace: town.trace.lock().clone(),
        }),
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn tokens(chance: &Chance, from: u64, to: u64) -> Amount {
    Amount::from_tokens(chance.within(from..=to))
}

fn names(market: MarketId, marketmaker: Address) -> Names {
    let network = LocalSettlement::new(market, marketmaker, Amount::ZERO).network();
    Names {
        domain: network.domain,
        market,
        marketmaker,
        owner: network.owner,
    }
}

fn write_key(folder: &Path, key: &[u8]) {
    use std::io::Write;
    let path = folder.join("marketmaker.key");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    let hex = key.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    file.write_all(hex.as_bytes()).unwrap();
}

/// Starts that may fail in a row: the disk fails some, and never all of so many.
const MAX_FAILED_STARTS: u32 = 20;

/// How often a buyer may have to ask, once nothing goes wrong any more.
const MAX_ASKED: u32 = 100;

/// One life of the market, from its start to a crash or to the end of the run.
async fn live(
    town: &Arc<Town>,
    config: &Config,
    summary: &mut Summary,
    run: Run,
    first: Option<Weather>,
    failed_starts: &mut u32,
) -> Ended {
    town.clock.start();
    let network = Arc::new(Network {
        town: Arc::clone(town),
        stage: Mutex::new(Weak::new()),
    });
    let disk = Arc::new(FaultyDisk {
        process: Arc::clone(&town.process),
        commits: AtomicU64::new(0),
    });
    let outside = Outside {
        environment: Arc::clone(&town.clock) as _,
        disk,
        sellers: Arc::clone(&network) as Arc<dyn Sellers>,
        library: library(),
        events: Box::new(|_, _| {}),
    };
    let stage = match Stage::open(config, outside).await {
        Ok(stage) => Arc::new(stage),
        // A start that the disk fails is tried again, as its operator would.
        Err(error) => {
            town.note(|| format!("the market did not start: {error:#}"));
            *failed_starts += 1;
            if *failed_starts == MAX_FAILED_STARTS {
                let violation =
                    format!("{MAX_FAILED_STARTS} times in a row the market does not start: {error:#}");
                town.reference.lock().violations.push(violation);
            }
            return Ended::Crashed;
        }
    };
    *failed_starts = 0;
    *network.stage.lock() = Arc::downgrade(&stage);
    summary.recovered += u64::try_from(stage.recovered()).unwrap();
    check(town, &stage);
    town.reference.lock().audit(&stage);

    if let Some(weather) = first {
        open_channels(town, &stage).await;
        town.process.set(weather);
        if let Some(trouble) = run.trouble {
            town.process.expect(trouble);
        }
    }
    join(town, &stage).await;
    let mut under_way = JoinSet::new();
    while summary.operations < run.operations {
        let pause = match town.chance.permille(20) {
            // A quiet minute: quotes run out, and after some of them offers do.
            true => Duration::from_secs(town.chance.within(20..=120)),
            false => Duration::from_micros(town.chance.within(0..=60_000)),
        };
        tokio::select! {
            biased;
            () = town.process.died.notified() => return crashed(&mut under_way).await,
            () = tokio::time::sleep(pause) => {}
        }
        summary.operations += 1;
        begin(town, &stage, &mut under_way);
        while under_way.try_join_next().is_some() {}
        check(town, &stage);
        if summary.operations.is_multiple_of(50) {
            town.reference.lock().audit(&stage);
        }
        if !town.reference.lock().violations.is_empty() {
            return Ended::Done;
        }
    }
    tokio::select! {
        biased;
        () = town.process.died.notified() => return crashed(&mut under_way).await,
        struck = settle(town, &stage, &mut under_way) => summary.struck = struck,
    }
    Ended::Done
}

async fn crashed(under_way: &mut JoinSet<()>) -> Ended {
    under_way.shutdown().await;
    Ended::Crashed
}

fn check(town: &Town, stage: &Stage) {
    town.reference.lock().look(stage, &town.buyers, &town.sellers);
}

/// Everybody's channels, on a day when nothing goes wrong.
async fn open_channels(town: &Arc<Town>, stage: &Arc<Stage>) {
    let session = u64::from_be_bytes(town.chance.bytes()) >> 11;
    stage.joined(session);
    for buyer in &town.buyers {
        let fund = Invocation {
            procedure: "bourse.dev.fund".to_owned(),
            ..spell::call(
                session,
                "",
                vec![Value::from(buyer.actor.address().0), spell::amount(buyer.deposit)],
                Dict::new(),
            )
        };
        town.ask_surely(stage, fund).await.unwrap().unwrap();
        let (actor, delegate) = (&buyer.actor, buyer.signer.address());
        let args = open_args(
            &town.names,
            ChannelKind::Payment,
            buyer.channel,
            actor,
            delegate,
            buyer.deposit,
        );
        let open = spell::call(session, "open_channel", args, Dict::new());
        town.ask_surely(stage, open).await.unwrap().unwrap();
    }
    for seller in &town.sellers {
        let (actor, delegate) = (&seller.actor, seller.signer.address());
        let args = open_args(
            &town.names,
            ChannelKind::Paying,
            seller.channel,
            actor,
            delegate,
            seller.deposit,
        );
        let open = spell::call(session, "open_channel", args, Dict::new());
        town.ask_surely(stage, open).await.unwrap().unwrap();
        town.reference.lock().opened(seller);
    }
    stage.left(session);
}

/// Everybody comes to a market that has just started.
async fn join(town: &Arc<Town>, stage: &Arc<Stage>) {
    for buyer in &town.buyers {
        let session = u64::from_be_bytes(town.chance.bytes()) >> 11;
        stage.joined(session);
        let mut books = buyer.books.lock();
        (books.session, books.busy) = (session, false);
    }
    for seller in &town.sellers {
        seller.books.lock().starting = false;
        let session = u64::from_be_bytes(town.chance.bytes()) >> 11;
        let again = town.chance.permille(500);
        seller.start(town, stage, session, again).await;
    }
}

/// One more thing happens; nobody waits for it.
fn begin(town: &Arc<Town>, stage: &Arc<Stage>, under_way: &mut JoinSet<()>) {
    let (town, stage) = (Arc::clone(town), Arc::clone(stage));
    let what = town.chance.within(0..=99);
    // Most of a run is trade: whoever closed its channel only watches from then on.
    let closes = town.chance.permille(4);
    let buyer = index(
        town.chance
            .within(0..=u64::try_from(town.buyers.len() - 1).unwrap()),
    );
    let seller = index(
        town.chance
            .within(0..=u64::try_from(town.sellers.len() - 1).unwrap()),
    );
    under_way.spawn(async move {
        let (buyer, seller) = (&town.buyers[buyer], &town.sellers[seller]);
        match what {
            0..=11 if closes => seller.close(&town, &stage).await,
            21.. if closes => buyer.close(&town, &stage).await,
            0..=11 => seller.offer(&town, &stage).await,
            12..=14 => seller.revoke(&town, &stage).await,
            15..=19 => {
                let session = u64::from_be_bytes(town.chance.bytes()) >> 11;
                let again = town.chance.permille(500);
                seller.start(&town, &stage, session, again).await;
            }
            20 => {
                if town.process.weather().crash > 0 {
                    town.process.kill();
                }
            }
            97..=99 => {
                town.reference.lock().sweeps(town.clock.now());
                stage.sweep().await;
            }
            _ => {
                if std::mem::replace(&mut buyer.books.lock().busy, true) {
                    return;
                }
                match what {
                    21..=27 => buyer.replay(&town, &stage).await,
                    28..=33 => buyer.spend_twice(&town, &stage).await,
                    34..=37 => buyer.cheat(&town, &stage).await,
                    _ => buyer.buy(&town, &stage).await,
                }
                buyer.books.lock().busy = false;
            }
        }
    });
}

/// The last word on everything: nothing goes wrong any more, everybody asks once more, and the books are closed.
/// Says whether what was to go wrong did.
async fn settle(town: &Arc<Town>, stage: &Arc<Stage>, under_way: &mut JoinSet<()>) -> bool {
    while let Some(ended) = under_way.join_next().await {
        ended.unwrap();
    }
    let struck = town.process.calm();
    stage.drained().await;
    for seller in &town.sellers {
        let session = u64::from_be_bytes(town.chance.bytes()) >> 11;
        seller.start(town, stage, session, false).await;
    }
    for buyer in &town.buyers {
        let mut asked = 0;
        while buyer.settle(town, stage).await {
            asked += 1;
            if asked == MAX_ASKED {
                town.violated(format!(
                    "{MAX_ASKED} times in a row a buyer gets no last word on its orders"
                ));
                break;
            }
            // What the disk refused is tried again after a while.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    stage.drained().await;
    for seller in &town.sellers {
        let session = u64::from_be_bytes(town.chance.bytes()) >> 11;
        seller.start(town, stage, session, false).await;
        if town.chance.permille(300) {
            seller.retire(town, stage).await;
            seller.start(town, stage, session, false).await;
        }
    }
    check(town, stage);
    let mut reference = town.reference.lock();
    reference.audit(stage);
    reference.close(stage, &town.buyers, &town.sellers);
    struck
}
