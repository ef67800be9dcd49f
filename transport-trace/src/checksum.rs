//! CRC-32C (Castagnoli), as in iSCSI (RFC 3720): polynomial 0x1EDC6F41 reflected, initial value and final XOR all ones.
//!
//! With std the `crc-fast` crate finds out what the processor has, and short records take its CRC32 instruction. Without it, tables: code in ring 0 has no business with
//! vector registers.

/// The checksum of bytes that follow bytes with the checksum `crc` (0 for none).
#[cfg(feature = "std")]
#[inline]
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    // A short record is done before wide registers are set up for it.
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if bytes.len() <= SHORT
        && let Some((crc, _)) = crate::ring::checksum_short(crc, bytes, 0)
    {
        return crc;
    }
    append_long(crc, bytes)
}

/// The checksum of bytes that follow bytes with the checksum `crc`, and the one of those followed by four more.
#[inline(always)]
pub(crate) fn append_and(crc: u32, bytes: &[u8], more: u32) -> (u32, u32) {
    #[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
    if bytes.len() <= SHORT
        && let Some(both) = crate::ring::checksum_short(crc, bytes, more)
    {
        return both;
    }
    append_and_slowly(crc, bytes, more)
}

#[cold]
fn append_and_slowly(crc: u32, bytes: &[u8], more: u32) -> (u32, u32) {
    let crc = append(crc, bytes);
    (crc, append(crc, &more.to_le_bytes()))
}

/// Bytes up to which the processor's CRC32 instruction, one after the other, is the fastest way.
#[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
const SHORT: usize = 256;

#[cfg(feature = "std")]
fn append_long(crc: u32, bytes: &[u8]) -> u32 {
    use crc_fast::{CrcAlgorithm, Digest};
    let sum = if crc == 0 {
        crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes)
    } else {
        let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!crc));
        digest.update(bytes);
        digest.finalize()
    };
    // A CRC of 32 bits.
    u32::try_from(sum).unwrap_or_default()
}

/// The checksum of bytes that follow bytes with the checksum `crc` (0 for none).
#[cfg(not(feature = "std"))]
#[inline]
pub(crate) fn append(crc: u32, bytes: &[u8]) -> u32 {
    table::append(crc, bytes)
}

/// The checksum of bytes.
#[inline]
pub(crate) fn of(bytes: &[u8]) -> u32 {
    append(0, bytes)
}

#[cfg(any(not(feature = "std"), test))]
mod table {
    /// `TABLES[k][b]`: what byte `b` does to the register when `k` more bytes follow it.
    static TABLES: [[u32; 256]; 8] = tables();

    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "computed by the compiler, which checks both"
    )]
    const fn tables() -> [[u32; 256]; 8] {
        let mut tables = [[0; 256]; 8];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0x82F6_3B78 & 0_u32.wrapping_sub(crc & 1));
                bit += 1;
            }
            tables[0][byte] = crc;
            byte += 1;
        }
        let mut k = 1;
        while k < 8 {
            let mut byte = 0;
            while byte < 256 {
                let before = tables[k - 1][byte];
                tables[k][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
                byte += 1;
            }
            k += 1;
        }
        tables
    }

    fn look(k: usize, byte: u8) -> u32 {
        TABLES
            .get(k)
            .and_then(|table| table.get(usize::from(byte)))
            .copied()
            .unwrap_or(0)
    }

    pub(super) fn append(crc: u32, bytes: &[u8]) -> u32 {
        let mut crc = !crc;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let [a, b, c, d, e, f, g, h] = *word;
            let [w, x, y, z] = crc.to_le_bytes();
            crc = look(7, a ^ w)
                ^ look(6, b ^ x)
                ^ look(5, c ^ y)
                ^ look(4, d ^ z)
                ^ look(3, e)
                ^ look(2, f)
                ^ look(1, g)
                ^ look(0, h);
        }
        for byte in rest {
            let [low, ..] = crc.to_le_bytes();
            crc = (crc >> 8) ^ look(0, low ^ byte);
        }
        !crc
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]
mod tests {
    #[test]
    fn known_answers() {
        // RFC 3720, B.4, and the usual check value.
        for append in [super::append, super::table::append] {
            assert_eq!(append(0, b"123456789"), 0xe306_9283);
            assert_eq!(append(0, &[0; 32]), 0x8a91_36aa);
            assert_eq!(append(0, &[0xff; 32]), 0x62a8_ab43);
            assert_eq!(append(append(0, b"1234"), b"56789"), 0xe306_9283);
        }
    }

    #[test]
    #[cfg(feature = "std")]
    fn all_ways_agree() {
        let bytes: Vec<u8> = (0..5000_u32)
            .map(|number| (number * number % 251) as u8)
            .collect();
        for length in (0..600).chain([1000, 1024, 4096, 5000]) {
            let part = &bytes[..length];
            let expected = super::table::append(0, part);
            assert_eq!(super::append(0, part), expected, "{length}");
            assert_eq!(super::append_long(0, part), expected, "{length}");
            let (first, second) = part.split_at(length / 3);
            assert_eq!(
                super::append(super::append(0, first), second),
                expected,
                "{length}"
            );
            assert_eq!(
                super::append_long(super::of(first), second),
                expected,
                "{length}"
            );
        }
    }
}
