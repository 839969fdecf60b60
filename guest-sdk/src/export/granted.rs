//! The imports as the host grants them.

use super::bindings::imports::bourse::policy::{log, market, state};
use super::convert::{read_amount, write_address, write_id};
use crate::{ApiId, Figures, KeyId, Level, Log, Market, Nanos, State, Subject};

/// The host of a component. What is called needs its grant; what is never called is not imported.
pub(super) struct Granted;

impl Market for Granted {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        let subject = match subject {
            Subject::Key(KeyId(key)) => market::Subject::Key(write_id(key)),
            Subject::Api(ApiId(api)) => market::Subject::Api(write_id(api)),
            Subject::Seller(seller) => market::Subject::Seller(write_address(seller)),
            Subject::Buyer(buyer) => market::Subject::Buyer(write_address(buyer)),
        };
        let market::Figures {
            sales,
            volume,
            quotes,
            last_price,
            last_at,
        } = market::demand(subject, window_ms);
        Figures {
            sales,
            volume: read_amount(volume),
            quotes,
            last_price: last_price.map(read_amount),
            last_at: last_at.map(Nanos),
        }
    }
}

impl State for Granted {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        state::get(key)
    }

    fn set(&self, key: &str, value: Option<&[u8]>) {
        state::set(key, value);
    }

    fn counter(&self, key: &str) -> i64 {
        state::counter(key)
    }

    fn add(&self, key: &str, delta: i64) {
        state::add(key, delta);
    }
}

impl Log for Granted {
    fn line(&self, level: Level, text: &str) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
        };
        log::line(level, text);
    }
}
