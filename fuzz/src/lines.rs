//! The sum of a record's lines, as docs/trace-format.md says it, by other code than the library's.

const FACTORS: [u64; 16] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c88,
    0x4528_21e6_38d0_1377,
    0xbe54_66cf_34e9_0c6c,
    0xc0ac_29b7_c97c_50dc,
    0x3f84_d5b5_b547_0917,
    0x9216_d5d9_8979_fb1a,
    0xd131_0ba6_98df_b5ad,
    0x2ffd_72db_d01a_dfb6,
    0xb8e1_afed_6a26_7e97,
    0xba7c_9045_f12c_7f99,
    0x24a1_9947_b391_6cf7,
    0x0801_f2e2_858e_fc17,
    0x6369_20d8_7157_4e69,
];

/// The sum of whole lines of 64 bytes, of a call that was entered at this time.
pub fn sum(time: u64, lines: &[u8]) -> u128 {
    let mut gathered = [0_u8; 128];
    gathered[..8].copy_from_slice(&time.to_le_bytes());
    for (bytes, factor) in gathered[64..].chunks_exact_mut(8).zip(&FACTORS[8..]) {
        bytes.copy_from_slice(&factor.to_le_bytes());
    }
    for line in lines.chunks_exact(64) {
        for (place, byte) in line.iter().enumerate() {
            gathered[place] ^= byte;
            let power = gathered[64 + place];
            gathered[64 + place] = (power << 1) ^ (0x1b * (power >> 7)) ^ power ^ byte;
        }
    }
    let word = |bytes: &[u8]| {
        let byte = |word: u64, byte: &u8| (word << 8) | u64::from(*byte);
        bytes.iter().rev().fold(0, byte)
    };
    gathered
        .chunks_exact(8)
        .map(word)
        .zip(FACTORS)
        .flat_map(|(word, factor)| {
            (0..64)
                .filter(move |bit| (word >> bit) & 1 == 1)
                .map(move |bit| u128::from(factor) << bit)
        })
        .fold(0, |sum, product| sum ^ product)
}
