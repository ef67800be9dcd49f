//! The memory of a ring: words that are atomics, and bytes that the protocol hands from one side to the other.
//!
//! Which side may touch which byte, and why no two accesses race, is said in the module above this one.

#[cfg(not(loom))]
use core::marker::PhantomData;

use super::layout::line_at;
#[cfg(not(loom))]
use core::sync::atomic::AtomicU64;
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

/// The memory of a ring, and what keeps it.
#[derive(Debug)]
pub(super) struct Area<'m> {
    pub(super) base: Base<'m>,
    #[cfg(all(feature = "std", not(loom)))]
    pub(super) _keep: Option<std::sync::Arc<memmap2::MmapRaw>>,
}

impl Area<'_> {
    /// The same memory once more, for the other side.
    pub(super) fn twin(&self) -> Self {
        Self {
            base: self.base,
            #[cfg(all(feature = "std", not(loom)))]
            _keep: self._keep.clone(),
        }
    }
}

impl<'m> core::ops::Deref for Area<'m> {
    type Target = Base<'m>;
    #[inline]
    fn deref(&self) -> &Base<'m> {
        &self.base
    }
}

/// Where the memory of a ring is. Does not outlive the [`Area`] that it is from.
///
/// Plain accesses are `unsafe`: that they do not race is the protocol's to say.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<'m> {
    pub(super) start: *mut u8,
    pub(super) bytes: usize,
    pub(super) borrowed: PhantomData<&'m ()>,
}

// SAFETY: it is a pointer to memory that stays valid for 'm (or while the mapping is kept) whichever thread holds it. Which
// thread may access which bytes when is the protocol of this module, not a matter of where the pointer lives.
#[cfg(not(loom))]
unsafe impl Send for Base<'_> {}

#[cfg(not(loom))]
impl<'m> Base<'m> {
    /// A word as an atomic.
    ///
    /// # Safety
    /// `at` is a multiple of 8, and no plain access to the word is concurrent with the use of the result.
    #[inline(always)]
    pub(super) unsafe fn atomic(self, at: usize) -> &'m AtomicU64 {
        debug_assert!(at.is_multiple_of(8) && at.saturating_add(8) <= self.bytes);
        // SAFETY: the callers' offsets come from a geometry that `bytes` was checked against when the ring was made; the
        // base is aligned to 8 (it was a [u64], or a page) and so is `at`; the memory is initialised and stays valid for
        // 'm, or as long as the mapping is kept. That no plain access is concurrent is the caller's promise.
        unsafe { AtomicU64::from_ptr(self.start.add(at).cast()) }
    }

    /// Copies bytes to `at`.
    ///
    /// # Safety
    /// Nobody else accesses these bytes at the same time.
    #[inline(always)]
    pub(super) unsafe fn put(self, at: usize, bytes: &[u8]) {
        debug_assert!(at.saturating_add(bytes.len()) <= self.bytes);
        // SAFETY: in bounds by the geometry, as above; `bytes` is a Rust slice, which cannot overlap memory that only
        // this module hands out as slices while the producer does not write to it (P1, P4); no access is concurrent by
        // the caller's promise.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(at), bytes.len()) }
    }

    /// Puts a word at `at`.
    ///
    /// # Safety
    /// `at` is a multiple of 8, and nobody else accesses the word at the same time.
    #[inline(always)]
    pub(super) unsafe fn put_word(self, at: usize, word: u64) {
        debug_assert!(at.is_multiple_of(8) && at.saturating_add(8) <= self.bytes);
        // SAFETY: in bounds and aligned, as in `atomic`; no access is concurrent by the caller's promise. Volatile, so that words
        // are not gathered for a wider write or a call of memcpy.
        unsafe {
            self.start
                .add(at)
                .cast::<u64>()
                .write_volatile(word.to_le());
        }
    }

    /// Puts two words at `at`, in one store where that is known how.
    ///
    /// # Safety
    /// As above, of both words.
    #[inline(always)]
    pub(super) unsafe fn put_pair(self, at: usize, [first, second]: [u64; 2]) {
        debug_assert!(at.is_multiple_of(8) && at.saturating_add(16) <= self.bytes);
        #[cfg(all(
            feature = "std",
            target_arch = "x86_64",
            target_feature = "sse2",
            not(miri)
        ))]
        // SAFETY: in bounds, as above; no access is concurrent by the caller's promise. The store needs no alignment.
        unsafe {
            use core::arch::x86_64::{_mm_set_epi64x, _mm_storeu_si128};
            let both = _mm_set_epi64x(second.cast_signed(), first.cast_signed());
            _mm_storeu_si128(self.start.add(at).cast(), both);
        }
        #[cfg(not(all(
            feature = "std",
            target_arch = "x86_64",
            target_feature = "sse2",
            not(miri)
        )))]
        // SAFETY: as the caller promises.
        unsafe {
            self.put_word(at, first);
            self.put_word(at.wrapping_add(8), second);
        }
    }

    /// Asks for the line at `at`, which will be written soon. Behind the ring it asks for whatever is there, which does nothing.
    #[inline(always)]
    pub(super) fn expect(self, at: usize) {
        #[cfg(all(feature = "std", target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch is a hint: it reads nothing that the program sees, and never faults.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_ET0>(self.start.wrapping_add(at).cast());
        }
        #[cfg(not(all(feature = "std", target_arch = "x86_64", not(miri))))]
        let _ = at;
    }

    /// Bytes at `at`.
    ///
    /// # Safety
    /// Nobody writes these bytes while the result lives.
    #[inline(always)]
    pub(super) unsafe fn bytes(self, at: usize, length: usize) -> Bytes<'m> {
        debug_assert!(at.saturating_add(length) <= self.bytes);
        // SAFETY: in bounds, initialised and valid, as above; not written meanwhile by the caller's promise.
        unsafe { core::slice::from_raw_parts(self.start.add(at), length) }
    }
}

#[cfg(not(loom))]
pub(super) type Bytes<'a> = &'a [u8];

/// The memory of a ring under loom: every word is both an atomic and a cell whose accesses loom checks for races.
#[cfg(loom)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<'m> {
    words: &'m [(AtomicU64, loom::cell::UnsafeCell<u64>)],
}

#[cfg(loom)]
pub(super) type Bytes<'a> = Vec<u8>;

// SAFETY: as for the real one.
#[cfg(loom)]
unsafe impl Send for Base<'_> {}

#[cfg(loom)]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a model for tests"
)]
impl<'m> Base<'m> {
    #[cfg(test)]
    pub(super) fn modelled(bytes: usize) -> Self {
        let words: Vec<_> = (0..bytes / 8)
            .map(|_| (AtomicU64::new(0), loom::cell::UnsafeCell::new(0)))
            .collect();
        Self {
            words: words.leak(),
        }
    }
    pub(super) fn expect(self, _: usize) {}
    pub(super) unsafe fn atomic(self, at: usize) -> &'m AtomicU64 {
        &self.words[at / 8].0
    }
    pub(super) unsafe fn put(self, at: usize, bytes: &[u8]) {
        for (step, part) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            // The first word of an earlier record is one no more.
            self.words[at / 8 + step].0.store(0, Ordering::Relaxed);
            // SAFETY: loom checks that nobody else accesses the cell.
            self.words[at / 8 + step]
                .1
                .with_mut(|cell| unsafe { *cell = u64::from_le_bytes(word) });
        }
    }
    pub(super) unsafe fn put_word(self, at: usize, word: u64) {
        // SAFETY: as the caller promises.
        unsafe { self.put(at, &word.to_le_bytes()) };
    }
    pub(super) unsafe fn put_pair(self, at: usize, words: [u64; 2]) {
        // SAFETY: as the caller promises.
        unsafe { self.put(at, words.map(u64::to_le_bytes).as_flattened()) };
    }
    pub(super) unsafe fn bytes(self, at: usize, length: usize) -> Bytes<'m> {
        let mut bytes = Vec::new();
        for step in 0..length.div_ceil(8) {
            // The first words of records were stored as atomics.
            let (atomic, cell) = &self.words[at / 8 + step];
            let first = atomic.load(Ordering::Relaxed);
            // SAFETY: loom checks that nobody writes the cell.
            let word = if first == 0 {
                cell.with(|cell| unsafe { *cell })
            } else {
                first
            };
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// Bytes that were taken from a ring, under loom or not.
#[inline(always)]
pub(super) fn view<'b>(bytes: &'b Bytes<'_>) -> &'b [u8] {
    bytes
}

impl<'m> Base<'m> {
    /// A control word: below the data, and only ever accessed atomically.
    #[inline]
    pub(super) fn control(self, at: usize) -> &'m AtomicU64 {
        // SAFETY: control words have no plain accesses at all once the ring is made.
        unsafe { self.atomic(at) }
    }

    pub(super) fn head(self, word: usize) -> &'m AtomicU64 {
        self.control(word.saturating_mul(8))
    }

    /// A control word of a block.
    pub(super) fn line(self, block: usize, word: usize) -> &'m AtomicU64 {
        self.control(line_at(block, word))
    }
}
