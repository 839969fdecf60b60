//! Which addresses a component's allocator hands out: those of the memory it was born with, from front to back.
//!
//! An instance lives for one call, so there is nothing to collect. The standard library's allocator leaves the initial
//! memory alone and asks for more at once; for the host, a call that grows is two changes of the process's memory map
//! (the memory shrinks again before the next call), for which all its threads queue up. They cost more than the call.
//!
//! Only the newest block is given back or grown in place: that serves a string being written, and values that live for
//! one turn of a loop. Once no block is left, which is the case after a call, all of the memory is free again: an
//! instance that serves several calls does not grow. A policy that needs more turns the feature `arena` off, and has the
//! usual allocator again.
//!
//! Addresses are numbers here; pointers are for `allocator.rs`.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of a page of linear memory.
pub(crate) const PAGE: usize = 64 << 10;

/// A component's linear memory.
pub(crate) trait Memory {
    /// Addresses among the statics that are set aside for the arena.
    fn reserve(&self) -> Range<usize>;
    /// The address behind the statics, from where on the linker has placed nothing.
    fn behind_statics(&self) -> usize;
    /// The address behind the last page.
    fn top(&self) -> usize;
    /// Asks the host for more pages. False if it gives none.
    fn grow(&self, pages: usize) -> bool;
}

/// The free addresses, from `next` to `end`: first those of the reserve, then those behind the statics, then what the
/// host gives. All fields are 0 until the first block. Atomic because a static must be, plain loads and stores in fact: a
/// component has one thread, and the host refuses shared memory.
pub(crate) struct Arena<M> {
    memory: M,
    next: AtomicUsize,
    end: AtomicUsize,
    /// Blocks that were taken and not given back.
    live: AtomicUsize,
    /// The address behind the memory that follows the statics and is the arena's without a gap.
    own: AtomicUsize,
}

impl<M: Memory> Arena<M> {
    pub(crate) const fn new(memory: M) -> Self {
        Self {
            memory,
            next: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            own: AtomicUsize::new(0),
        }
    }

    /// Takes `size` bytes at a multiple of `align`, and gives their address; none if there is no more memory.
    pub(crate) fn take(&self, size: usize, align: usize) -> Option<usize> {
        let start = self.find(size, align)?;
        self.live.store(self.live.load(Relaxed).wrapping_add(1), Relaxed);
        Some(start)
    }

    /// Takes back the block of `size` bytes at `address`, for good if it is the newest, and else once all are back.
    pub(crate) fn give_back(&self, address: usize, size: usize) {
        let live = self.live.load(Relaxed).wrapping_sub(1);
        self.live.store(live, Relaxed);
        if live == 0 {
            let reserve = self.memory.reserve();
            self.go_on(reserve.start, reserve.end);
        } else if self.is_newest(address, size) {
            self.next.store(address, Relaxed);
        }
    }

    fn find(&self, size: usize, align: usize) -> Option<usize> {
        let start = self.next.load(Relaxed).checked_next_multiple_of(align)?;
        let stop = start.checked_add(size)?;
        if stop > self.end.load(Relaxed) {
            return self.find_elsewhere(size, align);
        }
        self.next.store(stop, Relaxed);
        Some(start)
    }

    /// Finds room for what does not fit into the present range, whose rest is lost.
    #[cold]
    fn find_elsewhere(&self, size: usize, align: usize) -> Option<usize> {
        let (reserve, top, end) = (self.memory.reserve(), self.memory.top(), self.end.load(Relaxed));
        if end == 0 {
            self.own.store(top, Relaxed);
            self.go_on(reserve.start, reserve.end);
            return self.find(size, align);
        }
        let own = self.own.load(Relaxed);
        if end == reserve.end && end != own {
            self.go_on(self.memory.behind_statics(), own);
            return self.find(size, align);
        }
        // Should somebody else have grown the memory, that part is theirs and the arena goes on behind it.
        let free = if end == top { self.next.load(Relaxed) } else { top };
        let start = free.checked_next_multiple_of(align)?;
        let stop = start.checked_add(size)?;
        if !self.memory.grow(stop.checked_sub(top)?.div_ceil(PAGE)) {
            return None;
        }
        let grown = self.memory.top();
        if own == top {
            self.own.store(grown, Relaxed);
        }
        self.go_on(stop, grown);
        Some(start)
    }

    /// Makes the block of `size` bytes at `address` one of `wanted`, and gives its address: the same, or that of a
    /// larger block elsewhere, which overlaps the old one nowhere. None leaves the old block as it was.
    pub(crate) fn resize(&self, address: usize, size: usize, align: usize, wanted: usize) -> Option<usize> {
        if !self.is_newest(address, size) {
            return if wanted <= size {
                Some(address)
            } else {
                self.find(wanted, align)
            };
        }
        let (next, end) = (self.next.load(Relaxed), self.end.load(Relaxed));
        self.next.store(address, Relaxed);
        let taken = self.find(wanted, align);
        if taken.is_none() {
            self.go_on(next, end);
        }
        taken
    }

    fn is_newest(&self, address: usize, size: usize) -> bool {
        address.checked_add(size) == Some(self.next.load(Relaxed))
    }

    fn go_on(&self, next: usize, end: usize) {
        self.next.store(next, Relaxed);
        self.end.store(end, Relaxed);
    }
}

#[cfg(test)]
#[path = "arena_tests.rs"]
mod tests;
