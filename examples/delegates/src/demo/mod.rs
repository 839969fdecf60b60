//! A seller and a buyer that trade with each other for as long as anybody watches.
//!
//! What lives here: four streams of made-up weather, a seller that encrypts them and offers their keys without a
//! price, a buyer that buys whatever it hears, and a rhythm of rushes and lulls in which prices visibly rise and
//! fall. Both are ordinary clients with sessions of their own.
//!
//! What never does: anything the market does not do for any other delegate. The folder of the demo holds keys and
//! nothing else; where channels stand, the market is asked.

mod pace;
mod product;
mod sale;
mod stage;

pub use sale::Sale;

use crate::DelegateError;
use bourse_market::Amount;
use pace::Pace;
use stage::Stage;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// What the demo needs to know.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The router: `ws://…` or `rs://host:port`.
    pub url: String,
    /// Its realm.
    pub realm: String,
    /// Where the keys of actors and delegates are kept from one start to the next.
    pub folder: PathBuf,
    /// What the buyer puts into a payment channel; the faucet gives it.
    pub payment_deposit: Amount,
    /// What the market maker puts into a paying channel.
    pub paying_deposit: Amount,
    /// Between two sales of a rush; a lull is 12 times as slow.
    pub beat: Duration,
}

impl DemoOptions {
    /// The usual demo, with its keys in `folder`.
    pub fn new(url: impl Into<String>, realm: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            realm: realm.into(),
            folder: folder.into(),
            payment_deposit: Amount::from_tokens(100_000),
            paying_deposit: Amount::from_tokens(1_000_000),
            beat: Duration::from_millis(125),
        }
    }
}

/// Trades until nobody listens to `sales` any more.
///
/// Started again with the same folder, it goes on with the same delegates and channels. An exhausted channel is
/// followed by a new one.
///
/// # Errors
///
/// [`DelegateError`] if it cannot start, or once the market is gone.
pub async fn run(options: DemoOptions, sales: mpsc::Sender<Sale>) -> Result<(), DelegateError> {
    let mut pace = Pace::new(options.beat);
    let mut stage = Stage::set(options).await?;
    while !sales.is_closed() {
        let turn = pace.next_turn();
        tokio::time::sleep(turn.pause).await;
        match stage.trade(turn.product).await {
            Ok(None) => {}
            Ok(Some(sale)) => {
                if sales.send(sale).await.is_err() {
                    break;
                }
            }
            Err(error) => stage.recover(error).await?,
        }
    }
    stage.leave().await;
    Ok(())
}
