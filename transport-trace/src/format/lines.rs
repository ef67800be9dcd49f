//! The sum of lines: what stands for CRC-32C where a record has much memory.
//!
//! A processor makes CRC-32C of a line of 64 bytes in 4 cycles at best, and copies it in 2. This sum is made while the line is copied
//! anyway. It has 127 bits, and what a damage does to it depends on the damage alone. So that it finds, of up to 64 lines, each damage
//! of one, two or three bits (and of any odd number), and each that lies inside 64 successive bits, can be tried for every place, which
//! the tests below do; CRC-32C finds three bits of so much, and what lies inside 32. Four bits can be found that it does not, as for
//! CRC-32C too; of damage at random 2^-127 passes, and 2^-32.
//!
//! The lines are summed twice, byte by byte:
//! - P: all of them, XORed.
//! - T: each times a power of 3 in GF(2^8) modulo x^8+x^4+x^3+x+1, the field of AES, in which 3 has 255 powers: a different one
//!   for each line. It starts as the second half of [`FACTORS`], as if that were a line in front of them.
//!
//! Into the first word of P goes the time of the call. The sum is the carry-less products of the eight words of P with the first eight
//! of [`FACTORS`], and of those of T with the others, XORed.
//!
//! P alone would miss two bits at one place of two lines, or two lines that changed places; T alone is not enough for those that
//! cancel times a power of 3. That T starts as something makes the sum of zeros none, and that the time is in it keeps it from being
//! right behind the head of another call. The first factors have odd numbers of ones and the others even ones: so a damage of an odd
//! number of bits, which P has too, changes an odd number of bits of the sum, whatever it does to T.

/// Bytes of a line.
pub(crate) const LINE: usize = 64;
/// The most lines that have a sum: a page. What it finds is tried for so many; 3 has powers for 255.
pub(crate) const MOST_LINES: usize = 64;
/// Bytes of a sum.
pub(crate) const SUM: usize = 16;

/// What the words are multiplied by: the first 1024 bits behind the point of pi (nothing is hidden in them), the lowest bit of each
/// word chosen so that the first eight have odd numbers of ones, and the others even ones. Aligned, so that a load of a half does
/// not cross lines of the cache.
#[repr(align(64))]
pub(crate) struct Factors(pub(crate) [[u64; 8]; 2]);

/// See [`Factors`].
pub(crate) const FACTORS: Factors = Factors([
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

/// Three times a byte, in the field of AES.
#[inline]
const fn thrice(byte: u8) -> u8 {
    let twice = (byte << 1) ^ if byte & 0x80 != 0 { 0x1b } else { 0 };
    twice ^ byte
}

/// P and T of the lines of a call that was entered at this time.
#[inline]
pub(crate) fn gathered(time: u64, lines: &[[u8; LINE]]) -> [[u64; 8]; 2] {
    let words = |bytes: &[u8; LINE]| {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    };
    let [mut plain, mut powers] = [[0_u8; LINE]; 2];
    for (bytes, factor) in powers.as_chunks_mut().0.iter_mut().zip(FACTORS.0[1]) {
        *bytes = factor.to_le_bytes();
    }
    for line in lines {
        for ((byte, plain), power) in line.iter().zip(&mut plain).zip(&mut powers) {
            *plain ^= byte;
            *power = thrice(*power) ^ byte;
        }
    }
    let mut plain = words(&plain);
    plain[0] ^= time;
    [plain, words(&powers)]
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

/// The lines of a record that have a sum of their own, and that sum; where it has any. `None` where its enter part has not as many
/// bytes.
pub(crate) fn of_record(record: &[u8]) -> Option<(&[[u8; LINE]], u128)> {
    use super::record::{CALL_HEAD, enter_bytes, lines_of};
    let enter = record.get(..enter_bytes(record)?)?;
    let (sum, bytes) = enter.get(CALL_HEAD..)?.split_first_chunk::<SUM>()?;
    let (lines, _) = bytes.as_chunks();
    let lines = lines.get(..lines_of(record))?;
    Some((lines, u128::from_le_bytes(*sum)))
}

/// The sum of the lines of a call that was entered at this time.
pub(crate) fn sum(time: u64, lines: &[[u8; LINE]]) -> u128 {
    #[cfg(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(any(loom, miri))
    ))]
    if let Some(sum) = crate::ring::sum_of_lines(time, lines) {
        return sum;
    }
    folded(&gathered(time, lines), product)
}

#[cfg(all(test, not(loom)))]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test"
)]
mod tests {
    use super::{FACTORS, LINE, MOST_LINES, folded, gathered, product, sum, thrice};

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

    fn lines(of: impl Fn(usize, usize) -> u8) -> Vec<[u8; LINE]> {
        (0..MOST_LINES)
            .map(|line| core::array::from_fn(|byte| of(line, byte)))
            .collect()
    }

    #[test]
    fn a_sum_is_what_the_format_says() {
        let all = lines(|line, byte| (line * 7 + byte * byte * 13 % 251) as u8);
        for count in 0..=if cfg!(miri) { 3 } else { MOST_LINES } {
            let lines = &all[..count];
            let mut expected = product(0x1234, FACTORS.0[0][0]);
            for place in 0..LINE {
                let mut power = FACTORS.0[1][place / 8].to_le_bytes()[place % 8];
                for line in lines {
                    power = thrice(power) ^ line[place];
                    expected ^= product(
                        u64::from(line[place]) << (place % 8 * 8),
                        FACTORS.0[0][place / 8],
                    );
                }
                expected ^= product(u64::from(power) << (place % 8 * 8), FACTORS.0[1][place / 8]);
            }
            assert_eq!(sum(0x1234, lines), expected, "{count}");
            let software = folded(&gathered(0x1234, lines), product);
            assert_eq!(software, expected, "{count}");
        }
    }

    #[test]
    fn three_has_different_powers_for_all_lines() {
        let mut powers = vec![1];
        for _ in 1..255 {
            powers.push(thrice(*powers.last().unwrap_or(&0)));
        }
        // FIPS 197, 4.2: 57 times 3 is f9.
        assert_eq!((thrice(0x57), thrice(powers[254])), (0xf9, 1));
        powers.sort_unstable();
        powers.dedup();
        assert_eq!(powers.len(), 255);
    }

    /// What each bit of as many lines as have a sum does to it, in the order of the bits. Of fewer lines it is the end of this.
    fn effects() -> Vec<u128> {
        let mut effects = Vec::new();
        let mut powers = [[0_u8; 8]; MOST_LINES];
        for bit in 0..8 {
            let mut power = 1 << bit;
            for line in powers.iter_mut().rev() {
                line[bit] = power;
                power = thrice(power);
            }
        }
        for line in powers {
            for (plain, power) in FACTORS.0[0].iter().zip(&FACTORS.0[1]) {
                for bit in 0..64 {
                    let turned = u64::from(line[bit % 8]) << (bit / 8 * 8);
                    effects.push(product(*plain, 1 << bit) ^ product(*power, turned));
                }
            }
        }
        // They are what a sum does.
        let nothing = sum(0, &[[0; LINE]; MOST_LINES]);
        for place in (0..effects.len()).step_by(4001) {
            let mut lines = [[0; LINE]; MOST_LINES];
            lines[place / 512][place % 512 / 8] = 1 << (place % 8);
            assert_eq!(sum(0, &lines) ^ nothing, effects[place]);
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
    fn any_damage_inside_64_successive_bits_is_found_everywhere() {
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

    /// Memory is seldom at random: what is gone, came twice or changed places in patterns is found too.
    #[test]
    #[cfg_attr(miri, ignore = "thousands of sums, without unsafe code")]
    fn holes_copies_and_swaps_in_patterns_are_found() {
        let mut tried = 0_u32;
        let mut differs =
            |before: &[[u8; LINE]], after: &[[u8; LINE]], what: &dyn Fn() -> String| {
                if before != after {
                    assert_ne!(sum(7, before), sum(7, after), "{}", what());
                    tried += 1;
                }
            };
        for value in 1..=255_u8 {
            let full = lines(|_, _| value);
            for size in [64, 128, 192, 256, 512, 1024, 2048, 4096] {
                for at in (0..=4096 - size).step_by(if size == 4096 { 1 } else { 8 * 61 }) {
                    let mut holed = full.clone();
                    holed.as_flattened_mut()[at..at + size].fill(0);
                    differs(&full, &holed, &|| format!("{size} of {value:#x} from {at}"));
                }
            }
        }
        type Pattern<'p> = &'p dyn Fn(usize, usize) -> u8;
        let patterns: [(&str, Pattern<'_>); 4] = [
            ("a byte for each line", &|line, _| (line * 37) as u8),
            ("all or nothing", &|line, _| {
                if line * line % 7 < 3 { 0xff } else { 0 }
            }),
            ("addresses", &|line, byte| {
                if byte % 8 == 1 { (line * 16) as u8 } else { 0 }
            }),
            ("counts", &|line, byte| {
                if byte % 8 == 0 {
                    (line * 8 + byte / 8) as u8
                } else {
                    0
                }
            }),
        ];
        for (name, pattern) in patterns {
            let whole = lines(pattern);
            for one in 0..MOST_LINES {
                for other in 0..MOST_LINES {
                    let mut swapped = whole.clone();
                    swapped.swap(one, other);
                    differs(&whole, &swapped, &|| format!("{name}: swap {one}, {other}"));
                    let mut copied = whole.clone();
                    copied[one] = copied[other];
                    differs(&whole, &copied, &|| format!("{name}: {other} at {one}"));
                }
            }
            let mut moved = whole.clone();
            moved.rotate_left(1);
            differs(&whole, &moved, &|| format!("{name}: moved"));
        }
        assert!(tried > 10_000, "{tried}");
    }

    #[test]
    fn a_sum_belongs_to_its_call_and_its_number_of_lines() {
        let zeros = [[0; LINE]; MOST_LINES];
        let mut sums: Vec<u128> = (0..=if cfg!(miri) { 4 } else { MOST_LINES })
            .flat_map(|count| [0, 1, 1 << 40].map(|time| sum(time, &zeros[..count])))
            .collect();
        let all = sums.len();
        assert!(!sums.contains(&0));
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), all);
    }
}
