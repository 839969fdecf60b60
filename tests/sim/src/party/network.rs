//! The way from the market to its sellers, and everything that happens to a question and its answer on it.

use super::seller::Sell;
use super::{Seller, Town, key_of};
use crate::faults::Fault;
use bourse_app::simulation::{Sellers, Stage};
use bourse_app::uri;
use bourse_market::SessionId;
use bourse_wamp::{CallError, CallResult, Dict, Value, WampError};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Ways in which a question to a seller goes wrong.
pub const MISFORTUNES: u64 = 11;

/// Reaches the sellers of a town.
pub struct Network {
    pub town: Arc<Town>,
    /// The market's stage, once it is open: it is told when a seller goes.
    pub stage: Mutex<Weak<Stage>>,
}

fn error(uri: &str) -> CallError {
    CallError::Wamp(WampError {
        uri: uri.to_owned(),
        args: Vec::new(),
        kwargs: Dict::new(),
    })
}

fn answer(fields: Dict) -> Result<CallResult, CallError> {
    Ok(CallResult {
        args: vec![Value::Map(fields)],
        kwargs: Dict::new(),
    })
}

impl Network {
    fn seller(&self, callee: SessionId, procedure: &str) -> Option<&Seller> {
        self.town.sellers.iter().find(|seller| {
            let books = seller.books.lock();
            books.session == callee.0 && books.registered && seller.sell_uri() == procedure
        })
    }

    fn lose(&self, seller: &Seller) {
        if let Some(stage) = self.stage.lock().upgrade() {
            seller.leave(&stage);
        }
    }

    /// What goes wrong with a question on its way; mostly nothing.
    fn misfortune(&self) -> Option<u64> {
        let town = &self.town;
        let planned = (0..MISFORTUNES).find(|kind| town.process.strikes(Fault::Sell(*kind)));
        planned.or_else(|| {
            let wrong = town.chance.permille(town.process.weather().sell);
            wrong.then(|| town.chance.within(0..=MISFORTUNES - 1))
        })
    }

    /// One question on its way, on a bad day.
    async fn go_wrong(
        &self,
        seller: &Seller,
        sell: &Sell,
        timeout: Duration,
        kind: u64,
    ) -> Result<CallResult, CallError> {
        let town = &self.town;
        town.note(|| format!("seller {} seq {}: misfortune {kind}", seller.number, sell.seq.0));
        let late = Err(CallError::Timeout);
        match kind {
            // The question is lost.
            0 => {
                tokio::time::sleep(timeout).await;
                late
            }
            // The answer is lost, or comes too late.
            1 | 2 => {
                let _ = seller.sell(&town.names, sell);
                tokio::time::sleep(timeout).await;
                late
            }
            // The seller's process ends, before it sold or after.
            3 => {
                self.lose(seller);
                Err(CallError::Closed)
            }
            4 => {
                let _ = seller.sell(&town.names, sell);
                self.lose(seller);
                Err(CallError::Closed)
            }
            // It signs with another key.
            5 => {
                let mut fields = seller.sell(&town.names, sell).map_err(CallError::Wamp)?;
                fields.insert(
                    "signature".to_owned(),
                    Value::from(key_of(&town.chance).sign(&[7; 32]).0),
                );
                answer(fields)
            }
            // It forgets the key, or seals too little.
            6 => {
                let mut fields = seller.sell(&town.names, sell).map_err(CallError::Wamp)?;
                fields.remove("sealed_key");
                answer(fields)
            }
            // It fails after it advanced.
            7 => {
                let _ = seller.sell(&town.names, sell);
                Err(error(uri::RUNTIME))
            }
            // The question comes twice, and the second answer is heard.
            8 => {
                let _ = seller.sell(&town.names, sell);
                seller
                    .sell(&town.names, sell)
                    .map_err(CallError::Wamp)
                    .and_then(answer)
            }
            // It keeps our signature and says that it refused.
            9 => {
                let _ = seller.sell(&town.names, sell);
                Err(error(uri::UNEXPECTED_CHANNEL_BALANCE))
            }
            // It never looked, and answers with rubbish.
            _ => answer(Dict::from([("sealed_key".to_owned(), Value::Bytes(vec![0; 80]))])),
        }
    }

    async fn carry(
        &self,
        callee: SessionId,
        procedure: String,
        args: Vec<Value>,
        timeout: Duration,
    ) -> Result<CallResult, CallError> {
        let town = &self.town;
        if town.process.step(Fault::DiesBeforeSell) {
            return std::future::pending().await;
        }
        let Some(seller) = self.seller(callee, &procedure) else {
            return Err(error(uri::NO_SUCH_PROCEDURE));
        };
        let sell = Sell::of(&args);
        if let Some(stage) = self.stage.lock().upgrade() {
            let mut reference = town.reference.lock();
            reference.look(&stage, &town.buyers, &town.sellers);
            reference.shown(&stage, seller.number, &sell);
        }
        town.way().await;
        let said = match self.misfortune() {
            Some(kind) => self.go_wrong(seller, &sell, timeout, kind).await,
            None => {
                let sold = seller.sell(&town.names, &sell);
                town.way().await;
                sold.map_err(CallError::Wamp).and_then(answer)
            }
        };
        if town.process.step(Fault::DiesAfterSell) {
            return std::future::pending().await;
        }
        said
    }
}

impl Sellers for Network {
    fn call(
        &self,
        callee: SessionId,
        procedure: String,
        args: Vec<Value>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<CallResult, CallError>> {
        Box::pin(async move {
            let until = tokio::time::timeout(timeout, self.carry(callee, procedure, args, timeout));
            until.await.unwrap_or(Err(CallError::Timeout))
        })
    }

    fn drop_registration(&self, procedure: &str, session: SessionId) {
        for seller in &self.town.sellers {
            let mut books = seller.books.lock();
            if books.session == session.0 && seller.sell_uri() == procedure {
                books.registered = false;
            }
        }
    }
}
