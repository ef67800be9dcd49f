//! Many bytes on their way into the ring: they are copied, and folded into their checksum by carry-less multiplications of 512
//! bits (Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009).

use core::arch::x86_64::{
    __m128i, __m512i, _mm_clmulepi64_si128, _mm_crc32_u64, _mm_cvtsi64_si128, _mm_cvtsi128_si64,
    _mm_extract_epi64, _mm_setr_epi32, _mm_ternarylogic_epi64, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_xor_si256, _mm512_broadcast_i32x4, _mm512_castsi512_si256,
    _mm512_clmulepi64_epi128, _mm512_extracti32x4_epi32, _mm512_extracti64x4_epi64,
    _mm512_loadu_si512, _mm512_setzero_si512, _mm512_ternarylogic_epi64, _mm512_xor_si512,
};

use super::area::Base;
use super::polynomial::{power, product};

/// The most bytes that go this way.
pub(super) const MOST: usize = MOST_LINES * LINE;

const LINE: usize = 64;
const MOST_LINES: usize = 496;

/// Lines that are folded at the same time: each waits for the one so many before it.
const AT_ONCE: usize = 4;

/// What moves 128 bits so many bytes on: the low and the high half of them, by carry-less multiplication, whose reflected
/// product has a factor x in excess. By 0 bytes: nothing, for which there is no such factor.
const fn by(bytes: usize) -> [i32; 4] {
    if bytes == 0 {
        return [0; 4];
    }
    let bits = bytes.wrapping_mul(8);
    [
        power(bits.wrapping_add(31)).cast_signed(),
        0,
        power(bits.wrapping_sub(33)).cast_signed(),
        0,
    ]
}

/// What moves each 128 bits of a line to the end of it, and so many lines on.
const fn to_end(lines: usize) -> [i32; 16] {
    let bytes = lines.wrapping_mul(LINE);
    let [a, b, c, d] = by(bytes.wrapping_add(48));
    let [e, f, g, h] = by(bytes.wrapping_add(32));
    let [i, j, k, l] = by(bytes.wrapping_add(16));
    let [m, n, o, p] = by(bytes);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

const BY_ROUND: [i32; 4] = by(AT_ONCE * LINE);

static TO_END: [[i32; 16]; AT_ONCE] = [to_end(3), to_end(2), to_end(1), to_end(0)];

/// `MOVES[n]` moves a register over `n` lines, at least one: x^(512n-33). The product has a factor x in excess, and CRC32 of it
/// one of x^32.
static MOVES: [u32; MOST_LINES + 1] = moves();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "computed by the compiler, which checks both"
)]
const fn moves() -> [u32; MOST_LINES + 1] {
    let mut table = [0; MOST_LINES + 1];
    let line = power(LINE * 8);
    let mut value = power(LINE * 8 - 33);
    let mut n = 1;
    while n < table.len() {
        table[n] = value;
        value = product(value, line);
        n += 1;
    }
    table
}

/// Whether the processor has what this needs.
pub(super) fn available() -> bool {
    std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("vpclmulqdq")
        && std::is_x86_feature_detected!("pclmulqdq")
        && std::is_x86_feature_detected!("sse4.2")
}

/// What CRC32 makes a register moved over so many lines from.
#[target_feature(enable = "pclmulqdq")]
#[inline]
fn moved(register: u64, lines: usize) -> __m128i {
    let by = u64::from(MOVES.get(lines).copied().unwrap_or(0));
    _mm_clmulepi64_si128::<0>(
        _mm_cvtsi64_si128(register.cast_signed()),
        _mm_cvtsi64_si128(by.cast_signed()),
    )
}

/// CRC32 of the low half.
#[target_feature(enable = "sse4.2")]
#[inline]
fn reduced(product: __m128i) -> u64 {
    _mm_crc32_u64(0, _mm_cvtsi128_si64(product).cast_unsigned())
}

/// A line moved on by factors, and added to the next one.
#[target_feature(enable = "avx512f,vpclmulqdq")]
#[inline]
fn on(x: __m512i, by: __m512i, next: __m512i) -> __m512i {
    let low = _mm512_clmulepi64_epi128::<0x00>(x, by);
    let high = _mm512_clmulepi64_epi128::<0x11>(x, by);
    _mm512_ternarylogic_epi64::<0x96>(low, high, next)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn each([a, b, c, d]: [i32; 4]) -> __m512i {
    _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, d))
}

/// Copies 64 bytes, and gives them.
///
/// # Safety
/// `line` is valid for reads and `to` for writes of them.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn copy(line: *const u8, to: *mut u8) -> __m512i {
    // SAFETY: as the caller promises. Neither needs to be aligned. In assembly, since a loop of loads and stores would become a call
    // of memcpy in front of one that loads everything once more. It writes these bytes only, and no flags.
    unsafe {
        let line = _mm512_loadu_si512(line.cast());
        core::arch::asm!(
            "vmovdqu64 zmmword ptr [{to}], {line}",
            to = in(reg) to,
            line = in(zmm_reg) line,
            options(nostack, preserves_flags),
        );
        line
    }
}

/// The lanes of a line, each moved by its factors to the end of the last line, and added to others.
#[target_feature(enable = "avx512f,vpclmulqdq")]
#[inline]
fn lanes(line: __m512i, factors: &[i32; 16], others: __m512i) -> __m512i {
    // SAFETY: an array of 64 bytes, which need not be aligned.
    on(
        line,
        unsafe { _mm512_loadu_si512(factors.as_ptr().cast()) },
        others,
    )
}

/// The register of lanes that were moved, and of the last lane of the last line, which need not be.
#[target_feature(enable = "avx512f,avx512vl,sse4.2")]
#[inline]
fn register(moved: __m512i, last: __m512i) -> u64 {
    let half = _mm256_xor_si256(
        _mm512_castsi512_si256(moved),
        _mm512_extracti64x4_epi64::<1>(moved),
    );
    let sum = _mm_ternarylogic_epi64::<0x96>(
        _mm256_castsi256_si128(half),
        _mm256_extracti128_si256::<1>(half),
        _mm512_extracti32x4_epi32::<3>(last),
    );
    let register = _mm_crc32_u64(0, _mm_cvtsi128_si64(sum).cast_unsigned());
    _mm_crc32_u64(register, _mm_extract_epi64::<1>(sum).cast_unsigned())
}

/// Copies whole lines to `to`, at least one. What they make of a register of zeros.
///
/// # Safety
/// `to` is valid for writes of as many bytes, and nobody else accesses that memory meanwhile.
#[target_feature(enable = "avx512f,avx512vl,vpclmulqdq,pclmulqdq,sse4.2")]
#[inline]
unsafe fn put_lines(lines: &[[u8; LINE]], mut to: *mut u8) -> u64 {
    let zero = _mm512_setzero_si512();
    if lines.len() <= AT_ONCE {
        // None waits for another one.
        let (mut sum, mut last) = (zero, zero);
        for (line, factors) in lines.iter().rev().zip(TO_END.iter().rev()).rev() {
            // SAFETY: as the caller promises.
            unsafe {
                last = copy(line.as_ptr(), to);
                to = to.add(LINE);
            }
            sum = lanes(last, factors, sum);
        }
        return register(sum, last);
    }
    // The lines that make no whole round go first, as if zeros stood in front of them.
    let (odd, rounds) = lines.as_rchunks::<AT_ONCE>();
    let [mut a, mut b, mut c, mut d] = [zero; AT_ONCE];
    // SAFETY: as the caller promises.
    unsafe {
        for line in odd {
            [a, b, c, d] = [b, c, d, copy(line.as_ptr(), to)];
            to = to.add(LINE);
        }
        let mut rounds = rounds.iter();
        if odd.is_empty()
            && let Some([one, two, three, four]) = rounds.next()
        {
            a = copy(one.as_ptr(), to);
            b = copy(two.as_ptr(), to.add(LINE));
            c = copy(three.as_ptr(), to.add(LINE * 2));
            d = copy(four.as_ptr(), to.add(LINE * 3));
            to = to.add(LINE * 4);
        }
        let by = each(BY_ROUND);
        for [one, two, three, four] in rounds {
            a = on(a, by, copy(one.as_ptr(), to));
            b = on(b, by, copy(two.as_ptr(), to.add(LINE)));
            c = on(c, by, copy(three.as_ptr(), to.add(LINE * 2)));
            d = on(d, by, copy(four.as_ptr(), to.add(LINE * 3)));
            to = to.add(LINE * 4);
        }
    }
    let [e, f, g, h] = &TO_END;
    let sum = _mm512_xor_si512(
        lanes(a, e, lanes(b, f, zero)),
        lanes(c, g, lanes(d, h, zero)),
    );
    register(sum, d)
}

/// Puts bytes at `to`, padded with zeros to whole words. What they make of a register.
///
/// The lines are folded from zeros, so that they need not wait for what stands before them.
///
/// # Safety
/// `to` is valid for as many writes, and nobody else accesses the words.
#[target_feature(enable = "avx512f,avx512vl,vpclmulqdq,pclmulqdq,sse4.2")]
#[inline(never)]
unsafe fn put_part(mut to: *mut u8, part: &[u8], before: u64) -> u64 {
    let (lines, rest) = part.as_chunks::<LINE>();
    let mut register = before;
    if !lines.is_empty() {
        // SAFETY: as the caller promises.
        unsafe {
            register = put_lines(lines, to) ^ reduced(moved(before, lines.len()));
            to = to.add(size_of_val(lines));
        }
    }
    let (words, rest) = rest.as_chunks();
    for word in words {
        let word = u64::from_le_bytes(*word);
        register = _mm_crc32_u64(register, word);
        // SAFETY: as the caller promises. Volatile, so that this does not become a call of memcpy.
        unsafe {
            to.cast::<u64>().write_volatile(word.to_le());
            to = to.add(8);
        }
    }
    if !rest.is_empty() {
        let last = rest
            .iter()
            .rev()
            .fold(0, |word, byte| (word << 8) | u64::from(*byte));
        register = _mm_crc32_u64(register, last);
        // SAFETY: as the caller promises.
        unsafe { to.cast::<u64>().write_volatile(last.to_le()) };
    }
    register
}

/// Puts bytes at `at`, padded with zeros to whole words. What they make of a register.
///
/// # Safety
/// This is [`available`], there are at most [`MOST`], `at` is a multiple of 8 with room for them behind it, and nobody else accesses
/// these words at the same time.
#[inline(always)]
pub(super) unsafe fn put(base: Base<'_>, at: usize, part: &[u8], before: u64) -> u64 {
    debug_assert!(at.saturating_add(part.len()) <= base.bytes);
    // SAFETY: the processor has what the function is compiled for, and nobody else accesses the words, as the caller promises; in
    // bounds by the geometry.
    unsafe { put_part(base.start.add(at), part, before) }
}

/// Puts a part at `at`, padded with zeros to whole words. The checksum of it behind bytes with the checksum `crc`. `None`, and
/// nothing is done, where the processor cannot, or there are more bytes than go this way.
///
/// # Safety
/// `at` is a multiple of 8 with room for the part behind it, and nobody else accesses these words at the same time.
pub(super) unsafe fn put_one(base: Base<'_>, at: usize, part: &[u8], crc: u32) -> Option<u32> {
    if part.len() > MOST || !available() {
        return None;
    }
    // SAFETY: it is available and not too much, as was just asked; the rest as the caller promises.
    let register = unsafe { put(base, at, part, u64::from(!crc)) };
    // A register of 32 bits.
    u32::try_from(register).ok().map(|register| !register)
}
