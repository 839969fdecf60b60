//! Buyers that buy without end until what they buy over breaks, and what they want to know once it is back: whether each
//! order without an answer was paid, once.

use crate::books::assert_balanced;
use crate::buyer::{Buyer, Order, Receipt};
use crate::calls::tokens;
use crate::process::run;
use crate::seller::{Behaviour, Seller};
use crate::watch::found;
use crate::world::World;
use bourse_market::KeyId;
use bourse_wamp::{CallError, CallOptions, Dict};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A buyer and the order it has no answer to.
pub struct Trader {
    pub buyer: Buyer,
    unanswered: Option<Order>,
    sales: usize,
}

impl Trader {
    /// A buyer with plenty.
    pub async fn new(world: &World) -> Self {
        Self {
            buyer: Buyer::new(world, tokens(50_000)).await,
            unanswered: None,
            sales: 0,
        }
    }

    /// Receipts so far.
    pub fn sales(&self) -> usize {
        self.sales
    }

    /// Buys until the market or the router is gone.
    async fn trade(mut self, key: KeyId) -> Self {
        loop {
            let order = self.buyer.order(key, tokens(1));
            match ask(&self.buyer, &order).await {
                Ok(receipt) => self.book(&receipt),
                Err(CallError::Wamp(error))
                    if error.uri.starts_with("bourse.") || error.uri.starts_with("xbr.") =>
                {
                    panic!("an honest purchase was refused: {error:?}")
                }
                Err(_) => {
                    self.unanswered = Some(order);
                    return self;
                }
            }
        }
    }

    fn book(&mut self, receipt: &Receipt) {
        self.buyer.book(receipt);
        self.sales += 1;
    }

    /// Sends the unanswered order again. It is answered with the receipt if it was posted, by a sale if it was not.
    pub async fn ask_again(&mut self) -> Result<(), CallError> {
        let order = self.unanswered.as_ref().unwrap();
        let receipt = ask(&self.buyer, order).await?;
        self.book(&receipt);
        self.unanswered = None;
        Ok(())
    }

    /// The same until it is answered.
    pub async fn answered(&mut self) {
        found("a receipt", async || match self.ask_again().await {
            Ok(()) => Some(()),
            Err(CallError::Wamp(error)) if error.uri.starts_with("bourse.") => {
                self.assert_in_step().await;
                None
            }
            Err(_) => None,
        })
        .await;
    }

    /// Fails the test unless the ledger stands where this buyer does, or one purchase further: the unanswered one.
    pub async fn assert_in_step(&self) {
        let (order, books) = (
            self.unanswered.as_ref().unwrap(),
            (self.buyer.seq, self.buyer.balance),
        );
        let posted = self.buyer.posted().await;
        let paid = posted == (order.seq, order.balance);
        assert!(
            paid || posted == books,
            "{posted:?} follows neither {books:?} nor {order:?}"
        );
    }
}

/// Sends an order, whose answer may be lost.
pub async fn ask(buyer: &Buyer, order: &Order) -> Result<Receipt, CallError> {
    let options = CallOptions {
        timeout: Some(Duration::from_secs(20)),
        ..CallOptions::default()
    };
    let answer = buyer
        .session
        .call("xbr.marketmaker.buy_key", order.args(), Dict::new(), options)
        .await?;
    Ok(Receipt::of(answer.args.into_iter().next().unwrap()))
}

/// Everybody who trades in a world.
pub struct Town {
    pub sellers: Vec<Seller>,
    pub traders: Vec<Trader>,
    keys: Vec<KeyId>,
}

impl Town {
    /// Two sellers and so many buyers. A seller takes `pause` for a sale: long enough that whatever happens meanwhile finds
    /// purchases with their sellers.
    pub async fn of(world: &World, buyers: usize, pause: Duration) -> Self {
        let mut town = Self {
            sellers: Vec::new(),
            traders: Vec::new(),
            keys: Vec::new(),
        };
        for _ in 0..2 {
            let seller = Seller::new(world, tokens(100_000)).await;
            seller.behave(Behaviour::Slow(pause));
            town.keys.push(seller.offer(Some(tokens(1))).await);
            town.sellers.push(seller);
        }
        for _ in 0..buyers {
            town.traders.push(Trader::new(world).await);
        }
        town
    }

    /// Has everybody trade for a while, and then `break_off` what they trade over, which everybody must notice `within` that.
    pub async fn broken_off(&mut self, after: Duration, within: Duration, break_off: impl FnOnce()) {
        let mut tasks = JoinSet::new();
        for (number, trader) in self.traders.drain(..).enumerate() {
            tasks.spawn(trader.trade(self.keys[number % self.keys.len()]));
        }
        sleep(after).await;
        break_off();
        let done = timeout(within, tasks.join_all());
        self.traders = done.await.expect("what broke off is noticed");
    }

    /// Everybody comes back, as after a lost connection.
    pub async fn reconnect(&mut self, world: &World) {
        for seller in &mut self.sellers {
            seller.reconnect(world).await;
        }
        for trader in &mut self.traders {
            trader.buyer.reconnect(world).await;
        }
    }

    /// Fails the test unless everybody has more than `receipts`, all books agree, and each receipt is one posted purchase.
    pub async fn assert_balanced(&self, world: &World, receipts: usize) {
        assert!(
            self.traders.iter().all(|trader| trader.sales > receipts),
            "everybody traded all the time"
        );
        let buyers: Vec<&Buyer> = self.traders.iter().map(|trader| &trader.buyer).collect();
        assert_balanced(world, &buyers, &self.sellers.iter().collect::<Vec<_>>()).await;
        let sales: usize = self.traders.iter().map(|trader| trader.sales).sum();
        assert_eq!(
            world.verify().checked.posted,
            sales as u64,
            "one posted purchase for each receipt"
        );
    }
}

/// `bourse ledger verify` on the world's data, running or not.
pub fn assert_verified(world: &World) {
    let output = run(world.data(), &["ledger", "verify"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("every invariant holds"), "{said}");
}
