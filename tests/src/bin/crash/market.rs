//! One market, killed again and again.

use crate::audit::{Audit, audit};
use crate::comeback::come_back;
use crate::death::{kill, relapse, selling};
use crate::load::{self, Opening, Trader};
use crate::plan::{Dice, Kill, Plan, Relapse};
use bourse_market::{Amount, KeyId};
use bourse_tests::{Absent, Buyer, Seller, World, tokens};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::timeout;

const BUYERS: usize = 6;
const SELLERS: usize = 3;
/// Channels and offers asked for between two kills, at most.
const NEWCOMERS: usize = 60;

/// A market with all who ever dealt with it.
pub(crate) struct Market {
    pub(crate) world: World,
    pub(crate) sellers: Vec<Seller>,
    pub(crate) traders: Vec<Trader>,
    pub(crate) openings: Vec<Opening>,
    /// Every key whose offer was accepted.
    pub(crate) keys: Vec<KeyId>,
    /// What is bought, at its price.
    goods: Vec<(KeyId, Amount)>,
    pub(crate) float: Amount,
    environment: Vec<(&'static str, OsString)>,
    fuse: PathBuf,
    // Holds the fuse.
    _folder: tempfile::TempDir,
}

/// What came of one kill.
#[derive(Default)]
pub(crate) struct Cycle {
    pub(crate) audit: Audit,
    /// From the start of the process that follows to the first session with it.
    pub(crate) ready: Option<Duration>,
    /// Orders without an answer, of which so many turned out to be paid.
    pub(crate) unanswered: usize,
    pub(crate) paid: usize,
    /// The place was never passed, or the start never got so far.
    pub(crate) missed: bool,
}

impl Market {
    /// A market whose first start was killed, and everybody who trades there.
    pub(crate) async fn found(dice: &mut Dice, plant: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fuse = folder.path().join("fuse");
        let mut environment = vec![("BOURSE_CRASH_FUSE", fuse.clone().into_os_string())];
        environment.extend(plant.map(|bug| ("BOURSE_CRASH_PLANT", OsString::from(bug))));
        let genesis = Relapse::of_genesis(dice);
        let die = |data: &Path| {
            relapse(data, &environment, &fuse, genesis);
        };
        let mut world = World::prepared(die, |_| {}).await;
        let float = world.config().float();
        world.stop().await;
        world.try_run_apart(&environment).unwrap();

        let (mut sellers, mut goods, mut traders) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..SELLERS {
            let seller = Seller::new(&world, tokens(1_000_000)).await;
            seller.behave(selling(number));
            for price in 1..4 {
                let price = Amount::from_units(price * 1_000_000_000_000_000_000 + number as u128);
                goods.push((seller.offer(Some(price)).await, price));
            }
            sellers.push(seller);
        }
        for _ in 0..BUYERS {
            traders.push(Trader::new(Buyer::new(&world, tokens(100_000)).await));
        }
        // The offers of a session that never proved to be their seller go with it, and that is no finding.
        for (key, price) in goods.iter().step_by(goods.len() / SELLERS) {
            let trader = traders.first_mut().unwrap();
            let order = trader.buyer.order(*key, *price);
            let receipt = load::insist(&trader.buyer, &order, &mut trader.refusals)
                .await
                .unwrap();
            trader.keep(order, receipt);
        }
        // Nobody is ever there to sell these.
        let absent = Absent::new();
        for price in 1..4 {
            let price = tokens(price);
            goods.push((absent.leave(&world, price).await.key(), price));
        }
        Self {
            world,
            sellers,
            traders,
            openings: Vec::new(),
            keys: goods.iter().map(|(key, _)| *key).collect(),
            goods,
            float,
            environment,
            fuse,
            _folder: folder,
        }
    }

    /// What the faucet gave to the buyers.
    pub(crate) fn deposits(&self) -> Amount {
        let deposits = self.traders.iter().map(|trader| trader.buyer.deposit);
        deposits.fold(Amount::ZERO, Amount::saturating_add)
    }

    /// Of anything that is bought.
    pub(crate) fn highest_price(&self) -> Amount {
        self.goods
            .iter()
            .map(|(_, price)| *price)
            .max()
            .unwrap_or_default()
    }

    /// One kill under load, the audit of what it left, the restart, and everybody's return.
    pub(crate) async fn cycle(&mut self, plan: Plan, dice: &mut Dice) -> Cycle {
        let (mut findings, mut missed) = self.load_and_kill(plan.kill, dice).await;
        let mut audit = audit(self);
        audit.findings.append(&mut findings);
        if !audit.findings.is_empty() {
            // What is lost is lost: nobody's books agree from here on.
            return Cycle {
                audit,
                ..Cycle::default()
            };
        }
        if let Some(how) = plan.relapse {
            missed |= !relapse(self.world.data(), &self.environment, &self.fuse, how);
        }
        let since = Instant::now();
        if let Err(said) = self.world.try_run_apart(&self.environment) {
            panic!("the host does not start again:\n{said}");
        }
        self.world.session().await.leave().await;
        let ready = Some(since.elapsed());
        let mut cycle = Cycle {
            ready,
            missed,
            ..Cycle::default()
        };
        for seller in &mut self.sellers {
            seller.reconnect(&self.world).await;
        }
        for (number, trader) in self.traders.iter_mut().enumerate() {
            trader.buyer.reconnect(&self.world).await;
            let said = come_back(trader, &mut cycle, dice).await;
            findings.extend(said.into_iter().map(|said| format!("buyer {number}: {said}")));
        }
        audit.findings.extend(findings);
        cycle.audit = audit;
        cycle
    }

    /// Everybody deals until the host dies. What was refused too long, and whether the place was never passed.
    async fn load_and_kill(&mut self, moment: Kill, dice: &mut Dice) -> (Vec<String>, bool) {
        let mut traders = JoinSet::new();
        for trader in self.traders.drain(..) {
            let dice = Dice::new(dice.below(u64::MAX));
            traders.spawn(trader.trade(self.goods.clone(), dice));
        }
        let openings: Vec<Opening> = (0..NEWCOMERS).map(|_| Opening::new(&self.world)).collect();
        let openings = tokio::spawn(load::open_channels(self.world.session().await, openings));
        let seller = self.sellers.first().unwrap();
        let offers = load::offers(seller, NEWCOMERS);
        let offers = tokio::spawn(load::place_offers(seller.session.clone(), offers));

        let missed = kill(&mut self.world, &self.sellers, &self.fuse, moment).await;
        // A dead socket is noticed at once.
        let done = timeout(Duration::from_secs(30), async {
            (traders.join_all().await, openings.await, offers.await)
        });
        let (traders, openings, offers) = done.await.expect("nobody hangs on a dead host");
        self.openings.extend(openings.unwrap());
        self.keys.extend(offers.unwrap());
        let mut findings = Vec::new();
        for (trader, finding) in traders {
            self.traders.push(trader);
            findings.extend(finding);
        }
        (findings, missed)
    }

    /// A stop in order, and a last audit: nothing is left under way.
    pub(crate) async fn close(mut self) -> Audit {
        self.world.stop().await;
        let mut audit = audit(&self);
        if audit.cut > 0 || !audit.adopted.is_empty() {
            audit.findings.push(format!(
                "after a stop in order {} purchases are under way, and {} sellers are ahead",
                audit.cut,
                audit.adopted.len()
            ));
        }
        audit
    }
}
