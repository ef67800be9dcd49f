//! The short way into the ring: a call whose arguments are values and at most one block, on a processor with an instruction for
//! CRC-32C.
//!
//! The records are those of [`Record`](super::Record), but that much memory has a sum of lines. Each word goes into the ring and
//! into the checksum while it is in a register: nothing is read back, which is slow just after it was written.

#[cfg(not(loom))]
use core::sync::atomic::Ordering;
#[cfg(loom)]
use loom::sync::atomic::Ordering;

use super::area::{Base, view};
use super::crc;
use super::layout::used_word;
#[cfg(feature = "std")]
use super::lines;
use super::producer::Producer;
use super::wide;
#[cfg(feature = "std")]
use crate::format::lines::{LINE, MOST_LINES, SUM};
use crate::format::record::{CALL_HEAD, EXIT_HEAD, EXIT_ROOM, kind, padded};

/// The most bytes of a part that are summed word by word. More have a sum of lines.
const MOST: usize = 248;

/// Where in a record memory with lines starts.
#[cfg(feature = "std")]
const LINES_AT: usize = CALL_HEAD + SUM;
#[cfg(not(feature = "std"))]
const LINES_AT: usize = CALL_HEAD;

/// Zeros at the end of a record with lines, which makes it a multiple of 32 bytes where its memory is one. Where such records follow each
/// other, no half of a line lies in two lines of the cache then, which would take twice as long to store.
#[cfg(feature = "std")]
const ZEROS: usize = 16;
#[cfg(not(feature = "std"))]
const ZEROS: usize = 0;

/// What a call takes at most besides its memory.
pub(super) const ROOM: usize = LINES_AT + ZEROS + EXIT_ROOM;

/// How far ahead the lines of later records are asked for. The processor itself looks ahead to the end of a page of 4 KiB only: the
/// call that meets the next page would wait for its translation and for its first lines.
const AHEAD: usize = 1024;

/// A call that was entered on the short way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    /// Where its record starts in the block.
    at: usize,
    /// Where its enter part ends; one more where its memory has lines with a sum of their own. A field for that would be stored and
    /// loaded in each call.
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

    /// Where in its record the bytes of its memory start.
    #[inline(always)]
    pub(crate) const fn memory(self) -> usize {
        if self.has_lines() {
            LINES_AT
        } else {
            CALL_HEAD
        }
    }

    #[inline(always)]
    const fn has_lines(self) -> bool {
        self.end & 1 != 0
    }

    /// Where its enter part ends.
    #[inline(always)]
    const fn end(self) -> usize {
        self.end & !1
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

/// The same, of so many bytes that the instruction, one after the other, would take longer than what `crc-fast` knows.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn put_any(base: Base<'_>, to: usize, part: &[u8], register: u64) -> u64 {
    let (many, rest) = part.split_at(if cfg!(feature = "std") && part.len() > MOST {
        part.len() & !7
    } else {
        0
    });
    let mut register = register;
    // SAFETY: as the caller promises.
    unsafe {
        if !many.is_empty() {
            base.put(to, many);
            register = crc::behind(register, many);
        }
        put(base, to.wrapping_add(many.len()), rest, register)
    }
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
    last: u64,
) -> u64 {
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

/// The last word of a call's head, whose enter part has so many bytes, less than 2^27.
#[inline(always)]
fn last(tags: u32, enter: usize) -> u64 {
    // Words of 8 bytes in the upper half.
    u64::from(tags) | (wide(enter) << 29)
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
    /// Puts an entered call with this head (RDI, RSI, number), these tags, and the memory of one argument, or none. Its return will
    /// put `exit` bytes of memory at most. `time` is asked when the memory is in the ring (where it goes in lines: before), and is
    /// returned. `None`, and nothing is done, when there is no room at hand or the processor has no such way; the long way finds out
    /// which.
    #[inline(always)]
    pub(crate) fn enter_short(
        &mut self,
        head: [u64; 3],
        tags: u32,
        part: &[u8],
        exit: usize,
        time: impl FnOnce() -> u64,
    ) -> Option<(Short, u64)> {
        let input = padded(part.len());
        let at = self.used;
        // Slices are shorter than half of the address space.
        if at.wrapping_add(input).saturating_add(exit) >= self.short_below {
            return None;
        }
        if input > MOST {
            #[cfg(feature = "std")]
            return self.enter_lines(head, tags, part, time);
            #[cfg(not(feature = "std"))]
            return None;
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
            let register = put_head(base, start, time, head, last(tags, enter));
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
            let register = put_head(base, start, time, head, last(tags, enter));
            (time, put(base, body, part, register))
        };
        // SAFETY: as above.
        let word = unsafe { first(register, enter, kind::ENTERED) };
        let end = at.wrapping_add(enter);
        self.publish_short(start, word, end);
        self.count_call();
        let short = Short { at, end, register };
        Some((short, time))
    }

    /// Likewise with many bytes, for which there is room. `None`, and nothing is done, where there are more than go this way.
    #[cfg(feature = "std")]
    #[inline(always)]
    fn enter_lines(
        &mut self,
        head: [u64; 3],
        tags: u32,
        part: &[u8],
        time: impl FnOnce() -> u64,
    ) -> Option<(Short, u64)> {
        let (lines, rest) = part.as_chunks::<LINE>();
        if lines.len() > MOST_LINES {
            return None;
        }
        let base = self.area.base;
        let at = self.used;
        let start = self.start.wrapping_add(at);
        let enter = padded(part.len()).wrapping_add(LINES_AT);
        let last = last(tags, enter) | (wide(lines.len()) << 56);
        base.expect(start.wrapping_add(AHEAD));
        base.expect(start.wrapping_add(AHEAD + 64));
        // SAFETY: as in `enter_short`, which found room, for the sum too; `wide` says what the processor has.
        let (time, register, word) = unsafe {
            // Before the memory is copied: that and the counter's reading go on at the same time.
            let time = time();
            let body = start.wrapping_add(CALL_HEAD);
            lines::put(base, body, time, part, self.wide);
            let mut register = put_head(base, start, time, head, last);
            if !rest.is_empty() {
                let to = body.wrapping_add(SUM).wrapping_add(size_of_val(lines));
                register = put(base, to, rest, register);
            }
            (time, register, first(register, enter, kind::ENTERED))
        };
        let end = at.wrapping_add(enter);
        self.publish_short(start, word, end);
        self.count_call();
        let short = Short {
            at,
            end: end | 1,
            register,
        };
        Some((short, time))
    }

    /// Puts the return of the call that was entered last. Where something else was put since, which nobody does, the call stays one
    /// that never returned: a record is never one of something else.
    #[inline(always)]
    pub(crate) fn exit_short(&mut self, entered: Short, duration: u64, rax: u64) {
        let (at, end) = (entered.at, entered.end());
        if self.used != end {
            return;
        }
        let base = self.area.base;
        let to = self.start.wrapping_add(end);
        // SAFETY: a call was entered on this way, so that the processor has the instruction. P1, as then; in bounds, since there was
        // room for the longest exit part behind `end`, and all blocks are of one size. `wide` says what the processor has.
        let (end, word) = unsafe {
            let mut register = crc::word(crc::word(entered.register, duration), rax);
            let mut end = end.wrapping_add(EXIT_HEAD);
            if entered.has_lines() {
                #[cfg(feature = "std")]
                lines::put_exit(base, to, [duration, rax], self.wide);
                register = crc::word(crc::word(register, 0), 0);
                end = end.wrapping_add(ZEROS);
            } else {
                base.put_pair(to, [duration, rax]);
            }
            (end, first(register, end.wrapping_sub(at), kind::RETURNED))
        };
        self.publish_short(self.start.wrapping_add(at), word, end);
    }

    /// The same of a call whose only block may be written, which holds `bytes` now. `bit` says which block it is. Where it was not
    /// `read`, it was all zeros before the call.
    #[inline(never)]
    pub(crate) fn exit_written(
        &mut self,
        entered: Short,
        duration: u64,
        rax: u64,
        bytes: &[u8],
        bit: u64,
        read: bool,
    ) {
        let (at, end) = (entered.at, entered.end());
        // There was room for so many.
        let room = self.limit.wrapping_sub(end);
        if self.used != end || padded(bytes.len()).saturating_add(EXIT_HEAD + 8) > room {
            return;
        }
        let base = self.area.base;
        let start = self.start.wrapping_add(at);
        let changed = if read {
            // SAFETY: only the producer writes a block that is being filled, and it is borrowed. In bounds: as many bytes were put there.
            let before = unsafe { base.bytes(start.wrapping_add(entered.memory()), bytes.len()) };
            view(&before) != bytes
        } else {
            bytes.iter().any(|byte| *byte != 0)
        };
        let mut register = entered.register;
        let mut to = self.start.wrapping_add(end);
        let mut end = end.wrapping_add(EXIT_HEAD + 8);
        for word in [duration, rax, if changed { bit } else { 0 }] {
            // SAFETY: as in `exit_short`.
            unsafe {
                register = crc::word(register, word);
                base.put_word(to, word);
            }
            to = to.wrapping_add(8);
        }
        if changed {
            // SAFETY: as in `exit_short`. There was room for these bytes too: `enter_short` asked for it.
            register = unsafe { put_any(base, to, bytes, register) };
            end = end.wrapping_add(padded(bytes.len()));
        }
        // SAFETY: as above.
        let word = unsafe { first(register, end.wrapping_sub(at), kind::RETURNED) };
        self.publish_short(start, word, end);
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
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]
mod tests;
