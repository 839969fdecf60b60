//! Offers that ended leave the lists that queries look into, some at a time, while nobody waits for it.

use crate::market::Market;
use bourse_market::{Command, Ending, Nanos, Outcome, SweepRequest};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Between two looks at least, whatever the configuration says.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Between two steps while there is more to do: the writer has other work too.
const BREATH: Duration = Duration::from_millis(20);

/// Sweeps until `stop`, what ended `after` ago, as often as that.
pub(crate) fn start(market: &Arc<Market>, after: Duration, stop: CancellationToken) -> JoinHandle<()> {
    let market = Arc::downgrade(market);
    tokio::spawn(async move {
        let pause = after.max(MIN_PAUSE);
        let mut reached = None;
        while !waited(reached.map_or(pause, |_| BREATH), &stop).await {
            let Some(market) = market.upgrade() else { return };
            reached = sweep(&market, after, reached).await;
        }
    })
}

/// Waits, and tells whether it is time to stop.
async fn waited(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(pause, stop.cancelled()).await.is_ok()
}

/// One step, from where the last one got to; where another is to go on at once.
pub(crate) async fn sweep(market: &Market, pause: Duration, reached: Option<Ending>) -> Option<Ending> {
    let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
    let request = SweepRequest {
        ended_before: Nanos(market.now().0.saturating_sub(pause)),
        after: reached,
    };
    match market.store.submit(Command::Sweep(request)).await {
        Ok(Outcome::Swept { offers, next }) => {
            if offers > 0 {
                tracing::debug!(offers, "offers that ended left the lists");
            }
            next
        }
        Ok(outcome) => {
            tracing::error!(?outcome, "the ledger answered a sweep with another's outcome");
            None
        }
        // Nothing is lost: the next look finds them again.
        Err(error) => {
            tracing::debug!(%error, "offers that ended stay in the lists for now");
            None
        }
    }
}
