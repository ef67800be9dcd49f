//! CRC-32C of words on their way into the ring: by the processor's CRC32 instruction, which works on general registers, so
//! that code in ring 0 may use it too.
//!
//! The register of the checksum is that of RFC 3720 before its last step: it starts with all ones and is not inverted.
//! Inline assembly, since the intrinsics can only be inlined into functions that are compiled for the instruction, and the way
//! of a call is not.

#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(any(loom, miri))
))]
mod how {
    use core::arch::asm;

    /// Whether the processor has the instruction, CPUID.01H:ECX.SSE4_2 [bit 20], and with std carry-less multiplication,
    /// PCLMULQDQ [bit 1]: Intel SDM volume 2, CPUID.
    pub(crate) fn available() -> bool {
        #[cfg(feature = "std")]
        return std::is_x86_feature_detected!("sse4.2")
            && std::is_x86_feature_detected!("pclmulqdq");
        #[cfg(not(feature = "std"))]
        return core::arch::x86_64::__cpuid(1).ecx & (1 << 20) != 0;
    }

    /// The register behind a word.
    ///
    /// # Safety
    /// The instruction is [`available`].
    #[inline(always)]
    pub(crate) unsafe fn word(mut crc: u64, word: u64) -> u64 {
        // SAFETY: the processor has it, as the caller promises. It reads and writes the operands only, and no flags; the
        // upper half of the destination becomes zero.
        unsafe {
            asm!(
                "crc32 {crc}, {word}",
                crc = inout(reg) crc,
                word = in(reg) word,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        crc
    }

    /// The register behind eight words of memory: fewer instructions than to load them first.
    ///
    /// # Safety
    /// The instruction is [`available`].
    #[inline(always)]
    pub(crate) unsafe fn eight(mut crc: u64, bytes: &[u8; 64]) -> u64 {
        // SAFETY: as above; the memory is a reference's. Not `pure`: a loop that copies and sums is not to become a call of
        // memcpy and a loop.
        unsafe {
            asm!(
                "crc32 {crc}, qword ptr [{bytes}]",
                "crc32 {crc}, qword ptr [{bytes} + 8]",
                "crc32 {crc}, qword ptr [{bytes} + 16]",
                "crc32 {crc}, qword ptr [{bytes} + 24]",
                "crc32 {crc}, qword ptr [{bytes} + 32]",
                "crc32 {crc}, qword ptr [{bytes} + 40]",
                "crc32 {crc}, qword ptr [{bytes} + 48]",
                "crc32 {crc}, qword ptr [{bytes} + 56]",
                crc = inout(reg) crc,
                bytes = in(reg) bytes,
                options(readonly, nostack, preserves_flags),
            );
        }
        crc
    }

    /// The carry-less product of two registers.
    ///
    /// # Safety
    /// The processor has the instruction PCLMULQDQ.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) unsafe fn product(one: u64, other: u64) -> u64 {
        let mut product = one;
        // SAFETY: the processor has it, as the caller promises. It reads and writes the operands only, and no flags.
        unsafe {
            asm!(
                "movq {x}, {product}",
                "movq {y}, {other}",
                "pclmulqdq {x}, {y}, 0",
                "movq {product}, {x}",
                product = inout(reg) product,
                other = in(reg) other,
                x = out(xmm_reg) _,
                y = out(xmm_reg) _,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        product
    }

    /// The checksum behind half a word: the register, inverted.
    ///
    /// # Safety
    /// The instruction is [`available`].
    #[inline(always)]
    pub(crate) unsafe fn last(mut crc: u64, half: u32) -> u64 {
        // SAFETY: as for a word. NOT of 32 bits changes no flags and makes the upper half zero.
        unsafe {
            asm!(
                "crc32 {crc:e}, {half:e}",
                "not {crc:e}",
                crc = inout(reg) crc,
                half = in(reg) half,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        crc
    }
}

/// The same without the instruction: for Miri and loom, which have none, so that they see this way too.
#[cfg(not(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(any(loom, miri))
)))]
mod how {
    use crate::checksum::append;

    pub(crate) fn available() -> bool {
        cfg!(any(loom, miri))
    }

    #[expect(clippy::cast_possible_truncation, reason = "a register of 32 bits")]
    fn on(crc: u64, bytes: &[u8]) -> u64 {
        u64::from(!append(!(crc as u32), bytes))
    }

    pub(crate) unsafe fn word(crc: u64, word: u64) -> u64 {
        on(crc, &word.to_le_bytes())
    }

    pub(crate) unsafe fn eight(crc: u64, bytes: &[u8; 64]) -> u64 {
        on(crc, bytes)
    }

    #[cfg(feature = "std")]
    pub(crate) unsafe fn product(one: u64, other: u64) -> u64 {
        (0..64).fold(0, |sum, bit| {
            let part = if (other >> bit) & 1 != 0 {
                one << bit
            } else {
                0
            };
            sum ^ part
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a register of 32 bits")]
    pub(crate) unsafe fn last(crc: u64, half: u32) -> u64 {
        u64::from(append(!(crc as u32), &half.to_le_bytes()))
    }
}

pub(super) use how::{available, eight, last, word};

/// The register behind many bytes.
#[expect(clippy::cast_possible_truncation, reason = "a register of 32 bits")]
pub(super) fn behind(register: u64, bytes: &[u8]) -> u64 {
    u64::from(!crate::checksum::append(!(register as u32), bytes))
}

/// Moves registers by carry-less multiplication, in a register of vectors: nothing for code in ring 0.
#[cfg(feature = "std")]
mod moving {
    use super::super::polynomial::power;
    use super::how::{product, word};

    /// The most words over which a register is moved.
    const MOST: usize = 31;

    /// `MOVES[n]` moves a register over `n` words, at least one: x^(64n-33) modulo the polynomial. The carry-less product of reflected
    /// polynomials has a factor x in excess, and CRC32 of it one of x^32.
    static MOVES: [u32; MOST + 1] = moves();

    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "computed by the compiler, which checks both"
    )]
    const fn moves() -> [u32; MOST + 1] {
        let mut table = [0; MOST + 1];
        let mut n = 1;
        while n < table.len() {
            table[n] = power(n * 64 - 33);
            n += 1;
        }
        table
    }

    /// A register, moved over so many words: at least one, at most 31.
    ///
    /// # Safety
    /// The instructions are [available](super::available).
    #[inline(always)]
    pub(in super::super) unsafe fn moved(register: u64, words: usize) -> u64 {
        let by = u64::from(MOVES.get(words).copied().unwrap_or(0));
        // SAFETY: as the caller promises.
        unsafe { word(0, product(register, by)) }
    }
}

#[cfg(feature = "std")]
pub(super) use moving::moved;
