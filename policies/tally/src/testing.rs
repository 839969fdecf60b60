//! Purchases that overlap, for tests: each call works on a copy of the host as it found it, and is posted later.

use bourse::State;
use bourse::testing::{Change, MockHost};

/// Posts the purchase whose call was made on `call`, a clone of an earlier `host`: its changes are written to what the
/// others have made of the state since.
pub fn post(host: &mut MockHost, call: &MockHost) {
    for change in call.changes() {
        match change {
            Change::Set(key, value) => host.set(&key, value.as_deref()),
            Change::Add(key, delta) => host.add(&key, delta),
        }
        // One at a time: the host's limit is of changes per call.
        host.post();
    }
}
