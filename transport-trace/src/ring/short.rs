//! The short way into the ring: a call whose arguments are values and few bytes, on a processor with an instruction for
//! CRC-32C.
//!
//! The records are those of [`Record`](super::Record). Each word goes into the ring and into the checksum while it is in a
//! register: nothing is read back, which is slow just after it was written.

use core::arch::x86_64::{
    _mm_clmulepi64_si128, _mm_crc32_u32, _mm_crc32_u64, _mm_cvtsi64_si128, _mm_cvtsi128_si64,
    _mm_loadu_si128, _mm_storeu_si128,
};
use core::sync::atomic::Ordering;

use super::area::Base;
use super::layout::used_word;
use super::processor::{fold, folds};
use super::producer::Producer;
use super::wide;
use crate::format::record::{CALL_HEAD, EXIT_HEAD, kind, meta, padded};

/// The most bytes of arguments that go this way.
pub(crate) const MOST: usize = 192;

/// Where words go, and their checksum.
struct Words {
    to: *mut u64,
    crc: u64,
}

impl Words {
    /// Puts a word.
    ///
    /// # Safety
    /// `to` is valid for a write, and nobody else accesses the word.
    #[target_feature(enable = "sse4.2")]
    #[inline]
    unsafe fn put(&mut self, word: u64) {
        self.crc = _mm_crc32_u64(self.crc, word);
        // SAFETY: as the caller promises. Volatile, so that the compiler does not gather the words for a call of memcpy.
        unsafe {
            self.to.write_volatile(word.to_le());
            self.to = self.to.add(1);
        }
    }

    /// Puts bytes, padded with zeros to whole words.
    ///
    /// # Safety
    /// `to` is valid for as many writes, and nobody else accesses the words.
    #[target_feature(enable = "sse4.2")]
    #[inline]
    unsafe fn put_bytes(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            let ([low, high], _) = pair.as_chunks::<8>() else {
                break;
            };
            self.crc = _mm_crc32_u64(self.crc, u64::from_le_bytes(*low));
            self.crc = _mm_crc32_u64(self.crc, u64::from_le_bytes(*high));
            // SAFETY: as the caller promises.
            unsafe {
                let both = _mm_loadu_si128(pair.as_ptr().cast());
                _mm_storeu_si128(self.to.cast(), both);
                self.to = self.to.add(2);
            }
        }
        let (words, rest) = rest.as_chunks();
        for word in words {
            // SAFETY: as the caller promises.
            unsafe { self.put(u64::from_le_bytes(*word)) };
        }
        if !rest.is_empty() {
            let last = rest
                .iter()
                .rev()
                .fold(0, |word, byte| (word << 8) | u64::from(*byte));
            // SAFETY: as the caller promises.
            unsafe { self.put(last) };
        }
    }

    /// Puts many bytes, padded with zeros to whole words.
    ///
    /// # Safety
    /// `to` is valid for as many writes, and nobody else accesses the words.
    #[target_feature(enable = "avx512f,avx512vl,vpclmulqdq,pclmulqdq,sse4.2")]
    #[inline]
    unsafe fn put_folded(&mut self, bytes: &[u8]) {
        let (lines, rest) = bytes.as_chunks();
        // SAFETY: as the caller promises.
        unsafe {
            if !lines.is_empty() {
                self.crc = fold(self.crc, lines, self.to.cast());
                self.to = self.to.byte_add(size_of_val(lines));
            }
            self.put_bytes(rest);
        }
    }

    /// The checksum, and the first word of the record.
    #[target_feature(enable = "sse4.2")]
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the instruction clears the upper half"
    )]
    fn first(&self, words: usize, kind: u8) -> (u32, u64) {
        let meta = meta(words, kind);
        let crc = self.crc as u32;
        let all = !_mm_crc32_u32(crc, meta);
        (!crc, (u64::from(meta) << 32) | u64::from(all))
    }
}

/// The most bytes of arguments that go this way where the processor folds many.
pub(crate) const MOST_FOLDED: usize = (STEPS - 2) * STEPS * 8;

const STEPS: usize = 64;

/// `WORDS[n]` moves a sum over `n` words, at least one: x^(64n-33) modulo the polynomial. The product of two reflected
/// sums has a factor x in excess, and CRC32 of it one of x^32.
const WORDS: [u32; STEPS + 1] = by(1);
/// Likewise over `n` times 64 words.
const LINES: [u32; STEPS + 1] = by(STEPS);

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "computed by the compiler, which checks both"
)]
const fn by(step: usize) -> [u32; STEPS + 1] {
    let mut table = [0; STEPS + 1];
    let mut value = 1_u32;
    let mut bits = 64;
    let mut n = 1;
    while n < table.len() {
        while bits < n * step * 64 {
            value = (value >> 1) ^ (0x82F6_3B78 & 0_u32.wrapping_sub(value & 1));
            bits += 1;
        }
        table[n] = value;
        n += 1;
    }
    table
}

/// A sum, moved over so many words: at least one, and at most those of [`MOST_FOLDED`] bytes and a record's head.
#[target_feature(enable = "sse4.2,pclmulqdq")]
#[inline]
fn moved(mut crc: u64, words: usize) -> u64 {
    let lines = words.wrapping_sub(1) / STEPS;
    if lines != 0 {
        crc = _mm_crc32_u64(0, product(crc, &LINES, lines));
    }
    _mm_crc32_u64(
        0,
        product(crc, &WORDS, words.wrapping_sub(lines.wrapping_mul(STEPS))),
    )
}

/// What CRC32 makes a sum moved over so many words from.
#[target_feature(enable = "pclmulqdq")]
#[inline]
fn product(crc: u64, by: &[u32; STEPS + 1], n: usize) -> u64 {
    let by = u64::from(by.get(n).copied().unwrap_or(0));
    let product = _mm_clmulepi64_si128::<0>(
        _mm_cvtsi64_si128(crc.cast_signed()),
        _mm_cvtsi64_si128(by.cast_signed()),
    );
    _mm_cvtsi128_si64(product).cast_unsigned()
}

/// Puts bytes at `at`, padded with zeros to whole words. The checksum of them behind bytes with the checksum `crc`. `None`,
/// and nothing is done, where the processor cannot.
///
/// # Safety
/// `at` is a multiple of 8, and nobody else accesses these words at the same time.
pub(super) unsafe fn put_folded(base: Base<'_>, at: usize, bytes: &[u8], crc: u32) -> Option<u32> {
    #[target_feature(enable = "avx512f,avx512vl,vpclmulqdq,pclmulqdq,sse4.2")]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the instruction clears the upper half"
    )]
    unsafe fn put(to: *mut u64, bytes: &[u8], crc: u32) -> u32 {
        let mut words = Words {
            to,
            crc: u64::from(!crc),
        };
        // SAFETY: as the caller promises.
        unsafe { words.put_folded(bytes) };
        !(words.crc as u32)
    }
    debug_assert!(at.saturating_add(bytes.len()) <= base.bytes);
    if !folds() {
        return None;
    }
    // SAFETY: the processor has what the function is compiled for, as was just asked; in bounds by the geometry, and no
    // access is concurrent by the caller's promise.
    Some(unsafe { put(base.start.add(at).cast(), bytes, crc) })
}

impl Producer<'_> {
    /// Whether this way is open.
    pub(super) fn short_way() -> bool {
        std::is_x86_feature_detected!("sse4.2") && std::is_x86_feature_detected!("pclmulqdq")
    }

    /// Whether many bytes may take this way too.
    pub(super) fn long_way() -> bool {
        folds()
    }

    /// Puts an entered call whose head behind the time is `rest` and whose exit part needs at most `exit` bytes. Where it
    /// starts, and its checksum. `None`, and nothing is done, when there is no room at hand or the processor has no such
    /// way; the long way finds out which.
    #[inline(always)]
    pub(crate) fn enter_short(
        &mut self,
        ticks: u64,
        rest: [u64; 4],
        parts: [&[u8]; 2],
        exit: usize,
    ) -> Option<(usize, u32)> {
        let [first, second] = parts;
        // Slices are shorter than half of the address space.
        let input = padded(first.len()).wrapping_add(padded(second.len()));
        let need = input.wrapping_add(CALL_HEAD).wrapping_add(exit);
        if !self.short
            || (input > MOST && (!self.long || input > MOST_FOLDED))
            || self.loss.count != 0
            || need > self.limit.wrapping_sub(self.used)
        {
            return None;
        }
        let [a, b, c, d] = rest;
        if input > MOST {
            // SAFETY: `short` and `long` say that the processor has what the function is compiled for; there is room for
            // all of the record, as just compared.
            return Some(unsafe { self.enter_with_avx(ticks, a, b, c, d, first, second) });
        }
        // SAFETY: as above.
        Some(unsafe { self.enter_with_sse(ticks, a, b, c, d, first, second) })
    }

    /// # Safety
    /// The processor has SSE 4.2 and PCLMULQDQ, the block has room for the record, and of the parts there are at most
    /// [`MOST`] bytes.
    #[target_feature(enable = "sse4.2,pclmulqdq")]
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "words, each in a register")]
    unsafe fn enter_with_sse(
        &mut self,
        ticks: u64,
        rdi: u64,
        rsi: u64,
        number: u64,
        shapes: u64,
        first: &[u8],
        second: &[u8],
    ) -> (usize, u32) {
        let at = self.used;
        let start = self.start.wrapping_add(at);
        // SAFETY: P1: the block is being filled, and these words are at or above `used`; in bounds, as the caller promises;
        // the block and `used` are multiples of 8.
        let (crc, word, end) = unsafe {
            let base = self.area.start.add(start).cast::<u64>();
            let mut words = Words {
                to: base.add(1),
                crc: u64::from(u32::MAX),
            };
            words.put(0);
            words.put(rdi);
            words.put(rsi);
            words.put(number);
            words.put(shapes);
            for part in [first, second] {
                if !part.is_empty() {
                    words.put_bytes(part);
                }
            }
            let bytes = words.to.byte_offset_from_unsigned(base);
            // The time comes last: the chain of the others need not wait for it.
            base.add(1).write_volatile(ticks.to_le());
            words.crc ^= moved(_mm_crc32_u64(0, ticks), (bytes / 8).wrapping_sub(2));
            let (crc, word) = words.first(bytes / 8, kind::ENTERED);
            (crc, word, at.wrapping_add(bytes))
        };
        self.publish_short(start, word, end);
        self.count_call();
        (at, crc)
    }

    /// # Safety
    /// The processor has AVX-512 with VPCLMULQDQ and SSE 4.2, and the block has room for the record.
    #[target_feature(enable = "avx512f,avx512vl,vpclmulqdq,pclmulqdq,sse4.2")]
    #[inline(never)]
    #[expect(clippy::too_many_arguments, reason = "words, each in a register")]
    unsafe fn enter_with_avx(
        &mut self,
        ticks: u64,
        rdi: u64,
        rsi: u64,
        number: u64,
        shapes: u64,
        first: &[u8],
        second: &[u8],
    ) -> (usize, u32) {
        let at = self.used;
        let start = self.start.wrapping_add(at);
        // SAFETY: P1, as for few bytes; in bounds, as the caller promises.
        let (crc, word, end) = unsafe {
            let base = self.area.start.add(start).cast::<u64>();
            let mut words = Words {
                to: base.add(1),
                crc: u64::from(u32::MAX),
            };
            words.put(0);
            words.put(rdi);
            words.put(rsi);
            words.put(number);
            words.put(shapes);
            words.put_folded(first);
            words.put_folded(second);
            let bytes = words.to.byte_offset_from_unsigned(base);
            base.add(1).write_volatile(ticks.to_le());
            words.crc ^= moved(_mm_crc32_u64(0, ticks), (bytes / 8).wrapping_sub(2));
            let (crc, word) = words.first(bytes / 8, kind::ENTERED);
            (crc, word, at.wrapping_add(bytes))
        };
        self.publish_short(start, word, end);
        self.count_call();
        (at, crc)
    }

    /// Puts the return of the call that was entered at `at` with this checksum. `false`, and nothing is done, where it was
    /// not entered on this way.
    #[inline(always)]
    pub(crate) fn exit_short(&mut self, at: usize, crc: u32, duration: u64, rax: u64) -> bool {
        if !self.short || self.limit.wrapping_sub(self.used) < EXIT_HEAD || at > self.used {
            return false;
        }
        // SAFETY: `short` says that the processor has what the function is compiled for; there is room, as just compared.
        unsafe { self.exit_with_sse(at, crc, duration, rax) };
        true
    }

    /// # Safety
    /// The processor has SSE 4.2, and the block has room for two words.
    #[target_feature(enable = "sse4.2")]
    #[inline(never)]
    unsafe fn exit_with_sse(&mut self, at: usize, crc: u32, duration: u64, rax: u64) {
        let end = self.used.wrapping_add(EXIT_HEAD);
        // SAFETY: P1, as when the call was entered; in bounds, as the caller promises.
        let word = unsafe {
            let mut words = Words {
                to: self
                    .area
                    .start
                    .add(self.start.wrapping_add(self.used))
                    .cast(),
                crc: u64::from(!crc),
            };
            words.put(duration);
            words.put(rax);
            words.first(end.wrapping_sub(at) / 8, kind::RETURNED).1
        };
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

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test"
)]
mod tests {
    use super::super::{Full, Taken, borrowed};
    use super::MOST_FOLDED;
    use crate::format::record::{checks, padded};

    #[test]
    fn records_of_every_length_are_as_the_long_way_makes_them() {
        let bytes: Vec<u8> = (0..MOST_FOLDED as u32)
            .map(|n| (n * n % 251) as u8)
            .collect();
        let lengths = if cfg!(miri) { 0..30 } else { 0..700 };
        for length in lengths.chain([4096, 5000, MOST_FOLDED - 8, MOST_FOLDED]) {
            let mut memory = vec![0_u64; 16 << 10];
            let (mut producer, mut consumer) = borrowed(&mut memory, 2, Full::Drop).unwrap();
            let (first, second) = bytes[..length].split_at(length / 3 * (length % 2));
            producer.reserve(40_000).unwrap();
            let Some((at, crc)) = producer.enter_short(77, [1, 2, 3, 4], [first, second], 16)
            else {
                // This processor has no such way.
                assert!(!producer.short || !producer.long);
                continue;
            };
            assert!(producer.exit_short(at, crc, 5, 6));
            let taken = consumer.take(true, |batch| {
                assert!(checks(batch.bytes), "{length}");
                assert_eq!(batch.bytes[8..16], 77_u64.to_le_bytes());
                assert_eq!(&batch.bytes[48..][..first.len()], first);
                let second_at = 48 + padded(first.len());
                assert_eq!(&batch.bytes[second_at..][..second.len()], second);
                assert_eq!(batch.bytes.len(), second_at + padded(second.len()) + 16);
                true
            });
            assert_eq!(taken, Taken::Some);
        }
    }
}
