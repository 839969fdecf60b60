//! The ledger follows the chain: a step at a time, for as long as the host runs, whatever the node does.

use crate::bell::Bell;
use crate::deployment::{Kept, Look, Unseen};
use crate::events::topic;
use crate::keep::keep;
use crate::market::Market;
use crate::outbox::Sending;
use crate::wire::channel_dict;
use bourse_chain::{Block, ContentId, EthereumSettlement, FollowError, Follower, Heads, Settlement, Step};
use bourse_market::chain::{BlockRef, ChainEvent, Followed, Unwind};
use bourse_market::{BlockNumber, ChannelState, Command, Outcome, View};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest wait for a node that fails, and the first.
const MAX_PAUSE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest that a node is left alone because it says so.
const MAX_RESPITE: Duration = Duration::from_secs(60);
/// Blocks between two lines of progress while the ledger catches up.
const PROGRESS: u64 = 10_000;

/// A chain that is to be followed.
#[derive(Clone)]
pub(crate) struct Following {
    /// Who looks at the deployment first, if no node could be asked at the start.
    pub(crate) unseen: Option<Unseen>,
    pub(crate) follower: Follower,
    pub(crate) settlement: Arc<EthereumSettlement>,
    pub(crate) poll: Duration,
    /// Where the node tells of new blocks, if it does.
    pub(crate) heads: Option<Heads>,
    pub(crate) bell: Arc<Bell>,
    /// How the market maker's own transactions go to it.
    pub(crate) sending: Sending,
}

/// How far the ledger has come along the chain, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Course {
    progress: Mutex<Progress>,
    gate: watch::Sender<Gate>,
}

/// Whether the chain may be followed, and anything be sent to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It is the market's: the contracts were looked at since the start.
    #[default]
    Open,
    /// Not before the nodes say what the contracts say; why they did not.
    Shut(String),
    /// It is not the market's. The host must end.
    Broken(String),
}

/// Where the ledger stands, and what keeps it from going on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// The last block that counts.
    pub(crate) followed: Option<u64>,
    /// Why it goes no further, in words.
    pub(crate) trouble: Option<String>,
    /// It has come to the end once since the host started.
    pub(crate) caught_up: bool,
    /// Why the market maker's transactions do not go on, in words.
    pub(crate) sending: Option<String>,
    /// The task that sends them stopped at a bug, and has not done a step since.
    pub(crate) fallen: Option<String>,
    /// Wei that the node would pay for a unit of gas.
    pub(crate) gas_price: Option<u128>,
}

impl Course {
    pub(crate) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// Whether the chain may be followed.
    pub(crate) fn gate(&self) -> Gate {
        self.gate.borrow().clone()
    }

    /// Tells once the chain may be followed, if it ever may.
    pub(crate) fn opening(&self) -> impl Future<Output = ()> + use<> {
        let mut gate = self.gate.subscribe();
        async move {
            if gate.wait_for(|gate| *gate == Gate::Open).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Resolves if the host must end, with the reason.
    pub(crate) async fn broken(&self) -> String {
        let mut gate = self.gate.subscribe();
        let broken = gate.wait_for(|gate| matches!(gate, Gate::Broken(_))).await;
        let why = match broken.as_deref() {
            Ok(Gate::Broken(why)) => Some(why.clone()),
            _ => None,
        };
        drop(broken);
        match why {
            Some(why) => why,
            // The market is gone, and whoever waits with it.
            None => std::future::pending().await,
        }
    }

    /// No node could be asked at the start.
    pub(crate) fn wait_for_nodes(&self, why: &str) {
        self.gate.send_replace(Gate::Shut(why.to_owned()));
        self.troubled(why);
    }

    fn stands(&self, at: Option<BlockRef>) {
        let mut progress = self.progress.lock();
        progress.followed = at.map(|block| block.number.0);
        if progress.trouble.take().is_some() {
            tracing::info!("the chain is followed again");
        }
    }

    fn caught_up(&self) {
        self.progress.lock().caught_up = true;
    }

    fn costs(&self, gas_price: u128) {
        self.progress.lock().gas_price = Some(gas_price);
    }

    /// Why the market maker's transactions do not go on, if they do not. Said once.
    pub(crate) fn sends(&self, trouble: Option<String>) {
        let mut progress = self.progress.lock();
        progress.fallen = None;
        if progress.sending == trouble {
            return;
        }
        match &trouble {
            Some(trouble) => tracing::warn!(trouble, "the market maker's transactions do not go on for now"),
            None => tracing::info!("the market maker's transactions go on"),
        }
        progress.sending = trouble;
    }

    /// The task that sends stopped at a bug.
    pub(crate) fn fell(&self, why: String) {
        self.progress.lock().fallen = Some(why);
    }

    /// False if that is known already.
    fn troubled(&self, trouble: &str) -> bool {
        let mut progress = self.progress.lock();
        let news = progress.trouble.as_deref() != Some(trouble);
        progress.trouble = Some(trouble.to_owned());
        news
    }
}

/// Follows until `stop`.
pub(crate) fn start(market: &Arc<Market>, following: Following, stop: CancellationToken) -> JoinHandle<()> {
    let (market, halt) = (Arc::downgrade(market), stop.clone());
    let told = Weak::clone(&market);
    keep(
        "the task that follows the chain",
        stop,
        move || follow(Weak::clone(&market), following.clone(), halt.clone()),
        move |why| {
            if let Some(market) = told.upgrade() {
                market.course.troubled(&why);
            }
        },
    )
}

async fn follow(market: Weak<Market>, following: Following, stop: CancellationToken) {
    let Following {
        mut follower,
        settlement,
        poll,
        bell,
        unseen,
        ..
    } = following;
    if let Some(unseen) = unseen
        && stop
            .run_until_cancelled(see(&market, &settlement, unseen.look))
            .await
            .is_none()
    {
        return;
    }
    let mut way = Way::default();
    let (mut pause, mut failures) = (Pause::For(Duration::ZERO), 0);
    // A question under way is not waited for: it costs nothing to ask it again.
    while stop.run_until_cancelled(pause.over(&bell)).await.is_some() {
        let Some(market) = market.upgrade() else { return };
        let Some(stepped) = stop.run_until_cancelled(way.step(&market, &mut follower)).await else {
            return;
        };
        if let Some(head) = follower.head() {
            let news = settlement.head_block() != head;
            settlement.set_head(head);
            if news && let Some(outbox) = &market.outbox {
                outbox.look_again();
            }
            // What it was before will do if the node does not say.
            if stepped.is_ok()
                && (news || market.course.progress().gas_price.is_none())
                && let Some(Ok(gas_price)) = stop.run_until_cancelled(follower.gas_price()).await
            {
                market.course.costs(gas_price);
            }
        }
        failures = if stepped.is_ok() { 0 } else { failures + 1 };
        if stepped.is_ok() {
            settlement.hear();
        }
        pause = match stepped {
            Ok(true) => Pause::For(Duration::ZERO),
            Ok(false) => Pause::UntilRung(poll),
            Err(Halt { trouble, respite }) => {
                if market.course.troubled(&trouble) {
                    tracing::warn!(
                        trouble,
                        "the chain cannot be followed for now; trade goes on over the channels known"
                    );
                }
                let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(8)).min(MAX_PAUSE);
                Pause::For(respite.map_or(pause, |respite| respite.clamp(FIRST_PAUSE, MAX_RESPITE)))
            }
        };
    }
}

/// How long to wait for the next step.
#[derive(Debug, Clone, Copy)]
enum Pause {
    /// For so long.
    For(Duration),
    /// Until the node tells of a block, or is to be asked.
    UntilRung(Duration),
}

impl Pause {
    async fn over(self, bell: &Bell) {
        match self {
            Self::For(pause) => tokio::time::sleep(pause).await,
            Self::UntilRung(poll) => bell.wait(poll).await,
        }
    }
}

/// Waits until every node has said that the deployment is the one that the ledger was made over, or one that it is not.
async fn see(market: &Weak<Market>, settlement: &EthereumSettlement, look: Look) {
    let mut pause = FIRST_PAUSE;
    loop {
        if market
            .upgrade()
            .is_none_or(|market| market.course.gate() == Gate::Open)
        {
            return;
        }
        let seen = look.look().await;
        let Some(market) = market.upgrade() else { return };
        let confirmed = seen.and_then(|(deployment, _)| settlement.confirm(deployment));
        match confirmed {
            Ok(()) => {
                Kept::of(settlement).write(&market.store);
                tracing::info!(
                    "every node says what the contracts said before: the chain is followed from here on"
                );
                market.course.gate.send_replace(Gate::Open);
                return;
            }
            Err(error) if error.is_of_the_node() => {
                let why = error.to_string();
                if market.course.troubled(&why) {
                    tracing::warn!(
                        why,
                        "the contracts cannot be looked at yet; trade goes on over the channels known"
                    );
                }
            }
            Err(error) => {
                tracing::error!(%error, "this is not the chain of this market: it ends");
                market.course.gate.send_replace(Gate::Broken(error.to_string()));
                return std::future::pending().await;
            }
        }
        drop(market);
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }
}

/// Why a step could not be taken.
#[derive(Debug)]
struct Halt {
    /// In words.
    trouble: String,
    /// How long the node wants to be left alone, if it says so.
    respite: Option<Duration>,
}

impl From<FollowError> for Halt {
    fn from(error: FollowError) -> Self {
        Self {
            trouble: error.to_string(),
            respite: error.respite(),
        }
    }
}

impl From<String> for Halt {
    fn from(trouble: String) -> Self {
        Self {
            trouble,
            respite: None,
        }
    }
}

/// The blocks on record that the ledger can go back to, the last first.
#[derive(Debug, Default)]
struct Way {
    kept: Option<Vec<BlockRef>>,
    told: u64,
}

impl Way {
    /// One step. False if there is none to take for now.
    async fn step(&mut self, market: &Arc<Market>, follower: &mut Follower) -> Result<bool, Halt> {
        let kept = match self.kept.take() {
            Some(kept) => kept,
            None => on_record(market)?,
        };
        let step = follower.next(&kept, market.now()).await.map_err(Halt::from);
        let command = match step {
            Ok(Step::Again) => {
                self.kept = Some(kept);
                return Ok(true);
            }
            Ok(Step::Wait) => {
                market.course.stands(kept.first().copied());
                market.course.caught_up();
                self.kept = Some(kept);
                return Ok(false);
            }
            Err(halt) => {
                self.kept = Some(kept);
                return Err(halt);
            }
            Ok(Step::Advance(advance)) => Command::Advance(advance),
            Ok(Step::Unwind(unwind)) => {
                tracing::warn!(from = %unwind.from, to = %unwind.to, "the chain dropped blocks that counted; the ledger goes back");
                // A block on record at a time, so that one write takes what one wrote: the rest is asked for again.
                let to = kept.get(1).copied().unwrap_or(unwind.to);
                Command::Unwind(Unwind { to, ..unwind })
            }
        };
        let named = metadata_in(&command);
        crate::crash::point("blocks-read");
        let outcome = market
            .store
            .submit(command)
            .await
            .map_err(|error| error.to_string())?;
        crate::crash::point("blocks-committed");
        for id in named {
            market.content.want(id);
        }
        // What is on record is looked up again: few blocks, and what a crash in between would find.
        let kept = on_record(market)?;
        let stands = kept.first().copied();
        market.course.stands(stands);
        self.tell(stands, follower.head());
        self.kept = Some(kept);
        if let Outcome::Followed(followed) = outcome {
            announce(market, &followed);
        }
        Ok(true)
    }

    fn tell(&mut self, stands: Option<BlockRef>, head: Option<Block>) {
        let (Some(stands), Some(head)) = (stands, head) else {
            return;
        };
        if stands.number.0 >= self.told.saturating_add(PROGRESS) {
            self.told = stands.number.0;
            tracing::info!(
                block = stands.number.0,
                of = head.number,
                "the ledger catches up with the chain"
            );
        }
    }
}

/// What new catalogs say of themselves, by its hash. What is no hash is nothing.
fn metadata_in(command: &Command) -> Vec<ContentId> {
    let Command::Advance(advance) = command else {
        return Vec::new();
    };
    let metas = advance.events.iter().filter_map(|logged| match &logged.event {
        ChainEvent::CatalogCreated { meta, .. } => meta.parse().ok(),
        _ => None,
    });
    metas.collect()
}

fn on_record(market: &Market) -> Result<Vec<BlockRef>, String> {
    let applied = market
        .store
        .read()
        .and_then(|ledger| ledger.applied_from(BlockNumber(0)))
        .map_err(|error| error.to_string())?;
    Ok(applied.iter().map(|applied| applied.block).collect())
}

/// Tells delegates of their new channels, and the operator of what nobody expected.
fn announce(market: &Market, followed: &Followed) {
    for surprise in &followed.surprises {
        tracing::error!(%surprise, "the chain says what nobody expected");
    }
    for channel in &followed.channels {
        if !channel.bound {
            tracing::warn!(channel = %channel.id,
                "a channel counts and is not used: nobody said whose its delegate is. If it is, `bourse ledger bind {} {}`",
                channel.delegate, channel.actor);
        }
        if channel.state == ChannelState::Open && channel.quarantined.is_none() {
            market.announce(
                topic::channel_open(&channel.delegate, channel.kind),
                vec![channel_dict(channel)],
            );
        }
    }
}
