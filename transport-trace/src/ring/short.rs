//! The short way into the ring: a call whose arguments are values and blocks that are read, on a processor with an instruction
//! for CRC-32C.
//!
//! The records are those of [`Record`](super::Record). Each word goes into the ring and into the checksum while it is in a
//! register: nothing is read back, which is slow just after it was written.

#[cfg(not(loom))]
use core::sync::atomic::Ordering;
#[cfg(loom)]
use loom::sync::atomic::Ordering;

use super::area::Base;
use super::crc;
use super::layout::used_word;
#[cfg(all(
    feature = "std",
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(any(loom, miri))
))]
use super::long;
use super::producer::Producer;
use super::wide;
use crate::format::record::{CALL_HEAD, EXIT_HEAD, kind, padded};

/// The most bytes of a part that are summed word by word. From some more on, to fold them is faster.
const MOST: usize = 248;

/// How far ahead the lines of later records are asked for. The processor itself looks ahead to the end of a page of 4 KiB only: the
/// call that meets the next page would wait for its translation and for its first lines.
const AHEAD: usize = 1024;

/// A call that was entered on the short way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    /// Where its record starts in the block, and where its enter part ends.
    at: usize,
    end: usize,
    /// The checksum's register behind its enter part.
    register: u64,
}

impl Short {
    /// Where its record starts in the block.
    #[inline(always)]
    pub(crate) const fn at(self) -> usize {
        self.at
    }

    /// The checksum of the enter part.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a register of 32 bits")]
    pub(crate) const fn crc(self) -> u32 {
        !(self.register as u32)
    }
}

/// Whether the processor has this way.
pub(super) fn available() -> bool {
    crc::available()
}

/// Puts bytes at `to`, padded with zeros to whole words. What they make of a register.
///
/// # Safety
/// The instruction is available, `to` is a multiple of 8 with room for the bytes behind it, and nobody else accesses these words.
#[inline(always)]
unsafe fn put(base: Base<'_>, mut to: usize, part: &[u8], mut register: u64) -> u64 {
    let (lines, rest) = part.as_chunks::<64>();
    for line in lines {
        // SAFETY: as the caller promises.
        unsafe {
            register = crc::eight(register, line);
            base.put(to, line);
        }
        to = to.wrapping_add(64);
    }
    if rest.is_empty() {
        return register;
    }
    let (words, rest) = rest.as_chunks();
    for word in words {
        let word = u64::from_le_bytes(*word);
        // SAFETY: as the caller promises.
        unsafe {
            register = crc::word(register, word);
            base.put_word(to, word);
        }
        to = to.wrapping_add(8);
    }
    if !rest.is_empty() {
        let last = rest
            .iter()
            .rev()
            .fold(0, |word, byte| (word << 8) | u64::from(*byte));
        // SAFETY: as the caller promises.
        unsafe {
            register = crc::word(register, last);
            base.put_word(to, last);
        }
    }
    register
}

/// Puts the head of a call whose record starts at `start`, its first word left out. The checksum's register behind it.
///
/// # Safety
/// The instruction is available, `start` is a multiple of 8 with room for the head behind it, and nobody else accesses these words.
#[inline(always)]
unsafe fn put_head(
    base: Base<'_>,
    start: usize,
    time: u64,
    [rdi, rsi, number]: [u64; 3],
    tags: u32,
    enter: usize,
) -> u64 {
    let last = u64::from(tags) | (wide(enter) << 29);
    let mut register = u64::from(u32::MAX);
    let mut to = start.wrapping_add(8);
    for word in [time, rdi, rsi, number, last] {
        // SAFETY: as the caller promises.
        unsafe {
            register = crc::word(register, word);
            base.put_word(to, word);
        }
        to = to.wrapping_add(8);
    }
    register
}

/// The first word of a record of this many bytes, less than 2^27, whose checksum's register behind the others is this.
///
/// # Safety
/// The instruction is available.
#[inline(always)]
unsafe fn first(register: u64, bytes: usize, kind: u8) -> u64 {
    // Words of 8 bytes in the upper half, as in the last word of a call's head.
    let meta = (wide(bytes) << 29) | (u64::from(kind) << 56);
    // SAFETY: as the caller promises.
    let crc = unsafe { crc::last(register, (meta >> 32) as u32) };
    meta | crc
}

impl Producer<'_> {
    /// Puts an entered call with this head (RDI, RSI, number), these tags, and the memory of one argument, or none. `time` is asked
    /// when the memory is in the ring (where that is folded: before), and is returned. `None`, and nothing is done, when there is no
    /// room at hand or the processor has no such way; the long way finds out which.
    #[inline(always)]
    pub(crate) fn enter_short(
        &mut self,
        head: [u64; 3],
        tags: u32,
        part: &[u8],
        time: impl FnOnce() -> u64,
    ) -> Option<(Short, u64)> {
        let input = padded(part.len());
        let at = self.used;
        // Slices are shorter than half of the address space.
        if at.wrapping_add(input) >= self.short_below {
            return None;
        }
        if input > MOST {
            return self.enter_folded(head, tags, part, time);
        }
        let base = self.area.base;
        let start = self.start.wrapping_add(at);
        let enter = input.wrapping_add(CALL_HEAD);
        let body = start.wrapping_add(CALL_HEAD);
        base.expect(start.wrapping_add(AHEAD));
        base.expect(start.wrapping_add(AHEAD + 64));
        // SAFETY: `short_below` says that the processor has the instructions. P1: the block is being filled, and these words are at
        // or above `used`; in bounds, as just compared; the block and `used` are multiples of 8.
        #[cfg(feature = "std")]
        let (time, register) = unsafe {
            // The bytes are summed apart from the head, so that neither waits for the other.
            let sum = if input == 0 {
                0
            } else {
                put(base, body, part, 0)
            };
            let time = time();
            let register = put_head(base, start, time, head, tags, enter);
            if input == 0 {
                (time, register)
            } else {
                (time, crc::moved(register, input / 8) ^ sum)
            }
        };
        // SAFETY: as above.
        #[cfg(not(feature = "std"))]
        let (time, register) = unsafe {
            let time = time();
            let register = put_head(base, start, time, head, tags, enter);
            (time, put(base, body, part, register))
        };
        // SAFETY: as above.
        let word = unsafe { first(register, enter, kind::ENTERED) };
        let end = at.wrapping_add(enter);
        self.publish_short(start, word, end);
        self.count_call();
        Some((Short { at, end, register }, time))
    }

    /// Likewise with many bytes, for which there is room. `None`, and nothing is done, where the processor cannot, or there are
    /// more than go this way.
    #[inline(never)]
    fn enter_folded(
        &mut self,
        head: [u64; 3],
        tags: u32,
        part: &[u8],
        time: impl FnOnce() -> u64,
    ) -> Option<(Short, u64)> {
        #[cfg(all(
            feature = "std",
            target_arch = "x86_64",
            target_pointer_width = "64",
            not(any(loom, miri))
        ))]
        if self.folds && part.len() <= long::MOST {
            let base = self.area.base;
            let at = self.used;
            let start = self.start.wrapping_add(at);
            let enter = padded(part.len()).wrapping_add(CALL_HEAD);
            // SAFETY: as in `enter_short`, which found room; `folds` says that the processor has what folding needs too.
            let (time, register, word) = unsafe {
                // Before the memory is copied: that and the counter's reading go on at the same time.
                let time = time();
                let register = put_head(base, start, time, head, tags, enter);
                let register = long::put(base, start.wrapping_add(CALL_HEAD), part, register);
                (time, register, first(register, enter, kind::ENTERED))
            };
            let end = at.wrapping_add(enter);
            self.publish_short(start, word, end);
            self.count_call();
            return Some((Short { at, end, register }, time));
        }
        let _ = (head, tags, part, time);
        None
    }

    /// Puts the return of the call that was entered last. Where something else was put since, which nobody does, the call stays one
    /// that never returned: a record is never one of something else.
    #[inline(always)]
    pub(crate) fn exit_short(&mut self, entered: Short, duration: u64, rax: u64) {
        let Short {
            at,
            end,
            mut register,
        } = entered;
        if self.used != end {
            return;
        }
        let mut to = self.start.wrapping_add(end);
        for word in [duration, rax] {
            // SAFETY: a call was entered on this way, so that the processor has the instruction. P1, as then; in bounds,
            // since there was room for the longest exit part behind `end`, and all blocks are of one size.
            unsafe {
                register = crc::word(register, word);
                self.area.base.put_word(to, word);
            }
            to = to.wrapping_add(8);
        }
        let end = end.wrapping_add(EXIT_HEAD);
        // SAFETY: as above.
        let word = unsafe { first(register, end.wrapping_sub(at), kind::RETURNED) };
        self.publish_short(self.start.wrapping_add(at), word, end);
    }

    /// Makes a record visible up to `end` of the block, by its first word, which is at `first` of the ring.
    #[inline(always)]
    fn publish_short(&mut self, first: usize, word: u64, end: usize) {
        // SAFETY: the first word of a record: at or above `used` (P1), or of the last record, where the consumer accesses
        // it atomically too until it is complete (P2, P4).
        unsafe { self.area.atomic(first) }.store(word, Ordering::Release);
        self.used = end;
        self.area
            .control(self.used_at)
            .store(used_word(wide(end)), Ordering::Release);
    }
}

#[cfg(all(test, feature = "std", not(loom)))]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]
mod tests {
    use super::super::{Full, Taken, borrowed};
    use super::MOST;
    const FOLDED: usize = 31_744;

    fn folds() -> bool {
        #[cfg(all(
            target_arch = "x86_64",
            target_pointer_width = "64",
            not(any(loom, miri))
        ))]
        return super::long::available();
        #[cfg(not(all(
            target_arch = "x86_64",
            target_pointer_width = "64",
            not(any(loom, miri))
        )))]
        false
    }
    use crate::format::record::{checks, padded};

    #[test]
    fn records_of_every_length_are_as_the_long_way_makes_them() {
        if !super::available() {
            println!("not run: this processor has no short way");
            return;
        }
        if !folds() {
            println!("not run with more than {MOST} bytes: this processor does not fold");
        }
        let bytes: Vec<u8> = (0..FOLDED as u32).map(|n| (n * n % 251) as u8).collect();
        let lengths = if cfg!(miri) { 0..30 } else { 0..700 };
        for length in lengths.chain([4096, 5000, FOLDED - 8, FOLDED]) {
            let mut memory = vec![0_u64; 16 << 10];
            let (mut producer, mut consumer) = borrowed(&mut memory, 2, Full::Drop).unwrap();
            let part = &bytes[..length];
            producer.reserve(40_000).unwrap();
            // Records start at every eighth byte of a line.
            for _ in 0..length % 5 {
                let (entered, _) = producer.enter_short([7; 3], 8, &[], || 7).unwrap();
                producer.exit_short(entered, 0, 0);
            }
            let Some((entered, 77)) = producer.enter_short([1, 2, 3], 0x0401_0009, part, || 77)
            else {
                assert!(length > MOST && !folds(), "{length}");
                continue;
            };
            producer.exit_short(entered, 5, 6);
            let taken = consumer.take(true, |batch| {
                let record = &batch.bytes[length % 5 * 64..];
                assert!(checks(record), "{length}");
                let words: Vec<u64> = record[8..48]
                    .as_chunks()
                    .0
                    .iter()
                    .map(|word| u64::from_le_bytes(*word))
                    .collect();
                let enter = 48 + padded(length);
                assert_eq!(words, [77, 1, 2, 3, 0x0401_0009 | (enter as u64 / 8) << 32]);
                assert_eq!(&record[48..][..length], part);
                assert!(record[48 + length..enter].iter().all(|byte| *byte == 0));
                assert_eq!(record.len(), enter + 16);
                assert_eq!(
                    record[enter..],
                    [5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]
                );
                true
            });
            assert_eq!(taken, Taken::Some);
        }
    }
}
