//! The console: a web page about the markets of this process, for the people who run them.
//!
//! What lives here: the page with its styles and scripts, the answers it asks for, who may have them, and what is kept in
//! memory for it alone. What never does: a rule. What changes a market goes the way that the commands go, and what is shown
//! is read off the ledger, the log of decisions and the library at that moment.
//!
//! Every answer is bounded: pages of lists, places for those who look at once, bytes and time of what is sent here.

mod api;
mod assets;
mod feed;
mod guard;
mod live;
mod operator;
mod problem;
mod query;

pub(crate) use feed::{Feed, Quoted};
pub(crate) use operator::Operator;

use crate::http::Board;
use crate::market::Market;
use axum::Router;
use guard::Guard;
use live::Pages;
use problem::Problem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Questions that read a ledger or a log at a time; more wait.
const LOOKS: usize = 4;
/// Questions that may wait for one of these places; more are turned away.
const WAITING: usize = 32;
/// Components that are taken in, compiled or tried at a time; more are turned away.
const WORKS: usize = 1;

/// The console of a process.
pub(crate) struct Console {
    board: Arc<Board>,
    guard: Guard,
    pages: Pages,
    looks: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    works: Arc<Semaphore>,
    started: SystemTime,
    /// Pages that are watched live end with the listener.
    stop: CancellationToken,
}

impl Console {
    /// The console on a listener, and whose word changes something there.
    pub(crate) fn new(
        board: Arc<Board>,
        operator: Option<Operator>,
        listen: SocketAddr,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            board,
            guard: Guard::new(operator, listen),
            pages: Pages::default(),
            looks: Arc::new(Semaphore::new(LOOKS)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            works: Arc::new(Semaphore::new(WORKS)),
            started: SystemTime::now(),
            stop,
        })
    }

    /// The market of a realm, once its ledger is open.
    fn market(&self, realm: &str) -> Result<Arc<Market>, Problem> {
        match self.board.market(realm) {
            None => Err(Problem::unknown(format!(
                "no market here has the realm `{realm}`"
            ))),
            Some(None) => Err(Problem::not_now("this market's ledger is not open")),
            Some(Some(market)) => Ok(market),
        }
    }

    /// Reads something that takes a while, on a thread that may: a few at a time.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let waiting = place(&self.waiting)?;
        let looks = Arc::clone(&self.looks);
        let place = looks.acquire_owned().await.map_err(|_| stopped())?;
        // Both places are taken until the work is done, whether or not anybody waits for it still.
        let held = (waiting, place);
        let looked = tokio::task::spawn_blocking(move || {
            let _held = held;
            look()
        });
        looked.await.map_err(|_| failed())?
    }

    /// A place for whoever does something with a component. There is one, for it takes memory and the processor.
    fn work(&self) -> Result<OwnedSemaphorePermit, Problem> {
        place(&self.works)
    }
}

/// One of the places there are, or a word that there is none.
fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(places)
        .try_acquire_owned()
        .map_err(|_| Problem::busy("others are at work here; try again in a moment"))
}

fn stopped() -> Problem {
    Problem::not_now("the host is stopping")
}

fn failed() -> Problem {
    Problem::internal("this could not be answered; the host's log says why")
}

/// Everything that the console answers.
pub(crate) fn routes(console: &Arc<Console>) -> Router {
    assets::routes().merge(api::routes(console))
}
