//! What goes wrong outside of the market: the process, its disk, its clock.

use crate::chance::Chance;
use bourse_app::Environment;
use bourse_market::Nanos;
use bourse_store::Disk;
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How stormy a run is, each in thousandths.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Questions to sellers that go wrong, each in a way of its own.
    pub sell: u64,
    /// Replies to buyers that are lost.
    pub reply: u64,
    /// Commits that fail.
    pub commit: u64,
    /// Steps at which the process dies: before a commit, after it, while a seller is asked.
    pub crash: u64,
}

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Self = Self {
        sell: 0,
        reply: 0,
        commit: 0,
        crash: 0,
    };

    /// One of three kinds of day: most sellers answer, few do, or the disk is bad.
    pub fn drawn(chance: &Chance) -> Self {
        match chance.within(0..=3) {
            0 => Self::CALM,
            1 => Self {
                sell: 60,
                reply: 60,
                commit: 5,
                crash: 4,
            },
            2 => Self {
                sell: 350,
                reply: 200,
                commit: 10,
                crash: 8,
            },
            _ => Self {
                sell: 80,
                reply: 80,
                commit: 120,
                crash: 30,
            },
        }
    }
}

/// A kind of thing that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk refuses a commit.
    Commit,
    /// The process dies, and the commit under way with it.
    DiesBeforeCommit,
    /// The process dies once the commit under way is durable, and nobody hears of it.
    DiesAfterCommit,
    /// The process dies before a seller is asked.
    DiesBeforeSell,
    /// The process dies before a seller's answer arrives.
    DiesAfterSell,
    /// A question to a seller goes wrong, in one of the ways of [`crate::party::Network`].
    Sell(u64),
    /// A reply to a buyer is lost.
    Reply,
    /// An offer is priced by a policy that fails each time.
    Policy,
}

impl Fault {
    /// Every kind there is.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Self::Commit,
            Self::DiesBeforeCommit,
            Self::DiesAfterCommit,
            Self::DiesBeforeSell,
            Self::DiesAfterSell,
            Self::Reply,
            Self::Policy,
        ]
        .into_iter()
        .chain((0..crate::party::MISFORTUNES).map(Self::Sell))
    }
}

/// One thing that goes wrong once, on a day when nothing else does.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    pub fault: Fault,
    /// At which opportunity, from 1.
    pub nth: u64,
}

/// The process the market runs in: alive, or dead with nothing it does counting any more.
pub struct Process {
    chance: Arc<Chance>,
    weather: Mutex<Weather>,
    trouble: Mutex<Option<Trouble>>,
    dead: AtomicBool,
    /// Told when it dies.
    pub died: Notify,
}

impl Process {
    pub fn new(chance: Arc<Chance>, weather: Weather) -> Self {
        Self {
            chance,
            weather: Mutex::new(weather),
            trouble: Mutex::new(None),
            dead: AtomicBool::new(false),
            died: Notify::new(),
        }
    }

    pub fn weather(&self) -> Weather {
        *self.weather.lock()
    }

    /// The weather changes.
    pub fn set(&self, weather: Weather) {
        *self.weather.lock() = weather;
    }

    /// From here on this goes wrong, at its nth opportunity.
    pub fn expect(&self, trouble: Trouble) {
        *self.trouble.lock() = Some(trouble);
    }

    /// An opportunity for this to go wrong. True if it does.
    pub fn strikes(&self, fault: Fault) -> bool {
        let mut trouble = self.trouble.lock();
        let Some(waiting) = trouble.as_mut().filter(|trouble| trouble.fault == fault) else {
            return false;
        };
        waiting.nth = waiting.nth.saturating_sub(1);
        let now = waiting.nth == 0;
        if now {
            *trouble = None;
        }
        now
    }

    /// From here on nothing goes wrong. False if what was expected had no opportunity.
    pub fn calm(&self) -> bool {
        *self.weather.lock() = Weather::CALM;
        self.trouble.lock().take().is_none()
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }

    /// A step at which the process may die, of this fault or of the weather. True if it is dead now.
    pub fn step(&self, fault: Fault) -> bool {
        let part = self.weather().crash;
        if !self.is_dead() && (self.strikes(fault) || self.chance.permille(part)) {
            self.kill();
        }
        self.is_dead()
    }

    /// A new process on the same machine.
    pub fn revive(&self) {
        self.dead.store(false, Ordering::SeqCst);
    }
}

/// A disk that fails some commits, and every one of a process that is dead.
pub struct FaultyDisk {
    pub process: Arc<Process>,
    /// The process dies once the commit under way is durable.
    pub commits: AtomicU64,
}

impl Disk for FaultyDisk {
    fn free(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX / 2)
    }

    fn before_commit(&self) -> io::Result<()> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let gone = || io::Error::other("the process is dead");
        if self.process.is_dead() {
            return Err(gone());
        }
        let crash = self.process.weather().crash;
        if self.process.chance.permille(crash) {
            // Before the commit, or right after it: then it is durable, and nobody hears of it.
            self.process.kill();
            return match self.process.chance.permille(500) {
                true => Err(gone()),
                false => Ok(()),
            };
        }
        if self.process.strikes(Fault::DiesBeforeCommit) {
            self.process.kill();
            return Err(gone());
        }
        if self.process.strikes(Fault::DiesAfterCommit) {
            self.process.kill();
            return Ok(());
        }
        let refused = self.process.chance.permille(self.process.weather().commit);
        match self.process.strikes(Fault::Commit) || refused {
            true => Err(io::Error::other("the disk failed on purpose")),
            false => Ok(()),
        }
    }
}

/// A clock that stands still unless everybody waits, and goes on where it was after a crash.
pub struct Clock {
    chance: Arc<Chance>,
    base: AtomicU64,
    began: Mutex<Option<Instant>>,
}

/// The first moment of every run.
const EPOCH: u64 = 1_800_000_000_000_000_000;

impl Clock {
    pub fn new(chance: Arc<Chance>) -> Self {
        Self {
            chance,
            base: AtomicU64::new(EPOCH),
            began: Mutex::new(None),
        }
    }

    /// On a new runtime, whose time begins now.
    pub fn start(&self) {
        *self.began.lock() = Some(Instant::now());
    }

    /// Before the runtime goes.
    pub fn stop(&self) {
        let now = self.now().0;
        self.base.store(now + 1_000_000, Ordering::Relaxed);
        *self.began.lock() = None;
    }
}

impl Environment for Clock {
    fn now(&self) -> Nanos {
        let passed = self.began.lock().map_or(0, |began| began.elapsed().as_nanos());
        // No two moments are the same: two channels that opened at once have an order.
        let tick = self.base.fetch_add(1, Ordering::Relaxed);
        Nanos(tick + u64::try_from(passed).unwrap())
    }

    fn fresh_id(&self) -> [u8; 16] {
        self.chance.bytes()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.chance.fill(bytes);
    }
}
