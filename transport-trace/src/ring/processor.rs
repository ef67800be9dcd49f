//! Instructions of the processor that Rust reaches only through intrinsics: checksums, and the time-stamp counter.
//!
//! A checksum of a short record is a chain of CRC32 instructions, 3 cycles for 8 bytes: two readings of the time-stamp
//! counter take longer and hide it.

#[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
mod sums {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64};

    /// The instruction leaves 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the instruction clears the upper half"
    )]
    const fn narrow(crc: u64) -> u32 {
        crc as u32
    }

    /// CRC-32C by the processor's instruction for it: of bytes that follow bytes with the checksum `crc`, and of those
    /// followed by `more`. `None` where the processor has no such instruction.
    #[inline]
    pub(crate) fn checksum_short(crc: u32, bytes: &[u8], more: u32) -> Option<(u32, u32)> {
        #[target_feature(enable = "sse4.2")]
        #[inline]
        fn with_sse(crc: u32, bytes: &[u8], more: u32) -> (u32, u32) {
            let (words, rest) = bytes.as_chunks();
            let mut wide = u64::from(!crc);
            for word in words {
                wide = _mm_crc32_u64(wide, u64::from_le_bytes(*word));
            }
            let mut crc = narrow(wide);
            for byte in rest {
                crc = _mm_crc32_u8(crc, *byte);
            }
            (!crc, !_mm_crc32_u32(crc, more))
        }
        if std::is_x86_feature_detected!("sse4.2") {
            // SAFETY: the processor has what the function is compiled for, as was just asked.
            Some(unsafe { with_sse(crc, bytes, more) })
        } else {
            None
        }
    }
}

#[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
pub(crate) use sums::checksum_short;

/// The processor's time-stamp counter.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline]
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: RDTSC has no operands and touches no memory. Where an operating system forbids it (CR4.TSD), the processor
    // raises an exception instead; that ends the program, it does not make it undefined.
    unsafe { core::arch::x86_64::_rdtsc() }
}
