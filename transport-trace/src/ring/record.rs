//! A record that is being written.

use super::area::{Base, Bytes, view};
use super::layout::used_word;
use super::wide;
use crate::format::record::word;
#[cfg(not(loom))]
use core::sync::atomic::Ordering;
#[cfg(loom)]
use loom::sync::atomic::Ordering;

/// Bytes whose checksum is taken from the ring, together with that of what stands around them.
const SUMMED_LATER: usize = 192;

/// The checksum of bytes, and of more, and of zeros.
fn sum(crc: u32, bytes: &[u8], more: &[u8], zeros: usize) -> u32 {
    let crc = crate::checksum::append(crc, bytes);
    let crc = crate::checksum::append(crc, more);
    match [0; 8].get(..zeros) {
        None | Some([]) => crc,
        Some(zeros) => crate::checksum::append(crc, zeros),
    }
}

/// A record that is being written, from its second word on, or from where it was published up to.
///
/// What does not fit the block is left out; `reserve` found room for all that its caller announced. Offsets are in bytes from
/// the start of the block.
#[derive(Debug)]
pub(crate) struct Record<'p, 'm> {
    base: Base<'m>,
    /// Where the block is.
    block: usize,
    /// Where the record starts.
    start: usize,
    /// Where this part of it starts.
    from: usize,
    /// Up to where `crc` is the checksum of it, its first word left out.
    summed: usize,
    crc: u32,
    /// Where the next bytes go: a multiple of 8, not below `used` and not above `limit`.
    at: usize,
    /// The end of the block.
    limit: usize,
    used_at: usize,
    /// The producer's, which this borrows: nobody else writes to the block.
    used: &'p mut usize,
}

impl<'p, 'm> Record<'p, 'm> {
    /// A record that starts at `start` in the block at `block`, and whose next bytes go to `at`.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "each is a field")]
    pub(super) fn new(
        base: Base<'m>,
        block: usize,
        start: usize,
        at: usize,
        limit: usize,
        crc: u32,
        used_at: usize,
        used: &'p mut usize,
    ) -> Self {
        Self {
            base,
            block,
            start,
            from: at,
            summed: at,
            crc,
            at,
            limit,
            used_at,
            used,
        }
    }

    /// Where the record starts.
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// Where the next bytes go.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Puts words.
    ///
    /// They go straight into the ring. If they were gathered in front of it, they would be read back wider than they were
    /// written, for which processors wait.
    #[inline(always)]
    pub(crate) fn words<const N: usize>(&mut self, words: [u64; N]) {
        if self.limit.wrapping_sub(self.at) >= const { N * 8 } {
            let mut to = self.block.wrapping_add(self.at);
            for word in words {
                // SAFETY: P1: the block is being filled and the word is at or above `used`; in bounds, as just compared.
                unsafe { self.base.put_word(to, word) };
                to = to.wrapping_add(8);
            }
            self.at = self.at.wrapping_add(const { N * 8 });
        }
    }

    /// Puts a word.
    #[inline(always)]
    pub(crate) fn word(&mut self, word: u64) {
        self.words([word]);
    }

    /// Puts bytes, padded with zeros to whole words.
    #[inline(always)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let length = bytes.len();
        // `limit` and `at` are multiples of 8: what fits still does when it is padded.
        if length <= self.limit.wrapping_sub(self.at) {
            let to = self.block.wrapping_add(self.at);
            let padded = crate::format::record::padded(length);
            if padded != length {
                // SAFETY: P1, as in `words`; in bounds, as just compared.
                unsafe {
                    self.base
                        .put_word(to.wrapping_add(padded).wrapping_sub(8), 0)
                };
            }
            if length > SUMMED_LATER {
                // While the source is at hand: bytes that were just written are slow to read back.
                self.put_summed(to, bytes);
                self.summed = self.at.wrapping_add(padded);
            } else {
                // SAFETY: as above.
                unsafe { self.base.put(to, bytes) };
            }
            self.at = self.at.wrapping_add(padded);
        }
    }

    /// Puts bytes at `to`, and takes the checksum of what was put before them, of them, and of their padding.
    #[inline(never)]
    fn put_summed(&mut self, to: usize, bytes: &[u8]) {
        let padding = bytes.len().wrapping_neg() % 8;
        // SAFETY: P1, as in `words`; in bounds, as `bytes` compared.
        unsafe { self.base.put(to, bytes) };
        self.crc = sum(self.crc, view(&self.unsummed()), bytes, padding);
    }

    /// What was put and has not gone into the checksum.
    #[inline(always)]
    fn unsummed(&self) -> Bytes<'_> {
        let at = self.block.wrapping_add(self.summed);
        // SAFETY: only the producer writes a block that is being filled, and it is borrowed.
        unsafe { self.base.bytes(at, self.at.wrapping_sub(self.summed)) }
    }

    /// Puts bytes over those that were put at `at`, as words or not longer than `SUMMED_LATER`.
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        if at >= self.summed
            && at
                .checked_add(bytes.len())
                .is_some_and(|end| end <= self.at)
        {
            // SAFETY: P1: between where this part of the record started, which was not below `used`, and what was put.
            unsafe { self.base.put(self.block.wrapping_add(at), bytes) };
        }
    }

    /// Whether the record holds these bytes at `at`.
    #[inline]
    pub(crate) fn holds(&self, at: usize, bytes: &[u8]) -> bool {
        if at
            .checked_add(bytes.len())
            .is_none_or(|end| end > self.limit)
        {
            return false;
        }
        // SAFETY: only the producer writes a block that is being filled, and it is borrowed. A record's first word, which
        // it writes atomically, may be among the bytes.
        let held = unsafe { self.base.bytes(self.block.wrapping_add(at), bytes.len()) };
        view(&held) == bytes
    }

    /// Makes the record visible as far as it was put. The checksum of all of it, its first word left out.
    #[inline(always)]
    pub(crate) fn publish(self, kind: u8) -> u32 {
        let words = self.at.wrapping_sub(self.start) / 8;
        let (crc, value) = word(self.crc, view(&self.unsummed()), words, kind);
        self.show(value);
        crc
    }

    /// Publishes the record with this first word.
    #[inline(always)]
    fn show(self, value: u64) {
        if self.at != self.from {
            let first = self.block.wrapping_add(self.start);
            // SAFETY: the first word of a record: at or above `used` (P1), or of the last record, where the consumer
            // accesses it atomically too until it is complete (P2, P4). A record is complete once and is not published
            // after that.
            unsafe { self.base.atomic(first) }.store(value, Ordering::Release);
            *self.used = self.at;
            self.base
                .control(self.used_at)
                .store(used_word(wide(self.at)), Ordering::Release);
        }
    }
}
