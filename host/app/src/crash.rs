//! Places where the crash harness has the host die, and the bug it must find. Without the feature `crash-points`, which
//! only the harness's own host is built with, all of it compiles to nothing.

use crate::market::Market;
use bourse_market::{Command, Outcome, PostRequest, Purchase, apply};
use bourse_store::{Disk, SystemDisk};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Names a file. While it is there and holds `PLACE:K`, the host dies the K-th time it comes by that place.
const FUSE: &str = "BOURSE_CRASH_FUSE";
/// Names a bug that the host is to have.
const PLANT: &str = "BOURSE_CRASH_PLANT";
/// How long a reply is ahead of its commit where that bug is planted: long enough for a kill to fall between.
const AHEAD: Duration = Duration::from_millis(20);

/// The process may die here.
pub(crate) fn point(place: &str) {
    if cfg!(feature = "crash-points") {
        burn(place);
    }
}

fn burn(place: &str) {
    static FILE: OnceLock<Option<OsString>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let fuse = FILE.get_or_init(|| std::env::var_os(FUSE)).as_ref();
    let Some(fuse) = fuse.and_then(|file| std::fs::read_to_string(file).ok()) else {
        return;
    };
    let Some((_, times)) = fuse.split_once(':').filter(|(name, _)| *name == place) else {
        return;
    };
    let passed = PASSED.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if times.trim().parse().is_ok_and(|times: u32| passed >= times) {
        // As with -9: nothing is flushed, nobody is told.
        std::process::abort();
    }
}

/// The machine under the ledger, with a place to die before each commit.
pub(crate) fn disk() -> Arc<dyn Disk> {
    match cfg!(feature = "crash-points") {
        true => Arc::new(Fused),
        false => Arc::new(SystemDisk),
    }
}

struct Fused;

impl Disk for Fused {
    fn free(&self, path: &Path) -> io::Result<u64> {
        SystemDisk.free(path)
    }

    fn before_commit(&self) -> io::Result<()> {
        point("before-commit");
        Ok(())
    }
}

/// The planted bug: what POST would write is handed out as written, and written a little later.
pub(crate) fn early_reply(market: &Arc<Market>, post: &PostRequest) -> Option<Arc<Purchase>> {
    if !cfg!(feature = "crash-points") || std::env::var_os(PLANT).is_none_or(|bug| bug != "early-reply") {
        return None;
    }
    let command = Command::Post(Box::new(post.clone()));
    let ledger = market.store.read().ok()?;
    let Ok((_, Outcome::Posted { purchase, .. })) = apply(&ledger, &command) else {
        return None;
    };
    let market = Arc::clone(market);
    tokio::spawn(async move {
        tokio::time::sleep(AHEAD).await;
        market.submit(command).await
    });
    Some(Arc::new(*purchase))
}
