//! A market without sockets, threads or a clock of its own, for simulators: the real procedures, policies, purchase and
//! ledger, driven one call at a time.
//!
//! What lives here: the same wiring as [`crate::Host`]'s, with everything that comes from outside handed in. What never
//! does: a shortcut. A simulator proves something only about code that the host runs too.
//!
//! On a runtime of one thread with paused time two runs over the same inputs take the same steps: commands are decided
//! where they are submitted, jobs done where they are asked for, and time passes only when everybody waits.

use crate::access::CameBy;
use crate::config::Config;
use crate::content::{Content, Licence};
use crate::environment::Environment;
use crate::events::Announcer;
use crate::figures::Figures;
use crate::host::{Opened, look_at, open, open_library, rebuild_demand, terms};
use crate::market::{Doors, Market, Parts, Status};
use crate::policies::{self, Policies};
use crate::workers::Workers;
use crate::{commands, procedures, purchase, sweep};
use bourse_chain::Network;
use bourse_market::{Change, Demand};
use bourse_store::{Disk, Reader, Report, StoreError};
use bourse_wamp::{CallResult, Invocation, Value, WampError};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use crate::purchase::Sellers;
pub use bourse_policy::Library;

/// What a simulator hands in.
pub struct Outside {
    /// Clock and identifiers.
    pub environment: Arc<dyn Environment>,
    /// The disk under the ledger.
    pub disk: Arc<dyn Disk>,
    /// How sellers are reached.
    pub sellers: Arc<dyn Sellers>,
    /// The policies, from [`library`]; they outlive a crash as their compiled code does.
    pub library: Library,
    /// Told of every event, in order.
    pub events: Box<dyn FnMut(String, Vec<Value>) + Send>,
}

/// A market between two starts. Dropping it is a crash: what is durable stays, all else is gone.
pub struct Stage {
    market: Arc<Market>,
    recovered: usize,
}

/// The policies of a configuration, to be shared by many stages.
///
/// # Errors
///
/// If the sandbox does not start, or the folders of its revisions cannot be used.
pub fn library(config: &Config) -> anyhow::Result<Library> {
    open_library(config)
}

/// A record as `bourse ledger export` writes it. For fuzzing.
///
/// # Errors
///
/// If it cannot be written as JSON.
#[doc(hidden)]
pub fn exported(table: &str, record: Change) -> anyhow::Result<String> {
    Ok(commands::ledger::line(table, record)?)
}

/// There is no router: whoever calls is whom it says that it is.
struct NoDoors;

impl Doors for NoDoors {
    fn is_own(&self) -> bool {
        false
    }

    fn came_by(&self, _session: u64) -> BoxFuture<'_, CameBy> {
        Box::pin(std::future::ready(CameBy::AsDecided))
    }

    fn close(&self, _session: u64) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Stage {
    /// Opens the data folder of `config`, resolves what a former stage left, and trades.
    ///
    /// # Errors
    ///
    /// Whatever keeps a host from starting.
    pub async fn open(config: &Config, outside: Outside) -> anyhow::Result<Self> {
        config.check()?;
        let Outside {
            environment,
            disk,
            sellers,
            library,
            mut events,
        } = outside;
        let Opened {
            store,
            signer,
            settlement,
            ..
        } = open(config, &*environment, disk, true).await?;
        let demand = Arc::new(Mutex::new(Demand::default()));
        rebuild_demand(&store, &demand, environment.now())?;
        let figures = Figures::of(&config.realm.name)?;
        let policies = Arc::new(Policies::new(policies::Parts {
            market: settlement.network().market,
            library,
            rules: config.rules(),
            demand: Arc::clone(&demand),
            store: store.clone(),
            log: None,
            environment: Arc::clone(&environment),
            figures: Arc::clone(&figures),
        })?);
        let market = Arc::new(Market::new(Parts {
            terms: terms(config),
            outbox: None,
            content: Content::in_folder(&config.store.path, None),
            licence: Licence::of(None, None)?,
            store,
            signer: Arc::new(signer),
            settlement,
            environment,
            workers: Workers::inline(),
            policies,
            demand,
            sellers,
            doors: Arc::new(NoDoors),
            figures,
            announcer: Announcer::through(move |topic, args, _| {
                events(topic, args);
                std::future::ready(())
            }),
        }));
        // From here on a start that fails is dropped as a crash is, and leaves the folder free: how often the next one must
        // be tried would depend on how busy the machine is.
        let mut stage = Self { market, recovered: 0 };
        look_at(&stage.market.store)?;
        stage.recovered = purchase::recover(&stage.market)?;
        stage.market.set_status(Status::Running);
        Ok(stage)
    }

    /// Answers one call.
    ///
    /// # Errors
    ///
    /// What the procedure answers its caller with.
    pub async fn call(&self, invocation: Invocation) -> Result<CallResult, WampError> {
        procedures::answer(&self.market, invocation).await
    }

    /// A session is there.
    pub fn joined(&self, session: u64) {
        self.market.joined(session);
    }

    /// A session is gone.
    pub fn left(&self, session: u64) {
        self.market.left(session);
    }

    /// A session registered a procedure.
    pub fn registered(&self, session: u64, uri: &str) {
        self.market.registered(session, uri);
    }

    /// A session's registration is gone.
    pub fn unregistered(&self, session: u64, uri: &str) {
        self.market.unregistered(session, uri);
    }

    /// What the market tells clients of its network.
    pub fn network(&self) -> &Network {
        &self.market.network
    }

    /// Purchases whose end the disk did not take yet: they, and their channels, stand still.
    pub fn unresolved(&self) -> u64 {
        self.market.unresolved.load(Ordering::Relaxed)
    }

    /// Purchases that a former stage left under way and that were voided at the start.
    pub fn recovered(&self) -> usize {
        self.recovered
    }

    /// Reads the ledger as it stands committed.
    ///
    /// # Errors
    ///
    /// What keeps it from being read.
    pub fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.market.store.read().and_then(|ledger| read(&ledger))
    }

    /// Checks every invariant of the ledger.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn verify(&self) -> Result<Report, StoreError> {
        self.read(|ledger| ledger.verify(&mut |_, _| {}))
    }

    /// Takes offers that ended by now off the lists, as the host does in the background.
    pub async fn sweep(&self) {
        let mut reached = None;
        loop {
            reached = sweep::sweep(&self.market, Duration::ZERO, reached).await;
            if reached.is_none() {
                return;
            }
        }
    }

    /// Resolves once nothing is under way any more.
    pub async fn drained(&self) {
        self.market.pending.drained().await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Purchases under way outlive this in their tasks until the runtime goes: they are to write nothing any more,
        // and the folder must be free for the next stage.
        self.market.store.shutdown();
        self.market.policies.close();
    }
}
