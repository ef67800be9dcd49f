//! A heap: lists of free blocks whose sizes are powers of two, over one static stretch of memory.
//!
//! For one processor with interrupts off: what an interrupt handler does must not allocate.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

/// The smallest block, which has room for the link to the next free one.
const SMALLEST: usize = 16;
/// Sizes 16 bytes to 1 MiB.
const CLASSES: usize = 17;

/// A heap over `BYTES` bytes of its own.
#[repr(C, align(4096))]
pub struct Heap<const BYTES: usize> {
    memory: UnsafeCell<[u8; BYTES]>,
    state: UnsafeCell<State>,
    busy: AtomicBool,
}

struct State {
    /// Bytes that were handed out once, from the start.
    used: usize,
    /// The first free block of each size; its first word points at the next.
    free: [*mut u8; CLASSES],
}

// SAFETY: `busy` makes sure that one user at a time gets at the cells; a second one finds no memory.
unsafe impl<const BYTES: usize> Sync for Heap<BYTES> {}

impl<const BYTES: usize> Heap<BYTES> {
    /// An empty heap.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a static wants a const function"
    )]
    pub const fn new() -> Self {
        Self {
            memory: UnsafeCell::new([0; BYTES]),
            state: UnsafeCell::new(State {
                used: 0,
                free: [null_mut(); CLASSES],
            }),
            busy: AtomicBool::new(false),
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> Option<T> {
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag was clear and is set now, so this is the only reference to the state.
        let result = use_it(unsafe { &mut *self.state.get() });
        self.busy.store(false, Ordering::Release);
        Some(result)
    }
}

/// Which list a layout belongs to, and the size of its blocks.
fn class(layout: Layout) -> (usize, usize) {
    let size = layout
        .size()
        .max(layout.align())
        .max(SMALLEST)
        .next_power_of_two();
    (size.trailing_zeros() as usize - 4, size)
}

// SAFETY: a block is in one list or handed out, never both: it leaves the list before it is returned and enters it when
// it is given back. Blocks of a size start at multiples of it (the stretch is aligned to 4096 and `used` is rounded up),
// so every alignment up to 4096 holds; larger ones are refused.
unsafe impl<const BYTES: usize> GlobalAlloc for Heap<BYTES> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (class, size) = class(layout);
        if layout.align() > 4096 {
            return null_mut();
        }
        self.with(|state| {
            let Some(first) = state.free.get_mut(class) else {
                return null_mut();
            };
            if !first.is_null() {
                let block = *first;
                // SAFETY: a block in a list is nobody's, is aligned for a pointer, and its first word was written by
                // `dealloc`.
                *first = unsafe { block.cast::<*mut u8>().read() };
                return block;
            }
            let start = state.used.next_multiple_of(size.min(4096));
            match start.checked_add(size) {
                Some(end) if end <= BYTES => {
                    state.used = end;
                    // SAFETY: start is less than the stretch's length.
                    unsafe { self.memory.get().cast::<u8>().add(start) }
                }
                _ => null_mut(),
            }
        })
        .unwrap_or(null_mut())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (class, _) = class(layout);
        self.with(|state| {
            if let Some(first) = state.free.get_mut(class) {
                // SAFETY: the block came from `alloc` with this layout and is nobody's any more; it has room for a
                // pointer and is aligned for one.
                unsafe { block.cast::<*mut u8>().write(*first) };
                *first = block;
            }
        });
    }
}
