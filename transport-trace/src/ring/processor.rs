//! Instructions of the processor that Rust reaches only through intrinsics: checksums, and the time-stamp counter.
//!
//! A checksum of a short record is a chain of CRC32 instructions, 3 cycles for 8 bytes: two readings of the time-stamp
//! counter take longer and hide it. A long one is folded by carry-less multiplications of 512 bits, while it is copied.

#[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
mod sums {
    use core::arch::x86_64::{
        __m128i, __m512i, _mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64, _mm_cvtsi64_si128,
        _mm_extract_epi64, _mm_setr_epi32, _mm_ternarylogic_epi64, _mm_xor_si128,
        _mm512_broadcast_i32x4, _mm512_castsi512_si128, _mm512_clmulepi64_epi128,
        _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_setr_epi32, _mm512_storeu_si512,
        _mm512_ternarylogic_epi64, _mm512_xor_si512, _mm512_zextsi128_si512,
    };

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

    /// What moves 512 bits so many bytes on, in each lane of 128 bits: x^(8n+32) and x^(8n-32) modulo the polynomial, as
    /// the reflected product of carry-less multiplication wants them. Their source is Corsix's fast-crc32 (`-p crc32c`);
    /// the tests compare every length with tables.
    const BY_192: [u32; 2] = [0xa87a_b8a8, 0xab7a_ff2a];
    const BY_64: [u32; 2] = [0x740e_ef02, 0x9e4a_ddf8];
    const BY_48: [u32; 2] = [0x1c29_1d04, 0xddc0_152b];
    const BY_32: [u32; 2] = [0x3da6_d0cb, 0xba4f_c28e];
    const BY_16: [u32; 2] = [0xf20c_0dfe, 0x493c_7d27];

    /// Where the next 64 bytes come from and go to.
    struct Line<'b> {
        rest: &'b [[u8; 64]],
        to: *mut u8,
    }

    impl Line<'_> {
        /// Copies 64 bytes, and gives them.
        ///
        /// # Safety
        /// There are 64 more, and `to` is valid for writes of them.
        #[target_feature(enable = "avx512f")]
        #[inline]
        unsafe fn next(&mut self) -> __m512i {
            let Some((first, rest)) = self.rest.split_first() else {
                return _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
            };
            self.rest = rest;
            // SAFETY: an array of 64 bytes; `to` as the caller promises. Neither needs to be aligned.
            unsafe {
                let line = _mm512_loadu_si512(first.as_ptr().cast());
                _mm512_storeu_si512(self.to.cast(), line);
                self.to = self.to.add(64);
                line
            }
        }
    }

    #[target_feature(enable = "avx512f,vpclmulqdq")]
    #[inline]
    fn on(x: __m512i, by: __m512i, next: __m512i) -> __m512i {
        let low = _mm512_clmulepi64_epi128::<0x00>(x, by);
        let high = _mm512_clmulepi64_epi128::<0x11>(x, by);
        _mm512_ternarylogic_epi64::<0x96>(low, high, next)
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    const fn lane([low, high]: [u32; 2]) -> [i32; 4] {
        [low.cast_signed(), 0, high.cast_signed(), 0]
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn each(by: [u32; 2]) -> __m512i {
        let [a, b, c, d] = lane(by);
        _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, d))
    }

    /// Copies whole lines of 64 bytes to `to`, at least one. The register of the checksum behind them, which was `crc` before.
    ///
    /// # Safety
    /// `to` is valid for writes of as many bytes, and nobody else accesses that memory meanwhile.
    #[target_feature(enable = "avx512f,avx512vl,vpclmulqdq,sse4.2")]
    #[inline]
    pub(crate) unsafe fn fold(crc: u64, lines: &[[u8; 64]], to: *mut u8) -> u64 {
        let mut line = Line { rest: lines, to };
        let before = _mm512_zextsi128_si512(_mm_cvtsi64_si128(crc.cast_signed()));
        // SAFETY: there is one, and as many more as are counted down; `to` as the caller promises.
        let mut x = _mm512_xor_si512(before, unsafe { line.next() });
        let each_line = each(BY_64);
        if line.rest.len() >= 5 {
            // SAFETY: as above.
            let (mut y, mut z) = unsafe { (line.next(), line.next()) };
            let by = each(BY_192);
            while line.rest.len() >= 3 {
                // SAFETY: as above.
                unsafe {
                    x = on(x, by, line.next());
                    y = on(y, by, line.next());
                    z = on(z, by, line.next());
                }
            }
            x = on(x, each_line, y);
            x = on(x, each_line, z);
        }
        while !line.rest.is_empty() {
            // SAFETY: as above.
            x = on(x, each_line, unsafe { line.next() });
        }
        let [a, b, c, d] = lane(BY_48);
        let [e, f, g, h] = lane(BY_32);
        let [i, j, k, l] = lane(BY_16);
        let by = _mm512_setr_epi32(a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 0);
        let moved = _mm512_xor_si512(
            _mm512_clmulepi64_epi128::<0x00>(x, by),
            _mm512_clmulepi64_epi128::<0x11>(x, by),
        );
        let sum: __m128i = _mm_xor_si128(
            _mm_ternarylogic_epi64::<0x96>(
                _mm512_castsi512_si128(moved),
                _mm512_extracti32x4_epi32::<1>(moved),
                _mm512_extracti32x4_epi32::<2>(moved),
            ),
            _mm512_extracti32x4_epi32::<3>(x),
        );
        let crc = _mm_crc32_u64(0, _mm_extract_epi64::<0>(sum).cast_unsigned());
        _mm_crc32_u64(crc, _mm_extract_epi64::<1>(sum).cast_unsigned())
    }

    /// Whether the processor has what [`fold`] needs.
    #[inline]
    pub(crate) fn folds() -> bool {
        std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("vpclmulqdq")
            && std::is_x86_feature_detected!("sse4.2")
    }
}

#[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
pub(crate) use sums::{checksum_short, fold, folds};

/// The processor's time-stamp counter.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline]
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: RDTSC has no operands and touches no memory. Where an operating system forbids it (CR4.TSD), the processor
    // raises an exception instead; that ends the program, it does not make it undefined.
    unsafe { core::arch::x86_64::_rdtsc() }
}
