//! Whose turn it is on a paying channel: one sale at a time, in order, proven sellers before unproven ones.

use bourse_market::ChannelId;
use bourse_market::plant::{self, Bug};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Purchases that may wait for one paying channel; more are refused at once.
const WAITING: usize = 1024;

/// Getters that may wait for one paying channel; more are answered at once. Each takes one of the calls that the market
/// works on at a time, and nothing else bounds what strangers ask of a channel.
const GETTERS: usize = 48;

#[derive(Debug, Default)]
struct Line {
    /// Told whenever the turn passes on or the line ends.
    passed: Arc<Notify>,
    /// The seller said that it is not ready: it may look at its balance before it is asked again.
    resting: bool,
    proven: VecDeque<oneshot::Sender<Turn>>,
    unproven: VecDeque<oneshot::Sender<Turn>>,
}

type Lines = Mutex<HashMap<ChannelId, Line>>;

/// The waiting lines of all paying channels. A channel has a line only while a sale is under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    lines: Arc<Lines>,
}

/// The right to sell over one paying channel; passed on when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    channel: ChannelId,
    /// None once it is passed on.
    lines: Option<Arc<Lines>>,
}

/// Too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

/// A place in the line.
#[derive(Debug)]
pub(crate) enum Place {
    /// Nobody is ahead.
    Now(Turn),
    /// The turn arrives here. Giving up is dropping it.
    Wait(oneshot::Receiver<Turn>),
}

impl Turns {
    /// Joins the line of a channel.
    pub(crate) fn join(&self, channel: ChannelId, proven: bool) -> Result<Place, Crowded> {
        if plant::on(Bug::W24) {
            return Ok(Place::Now(Turn { channel, lines: None }));
        }
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(&channel) else {
            lines.insert(channel, Line::default());
            return Ok(Place::Now(Turn {
                channel,
                lines: Some(Arc::clone(&self.lines)),
            }));
        };
        let queue = if proven {
            &mut line.proven
        } else {
            &mut line.unproven
        };
        queue.retain(|waiting| !waiting.is_closed());
        if queue.len() >= WAITING {
            return Err(Crowded);
        }
        let (pass, wait) = oneshot::channel();
        queue.push_back(pass);
        Ok(Place::Wait(wait))
    }

    /// The turn on a channel, ahead of all purchases that wait; none if the sale under way does not end by `until`, or if
    /// too many wait.
    pub(crate) async fn next(&self, channel: ChannelId, until: Instant) -> Option<Turn> {
        let wait = {
            let mut lines = self.lines.lock();
            let Some(line) = lines.get_mut(&channel) else {
                lines.insert(channel, Line::default());
                let lines = Some(Arc::clone(&self.lines));
                return Some(Turn { channel, lines });
            };
            line.proven.retain(|waiting| !waiting.is_closed());
            if line.proven.len() >= WAITING {
                return None;
            }
            let (pass, wait) = oneshot::channel();
            line.proven.push_front(pass);
            wait
        };
        tokio::time::timeout_at(until, wait).await.ok()?.ok()
    }

    /// Resolves once the sale under way on `channel` is over; at once if there is none, or if too many wait already.
    pub(crate) async fn passed(&self, channel: &ChannelId) {
        let passed = self
            .lines
            .lock()
            .get(channel)
            .filter(|line| !line.resting && Arc::strong_count(&line.passed) <= GETTERS)
            .map(|line| Arc::clone(&line.passed));
        if let Some(passed) = passed {
            let mut notified = std::pin::pin!(passed.notified());
            // Enrolled first, then looked again: a turn that passes in between is not missed.
            let busy =
                |lines: &HashMap<ChannelId, Line>| lines.get(channel).is_some_and(|line| !line.resting);
            if !notified.as_mut().enable() && busy(&self.lines.lock()) {
                notified.await;
            }
        }
    }
}

impl Turn {
    /// Between two tries the posted pair is what a starting seller must adopt: whoever waits for it may have it.
    pub(super) fn rest(&self, resting: bool) {
        let Some(lines) = &self.lines else { return };
        if let Some(line) = lines.lock().get_mut(&self.channel) {
            line.resting = resting;
            if resting {
                line.passed.notify_waiters();
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(lines) = self.lines.take() else { return };
        loop {
            let mut guard = lines.lock();
            let next = guard
                .get_mut(&self.channel)
                .and_then(|line| line.proven.pop_front().or_else(|| line.unproven.pop_front()));
            let Some(next) = next else {
                if let Some(line) = guard.remove(&self.channel) {
                    line.passed.notify_waiters();
                }
                return;
            };
            if let Some(line) = guard.get(&self.channel) {
                line.passed.notify_waiters();
            }
            drop(guard);
            match next.send(Self {
                channel: self.channel,
                lines: Some(Arc::clone(&lines)),
            }) {
                Ok(()) => return,
                // It gave up; the turn that came back is not to pass itself on as well.
                Err(mut turn) => turn.lines = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: ChannelId = ChannelId([1; 16]);

    fn turn(place: Result<Place, Crowded>) -> Turn {
        match place.unwrap() {
            Place::Now(turn) => turn,
            Place::Wait(mut wait) => wait.try_recv().unwrap(),
        }
    }

    fn wait(place: Result<Place, Crowded>) -> oneshot::Receiver<Turn> {
        match place.unwrap() {
            Place::Now(_) => panic!("nobody was ahead"),
            Place::Wait(wait) => wait,
        }
    }

    #[test]
    fn turns_come_in_order_and_proven_sellers_go_first() {
        let turns = Turns::default();
        let first = turn(turns.join(CHANNEL, true));
        let mut stranger = wait(turns.join(CHANNEL, false));
        let mut second = wait(turns.join(CHANNEL, true));
        let mut third = wait(turns.join(CHANNEL, true));
        drop(first);
        let second = second.try_recv().unwrap();
        assert!(third.try_recv().is_err());
        drop(second);
        let third = third.try_recv().unwrap();
        assert!(stranger.try_recv().is_err());
        drop(third);
        drop(stranger.try_recv().unwrap());
        assert!(turns.lines.lock().is_empty());
    }

    #[tokio::test]
    async fn who_closes_a_channel_waits_for_the_sale_under_way_and_for_no_other() {
        let turns = Turns::default();
        let soon = Instant::now() + std::time::Duration::from_secs(5);
        let first = turn(turns.join(CHANNEL, true));
        let mut second = wait(turns.join(CHANNEL, true));
        let mut close = Box::pin(turns.next(CHANNEL, soon));
        assert!(futures_util::poll!(&mut close).is_pending());
        drop(first);
        let closing = close.await.unwrap();
        assert!(second.try_recv().is_err());
        assert!(turns.next(CHANNEL, Instant::now()).await.is_none());
        drop(closing);
        drop(second.try_recv().unwrap());
        drop(turns.next(CHANNEL, soon).await.unwrap());
        assert!(turns.lines.lock().is_empty());
    }

    #[test]
    fn who_gave_up_is_passed_over() {
        let turns = Turns::default();
        let first = turn(turns.join(CHANNEL, true));
        drop(wait(turns.join(CHANNEL, true)));
        let mut second = wait(turns.join(CHANNEL, true));
        drop(first);
        assert!(second.try_recv().is_ok());
    }

    #[test]
    fn who_gives_up_after_the_turn_came_passes_it_on() {
        let turns = Turns::default();
        let first = turn(turns.join(CHANNEL, true));
        let second = wait(turns.join(CHANNEL, true));
        drop(first);
        drop(second);
        assert!(turns.lines.lock().is_empty());
    }

    #[test]
    fn channels_do_not_wait_for_each_other() {
        let turns = Turns::default();
        let _first = turn(turns.join(CHANNEL, true));
        let _other = turn(turns.join(ChannelId([2; 16]), false));
    }

    #[tokio::test]
    async fn only_so_many_getters_wait() {
        let turns = Turns::default();
        let first = turn(turns.join(CHANNEL, true));
        let mut waiting: Vec<_> = (0..GETTERS).map(|_| Box::pin(turns.passed(&CHANNEL))).collect();
        for getter in &mut waiting {
            assert!(futures_util::poll!(getter).is_pending());
        }
        turns.passed(&CHANNEL).await;
        drop(first);
        futures_util::future::join_all(waiting).await;
    }

    #[test]
    fn a_line_is_bounded() {
        let turns = Turns::default();
        let _first = turn(turns.join(CHANNEL, true));
        let _line: Vec<_> = (0..WAITING).map(|_| wait(turns.join(CHANNEL, false))).collect();
        assert_eq!(turns.join(CHANNEL, false).unwrap_err(), Crowded);
        assert!(turns.join(CHANNEL, true).is_ok());
    }
}
