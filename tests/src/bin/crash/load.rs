//! What goes on while the host is killed, and what everybody was told until then.

use crate::plan::Dice;
use bourse_chain::Signer;
use bourse_market::{Address, Amount, ChannelId, ChannelKind, KeyId};
use bourse_tests::{Buyer, Order, Receipt, Seller, World, bytes_of, open_args, open_message};
use bourse_wamp::{CallError, CallOptions, CallResult, Dict, Session, Value};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// An honest order that is refused for this long is a finding: nobody here gives a reason to refuse.
const PATIENCE: Duration = Duration::from_secs(15);
/// Until a refused order is sent again.
const PAUSE: Duration = Duration::from_millis(10);

/// A buyer with everything it was ever answered.
pub(crate) struct Trader {
    pub(crate) buyer: Buyer,
    pub(crate) receipts: Vec<(Order, Receipt)>,
    /// The order it has no answer to.
    pub(crate) unanswered: Option<Order>,
    /// Clean refusals of honest orders: allowed, if they pass.
    pub(crate) refusals: usize,
}

/// A fresh member with a fresh channel, asked for once.
pub(crate) struct Opening {
    pub(crate) actor: Address,
    pub(crate) amount: Amount,
    pub(crate) channel: ChannelId,
    pub(crate) granted: bool,
    pub(crate) opened: bool,
    args: Vec<Value>,
}

/// Why an order has no receipt.
#[derive(Debug)]
pub(crate) enum Unpaid {
    /// The connection broke: nobody knows.
    Lost,
    /// Refused, with words.
    Refused(String),
}

/// One call, whatever comes of it.
async fn attempt(
    session: &Session,
    uri: &str,
    args: Vec<Value>,
    kwargs: Dict,
) -> Result<CallResult, CallError> {
    let options = CallOptions {
        timeout: Some(Duration::from_secs(20)),
        ..CallOptions::default()
    };
    session.call(uri, args, kwargs, options).await
}

/// Sends an order until it is answered with a receipt, which is not booked here, or refused for too long.
pub(crate) async fn insist(buyer: &Buyer, order: &Order, refusals: &mut usize) -> Result<Receipt, Unpaid> {
    let since = Instant::now();
    loop {
        match attempt(
            &buyer.session,
            "xbr.marketmaker.buy_key",
            order.args(),
            Dict::new(),
        )
        .await
        {
            Ok(answer) => return Ok(Receipt::of(answer.args.into_iter().next().unwrap())),
            Err(CallError::Wamp(error))
                if ["bourse.", "xbr."].iter().any(|ours| error.uri.starts_with(ours)) =>
            {
                *refusals += 1;
                if since.elapsed() > PATIENCE {
                    return Err(Unpaid::Refused(format!("{}: {:?}", error.uri, error.args)));
                }
                sleep(PAUSE).await;
            }
            Err(_) => return Err(Unpaid::Lost),
        }
    }
}

impl Trader {
    pub(crate) fn new(buyer: Buyer) -> Self {
        Self {
            buyer,
            receipts: Vec::new(),
            unanswered: None,
            refusals: 0,
        }
    }

    pub(crate) fn keep(&mut self, order: Order, receipt: Receipt) {
        self.buyer.book(&receipt);
        self.receipts.push((order, receipt));
    }

    /// Buys until the connection breaks; also tells what it was refused for too long.
    pub(crate) async fn trade(
        mut self,
        keys: Vec<(KeyId, Amount)>,
        mut dice: Dice,
    ) -> (Self, Option<String>) {
        loop {
            let (key, price) = dice.pick(&keys);
            let order = self.buyer.order(key, price);
            match insist(&self.buyer, &order, &mut self.refusals).await {
                Ok(receipt) => self.keep(order, receipt),
                Err(Unpaid::Lost) => {
                    self.unanswered = Some(order);
                    return (self, None);
                }
                Err(Unpaid::Refused(why)) => {
                    let finding = format!("an honest purchase at seq {} is refused: {why}", order.seq.0);
                    return (self, Some(finding));
                }
            }
        }
    }
}

impl Opening {
    pub(crate) fn new(world: &World) -> Self {
        let (actor, amount) = (Signer::generate(), bourse_tests::tokens(7));
        let delegate = Signer::generate().address();
        let message = open_message(world, ChannelKind::Payment, &actor, delegate, amount);
        Self {
            actor: actor.address(),
            amount,
            channel: message.channel,
            granted: false,
            opened: false,
            args: open_args(world, &message, &actor),
        }
    }
}

/// Has the faucet fund members and opens a channel for each, until the connection breaks. Gives back those it began
/// with; at most the last is without an answer.
pub(crate) async fn open_channels(session: Session, openings: Vec<Opening>) -> Vec<Opening> {
    let mut begun = Vec::new();
    for mut opening in openings {
        let fund = vec![
            Value::from(opening.actor.0),
            Value::from(opening.amount.to_be_bytes()),
        ];
        opening.granted = attempt(&session, "bourse.dev.fund", fund, Dict::new())
            .await
            .is_ok();
        if opening.granted {
            let args = std::mem::take(&mut opening.args);
            opening.opened = attempt(&session, "xbr.marketmaker.open_channel", args, Dict::new())
                .await
                .is_ok();
        }
        let broken = !opening.opened;
        begun.push(opening);
        if broken {
            break;
        }
        sleep(PAUSE).await;
    }
    begun
}

/// Places these offers until the connection breaks; the keys of those that were accepted.
pub(crate) async fn place_offers(session: Session, offers: Vec<Dict>) -> Vec<KeyId> {
    let mut placed = Vec::new();
    for offer in offers {
        let answer = attempt(&session, "xbr.marketmaker.place_offer", Vec::new(), offer).await;
        let Ok(answer) = answer else {
            break;
        };
        placed.push(KeyId::try_from(bytes_of(answer.args.first().unwrap(), "key")).unwrap());
        sleep(PAUSE).await;
    }
    placed
}

/// Offers of one seller, ready to be placed.
pub(crate) fn offers(seller: &Seller, count: usize) -> Vec<Dict> {
    (0..count)
        .map(|_| seller.offer_args(Some(bourse_tests::tokens(1)), Dict::new()))
        .collect()
}
