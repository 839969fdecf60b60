//! The arena over a memory of numbers alone.

use super::*;
use proptest::prelude::*;
use std::cell::Cell;

/// A memory of `pages` out of at most `most`, with statics around the reserve.
struct Fake {
    reserve: Range<usize>,
    behind_statics: usize,
    pages: Cell<usize>,
    most: usize,
    asked: Cell<usize>,
}

impl Memory for &Fake {
    fn reserve(&self) -> Range<usize> {
        self.reserve.clone()
    }
    fn behind_statics(&self) -> usize {
        self.behind_statics
    }
    fn top(&self) -> usize {
        self.pages.get() * PAGE
    }
    fn grow(&self, pages: usize) -> bool {
        self.asked.set(self.asked.get() + 1);
        let fits = self.pages.get() + pages <= self.most;
        if fits {
            self.pages.set(self.pages.get() + pages);
        }
        fits
    }
}

/// Two pages: the stack in the first, 1000 bytes of reserve in the second between statics, 61 536 behind them.
fn memory() -> Fake {
    Fake {
        reserve: PAGE + 2000..PAGE + 3000,
        behind_statics: PAGE + 4000,
        pages: Cell::new(2),
        most: 4,
        asked: Cell::new(0),
    }
}

#[test]
fn blocks_come_from_the_reserve_then_from_behind_the_statics_and_then_from_the_host() {
    let memory = memory();
    let arena = Arena::new(&memory);
    assert_eq!(arena.take(10, 1), Some(PAGE + 2000));
    assert_eq!(arena.take(8, 8), Some(PAGE + 2016));
    assert_eq!(arena.take(1000, 8), Some(PAGE + 4000));
    assert_eq!(arena.take(60_536, 1), Some(PAGE + 5000));
    assert_eq!(memory.asked.get(), 0);
    assert_eq!(arena.take(1, 1), Some(2 * PAGE));
    assert_eq!(memory.pages.get(), 3);
    assert_eq!(
        arena.take(PAGE, 1),
        Some(2 * PAGE + 1),
        "the new page's rest counts"
    );
    assert_eq!(memory.pages.get(), 4);
    assert_eq!(arena.take(PAGE, 1), None);
    assert_eq!(arena.take(usize::MAX, 8), None);
    assert_eq!(arena.take(1, 1), Some(3 * PAGE + 1));
}

#[test]
fn a_reserve_at_the_very_end_of_the_memory_is_followed_by_the_host_at_once() {
    let memory = Fake {
        reserve: 2 * PAGE - 100..2 * PAGE,
        behind_statics: 2 * PAGE,
        ..memory()
    };
    let arena = Arena::new(&memory);
    assert_eq!(arena.take(60, 1), Some(2 * PAGE - 100));
    assert_eq!(arena.take(60, 1), Some(2 * PAGE - 40));
    assert_eq!(memory.pages.get(), 3);
}

#[test]
fn the_newest_block_grows_in_place_and_its_end_is_free_again_when_it_goes() {
    let memory = memory();
    let arena = Arena::new(&memory);
    let first = arena.take(10, 1).unwrap();
    let second = arena.take(10, 1).unwrap();
    assert_eq!(arena.resize(second, 10, 1, 500), Some(second));
    assert_eq!(arena.resize(first, 10, 1, 5), Some(first));
    let moved = arena.resize(first, 10, 1, 11).unwrap();
    assert_eq!(moved, second + 500);
    arena.give_back(second, 500);
    assert_eq!(arena.take(1, 1), Some(moved + 11));
    arena.give_back(moved + 11, 1);
    assert_eq!(arena.take(1, 1), Some(moved + 11));
}

#[test]
fn once_no_block_is_left_everything_is_free_again_but_what_somebody_else_grew() {
    let memory = memory();
    let arena = Arena::new(&memory);
    let fill = || {
        let blocks = [(900, 1), (50, 2), (900, 8), (60_000, 4), (PAGE, 1)];
        let addresses = blocks.map(|(size, align)| arena.take(size, align).unwrap());
        for (address, (size, _)) in addresses.into_iter().zip(blocks) {
            arena.give_back(address, size);
        }
        addresses
    };
    let first = fill();
    let pages = memory.pages.get();
    assert_eq!(fill(), first);
    assert_eq!(
        (memory.pages.get(), memory.asked.get()),
        (pages, 1),
        "nothing grew"
    );

    memory.pages.set(pages + 1);
    assert_eq!(fill(), first, "the grown page is theirs, and not needed");
    let theirs = pages * PAGE..(pages + 1) * PAGE;
    let blocks: Vec<usize> = std::iter::from_fn(|| arena.take(5_000, 1)).collect();
    assert!(
        blocks
            .iter()
            .all(|block| !theirs.contains(block) && !theirs.contains(&(block + 4_999)))
    );
}

#[test]
fn a_block_that_cannot_grow_stays_the_newest_where_it_was() {
    let memory = memory();
    let arena = Arena::new(&memory);
    let block = arena.take(10, 1).unwrap();
    assert_eq!(arena.resize(block, 10, 1, 10 * PAGE), None);
    assert_eq!(arena.take(1, 1), Some(block + 10));
    assert_eq!(arena.take(1000, 1), Some(PAGE + 4000));
}

#[test]
fn what_somebody_else_grew_stays_theirs() {
    let memory = memory();
    let arena = Arena::new(&memory);
    arena.take(1001, 1).unwrap();
    memory.pages.set(3);
    assert_eq!(arena.take(PAGE, 1), Some(3 * PAGE));
}

proptest! {
    #[test]
    fn no_two_blocks_ever_overlap_and_all_are_where_nothing_else_is(
        steps in prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), 1..30_000_usize, 0..6_u32), 1..60),
    ) {
        let memory = memory();
        let arena = Arena::new(&memory);
        let mut blocks: Vec<(usize, usize, usize)> = Vec::new();
        for (step, index, size, align) in steps {
            let align = 1_usize << align;
            match step {
                0 if !blocks.is_empty() => {
                    let (address, size, _) = blocks.swap_remove(index.index(blocks.len()));
                    arena.give_back(address, size);
                }
                1 if !blocks.is_empty() => {
                    let at = index.index(blocks.len());
                    let (address, old, align) = blocks[at];
                    if let Some(new) = arena.resize(address, old, align, size) {
                        prop_assert!(new == address || (size > old && (new >= address + old || new + size <= address)));
                        blocks[at] = (new, size, align);
                    }
                }
                _ => {
                    // As many small blocks as large ones, so that the reserve is used in all ways.
                    let size = if step == 2 { size } else { size % 300 + 1 };
                    blocks.extend(arena.take(size, align).map(|address| (address, size, align)));
                }
            }
            let mut sorted = blocks.clone();
            sorted.sort_unstable();
            for &(address, size, align) in &sorted {
                let end = address + size;
                prop_assert_eq!(address % align, 0);
                prop_assert!(end <= memory.pages.get() * PAGE);
                prop_assert!(
                    address >= memory.behind_statics
                        || (address >= memory.reserve.start && end <= memory.reserve.end)
                );
            }
            for pair in sorted.windows(2) {
                prop_assert!(pair[0].0 + pair[0].1 <= pair[1].0);
            }
        }
    }
}
