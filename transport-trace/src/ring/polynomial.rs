//! Arithmetic modulo the polynomial of CRC-32C, for tables that the compiler computes. Polynomials are reflected: the highest bit
//! is x^0.

/// The product of two polynomials, modulo that of the checksum.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "computed by the compiler, which checks it"
)]
pub(super) const fn product(one: u32, mut other: u32) -> u32 {
    let mut product = 0;
    let mut bit = 32;
    while bit != 0 {
        bit -= 1;
        if (one >> bit) & 1 != 0 {
            product ^= other;
        }
        other = (other >> 1) ^ (0x82F6_3B78 & 0_u32.wrapping_sub(other & 1));
    }
    product
}

/// x^`bits` modulo the polynomial.
pub(super) const fn power(mut bits: usize) -> u32 {
    // x^0, and x^1 to be squared.
    let (mut value, mut square) = (1 << 31, 1 << 30);
    while bits != 0 {
        if bits & 1 != 0 {
            value = product(value, square);
        }
        square = product(square, square);
        bits >>= 1;
    }
    value
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{power, product};

    #[test]
    fn powers_are_products() {
        assert_eq!(power(31), 1);
        // The polynomial without x^32.
        assert_eq!(power(32), 0x82F6_3B78);
        for bits in [0, 1, 5, 31, 64, 1000] {
            assert_eq!(product(power(bits), power(17)), power(bits + 17), "{bits}");
        }
    }
}
