//! What is to be fetched: how often it was tried, and when it is tried again.

use bourse_chain::ContentId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Texts that are waited for at a time. Anybody may put names on the chain, most of them of nothing.
const MAX_WANTED: usize = 1024;
/// Tries of one, before it is left alone.
const MAX_TRIES: u32 = 6;
/// Between the first try and the second; four times as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const GROWTH: u32 = 4;
/// How long one is left alone then, whoever asks for it.
const LEFT_ALONE: Duration = Duration::from_secs(60 * 60);

/// The texts that are waited for.
#[derive(Debug, Default)]
pub(super) struct Wanted(HashMap<ContentId, Errand>);

#[derive(Debug, Clone, Copy)]
struct Errand {
    tries: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It may be fetched from then on.
    Due(Instant),
    /// Somebody fetches it.
    UnderWay,
    /// It may be wanted again from then on.
    LeftAlone(Instant),
}

impl Wanted {
    /// Wants a text. False if that is nothing new, or there are too many.
    pub(super) fn want(&mut self, id: ContentId, now: Instant) -> bool {
        match self.0.get(&id).map(|errand| errand.stage) {
            None => {}
            Some(Stage::LeftAlone(until)) if until <= now => {}
            Some(_) => return false,
        }
        if self.0.len() >= MAX_WANTED && !self.0.contains_key(&id) && !self.make_room() {
            return false;
        }
        let errand = Errand {
            tries: 0,
            stage: Stage::Due(now),
        };
        self.0.insert(id, errand);
        true
    }

    /// Forgets one that is left alone, the one for the longest.
    fn make_room(&mut self) -> bool {
        let alone = self.0.iter().filter_map(|(id, errand)| match errand.stage {
            Stage::LeftAlone(until) => Some((until, *id)),
            _ => None,
        });
        let Some((_, id)) = alone.min() else {
            return false;
        };
        self.0.remove(&id).is_some()
    }

    /// The next to be fetched, those that were tried least first: many of nothing do not hold up one that is there.
    pub(super) fn next(&mut self, now: Instant) -> Option<ContentId> {
        let due = self.0.iter().filter_map(|(id, errand)| match errand.stage {
            Stage::Due(at) if at <= now => Some((errand.tries, at, *id)),
            _ => None,
        });
        let (_, _, id) = due.min()?;
        let errand = self.0.get_mut(&id)?;
        errand.stage = Stage::UnderWay;
        Some(id)
    }

    /// It is here.
    pub(super) fn fetched(&mut self, id: ContentId) {
        self.0.remove(&id);
    }

    /// It is not. True if it is left alone from now on; so it is at once, if it never can be.
    pub(super) fn failed(&mut self, id: ContentId, for_good: bool, now: Instant) -> bool {
        let Some(errand) = self.0.get_mut(&id) else {
            return false;
        };
        errand.tries += 1;
        let alone = for_good || errand.tries >= MAX_TRIES;
        errand.stage = match alone {
            true => Stage::LeftAlone(now + LEFT_ALONE),
            false => Stage::Due(now + FIRST_PAUSE * GROWTH.saturating_pow(errand.tries - 1)),
        };
        alone
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;

    fn id(number: usize) -> ContentId {
        ContentId::of_block(&number.to_be_bytes())
    }

    #[test]
    fn w_54_a_text_that_is_not_there_is_tried_again_ever_later_and_then_left_alone() {
        let (mut wanted, start) = (Wanted::default(), Instant::now());
        assert!(wanted.want(id(0), start) && !wanted.want(id(0), start));
        let (mut now, mut waited) = (start, Vec::new());
        loop {
            assert_eq!(wanted.next(now), Some(id(0)));
            assert_eq!(wanted.next(now), None, "once at a time");
            if wanted.failed(id(0), false, now) {
                break;
            }
            let before = now;
            while wanted.0[&id(0)].stage_at() > now {
                now += Duration::from_secs(1);
            }
            waited.push((now - before).as_secs());
        }
        assert_eq!(waited, [1, 4, 16, 64, 256]);
        assert!(!wanted.want(id(0), now + LEFT_ALONE / 2));
        assert!(wanted.want(id(0), now + LEFT_ALONE));
        assert!(wanted.next(now + LEFT_ALONE).is_some());
        wanted.failed(id(0), true, now);
        assert!(!wanted.want(id(0), now), "nothing better can come of it");
    }

    impl Errand {
        fn stage_at(&self) -> Instant {
            match self.stage {
                Stage::Due(at) | Stage::LeftAlone(at) => at,
                Stage::UnderWay => panic!("under way"),
            }
        }
    }

    #[test]
    fn names_of_nothing_fill_no_more_than_the_list_and_wait_behind_new_ones() {
        let (mut wanted, now) = (Wanted::default(), Instant::now());
        for number in 0..MAX_WANTED {
            assert!(wanted.want(id(number), now));
        }
        assert!(!wanted.want(id(MAX_WANTED), now), "it is full");
        for _ in 1..MAX_WANTED {
            let next = wanted.next(now).unwrap();
            wanted.failed(next, false, now);
        }
        let last = wanted.next(now).unwrap();
        wanted.failed(last, true, now);
        assert!(
            wanted.want(id(MAX_WANTED), now),
            "one that is left alone makes room"
        );
        let later = now + Duration::from_secs(5);
        assert_eq!(wanted.next(later), Some(id(MAX_WANTED)));
    }
}
