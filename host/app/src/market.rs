//! The running market: the rooms wired together, shared by all procedures.

use crate::access::{self, CameBy, Logins, Proven};
use crate::config::Access;
use crate::console::Feed;
use crate::content::{Content, Licence};
use crate::environment::Environment;
use crate::events::Announcer;
use crate::figures::Figures;
use crate::follow::Course;
use crate::outbox::Outbox;
use crate::policies::Policies;
use crate::providers::{Providers, Registration, provider_of_quote, provider_of_sell, quote_uri, sell_uri};
use crate::purchase::{Pending, Sellers, Turns};
use crate::quotes::Quotes;
use crate::seller_price::SellerPrices;
use crate::uplink::Reach;
use crate::vault::Vault;
use crate::wire::{of_store, of_submit};
use crate::workers::Workers;
use bourse_chain::{KnownSigners, Network, Settlement, Signer};
use bourse_market::{Address, Amount, Command, Demand, Nanos, Outcome};
use bourse_store::{Reader, Store, StoreError};
use bourse_wamp::{Value, WampError};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Where the market stands; the numbers are those of `get_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// Before it is ready.
    None = 0,
    /// Trading.
    Running = 1,
    /// Resolving what is under way; nothing new.
    Stopping = 2,
    /// Done.
    Stopped = 3,
}

impl Status {
    /// The name `status` reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Running => "RUNNING",
            Self::Stopping => "SHUTDOWN_IN_PROGRESS",
            Self::Stopped => "STOPPED",
        }
    }

    fn from_code(code: u8) -> Self {
        [Self::Running, Self::Stopping, Self::Stopped]
            .into_iter()
            .find(|status| *status as u8 == code)
            .unwrap_or(Self::None)
    }
}

/// What the configuration says about trading.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// A purchase is posted, voided or refused within this.
    pub(crate) sell_deadline: Duration,
    /// A seller names its own price within this.
    pub(crate) quote_deadline: Duration,
    /// `compat.lenient_seq`.
    pub(crate) lenient_seq: bool,
    /// `offers.signature = "require"`.
    pub(crate) require_offer_signature: bool,
    /// What a buyer may spend over a channel without a voucher; none without a chain.
    pub(crate) max_unsettled: Option<Amount>,
    /// Whether the faucet answers.
    pub(crate) faucet: bool,
    /// The realm's name.
    pub(crate) realm: String,
    /// `realm.access`.
    pub(crate) access: Access,
    /// `compat.plain_login`.
    pub(crate) plain_login: bool,
    /// Blocks that must lie above one before it counts; none without a chain.
    pub(crate) depth: u64,
}

/// How sessions come in at the market's router, and are ended from here.
pub(crate) trait Doors: Send + Sync {
    /// Whether it is the market's own: then by what a session is in is settled before it is there.
    fn is_own(&self) -> bool;

    /// How a session was let in, as the router tells.
    fn came_by(&self, session: u64) -> BoxFuture<'_, CameBy>;

    /// Ends one session, and no other.
    fn close(&self, session: u64) -> BoxFuture<'_, ()>;
}

/// Everything a procedure needs.
pub(crate) struct Market {
    pub(crate) terms: Terms,
    pub(crate) store: Store,
    pub(crate) signer: Arc<Signer>,
    /// Delegates whose signatures it checks again and again.
    pub(crate) known_signers: Arc<KnownSigners>,
    /// Opens what sellers left here.
    pub(crate) vault: Vault,
    pub(crate) settlement: Arc<dyn Settlement>,
    /// How far the ledger came along the chain, where there is one.
    pub(crate) course: Course,
    /// Its own transactions, where there is a chain.
    pub(crate) outbox: Option<Arc<Outbox>>,
    pub(crate) network: Network,
    /// What the chain names by its hash.
    pub(crate) content: Arc<Content>,
    /// The licence of the network.
    pub(crate) licence: Arc<Licence>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) workers: Workers,
    pub(crate) policies: Arc<Policies>,
    pub(crate) demand: Arc<Mutex<Demand>>,
    pub(crate) quotes: Quotes,
    pub(crate) seller_prices: SellerPrices,
    pub(crate) providers: Providers,
    pub(crate) sellers: Arc<dyn Sellers>,
    pub(crate) announcer: Announcer,
    /// Whether clients reach it, at a router that is another's.
    pub(crate) reach: Reach,
    pub(crate) turns: Turns,
    pub(crate) pending: Arc<Pending>,
    /// The buyer's delegate each session has proven to be, if any.
    pub(crate) proven: Proven,
    /// By what sessions logged in.
    pub(crate) logins: Logins,
    pub(crate) doors: Arc<dyn Doors>,
    /// Purchases whose end could not be written: they, and their channels, wait until the disk takes it.
    pub(crate) unresolved: AtomicU64,
    /// What is remembered for those who look at it.
    pub(crate) feed: Feed,
    /// What it counts.
    pub(crate) figures: Arc<Figures>,
    /// When it was opened.
    pub(crate) since: Nanos,
    status: AtomicU8,
}

/// What [`Market::new`] puts together.
pub(crate) struct Parts {
    pub(crate) terms: Terms,
    pub(crate) store: Store,
    pub(crate) signer: Arc<Signer>,
    pub(crate) settlement: Arc<dyn Settlement>,
    pub(crate) outbox: Option<Arc<Outbox>>,
    pub(crate) content: Content,
    pub(crate) licence: Licence,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) workers: Workers,
    pub(crate) policies: Arc<Policies>,
    pub(crate) demand: Arc<Mutex<Demand>>,
    pub(crate) sellers: Arc<dyn Sellers>,
    pub(crate) announcer: Announcer,
    pub(crate) doors: Arc<dyn Doors>,
    pub(crate) figures: Arc<Figures>,
}

impl Market {
    pub(crate) fn new(parts: Parts) -> Self {
        let (network, since) = (parts.settlement.network(), parts.environment.now());
        Self {
            terms: parts.terms,
            store: parts.store,
            vault: Vault::new(network.market, &parts.signer),
            signer: parts.signer,
            known_signers: Arc::default(),
            network,
            settlement: parts.settlement,
            course: Course::default(),
            outbox: parts.outbox,
            content: Arc::new(parts.content),
            licence: Arc::new(parts.licence),
            environment: parts.environment,
            workers: parts.workers,
            policies: parts.policies,
            demand: parts.demand,
            quotes: Quotes::default(),
            seller_prices: SellerPrices::default(),
            providers: Providers::default(),
            sellers: parts.sellers,
            announcer: parts.announcer,
            reach: Reach::default(),
            turns: Turns::default(),
            pending: Arc::default(),
            proven: Proven::default(),
            logins: Logins::default(),
            doors: parts.doors,
            unresolved: AtomicU64::new(0),
            feed: Feed::default(),
            since,
            figures: parts.figures,
            status: AtomicU8::new(Status::None as u8),
        }
    }

    pub(crate) fn now(&self) -> Nanos {
        self.environment.now()
    }

    pub(crate) fn status(&self) -> Status {
        Status::from_code(self.status.load(Ordering::Acquire))
    }

    pub(crate) fn set_status(&self, status: Status) {
        self.status.store(status as u8, Ordering::Release);
    }

    /// Reads the ledger as it stands committed.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<T, WampError> {
        self.store
            .read()
            .and_then(|reader| read(&reader))
            .map_err(of_store)
    }

    /// Changes the ledger; durable once it returns.
    pub(crate) async fn submit(&self, command: Command) -> Result<Outcome, WampError> {
        self.store.submit(command).await.map_err(of_submit)
    }

    /// Publishes `args` under `topic` to those whom it concerns, some time soon.
    pub(crate) fn announce(&self, topic: impl Into<String>, args: Vec<Value>) {
        let topic = topic.into();
        for options in access::deliveries(self, &topic) {
            if !self.announcer.announce(topic.clone(), args.clone(), options) {
                self.figures.event_dropped();
            }
        }
    }

    /// The buyer's delegate a session has proven to be.
    pub(crate) fn known_buyer(&self, session: u64) -> Option<Address> {
        self.proven.of(session)
    }

    /// A session has proven to be a buyer's delegate by its signature.
    pub(crate) fn buyer_proved(&self, session: u64, delegate: Address) {
        self.proven.proved(session, delegate);
    }

    /// A session is there. What procedures keep for sessions they keep for these alone.
    pub(crate) fn joined(&self, session: u64) {
        self.quotes.open(session);
        self.providers.joined(session);
        self.proven.joined(session);
        self.logins.joined(session);
    }

    /// A session calls, or answers for somebody.
    pub(crate) fn seen(&self, session: u64) {
        if !self.proven.knows(session) && self.sellers.sees(session) {
            self.joined(session);
        }
    }

    /// How a provider is registered, and what it serves for `delegate`.
    pub(crate) async fn provider(&self, provider_id: &str, delegate: &Address) -> Option<Registration> {
        let found = self.providers.find(provider_id, delegate);
        if found.is_some() {
            return found;
        }
        self.sellers.look_up(sell_uri(provider_id)).await;
        self.providers.find(provider_id, delegate)
    }

    /// The session that prices a provider's offers.
    pub(crate) async fn quoting(&self, provider_id: &str) -> Option<u64> {
        let found = self.providers.quoting(provider_id);
        if found.is_some() {
            return found;
        }
        self.sellers.look_up(quote_uri(provider_id)).await;
        self.providers.quoting(provider_id)
    }

    /// A session registered a procedure.
    pub(crate) fn registered(&self, session: u64, uri: &str) {
        if let Some(provider_id) = provider_of_sell(uri) {
            self.providers.registered(session, provider_id, self.now());
        } else if let Some(provider_id) = provider_of_quote(uri) {
            self.providers.quotes(session, provider_id);
        }
    }

    /// A session's registration is gone.
    pub(crate) fn unregistered(&self, session: u64, uri: &str) {
        if let Some(provider_id) = provider_of_sell(uri) {
            self.providers.unregistered(session, provider_id);
        } else if let Some(provider_id) = provider_of_quote(uri) {
            self.providers.quotes_no_longer(session, provider_id);
        }
    }

    /// Nobody sees a session any more, for the market itself lost its router. It may still be there, with its login.
    pub(crate) fn lost(&self, session: u64) {
        self.quotes.forget(session);
        self.providers.left(session);
        self.proven.left(session);
        self.logins.lost(session);
    }

    /// A session is gone, with all that was kept for it.
    pub(crate) fn left(&self, session: u64) {
        self.quotes.forget(session);
        self.providers.left(session);
        self.proven.left(session);
        self.logins.left(session);
    }
}
