//! The SDK's mock as the host's side of the imports.

use crate::convert::figures;
use bourse::testing::MockHost;
use bourse::{ApiId, KeyId, Log as _, Market as _, State as _};
use bourse_market::{Figures, Subject};
use bourse_policy::{Edit, Imports, Level, StateChange};

pub(crate) struct Mock<'a>(pub(crate) &'a MockHost);

impl Imports for Mock<'_> {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        let subject = match subject {
            Subject::Key(key) => bourse::Subject::Key(KeyId(key.0)),
            Subject::Api(api) => bourse::Subject::Api(ApiId(api.0)),
            Subject::Seller(seller) => bourse::Subject::Seller(bourse::Address(seller.0)),
            Subject::Buyer(buyer) => bourse::Subject::Buyer(bourse::Address(buyer.0)),
        };
        figures(&self.0.demand(subject, window_ms))
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn counter(&self, key: &str) -> i64 {
        self.0.counter(key)
    }

    fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Debug => bourse::Level::Debug,
            Level::Info => bourse::Level::Info,
            Level::Warn => bourse::Level::Warn,
        };
        self.0.line(level, text);
    }
}

/// Makes the changes of a call those of the mock, as if it had been called natively.
pub(crate) fn change(host: &MockHost, changes: &[StateChange]) {
    for StateChange { key, edit } in changes {
        match edit {
            Edit::Set(value) => host.set(key, value.as_deref()),
            Edit::Add(delta) => host.add(key, *delta),
        }
    }
}
