//! The allocator of a component: an [`Arena`] over its linear memory.

#![allow(
    unsafe_code,
    reason = "the trait is unsafe to implement, and the end of the statics is a symbol of the linker"
)]

use crate::arena::{Arena, Memory, PAGE};
use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::ops::Range;
use core::ptr::{null_mut, with_exposed_provenance_mut};

#[global_allocator]
static ALLOCATOR: Arena<Linear> = Arena::new(Linear);

/// Bytes that a component has at least before its memory grows: several times what a call of the shipped policies
/// takes. With the stack and the statics of a small policy they fill no more than two pages, and the host clears every
/// page after every call.
const RESERVE: usize = 32 << 10;

/// Makes the linker allot the pages. Zeros, which cost nothing in the component's file.
static mut RESERVED: [u8; RESERVE] = [0; RESERVE];

// SAFETY: a symbol of the linker, right behind all that it has placed; never read, only its address is taken.
unsafe extern "C" {
    static mut __heap_base: u8;
}

struct Linear;

impl Memory for Linear {
    fn reserve(&self) -> Range<usize> {
        let start = (&raw mut RESERVED).expose_provenance();
        start..start.saturating_add(RESERVE)
    }

    fn behind_statics(&self) -> usize {
        (&raw mut __heap_base).expose_provenance()
    }

    fn top(&self) -> usize {
        memory_size::<0>().saturating_mul(PAGE)
    }

    fn grow(&self, pages: usize) -> bool {
        // Past the call's limit, the host ends the call instead of answering.
        memory_grow::<0>(pages) != usize::MAX
    }
}

// SAFETY: the arena's addresses are of memory that exists and that nothing else uses: it is behind the stack and the
// statics, or is the static that only `reserve` names. They are aligned, and no two blocks overlap. Nothing panics.
unsafe impl GlobalAlloc for Arena<Linear> {
    // SAFETY: asks nothing of the caller beyond the trait's contract.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size(), layout.align())
            .map_or(null_mut(), with_exposed_provenance_mut)
    }

    // SAFETY: the caller gives the block up.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.give_back(block.addr(), layout.size());
    }

    // SAFETY: the caller gives the block up for the new one, which has its content.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(address) = self.resize(block.addr(), layout.size(), layout.align(), size) else {
            return null_mut();
        };
        let new = with_exposed_provenance_mut::<u8>(address);
        if address != block.addr() {
            // SAFETY: a block elsewhere is larger than the old one and overlaps it nowhere.
            unsafe { new.copy_from_nonoverlapping(block, layout.size()) };
        }
        new
    }
}
