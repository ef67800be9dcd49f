//! The sum of lines: what stands for CRC-32C where a record has much memory.
//!
//! A processor makes CRC-32C of a line of 64 bytes in 4 cycles at best, and copies it in 2. This sum is made while the line is copied
//! anyway. It is of 127 bits, and linear: what a damage does to it depends on the damage alone. So that it finds, of up to 64 lines,
//! each damage of one, two or three bits (and of any odd number), and each that lies within 64 bits of another, can be tried
//! for every place, which the tests below do. CRC-32C finds three bits and 32 bits of so much. Any other damage passes once in 2^127,
//! or 2^32.
//!
//! Of the eight words of each line, least significant byte first, and for each of the eight places in a line:
//! - P is all words at this place, XORed;
//! - T likewise, each turned left by as many bits as there are lines behind it.
//!
//! The sum is the carry-less products of the P with the first eight of [`FACTORS`], and of the T with the others, XORed.
//!
//! P alone would miss two bits at one place of two lines. The T differ then, since the two are turned by different numbers of bits. The
//! first factors have odd numbers of ones and the others even numbers: so the number of ones of the sum is odd for each odd number of bits.

/// Bytes of a line.
pub(crate) const LINE: usize = 64;
/// The most lines that have a sum: more would be turned by the same numbers of bits.
pub(crate) const MOST_LINES: usize = 64;
/// Bytes of a sum.
pub(crate) const SUM: usize = 16;

/// What the words are multiplied by: the first 1024 bits behind the point of pi (nothing is hidden in them), the lowest bit of each
/// word chosen so that the first eight have odd numbers of ones, and the others even ones. Aligned, so that a load of a half does
/// not cross lines of the cache.
#[repr(align(64))]
pub(crate) struct Factors(pub(crate) [[u64; 8]; 2]);

/// See [`Factors`].
pub(crate) static FACTORS: Factors = Factors([
    [
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
        0x082e_fa98_ec4e_6c88,
        0x4528_21e6_38d0_1377,
        0xbe54_66cf_34e9_0c6c,
        0xc0ac_29b7_c97c_50dc,
        0x3f84_d5b5_b547_0917,
    ],
    [
        0x9216_d5d9_8979_fb1a,
        0xd131_0ba6_98df_b5ad,
        0x2ffd_72db_d01a_dfb6,
        0xb8e1_afed_6a26_7e97,
        0xba7c_9045_f12c_7f99,
        0x24a1_9947_b391_6cf7,
        0x0801_f2e2_858e_fc17,
        0x6369_20d8_7157_4e69,
    ],
]);

/// P and T of lines.
#[inline]
pub(crate) fn gathered(lines: &[[u8; LINE]]) -> [[u64; 8]; 2] {
    let [mut plain, mut turned] = [[0_u64; 8]; 2];
    for line in lines {
        let (words, _) = line.as_chunks();
        for ((word, plain), turned) in words.iter().zip(&mut plain).zip(&mut turned) {
            let word = u64::from_le_bytes(*word);
            *plain ^= word;
            *turned = turned.rotate_left(1) ^ word;
        }
    }
    [plain, turned]
}

/// The products of P and T with their factors, XORed.
pub(crate) fn folded(gathered: &[[u64; 8]; 2], product: impl Fn(u64, u64) -> u128) -> u128 {
    gathered
        .as_flattened()
        .iter()
        .zip(FACTORS.0.as_flattened())
        .fold(0, |sum, (word, factor)| sum ^ product(*word, *factor))
}

/// The carry-less product of two words.
pub(crate) fn product(one: u64, other: u64) -> u128 {
    (0..64).fold(0, |sum, bit| {
        let mask = 0_u128.wrapping_sub(u128::from((other >> bit) & 1));
        sum ^ ((u128::from(one) << bit) & mask)
    })
}

/// The lines of a record that have a sum of their own, and that sum; where it has any. `None` where it has not as many bytes.
pub(crate) fn of_record(record: &[u8]) -> Option<(&[[u8; LINE]], u128)> {
    use super::record::{CALL_HEAD, lines_of};
    let (sum, bytes) = record.get(CALL_HEAD..)?.split_first_chunk::<SUM>()?;
    let (lines, _) = bytes.as_chunks();
    let lines = lines.get(..lines_of(record))?;
    Some((lines, u128::from_le_bytes(*sum)))
}

/// The sum of lines.
pub(crate) fn sum(lines: &[[u8; LINE]]) -> u128 {
    #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
    if let Some(sum) = crate::ring::sum_of_lines(lines) {
        return sum;
    }
    folded(&gathered(lines), product)
}

#[cfg(all(test, not(loom)))]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test"
)]
mod tests {
    use super::{FACTORS, LINE, MOST_LINES, folded, gathered, product, sum};

    #[test]
    fn products_are_carry_less() {
        // (x^2 + 1)(x + 1) = x^3 + x^2 + x + 1
        assert_eq!(product(0b101, 0b11), 0b1111);
        assert_eq!(product(1 << 63, 1 << 63), 1 << 126);
        assert_eq!(product(u64::MAX, 1), u128::from(u64::MAX));
    }

    #[test]
    fn factors_have_odd_and_even_numbers_of_ones() {
        let [plain, turned] = FACTORS.0;
        assert!(plain.iter().all(|factor| factor.count_ones() % 2 == 1));
        assert!(turned.iter().all(|factor| factor.count_ones() % 2 == 0));
    }

    #[test]
    fn a_sum_is_what_the_format_says() {
        let lines: Vec<[u8; LINE]> = (0..MOST_LINES)
            .map(|line| core::array::from_fn(|byte| (line * 7 + byte * byte * 13 % 251) as u8))
            .collect();
        for count in 0..=if cfg!(miri) { 3 } else { MOST_LINES } {
            let lines = &lines[..count];
            let mut expected = 0;
            for (number, line) in lines.iter().enumerate() {
                for place in 0..8 {
                    let bytes = line[place * 8..][..8].try_into().unwrap_or_default();
                    let word = u64::from_le_bytes(bytes);
                    let turned = word.rotate_left((count - 1 - number) as u32);
                    expected ^= product(word, FACTORS.0[0][place]);
                    expected ^= product(turned, FACTORS.0[1][place]);
                }
            }
            assert_eq!(sum(lines), expected, "{count}");
            assert_eq!(folded(&gathered(lines), product), expected, "{count}");
        }
    }

    /// What each bit of as many lines as have a sum does to it, in the order of the bits. Of fewer lines it is the end of this.
    fn effects() -> Vec<u128> {
        let mut effects = Vec::new();
        for line in 0..MOST_LINES {
            for (plain, turned) in FACTORS.0[0].iter().zip(&FACTORS.0[1]) {
                for bit in 0..64 {
                    let behind = (MOST_LINES - 1 - line) as u32;
                    let word = 1_u64 << bit;
                    effects
                        .push(product(*plain, word) ^ product(*turned, word.rotate_left(behind)));
                }
            }
        }
        effects
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic on 32,768 numbers, without unsafe code")]
    fn one_two_and_three_bits_are_found_everywhere() {
        let mut effects = effects();
        // An odd number of them is never 0: each has an odd number of ones.
        assert!(effects.iter().all(|effect| effect.count_ones() % 2 == 1));
        // Two are never 0: no two are the same.
        effects.sort_unstable();
        assert!(effects.windows(2).all(|two| two[0] != two[1]));
        assert_eq!(effects.len(), MOST_LINES * LINE * 8);
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic on 32,768 numbers, without unsafe code")]
    fn any_damage_within_64_bits_is_found_everywhere() {
        // Of 64 neighbours no sum of some is 0: none is a sum of others (Gauss).
        for (place, window) in effects().windows(64).enumerate() {
            let mut by_highest = [0_u128; 128];
            for effect in window {
                let mut left = *effect;
                while left != 0 {
                    let highest = 127 - left.leading_zeros() as usize;
                    if by_highest[highest] == 0 {
                        by_highest[highest] = left;
                        break;
                    }
                    left ^= by_highest[highest];
                }
                assert_ne!(left, 0, "{place}");
            }
        }
    }
}
