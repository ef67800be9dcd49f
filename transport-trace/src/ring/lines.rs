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
        && std::is_x86_feature_detected!("avx2")
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

/// The same, first the lines, then their sum.
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
    /// The processor has AVX-512F, AVX2, GFNI and VPCLMULQDQ, and `to` is valid for writes of the lines, which do not overlap it.
    #[inline(always)]
    pub(super) unsafe fn put(to: *mut u8, time: u64, part: &[u8]) -> __m128i {
        let sum;
        // SAFETY: the processor has the instructions, as the caller promises. It reads the lines and the table, and writes as many bytes
        // to `to`; loads and stores need no alignment but those of the table, which has it. Nothing else is written: the stack is
        // not used. VZEROUPPER makes the upper parts of the vector registers zero: 0 to 15 are all clobbered, others are not
        // touched. It changes flags, which is the rule where no option says otherwise.
        unsafe {
            core::arch::asm!(
                // The factors of P and T in zmm6 and 7; what a byte is multiplied by for 1 to 4 lines in zmm8 to 11.
                "vmovdqa64 zmm6, zmmword ptr [{count}]",
                "vmovdqa64 zmm7, zmmword ptr [{count} + 64]",
                "vmovdqa64 zmm8, zmmword ptr [{count} + 128]",
                "vmovdqa64 zmm9, zmmword ptr [{count} + 192]",
                "vmovdqa64 zmm10, zmmword ptr [{count} + 256]",
                "vmovdqa64 zmm11, zmmword ptr [{count} + 320]",
                // The register of the table becomes that of the count: one less that the code around this has to do without.
                "mov {count}, {bytes}",
                "shr {count}, 6",
                // P in zmm1, T in zmm2.
                "vpxor xmm1, xmm1, xmm1",
                "vmovdqa64 zmm2, zmm7",
                "test {count:e}, 3",
                "jz 3f",
                // One line after the other, until those that are left are a multiple of four.
                "2:",
                "vmovdqu64 zmm0, zmmword ptr [{from}]",
                "vmovdqu64 zmmword ptr [{to}], zmm0",
                "vgf2p8mulb zmm2, zmm2, zmm8",
                "vpxorq zmm1, zmm1, zmm0",
                "vpxorq zmm2, zmm2, zmm0",
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
                "vmovdqu64 zmm0, zmmword ptr [{from}]",
                "vmovdqu64 zmm3, zmmword ptr [{from} + 64]",
                "vmovdqu64 zmm4, zmmword ptr [{from} + 128]",
                "vmovdqu64 zmm5, zmmword ptr [{from} + 192]",
                "vmovdqu64 zmmword ptr [{to}], zmm0",
                "vmovdqu64 zmmword ptr [{to} + 64], zmm3",
                "vmovdqu64 zmmword ptr [{to} + 128], zmm4",
                "vmovdqu64 zmmword ptr [{to} + 192], zmm5",
                "vpternlogq zmm1, zmm0, zmm3, 0x96",
                "vgf2p8mulb zmm2, zmm2, zmm11",
                "vgf2p8mulb zmm0, zmm0, zmm10",
                "vpternlogq zmm1, zmm4, zmm5, 0x96",
                "vgf2p8mulb zmm3, zmm3, zmm9",
                "vgf2p8mulb zmm4, zmm4, zmm8",
                "vpternlogq zmm2, zmm0, zmm3, 0x96",
                "vpternlogq zmm2, zmm4, zmm5, 0x96",
                "add {from}, 256",
                "add {to}, 256",
                "sub {count}, 4",
                "jnz 4b",
                "5:",
                // The time into the first word of P; nothing into the others.
                "vmovq xmm3, {time}",
                "vpxorq zmm1, zmm1, zmm3",
                // The products: of the even words, and of the odd ones.
                "vpclmulqdq zmm3, zmm1, zmm6, 0x00",
                "vpclmulqdq zmm1, zmm1, zmm6, 0x11",
                "vpclmulqdq zmm4, zmm2, zmm7, 0x00",
                "vpclmulqdq zmm2, zmm2, zmm7, 0x11",
                // All of them, in 128 bits.
                "vpternlogq zmm1, zmm3, zmm2, 0x96",
                "vpxorq zmm1, zmm1, zmm4",
                "vextracti64x4 ymm2, zmm1, 1",
                "vpxor ymm1, ymm1, ymm2",
                "vextracti128 xmm2, ymm1, 1",
                "vpxor xmm1, xmm1, xmm2",
                // Whoever uses older instructions behind this would wait for the upper parts of the registers on some processors.
                "vzeroupper",
                from = inout(reg) part.as_ptr() => _,
                to = inout(reg) to => _,
                // Not as a symbol, for which a library that is linked at run time has no place.
                count = inout(reg) &raw const TABLE => _,
                bytes = in(reg) part.len(),
                time = in(reg) time,
                out("xmm0") _, out("xmm1") sum, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                options(nostack),
            );
        }
        sum
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
