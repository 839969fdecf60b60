//! How a host dies.

use crate::plan::{Kill, Relapse};
use bourse_tests::{Behaviour, Process, Seller, World};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A place that is not passed within this is given up, and the host killed from outside.
const LOAD: Duration = Duration::from_secs(2);

/// Has the host die at a place.
pub(crate) fn light(fuse: &Path, place: &str, times: u64) {
    let aside = fuse.with_extension("aside");
    std::fs::write(&aside, format!("{place}:{times}")).unwrap();
    std::fs::rename(&aside, fuse).unwrap();
}

/// Long enough, for most, that a kill finds purchases with their sellers.
pub(crate) fn selling(number: usize) -> Behaviour {
    Behaviour::Slow(Duration::from_millis(number as u64 * 3))
}

/// Refuses for a while again and again, so that a kill finds purchases being undone too.
async fn sell_now_and_then(seller: &Seller, number: usize) {
    loop {
        sleep(Duration::from_millis(60)).await;
        seller.behave(Behaviour::Refuse("xbr.error.unexpected_channel_oid"));
        sleep(Duration::from_millis(15)).await;
        seller.behave(selling(number));
    }
}

/// Starts a host that does not live to serve.
pub(crate) fn relapse(
    data: &Path,
    environment: &[(&'static str, OsString)],
    fuse: &Path,
    how: Relapse,
) -> bool {
    match how {
        Relapse::After(moment) => Process::kill_while_starting(data, environment, moment),
        Relapse::At(place, times) => {
            light(fuse, place, times);
            let started = Process::try_serve(data, environment);
            std::fs::remove_file(fuse).unwrap();
            if let Ok(process) = started {
                process.kill();
                return false;
            }
        }
    }
    true
}

/// Waits for the moment, and kills; tells whether the place was never passed.
pub(crate) async fn kill(world: &mut World, sellers: &[Seller], fuse: &Path, kill: Kill) -> bool {
    let asked = || sellers.iter().map(|seller| seller.sells().len()).sum::<usize>();
    let (since, before) = (Instant::now(), asked());
    let death = async {
        match kill {
            Kill::After(moment) => sleep(moment).await,
            Kill::Asked(times) => {
                while asked() < before + times && since.elapsed() < LOAD {
                    sleep(Duration::from_micros(200)).await;
                }
            }
            Kill::At(place, times) => {
                light(fuse, place, times);
                while !world.has_ended() && since.elapsed() < LOAD {
                    sleep(Duration::from_millis(1)).await;
                }
                std::fs::remove_file(fuse).unwrap();
            }
        }
    };
    tokio::select! {
        () = death => {}
        () = sell_now_and_then(sellers.last().unwrap(), sellers.len() - 1) => {}
    }
    let missed = matches!(kill, Kill::At(..)) && !world.has_ended();
    world.kill();
    for (number, seller) in sellers.iter().enumerate() {
        seller.behave(selling(number));
    }
    missed
}
