//! Lines of 64 bytes on their way into the ring, and their sum (see [`crate::format::lines`]).

use super::area::Base;
use crate::format::lines::{LINE, SUM, sum};

/// Whether lines are copied and summed 64 bytes at a time.
pub(super) fn wide() -> bool {
    #[cfg(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(loom, miri))
    ))]
    return std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("gfni")
        && std::is_x86_feature_detected!("vpclmulqdq");
    #[cfg(not(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(loom, miri))
    )))]
    false
}

/// Puts the whole lines of the memory of a call that was entered at this time at `at`, their sum in front of them.
///
/// # Safety
/// `at` is a multiple of 8 with room for the sum and the lines behind it, and nobody else accesses these bytes at the same time. Where
/// this is `in_one`, it is [`wide`].
#[inline(always)]
pub(super) unsafe fn put(base: Base<'_>, at: usize, time: u64, part: &[u8], in_one: bool) {
    let to = at.wrapping_add(SUM);
    #[cfg(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(loom, miri))
    ))]
    if in_one {
        debug_assert!(to.saturating_add(part.len()) <= base.bytes);
        // SAFETY: the caller promises that the processor can, that there is room, and that nobody else accesses it.
        unsafe {
            let sum = vectors::put(base.start.add(to), time, part);
            core::arch::x86_64::_mm_storeu_si128(base.start.add(at).cast(), sum);
        }
        return;
    }
    let _ = in_one;
    // SAFETY: as the caller promises.
    unsafe { put_in_two(base, at, to, time, part.as_chunks().0) }
}

/// Puts the exit part of a call with lines at `to`, and the zeros behind it.
///
/// # Safety
/// `to` is a multiple of 8 with room for 32 bytes behind it, and nobody else accesses them at the same time. Where this is `in_one`, it is
/// [`wide`].
#[inline(always)]
pub(super) unsafe fn put_exit(base: Base<'_>, to: usize, words: [u64; 2], in_one: bool) {
    #[cfg(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(loom, miri))
    ))]
    if in_one {
        debug_assert!(to.saturating_add(32) <= base.bytes);
        // SAFETY: the caller promises that the processor can, that there is room, and that nobody else accesses it.
        unsafe { vectors::put_exit(base.start.add(to), words) };
        return;
    }
    let _ = in_one;
    // SAFETY: as the caller promises.
    unsafe {
        base.put_pair(to, words);
        base.put_pair(to.wrapping_add(16), [0, 0]);
    }
}

/// The same as [`put`], first the lines, then their sum.
///
/// # Safety
/// As above.
#[inline(never)]
unsafe fn put_in_two(base: Base<'_>, at: usize, to: usize, time: u64, lines: &[[u8; LINE]]) {
    // SAFETY: as the caller promises.
    unsafe {
        base.put(to, lines.as_flattened());
        base.put(at, &sum(time, lines).to_le_bytes());
    }
}

#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(any(loom, miri))
))]
mod vectors {
    use core::arch::x86_64::{
        __m128i, _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_unpackhi_epi64,
    };

    use crate::format::lines::{FACTORS, Factors, LINE, folded, gathered};

    /// What the lines meet: the factors, and 3, 3², 3³ and 3⁴ in the field of AES, in each byte.
    #[repr(C)]
    struct Table {
        factors: Factors,
        powers: [[u8; 64]; 4],
    }

    static TABLE: Table = Table {
        factors: FACTORS,
        powers: [[3; 64], [5; 64], [15; 64], [17; 64]],
    };

    /// Copies the whole lines of `part` to `to`. Their sum, of a call that was entered at this time.
    ///
    /// Inline assembly, since intrinsics can only be inlined into functions that are compiled for the instructions, and the way of a
    /// call is not; and since a loop that copies would become a call of memcpy in front of one that loads everything once more.
    ///
    /// # Safety
    /// The processor has AVX-512F, AVX-512VL, GFNI and VPCLMULQDQ, and `to` is valid for writes of the lines, which do not overlap it.
    #[inline(always)]
    pub(super) unsafe fn put(to: *mut u8, time: u64, part: &[u8]) -> __m128i {
        let sum;
        // SAFETY: the processor has the instructions, as the caller promises. It reads the lines and the table, and writes as many bytes
        // to `to`; loads and stores need no alignment but those of the table, which has it. Nothing else is written: the stack is
        // not used, and of the vector registers 16 to 27, and 1, which are clobbered or the result. It changes flags, which is the rule
        // where no option says otherwise.
        //
        // Registers from 16 on, since with those below whoever uses older instructions behind this would wait for their upper parts on
        // some processors, and to make them zero (VZEROUPPER) takes longer than all of the sum. Lines are loaded in halves: where memory is
        // at a multiple of 16, every second half lies in one line of the cache; a whole line never does.
        unsafe {
            core::arch::asm!(
                // The factors of P and T in zmm22 and 23; what a byte is multiplied by for 1 to 4 lines in zmm24 to 27.
                "vmovdqa64 zmm22, zmmword ptr [{count}]",
                "vmovdqa64 zmm23, zmmword ptr [{count} + 64]",
                "vmovdqa64 zmm24, zmmword ptr [{count} + 128]",
                "vmovdqa64 zmm25, zmmword ptr [{count} + 192]",
                "vmovdqa64 zmm26, zmmword ptr [{count} + 256]",
                "vmovdqa64 zmm27, zmmword ptr [{count} + 320]",
                // The register of the table becomes that of the count: one less that the code around this has to do without.
                "mov {count}, {bytes}",
                "shr {count}, 6",
                // P in zmm17, T in zmm18.
                "vpxord zmm17, zmm17, zmm17",
                "vmovdqa64 zmm18, zmm23",
                "test {count:e}, 3",
                "jz 3f",
                // One line after the other, until those that are left are a multiple of four.
                "2:",
                "vmovdqu64 ymm16, ymmword ptr [{from}]",
                "vinserti64x4 zmm16, zmm16, ymmword ptr [{from} + 32], 1",
                "vmovdqu64 zmmword ptr [{to}], zmm16",
                "vgf2p8mulb zmm18, zmm18, zmm24",
                "vpxorq zmm17, zmm17, zmm16",
                "vpxorq zmm18, zmm18, zmm16",
                "add {from}, 64",
                "add {to}, 64",
                "sub {count}, 1",
                "test {count:e}, 3",
                "jnz 2b",
                "3:",
                "test {count}, {count}",
                "jz 5f",
                // Four lines: T times 3 to the fourth, and they as many times 3 as lines follow. 0x96 is the XOR of three.
                // So that it does not begin in the middle of what is decoded at a time.
                ".p2align 5",
                "4:",
                "vmovdqu64 ymm16, ymmword ptr [{from}]",
                "vinserti64x4 zmm16, zmm16, ymmword ptr [{from} + 32], 1",
                "vmovdqu64 ymm19, ymmword ptr [{from} + 64]",
                "vinserti64x4 zmm19, zmm19, ymmword ptr [{from} + 96], 1",
                "vmovdqu64 ymm20, ymmword ptr [{from} + 128]",
                "vinserti64x4 zmm20, zmm20, ymmword ptr [{from} + 160], 1",
                "vmovdqu64 ymm21, ymmword ptr [{from} + 192]",
                "vinserti64x4 zmm21, zmm21, ymmword ptr [{from} + 224], 1",
                "vmovdqu64 zmmword ptr [{to}], zmm16",
                "vmovdqu64 zmmword ptr [{to} + 64], zmm19",
                "vmovdqu64 zmmword ptr [{to} + 128], zmm20",
                "vmovdqu64 zmmword ptr [{to} + 192], zmm21",
                "vpternlogq zmm17, zmm16, zmm19, 0x96",
                "vgf2p8mulb zmm18, zmm18, zmm27",
                "vgf2p8mulb zmm16, zmm16, zmm26",
                "vpternlogq zmm17, zmm20, zmm21, 0x96",
                "vgf2p8mulb zmm19, zmm19, zmm25",
                "vgf2p8mulb zmm20, zmm20, zmm24",
                "vpternlogq zmm18, zmm16, zmm19, 0x96",
                "vpternlogq zmm18, zmm20, zmm21, 0x96",
                "add {from}, 256",
                "add {to}, 256",
                "sub {count}, 4",
                "jnz 4b",
                "5:",
                // The time into the first word of P; nothing into the others.
                "vmovq xmm19, {time}",
                "vpxorq zmm17, zmm17, zmm19",
                // The products: of the even words, and of the odd ones.
                "vpclmulqdq zmm19, zmm17, zmm22, 0x00",
                "vpclmulqdq zmm17, zmm17, zmm22, 0x11",
                "vpclmulqdq zmm20, zmm18, zmm23, 0x00",
                "vpclmulqdq zmm18, zmm18, zmm23, 0x11",
                // All of them, in 128 bits.
                "vpternlogq zmm17, zmm19, zmm18, 0x96",
                "vpxorq zmm17, zmm17, zmm20",
                "vextracti64x4 ymm18, zmm17, 1",
                "vpxorq ymm17, ymm17, ymm18",
                "vextracti32x4 xmm18, ymm17, 1",
                // To one that a function that is not compiled for these instructions can have.
                "vpxorq xmm1, xmm17, xmm18",
                from = inout(reg) part.as_ptr() => _,
                to = inout(reg) to => _,
                // Not as a symbol, for which a library that is linked at run time has no place.
                count = inout(reg) &raw const TABLE => _,
                bytes = in(reg) part.len(),
                time = in(reg) time,
                out("xmm1") sum,
                out("xmm16") _, out("xmm17") _, out("xmm18") _, out("xmm19") _,
                out("xmm20") _, out("xmm21") _, out("xmm22") _, out("xmm23") _,
                out("xmm24") _, out("xmm25") _, out("xmm26") _, out("xmm27") _,
                options(nostack),
            );
        }
        sum
    }

    /// Puts two words and two zeros at `to`, in one store: behind the lines it is stores that the processor waits for.
    ///
    /// # Safety
    /// The processor has AVX-512F and AVX-512VL, and `to` is valid for writes of 32 bytes.
    #[inline(always)]
    pub(super) unsafe fn put_exit(to: *mut u8, [first, second]: [u64; 2]) {
        // SAFETY: the processor has the instructions, and there is room, as the caller promises. Nothing else is written: of registers
        // 16 and 17, which are clobbered, for the reason above; no flags, and not the stack.
        unsafe {
            core::arch::asm!(
                "vmovq xmm16, {first}",
                "vmovq xmm17, {second}",
                // What is written by 128 bits is followed by zeros.
                "vpunpcklqdq xmm16, xmm16, xmm17",
                "vmovdqu64 ymmword ptr [{to}], ymm16",
                first = in(reg) first,
                second = in(reg) second,
                to = in(reg) to,
                out("xmm16") _, out("xmm17") _,
                options(nostack, preserves_flags),
            );
        }
    }

    /// The sum of lines, whose products are the processor's. `None` where it has no carry-less multiplication.
    pub(crate) fn sum_of_lines(time: u64, lines: &[[u8; LINE]]) -> Option<u128> {
        #[target_feature(enable = "pclmulqdq")]
        fn with_products(gathered: &[[u64; 8]; 2]) -> u128 {
            folded(gathered, |word, factor| {
                let product = _mm_clmulepi64_si128::<0>(
                    _mm_cvtsi64_si128(word.cast_signed()),
                    _mm_cvtsi64_si128(factor.cast_signed()),
                );
                let halves = [product, _mm_unpackhi_epi64(product, product)]
                    .map(|half| u128::from(_mm_cvtsi128_si64(half).cast_unsigned()));
                halves[0] | (halves[1] << 64)
            })
        }
        if std::is_x86_feature_detected!("pclmulqdq") {
            let gathered = gathered(time, lines);
            // SAFETY: the processor has what the function is compiled for, as was just asked.
            Some(unsafe { with_products(&gathered) })
        } else {
            None
        }
    }
}

#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(any(loom, miri))
))]
pub(crate) use vectors::sum_of_lines;
