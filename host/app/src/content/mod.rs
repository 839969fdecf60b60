//! Texts that the chain names by their hash: metadata of catalogs, the licence of the network.
//!
//! What lives here: what was fetched, on disk ([`shelf`]), what is yet to be ([`wanted`]), and the task that asks the
//! gateway for it ([`fetch`]).
//!
//! What never does: a call that waits for the gateway, and a name that is no hash. What somebody wrote on the chain is
//! parsed to a [`ContentId`] or is none; files are named by that.

mod fetch;
mod licence;
mod shelf;
mod wanted;

pub(crate) use fetch::start;
pub(crate) use licence::Licence;

use bourse_chain::{ContentId, Gateway};
use parking_lot::Mutex;
use shelf::Shelf;
use std::path::Path;
use std::time::Instant;
use tokio::sync::Notify;
use wanted::Wanted;

/// The folder in the data folder.
const FOLDER: &str = "content";

/// The texts.
#[derive(Debug)]
pub(crate) struct Content {
    shelf: Shelf,
    gateway: Option<Gateway>,
    wanted: Mutex<Wanted>,
    /// There is something to fetch.
    wake: Notify,
}

impl Content {
    /// What the data folder holds; without a gateway it never becomes more.
    pub(crate) fn in_folder(data: &Path, gateway: Option<Gateway>) -> Self {
        Self {
            shelf: Shelf::at(data.join(FOLDER)),
            gateway,
            wanted: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The text, if it is here. Reads a file: for a worker. One that is not here is fetched, if it may be, for whoever
    /// asks next.
    pub(crate) fn get(&self, id: ContentId) -> Option<String> {
        let text = self.shelf.get(id);
        if text.is_none() {
            self.want(id);
        }
        text
    }

    /// Has a text fetched that is not here.
    pub(crate) fn want(&self, id: ContentId) {
        if self.gateway.is_some() && !self.shelf.has(id) && self.wanted.lock().want(id, Instant::now()) {
            self.wake.notify_waiters();
        }
    }
}
